"""The step that computes the metrics of one model on one benchmark."""

import json
from pathlib import Path
from typing import Any

import pytest

import compute_metrics
from openmath.curves import read_curves
from openmath.records import Record, RecordError, write_jsonl

VERDICTS = {
    None: ["correct", "incorrect", "truncated"],
    0: ["correct", "no_answer", "no_answer"],
    1: ["incorrect", "incorrect", "truncated"],
}
WINNERS = ["correct", "incorrect", "no_answer"]
PROBLEMS = [
    {"id": "a", "level": 3, "subject": "Algebra", "source": ["x", "y"], "problem_source": "math"},
    {"id": "b", "level": 10, "subject": "Geometry", "source": ["y"], "problem_source": "math"},
    {"id": "c", "level": 3, "subject": None, "source": [], "problem_source": "math"},
]


def answer(verdict: str) -> str | None:
    return {"correct": "1", "incorrect": "2", "unparsed": "2)", "timeout": "2!"}.get(verdict)


def rows(verdicts: dict[int | None, list[str]]) -> list[Record]:
    return [
        {"id": identifier, "seed": seed, "predicted_answer": answer(verdict), "verdict": verdict}
        for seed, block in verdicts.items()
        for identifier, verdict in zip("abc", block, strict=True)
    ]


def judged(verdicts: list[str], judge: str) -> list[Record]:
    return [
        {"id": identifier, "seed": None, "predicted_answer": answer(verdict), "judgement": "", "judge_verdict": word}
        for identifier, verdict, word in zip("abc", verdicts, judge.split(), strict=True)
    ]


def run(folder: Path, *options: str, verdicts: dict[int | None, list[str]] | None = None) -> dict[str, Any]:
    write_jsonl(folder / "answers.jsonl", rows(VERDICTS if verdicts is None else verdicts))
    write_jsonl(folder / "problems.jsonl", PROBLEMS)
    write_jsonl(folder / "majority.jsonl", rows({0: WINNERS}))
    write_jsonl(folder / "judged.jsonl", judged(VERDICTS[None], "yes yes no"))
    write_jsonl(folder / "judged-majority.jsonl", judged(WINNERS, "invalid yes no"))
    compute_metrics.main([
        *("--benchmark", "math", "--model", "student", "--answers", str(folder / "answers.jsonl")),
        *("--metrics", str(folder / "metrics.json"), "--table", str(folder / "metrics.txt")),
        *("--problems", str(folder / "problems.jsonl"), "--curves", str(folder / "curves.tsv")),
        *(option.format(folder=folder) for option in options),
    ])  # fmt: skip
    return dict(json.loads((folder / "metrics.json").read_text()))


SAMPLES = ("--num-samples", "2", "--majority", "{folder}/majority.jsonl")
JUDGED = ("--judged", "{folder}/judged.jsonl", "--judged-majority", "{folder}/judged-majority.jsonl")


def test_all_modes(tmp_path: Path) -> None:
    document = run(tmp_path, *SAMPLES, *JUDGED)
    modes = document["math"]
    assert list(modes) == ["greedy", "majority@2", "pass@2", "pass@1[2]"]
    columns = ("num_entries", "symbolic_correct", "judge_correct", "both_correct", "any_correct", "no_answer")
    third = 100 / 3
    assert [modes["greedy"][name] for name in columns] == pytest.approx([3, third, 2 * third, third, 2 * third, third])
    assert [modes["majority@2"][name] for name in columns] == pytest.approx([3, third, third, 0, 2 * third, third])
    assert modes["pass@2"]["symbolic_correct"] == pytest.approx(third)
    assert modes["pass@2"]["judge_correct"] is None
    assert modes["pass@2"]["no_answer"] == pytest.approx(third)
    assert [modes["pass@1[2]"][name] for name in columns] == pytest.approx([3, 100 / 6, None, None, None, 50])
    assert modes["pass@1[2]"]["symbolic_correct_std_dev"] == pytest.approx(third / 2**0.5), "33.3 % and 0 %"
    assert modes["pass@1[2]"]["symbolic_correct_std_err"] == pytest.approx(third / 2)
    facts = document["facts"]
    assert (facts["model"], facts["benchmark"], facts["num_samples"]) == ("student", "math", 2)
    assert facts["pass_at_k"] == pytest.approx([100 / 6, third])
    assert facts["majority_at_k"] == pytest.approx([100 / 6, 100 / 6]), "of two votes that differ each is worth half"
    assert facts["majority_at_k_is_exact"] is True
    assert "Wilson" in facts["interval"]
    assert "bootstrap" in facts["interval"]
    assert (facts["samples_no_answer"], facts["samples_truncated"]) == pytest.approx((third, 100 / 6))
    assert (facts["samples_unparsed"], facts["samples_timeout"]) == (0, 0)
    table = (tmp_path / "metrics.txt").read_text().splitlines()
    assert (
        table[2]
        == "greedy          | 3           | 33.33            | 66.67         | 33.33        | 66.67       | 33.33"
    )
    assert len(table) == 6


