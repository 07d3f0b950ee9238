"""Make the training rows from graded generations.

Reads   folders of generations (output-rs*.jsonl as named by the seeds in answers.jsonl, answers.jsonl, and
        majority.jsonl where the problems have no known answer), and the list of contaminated problems
Writes  {"input", "output", "expected_answer", "problem_source", "generation": {"file", "seed", "id"}}, shuffled, and a
        JSON file of counts: by reason, and as a funnel in the order of the filters (openmath.sft states them).

Generations are read once, as a stream. What passes goes to a temporary file beside the output; in memory stay the
problems of one folder and about 60 bytes for each row that passed.
"""

import argparse
import logging
import tempfile
import time
from array import array
from pathlib import Path

import numpy as np

from openmath.convention_options import add_convention_argument, conventions_from
from openmath.problems import problem_key
from openmath.prompts import Prompt
from openmath.records import encode_record, read_jsonl, write_json
from openmath.sft import Filters, FolderReader, order_rows, tally, write_in_order
from openmath.tokenization import load_tokenizer, within_tokens

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_REPORTS = 30


def prepare(
    folders: list[Path], reader: FolderReader, seed: int, downsample: str, num_samples: int | None, output: Path
) -> dict[str, object]:
    """Write the training rows of ``folders`` and return the counts."""
    output.parent.mkdir(parents=True, exist_ok=True)
    row_keys, problem_keys = array("Q"), array("Q")
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", suffix=".part", dir=output.parent) as name:
        work = Path(name)
        reported = time.monotonic()
        with open(work / "spool", "wb") as spool:
            for number, folder in enumerate(folders, start=1):
                for candidate in reader.read(folder):
                    spool.write(encode_record(candidate.row))
                    row_keys.append(candidate.row_key)
                    problem_keys.append(candidate.problem_key)
                    if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                        reported = time.monotonic()
                        logger.info(
                            "folder %d of %d: %d rows in, %d passed",
                            number,
                            len(folders),
                            reader.rows_in,
                            len(row_keys),
                        )
        order = order_rows(
            np.frombuffer(row_keys, dtype=np.uint64),
            np.frombuffer(problem_keys, dtype=np.uint64),
            seed,
            downsample,
            num_samples,
        )
        write_in_order(work / "spool", order.places, work, output)
    return tally(reader.rows_in, reader.dropped, order, num_samples)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folders", type=Path, nargs="+", required=True, help="folders of graded generations, in order"
    )
    parser.add_argument("--contamination", type=Path, help="verdicts on generated problems; without: none is left out")
    add_convention_argument(parser, "where an answer is held against a majority's: ")
    parser.add_argument("--prompt", type=Path, required=True, help="prompt file that the input is made with")
    parser.add_argument("--template", type=Path, required=True, help="template file of the model to be trained")
    parser.add_argument("--tokenizer", type=Path, required=True, help="model folder whose tokenizer counts lengths")
    parser.add_argument("--min-solution-chars", type=int, required=True, help="shortest solution, in characters")
    parser.add_argument("--max-solution-tokens", type=int, required=True, help="longest solution, in tokens")
    parser.add_argument("--max-problem-tokens", type=int, required=True, help="longest problem, in tokens")
    parser.add_argument(
        "--drop-multi-boxed", action="store_true", help="leave out solutions with several boxed answers"
    )
    parser.add_argument("--trim-prefix", action="store_true", help="take a heading line 'My solution:' away")
    parser.add_argument("--trim-solutions", action="store_true", help="cut after the line of the last boxed answer")
    parser.add_argument("--shuffle-seed", type=int, required=True, help="seed of the order and of the sample")
    parser.add_argument(
        "--downsample", choices=["none", "random", "fair"], required=True, help="how to take fewer rows"
    )
    parser.add_argument("--num-samples", type=int, help="how many rows to take; with --downsample random or fair")
    parser.add_argument("--output", type=Path, required=True, help="the training rows")
    parser.add_argument("--counts", type=Path, required=True, help="how many rows fell out, by reason")
    args = parser.parse_args(argv)
    if (args.downsample == "none") != (args.num_samples is None):
        parser.error("--num-samples goes with --downsample random or fair")
    return args


def main(argv: list[str] | None = None) -> None:
    """Prepare the training data."""
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    tokenizer = load_tokenizer(args.tokenizer)
    checked = [] if args.contamination is None else read_jsonl(args.contamination, require=("problem", "contaminated"))
    filters = Filters(
        drop_multi_boxed=args.drop_multi_boxed,
        trim_prefix=args.trim_prefix,
        trim_solutions=args.trim_solutions,
        min_solution_chars=args.min_solution_chars,
        max_solution_tokens=args.max_solution_tokens,
        max_problem_tokens=args.max_problem_tokens,
        contaminated=frozenset(problem_key(row["problem"]) for row in checked if row["contaminated"]),
    )
    reader = FolderReader(
        filters,
        Prompt.load(args.prompt, template=args.template),
        lambda texts, limit: within_tokens(tokenizer, texts, limit),
        base=args.output.parent,
        conventions=conventions_from(args.convention),
    )
    counts = prepare(args.folders, reader, args.shuffle_seed, args.downsample, args.num_samples, args.output)
    write_json(args.counts, counts)
    logger.info("kept %s of %s rows", counts["rows_out"], counts["rows_in"])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
