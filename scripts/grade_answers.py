"""Find the answer in every generation of a folder and hold it against the expected one.

Reads   output.jsonl (with --greedy) and output-rs0.jsonl ... output-rs{N-1}.jsonl of the folder: the generations
Writes  {"id", "seed", "predicted_answer", "verdict"}, one per generation, file after file (openmath/answer_rows.py),
        and a JSON file with the number of each verdict.

Verdicts: "correct", "incorrect"; "no_answer": nothing is boxed; "truncated": nothing is boxed because the generation
reached its limit; "ungraded": there is an answer and nothing to hold it against. Pairs of answers repeat, so each is
compared once. Memory holds the ids of one file and those pairs.
"""

import argparse
import functools
import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from openmath.answer_rows import VERDICTS, generation_path
from openmath.answers import answers_equal, extract_answer
from openmath.records import Record, RecordError, read_jsonl, write_json, write_jsonl

logger = logging.getLogger(__name__)

_compare = functools.lru_cache(maxsize=2**18)(answers_equal)


def grade(record: Record) -> tuple[str | None, str]:
    """The answer of a generation (None: it has none) and the verdict on it."""
    predicted = extract_answer(record["generation"])
    if predicted is None:
        return None, "truncated" if record["finish_reason"] == "length" else "no_answer"
    expected = record.get("expected_answer")
    if expected is None:
        return predicted, "ungraded"
    return predicted, "correct" if _compare(expected, predicted) else "incorrect"


def grade_folder(folder: Path, seeds: list[int | None], counts: Counter[str]) -> Iterator[Record]:
    """Yield the rows of answers.jsonl and count the verdicts.

    Raises:
        RecordError: the files do not hold the same ids in the same order; file and line are named.
    """
    ids: list[str] = []
    for position, seed in enumerate(seeds):
        path = generation_path(folder, seed)
        number = 0
        for number, record in enumerate(read_jsonl(path, require=("id", "generation", "finish_reason")), start=1):
            if position == 0:
                ids.append(record["id"])
            elif number > len(ids) or record["id"] != ids[number - 1]:
                there = repr(ids[number - 1]) if number <= len(ids) else "no such line"
                first = generation_path(folder, seeds[0])
                raise RecordError(f"{path}, line {number}: id {record['id']!r}, but {first} has {there}")
            predicted, verdict = grade(record)
            counts[verdict] += 1
            yield {"id": record["id"], "seed": seed, "predicted_answer": predicted, "verdict": verdict}
        if number < len(ids):
            raise RecordError(f"{path} ends after line {number}; {generation_path(folder, seeds[0])} has {len(ids)}")
        logger.info("%s: %d rows", path, number)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="the folder of the generations")
    parser.add_argument("--greedy", action="store_true", help="the folder has an output.jsonl")
    parser.add_argument("--num-seeds", type=int, default=0, metavar="N", help="it has output-rs0.jsonl to rs{N-1}")
    parser.add_argument("--answers", type=Path, required=True, help="to write: the answers")
    parser.add_argument("--counts", type=Path, required=True, help="to write: the counts")
    args = parser.parse_args(argv)
    if not args.greedy and args.num_seeds < 1:
        parser.error("nothing to grade: give --greedy, --num-seeds or both")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logger.info("arguments: %s", json.dumps(vars(args), default=str))
    seeds = [*([None] if args.greedy else []), *range(args.num_seeds)]
    counts: Counter[str] = Counter()
    rows = write_jsonl(args.answers, grade_folder(args.folder, seeds, counts))
    verdicts = {verdict: counts[verdict] for verdict in VERDICTS}
    write_json(args.counts, {**verdicts, "rows_in": rows, "rows_out": rows})
    logger.info("%d generations: %s", rows, ", ".join(f"{n} {verdict}" for verdict, n in verdicts.items()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
