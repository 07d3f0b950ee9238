"""Compute the metrics of one model on one benchmark.

Reads   answers.jsonl of the folder (grade_answers.py): greedy rows, sampled rows, or both; with samples
        majority.jsonl (vote_answers.py --reference); what a judge said of the greedy answers and of the majority
        winners (judge_answers.py), where one was asked; and the problems, for the metrics by level, subject and source
Writes  metrics.json: {BENCHMARK: {MODE: {METRIC: number}}, "facts": {...}}, percentages unrounded, null where no
        judge was asked; the same as a table for people; and the curves of pass@k and maj@k against k

Modes: "greedy", "majority@N" (the vote of all N samples), "pass@N" (any of them is right; not judged) and "pass@1[N]"
(their mean; not judged). For every k, the share of problems that k of the samples solve and the share that their
majority solves stand in the curves and under "facts". "_low" and "_high" are 95 % intervals over problems: Wilson's for
the first three modes, a bootstrap for the fourth and the curves.
"""

import argparse
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openmath.answer_rows import Block, read_block, read_blocks, rows_by_problem, sampled_blocks
from openmath.answers import Conventions
from openmath.convention_options import add_convention_argument, conventions_from
from openmath.curves import Curves, curves_of, write_curves
from openmath.majority_curves import EXACT_SAMPLES, ClassVotes, class_votes, majority_at_k
from openmath.metrics import Metrics, Outcome, format_table, is_right, mean_metrics, mode_metrics
from openmath.records import Record, RecordError, atomic_output, derive_seed, read_jsonl, write_json
from openmath.resampling import RESAMPLES
from openmath.voting import VOTE_BY

logger = logging.getLogger(__name__)

FACTS = "facts"
SAMPLE_VERDICTS = ("no_answer", "truncated", "unparsed", "timeout")
BREAKDOWN_FIELDS = ("level", "subject", "difficulty", "domain", "source", "problem_source")

INTERVALS = "95 % Wilson score interval over problems"
INTERVALS_OF_SAMPLES = (
    f"{INTERVALS}; of pass@1[N], pass_at_k and majority_at_k 95 % percentile bootstrap over problems, "
    f"{RESAMPLES} resamples"
)

Measure = Callable[[Sequence[int]], Metrics]
"""The metrics of a mode on some of the problems, which are given by their positions."""


@dataclass(frozen=True)
class Samples:
    """The sampled answers, problem by problem; ``right`` and ``unanswered`` are (problems, samples)."""

    ids: list[str]
    right: npt.NDArray[np.bool_]
    unanswered: npt.NDArray[np.bool_]
    votes: list[ClassVotes]
    verdicts: Counter[str]


def read_samples(answers: Path, blocks: Sequence[Block], vote_by: str, options: Conventions) -> Samples:
    """The ids of all blocks, which must agree, and what the sampled ones hold."""
    ids, right, unanswered, votes, verdicts = [], [], [], [], Counter[str]()
    for rows in rows_by_problem(answers, blocks):
        ids.append(rows[0]["id"])
        sampled = [row for row in rows if row["seed"] is not None]
        right.append([is_right(row, answers) for row in sampled])
        unanswered.append([row["predicted_answer"] is None for row in sampled])
        votes.append(class_votes(sampled, vote_by, options))
        verdicts.update(row["verdict"] for row in sampled)
    return Samples(ids, np.array(right, dtype=np.bool_), np.array(unanswered, dtype=np.bool_), votes, verdicts)


def outcomes_of(rows: Iterable[Record], source: Path, judged: Path | None) -> Iterator[Outcome]:
    """Yield the outcome of each row (with a "verdict"), joined with its judgement where there is a judged file.

    Raises:
        RecordError: the judged file is about other rows; the line is named.
    """
    judgements = None if judged is None else read_jsonl(judged, require=("id", "predicted_answer", "judge_verdict"))
    number = 0
    for number, row in enumerate(rows, start=1):
        judge = None
        if judgements is not None:
            judgement = next(judgements, None)
            if judgement is None or any(judgement[key] != row[key] for key in ("id", "predicted_answer")):
                raise RecordError(
                    f"{judged}, line {number}: not about {row['id']!r} and its answer, as {source} has it"
                )
            judge = judgement["judge_verdict"] == "yes"
        yield Outcome(is_right(row, source), row["predicted_answer"] is None, judge)
    if judgements is not None and next(judgements, None) is not None:
        raise RecordError(f"{judged}, line {number + 1}: {source} has no such row")