def test_every_share_is_one(tmp_path: Path) -> None:
    """Both graders and no answer at all, which were counted twice elsewhere."""
    nothing = {seed: ["no_answer", "truncated", "no_answer"] for seed in (None, 0, 1)}
    write_jsonl(tmp_path / "judged-greedy.jsonl", judged(nothing[None], "no no no"))
    document = run(tmp_path, *SAMPLES, "--judged", "{folder}/judged-greedy.jsonl", verdicts=nothing)
    for mode in ("greedy", "pass@2", "pass@1[2]"):
        assert document["math"][mode]["no_answer"] == 100
        assert document["math"][mode]["symbolic_correct"] == 0
    assert document["facts"]["majority_at_k"] == [0, 0]


def test_an_answer_that_could_not_be_compared_is_wrong_and_counted(tmp_path: Path) -> None:
    verdicts = {0: ["unparsed", "timeout", "correct"], 1: ["unparsed", "correct", "correct"]}
    document = run(tmp_path, *SAMPLES, verdicts=verdicts)
    facts = document["facts"]
    assert (facts["samples_unparsed"], facts["samples_timeout"]) == pytest.approx((100 / 3, 100 / 6))
    assert document["math"]["pass@1[2]"]["symbolic_correct"] == pytest.approx(50)
    assert document["math"]["pass@1[2]"]["no_answer"] == 0


def test_the_metrics_are_broken_down_by_what_the_problems_say(tmp_path: Path) -> None:
    breakdown = run(tmp_path, *SAMPLES, *JUDGED)["facts"]["breakdown"]
    assert list(breakdown) == ["level", "subject", "source", "problem_source"]
    assert list(breakdown["level"]) == ["3", "10"], "as numbers"
    assert list(breakdown["subject"]) == ["Algebra", "Geometry"], "a problem without a subject has no part in it"
    assert list(breakdown["source"]) == ["x", "y"]
    level, both = breakdown["level"]["3"], breakdown["source"]["y"]
    assert list(level) == ["greedy", "majority@2", "pass@2", "pass@1[2]"]
    assert (level["greedy"]["num_entries"], level["greedy"]["symbolic_correct"]) == (2, 50)
    assert level["greedy"]["judge_correct"] == 50
    assert level["pass@1[2]"]["symbolic_correct"] == 25
    assert level["pass@1[2]"]["symbolic_correct_low"] <= 25 <= level["pass@1[2]"]["symbolic_correct_high"]
    assert (both["greedy"]["num_entries"], both["majority@2"]["symbolic_correct"]) == (2, 50)
    assert "both_correct" not in both["pass@1[2]"]


def test_a_breakdown_into_one_part_is_the_whole(tmp_path: Path) -> None:
    document = run(tmp_path, *SAMPLES, *JUDGED)
    whole = document["facts"]["breakdown"]["problem_source"]["math"]
    for mode, metrics in document["math"].items():
        assert whole[mode] == {name: value for name, value in metrics.items() if value is not None}


def test_the_curves_have_a_line_for_every_number_of_samples(tmp_path: Path) -> None:
    verdicts = {0: ["correct"] * 3, 1: ["correct", "incorrect", "incorrect"], 2: ["correct", "incorrect", "no_answer"]}
    document = run(tmp_path, "--num-samples", "3", *SAMPLES[2:], verdicts=verdicts)
    lines = [[float(cell) for cell in row] for row in read_curves(tmp_path / "curves.tsv")]
    assert [line[0] for line in lines] == [1, 2, 3]
    assert [line[1] for line in lines] == pytest.approx(document["facts"]["pass_at_k"], abs=1e-4)
    assert [line[4] for line in lines] == pytest.approx(document["facts"]["majority_at_k"], abs=1e-4)
    # By hand: a right, b 1 of 3 against 2, c 1 of 2 answers in 3 samples.
    majority = [(1 + 1 / 3 + 1 / 3) / 3, (1 + 1 / 3 + 1 / 2) / 3, (1 + 0 + 1 / 2) / 3]
    assert [line[4] for line in lines] == pytest.approx([100 * share for share in majority], abs=1e-4)
    for _, passed, pass_low, pass_high, majority_share, majority_low, majority_high, error in lines:
        assert 0 <= pass_low <= passed <= pass_high <= 100
        assert 0 <= majority_low <= majority_share <= majority_high <= 100
        assert majority_share <= passed
        assert error == 0
    assert document["math"]["pass@1[3]"]["symbolic_correct"] == pytest.approx(lines[0][1], abs=1e-4)


