r"""Training rows: which generations become one, what is cut from them, and in which order they stand.

A generation falls out at the first of these filters that it fails, and is counted there:

    filter            reason             falls out when
    grade             truncated          the model was cut off before it gave an answer
                      no_answer          there is no answer in it
                      no_majority        its problem has no known answer, and no vote gave one
                      wrong              its answer is not the expected one (known, or the majority's)
                      unparsed           its answer cannot be read, and is not the text of the expected one
                      timeout            comparing its answer with the expected one took too long
    drop_multi_boxed  multi_boxed        it holds more than one \boxed          (where asked for)
    contamination     contaminated       its problem is one of a benchmark      (where a list is given)
    cut_end           cut_end            the model was cut off, and trimming did not take the cut end away
    problem_length    problem_too_long   its problem has more tokens than the limit
    solution_length   too_short          it has fewer characters than the limit
                      too_long           it has more tokens than the limit
    deduplicate       duplicate          problem and solution, as they would be written, came before
    downsample        not_sampled        others were taken                      (where asked for)

Prefix and end are trimmed between ``contamination`` and ``cut_end``. The order is that of NeMo-Skills (prepare_data,
cb3f35bc), with one de-duplication instead of two: after trimming, and before the sample is taken, so that a sample has
the size that was asked for.

Rows are shuffled and sampled by a hash of their text (``openmath.orders``), not by a position in memory.
"""

import contextlib
import hashlib
import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openmath.answer_rows import generation_path
from openmath.answers import DEFAULT, Conventions, grade
from openmath.orders import mix
from openmath.problems import problem_key
from openmath.prompts import Prompt
from openmath.records import Record, RecordError, atomic_output, derive_seed, read_jsonl

logger = logging.getLogger(__name__)

FILTERS: tuple[tuple[str, str], ...] = (
    ("grade", "truncated"),
    ("grade", "no_answer"),
    ("grade", "no_majority"),
    ("grade", "wrong"),
    ("grade", "unparsed"),
    ("grade", "timeout"),
    ("drop_multi_boxed", "multi_boxed"),
    ("contamination", "contaminated"),
    ("cut_end", "cut_end"),
    ("problem_length", "problem_too_long"),
    ("solution_length", "too_short"),
    ("solution_length", "too_long"),
    ("deduplicate", "duplicate"),
    ("downsample", "not_sampled"),
)

_REASONS: dict[str, str | None] = {"correct": None, "incorrect": "wrong"}
_PREFIX = "My solution:\n"
_BOX = "\\boxed"
_CLOSES_DISPLAY = ("\\end{align", "\\]", "$$")

ROWS_PER_BUCKET = 100_000
_ROWS_PER_BATCH = 1000

WithinTokens = Callable[[Sequence[str], int], list[bool]]
Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


def has_several_boxes(solution: str) -> bool:
    r"""Whether a solution holds more than one ``\boxed``."""
    return solution.count(_BOX) > 1


def trim_prefix(solution: str) -> str:
    """Take a leading heading line "My solution:" away, which base prompts lead models to write."""
    return solution.removeprefix(_PREFIX)


def trim_solution(solution: str) -> str:
    r"""Cut a solution after the line in which its last ``\boxed{...}`` closes.

    One more line is kept where it closes the display that the answer stands in. A solution without a box that closes
    is left as it is.

    >>> trim_solution("So $x$ is\n$$\n\\boxed{\\frac{1}{2}}\n$$\nI hope this helps!")
    'So $x$ is\n$$\n\\boxed{\\frac{1}{2}}\n$$'
    """
    end = _end_of_last_box(solution)
    if end is None:
        return solution
    line_end = solution.find("\n", end)
    if line_end < 0:
        return solution
    next_end = solution.find("\n", line_end + 1)
    next_line = solution[line_end + 1 : len(solution) if next_end < 0 else next_end]
    if any(mark in next_line for mark in _CLOSES_DISPLAY):
        line_end += 1 + len(next_line)
    return solution[:line_end]


def _end_of_last_box(text: str) -> int | None:
    start = text.rfind(_BOX)
    if start < 0:
        return None
    depth = 0
    for position in range(start + len(_BOX), len(text)):
        character = text[position]
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return position + 1
        elif depth == 0 and not character.isspace():
            # An answer without braces (\boxed 5): the box ends with its line.
            return position
    return None


