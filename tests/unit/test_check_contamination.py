"""Asking whether two problems are the same."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import check_contamination
from openmath.contamination import check, parse_verdict
from openmath.generation import Completion, Request
from openmath.records import Record, read_jsonl, write_jsonl

Pair = tuple[str, str]


class Model:
    """Says True of the pairs given, and remembers what it was asked, wave by wave."""

    def __init__(self, *same: Pair) -> None:
        self.same = same
        self.asked: list[tuple[int, list[Pair]]] = []

    def __call__(self, pairs: list[Pair], wave: int) -> list[str]:
        self.asked.append((wave, pairs))
        return ["True" if pair in self.same else "False" for pair in pairs]


def row(problem: str, *candidates: str) -> Record:
    similar = [{"benchmark": "test", "id": f"id-{text}", "problem": text, "score": 0.5} for text in candidates]
    return {"id": f"id-{problem}", "problem": problem, "similar": similar}


def new_counts() -> dict[str, int]:
    return {"exact_match": 0, "model_match": 0, "clean": 0, "calls": 0, "invalid": 0}


def test_nothing_is_asked_about_a_problem_after_the_first_true() -> None:
    model = Model(("p", "a"))
    counts = new_counts()
    (verdict,) = check([row("p", "a", "b")], model, True, counts)
    assert model.asked == [(0, [("p", "a"), ("a", "p")])]
    assert verdict == {
        "id": "id-p",
        "problem": "p",
        "contaminated": True,
        "matches": [{"benchmark": "test", "id": "id-a"}],
        "calls": 2,
    }
    assert counts == {"exact_match": 0, "model_match": 1, "clean": 0, "calls": 2, "invalid": 0}


def test_the_undecided_are_asked_about_in_waves_of_one_candidate_each() -> None:
    model = Model(("c", "p2"))
    verdicts = check([row("p1", "a", "b"), row("p2", "c", "d"), row("p3")], model, True, new_counts())
    assert model.asked == [
        (0, [("p1", "a"), ("a", "p1"), ("p2", "c"), ("c", "p2")]),
        (1, [("p1", "b"), ("b", "p1")]),
    ]
    assert [(verdict["contaminated"], verdict["calls"]) for verdict in verdicts] == [(False, 4), (True, 2), (False, 0)]


def test_one_way_asks_once_a_pair() -> None:
    model = Model(("a", "p"))
    assert [verdict["contaminated"] for verdict in check([row("p", "a")], model, False, new_counts())] == [False]
    assert model.asked == [(0, [("p", "a")])]


def test_a_candidate_with_the_same_text_is_a_match_without_a_call() -> None:
    model = Model()
    counts = new_counts()
    (verdict,) = check([row("What  is IT?", "other", "what is it?")], model, True, counts)
    assert (verdict["matches"], verdict["calls"]) == ([{"benchmark": "test", "id": "id-what is it?"}], 0)
    assert model.asked == []
    assert counts == {"exact_match": 1, "model_match": 0, "clean": 0, "calls": 0, "invalid": 0}


def test_identical_pairs_are_asked_about_once() -> None:
    model = Model(("p", "b"))
    counts = new_counts()
    verdicts = check([row("p", "a", "b"), row("p", "a", "b"), row("p", "b", "a")], model, False, counts)
    assert model.asked == [(0, [("p", "a"), ("p", "b")])]
    assert [(verdict["contaminated"], verdict["calls"]) for verdict in verdicts] == [(True, 2), (True, 2), (True, 1)]
    assert counts["calls"] == 2


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("True", True),
        ("  true.\n", True),
        ("**TRUE**", True),
        ("False", False),
        ("'false'", False),
        ("", None),
        ("True, because they ask the same", True),
        ("18 18, 5 5: false", False),
        ("They ask the same", None),
        ("Untrue", None),
        ("True False", None),
    ],
)
def test_a_verdict_is_the_first_or_the_last_word(text: str, verdict: bool | None) -> None:
    assert parse_verdict(text) is verdict


def test_an_answer_that_is_neither_is_counted_and_does_not_condemn() -> None:
    counts = new_counts()
    (verdict,) = check([row("p", "a")], lambda pairs, wave: ["Perhaps", "False"], True, counts)
    assert not verdict["contaminated"]
    assert counts == {"exact_match": 0, "model_match": 0, "clean": 1, "calls": 2, "invalid": 1}


Complete = Callable[..., list[Completion]]


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "prompt.yaml").write_text('user: "{problem} ? {candidate}"\n')
    (tmp_path / "template.yaml").write_text('user_begin: "<"\nuser_end: ">"\n')
    write_jsonl(tmp_path / "retrieved.jsonl", [row("p1", "a", "b"), row("p2", "c"), row("same", "Same")])
    return [
        *("--retrieved", str(tmp_path / "retrieved.jsonl"), "--work", str(tmp_path / "work"), "--both-ways"),
        *("--output", str(tmp_path / "checked.jsonl"), "--counts", str(tmp_path / "checked.counts.json")),
        *("--manifest", str(tmp_path / "checked.manifest.json")),
        *("--prompt", str(tmp_path / "prompt.yaml")),
        *("--template", str(tmp_path / "template.yaml")),
        *("--model", "checker", "--engine", "openai", "--address", "http://example.invalid/v1"),
        *("--temperature", "0", "--top-p", "1.0", "--max-tokens", "8"),
    ]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[Request], Path]]:
    """Stands in for the server, which says True of one pair in one order; holds what it was called with."""
    calls: list[tuple[Sequence[Request], Path]] = []

    def answer(
        requests: Sequence[Request], server: Any, sampling: Any, stop: Any, work: Path, *_: Any, **__: Any
    ) -> list[Completion]:
        calls.append((requests, work))
        return [Completion(request.key, str(request.prompt == "<c ? p2>"), "stop", 1) for request in requests]

    monkeypatch.setattr("openmath.asking.complete", answer)
    return calls


def test_the_files_are_written_in_the_order_of_the_input(
    tmp_path: Path, arguments: list[str], complete: list[tuple[Sequence[Request], Path]]
) -> None:
    check_contamination.main(arguments)
    rows = list(read_jsonl(tmp_path / "checked.jsonl"))
    assert [(checked["id"], checked["contaminated"], checked["calls"]) for checked in rows] == [
        ("id-p1", False, 4),
        ("id-p2", True, 2),
        ("id-same", True, 0),
    ]
    assert json.loads((tmp_path / "checked.counts.json").read_text()) == {
        "rows_in": 3,
        "exact_match": 1,
        "model_match": 1,
        "clean": 1,
        "calls": 6,
        "invalid": 0,
        "rows_out": 3,
    }
    manifest = json.loads((tmp_path / "checked.manifest.json").read_text())
    assert (manifest["model"], manifest["both_ways"], manifest["rows"]) == ("checker", True, 3)


def test_both_orders_of_a_pair_are_rendered_and_every_wave_has_a_folder_of_its_own(
    arguments: list[str], complete: list[tuple[Sequence[Request], Path]]
) -> None:
    check_contamination.main(arguments)
    (first, first_work), (_, second_work) = complete
    assert [request.prompt for request in first] == ["<p1 ? a>", "<a ? p1>", "<p2 ? c>", "<c ? p2>"]
    assert len({request.key for request in first}) == len(first) == 4
    assert {request.seed for request in first} == {None}
    assert (first_work.name, second_work.name) == ("wave-0", "wave-1")


def test_blocks_change_the_folders_and_not_the_verdicts(
    tmp_path: Path,
    arguments: list[str],
    complete: list[tuple[Sequence[Request], Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_contamination.main(arguments)
    whole = (tmp_path / "checked.jsonl").read_bytes()
    complete.clear()
    monkeypatch.setattr(check_contamination, "ROWS_PER_BLOCK", 1)
    check_contamination.main(arguments)
    assert (tmp_path / "checked.jsonl").read_bytes() == whole
    assert [work.parent.name for _, work in complete] == ["block-00000", "block-00000", "block-00001"]


def test_a_sampled_verdict_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check_contamination.main([*arguments, "--temperature", "0.7"])
    assert "a verdict is greedy, which takes --temperature 0" in capsys.readouterr().err
