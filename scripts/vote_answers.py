"""Keep one answer per problem by majority vote over the sampled solutions.

Reads   answers.jsonl of a folder: the answers of its samples (its greedy rows are passed over);
        with --reference the problems themselves.
Writes  without --reference: {"id", "expected_answer", "majority_votes", "total_votes"} for each problem with a winner
        that reaches --min-votes and --min-share (in generated problems the vote is the expected answer);
        with --reference: {"id", "problem", "expected_answer", "predicted_answer", "majority_votes", "total_votes",
        "verdict"} for every problem (in evaluation the vote is a prediction, held against the expected answer);
        and a JSON file of counts by reason.

Votes are counted over classes of equal answers, or with --vote-by text over equal texts, as the paper's are; ties go to
the lowest seed (openmath/voting.py). Answers are equal, and a winner is right, under the same conventions.
"""

import argparse
import functools
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from openmath.answer_rows import answers_by_problem, sampled_blocks
from openmath.answers import Conventions, grade
from openmath.convention_options import add_convention_argument, conventions_from
from openmath.records import Record, RecordError, read_jsonl, write_json, write_jsonl
from openmath.voting import VOTE_BY, Winner, majority

logger = logging.getLogger(__name__)

Vote = tuple[str, int, Winner | None]
Poll = Callable[[Sequence[str | None]], Winner | None]


def count_votes(
    answers: Path, num_seeds: int, poll: Poll, min_votes: int, min_share: Fraction, counts: Counter[str]
) -> Iterator[Vote]:
    """Yield (id, number of samples, winner) of each problem; losers to a threshold have no winner and are counted."""
    for identifier, samples in answers_by_problem(answers, sampled_blocks(answers, num_seeds)):
        counts["rows_in"] += 1
        winner = poll(samples)
        if winner is None:
            counts["no_answer"] += 1
        elif winner.votes < min_votes:
            counts["below_min_votes"] += 1
            winner = None
        elif not winner.passes(min_votes, min_share):
            counts["below_min_share"] += 1
            winner = None
        yield identifier, len(samples), winner


def as_expected_answers(votes: Iterable[Vote]) -> Iterator[Record]:
    """The rows for generated problems: winners only."""
    for identifier, _, winner in votes:
        if winner is not None:
            yield {
                "id": identifier,
                "expected_answer": winner.answer,
                "majority_votes": winner.votes,
                "total_votes": winner.total,
            }


def as_predictions(votes: Iterable[Vote], reference: Path, options: Conventions) -> Iterator[Record]:
    """The rows for evaluation: every problem of ``reference``, with the verdict on its winner.

    Raises:
        RecordError: the reference does not hold the ids of the answers in their order.
    """
    problems = read_jsonl(reference, require=("id", "problem", "expected_answer"))
    number = 0
    for number, (identifier, samples, winner) in enumerate(votes, start=1):
        problem = next(problems, None)
        if problem is None or problem["id"] != identifier:
            found = "nothing" if problem is None else repr(problem["id"])
            raise RecordError(f"{reference}, line {number}: {found}, where the answers have id {identifier!r}")
        verdict = "no_answer"
        if winner is not None:
            verdict = grade(problem["expected_answer"], winner.answer, options).verdict
        yield {
            "id": identifier,
            "problem": problem["problem"],
            "expected_answer": problem["expected_answer"],
            "predicted_answer": None if winner is None else winner.answer,
            "majority_votes": 0 if winner is None else winner.votes,
            "total_votes": samples,
            "verdict": verdict,
        }
    if next(problems, None) is not None:
        raise RecordError(f"{reference}, line {number + 1}: the answers end before this problem")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path, required=True, help="answers.jsonl of a folder")
    parser.add_argument("--num-seeds", type=int, required=True, metavar="N", help="it holds the seeds 0 to N-1")
    parser.add_argument(
        "--vote-by",
        choices=VOTE_BY,
        default="classes",
        help="what counts together: equal answers, or equal texts (classes)",
    )
    add_convention_argument(parser)
    parser.add_argument("--min-votes", type=int, default=1, help="least number of votes of a winner (1)")
    parser.add_argument(
        "--min-share", type=Fraction, default=Fraction(0), help="least share of its votes among all samples (0)"
    )
    parser.add_argument("--reference", type=Path, metavar="PROBLEMS", help="problems with their expected answers")
    parser.add_argument("--majority", type=Path, required=True, help="to write: the winners")
    parser.add_argument("--counts", type=Path, required=True, help="to write: the counts")
    args = parser.parse_args(argv)
    if args.num_seeds < 1:
        parser.error("--num-seeds must be at least 1")
    if args.min_votes < 1:
        parser.error("--min-votes must be at least 1")
    if not 0 <= args.min_share <= 1:
        parser.error("--min-share must lie between 0 and 1")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logger.info("arguments: %s", json.dumps(vars(args), default=str))
    counts = Counter({"no_answer": 0, "below_min_votes": 0, "below_min_share": 0, "rows_in": 0})
    options = conventions_from(args.convention)
    poll = functools.partial(majority, vote_by=args.vote_by, options=options)
    votes = count_votes(args.answers, args.num_seeds, poll, args.min_votes, args.min_share, counts)
    rows = as_expected_answers(votes) if args.reference is None else as_predictions(votes, args.reference, options)
    written = write_jsonl(args.majority, rows)
    write_json(args.counts, {**counts, "rows_out": written})
    logger.info("%d problems: %s", counts["rows_in"], ", ".join(f"{n} {name}" for name, n in counts.items()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
