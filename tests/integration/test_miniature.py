"""The miniature from nothing to its final table: the chain is real, and what it says holds together."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from running import Run, digests

from openmath.packed_rows import read_flat
from openmath.records import read_jsonl, zip_records

pytestmark = pytest.mark.slow


def table(run: Run) -> dict[tuple[str, str, str], dict[str, str]]:
    """The rows of the final table by model, benchmark and mode."""
    with open(run.results / "openmath2_metrics.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {(row["model"], row["benchmark"], row["evaluation_mode"]): row for row in rows}


def dropped(run: Run) -> dict[str, int]:
    """Rows that fell out of the training data, by reason."""
    counts = json.loads((run.results / "sft_data.counts.json").read_text())
    reasons: dict[str, int] = {}
    for step in counts["funnel"]:
        reasons[step["reason"]] = reasons.get(step["reason"], 0) + step["dropped"]
    return reasons


def test_the_table_holds_every_model_benchmark_and_mode(miniature: Run) -> None:
    rows = table(miniature)
    modes = {
        "student-packed": ["greedy", "majority@8", "pass@8", "pass@1[8]"],
        "student-unpacked": ["greedy"],
        "teacher": ["greedy"],
    }
    expected = [(model, benchmark, mode) for model in modes for benchmark in ("shop", "trips") for mode in modes[model]]
    assert list(rows) == expected
    for row in rows.values():
        assert row["num_entries"] == "100"
        assert float(row["ci_low"]) <= float(row["ci_high"])
        assert 0 <= float(row["no_answer"]) <= 100


def test_the_teacher_solves_some_problems_and_not_all(miniature: Run) -> None:
    rows = table(miniature)
    solved = [float(rows["teacher", benchmark, "greedy"]["symbolic_correct"]) for benchmark in ("shop", "trips")]
    assert 50 <= sum(solved) / len(solved) <= 85


def test_every_training_row_names_the_generation_that_it_came_from(miniature: Run) -> None:
    generations: dict[str, dict[str, dict[str, Any]]] = {}
    rows = list(read_jsonl(miniature.results / "sft_data.jsonl"))
    assert len(rows) > 500
    for row in rows:
        source = row["generation"]
        if source["file"] not in generations:
            generations[source["file"]] = {
                record["id"]: record for record in read_jsonl(miniature.results / source["file"])
            }
        record = generations[source["file"]][source["id"]]
        assert record["seed"] == source["seed"]
        assert record["problem"] in row["input"]
        assert row["output"].removesuffix("<|end|>") in record["generation"]
        assert row["expected_answer"] in row["output"]


@pytest.mark.parametrize(
    "reason", ["duplicate", "contaminated", "truncated", "wrong", "no_majority", "too_long"], ids=lambda name: name
)
def test_the_funnel_drops_something_as(reason: str, miniature: Run) -> None:
    assert dropped(miniature).get(reason, 0) > 0


def test_the_funnel_accounts_for_every_row(miniature: Run) -> None:
    counts = json.loads((miniature.results / "sft_data.counts.json").read_text())
    generated = sum(
        1
        for stage in ("solution-augmentation", "new-problems-solution-augmentation")
        for file in (miniature.results / stage).rglob("output-rs*.jsonl")
        for _ in read_jsonl(file)
    )
    assert counts["rows_in"] == generated
    assert counts["rows_out"] == counts["rows_in"] - sum(dropped(miniature).values())
    assert counts["rows_out"] == sum(1 for _ in read_jsonl(miniature.results / "sft_data.jsonl"))


def test_the_student_starts_from_random_weights(miniature: Run) -> None:
    from safetensors.numpy import load_file

    start = load_file(miniature.results.parent / "resources/models/student-base/hf/model.safetensors")
    matrices = [tensor for tensor in start.values() if tensor.ndim == 2]
    for matrix in matrices:
        assert abs(float(matrix.mean())) < 0.01
        assert float(matrix.std()) == pytest.approx(0.05, rel=0.1)


def test_the_model_is_the_mean_of_its_three_checkpoints(miniature: Run) -> None:
    from safetensors.numpy import load_file

    run = miniature.results / "training/student-packed"
    steps = yaml.safe_load((miniature.results / "config.json").read_text())["training"]["student-packed"][
        "average_steps"
    ]
    parts = [load_file(run / f"checkpoints/step={step}/model.safetensors") for step in steps]
    assert len(parts) == 3
    mean = load_file(run / "model-averaged-hf/model.safetensors")
    for name, tensor in mean.items():
        np.testing.assert_allclose(tensor, np.mean([part[name] for part in parts], axis=0), atol=1e-6)


def test_training_went_in_legs(miniature: Run) -> None:
    legs = sorted((miniature.results / "training/student-packed/legs").glob("*.json"))
    finished = [json.loads(leg.read_text())["finished"] for leg in legs]
    assert finished == [False, True]


def test_packed_rows_hold_every_training_row_once(miniature: Run) -> None:
    packed = sum(len(row) for row in read_flat(miniature.results / "packed/sft_data/packed_512_seed0"))
    assert packed == sum(1 for _ in read_jsonl(miniature.results / "sft_data.jsonl"))


def test_answers_stand_beside_the_generations_they_are_of(miniature: Run) -> None:
    folder = miniature.results / "evaluation/teacher/shop"
    for generation, answer in zip_records(folder / "output.jsonl", folder / "answers.jsonl"):
        assert answer["seed"] is None
        assert (answer["predicted_answer"] is None) == (answer["verdict"] in ("no_answer", "truncated"))
        assert answer["verdict"] != "truncated" or generation["finish_reason"] == "length"


def test_a_second_call_does_nothing(miniature: Run, run_workflow: Callable[..., Run]) -> None:
    again = run_workflow(miniature.results.parent)
    assert "Nothing to be done" in again.output


UNTRAINED = {
    "datasets": {
        name: {"options": {"rows": {"train": 30, "test": 20}}, "solution_seeds": 2} for name in ("shop", "trips")
    },
    "models": {name: {"training": {"steps": 0}} for name in ("teacher", "checker")},
}


def test_an_untrained_teacher_makes_no_training_data(run_workflow: Callable[..., Run], tmp_path: Path) -> None:
    run = run_workflow(tmp_path, UNTRAINED, target="sft_data.jsonl")
    assert sum(1 for _ in read_jsonl(run.results / "sft_data.jsonl")) == 0
    assert sum(dropped(run).values()) > 0


SMALL = {
    "datasets": {
        "shop": {"options": {"rows": {"train": 24, "test": 10}}, "solution_seeds": 2, "new_solution_seeds": 2}
    },
    "synthesis": {"datasets": ["shop"]},
    "contamination": {"benchmarks": ["shop"]},
    "models": {name: {"training": {"steps": 150}} for name in ("teacher", "checker")},
    "majority": {"min_votes": 1},
    "sft": {"filters": {"drop_wrong_arithmetic": False}},  # after so few steps the teacher adds wrongly
    "training": {
        "student-packed": {"steps": 12, "warmup_steps": 2, "save_steps": 4, "average_steps": [4, 8, 12], "leg_steps": 8}
    },
    "evaluation": {
        "benchmarks": ["shop"],
        "models": ["student-packed"],
        "samples": {"student-packed": 2},
    },
}


def test_two_clean_runs_give_the_same_bytes(run_workflow: Callable[..., Run], tmp_path: Path) -> None:
    first = run_workflow(tmp_path / "first", SMALL)
    second = run_workflow(tmp_path / "second", SMALL)
    made = digests(first.results)
    assert any(name.endswith(".npy") for name in made)
    assert digests(second.results) == made
    assert digests(second.results.parent / "resources") == digests(first.results.parent / "resources")
