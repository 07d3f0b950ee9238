"""Pack training rows into rows of fixed capacity, so that no compute is spent on padding.

Reads   training rows: {"input", "output"}, and the tokenizer of the model to be trained
Writes  the arrays of a layout (openmath.packed_rows draws them):
            nemo  PREFIX.input_ids.npy, PREFIX.loss_mask.npy, PREFIX.seq_start_id.npy
            flat  PREFIX.tokens.npy, PREFIX.sequences.npy, PREFIX.answers.npy, PREFIX.rows.npy
        and, last, PREFIX.json or PREFIX.flat.json: tokenizer and data by hash, rows, fill, and what was dropped or cut.

Input and output are tokenised one by one and joined; no token is added, the text holds all that there are. Tokens go
through files in a hidden folder beside the output, which need 8 bytes a token, and then as much again as the output
(nemo: 5 bytes a token, flat: 4); in memory stay some blocks of them and, while rows are assigned, about 30 bytes a
sequence.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

from openmath.manifests import run_facts
from openmath.packed_rows import (
    LAYOUTS,
    fill_facts,
    manifest_path,
    places_of,
    publish,
    write_flat,
    write_nemo,
)
from openmath.packing import ALGORITHMS, pack
from openmath.records import file_error, file_sha256
from openmath.sample_reading import read_samples
from openmath.sample_spool import Spool, open_spool
from openmath.tokenization import load_tokenizer, tokenizer_file
from openmath.work_folders import scratch

logger = logging.getLogger(__name__)

TOO_LONG = ("drop", "cut")


class PackingError(ValueError):
    """What cannot be packed; the message is for a person."""


def tokenise(args: argparse.Namespace, spool: Spool) -> dict[str, int]:
    """Fill the spool with all rows that can be packed, and return the counts."""
    counts = {"rows_in": 0, "too_short": 0, "too_long": 0, "cut": 0}
    for samples in read_samples(args.data, args.tokenizer, args.capacity, args.too_long == "cut", args.workers):
        spool.append(samples.records, samples.lengths)
        counts = {name: count + samples.counts[name] for name, count in counts.items()}
    if not len(spool.lengths):
        raise PackingError(f"{args.data}: no row of it can be packed ({counts['too_long']} are too long)")
    return {**counts, "rows_out": len(spool.lengths)}


def pad_id_of(tokenizer_folder: Path, pad_token: str | None) -> int | None:
    """The number of the pad token; of none where there is none.

    Raises:
        PackingError: the tokenizer does not know it.
    """
    if pad_token is None:
        return None
    number: int | None = load_tokenizer(tokenizer_folder).token_to_id(pad_token)
    if number is None:
        raise PackingError(f"--pad-token {pad_token!r} is no token of {tokenizer_file(tokenizer_folder)}")
    return number


def pack_sequences(args: argparse.Namespace) -> dict[str, Any]:
    """Tokenise, pack and write; return the manifest, which is written too."""
    pad_id = pad_id_of(args.tokenizer, args.pad_token)
    with scratch(manifest_path(args.output_prefix, args.layout)) as work:
        with open_spool(work) as spool:
            counts = tokenise(args, spool)
            rows = pack(places_of(spool.lengths, args.multiple), args.capacity, args.algorithm, args.seed)
            if args.layout == "nemo":
                facts = write_nemo(spool, rows, work, args.multiple, pad_id or 0)
            else:
                facts = write_flat(spool, rows, work)
        manifest = {
            "layout": args.layout,
            "data_sha256": file_sha256(args.data),
            "tokenizer_sha256": file_sha256(tokenizer_file(args.tokenizer)),
            "capacity": args.capacity,
            "algorithm": args.algorithm,
            "seed": args.seed,
            "multiple": args.multiple,
            "pad_token": args.pad_token,
            "pad_id": pad_id,
            "too_long": args.too_long,
            **facts,
            **fill_facts(facts, args.capacity),
            "counts": counts,
            **run_facts(),
        }
        publish(work, args.output_prefix, args.layout, manifest)
    return manifest


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="training rows")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of the model to be trained")
    parser.add_argument(
        "--capacity", type=int, required=True, help="places in a row; a sequence fills its tokens less one"
    )
    parser.add_argument("--algorithm", choices=ALGORITHMS, required=True, help="in which order sequences are placed")
    parser.add_argument("--seed", type=int, required=True, help="seed of the shuffle")
    parser.add_argument("--layout", choices=LAYOUTS, default="nemo", help="nemo: for NeMo; flat: for our trainer")
    parser.add_argument(
        "--multiple",
        type=int,
        default=1,
        help="each sequence fills a multiple of so many places; with context parallelism twice its size, 16 at least",
    )
    parser.add_argument("--pad-token", help="what fills them up; never asked for")
    parser.add_argument(
        "--too-long",
        choices=TOO_LONG,
        default="drop",
        help="drop a sequence that is longer than a row, or cut the end of its answer; the prompt is never cut",
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that tokenise")
    parser.add_argument("--output-prefix", required=True, help="the files' path, up to the first dot of their endings")
    args = parser.parse_args(argv)
    for name in ("capacity", "multiple", "workers"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}: at least 1")
    if args.capacity % args.multiple:
        parser.error(f"--capacity {args.capacity} is no multiple of --multiple {args.multiple}")
    if args.multiple > 1 and args.layout == "flat":
        parser.error("--multiple is for context parallelism, which the trainer of --layout flat does not have")
    if (args.multiple > 1) != (args.pad_token is not None):
        parser.error("--pad-token belongs to a --multiple above 1")
    return args


def main(argv: list[str] | None = None) -> None:
    """Pack one file."""
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    try:
        manifest = pack_sequences(args)
    except (PackingError, RuntimeError) as error:
        raise SystemExit(f"pack_sequences: {error}") from None
    except OSError as error:
        raise SystemExit(f"pack_sequences: {file_error(error, args.output_prefix)}") from None
    logger.info(
        "%d sequences in %d rows, %.2f a row, %.2f %% full, %d too long",
        manifest["sequences"],
        manifest["rows"],
        manifest["sequences_per_row"],
        100 * manifest["efficiency"],
        manifest["counts"]["too_long"],
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
