"""Turn the generated texts of one problem seed into problem records, without those that are no new problem.

Reads   the generations of problem seeds 0 to I, in this order (of the earlier seeds only hashes are kept), and the
        problems that they were made from
Writes  the new problems of seed I: {"id", "problem", "problem_source", "seed_id", "seed_problem", "problem_seed"}
        and a JSON file of counts: rows in and out, and the rejected ones by reason (openmath.problems has the rules).

Each seed is cleaned by itself, against the raw texts of the seeds before it: what an earlier seed accepted is decided
here again, so that the files of all seeds can be made at the same time and hold no problem twice.
"""

import argparse
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from openmath.problems import REASONS, ProblemFilter, new_problem, problem_key
from openmath.records import Record, RecordError, read_jsonl, write_json, write_jsonl
from openmath.tokenization import ModelTokenizer

logger = logging.getLogger(__name__)


def clean_problems(
    dataset: str, seed: int, raw: list[Path], problem_filter: ProblemFilter, output: Path
) -> dict[str, int]:
    """Write the accepted problems of the last file of ``raw`` and return the counts of that file.

    Raises:
        ValueError: ``raw`` does not hold the files of seeds 0 to ``seed``.
        RecordError: a file holds rows of another seed.
    """
    if len(raw) != seed + 1:
        raise ValueError(f"seed {seed} needs the {seed + 1} files of seeds 0 to {seed}, not {len(raw)}")
    for earlier, path in enumerate(raw[:-1]):
        for _ in problem_filter.clean(_rows(path, earlier), dict.fromkeys(REASONS, 0)):
            pass
    counts = dict.fromkeys(REASONS, 0)
    rows_out = write_jsonl(
        output, (new_problem(record, dataset) for record in problem_filter.clean(_rows(raw[-1], seed), counts))
    )
    return {"rows_in": rows_out + sum(counts.values()), **counts, "rows_out": rows_out}


def _rows(path: Path, seed: int) -> Iterator[Record]:
    for record in read_jsonl(path, require=("id", "problem", "generation", "finish_reason", "seed")):
        if record["seed"] != seed:
            raise RecordError(
                f"{path}: its rows are of seed {record['seed']}, but it stands in the place of seed {seed}"
            )
        yield record


def _length_limit(folder: Path | None, limit: int | None) -> Callable[[str], bool]:
    if folder is None or limit is None:
        return lambda text: True
    tokenizer = ModelTokenizer(folder)
    return lambda text: tokenizer.within([text], most=limit)[0] <= 0


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="name of the data set that the problems were made from")
    parser.add_argument("--seed", type=int, required=True, help="the problem seed to clean")
    parser.add_argument("--raw", type=Path, nargs="+", required=True, help="generations of seeds 0 to SEED, in order")
    parser.add_argument("--seed-problems", type=Path, required=True, help="the problems that they were made from")
    parser.add_argument("--tokenizer", type=Path, help="model folder whose tokenizer counts the length")
    parser.add_argument("--max-problem-tokens", type=int, help="longest problem that is kept; needs --tokenizer")
    parser.add_argument("--output", type=Path, required=True, help="the new problems")
    parser.add_argument("--counts", type=Path, required=True, help="how many rows fell out, by reason")
    args = parser.parse_args(argv)
    if (args.tokenizer is None) != (args.max_problem_tokens is None):
        parser.error("--tokenizer and --max-problem-tokens go together")
    return args


def main(argv: list[str] | None = None) -> None:
    """Clean one problem seed."""
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    problem_filter = ProblemFilter(
        seed_keys=frozenset(
            problem_key(record["problem"]) for record in read_jsonl(args.seed_problems, require=("problem",))
        ),
        within_limit=_length_limit(args.tokenizer, args.max_problem_tokens),
    )
    counts = clean_problems(args.dataset, args.seed, args.raw, problem_filter, args.output)
    write_json(args.counts, counts)
    logger.info("kept %d of %d: %s", counts["rows_out"], counts["rows_in"], counts)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
