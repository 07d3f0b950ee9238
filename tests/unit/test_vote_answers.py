"""The step that keeps one answer per problem by majority vote, and the reader of answer rows behind it."""

import json
import random
import tracemalloc
from pathlib import Path

import pytest

import vote_answers
from openmath.answer_rows import read_block, read_blocks
from openmath.answers import Grade
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


def run(folder: Path, *options: str, seeds: int = 4) -> tuple[list[Record], dict[str, int]]:
    majority, counts = folder / "majority.jsonl", folder / "majority.counts.json"
    paths = ["--answers", str(folder / "answers.jsonl"), "--majority", str(majority), "--counts", str(counts)]
    vote_answers.main([*paths, "--num-seeds", str(seeds), *options])
    return list(read_jsonl(majority)), json.loads(counts.read_text())


def write_many(path: Path, problems: list[int], seeds: int) -> None:
    """Answers of problems that are named by numbers; problem n has the same ones in every file."""
    spellings = ["5", "5.0", "x=5", "y=5", r"\frac{1}{2}", "1/2", "0.5", "7", "(1,2)", r"\sqrt{2}", None]
    drawn = [random.Random(number).choices(spellings, k=seeds) for number in problems]
    rows = (
        {"id": str(number), "seed": seed, "predicted_answer": answers[seed], "verdict": "ungraded"}
        for seed in range(seeds)
        for number, answers in zip(problems, drawn, strict=True)
    )
    write_jsonl(path, rows)


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


@pytest.mark.parametrize(
    ("share", "kept"),
    [
        pytest.param("1/3", ["a"], id="a third of three samples is one"),
        pytest.param("0.3333333333333333", ["a"], id="a little less than a third"),
        pytest.param("0.33333333333333334", [], id="a little more than a third, which no double can tell apart"),
    ],
)
def test_a_share_that_is_just_reached_is_enough(tmp_path: Path, share: str, kept: list[str]) -> None:
    write_answers(tmp_path / "answers.jsonl", {0: ["1"], 1: [None], 2: [None]})
    rows, counts = run(tmp_path, "--min-share", share, seeds=3)
    assert [row["id"] for row in rows] == kept
    assert counts["below_min_share"] == 1 - len(kept)


def test_the_vote_by_text_counts_each_spelling_apart(tmp_path: Path) -> None:
    write_answers(tmp_path / "answers.jsonl", {0: ["1/2"], 1: ["3"], 2: ["0.5"], 3: ["3"]})
    winners = {vote_by: run(tmp_path, "--vote-by", vote_by)[0] for vote_by in ("classes", "text")}
    assert winners["classes"] == [{"id": "a", "expected_answer": "1/2", "majority_votes": 2, "total_votes": 4}]
    assert winners["text"] == [{"id": "a", "expected_answer": "3", "majority_votes": 2, "total_votes": 4}]
    assert run(tmp_path)[0] == winners["classes"]


def test_the_winner_of_the_vote_by_text_is_held_against_the_reference_by_value(tmp_path: Path) -> None:
    write_answers(tmp_path / "answers.jsonl", {0: ["3"], 1: ["0.5"], 2: ["0.5"], 3: [None]})
    write_jsonl(tmp_path / "problems.jsonl", [{"id": "a", "problem": "p", "expected_answer": r"\frac{1}{2}"}])
    (row,), _ = run(tmp_path, "--vote-by", "text", "--reference", str(tmp_path / "problems.jsonl"))
    assert (row["predicted_answer"], row["majority_votes"], row["verdict"]) == ("0.5", 2, "correct")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--vote-by", "string", "--vote-by: invalid choice: 'string'"),
        ("--num-seeds", "0", "--num-seeds must be at least 1"),
        ("--convention", "odd=1", "--convention: no convention 'odd'; there are percent, "),
        ("--min-votes", "0", "--min-votes must be at least 1"),
        ("--min-share", "1.5", "--min-share must lie between 0 and 1"),
        ("--min-share", "-0.1", "--min-share must lie between 0 and 1"),
    ],
)
def test_options_that_make_no_vote_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, message: str
) -> None:
    write_answers(tmp_path / "answers.jsonl", SAMPLES)
    with pytest.raises(SystemExit):
        run(tmp_path, f"{option}={value}")
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("vote_by", ["classes", "text"])
def test_no_problem_has_a_say_in_the_vote_of_another(tmp_path: Path, vote_by: str) -> None:
    problems = list(range(60))
    write_many(tmp_path / "answers.jsonl", problems, seeds=6)
    rows, counts = run(tmp_path, "--vote-by", vote_by, "--min-votes", "2", seeds=6)
    random.Random("order").shuffle(problems)
    write_many(tmp_path / "answers.jsonl", problems, seeds=6)
    shuffled, shuffled_counts = run(tmp_path, "--vote-by", vote_by, "--min-votes", "2", seeds=6)
    assert [row["id"] for row in shuffled] == [
        str(number) for number in problems if str(number) in {r["id"] for r in rows}
    ]
    assert sorted(shuffled, key=lambda row: int(row["id"])) == rows
    assert shuffled_counts == counts
    assert 0 < counts["below_min_votes"] < counts["rows_out"]