def text_key(*texts: str) -> int:
    """A 64-bit hash of one or more texts; 20 million rows share one by chance once in 100,000 runs."""
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return int.from_bytes(digest.digest(), "big")


@dataclass(frozen=True)
class Filters:
    """What is asked of a row.

    Attributes:
        drop_multi_boxed, trim_prefix, trim_solutions: on or off.
        min_solution_chars: characters, after trimming.
        max_solution_tokens, max_problem_tokens: tokens of the solution after trimming, and of the problem alone.
        contaminated: ``problem_key`` of the problems to leave out.
    """

    drop_multi_boxed: bool
    trim_prefix: bool
    trim_solutions: bool
    min_solution_chars: int
    max_solution_tokens: int
    max_problem_tokens: int
    contaminated: frozenset[bytes]


@dataclass(frozen=True)
class Candidate:
    """A row that passed every filter that looks at one row alone; the keys are ``text_key`` of problem and solution."""

    row: Record
    row_key: int
    problem_key: int


@dataclass
class _Problem:
    """What is the same for all generations of a problem in one folder."""

    input: str
    expected_answer: str | None
    has_gold: bool
    contaminated: bool
    within_limit: bool
    key: int
    verdicts: dict[str, str] = field(default_factory=dict)


class FolderReader:
    """Walks the generations of folders and keeps the rows that are fit for training.

    Attributes:
        dropped: rows that fell out, by reason.
        rows_in: rows seen.
    """

    def __init__(
        self,
        filters: Filters,
        prompt: Prompt,
        within_tokens: WithinTokens,
        base: Path,
        conventions: Conventions = DEFAULT,
    ) -> None:
        """``prompt`` has a template: its text is the input, its ``assistant_end`` closes the output.

        A row names the file of its generation as seen from the folder ``base``. Where the majority's answer is the
        expected one, answers are held against it under ``conventions``.
        """
        if prompt.template is None:
            raise ValueError("training rows need a prompt with a template")
        self.filters = filters
        self.prompt = prompt
        self.ending = prompt.template.assistant_end
        self.within_tokens = within_tokens
        self.base = base
        self.conventions = conventions
        self.dropped = {reason: 0 for _, reason in FILTERS}
        self.rows_in = 0

    def read(self, folder: Path) -> Iterator[Candidate]:
        """Yield the rows of one folder that pass, in the order of its ``answers.jsonl``.

        The problems of one folder are in memory, never its generations.

        Raises:
            RecordError: an output file and ``answers.jsonl`` do not hold the same rows in the same order.
            ValueError: verdicts and expected answers do not fit together.
        """
        problems: dict[str, _Problem] = {}
        majority_path = folder / "majority.jsonl"
        majority = (
            {row["id"]: row["expected_answer"] for row in read_jsonl(majority_path, require=("id", "expected_answer"))}
            if majority_path.is_file()
            else None
        )
        passing = self._passing(folder, problems, majority)
        while batch := list(itertools.islice(passing, _ROWS_PER_BATCH)):
            short = self.within_tokens([solution for _, _, solution, _ in batch], self.filters.max_solution_tokens)
            for (record, problem, solution, file), is_short in zip(batch, short, strict=True):
                if not is_short:
                    self.dropped["too_long"] += 1
                    continue
                yield Candidate(
                    row={
                        "input": problem.input,
                        "output": solution + self.ending,
                        "expected_answer": problem.expected_answer,
                        "problem_source": record["problem_source"],
                        "generation": {"file": file, "seed": record["seed"], "id": record["id"]},
                    },
                    row_key=text_key(record["problem"], solution),
                    problem_key=problem.key,
                )

    def _passing(
        self, folder: Path, problems: dict[str, _Problem], majority: dict[str, str] | None
    ) -> Iterator[tuple[Record, _Problem, str, str]]:
        for answer, record, file in _zip_answers(folder, self.base):
            self.rows_in += 1
            problem = problems.get(record["id"])
            if problem is None:
                problem = problems[record["id"]] = self._problem(record, majority or {})
            reason, solution = self._judge(folder, answer, record, problem, majority is not None)
            if reason is not None:
                self.dropped[reason] += 1
            else:
                yield record, problem, solution, file

    def _problem(self, record: Record, majority: dict[str, str]) -> _Problem:
        text = record["problem"]
        gold = record.get("expected_answer")
        rendered = self.prompt.render(record)
        assert isinstance(rendered, str)
        return _Problem(
            input=rendered,
            expected_answer=majority.get(record["id"]) if gold is None else gold,
            has_gold=gold is not None,
            contaminated=problem_key(text) in self.filters.contaminated,
            within_limit=self.within_tokens([text], self.filters.max_problem_tokens)[0],
            key=text_key(text),
        )

    def _judge(
        self, folder: Path, answer: Record, record: Record, problem: _Problem, voted: bool
    ) -> tuple[str | None, str]:
        """The reason why a row falls out (None: it stays), and its solution as it would be written."""
        filters = self.filters
        text = record["generation"]
        reason = _grade(folder, answer, problem, voted, self.conventions)
        if reason is not None:
            return reason, text
        if filters.drop_multi_boxed and has_several_boxes(text):
            return "multi_boxed", text
        if problem.contaminated:
            return "contaminated", text
        solution = trim_prefix(text) if filters.trim_prefix else text
        if filters.trim_solutions:
            whole, solution = solution, trim_solution(solution)
            cut_end = solution == whole
        else:
            cut_end = True
        if cut_end and record["finish_reason"] == "length":
            return "cut_end", solution
        if not problem.within_limit:
            return "problem_too_long", solution
        if len(solution) < filters.min_solution_chars:
            return "too_short", solution
        return None, solution


