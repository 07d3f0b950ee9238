"""How many packed rows an optimiser step takes, so that it sees about as many samples as without packing.

Reads   the manifest of packed rows
Writes  {"samples_per_batch", "sequences_per_row", "data_parallel_size", "micro_batch_size", "global_batch_size"}

The global batch is the multiple of data-parallel size times micro batch that is nearest to samples / sequences per row,
and one such multiple at least.
"""

import argparse
import json
import logging
from pathlib import Path

from openmath.packed_rows import suggested_batch
from openmath.records import write_json

logger = logging.getLogger(__name__)


def read_fill(manifest: Path) -> tuple[int, int]:
    """The sequences and rows that a manifest counts.

    Raises:
        SystemExit: it cannot be read, or counts none.
    """
    try:
        facts = json.loads(manifest.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"suggest_batch: {manifest}: {error}") from None
    for key in ("sequences", "rows"):
        if not isinstance(facts, dict) or type(facts.get(key)) is not int or facts[key] < 1:
            raise SystemExit(
                f"suggest_batch: {manifest}: '{key}' is no whole number above 0; no manifest of packed rows"
            )
    return facts["sequences"], facts["rows"]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="of packed rows, in either layout")
    parser.add_argument("--samples", type=int, required=True, help="samples of an optimiser step")
    parser.add_argument("--data-parallel", type=int, required=True, help="copies of the model")
    parser.add_argument("--micro-batch-size", type=int, required=True, help="rows in one pass of one copy")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    for name in ("samples", "data_parallel", "micro_batch_size"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} {getattr(args, name)}: at least 1")
    return args


def main(argv: list[str] | None = None) -> None:
    """Write one suggestion."""
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    sequences, rows = read_fill(args.manifest)
    batch = suggested_batch(args.samples, sequences, rows, unit=args.data_parallel * args.micro_batch_size)
    write_json(
        args.output,
        {
            "samples_per_batch": args.samples,
            "sequences_per_row": sequences / rows,
            "data_parallel_size": args.data_parallel,
            "micro_batch_size": args.micro_batch_size,
            "global_batch_size": batch,
        },
    )
    logger.info("%d rows, which hold about %.1f samples", batch, batch * sequences / rows)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
