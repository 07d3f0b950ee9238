"""The step that asks a model about answers; the model is a function here (the integration test serves a real one)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import judge_answers
from openmath.generation import Completion, Request
from openmath.judging import Pair, read_judgement
from openmath.records import Record, RecordError, read_jsonl, write_jsonl

JUDGEMENTS = {
    "a plain yes": ("Judgement: Yes", "yes"),
    "a plain no": ("Judgement: No", "no"),
    "reasoning first": ("They differ. Judgement: Yes would be wrong.\nJudgement: No", "no"),
    "a full stop": ("Judgement: Yes.", "yes"),
    "emphasis around the word": ("**Judgement**: **Yes**", "yes"),
    "emphasis around the mark": ("**Judgement:** no", "no"),
    "the American spelling": ("Judgment: YES", "yes"),
    "no mark but the word": (" Yes.\n", "yes"),
    "neither": ("Judgement: perhaps", "invalid"),
    "a sentence after the mark": ("Judgement: Yes, they are", "invalid"),
    "nothing after the mark": ("Judgement:", "invalid"),
    "cut off": ("Reasoning: the two are", "invalid"),
    "nothing": ("", "invalid"),
}

PROBLEMS = [
    {"id": "a", "problem": "p", "expected_answer": "1/2"},
    {"id": "b", "problem": "q", "expected_answer": "3"},
    {"id": "c", "problem": "r", "expected_answer": "4"},
    {"id": "d", "problem": "p", "expected_answer": "1/2"},
    {"id": "e", "problem": "s", "expected_answer": "5"},
]
PREDICTIONS = ["0.5", None, " 4", "0.5", "7"]


@pytest.mark.parametrize(("text", "verdict"), JUDGEMENTS.values(), ids=JUDGEMENTS.keys())
def test_judgements_are_read_with_tolerance(text: str, verdict: str) -> None:
    assert read_judgement(text) == verdict


def test_keys_tell_the_parts_of_a_pair_apart() -> None:
    assert len({Pair("ab", "c", "d").key, Pair("a", "bc", "d").key, Pair("a", "b", "cd").key}) == 3


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What was asked of a judge that takes 0.5 for right, and rambles about the rest."""
    requests: list[Request] = []

    def answer(given: Sequence[Request], *_: Any, **__: Any) -> list[Completion]:
        requests.extend(given)
        texts = ["Judgement: Yes" if "0.5" in str(request.prompt) else "Hm." for request in given]
        return [Completion(request.key, text, "stop", 3) for request, text in zip(given, texts, strict=True)]

    monkeypatch.setattr("openmath.asking.complete", answer)
    return requests


def run(folder: Path, candidates: list[Record], kind: str = "greedy") -> list[Record]:
    write_jsonl(folder / "problems.jsonl", PROBLEMS)
    write_jsonl(folder / "candidates.jsonl", candidates)
    (folder / "judge.yaml").write_text('user: "{problem}: {expected_answer} or {predicted_answer}?"\n')
    judge_answers.main([
        *("--problems", str(folder / "problems.jsonl"), "--candidates", str(folder / "candidates.jsonl")),
        *("--kind", kind, "--output", str(folder / "judged.jsonl"), "--counts", str(folder / "judged.counts.json")),
        *("--manifest", str(folder / "judged.manifest.json"), "--work", str(folder / "work")),
        *("--prompt", str(folder / "judge.yaml"), "--model", "checker", "--engine", "openai"),
        *("--address", "http://localhost:1/v1", "--temperature", "0", "--top-p", "0.95", "--max-tokens", "32"),
    ])  # fmt: skip
    return list(read_jsonl(folder / "judged.jsonl"))


def greedy_rows(seeds: Sequence[int | None] = (None,)) -> list[Record]:
    return [
        {"id": problem["id"], "seed": seed, "predicted_answer": answer, "verdict": "incorrect"}
        for seed in seeds
        for problem, answer in zip(PROBLEMS, PREDICTIONS, strict=True)
    ]


def test_rows_are_judged_with_few_calls(tmp_path: Path, asked: list[Request]) -> None:
    rows = run(tmp_path, greedy_rows(seeds=(None, 0, 1)))
    assert [row["judge_verdict"] for row in rows] == ["yes", "no", "yes", "yes", "invalid"]
    assert [row["id"] for row in rows] == list("abcde")
    assert list(rows[0]) == ["id", "seed", "predicted_answer", "judgement", "judge_verdict"]
    assert rows[1]["judgement"] == "There is no predicted answer.\nJudgement: No"
    assert [request.prompt for request in asked] == [
        [{"role": "user", "content": "p: 1/2 or 0.5?"}],
        [{"role": "user", "content": "s: 5 or 7?"}],
    ]
    assert json.loads((tmp_path / "judged.counts.json").read_text()) == {
        "no_prediction": 1, "equal_text": 1, "by_model": 3, "calls": 2, "yes": 3, "no": 1, "invalid": 1,
        "rows_in": 5, "rows_out": 5,
    }  # fmt: skip
    manifest = json.loads((tmp_path / "judged.manifest.json").read_text())
    assert (manifest["model"], manifest["engine"], manifest["rows"]) == ("checker", "openai", 5)


@pytest.mark.usefixtures("asked")
def test_majority_winners_are_judged_like_greedy_answers(tmp_path: Path) -> None:
    winners = [
        {**problem, "predicted_answer": answer, "majority_votes": 1, "total_votes": 4, "verdict": "incorrect"}
        for problem, answer in zip(PROBLEMS, PREDICTIONS, strict=True)
    ]
    rows = run(tmp_path, winners, kind="majority")
    assert [(row["seed"], row["judge_verdict"]) for row in rows] == [
        (None, verdict) for verdict in ("yes", "no", "yes", "yes", "invalid")
    ]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        pytest.param(greedy_rows()[:-1], "line 5: .* ends before this problem", id="fewer rows"),
        pytest.param(greedy_rows()[::-1], "line 1: 'a', where .* has id 'e'", id="another order"),
        pytest.param(greedy_rows(seeds=(0,)), "no greedy rows", id="only samples"),
    ],
)
def test_candidates_about_other_problems_are_refused(tmp_path: Path, candidates: list[Record], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        run(tmp_path, candidates)
    assert not (tmp_path / "judged.jsonl").exists()
