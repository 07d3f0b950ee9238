"""Make one split of a data set from its source file.

Reads   the source that the registry names, from OPENMATH_SOURCES, the folder of downloads or its addresses
        (the recipe word_problems makes its problems itself)
Writes  problem records {"id", "problem", "expected_answer", "problem_source", ...}, one a line
        and a manifest: the source with its sum and licence, the rows, and what became of the repairs.
"""

import argparse
import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openmath.datasets import SPLITS, DatasetError, prepare_records, read_repairs, source_name, word_problem_records
from openmath.records import file_sha256, write_json, write_jsonl
from openmath.sources import SourceError, find_source, read_registry

logger = logging.getLogger(__name__)


def option(text: str) -> tuple[str, str]:
    """``family=shop`` as a pair."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return name, value


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="the name that the records bear as problem_source")
    parser.add_argument("--recipe", required=True, choices=sorted(SPLITS))
    parser.add_argument("--split", required=True, help="test, train_full, validation or train, as the recipe has them")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--registry", type=Path, default=Path("resources/datasets.tsv"))
    parser.add_argument("--repairs", type=Path, default=Path("resources/repairs.yaml"))
    parser.add_argument("--cache", type=Path, default=Path("resources/datasets/.sources"), help="folder of downloads")
    parser.add_argument("--option", type=option, action="append", default=[], help="NAME=VALUE, for word_problems")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logger.info("%s", vars(args))
    try:
        records, facts = prepare(args)
    except (DatasetError, SourceError) as error:
        raise SystemExit(f"prepare_dataset: {error}") from None
    write_jsonl(args.output, records)
    write_json(
        args.manifest,
        {"dataset": args.dataset, "recipe": args.recipe, "split": args.split, "rows": len(records), **facts},
    )
    logger.info("wrote %d problems of %s/%s", len(records), args.dataset, args.split)


def prepare(args: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The records, and what the manifest says of where they come from."""
    options = dict(args.option)
    if args.recipe == "word_problems":
        return word_problem_records(args.dataset, args.split, options), {"options": options}
    if options:
        raise DatasetError(f"the recipe {args.recipe} takes no options; given: {', '.join(options)}")
    registry = read_registry(args.registry)
    name = source_name(args.recipe, args.split)
    if name not in registry:
        raise SourceError(f"{args.registry} has no line named {name}")
    source = find_source(registry[name], args.cache, os.environ.get("OPENMATH_SOURCES") or None)
    entry = source.entry
    logger.info("%s: %s, sum %s, licence %s", entry.name, source.path, source.sum, entry.licence)
    records, tally = prepare_records(args.recipe, args.dataset, args.split, source, read_repairs(args.repairs))
    if tally.not_found:
        logger.warning("%d repairs found no row in this source: %s", len(tally.not_found), ", ".join(tally.not_found))
    return records, {
        "source": {
            "name": entry.name,
            "form": entry.form,
            "file": entry.file,
            "url": entry.addresses[0] if entry.addresses else None,
            "sum": source.sum,
            "revision": entry.revision,
            "licence": entry.licence,
        },
        "repairs": {
            "file_sha256": file_sha256(args.repairs),
            "counts": {outcome: len(names) for outcome, names in asdict(tally).items()},
            **asdict(tally),
        },
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
