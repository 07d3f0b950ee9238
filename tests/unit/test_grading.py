"""Grading at scale: pairs once, blocks of rows, workers that may die, and output that follows from the input alone."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmath import grading
from openmath.answers import DEFAULT, Conventions, Grade, grade
from openmath.convention_options import conventions_from
from openmath.grading import (
    EXAMPLES,
    KILLED,
    AnswerRow,
    PairGrader,
    Tally,
    grade_rows,
    read_answers,
)
from openmath.records import RecordError, write_jsonl
from openmath.worker_pool import WorkerError

PAIRS = [("1/2", "0.5"), ("1/2", "2"), ("3", "3"), ("x+1", "1+x"), ("(1,2)", "(2,1)"), ("7", "five")]


def grade_or_die(expected: str, predicted: str, options: Conventions) -> Grade:
    """The real grade, but an answer that says so kills its worker, or keeps it busy."""
    if predicted == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if predicted == "hang":
        time.sleep(300)
    return grade(expected, predicted, options)


def fail(expected: str, predicted: str, options: Conventions) -> Grade:
    raise KeyError(predicted)


class CountingGrade:
    """A grade that remembers what it was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, expected: str, predicted: str, options: Conventions) -> Grade:
        self.asked.append((expected, predicted))
        return Grade("correct" if expected == predicted else "incorrect", f"tier {len(expected)}")


def row(number: int, expected: str | None, predicted: str | None, state: str = "answer") -> AnswerRow:
    return AnswerRow(f"p{number}", 0, expected, predicted, state)


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_grades_are_those_of_the_grader_in_the_order_of_the_pairs(workers: int) -> None:
    pairs = [pair for _ in range(3) for pair in PAIRS]
    with PairGrader(workers=workers) as grader:
        assert grader.grade(pairs) == [grade(*pair, DEFAULT) for pair in pairs]
        assert grader.compared == len(PAIRS)
        assert grader.grade([]) == []
        assert len(multiprocessing.active_children()) == (workers if workers > 1 else 0)
    assert multiprocessing.active_children() == []


def test_a_pair_is_compared_once_while_it_is_remembered_and_the_one_used_last_stays() -> None:
    count = CountingGrade()
    with PairGrader(grade=count, remembered=2) as grader:
        for predicted in ("a", "b", "a", "c", "a", "b"):
            assert grader.grade([("a", predicted)])[0].verdict == ("correct" if predicted == "a" else "incorrect")
    assert [predicted for _, predicted in count.asked] == ["a", "b", "c", "b"]


@given(
    blocks=st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcdef")), max_size=8), max_size=8),
    remembered=st.integers(0, 5),
)
def test_what_is_remembered_changes_no_grade(blocks: list[list[tuple[str, str]]], remembered: int) -> None:
    count = CountingGrade()
    with PairGrader(grade=count, remembered=remembered) as grader:
        for block in blocks:
            verdicts = [result.verdict for result in grader.grade(block)]
            assert verdicts == ["correct" if expected == predicted else "incorrect" for expected, predicted in block]
            assert len(grader._grades) <= remembered
    assert len(count.asked) == grader.compared


@pytest.mark.parametrize("deadly", ["kill", "hang"])
def test_a_pair_that_takes_workers_along_times_out_and_the_others_get_their_grades(deadly: str) -> None:
    pairs = [*PAIRS[:3], ("1", deadly), *PAIRS[3:]]
    with PairGrader(workers=2, seconds=1, grade=grade_or_die) as grader:
        assert grader.grade(pairs) == [KILLED if pair == ("1", deadly) else grade(*pair, DEFAULT) for pair in pairs]
    assert (KILLED.verdict, KILLED.tier) == ("timeout", "killed")


def test_an_error_of_the_grader_is_no_verdict() -> None:
    with PairGrader(workers=2, grade=fail) as grader, pytest.raises(WorkerError, match=r"(?s)\('1', 'x'\).*KeyError"):
        grader.grade([("1", "x")])
    with PairGrader(workers=1, grade=fail) as grader, pytest.raises(KeyError):
        grader.grade([("1", "x")])


