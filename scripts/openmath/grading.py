"""The answers of a folder of generations, each held against the expected one, and every verdict counted apart.

    generations -> rows, in blocks -> pairs (expected, predicted) not seen before -> grades -> verdicts of the rows
                                      in this process, or in several that may die

Pairs repeat, so a grade is kept for those met last (``REMEMBERED``); the readings behind a grade are kept by
``openmath.answers`` itself. What is written follows from the generations alone: a grade is the same wherever and
whenever it is made, and the pairs are chosen before the work is shared out. Only a pair that kills its worker twice
or keeps it from answering is graded from outside: "timeout", by the tier "killed".

Memory holds one block of rows without their texts, the ids of one file, and the pairs kept: some 300 bytes each.
"""

import functools
import itertools
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from openmath.answer_rows import VERDICTS, generation_path
from openmath.answers import DEFAULT, Conventions, Grade, grade, kind_of
from openmath.answers.extraction import answer_state
from openmath.records import Record, RecordError, read_jsonl
from openmath.worker_pool import Lost, WorkerPool

logger = logging.getLogger(__name__)

REMEMBERED = 2**17
PAIR_SECONDS = 10.0
EXAMPLES = 20
_ROWS_PER_BLOCK = 4096

Pair = tuple[str, str]
GradeFunction = Callable[[str, str, Conventions], Grade]

KILLED = Grade("timeout", "killed")


class AnswerRow(NamedTuple):
    """What is left of a generation: ``state`` says whether it has an answer (``openmath.answers.extraction``)."""

    id: str
    seed: int | None
    expected: str | None
    predicted: str | None
    state: str


class PairGrader:
    """Grades pairs of answers, each once as long as it is remembered.

    Args:
        options: on what graders differ.
        workers: processes to grade in; up to 1: this process, which then has no protection but that of ``grade``.
        seconds: wall time after which a worker is killed.
        grade: what grades a pair; pickled where there are workers.
        remembered: number of pairs whose grades are kept, those used last.
    """

    def __init__(
        self,
        options: Conventions = DEFAULT,
        workers: int = 1,
        seconds: float = PAIR_SECONDS,
        grade: GradeFunction = grade,
        remembered: int = REMEMBERED,
    ) -> None:
        self.remembered = remembered
        self.compared = 0
        self._grade_pair = functools.partial(_grade_pair, grade, options)
        self._pool = WorkerPool[Pair, Grade](self._grade_pair, workers, seconds) if workers > 1 else None
        self._grades: OrderedDict[Pair, Grade] = OrderedDict()
        self._shared: dict[Grade, Grade] = {}

    def __enter__(self) -> "PairGrader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.close()

    def grade(self, pairs: Sequence[Pair]) -> list[Grade]:
        """The grade of each pair (expected, predicted), in their order."""
        distinct = dict.fromkeys(pairs)
        new = [pair for pair in distinct if pair not in self._grades]
        self.compared += len(new)
        for pair, result in zip(new, self._compare(new), strict=True):
            self._grades[pair] = self._shared.setdefault(result, result)
        for pair in distinct:
            self._grades.move_to_end(pair)
        grades = [self._grades[pair] for pair in pairs]
        while len(self._grades) > self.remembered:
            self._grades.popitem(last=False)
        return grades

    def _compare(self, pairs: Sequence[Pair]) -> list[Grade]:
        if self._pool is None:
            return [self._grade_pair(pair) for pair in pairs]
        return [KILLED if isinstance(result, Lost) else result for result in self._pool.map(pairs)]


def _grade_pair(grade: GradeFunction, options: Conventions, pair: Pair) -> Grade:
    return grade(*pair, options)


