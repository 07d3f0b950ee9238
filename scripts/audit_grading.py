"""Hold our verdicts on answers against those of Math-Verify, so that people can judge the grader.

Reads   answers.jsonl of a folder (grade_answers.py), which has our verdicts, and the problems with their expected
        answers; or, with --pairs, pairs "expected", "predicted" (.tsv with a header, or JSON Lines), graded here
Writes  a tab-separated table: distinct pairs and rows by kind of the expected answer, our verdict, and that of
        Math-Verify; and pairs on which the two differ, as JSON Lines, the first few of each line of the table

Math-Verify is optional: pip install -e ".[audit]". How it is asked stands in openmath/auditing.py.
"""

import argparse
import importlib.metadata
import json
import logging
from pathlib import Path

from openmath.answers import Conventions, kind_of
from openmath.auditing import (
    Audited,
    count_table,
    examples,
    math_verify_verdicts,
    pairs_of_answers,
    pairs_of_file,
    summary,
)
from openmath.convention_options import add_convention_argument, conventions_from
from openmath.grading import PairGrader
from openmath.records import atomic_output, write_jsonl

logger = logging.getLogger(__name__)


def audit(args: argparse.Namespace, conventions: Conventions) -> list[Audited]:
    """Every pair with both verdicts, in the order of the input."""
    pairs = pairs_of_file(args.pairs) if args.pairs else pairs_of_answers(args.answers, args.problems)
    new = [pair for pair, seen in pairs.items() if seen.verdict is None]
    with PairGrader(conventions, args.workers) as grader:
        ours = {pair: grade.verdict for pair, grade in zip(new, grader.grade(new), strict=True)}
    theirs = math_verify_verdicts(list(pairs), max(1, args.workers), args.pair_seconds)
    return [
        Audited(pair, seen, kind_of(pair[0]), seen.verdict or ours[pair], verdict)
        for (pair, seen), verdict in zip(pairs.items(), theirs, strict=True)
    ]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path, help="answers.jsonl of a folder")
    parser.add_argument("--problems", type=Path, help="with --answers: the problems with their expected answers")
    parser.add_argument("--pairs", type=Path, help="instead: pairs of answers")
    add_convention_argument(parser, "with --pairs: ")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes to grade in (1)")
    parser.add_argument(
        "--pair-seconds", type=float, default=10.0, metavar="S", help="time that Math-Verify has for a pair (10)"
    )
    parser.add_argument("--max-examples", type=int, default=10, metavar="N", help="for each line of the table (10)")
    parser.add_argument("--table", type=Path, required=True, help="to write: the counts")
    parser.add_argument("--examples", type=Path, required=True, help="to write: pairs with different verdicts")
    args = parser.parse_args(argv)
    if (args.answers is None) != (args.problems is None) or (args.answers is None) == (args.pairs is None):
        parser.error("give either --answers and --problems, or --pairs")
    if args.convention and args.answers:
        parser.error("--convention belongs to --pairs; --answers holds verdicts already")
    if args.workers < 0:
        parser.error("--workers must not be negative")
    if args.pair_seconds <= 0:
        parser.error("--pair-seconds must be above 0")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logger.info("arguments: %s", json.dumps(vars(args), default=str))
    try:
        logger.info("Math-Verify %s", importlib.metadata.version("math-verify"))
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit('audit_grading: Math-Verify is not installed: pip install -e ".[audit]"') from None
    audited = audit(args, conventions_from(args.convention))
    with atomic_output(args.table) as stream:
        stream.write(count_table(audited).encode())
    write_jsonl(args.examples, examples(audited, args.max_examples))
    logger.info("%s", summary(audited))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