def _grade(folder: Path, answer: Record, problem: _Problem, voted: bool, conventions: Conventions) -> str | None:
    verdict = answer["verdict"]
    if verdict in ("truncated", "no_answer"):
        return str(verdict)
    if (verdict != "ungraded") != problem.has_gold:
        raise ValueError(
            f"{folder}: the answer of {answer['id']} is '{verdict}', but its problem has "
            f"{'a' if problem.has_gold else 'no'} known answer; grade the folder again"
        )
    if problem.has_gold:
        return _REASONS.get(verdict, verdict)
    if not voted:
        raise ValueError(f"{folder}: its problems have no known answer and there is no majority.jsonl to take one from")
    if problem.expected_answer is None:
        return "no_majority"
    predicted = answer["predicted_answer"]
    if predicted not in problem.verdicts:
        problem.verdicts[predicted] = grade(problem.expected_answer, predicted, conventions).verdict
    verdict = problem.verdicts[predicted]
    return _REASONS.get(verdict, verdict)


def _zip_answers(folder: Path, base: Path) -> Iterator[tuple[Record, Record, str]]:
    """Walk ``answers.jsonl`` and the output files that its seeds name, side by side; files are named from ``base``."""
    answers = read_jsonl(folder / "answers.jsonl", require=("id", "seed", "predicted_answer", "verdict"))
    for seed, group in itertools.groupby(answers, key=lambda row: row["seed"]):
        path = generation_path(folder, seed)
        name = os.path.relpath(path, base)
        records = read_jsonl(path, require=("id", "problem", "problem_source", "generation", "finish_reason", "seed"))
        for number, answer in enumerate(group, start=1):
            record = next(records, None)
            if record is None or (record["id"], record["seed"]) != (answer["id"], seed):
                held = "nothing" if record is None else f"id {record['id']!r} of seed {record['seed']}"
                raise RecordError(
                    f"{path}, line {number}: holds {held}; answers.jsonl has {answer['id']!r} of seed {seed}"
                )
            yield answer, record, name
        if next(records, None) is not None:
            raise RecordError(f"{path}: longer than its rows in answers.jsonl")


@dataclass(frozen=True)
class Order:
    """Where each row goes.

    Attributes:
        places: per row, its place in the output, or -1 where it falls out.
        duplicates: rows that fell out because they came before.
        not_sampled: rows that fell out because others were taken.
    """

    places: Rows
    duplicates: int
    not_sampled: int