@pytest.mark.parametrize("vote_by", ["classes", "text"])
def test_memory_does_not_grow_with_the_number_of_problems(tmp_path: Path, vote_by: str) -> None:
    paths = [f"--{name}={tmp_path / name}" for name in ("answers", "majority", "counts")]
    peaks = {}
    # The first run fills the caches of the answers, which know no more than the eleven spellings.
    for problems in (100, 200, 2000):
        write_many(tmp_path / "answers", list(range(problems)), seeds=8)
        tracemalloc.start()
        vote_answers.main([*paths, "--num-seeds=8", f"--vote-by={vote_by}"])
        peaks[problems] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert json.loads((tmp_path / "counts").read_text())["rows_in"] == problems
    # Eight files are read side by side through buffers; the 2,000 winners alone would take more than that.
    assert max(peaks[200], peaks[2000]) < 256 * 1024
    assert peaks[2000] < peaks[200] + 16 * 1024


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


def test_the_verdict_on_a_winner_is_the_grader_s(tmp_path: Path) -> None:
    write_answers(tmp_path / "answers.jsonl", {0: ["0.5", "3", r"\frac"]})
    problems = [{"id": identifier, "problem": "p", "expected_answer": "1/2"} for identifier in "abc"]
    write_jsonl(tmp_path / "problems.jsonl", problems)
    rows, _ = run(tmp_path, "--reference", str(tmp_path / "problems.jsonl"), seeds=1)
    assert [row["verdict"] for row in rows] == ["correct", "incorrect", "unparsed"]


def test_a_time_out_is_a_verdict_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vote_answers, "grade", lambda *pair: Grade("timeout", "symbolic"))
    write_answers(tmp_path / "answers.jsonl", {0: ["3"]})
    write_jsonl(tmp_path / "problems.jsonl", [{"id": "a", "problem": "p", "expected_answer": "1/2"}])
    (row,), _ = run(tmp_path, "--reference", str(tmp_path / "problems.jsonl"), seeds=1)
    assert row["verdict"] == "timeout"


@pytest.mark.parametrize(
    ("settings", "answer", "votes", "verdict"),
    [
        pytest.param([], "5", 3, "correct", id="as by default"),
        pytest.param(["names=required"], "7", 2, "incorrect", id="a name counts, in the classes"),
        pytest.param(["units=required"], "5", 3, "incorrect", id="a unit counts, in the verdict"),
    ],
)
def test_classes_and_verdict_follow_the_conventions(
    tmp_path: Path, settings: list[str], answer: str, votes: int, verdict: str
) -> None:
    answers = ["7", "7", "5", "5", "x=5"]
    write_answers(tmp_path / "answers.jsonl", {seed: [text] for seed, text in enumerate(answers)})
    write_jsonl(tmp_path / "problems.jsonl", [{"id": "a", "problem": "p", "expected_answer": r"5 \text{ cm}"}])
    options = [f"--convention={setting}" for setting in settings]
    (row,), _ = run(tmp_path, "--reference", str(tmp_path / "problems.jsonl"), *options, seeds=5)
    assert (row["predicted_answer"], row["majority_votes"], row["verdict"]) == (answer, votes, verdict)
    (new,), _ = run(tmp_path, *options, seeds=5)
    assert (new["expected_answer"], new["majority_votes"]) == (answer, votes)


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


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"id": "b", "seed": 1}, "line 4: .*missing required field `predicted_answer`", id="no answer key"),
        pytest.param({"id": "b", "seed": 1, "predicted_answer": 3}, "line 4: .*Expected `str | null`", id="a number"),
        pytest.param({"id": 2, "seed": 1, "predicted_answer": "3"}, "line 4: .*Expected `str`", id="an id of a number"),
    ],
)
def test_a_row_without_what_the_vote_needs_is_named(tmp_path: Path, row: Record, message: str) -> None:
    rows = [{"id": identifier, "seed": seed, "predicted_answer": "1"} for seed in range(4) for identifier in "ab"]
    rows[3] = row
    write_jsonl(tmp_path / "answers.jsonl", rows)
    with pytest.raises(RecordError, match=message):
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