def rows_about(ids: Sequence[str], path: Path, require: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the rows of a file that must hold these problems in this order.

    Raises:
        RecordError: it does not; the line is named.
    """
    rows = read_jsonl(path, require=("id", *require))
    for number, identifier in enumerate(ids, start=1):
        row = next(rows, None)
        if row is None or row["id"] != identifier:
            found = "nothing" if row is None else repr(row["id"])
            raise RecordError(f"{path}, line {number}: {found}, where the answers have id {identifier!r}")
        yield row
    if next(rows, None) is not None:
        raise RecordError(f"{path}, line {len(ids) + 1}: the answers end before this problem")


def measure_outcomes(outcomes: Iterable[Outcome]) -> Measure:
    """The measure of a mode in which each problem is solved or not."""
    known = list(outcomes)
    return lambda positions: mode_metrics(known[position] for position in positions)


def measure_samples(samples: Samples, seed: int) -> dict[str, Measure]:
    """The measures of "pass@N" and "pass@1[N]"."""
    right, unanswered = samples.right, samples.unanswered
    count = right.shape[1]
    outcomes = [Outcome(bool(one.any()), bool(none.all())) for one, none in zip(right, unanswered, strict=True)]
    return {
        f"pass@{count}": measure_outcomes(outcomes),
        f"pass@1[{count}]": lambda positions: mean_metrics(right[positions], unanswered[positions], seed),
    }


def measure_curves(samples: Samples, model: str, benchmark: str) -> Curves:
    """pass@k and maj@k for k = 1 ... N, in percent."""
    seeds = [derive_seed("majority_at_k", model, benchmark, identifier) for identifier in samples.ids]
    majority, errors = majority_at_k(samples.votes, seeds)
    return curves_of(samples.right.sum(axis=1), majority, errors, derive_seed("curves", model, benchmark))


def facts_of(samples: Samples, curves: Curves) -> dict[str, Any]:
    """What is said of the samples as a whole."""
    return {
        "pass_at_k": curves["pass_at_k"],
        "majority_at_k": curves["majority_at_k"],
        "majority_at_k_is_exact": samples.right.shape[1] <= EXACT_SAMPLES,
        **{f"samples_{name}": 100 * samples.verdicts[name] / samples.right.size for name in SAMPLE_VERDICTS},
    }


def break_down(problems: Iterable[Record], measures: dict[str, Measure]) -> dict[str, dict[str, dict[str, Metrics]]]:
    """The metrics of each mode by field and value of the problems; those that are null are left out.

    A field may hold a text, a number, or a list of them, of which each counts. A problem without the field counts
    under none of its values.
    """
    found: dict[str, dict[str | float, list[int]]] = {field: {} for field in BREAKDOWN_FIELDS}
    for position, problem in enumerate(problems):
        for field, groups in found.items():
            held = problem.get(field)
            for value in dict.fromkeys(held if isinstance(held, list) else [held]):
                if value is not None:
                    groups.setdefault(value, []).append(position)
    return {
        field: {
            str(value): {
                mode: {name: figure for name, figure in measure(groups[value]).items() if figure is not None}
                for mode, measure in measures.items()
            }
            for value in sorted(groups, key=lambda value: (isinstance(value, str), value))
        }
        for field, groups in found.items()
        if groups
    }


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--answers", type=Path, required=True, help="answers.jsonl of the folder")
    parser.add_argument("--num-samples", type=int, required=True, metavar="N", help="sampled files; 0: only greedy")
    parser.add_argument("--majority", type=Path, help="majority.jsonl of the samples")
    parser.add_argument("--vote-by", choices=VOTE_BY, default=VOTE_BY[0], help="what votes together in maj@k (classes)")
    add_convention_argument(parser, "of the votes in maj@k: ")
    parser.add_argument("--judged", type=Path, help="judged.jsonl of the greedy answers")
    parser.add_argument("--judged-majority", type=Path, help="judged rows of the majority winners")
    parser.add_argument("--problems", type=Path, help="the benchmark, for metrics by the fields of its problems")
    parser.add_argument("--metrics", type=Path, required=True, help="to write: metrics.json")
    parser.add_argument("--table", type=Path, required=True, help="to write: the table for people")
    parser.add_argument("--curves", type=Path, help="to write: pass@k and maj@k against k, tab separated")
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
    measures: dict[str, Measure] = {}
    facts: dict[str, Any] = {"model": args.model, "benchmark": args.benchmark, "num_samples": args.num_samples}
    greedy = [block for block in read_blocks(args.answers) if block.seed is None]
    if not greedy and (args.judged is not None or args.num_samples == 0):
        raise RecordError(f"{args.answers} has no greedy rows (seed null)")
    sampled = sampled_blocks(args.answers, args.num_samples) if args.num_samples else []
    conventions = conventions_from(args.convention)
    samples = read_samples(args.answers, [*greedy, *sampled], args.vote_by, conventions)
    if not samples.ids:
        raise RecordError(f"{args.answers} has no rows, so there is nothing to measure")
    if greedy:
        rows = read_block(args.answers, greedy[0])
        measures["greedy"] = measure_outcomes(outcomes_of(rows, args.answers, args.judged))
    curves = None
    if args.num_samples:
        winners = rows_about(samples.ids, args.majority, require=("predicted_answer", "verdict"))
        outcomes = outcomes_of(winners, args.majority, args.judged_majority)
        measures[f"majority@{args.num_samples}"] = measure_outcomes(outcomes)
        measures.update(measure_samples(samples, derive_seed("pass@1", args.model, args.benchmark)))
        curves = measure_curves(samples, args.model, args.benchmark)
        facts["interval"] = INTERVALS_OF_SAMPLES
        facts.update(facts_of(samples, curves))
    else:
        facts["interval"] = INTERVALS
    modes = {mode: measure(list(range(len(samples.ids)))) for mode, measure in measures.items()}
    if args.problems is not None:
        facts["breakdown"] = break_down(rows_about(samples.ids, args.problems), measures)
    table = format_table(args.benchmark, modes)
    with atomic_output(args.table) as stream:
        stream.write(f"{table}\n".encode())
    if args.curves is not None:
        write_curves(args.curves, curves)
    write_json(args.metrics, {args.benchmark: modes, FACTS: facts})
    logger.info("%s on %s\n%s", args.model, args.benchmark, table)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
