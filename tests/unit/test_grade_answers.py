"""The step that finds and grades the answers of a folder."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import grade_answers
from openmath.answer_rows import VERDICTS
from openmath.answers import Conventions, Grade, grade
from openmath.records import Record, RecordError, read_jsonl, write_jsonl


def generation(identifier: str, text: str, expected: str | None = "1/2", finish: str = "stop") -> Record:
    record = {"id": identifier, "problem": f"p{identifier}", "generation": text, "finish_reason": finish}
    return record if expected is None else {**record, "expected_answer": expected}


def grade_or_die(expected: str, predicted: str, options: Conventions) -> Grade:
    """The real grade, but for an answer that kills the process that compares it."""
    if predicted == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return grade(expected, predicted, options)


def run(folder: Path, *options: str) -> tuple[list[Record], dict[str, Any]]:
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


def write_many(folder: Path) -> list[str]:
    """Four files of 300 rows, with answers of every kind; the options for them."""
    answers = ["0.5", "7", r"\frac{2}{4}", "deadly", r"\sqrt", "half", "1, 2"]
    for name, first in (("output", 0), ("output-rs0", 1), ("output-rs1", 2), ("output-rs2", 3)):
        texts = [rf"\boxed{{{answers[(first + number) % len(answers)]}}}" for number in range(300)]
        rows = [generation(str(number), text, f"{number % 5}/2") for number, text in enumerate(texts)]
        rows[0] = generation("0", "nothing", finish="length")
        write_jsonl(folder / f"{name}.jsonl", rows)
    return ["--greedy", "--num-seeds", "3"]


def test_the_bytes_written_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    options = write_many(tmp_path)
    written = []
    for workers in ("0", "1", "2", "3"):
        rows, counts = run(tmp_path, *options, "--workers", workers)
        written.append([(tmp_path / name).read_bytes() for name in ("answers.jsonl", "answers.counts.json")])
        assert len(rows) == sum(counts[verdict] for verdict in VERDICTS) == 1200
    assert all(files == written[0] for files in written)
    assert counts["truncated"] == 4
    assert min(counts["correct"], counts["incorrect"]) > 100


def test_answers_that_kill_their_workers_time_out_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    options = write_many(tmp_path)
    unhurt, _ = run(tmp_path, *options)
    monkeypatch.setattr(grade_answers, "grade", grade_or_die)
    rows, counts = run(tmp_path, *options, "--workers", "2")
    assert rows == [{**row, "verdict": "timeout"} if row["predicted_answer"] == "deadly" else row for row in unhurt]
    deadly = sum(row["predicted_answer"] == "deadly" for row in rows)
    assert counts["timeout"] == counts["tiers"]["killed"] == deadly > 100
    assert {(one["expected_answer"], one["predicted_answer"]) for one in counts["examples"]["timeout"]} == {
        (f"{number}/2", "deadly") for number in range(5)
    }
    given_up = [record.getMessage() for record in caplog.records if record.getMessage().startswith("given up")]
    assert len(given_up) == 5
    assert all("killed by signal 9" in message and "'deadly'" in message for message in given_up)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        pytest.param([], "1", id="in a box by default"),
        pytest.param(["--extraction", "hashes"], "2", id="after hashes"),
        pytest.param(["--extraction", "regex", "--regex", "answer: (.*)"], "3", id="by a regular expression"),
        pytest.param(["--extraction", "boxed_or_hashes"], "1", id="in a box before hashes"),
    ],
)
def test_the_answer_is_taken_from_where_it_stands(tmp_path: Path, options: list[str], answer: str) -> None:
    write_jsonl(tmp_path / "output.jsonl", [generation("a", "\\boxed{1}\n#### 2\nanswer: 3\n", answer)])
    (row,), _ = run(tmp_path, "--greedy", *options)
    assert (row["predicted_answer"], row["verdict"]) == (answer, "correct")


def test_answers_are_compared_under_the_conventions_that_are_named(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "output.jsonl", [generation("a", r"\boxed{50\%}")])
    options = {"correct": ["names=required"], "incorrect": ["names=required", "percent=unit"]}
    for verdict, settings in options.items():
        (row,), _ = run(tmp_path, "--greedy", *(f"--convention={setting}" for setting in settings))
        assert row["verdict"] == verdict


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--extraction", "regex"], "^grade_answers: .*regular expression", id="no expression"),
        pytest.param(["--extraction", "regex", "--regex", "("], "^grade_answers: .*'\\('", id="bad expression"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: list[str], message: str) -> None:
    write_jsonl(tmp_path / "output.jsonl", [generation("a", "")])
    with pytest.raises(SystemExit, match=message):
        run(tmp_path, "--greedy", *options)
    assert not (tmp_path / "answers.jsonl").exists()
