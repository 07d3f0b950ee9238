"""Ask a model whether predicted answers are equivalent to the expected ones.

Reads   the problems {"id", "problem", "expected_answer"} and the predictions about them, in the same order:
        --kind greedy: the rows of answers.jsonl whose seed is null; --kind majority: majority.jsonl (vote_answers.py)
Writes  {"id", "seed", "predicted_answer", "judgement", "judge_verdict"}, one per prediction, in its order;
        a JSON file of counts; and a manifest of the model, the prompt and the sampling that were asked with.

A prediction that is missing, or equal to the expected answer to the letter, is judged without a call. Equal
(problem, expected, predicted) are asked once. "judge_verdict" is "yes", "no" or "invalid" (openmath/judging.py).
"""

import argparse
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from openmath.answer_rows import read_block, read_blocks
from openmath.asking import Asking, add_asking_arguments
from openmath.generation import Request
from openmath.judging import Pair, judgement_without_call, read_judgement
from openmath.manifests import run_facts
from openmath.records import Record, RecordError, derive_seed, file_sha256, read_jsonl, write_json, write_jsonl

logger = logging.getLogger(__name__)


def read_candidates(path: Path, kind: str) -> Iterator[Record]:
    """Yield the predictions of a file.

    Raises:
        RecordError: an answers file without greedy rows.
    """
    if kind == "majority":
        yield from read_jsonl(path, require=("id", "predicted_answer"))
        return
    blocks = [block for block in read_blocks(path) if block.seed is None]
    if not blocks:
        raise RecordError(f"{path} has no greedy rows (seed null)")
    yield from read_block(path, blocks[0])


def pair_up(problems: Path, candidates: Path, kind: str) -> Iterator[tuple[Record, Record]]:
    """Yield (problem, prediction); ids must agree row by row.

    Raises:
        RecordError: the files hold different ids, or one ends before the other; file and line are named.
    """
    known = read_jsonl(problems, require=("id", "problem", "expected_answer"))
    number = 0
    for number, candidate in enumerate(read_candidates(candidates, kind), start=1):
        problem = next(known, None)
        if problem is None or problem["id"] != candidate["id"]:
            found = "nothing" if problem is None else repr(problem["id"])
            raise RecordError(f"{problems}, line {number}: {found}, where {candidates} has id {candidate['id']!r}")
        yield problem, candidate
    if next(known, None) is not None:
        raise RecordError(f"{problems}, line {number + 1}: {candidates} ends before this problem")


def judge(rows: list[tuple[Record, Record]], asking: Asking, work: Path, counts: Counter[str]) -> Iterator[Record]:
    """Yield the judged rows and count the ways they were judged and the verdicts."""
    pairs: dict[str, Pair] = {}
    asked: list[str | None] = []
    for problem, candidate in rows:
        predicted = candidate["predicted_answer"]
        if judgement_without_call(problem["expected_answer"], predicted) is None:
            pair = Pair(problem["problem"], problem["expected_answer"], predicted)
            asked.append(pair.key)
            pairs[pair.key] = pair
        else:
            asked.append(None)
    requests = [
        Request(key, derive_seed("judge", key), asking.prompt.render(pair.placeholders()))
        for key, pair in pairs.items()
    ]
    judgements = {completion.key: completion.text for completion in asking.complete(requests, work)}
    counts["calls"] = len(requests)
    for (problem, candidate), key in zip(rows, asked, strict=True):
        predicted = candidate["predicted_answer"]
        if key is None:
            text = judgement_without_call(problem["expected_answer"], predicted) or ""
            counts["no_prediction" if predicted is None or not predicted.strip() else "equal_text"] += 1
        else:
            text = judgements[key]
            counts["by_model"] += 1
        verdict = read_judgement(text)
        counts[verdict] += 1
        yield {
            "id": candidate["id"],
            "seed": candidate.get("seed"),
            "predicted_answer": predicted,
            "judgement": text,
            "judge_verdict": verdict,
        }


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=Path, required=True, help="the problems with their expected answers")
    parser.add_argument("--candidates", type=Path, required=True, help="answers.jsonl or majority.jsonl")
    parser.add_argument("--kind", choices=("greedy", "majority"), required=True, help="what --candidates is")
    parser.add_argument("--output", type=Path, required=True, help="to write: the judged rows")
    parser.add_argument("--counts", type=Path, required=True, help="to write: the counts")
    parser.add_argument("--manifest", type=Path, required=True, help="to write: the manifest")
    add_asking_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    asking = Asking.from_args(args)
    rows = list(pair_up(args.problems, args.candidates, args.kind))
    names = ("no_prediction", "equal_text", "by_model", "calls", "yes", "no", "invalid")
    counts: Counter[str] = Counter(dict.fromkeys(names, 0))
    written = write_jsonl(args.output, judge(rows, asking, args.work, counts))
    write_json(args.counts, {**counts, "rows_in": len(rows), "rows_out": written})
    inputs = {"problems": file_sha256(args.problems), "candidates": file_sha256(args.candidates)}
    write_json(args.manifest, {**asking.facts, "input_sha256": inputs, "rows": written, **run_facts()})
    logger.info("%d predictions: %s", written, ", ".join(f"{n} {name}" for name, n in counts.items()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
