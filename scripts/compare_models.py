"""Compare two models on the same problems of one benchmark.

Reads   the answers.jsonl of both (grade_answers.py)
Writes  a JSON document: "greedy", where both have greedy rows: the problems that both, one or neither solve, the exact
        McNemar test, and the difference with its interval; "pass@1", where both have samples: the difference of the
        means over samples (which may differ in number) with its interval. And the same as a table for people.

A difference is the first model's figure less the other's, in percent of the problems; its interval is a paired
bootstrap, 95 %, over problems. Verdicts are the symbolic ones.
"""

import argparse
import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from openmath.answer_rows import read_blocks, rows_by_problem
from openmath.comparisons import compare_shares, compare_solved, format_comparison
from openmath.metrics import is_right
from openmath.records import RecordError, atomic_output, derive_seed, write_json
from openmath.resampling import RESAMPLES

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Solved:
    """What a model did on one problem; ``greedy`` is None where there is no greedy row."""

    id: str
    greedy: bool | None
    samples: list[bool]


def read_solved(answers: Path) -> Iterator[Solved]:
    """Yield what a model did, problem by problem."""
    for rows in rows_by_problem(answers, read_blocks(answers)):
        greedy = [is_right(row, answers) for row in rows if row["seed"] is None]
        samples = [is_right(row, answers) for row in rows if row["seed"] is not None]
        yield Solved(rows[0]["id"], greedy[0] if greedy else None, samples)


def read_pairs(answers: Path, other_answers: Path) -> Iterator[tuple[Solved, Solved]]:
    """Yield what both models did, problem by problem.

    Raises:
        RecordError: the files are about different problems.
    """
    pairs = itertools.zip_longest(read_solved(answers), read_solved(other_answers))
    for number, (one, other) in enumerate(pairs, start=1):
        if one is None or other is None or one.id != other.id:
            names = ["nothing" if solved is None else repr(solved.id) for solved in (one, other)]
            raise RecordError(f"problem {number}: {answers} has {names[0]}, {other_answers} has {names[1]}")
        yield one, other


def compare(answers: Path, other_answers: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The comparisons that the files allow; ``names`` (models and benchmark) give the seeds of the bootstrap.

    Raises:
        RecordError: the files are about different problems, or allow no comparison.
    """
    greedy: list[tuple[bool, bool]] = []
    shares: list[tuple[float, float]] = []
    counts = (0, 0)
    for one, other in read_pairs(answers, other_answers):
        if one.greedy is not None and other.greedy is not None:
            greedy.append((one.greedy, other.greedy))
        if one.samples and other.samples:
            counts = (len(one.samples), len(other.samples))
            shares.append((fmean(one.samples), fmean(other.samples)))
    found: dict[str, dict[str, Any]] = {}
    if greedy:
        found["greedy"] = {"num_entries": len(greedy), **compare_solved(greedy, derive_seed("greedy", *names))}
    if shares:
        about = {"num_entries": len(shares), "model_samples": counts[0], "other_samples": counts[1]}
        found["pass@1"] = {**about, **compare_shares(shares, derive_seed("pass@1", *names))}
    if not found:
        raise RecordError(f"{answers} and {other_answers} do not both have greedy rows, or both samples, to compare")
    return found


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--other", required=True, help="the model that it is compared with")
    parser.add_argument("--answers", type=Path, required=True, help="answers.jsonl of the model")
    parser.add_argument("--other-answers", type=Path, required=True, help="answers.jsonl of the other one")
    parser.add_argument("--comparison", type=Path, required=True, help="to write: the comparison")
    parser.add_argument("--table", type=Path, required=True, help="to write: the table for people")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logger.info("arguments: %s", json.dumps(vars(args), default=str))
    about = {"model": args.model, "other": args.other, "benchmark": args.benchmark}
    comparisons = compare(args.answers, args.other_answers, list(about.values()))
    table = f"{args.model} less {args.other} on {args.benchmark}\n{format_comparison(comparisons)}\n"
    with atomic_output(args.table) as stream:
        stream.write(table.encode())
    interval = f"95 % paired percentile bootstrap over problems, {RESAMPLES} resamples"
    write_json(args.comparison, {**about, "interval": interval, **comparisons})
    logger.info("%s", table)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
