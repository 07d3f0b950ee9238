"""Ask a model whether generated problems are the same as the benchmark problems near to them.

Reads   --retrieved  the nearest benchmark problems of each generated problem (retrieve_similar.py)
        --prompt, --template (see openmath/prompts.py); the prompt fills {problem} and {candidate}
Writes  --output     {"id", "problem", "contaminated", "matches", "calls"}, a row for each row of --retrieved, in order
        --counts     a JSON file of counts
        --manifest   model, engine, prompt, sampling, hashes, versions
        --work       a folder of finished answers, from which an attempt that was cut short is resumed

A problem whose text is a candidate's is contaminated without a call. The others are asked about in waves, the nearest
candidate first, until an answer says True (openmath.contamination draws it). Rows are taken in blocks of fixed size, so
that memory does not grow with the input. An answer is kept under its pair's texts: it is good for another list of
candidates, and asked for again when model, prompt or sampling change (the work folder keeps these apart).
"""

import argparse
import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from openmath.asking import Asking, add_asking_arguments
from openmath.contamination import Ask, check
from openmath.generation import Request
from openmath.manifests import run_facts
from openmath.records import Record, file_sha256, read_jsonl, write_json, write_jsonl

logger = logging.getLogger(__name__)

ROWS_PER_BLOCK = 20_000


def check_blocks(
    retrieved: Path, ask_in: Callable[[int], Ask], both_ways: bool, counts: dict[str, int]
) -> Iterator[Record]:
    """Yield the verdicts on all rows; ``ask_in`` gives the way to ask for one block, by its number."""
    rows = read_jsonl(retrieved, require=("id", "problem", "similar"))
    for block in itertools.count():
        held = list(itertools.islice(rows, ROWS_PER_BLOCK))
        if not held:
            return
        yield from check(held, ask_in(block), both_ways, counts)


def pair_key(pair: tuple[str, str]) -> str:
    """The name of a pair of texts: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(pair).encode()).hexdigest()[:32]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--retrieved", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--counts", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--both-ways", action="store_true", help="ask about each pair in both orders")
    add_asking_arguments(parser)
    args = parser.parse_args(argv)
    if args.temperature != 0:
        parser.error("a verdict is greedy, which takes --temperature 0")
    return args


def main(argv: list[str] | None = None) -> None:
    """Check all retrieved problems."""
    args = parse_args(argv)
    asking = Asking.from_args(args)

    def ask_in(block: int) -> Ask:
        def ask(pairs: list[tuple[str, str]], wave: int) -> list[str]:
            requests = [
                Request(pair_key(pair), None, asking.prompt.render({"problem": pair[0], "candidate": pair[1]}))
                for pair in pairs
            ]
            work = args.work / f"block-{block:05d}" / f"wave-{wave}"
            logger.info("block %d, wave %d: %d pairs", block, wave, len(pairs))
            return [answer.text for answer in asking.complete(requests, work)]

        return ask

    counts = {"exact_match": 0, "model_match": 0, "clean": 0, "calls": 0, "invalid": 0}
    rows = write_jsonl(args.output, check_blocks(args.retrieved, ask_in, args.both_ways, counts))
    write_json(args.counts, {"rows_in": rows, **counts, "rows_out": rows})
    facts = {**asking.facts, "both_ways": args.both_ways, "input_sha256": file_sha256(args.retrieved), "rows": rows}
    write_json(args.manifest, {**facts, **run_facts()})
    logger.info("contaminated: %d of %d; %s", rows - counts["clean"], rows, counts)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
