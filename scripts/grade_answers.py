"""Find the answer in every generation of a folder and hold it against the expected one.

Reads   output.jsonl (with --greedy) and output-rs0.jsonl ... output-rs{N-1}.jsonl of the folder: the generations
Writes  {"id", "seed", "predicted_answer", "verdict"}, one per generation, file after file (openmath/answer_rows.py),
        and a JSON file with the number of each verdict, of the rows that each tier of the comparison decided, and
        examples of what was not compared.

Verdicts: "correct", "incorrect"; "no_answer": there is none in the text; "truncated": there is none because the text
was cut off; "unparsed": an answer that cannot be read and is not the expected text; "timeout": the
comparison took too long; "ungraded": there is an answer and nothing to hold it against.
"""

import argparse
import json
import logging
from pathlib import Path

from openmath.answers import grade
from openmath.answers.extraction import METHODS, extractor
from openmath.convention_options import add_convention_argument, conventions_from
from openmath.grading import PAIR_SECONDS, PairGrader, Tally, grade_rows, read_answers
from openmath.records import write_json, write_jsonl

logger = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="the folder of the generations")
    parser.add_argument("--greedy", action="store_true", help="the folder has an output.jsonl")
    parser.add_argument("--num-seeds", type=int, default=0, metavar="N", help="it has output-rs0.jsonl to rs{N-1}")
    parser.add_argument("--extraction", choices=METHODS, default="boxed", help="where answers stand (boxed)")
    parser.add_argument("--regex", metavar="R", help="with --extraction regex: the pattern, its group is the answer")
    add_convention_argument(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes to compare in (1: this one)")
    parser.add_argument(
        "--pair-seconds",
        type=float,
        default=PAIR_SECONDS,
        metavar="S",
        help=f"with several workers: one that is busy for longer is killed ({PAIR_SECONDS:g})",
    )
    parser.add_argument("--answers", type=Path, required=True, help="to write: the answers")
    parser.add_argument("--counts", type=Path, required=True, help="to write: the counts")
    args = parser.parse_args(argv)
    if not args.greedy and args.num_seeds < 1:
        parser.error("nothing to grade: give --greedy, --num-seeds or both")
    if args.workers < 0:
        parser.error("--workers must not be negative")
    if args.pair_seconds <= 0:
        parser.error("--pair-seconds must be above 0")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logger.info("arguments: %s", json.dumps(vars(args), default=str))
    try:
        extract = extractor(args.extraction, args.regex)
    except ValueError as error:
        raise SystemExit(f"grade_answers: {error}") from None
    seeds = [*([None] if args.greedy else []), *range(args.num_seeds)]
    tally = Tally()
    with PairGrader(conventions_from(args.convention), args.workers, args.pair_seconds, grade) as grader:
        write_jsonl(args.answers, grade_rows(read_answers(args.folder, seeds, extract), grader, tally))
    counts = tally.counts()
    write_json(args.counts, counts)
    numbers = ", ".join(f"{n} {name}" for name, n in counts.items() if isinstance(n, int))
    logger.info("%s; %d pairs compared", numbers, grader.compared)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