def order_rows(row_keys: Words, problem_keys: Words, seed: int, downsample: str, num_samples: int | None) -> Order:
    """De-duplicate, sample and shuffle.

    Args:
        row_keys: (n,) hash of problem and solution; of equal ones the first stays.
        problem_keys: (n,) hash of the problem.
        seed: of the sample and of the order.
        downsample: "none"; "random": any rows; "fair": in turns, one row of each problem a turn, until enough are taken
            (in the last turn any problems).
        num_samples: how many rows to take; all where there are not more.

    Memory is about 60 bytes a row. The source takes the first solutions of a problem in file order, and in the last
    turn the first problems; here a hash decides both.
    """
    _, first = np.unique(row_keys, return_index=True)
    chosen: Rows = np.sort(first)
    duplicates = len(row_keys) - len(chosen)
    if downsample != "none" and num_samples is not None and num_samples < len(chosen):
        chance = mix(row_keys[chosen], derive_seed("sft", "sample", seed))
        if downsample == "fair":
            turn = _rank_within(problem_keys[chosen], chance)
            chosen = chosen[np.lexsort((chance, turn))[:num_samples]]
        else:
            chosen = chosen[np.argsort(chance)[:num_samples]]
    not_sampled = len(row_keys) - duplicates - len(chosen)
    order = np.argsort(mix(row_keys[chosen], derive_seed("sft", "shuffle", seed)))
    places: Rows = np.full(len(row_keys), -1, dtype=np.int64)
    places[chosen[order]] = np.arange(len(chosen))
    return Order(places, duplicates, not_sampled)


def _rank_within(groups: Words, chance: Words) -> Rows:
    """Per row: how many rows of its group have a smaller ``chance``."""
    order = np.lexsort((chance, groups))
    sorted_groups = groups[order]
    new_group = np.ones(len(order), dtype=bool)
    new_group[1:] = sorted_groups[1:] != sorted_groups[:-1]
    starts = np.flatnonzero(new_group)
    ranks: Rows = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return ranks


def funnel(
    dropped: dict[str, int], rows_in: int, filters: Sequence[tuple[str, str]] = FILTERS
) -> list[dict[str, str | int]]:
    """The filters in order, each with what it dropped and how many rows were left after it."""
    steps: list[dict[str, str | int]] = []
    kept = rows_in
    for name, reason in filters:
        kept -= dropped[reason]
        steps.append({"filter": name, "reason": reason, "dropped": dropped[reason], "kept": kept})
    return steps


def tally(
    rows_in: int,
    dropped: dict[str, int],
    order: Order,
    num_samples: int | None,
    filters: Sequence[tuple[str, str]] = FILTERS,
) -> dict[str, Any]:
    """How many rows came in, fell out by reason and are left, and the funnel; a sample that is too small is logged."""
    dropped = {**dropped, "duplicate": order.duplicates, "not_sampled": order.not_sampled}
    rows_out = rows_in - sum(dropped.values())
    if num_samples is not None and rows_out < num_samples:
        logger.warning("%d samples were asked for, %d rows are all there are", num_samples, rows_out)
    return {"rows_in": rows_in, **dropped, "rows_out": rows_out, "funnel": funnel(dropped, rows_in, filters)}


def write_in_order(spool: Path, places: Rows, work: Path, output: Path) -> None:
    """Write the lines of ``spool`` to ``output``, each at its place.

    Args:
        spool: a file of lines; it is deleted on the way.
        places: per line of ``spool``, its line number in ``output``, or -1 to leave it out.
        work: a folder for files that together are as large as the spool.
        output: the file to write; it appears when it is complete.

    The lines are first dealt out to one file per ``ROWS_PER_BUCKET`` places, then each of these is put in order: the
    disk reads and writes in sequence, and one bucket at a time is in memory.
    """
    buckets = [
        work / f"bucket-{number:04d}" for number in range(-(-(int(places.max(initial=-1)) + 1) // ROWS_PER_BUCKET))
    ]
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(open(path, "wb")) for path in buckets]
        with open(spool, "rb") as lines:
            for line, place in zip(lines, places, strict=True):
                if place >= 0:
                    streams[place // ROWS_PER_BUCKET].write(line)
    spool.unlink()
    with atomic_output(output) as stream:
        for number, path in enumerate(buckets):
            with open(path, "rb") as bucket:
                held = bucket.readlines()
            path.unlink()
            for position in np.argsort(places[(places >= 0) & (places // ROWS_PER_BUCKET == number)]):
                stream.write(held[position])