def test_the_curve_of_the_majority_votes_as_the_vote_did(tmp_path: Path) -> None:
    answers = [("a", 0, "1/2", "correct"), ("a", 1, "0.5", "correct"), ("a", 2, "7", "incorrect")]
    keys = ("id", "seed", "predicted_answer", "verdict")
    write_jsonl(tmp_path / "spelled.jsonl", [dict(zip(keys, row, strict=True)) for row in answers])
    write_jsonl(tmp_path / "won.jsonl", [{"id": "a", "predicted_answer": "1/2", "verdict": "correct"}])
    curves = {}
    for vote_by in ("classes", "text"):
        compute_metrics.main([
            *("--benchmark", "math", "--model", "student", "--num-samples", "3", "--vote-by", vote_by),
            *("--answers", str(tmp_path / "spelled.jsonl"), "--majority", str(tmp_path / "won.jsonl")),
            *("--metrics", str(tmp_path / "metrics.json"), "--table", str(tmp_path / "metrics.txt")),
        ])  # fmt: skip
        curves[vote_by] = json.loads((tmp_path / "metrics.json").read_text())["facts"]["majority_at_k"]
    assert curves["classes"] == pytest.approx([200 / 3, 200 / 3, 100])
    assert curves["text"] == pytest.approx([200 / 3] * 3), "three texts tie, two of them right"


def test_the_curve_of_the_majority_follows_the_conventions_of_the_vote(tmp_path: Path) -> None:
    answers = [("a", 0, "x=5", "correct"), ("a", 1, "5", "correct"), ("a", 2, "7", "incorrect")]
    keys = ("id", "seed", "predicted_answer", "verdict")
    write_jsonl(tmp_path / "spelled.jsonl", [dict(zip(keys, row, strict=True)) for row in answers])
    write_jsonl(tmp_path / "won.jsonl", [{"id": "a", "predicted_answer": "x=5", "verdict": "correct"}])
    curves = {}
    for value in ("optional", "required"):
        compute_metrics.main([
            *("--benchmark", "math", "--model", "student", "--num-samples", "3", "--convention", f"names={value}"),
            *("--answers", str(tmp_path / "spelled.jsonl"), "--majority", str(tmp_path / "won.jsonl")),
            *("--metrics", str(tmp_path / "metrics.json"), "--table", str(tmp_path / "metrics.txt")),
        ])  # fmt: skip
        curves[value] = json.loads((tmp_path / "metrics.json").read_text())["facts"]["majority_at_k"]
    assert curves["optional"] == pytest.approx([200 / 3, 200 / 3, 100])
    assert curves["required"] == pytest.approx([200 / 3] * 3), "three answers tie, two of them right"


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        run(tmp_path, *SAMPLES, *JUDGED)
        written.append([(tmp_path / name).read_bytes() for name in ("metrics.json", "metrics.txt", "curves.tsv")])
    assert written[0] == written[1]


def test_greedy_alone(tmp_path: Path) -> None:
    document = run(tmp_path, "--num-samples", "0", verdicts={None: VERDICTS[None]})
    assert list(document["math"]) == ["greedy"]
    assert document["math"]["greedy"]["judge_correct"] is None
    assert "pass_at_k" not in document["facts"]
    assert list(read_curves(tmp_path / "curves.tsv")) == []


def test_samples_alone(tmp_path: Path) -> None:
    document = run(tmp_path, *SAMPLES, verdicts={0: VERDICTS[0], 1: VERDICTS[1]})
    assert list(document["math"]) == ["majority@2", "pass@2", "pass@1[2]"]


@pytest.mark.parametrize(
    ("name", "other", "message"),
    [
        pytest.param("majority", "b", "line 1: 'b', where the answers have id 'a'", id="a vote on other problems"),
        pytest.param("problems", "ab", "line 3: nothing, where the answers have id 'c'", id="too few problems"),
        pytest.param("problems", "abcd", "line 4: the answers end before", id="too many problems"),
    ],
)
def test_files_about_other_problems_are_refused(tmp_path: Path, name: str, other: str, message: str) -> None:
    write_jsonl(
        tmp_path / "other.jsonl", [{"id": letter, "predicted_answer": "1", "verdict": "correct"} for letter in other]
    )
    with pytest.raises(RecordError, match=rf"other\.jsonl, {message}"):
        run(tmp_path, *SAMPLES, f"--{name}", "{folder}/other.jsonl")


def test_an_empty_file_has_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"answers\.jsonl has no rows"):
        run(tmp_path, *SAMPLES, verdicts={})


def test_a_judged_file_about_other_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"judged-majority\.jsonl, line 3: not about 'c'"):
        run(tmp_path, "--num-samples", "0", "--judged", "{folder}/judged-majority.jsonl",
            verdicts={None: ["correct", "incorrect", "incorrect"]})  # fmt: skip


@pytest.mark.parametrize("seed", [None, 0])
def test_ungraded_answers_cannot_be_measured(tmp_path: Path, seed: int | None) -> None:
    verdicts = {None: VERDICTS[None], 0: VERDICTS[0], 1: VERDICTS[1], seed: ["ungraded", "correct", "correct"]}
    with pytest.raises(RecordError, match="'a' has no expected answer"):
        run(tmp_path, *SAMPLES, verdicts=verdicts)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--num-samples", "2"), id="samples without their majority"),
        pytest.param(("--num-samples", "0", *SAMPLES[2:]), id="a majority without samples"),
        pytest.param(("--num-samples", "0", "--judged-majority", "x"), id="a judged majority without a majority"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path, *options)
