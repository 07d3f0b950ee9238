"""Fetch a prompt or a few-shot set of the paper and bring it into our form.

Reads   the original that the registry names, from OPENMATH_SOURCES, the folder of downloads or its address
Writes  a prompt file, or a list of examples, as those of resources/prompts/ and resources/few_shot/; the first line
        says where it comes from and under which licence.
"""

import argparse
import logging
import os
from pathlib import Path

from openmath.originals import OriginalError, convert_original
from openmath.records import atomic_output
from openmath.sources import SourceError, find_source, read_registry

logger = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="as in the registry, such as generic/math")
    parser.add_argument("--output", type=Path, required=True, help="a YAML file")
    parser.add_argument("--registry", type=Path, default=Path("resources/originals.tsv"))
    parser.add_argument("--cache", type=Path, default=Path("resources/originals/.sources"), help="folder of downloads")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Fetch and convert one original."""
    args = parse_args(argv)
    logger.info("%s", vars(args))
    try:
        registry = read_registry(args.registry)
        if args.name not in registry:
            raise SourceError(f"{args.registry} has no line named {args.name}")
        source = find_source(registry[args.name], args.cache, os.environ.get("OPENMATH_SOURCES") or None)
        converted = convert_original(source)
    except (OriginalError, SourceError) as error:
        raise SystemExit(f"fetch_original: {error}") from None
    with atomic_output(args.output) as stream:
        stream.write(converted.encode())
    logger.info("%s: %s, sum %s, licence %s", args.name, source.path, source.sum, source.entry.licence)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