def test_rows_are_graded_in_order_whatever_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        row(0, "1/2", "0.5"), row(1, "1/2", None, "no_answer"), row(2, None, "3"), row(3, None, None, "truncated"),
        row(4, "1/2", "3"), row(5, "1/2", "0.5"), row(6, "4", "4"),
    ]  # fmt: skip
    verdicts = ["correct", "no_answer", "ungraded", "truncated", "incorrect", "correct", "correct"]
    for size in (1, 2, 3, 100):
        monkeypatch.setattr(grading, "_ROWS_PER_BLOCK", size)
        tally = Tally()
        with PairGrader() as grader:
            records = list(grade_rows(rows, grader, tally))
        assert records == [
            {"id": one.id, "seed": 0, "predicted_answer": one.predicted, "verdict": verdict}
            for one, verdict in zip(rows, verdicts, strict=True)
        ]
        assert tally.verdicts == Counter(verdicts)
        assert tally.tiers.total() == 4
        assert grader.compared == 3


def test_no_more_than_a_block_of_rows_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "_ROWS_PER_BLOCK", 10)
    read = 0

    def endless() -> Iterator[AnswerRow]:
        nonlocal read
        while True:
            read += 1
            yield row(read, "1", str(read))

    with PairGrader() as grader:
        records = grade_rows(endless(), grader, Tally())
        for written in range(1, 95):
            next(records)
            assert read - written < 10


def test_the_counts_have_all_verdicts_tiers_by_name_and_a_few_examples() -> None:
    tally = Tally()
    tally.add(row(0, "1", "1"), "correct", "text")
    tally.add(row(1, "1", "2"), "incorrect", "number")
    tally.add(row(2, "1", None, "truncated"), "truncated", None)
    for number in range(3 * EXAMPLES):
        tally.add(row(number, "1", f"? {number // 2}"), "unparsed", "none")
    tally.add(row(8, "1", "slow"), "timeout", "killed")
    counts = tally.counts()
    examples = counts.pop("examples")
    tiers = counts.pop("tiers")
    rows = 3 * EXAMPLES + 4
    assert counts == {
        **{"correct": 1, "incorrect": 1, "no_answer": 0, "truncated": 1, "unparsed": 3 * EXAMPLES, "timeout": 1},
        **{"ungraded": 0, "rows_in": rows, "rows_out": rows, "unparsed_expected": 0},
    }
    assert list(tiers.items()) == [("killed", 1), ("none", 3 * EXAMPLES), ("number", 1), ("text", 1)]
    assert [(example["id"], example["predicted_answer"]) for example in examples["unparsed"]] == [
        (f"p{2 * number}", f"? {number}") for number in range(EXAMPLES)
    ]
    assert examples["timeout"] == [{"id": "p8", "seed": 0, "expected_answer": "1", "predicted_answer": "slow"}]


def test_a_problem_whose_expected_answer_cannot_be_read_is_counted_once_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tally = Tally()
    for seed in (None, 0, 1):
        for number, expected in enumerate(["2", r"\frac{1}{", None, r"\frac{1}{"]):
            tally.add(AnswerRow(f"p{number}", seed, expected, "2", "answer"), "unparsed", "text")
    assert tally.counts()["unparsed_expected"] == 2
    messages = [record.getMessage() for record in caplog.records]
    assert [message.partition(":")[0] for message in messages] == ["p1", "p3"]
    assert all("the expected answer cannot be read" in message for message in messages)


def test_an_expected_answer_that_is_no_text_is_refused(tmp_path: Path) -> None:
    rows = [{"id": "a", "generation": "", "finish_reason": "stop", "expected_answer": value} for value in ("2", 2)]
    write_jsonl(tmp_path / "output.jsonl", rows)
    with pytest.raises(RecordError, match=r"output\.jsonl, line 2: 'expected_answer' is no text: 2"):
        list(read_answers(tmp_path, [None], str))


def test_the_conventions_decide_about_pairs() -> None:
    pair = (r"50\%", "1/2")
    for workers in (1, 2):
        for setting, verdict in (("percent=either", "correct"), ("percent=unit", "incorrect")):
            with PairGrader(conventions_from([setting]), workers) as grader:
                assert grader.grade([pair])[0].verdict == verdict