def read_answers(
    folder: Path, seeds: Sequence[int | None], extract: Callable[[str], str | None]
) -> Iterator[AnswerRow]:
    """Yield the answers of all generations of a folder, file after file.

    Raises:
        RecordError: the files do not hold the same ids in the same order, or an expected answer is no text; file and
            line are named.
    """
    ids: list[str] = []
    first = generation_path(folder, seeds[0])
    for position, seed in enumerate(seeds):
        path = generation_path(folder, seed)
        number = 0
        for number, record in enumerate(read_jsonl(path, require=("id", "generation", "finish_reason")), start=1):
            if position == 0:
                ids.append(record["id"])
            elif number > len(ids) or record["id"] != ids[number - 1]:
                there = repr(ids[number - 1]) if number <= len(ids) else "no such line"
                raise RecordError(f"{path}, line {number}: id {record['id']!r}, but {first} has {there}")
            expected = record.get("expected_answer")
            if not isinstance(expected, str | None):
                raise RecordError(f"{path}, line {number}: 'expected_answer' is no text: {expected!r}")
            predicted = extract(record["generation"])
            state = answer_state(record["generation"], record["finish_reason"], predicted)
            yield AnswerRow(record["id"], seed, expected, predicted, state)
        if number < len(ids):
            raise RecordError(f"{path} ends after line {number}; {first} has {len(ids)}")
        logger.info("%s: %d rows", path, number)


class Tally:
    """Counts over graded rows.

    Attributes:
        verdicts: rows by verdict.
        tiers: rows with an answer and an expected one, by the tier that decided.
        examples: the first rows that were unparsed or timed out, each pair once.
        unparsed_expected: problems whose expected answer cannot be read; only its own text is right.
    """

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.tiers: Counter[str] = Counter()
        self.examples: dict[str, list[Record]] = {"unparsed": [], "timeout": []}
        self.unparsed_expected = 0
        self._shown: set[tuple[str | None, str | None]] = set()
        self._first_seed: int | None = None

    def add(self, row: AnswerRow, verdict: str, tier: str | None) -> None:
        """Count a row; ``tier`` is None where nothing was compared. The rows of one seed come together."""
        if not self.verdicts:
            self._first_seed = row.seed
        if row.seed == self._first_seed and row.expected is not None and kind_of(row.expected) == "unread":
            self.unparsed_expected += 1
            logger.warning("%s: the expected answer cannot be read: %.300r", row.id, row.expected)
        self.verdicts[verdict] += 1
        if tier is not None:
            self.tiers[tier] += 1
        examples = self.examples.get(verdict)
        pair = (row.expected, row.predicted)
        if examples is not None and len(examples) < EXAMPLES and pair not in self._shown:
            self._shown.add(pair)
            examples.append(
                {"id": row.id, "seed": row.seed, "expected_answer": row.expected, "predicted_answer": row.predicted}
            )

    def counts(self) -> Record:
        """All of it for a JSON file: every verdict, 0 too."""
        verdicts = {verdict: self.verdicts[verdict] for verdict in VERDICTS}
        rows = self.verdicts.total()
        tiers = dict(sorted(self.tiers.items()))
        return {
            **verdicts,
            "rows_in": rows,
            "rows_out": rows,
            "unparsed_expected": self.unparsed_expected,
            "tiers": tiers,
            "examples": self.examples,
        }


def grade_rows(rows: Iterable[AnswerRow], grader: PairGrader, tally: Tally) -> Iterator[Record]:
    """Yield the rows of ``answers.jsonl``: one for each of ``rows``, in their order."""
    rows = iter(rows)
    while block := list(itertools.islice(rows, _ROWS_PER_BLOCK)):
        pairs = [
            (row.expected, row.predicted) for row in block if row.expected is not None and row.predicted is not None
        ]
        grades = iter(grader.grade(pairs))
        for row in block:
            tier: str | None = None
            if row.predicted is None:
                verdict = row.state
            elif row.expected is None:
                verdict = "ungraded"
            else:
                verdict, tier = (result := next(grades)).verdict, result.tier
            tally.add(row, verdict, tier)
            yield {"id": row.id, "seed": row.seed, "predicted_answer": row.predicted, "verdict": verdict}
