"""The step that finds and grades the answers of a folder."""

import json
from pathlib import Path

import pytest

import grade_answers
from openmath.records import Record, RecordError, read_jsonl, write_jsonl


def generation(identifier: str, text: str, expected: str | None = "1/2", finish: str = "stop") -> Record:
    record = {"id": identifier, "problem": f"p{identifier}", "generation": text, "finish_reason": finish}
    return record if expected is None else {**record, "expected_answer": expected}


def run(folder: Path, *options: str) -> tuple[list[Record], dict[str, int]]:
    answers, counts = folder / "answers.jsonl", folder / "answers.counts.json"
    grade_answers.main(["--folder", str(folder), "--answers", str(answers), "--counts", str(counts), *options])
    return list(read_jsonl(answers)), json.loads(counts.read_text())


def test_rows_stand_greedy_first_and_then_by_seed_number(tmp_path: Path) -> None:
    for name in ("output", *(f"output-rs{seed}" for seed in range(11))):
        write_jsonl(tmp_path / f"{name}.jsonl", [generation("a", r"\boxed{0.5}"), generation("b", r"\boxed{2}")])
    rows, counts = run(tmp_path, "--greedy", "--num-seeds", "11")
    assert [row["seed"] for row in rows] == [seed for seed in (None, *range(11)) for _ in "ab"]
    assert rows[0] == {"id": "a", "seed": None, "predicted_answer": "0.5", "verdict": "correct"}
    assert rows[-1] == {"id": "b", "seed": 10, "predicted_answer": "2", "verdict": "incorrect"}
    assert (counts["correct"], counts["incorrect"], counts["rows_in"], counts["rows_out"]) == (12, 12, 24, 24)


@pytest.mark.parametrize(
    ("record", "answer", "verdict"),
    [
        pytest.param(generation("a", "none"), None, "no_answer", id="nothing boxed is no answer"),
        pytest.param(generation("a", r"\boxed{1", finish="length"), None, "truncated", id="a cut box is truncated"),
        pytest.param(
            generation("a", r"\boxed{0.5} and", finish="length"), "0.5", "correct", id="a cut end still answers"
        ),
        pytest.param(generation("a", r"\boxed{5}", expected=None), "5", "ungraded", id="no expected answer: ungraded"),
        pytest.param(generation("a", "none", expected=None), None, "no_answer", id="no answer comes before ungraded"),
    ],
)
def test_verdict(tmp_path: Path, record: Record, answer: str | None, verdict: str) -> None:
    write_jsonl(tmp_path / "output-rs0.jsonl", [record])
    (row,), counts = run(tmp_path, "--num-seeds", "1")
    assert row == {"id": "a", "seed": 0, "predicted_answer": answer, "verdict": verdict}
    assert counts[verdict] == 1


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        pytest.param("ba", "output-rs1.jsonl, line 1: id 'b', but .*output-rs0.jsonl has 'a'", id="another order"),
        pytest.param("a", "output-rs1.jsonl ends after line 1", id="a missing row"),
        pytest.param("abc", "output-rs1.jsonl, line 3: id 'c', but .* has no such line", id="a row too many"),
    ],
)
def test_files_about_other_rows_are_refused(tmp_path: Path, ids: str, message: str) -> None:
    write_jsonl(tmp_path / "output-rs0.jsonl", [generation(identifier, "") for identifier in "ab"])
    write_jsonl(tmp_path / "output-rs1.jsonl", [generation(identifier, "") for identifier in ids])
    with pytest.raises(RecordError, match=message):
        run(tmp_path, "--num-seeds", "2")
    assert not (tmp_path / "answers.jsonl").exists()


def test_nothing_to_grade_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path)
