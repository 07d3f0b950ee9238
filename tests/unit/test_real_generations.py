"""Grading, voting and metrics on real samples: 100 MATH problems with 8 solutions each, scored by another grader."""

import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import compute_metrics
import grade_answers
import vote_answers
from openmath.answers import answers_equal
from openmath.records import read_jsonl, write_jsonl

SAMPLES = 8


@pytest.fixture(scope="module")
def source(shared_data: Path) -> list[dict[str, Any]]:
    lines = (shared_data / "generations/qwen_math_cot_100x8.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def folder(source: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples in the layout of an evaluation folder, graded, voted on and measured; the first sample is greedy."""
    folder = tmp_path_factory.mktemp("math")
    problems = [
        {"id": str(row["idx"]), "problem": row["question"], "expected_answer": row["gt"], "problem_source": "math"}
        for row in source
    ]
    write_jsonl(folder / "problems.jsonl", problems)

    def write(name: str, sample: int, seed: int | None) -> None:
        added = [{"generation": row["code"][sample], "finish_reason": "stop", "seed": seed} for row in source]
        rows = [{**problem, **more} for problem, more in zip(problems, added, strict=True)]
        write_jsonl(folder / name, rows)

    write("output.jsonl", 0, None)
    for sample in range(SAMPLES):
        write(f"output-rs{sample}.jsonl", sample, sample)

    def run(script: ModuleType, **options: object) -> None:
        words = [
            [f"--{key.replace('_', '-')}", *([] if value is True else [str(value)])] for key, value in options.items()
        ]
        script.main([word for option in words for word in option])

    answers, majority = folder / "answers.jsonl", folder / "majority.jsonl"
    counts = folder / "counts.json"
    run(grade_answers, folder=folder, num_seeds=SAMPLES, answers=answers, counts=counts, greedy=True)
    reference = folder / "problems.jsonl"
    run(vote_answers, answers=answers, reference=reference, num_seeds=SAMPLES, majority=majority, counts=counts)
    measured = {"metrics": folder / "metrics.json", "table": folder / "metrics.txt"}
    asked = {"model": "qwen", "benchmark": "math", "num_samples": SAMPLES}
    run(compute_metrics, answers=answers, majority=majority, **asked, **measured)
    return folder


@pytest.fixture(scope="module")
def scores(source: list[dict[str, Any]]) -> list[list[bool]]:
    """The other grader's scores, but for golds that it cannot read: `4:30p..` (3), `10{,}000` (72, sample 7)."""
    scores = [list(row["score"]) for row in source]
    scores[72][7] = True
    scores[3] = [True] * SAMPLES
    return scores


def test_metrics_are_those_of_the_other_graders_scores(folder: Path, scores: list[list[bool]]) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["math"]["greedy"]["symbolic_correct"] == pytest.approx(sum(row[0] for row in scores))
    assert metrics["math"]["pass@8"]["symbolic_correct"] == pytest.approx(sum(any(row) for row in scores))
    mean = sum(map(sum, scores)) / SAMPLES
    assert metrics["facts"]["pass_at_k"][0] == pytest.approx(mean)
    assert metrics["math"]["greedy"]["num_entries"] == 100


def test_the_vote_is_won_by_the_answer_that_most_samples_give(folder: Path, source: list[dict[str, Any]]) -> None:
    rows = list(read_jsonl(folder / "majority.jsonl"))
    assert [row["id"] for row in rows] == [str(row["idx"]) for row in source]
    for row, record in zip(rows, source, strict=True):
        votes = Counter(record["pred"]).most_common()
        assert row["total_votes"] == SAMPLES
        assert row["majority_votes"] >= votes[0][1]
        if votes[0][1] > SAMPLES / 2:
            assert answers_equal(votes[0][0], row["predicted_answer"])


def test_majority_counts_the_winners_that_are_right(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    right = sum(row["verdict"] == "correct" for row in read_jsonl(folder / "majority.jsonl"))
    assert metrics["math"]["majority@8"]["symbolic_correct"] == pytest.approx(right)
    assert metrics["math"]["majority@8"]["symbolic_correct"] > metrics["facts"]["pass_at_k"][0]
