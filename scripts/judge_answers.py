"""Ask a model whether predicted answers are equivalent to the expected ones.

Reads   the problems {"id", "problem", "expected_answer"} and the predictions about them, in the same order:
        --kind greedy: the rows of answers.jsonl whose seed is null; --kind majority: majority.jsonl (vote_answers.py)
Writes  {"id", "seed", "predicted_answer", "judgement", "judge_verdict"}, one per prediction, in its order;
        a JSON file of counts, of tokens, and of where the judge and the symbolic grader agree; and a manifest of
        the model, the prompt and the sampling that were asked with
        --work       a folder of finished judgements, from which an attempt that was cut short is resumed;
                     calls.json in it: what this job itself asked, in all its attempts

A prediction that is missing, or equal to the expected answer to the letter, is judged without a call. Equal
(problem, expected, predicted) are asked once: in a file, and, with --cache, by all who asked the same model in the
same way before. "judge_verdict" is "yes", "no" or "invalid" (openmath/judging.py).

The judged rows, the counts and the manifest do not depend on who asked first: "prompt_tokens" and "completion_tokens"
are of all different questions of the file, whoever asked them.
"""

import argparse
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from openmath.answer_rows import read_block, read_blocks
from openmath.asking import Asking, add_asking_arguments
from openmath.generation import Completion, Request
from openmath.judging import JUDGE_VERDICTS, Agreement, Pair, judgement_without_call, read_judgement
from openmath.manifests import run_facts
from openmath.records import Record, RecordError, derive_seed, file_sha256, read_jsonl, write_json, write_jsonl

logger = logging.getLogger(__name__)


def read_candidates(path: Path, kind: str) -> Iterator[Record]:
    """Yield the predictions of a file, with their symbolic verdicts.

    Raises:
        RecordError: an answers file without greedy rows, or a row without a key that is needed.
    """
    needed = ("id", "predicted_answer", "verdict")
    if kind == "majority":
        yield from read_jsonl(path, require=needed)
        return
    blocks = [block for block in read_blocks(path) if block.seed is None]
    if not blocks:
        raise RecordError(f"{path} has no greedy rows (seed null)")
    for number, row in enumerate(read_block(path, blocks[0]), start=blocks[0].first_line + 1):
        for key in needed:
            if key not in row:
                raise RecordError(f"{path}, line {number}: no key '{key}'")
        yield row


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


def pair_of(problem: Record, candidate: Record) -> Pair | None:
    """What a judge is asked about a prediction; None where it needs no call."""
    expected, predicted = problem["expected_answer"], candidate["predicted_answer"]
    if judgement_without_call(expected, predicted) is not None:
        return None
    return Pair(problem["problem"], expected, predicted)


def ask_once(pairs: Iterable[Pair | None], asking: Asking, work: Path, cache: Path | None) -> dict[str, Completion]:
    """What the model says of each different pair, by its key."""
    different = {pair.key: pair for pair in pairs if pair is not None}
    requests = [
        Request(key, derive_seed("judge", key), asking.prompt.render(pair.placeholders()))
        for key, pair in different.items()
    ]
    return {completion.key: completion for completion in asking.complete(requests, work, cache)}


def judge(
    rows: list[tuple[Record, Record]],
    said: Mapping[str, Completion],
    counts: Counter[str],
    agreement: Agreement,
) -> Iterator[Record]:
    """Yield the judged rows; count how they were judged, the verdicts, and whether the symbolic grader agrees."""
    for problem, candidate in rows:
        expected, predicted = problem["expected_answer"], candidate["predicted_answer"]
        pair = pair_of(problem, candidate)
        if pair is None:
            text = judgement_without_call(expected, predicted) or ""
            how = "no_prediction" if predicted is None or not predicted.strip() else "equal_text"
        else:
            text, how = said[pair.key].text, "by_model"
        verdict = read_judgement(text)
        counts[how] += 1
        counts[verdict] += 1
        if how != "no_prediction":
            example = {"id": candidate["id"], "expected_answer": expected, "predicted_answer": predicted}
            agreement.add(how, candidate["verdict"], verdict, example)
        yield {
            "id": candidate["id"],
            "seed": candidate.get("seed"),
            "predicted_answer": predicted,
            "judgement": text,
            "judge_verdict": verdict,
        }


def tokens_of(said: Iterable[Completion]) -> dict[str, int]:
    """Tokens of the prompts and of the judgements, as the server counted them."""
    said = list(said)
    return {
        "prompt_tokens": sum(completion.num_prompt_tokens for completion in said),
        "completion_tokens": sum(completion.num_tokens for completion in said),
    }


def calls_of(said: Iterable[Completion]) -> dict[str, int]:
    """The calls that this job made, in all its attempts, their tokens, and the answers that it found with others."""
    said = list(said)
    asked = [completion for completion in said if completion.taken_from is None]
    return {"asked": len(asked), "from_cache": len(said) - len(asked), **tokens_of(asked)}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=Path, required=True, help="the problems with their expected answers")
    parser.add_argument("--candidates", type=Path, required=True, help="answers.jsonl or majority.jsonl")
    parser.add_argument("--kind", choices=("greedy", "majority"), required=True, help="what --candidates is")
    parser.add_argument("--output", type=Path, required=True, help="to write: the judged rows")
    parser.add_argument("--counts", type=Path, required=True, help="to write: the counts")
    parser.add_argument("--manifest", type=Path, required=True, help="to write: the manifest")
    parser.add_argument(
        "--cache", type=Path, help="a folder above --work; what other work folders below it hold is not asked again"
    )
    add_asking_arguments(parser)
    args = parser.parse_args(argv)
    if args.cache is not None and not args.work.resolve().is_relative_to(args.cache.resolve()):
        parser.error(f"--work {args.work} must lie in --cache {args.cache}, where others find it")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    asking = Asking.from_args(args)
    rows = list(pair_up(args.problems, args.candidates, args.kind))
    said = ask_once((pair_of(*row) for row in rows), asking, args.work, args.cache)
    counts: Counter[str] = Counter(dict.fromkeys(("no_prediction", "equal_text", "by_model", *JUDGE_VERDICTS), 0))
    agreement = Agreement()
    written = write_jsonl(args.output, judge(rows, said, counts, agreement))
    totals = {**counts, "calls": len(said), **tokens_of(said.values()), "rows_in": len(rows), "rows_out": written}
    write_json(args.counts, {**totals, "symbolic": agreement.facts()})
    inputs = {"problems": file_sha256(args.problems), "candidates": file_sha256(args.candidates)}
    write_json(args.manifest, {**asking.facts, "input_sha256": inputs, "rows": written, **run_facts()})
    calls = calls_of(said.values())
    write_json(args.work / "calls.json", calls)
    logger.info("%d predictions: %s", written, ", ".join(f"{n} {name}" for name, n in counts.items()))
    logger.info("calls: %s", ", ".join(f"{n} {name}" for name, n in calls.items()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
