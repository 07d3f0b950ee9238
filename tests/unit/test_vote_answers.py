"""The step that keeps one answer per problem by majority vote, and the reader of answer rows behind it."""

import json
from pathlib import Path

import pytest

import vote_answers
from openmath.answer_rows import read_block, read_blocks
from openmath.records import Record, RecordError, read_jsonl, write_jsonl

# Problem a: 0.5 twice in other spellings; b: no answer; c: one vote of four.
SAMPLES: dict[int | None, list[str | None]] = {
    None: ["9", "9", "9"],
    0: ["1/2", None, None],
    1: ["3", None, None],
    2: ["0.5", None, "8"],
    3: [None, None, None],
}


def write_answers(path: Path, samples: dict[int | None, list[str | None]]) -> None:
    rows = [
        {"id": identifier, "seed": seed, "predicted_answer": answer, "verdict": "ungraded"}
        for seed, answers in samples.items()
        for identifier, answer in zip("abc", answers, strict=False)
    ]
    write_jsonl(path, rows)


def run(folder: Path, *options: str) -> tuple[list[Record], dict[str, int]]:
    majority, counts = folder / "majority.jsonl", folder / "majority.counts.json"
    paths = ["--answers", str(folder / "answers.jsonl"), "--majority", str(majority), "--counts", str(counts)]
    vote_answers.main([*paths, "--num-seeds", "4", *options])
    return list(read_jsonl(majority)), json.loads(counts.read_text())


def test_winners_are_kept_and_the_greedy_rows_have_no_vote(tmp_path: Path) -> None:
    write_answers(tmp_path / "answers.jsonl", SAMPLES)
    rows, counts = run(tmp_path)
    assert rows == [
        {"id": "a", "expected_answer": "1/2", "majority_votes": 2, "total_votes": 4},
        {"id": "c", "expected_answer": "8", "majority_votes": 1, "total_votes": 4},
    ]
    assert counts == {"no_answer": 1, "below_min_votes": 0, "below_min_share": 0, "rows_in": 3, "rows_out": 2}


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        pytest.param("--min-votes", "2", "below_min_votes", id="too few votes"),
        pytest.param("--min-share", "0.5", "below_min_share", id="too small a share of the samples"),
    ],
)
def test_winners_below_a_threshold_are_dropped_and_counted(
    tmp_path: Path, option: str, value: str, reason: str
) -> None:
    write_answers(tmp_path / "answers.jsonl", SAMPLES)
    rows, counts = run(tmp_path, option, value)
    assert [row["id"] for row in rows] == ["a"]
    assert counts[reason] == 1


def test_with_a_reference_every_problem_has_a_row_and_a_verdict(tmp_path: Path) -> None:
    write_answers(tmp_path / "answers.jsonl", SAMPLES)
    problems = [
        {"id": i, "problem": f"p{i}", "expected_answer": gold} for i, gold in zip("abc", ["5", "5", "8"], strict=True)
    ]
    write_jsonl(tmp_path / "problems.jsonl", problems)
    rows, counts = run(tmp_path, "--reference", str(tmp_path / "problems.jsonl"))
    assert [(row["predicted_answer"], row["majority_votes"], row["total_votes"], row["verdict"]) for row in rows] == [
        ("1/2", 2, 4, "incorrect"),
        (None, 0, 4, "no_answer"),
        ("8", 1, 4, "correct"),
    ]
    assert [(row["id"], row["problem"], row["expected_answer"]) for row in rows] == [
        ("a", "pa", "5"), ("b", "pb", "5"), ("c", "pc", "8"),
    ]  # fmt: skip
    assert counts["rows_out"] == 3


@pytest.mark.parametrize("ids", ["ab", "abd", "abcd"], ids=lambda ids: f"reference with {ids}")
def test_a_reference_about_other_problems_is_refused(tmp_path: Path, ids: str) -> None:
    write_answers(tmp_path / "answers.jsonl", SAMPLES)
    write_jsonl(tmp_path / "problems.jsonl", [{"id": i, "problem": "", "expected_answer": "1"} for i in ids])
    with pytest.raises(RecordError, match=r"problems\.jsonl, line [34]"):
        run(tmp_path, "--reference", str(tmp_path / "problems.jsonl"))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        pytest.param({0: ["1"], 1: ["1"]}, r"holds the seeds \[0, 1\]; asked for are 0 to 3", id="seeds are missing"),
        pytest.param({0: ["1"], 1: ["1", "2"]}, "line 2: seed 1 has 2 rows", id="a block is longer"),
    ],
)
def test_incomplete_answers_are_refused(
    tmp_path: Path, samples: dict[int | None, list[str | None]], message: str
) -> None:
    write_answers(tmp_path / "answers.jsonl", samples)
    with pytest.raises(RecordError, match=message):
        run(tmp_path)


def test_blocks_with_other_ids_are_refused(tmp_path: Path) -> None:
    rows = [{"id": identifier, "seed": seed, "predicted_answer": "1"} for seed in range(4) for identifier in "ab"]
    rows[5]["id"] = "x"
    write_jsonl(tmp_path / "answers.jsonl", rows)
    with pytest.raises(RecordError, match="line 6: id 'x' of seed 2, where line 2 has 'b'"):
        run(tmp_path)


def test_a_seed_in_two_pieces_is_refused(tmp_path: Path) -> None:
    rows = [{"id": "a", "seed": seed, "predicted_answer": "1"} for seed in (0, 1, 0)]
    write_jsonl(tmp_path / "answers.jsonl", rows)
    with pytest.raises(RecordError, match="line 3: seed 0"):
        read_blocks(tmp_path / "answers.jsonl")


def test_blocks_are_found_by_their_place(tmp_path: Path) -> None:
    write_answers(tmp_path / "answers.jsonl", SAMPLES)
    blocks = read_blocks(tmp_path / "answers.jsonl")
    assert [(block.seed, block.first_line, block.rows) for block in blocks] == [
        (None, 0, 3), (0, 3, 3), (1, 6, 3), (2, 9, 3), (3, 12, 3),
    ]  # fmt: skip
    assert [row["predicted_answer"] for row in read_block(tmp_path / "answers.jsonl", blocks[3])] == ["0.5", None, "8"]


def test_where_there_were_no_problems_there_is_no_winner(tmp_path: Path) -> None:
    answers, majority = tmp_path / "answers.jsonl", tmp_path / "majority.jsonl"
    answers.write_bytes(b"")
    counts = tmp_path / "counts.json"
    vote_answers.main(
        ["--answers", str(answers), "--num-seeds", "4", "--majority", str(majority), "--counts", str(counts)]
    )
    assert majority.read_bytes() == b""
    assert json.loads(counts.read_text())["rows_in"] == 0
