"""Sample one generation for every record of a file.

Reads   --input      records: {"id", ...} and what the prompt file asks for
        --prompt, --template, --examples (see openmath/prompts.py)
Writes  --output     the records, in order, with "generation", "finish_reason", "num_generated_tokens" and "seed" added
        --manifest   what is true of the whole file: model, engine, prompt, sampling, hashes, versions
        --work       a folder of finished rows, from which an attempt that was cut short is resumed

With --seed the seed of a request follows from the record's id and the sample seed, so that neither the order of a file
nor what stands beside a record changes its sample. Without it the generation is greedy.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

from openmath.asking import Asking, add_asking_arguments
from openmath.generation import Completion, Request
from openmath.manifests import run_facts
from openmath.prompts import Prompt
from openmath.records import Record, RecordError, derive_seed, file_sha256, read_jsonl, write_json, write_jsonl

log = logging.getLogger(Path(__file__).stem)

_ADDED = ("generation", "finish_reason", "num_generated_tokens")


def make_requests(path: Path, records: list[Record], prompt: Prompt, seed: int | None) -> list[Request]:
    """One request a record; its key holds the row, as an id may occur twice in a file.

    Raises:
        RecordError: a record holds a generation already, or lacks what the prompt asks for.
    """
    requests = []
    for row, record in enumerate(records):
        for key in _ADDED:
            if key in record:
                raise RecordError(f"{path}, line {row + 1}: the record holds '{key}' already")
        try:
            text = prompt.render(record)
        except KeyError as error:
            raise RecordError(f"{path}, line {row + 1}: no key {error}, which the prompt asks for") from None
        requests.append(
            Request(
                key=f"{row}:{record['id']}",
                seed=None if seed is None else derive_seed(record["id"], seed),
                prompt=text,
            )
        )
    return requests


def generation_records(records: list[Record], completions: list[Completion], seed: int | None) -> Iterator[Record]:
    """The records with what was generated for them; "seed" is the sample seed (null: greedy)."""
    for record, completion in zip(records, completions, strict=True):
        yield {
            **record,
            "generation": completion.text,
            "finish_reason": completion.finish_reason,
            "num_generated_tokens": completion.num_tokens,
            "seed": seed,
        }


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--seed", type=int, help="the sample seed; without it the generation is greedy")
    parser.add_argument("--show-prompt", action="store_true", help="log the first prompt and stop")
    add_asking_arguments(parser)
    args = parser.parse_args(argv)
    if args.seed is None and args.temperature != 0:
        parser.error("without --seed the generation is greedy, which takes --temperature 0")
    if args.seed is not None and args.temperature == 0:
        parser.error("with --seed the generation is sampled, which takes a --temperature above 0")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    asking = Asking.from_args(args).about(seed=args.seed, input_sha256=file_sha256(args.input))
    records = list(read_jsonl(args.input, require=("id",)))
    requests = make_requests(args.input, records, asking.prompt, args.seed)
    if args.show_prompt:
        log.info("the first prompt:\n%s", requests[0].prompt if requests else "(no records)")
        return
    completions = asking.complete(requests, args.work)
    rows = write_jsonl(args.output, generation_records(records, completions, args.seed))
    write_json(args.manifest, {**asking.facts, "rows": rows, **run_facts()})


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
