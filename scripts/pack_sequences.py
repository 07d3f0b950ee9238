"""Pack training rows into rows of fixed capacity, so that no compute is spent on padding.

Reads   training rows: {"input", "output"}, and the tokenizer of the model to be trained
Writes  PREFIX.input_ids.npy, PREFIX.loss_mask.npy, PREFIX.seq_start_id.npy (openmath.packed_rows draws them) and, last,
        PREFIX.json: tokenizer and data by hash, rows, fill, and the sequences dropped by reason.

Input and output are tokenised one by one and joined; no token is added, the text holds all that there are. A sequence
that is longer than a row is dropped and counted, never cut. Tokens go through a temporary file beside the output; in
memory stay about 100 bytes a sequence, and a block of rows.
"""

import argparse
import itertools
import logging
import tempfile
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openmath.manifests import run_facts
from openmath.packed_rows import Sequences, write_packed
from openmath.packing import ALGORITHMS, pack
from openmath.records import file_sha256, read_jsonl, write_json
from openmath.tokenization import encode, load_tokenizer, tokenizer_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

_ROWS_PER_BATCH = 4096


def tokenise(data: Path, tokenizer: "Tokenizer", capacity: int, spool: Path) -> tuple[Sequences, dict[str, int]]:
    """Write the tokens of all rows that fit to ``spool``; return them as a memory map, and the counts."""
    lengths, input_lengths = array("q"), array("q")
    counts = {"too_short": 0, "too_long": 0}
    records = read_jsonl(data, require=("input", "output"))
    with open(spool, "wb") as stream:
        while batch := list(itertools.islice(records, _ROWS_PER_BATCH)):
            inputs = encode(tokenizer, [record["input"] for record in batch])
            outputs = encode(tokenizer, [record["output"] for record in batch])
            for input_ids, output_ids in zip(inputs, outputs, strict=True):
                length = len(input_ids) + len(output_ids)
                if length - 1 > capacity:
                    counts["too_long"] += 1
                elif length < 2 or not output_ids:
                    counts["too_short"] += 1
                else:
                    stream.write(np.array(input_ids + output_ids, dtype=np.int32).tobytes())
                    lengths.append(length)
                    input_lengths.append(len(input_ids))
    if not lengths:
        raise ValueError(f"{data}: no row of it can be packed ({counts['too_long']} are too long)")
    sequences = Sequences(
        tokens=np.memmap(spool, dtype=np.int32, mode="r"),
        lengths=np.array(lengths, dtype=np.int64),
        input_lengths=np.array(input_lengths, dtype=np.int64),
    )
    return sequences, {"rows_in": len(lengths) + sum(counts.values()), **counts, "rows_out": len(lengths)}


def pack_sequences(
    data: Path, tokenizer_folder: Path, capacity: int, algorithm: str, seed: int, prefix: str
) -> dict[str, Any]:
    """Tokenise, pack and write; return the manifest, which is written too."""
    folder = Path(prefix).parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{Path(prefix).name}.", suffix=".part", dir=folder) as work:
        sequences, counts = tokenise(data, load_tokenizer(tokenizer_folder), capacity, Path(work) / "tokens")
        rows = pack(sequences.lengths - 1, capacity, algorithm, seed)
        facts = write_packed(sequences, rows, prefix)
        del sequences
    filled = facts["tokens"] - facts["sequences"]
    manifest = {
        "data_sha256": file_sha256(data),
        "tokenizer_sha256": file_sha256(tokenizer_file(tokenizer_folder)),
        "capacity": capacity,
        "algorithm": algorithm,
        "seed": seed,
        **facts,
        "sequences_per_row": facts["sequences"] / facts["rows"],
        "efficiency": filled / (facts["rows"] * capacity),
        "counts": counts,
        **run_facts(),
    }
    write_json(f"{prefix}.json", manifest)
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
    parser.add_argument("--output-prefix", required=True, help="the files' path, up to the first dot of their endings")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Pack one file."""
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    manifest = pack_sequences(args.data, args.tokenizer, args.capacity, args.algorithm, args.seed, args.output_prefix)
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
