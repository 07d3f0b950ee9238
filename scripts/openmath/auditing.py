"""How far our grader and Math-Verify agree on the same pairs of answers: a table of counts, and examples.

Math-Verify is asked as NeMo-Skills asks it: both answers read as LaTeX (in ``$``, where they have no delimiters), the
expected one first. Its own limits on time cannot interrupt everything, so they are off; a worker that is busy for too
long is killed instead, and the pair is "timeout". What it makes of a pair:

    correct, incorrect    it read both answers
    unparsed              it read nothing in one of them, and the texts differ
    timeout               it took too long, or more memory than it may have
    error                 it raised something else

Cost: some 7 ms for each reading; pairs that come again are graded once.
"""

import csv
import functools
import io
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openmath.grading import Pair
from openmath.records import Record, RecordError, read_jsonl
from openmath.worker_pool import Lost, WorkerPool

MEMORY_MB = 4096
COLUMNS = ("kind", "ours", "math_verify", "pairs", "rows")

_DELIMITED = re.compile(r"(?<!\\)\$|\\[(\[]|\\boxed|\\begin\{(?:equation|align|gather|math)")


@dataclass
class Seen:
    """A pair of answers: our verdict where there is one, the number of its rows, and what the first is called."""

    verdict: str | None
    rows: int
    first: Record


def pairs_of_answers(answers: Path, problems: Path) -> dict[Pair, Seen]:
    """The pairs of an ``answers.jsonl`` in the order of their first rows; rows without an answer are passed over.

    Args:
        answers: rows with our verdicts.
        problems: records with "id" and "expected_answer".

    Raises:
        RecordError: a row is about no such problem, or was not graded.
    """
    expected = {row["id"]: row["expected_answer"] for row in read_jsonl(problems, require=("id", "expected_answer"))}
    pairs: dict[Pair, Seen] = {}
    for number, row in enumerate(read_jsonl(answers, require=("id", "seed", "predicted_answer", "verdict")), start=1):
        if row["predicted_answer"] is None:
            continue
        if row["id"] not in expected:
            raise RecordError(f"{answers}, line {number}: {problems} has no problem {row['id']!r}")
        if row["verdict"] == "ungraded":
            raise RecordError(f"{answers}, line {number}: the answer was not graded")
        pair = (expected[row["id"]], row["predicted_answer"])
        first = {"id": row["id"], "seed": row["seed"]}
        pairs.setdefault(pair, Seen(row["verdict"], 0, first)).rows += 1
    return pairs


def pairs_of_file(path: Path) -> dict[Pair, Seen]:
    """The pairs of a table (``.tsv``, with a header, no quoting) or of JSON Lines: "expected" and "predicted".

    Raises:
        RecordError: a line has no such texts.
    """
    pairs: dict[Pair, Seen] = {}
    for number, row in _rows_of(path):
        pair = (row.get("expected"), row.get("predicted"))
        if not isinstance(pair[0], str) or not isinstance(pair[1], str):
            raise RecordError(f"{path}, line {number}: no texts 'expected' and 'predicted'")
        pairs.setdefault((pair[0], pair[1]), Seen(None, 0, {"line": number})).rows += 1
    return pairs


def _rows_of(path: Path) -> Iterator[tuple[int, Record]]:
    if path.suffix != ".tsv":
        yield from enumerate(read_jsonl(path), start=1)
        return
    with open(path, encoding="utf-8", newline="\n") as lines:
        header = lines.readline().rstrip("\n").split("\t")
        for number, line in enumerate(lines, start=2):
            yield number, dict(zip(header, line.rstrip("\n").split("\t"), strict=False))


def math_verify_verdicts(pairs: Sequence[Pair], workers: int, seconds: float) -> list[str]:
    """What Math-Verify makes of each pair; ``seconds`` is the time that a pair may take."""
    with WorkerPool[Pair, str](
        math_verify_verdict, workers, seconds, batch_size=1, losses=1, memory_mb=MEMORY_MB, prepare=load_math_verify
    ) as pool:
        return ["timeout" if isinstance(result, Lost) else result for result in pool.map(pairs)]


def load_math_verify() -> None:
    """Import Math-Verify, and have it not warn that its limits on time are off."""
    import math_verify  # noqa: F401

    logging.getLogger("math_verify").setLevel(logging.ERROR)


def math_verify_verdict(pair: Pair) -> str:
    """What Math-Verify makes of a pair (expected, predicted); it may take for ever."""
    from math_verify import LatexExtractionConfig, parse, verify

    read = functools.partial(parse, extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
    try:
        expected, predicted = (read(text if _DELIMITED.search(text) else f"${text}$") for text in pair)
        if verify(expected, predicted, timeout_seconds=None):
            return "correct"
        return "incorrect" if _holds_expression(expected) and _holds_expression(predicted) else "unparsed"
    except MemoryError:
        return "timeout"
    except Exception:
        return "error"


def _holds_expression(parsed: list[object]) -> bool:
    return any(not isinstance(item, str) for item in parsed)


@dataclass(frozen=True)
class Audited:
    """A pair, the kind of its expected answer, and both verdicts on it."""

    pair: Pair
    seen: Seen
    kind: str
    ours: str
    theirs: str

    @property
    def cell(self) -> tuple[str, str, str]:
        """Its place in the table."""
        return self.kind, self.ours, self.theirs


def count_table(audited: Iterable[Audited]) -> str:
    """The tab-separated table: distinct pairs and rows for each kind and each two verdicts, sorted by these."""
    pairs: Counter[tuple[str, str, str]] = Counter()
    rows: Counter[tuple[str, str, str]] = Counter()
    for one in audited:
        pairs[one.cell] += 1
        rows[one.cell] += one.seen.rows
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*cell, pairs[cell], rows[cell]) for cell in sorted(pairs))
    return text.getvalue()


def examples(audited: Iterable[Audited], most: int) -> list[Record]:
    """Of each cell of the table where the verdicts differ its first ``most`` pairs, in the order of the table."""
    cells: dict[tuple[str, str, str], list[Audited]] = {}
    for one in audited:
        if one.ours != one.theirs:
            cells.setdefault(one.cell, []).append(one)
    return [
        {
            "kind": one.kind,
            "ours": one.ours,
            "math_verify": one.theirs,
            "expected_answer": one.pair[0],
            "predicted_answer": one.pair[1],
            "rows": one.seen.rows,
            **one.seen.first,
        }
        for cell in sorted(cells)
        for one in cells[cell][:most]
    ]


def summary(audited: Sequence[Audited]) -> str:
    """One line: how often both say the same of "correct", and who accepts what the other does not."""
    both = Counter((one.ours == "correct", one.theirs == "correct") for one in audited)
    undecided = Counter(one.theirs for one in audited if one.theirs not in ("correct", "incorrect"))
    share = 100 * (both[True, True] + both[False, False]) / len(audited) if audited else 100.0
    return (
        f"{len(audited)} pairs of {sum(one.seen.rows for one in audited)} rows: agreement on {share:.2f} %; "
        f"correct for both {both[True, True]}, for us only {both[True, False]}, "
        f"for Math-Verify only {both[False, True]}, for neither {both[False, False]}; "
        f"Math-Verify: {', '.join(f'{undecided[name]} {name}' for name in ('unparsed', 'timeout', 'error'))}"
    )
