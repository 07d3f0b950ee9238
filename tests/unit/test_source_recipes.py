"""A hundred rows of the released OpenMathInstruct-2, prepared as the source documents do it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import grade_answers
import prepare_sft_data
from openmath.records import Record, read_jsonl, record_id, write_jsonl

Prepare = Callable[..., tuple[list[Record], dict[str, Any]]]


@pytest.fixture
def released(shared_data: Path) -> Path:
    return shared_data / "generations/openmathinstruct2_sample100.jsonl"


@pytest.fixture
def prepare(root: Path, tmp_path: Path) -> Prepare:
    """Prepare with the paper's template and shuffle seed; return the rows and the counts."""

    def run(*words: str) -> tuple[list[Record], dict[str, Any]]:
        prepare_sft_data.main(
            [
                *("--prompt", str(root / "resources/prompts/full/solve.yaml"), "--shuffle-seed", "42"),
                *("--template", str(root / "resources/templates/llama3-instruct.yaml")),
                *("--output", str(tmp_path / "rows.jsonl"), "--counts", str(tmp_path / "counts.json"), *words),
            ]
        )
        return list(read_jsonl(tmp_path / "rows.jsonl")), json.loads((tmp_path / "counts.json").read_text())

    return run


def ready_made(path: Path) -> tuple[str, ...]:
    return ("--source", "path", "--path", str(path), "--source-key", "problem_source")


def test_both_documents_that_train_on_released_data_write_the_same_rows(released: Path, prepare: Prepare) -> None:
    """One gives the end of the turn by hand (`generation_suffix`), the other takes it from the template."""
    by_hand, counts = prepare(*ready_made(released), "--suffix", "<|eot_id|>")
    from_template, _ = prepare(*ready_made(released))
    assert by_hand == from_template
    assert (counts["rows_in"], counts["rows_out"]) == (100, 100)
    source = list(read_jsonl(released))
    expected = [
        {
            "input": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nWork out the math problem below step by step, and write its "
            f"final answer, and only that, inside \\boxed{{}}.\n\n{row['problem']}<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "output": f"{row['generated_solution']}<|eot_id|>",
            "expected_answer": row["expected_answer"],
            "problem_source": row["problem_source"],
        }
        for row in source
    ]
    assert sorted(map(str, by_hand)) == sorted(map(str, expected))
    assert by_hand != expected


def test_released_rows_pass_the_filters_that_they_were_made_with(
    released: Path, prepare: Prepare, tmp_path: Path
) -> None:
    """They were trimmed, split, checked and cut to length when they were made, so nothing is left to do."""
    source = list(read_jsonl(released))
    generations = [
        {
            "id": record_id(row["problem_source"], row["problem"]),
            "problem": row["problem"],
            "problem_source": row["problem_source"],
            "expected_answer": row["expected_answer"],
            "generation": row["generated_solution"],
            "finish_reason": "stop",
            "num_generated_tokens": 1,
            "seed": 0,
        }
        for row in source
    ]
    folder = tmp_path / "graded"
    write_jsonl(folder / "output-rs0.jsonl", generations)
    grade_answers.main(
        [
            *("--folder", str(folder), "--num-seeds", "1", "--answers", str(folder / "answers.jsonl")),
            *("--counts", str(folder / "answers.counts.json")),
        ]
    )
    switches = ("drop-multi-boxed", "trim-prefix", "trim-solutions", "drop-wrong-arithmetic", "split-arithmetic")
    filters = (*(f"--{switch}" for switch in switches), "--min-solution-chars", "200")
    rows, counts = prepare("--folders", str(folder), *filters)
    assert {step["reason"] for step in counts["funnel"] if step["dropped"]} == set()
    assert sorted(row["output"] for row in rows) == sorted(f"{row['generated_solution']}<|eot_id|>" for row in source)
    assert min(len(row["generated_solution"]) for row in source) >= 200


def test_a_fair_sample_of_real_rows_has_every_problem(released: Path, prepare: Prepare) -> None:
    source = list(read_jsonl(released))
    problems = {row["problem"] for row in source}
    rows, _ = prepare(*ready_made(released), "--downsample", "fair", "--num-samples", str(len(problems)))
    assert len({row["input"] for row in rows}) == len(problems)
