"""Merge packed rows of several prefixes into those of one, row after row; nothing is packed anew.

Reads   the arrays of a layout and the manifest of each PREFIX of --inputs (openmath.packed_rows)
Writes  those of --output-prefix, the manifest last. It says which manifests it was merged from, by hash.

Packs that differ in tokenizer, capacity, multiple or pad token are refused.
"""

import argparse
import logging
import os
from typing import Any

from openmath.manifests import run_facts
from openmath.pack_merging import MergeError, merge_arrays, merged_manifest, read_parts
from openmath.packed_rows import LAYOUTS, manifest_path, publish
from openmath.records import file_error
from openmath.work_folders import scratch

logger = logging.getLogger(__name__)


def merge_packs(inputs: list[str], output_prefix: str, layout: str) -> dict[str, Any]:
    """Merge, and return the manifest, which is written too.

    Raises:
        MergeError: the packs cannot be merged, or the output is one of them.
    """
    if os.path.abspath(output_prefix) in map(os.path.abspath, inputs):
        raise MergeError(f"--output-prefix {output_prefix} is one of the inputs")
    parts = read_parts(inputs, layout)
    with scratch(manifest_path(output_prefix, layout)) as work:
        merge_arrays(parts, layout, work)
        manifest = {**merged_manifest(parts), **run_facts()}
        publish(work, output_prefix, layout, manifest)
    return manifest


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", nargs="+", required=True, metavar="PREFIX", help="in the order of their rows")
    parser.add_argument("--output-prefix", required=True, metavar="PREFIX")
    parser.add_argument("--layout", choices=LAYOUTS, default="nemo")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Merge some packs."""
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    try:
        manifest = merge_packs(args.inputs, args.output_prefix, args.layout)
    except MergeError as error:
        raise SystemExit(f"merge_packs: {error}") from None
    except OSError as error:
        raise SystemExit(f"merge_packs: {file_error(error, args.output_prefix)}") from None
    logger.info("%d sequences in %d rows", manifest["sequences"], manifest["rows"])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
