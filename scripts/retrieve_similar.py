"""Find the benchmark problems that are nearest to each generated problem.

Reads   generated problems (the order of the files is the order of the output) and the problems of the benchmarks
Writes  {"id", "problem", "similar": [{"benchmark", "id", "problem", "score"}, ...]}, one per distinct problem text,
        and a JSON file of counts.

Nearness is the cosine of sentence embeddings, in fp32 and exact: every pair is scored. The embeddings are most of the
cost, about 5 ms of one CPU core for a problem of 25 tokens and 20 ms for one of 100; memory is bounded by a block.
"""

import argparse
import logging
from pathlib import Path

from openmath.contamination import Embed, Vectors, retrieve
from openmath.records import read_jsonl, write_json, write_jsonl

logger = logging.getLogger(__name__)

TEXTS_PER_BATCH = 256


def load_embedding(folder: Path) -> Embed:
    """Load a sentence-transformers model; texts come out as fp32 rows of length one."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder))
    model.float()

    def embed(texts: list[str]) -> Vectors:
        vectors: Vectors = model.encode(
            texts,
            batch_size=TEXTS_PER_BATCH,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return vectors

    return embed


def named_file(text: str) -> tuple[str, Path]:
    """Split NAME=FILE."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FILE")
    return name, Path(path)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=Path, nargs="+", required=True, help="files of generated problems")
    parser.add_argument(
        "--benchmarks", type=named_file, nargs="+", required=True, metavar="NAME=FILE", help="problems of benchmarks"
    )
    parser.add_argument("--embedding-model", type=Path, required=True, help="folder of a sentence-transformers model")
    parser.add_argument("--top-k", type=int, required=True, help="benchmark problems per generated problem")
    parser.add_argument("--min-similarity", type=float, required=True, help="leave out pairs with a smaller cosine")
    parser.add_argument("--output", type=Path, required=True, help="the nearest problems")
    parser.add_argument("--counts", type=Path, required=True, help="how many rows and pairs there were")
    args = parser.parse_args(argv)
    names = [name for name, _ in args.benchmarks]
    if len(set(names)) != len(names):
        parser.error(f"a benchmark is named twice: {' '.join(names)}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Retrieve the nearest benchmark problems."""
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    counts = {"duplicate": 0, "pairs": 0, "pairs_below": 0}
    rows_out = write_jsonl(
        args.output,
        retrieve(
            (record for path in args.problems for record in read_jsonl(path, require=("id", "problem"))),
            {name: read_jsonl(path, require=("id", "problem")) for name, path in args.benchmarks},
            load_embedding(args.embedding_model),
            args.top_k,
            args.min_similarity,
            counts,
        ),
    )
    write_json(args.counts, {"rows_in": rows_out + counts["duplicate"], **counts, "rows_out": rows_out})
    logger.info("%d distinct problems: %s", rows_out, counts)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
