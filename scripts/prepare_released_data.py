"""Make the training rows from a ready-made data set, such as the released OpenMathInstruct-2.

Reads   a split of a data set of the hub, downloaded first where the hub's cache lacks it (cache, token, endpoint and
        offline settings of the hub are honoured), or parquet or JSON Lines files of this machine
Writes  {"input", "output", "expected_answer", "problem_source"}, shuffled, and a JSON file of counts: by reason, as a
        funnel in the order of the filters (openmath.released_data states them), and the source with its files' sha256.

The files are read once, as a stream. What passes goes to a temporary file beside the output; in memory stay about 100
bytes for each row (150 with a fair sample), and 100,000 rows at a time when they are put in order.
"""

import argparse
import logging
import re
import tempfile
import time
from array import array
from pathlib import Path

import numpy as np

from openmath.prompts import Prompt
from openmath.records import RecordError, encode_record, write_json
from openmath.released_data import (
    FILTERS,
    Columns,
    ReleasedDataError,
    ReleasedReader,
    Source,
    hub_source,
    order_variants,
    path_source,
)
from openmath.sft import Order, tally, write_in_order

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_REPORTS = 30


def prepare(
    source: Source,
    reader: ReleasedReader,
    expected_rows: int | None,
    seed: int,
    downsample: str,
    num_samples: int | None,
    output: Path,
) -> dict[str, object]:
    """Write the training rows of ``source`` and return the counts.

    Raises:
        ReleasedDataError: a file cannot be used, or there are more or fewer rows than ``expected_rows``.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", suffix=".part", dir=output.parent) as name:
        work = Path(name)
        keys = write_spool(source, reader, work)
        if expected_rows is not None and reader.rows_in != expected_rows:
            raise ReleasedDataError(f"{source.name}: {reader.rows_in} rows, but {expected_rows} were expected")
        order = order_keys(keys, seed, downsample, num_samples)
        del keys
        write_in_order(work / "spool", order.places, work, output)
    return tally(reader.rows_in, reader.dropped, order, num_samples, FILTERS)


def write_spool(source: Source, reader: ReleasedReader, work: Path) -> list["array[int]"]:
    """Write the rows that pass to ``work / "spool"``; return their keys: of row, problem and variant."""
    row_keys, problem_keys, variant_keys = array("Q"), array("Q"), array("Q")
    started = reported = time.monotonic()
    with open(work / "spool", "wb") as spool:
        for candidate in reader.read(source.files, cache=work / "cache"):
            spool.write(encode_record(candidate.row))
            row_keys.append(candidate.row_key)
            problem_keys.append(candidate.problem_key)
            variant_keys.append(candidate.variant_key)
            if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                reported = time.monotonic()
                rate = reader.rows_in / (reported - started)
                logger.info("%d rows in, %d passed, %.0f rows a second", reader.rows_in, len(row_keys), rate)
    return [row_keys, problem_keys, variant_keys]


def order_keys(keys: list["array[int]"], seed: int, downsample: str, num_samples: int | None) -> Order:
    """The place of every row, from the keys of row, problem and variant."""
    row_keys, problem_keys, variant_keys = (np.frombuffer(column, dtype=np.uint64) for column in keys)
    return order_variants(row_keys, problem_keys, variant_keys, seed, downsample, num_samples)


def split_name(text: str) -> str:
    """A name that holds nothing but letters, digits, dots, hyphens and underscores."""
    if not re.fullmatch(r"[\w.-]+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not the name of a split")
    return text


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=["hub", "path"], required=True)
    parser.add_argument("--repository", help="hub: owner/name")
    parser.add_argument("--revision", default="main", help="hub: commit, tag or branch")
    parser.add_argument("--path", type=Path, help="path: a parquet or jsonl file, or a folder of them")
    parser.add_argument("--split", type=split_name, required=True, help="the split that is taken, such as train_5M")
    parser.add_argument("--problem-key", required=True, help="column of the problem")
    parser.add_argument("--solution-key", required=True, help="column of the solution")
    parser.add_argument("--answer-key", required=True, help="column of the expected answer")
    parser.add_argument("--source-key", help="column that says where a problem comes from; without: not written")
    parser.add_argument("--expected-rows", type=int, help="rows that must be in the split; another number is an error")
    parser.add_argument("--prompt", type=Path, required=True, help="prompt file that the input is made with")
    parser.add_argument("--template", type=Path, required=True, help="template file of the model to be trained")
    parser.add_argument("--shuffle-seed", type=int, required=True, help="seed of the order and of the sample")
    parser.add_argument(
        "--downsample", choices=["none", "random", "fair"], default="none", help="how to take fewer rows"
    )
    parser.add_argument("--num-samples", type=int, help="how many rows to take; with --downsample random or fair")
    parser.add_argument("--output", type=Path, required=True, help="the training rows")
    parser.add_argument("--counts", type=Path, required=True, help="how many rows fell out, by reason, and the source")
    args = parser.parse_args(argv)
    if args.source == "hub" and args.repository is None:
        parser.error("--source hub needs --repository")
    if args.source == "path" and args.path is None:
        parser.error("--source path needs --path")
    if (args.downsample == "none") != (args.num_samples is None):
        parser.error("--num-samples goes with --downsample random or fair")
    return args


def main(argv: list[str] | None = None) -> None:
    """Prepare the training data."""
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    reader = ReleasedReader(
        Columns(args.problem_key, args.solution_key, args.answer_key, args.source_key),
        Prompt.load(args.prompt, template=args.template),
    )
    try:
        source = (
            hub_source(args.repository, args.revision, args.split)
            if args.source == "hub"
            else path_source(args.path, args.split)
        )
        logger.info("%s: %d files in %s", source.name, len(source.files), source.base)
        counts = prepare(
            source, reader, args.expected_rows, args.shuffle_seed, args.downsample, args.num_samples, args.output
        )
    except (ReleasedDataError, RecordError) as error:
        raise SystemExit(f"prepare_released_data: {error}") from None
    write_json(args.counts, {**counts, "source": source.described()})
    logger.info("kept %s of %s rows", counts["rows_out"], counts["rows_in"])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
