"""Compute the metrics of one model on one benchmark.

Reads   answers.jsonl of the folder (grade_answers.py): greedy rows, sampled rows, or both; with samples
        majority.jsonl (vote_answers.py --reference); and what a judge said of the greedy answers and of the majority
        winners (judge_answers.py), where one was asked
Writes  metrics.json: {BENCHMARK: {MODE: {METRIC: number}}, "facts": {...}}, percentages unrounded, null where no
        judge was asked; and the same as a table for people.

Modes: "greedy", "majority@N" and "pass@N" (any of the N samples is right; not judged). The share of problems solved by
k of the samples, for every k, stands under "facts". "_low" and "_high" are the 95 % Wilson interval of a figure.
"""

import argparse
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openmath.answer_rows import Block, read_block, read_blocks, rows_by_problem, sampled_blocks
from openmath.metrics import Metrics, Outcome, format_table, mean_pass_at_k, mode_metrics
from openmath.records import Record, RecordError, atomic_output, read_jsonl, write_json

logger = logging.getLogger(__name__)

FACTS = "facts"


def outcomes_of(rows: Iterator[Record], source: Path, judged: Path | None) -> Iterator[Outcome]:
    """Yield the outcome of each row (with a "verdict"), joined with its judgement where there is a judged file.

    Raises:
        RecordError: the judged file is about other rows; the line is named.
    """
    judgements = None if judged is None else read_jsonl(judged, require=("id", "predicted_answer", "judge_verdict"))
    number = 0
    for number, row in enumerate(rows, start=1):
        if row["verdict"] == "ungraded":
            raise RecordError(f"{source}: {row['id']!r} has no expected answer, so there is nothing to measure")
        judge = None
        if judgements is not None:
            judgement = next(judgements, None)
            if judgement is None or any(judgement[key] != row[key] for key in ("id", "predicted_answer")):
                raise RecordError(
                    f"{judged}, line {number}: not about {row['id']!r} and its answer, as {source} has it"
                )
            judge = judgement["judge_verdict"] == "yes"
        yield Outcome(row["verdict"] == "correct", row["predicted_answer"] is None, judge)
    if judgements is not None and next(judgements, None) is not None:
        raise RecordError(f"{judged}, line {number + 1}: {source} has no such row")


def sample_metrics(answers: Path, blocks: list[Block]) -> tuple[Metrics, dict[str, Any]]:
    """The metrics of "pass@N", and the facts about all samples: pass@k for every k, shares of no answer."""
    outcomes, correct, verdicts = [], [], {"no_answer": 0, "truncated": 0}
    for rows in rows_by_problem(answers, blocks):
        right = sum(row["verdict"] == "correct" for row in rows)
        correct.append(right)
        for name in verdicts:
            verdicts[name] += sum(row["verdict"] == name for row in rows)
        outcomes.append(Outcome(right > 0, all(row["predicted_answer"] is None for row in rows)))
    samples = len(correct) * len(blocks)
    facts = {
        "pass_at_k": mean_pass_at_k(len(blocks), correct),
        **{f"samples_{name}": 100 * count / samples for name, count in verdicts.items()},
    }
    return mode_metrics(outcomes), facts


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--answers", type=Path, required=True, help="answers.jsonl of the folder")
    parser.add_argument("--num-samples", type=int, required=True, metavar="N", help="sampled files; 0: only greedy")
    parser.add_argument("--majority", type=Path, help="majority.jsonl of the samples")
    parser.add_argument("--judged", type=Path, help="judged.jsonl of the greedy answers")
    parser.add_argument("--judged-majority", type=Path, help="judged rows of the majority winners")
    parser.add_argument("--metrics", type=Path, required=True, help="to write: metrics.json")
    parser.add_argument("--table", type=Path, required=True, help="to write: the table for people")
    args = parser.parse_args(argv)
    if args.benchmark == FACTS:
        parser.error(f"a benchmark cannot be called '{FACTS}', which is a key of metrics.json")
    if (args.majority is None) != (args.num_samples == 0):
        parser.error("--majority belongs to --num-samples above 0")
    if args.judged_majority is not None and args.majority is None:
        parser.error("--judged-majority needs --majority")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logger.info("arguments: %s", json.dumps(vars(args), default=str))
    modes: dict[str, Metrics] = {}
    facts: dict[str, Any] = {
        "model": args.model,
        "benchmark": args.benchmark,
        "num_samples": args.num_samples,
        "interval": "95 % Wilson score interval over problems",
    }
    greedy = [block for block in read_blocks(args.answers) if block.seed is None]
    if greedy:
        modes["greedy"] = mode_metrics(outcomes_of(read_block(args.answers, greedy[0]), args.answers, args.judged))
    elif args.judged is not None or args.num_samples == 0:
        raise RecordError(f"{args.answers} has no greedy rows (seed null)")
    if args.num_samples:
        winners = read_jsonl(args.majority, require=("id", "predicted_answer", "verdict"))
        modes[f"majority@{args.num_samples}"] = mode_metrics(outcomes_of(winners, args.majority, args.judged_majority))
        blocks = sampled_blocks(args.answers, args.num_samples)
        modes[f"pass@{args.num_samples}"], about_samples = sample_metrics(args.answers, blocks)
        facts.update(about_samples)
    table = format_table(args.benchmark, modes)
    with atomic_output(args.table) as stream:
        stream.write(f"{table}\n".encode())
    write_json(args.metrics, {args.benchmark: modes, FACTS: facts})
    logger.info("%s on %s\n%s", args.model, args.benchmark, table)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
