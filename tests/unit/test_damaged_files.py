"""A file of records that was cut or broken is named with its line by every stage, which then writes nothing."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import check_contamination
import clean_problems
import compute_metrics
import generate
import grade_answers
import judge_answers
import pack_sequences
import prepare_sft_data
import retrieve_similar
import train_leg
import vote_answers
from openmath.records import Record, RecordError, read_lines, write_jsonl

IDS = "abc"
PROBLEMS = [{"id": i, "problem": f"problem {i}", "problem_source": "shop", "expected_answer": "2"} for i in IDS]
GENERATIONS = [
    {**row, "generation": r"It is \boxed{2}.", "finish_reason": "stop", "num_generated_tokens": 5, "seed": 0}
    for row in PROBLEMS
]
ANSWERS = [{"id": i, "seed": 0, "predicted_answer": "2", "verdict": "correct"} for i in IDS]
GREEDY = [{**row, "seed": None} for row in ANSWERS]
MAJORITY = [{"id": i, "expected_answer": "2", "majority_votes": 1, "total_votes": 1} for i in IDS]
JUDGED = [
    {"id": i, "seed": None, "predicted_answer": "2", "judgement": "Judgement: Yes", "judge_verdict": "yes"} for i in IDS
]
SIMILAR = [{"id": i, "problem": f"new {i}", "similar": []} for i in IDS]
CHECKED = [{"id": i, "problem": f"new {i}", "contaminated": False, "matches": [], "calls": 0} for i in IDS]
TRAINING_ROWS = [{"input": f"<|user|>{i}<|end|><|assistant|>", "output": r"It is \boxed{2}.<|end|>"} for i in IDS]

ASKED = (
    "--model m --engine openai --address http://127.0.0.1:9/v1 --top-p 0.95 --max-tokens 9 --temperature 0 --work work "
    "--template {root}/resources/templates/brief.yaml --prompt {root}/resources/prompts/brief/"
)


@dataclass(frozen=True)
class Stage:
    """A script, the files that it reads and its options; whatever it writes goes below ``out``."""

    main: Callable[[list[str]], None]
    inputs: dict[str, list[Record]]
    options: str


STAGES = {
    "generate": Stage(
        generate.main,
        {"problems.jsonl": PROBLEMS},
        f"--input problems.jsonl --output out/output.jsonl --manifest out/manifest.json {ASKED}solve.yaml",
    ),
    "clean_problems": Stage(
        clean_problems.main,
        {
            "output-rs0.jsonl": GENERATIONS,
            "output-rs1.jsonl": [{**row, "seed": 1} for row in GENERATIONS],
            "train.jsonl": PROBLEMS,
        },
        "--dataset shop --seed 1 --raw output-rs0.jsonl output-rs1.jsonl --seed-problems train.jsonl "
        "--output out/problem-set.jsonl --counts out/counts.json",
    ),
    "retrieve_similar": Stage(
        retrieve_similar.main,
        {"problem-set.jsonl": PROBLEMS, "test.jsonl": PROBLEMS},
        "--problems problem-set.jsonl --benchmarks shop=test.jsonl --embedding-model unused --top-k 1 "
        "--min-similarity 0 --output out/retrieved.jsonl --counts out/counts.json",
    ),
    "check_contamination": Stage(
        check_contamination.main,
        {"retrieved.jsonl": SIMILAR},
        "--retrieved retrieved.jsonl --output out/checked.jsonl --counts out/counts.json "
        f"--manifest out/manifest.json {ASKED}contamination.yaml",
    ),
    "grade_answers": Stage(
        grade_answers.main,
        {"output.jsonl": GENERATIONS, "output-rs0.jsonl": GENERATIONS},
        "--folder . --greedy --num-seeds 1 --answers out/answers.jsonl --counts out/counts.json",
    ),
    "vote_answers": Stage(
        vote_answers.main,
        {"answers.jsonl": ANSWERS, "test.jsonl": PROBLEMS},
        "--answers answers.jsonl --num-seeds 1 --reference test.jsonl --majority out/majority.jsonl "
        "--counts out/counts.json",
    ),
    "judge_answers": Stage(
        judge_answers.main,
        {"test.jsonl": PROBLEMS, "answers.jsonl": GREEDY},
        "--problems test.jsonl --candidates answers.jsonl --kind greedy --output out/judged.jsonl "
        f"--counts out/counts.json --manifest out/manifest.json {ASKED}judge.yaml",
    ),
    "compute_metrics": Stage(
        compute_metrics.main,
        {
            "answers.jsonl": [*GREEDY, *ANSWERS],
            "majority.jsonl": ANSWERS,
            "judged.jsonl": JUDGED,
            "judged-majority.jsonl": JUDGED,
        },
        "--benchmark shop --model m --answers answers.jsonl --num-samples 1 --majority majority.jsonl "
        "--judged judged.jsonl --judged-majority judged-majority.jsonl --metrics out/metrics.json "
        "--table out/table.txt",
    ),
    "prepare_sft_data": Stage(
        prepare_sft_data.main,
        {
            "output-rs0.jsonl": [{k: v for k, v in row.items() if k != "expected_answer"} for row in GENERATIONS],
            "answers.jsonl": [{**row, "verdict": "ungraded"} for row in ANSWERS],
            "majority.jsonl": MAJORITY,
            "checked.jsonl": CHECKED,
        },
        "--folders . --contamination checked.jsonl --tokenizer {model} --min-solution-chars 1 "
        "--max-solution-tokens 99 --max-problem-tokens 99 --shuffle-seed 1 --downsample none "
        "--prompt {root}/resources/prompts/brief/solve.yaml --template {root}/resources/templates/brief.yaml "
        "--output out/sft_data.jsonl --counts out/counts.json",
    ),
    "pack_sequences": Stage(
        pack_sequences.main,
        {"sft_data.jsonl": TRAINING_ROWS},
        "--data sft_data.jsonl --tokenizer {model} --capacity 99 --algorithm first_fit_shuffle --seed 0 "
        "--output-prefix out/packed",
    ),
    "train_leg": Stage(
        train_leg.main,
        {"sft_data.jsonl": TRAINING_ROWS},
        "--run r --leg 1 --base-model {model} --data sft_data.jsonl --unpacked --work work "
        "--checkpoints out/checkpoints --output out/1.json --steps 1 --save-steps 1 --micro-batch-size 1 "
        "--global-batch-size 1 --learning-rate 1e-3 --min-learning-rate 1e-3 --schedule constant --warmup-steps 0 "
        "--optimizer adamw --weight-decay 0 --seed 0",
    ),
}

# Training rows apart: those who read and write them have tests of their own.
COMPRESSED = {
    title: replace(
        stage,
        inputs={f"{name}.zst": rows for name, rows in stage.inputs.items()},
        options=stage.options.replace(".jsonl", ".jsonl.zst"),
    )
    for title, stage in STAGES.items()
    if title not in ("pack_sequences", "train_leg")
}


@pytest.fixture
def run(root: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Stage], None]:
    """Run a stage in ``tmp_path``, where its inputs stand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(retrieve_similar, "load_embedding", lambda folder: lambda texts: np.ones((len(texts), 1)))

    def run(stage: Stage) -> None:
        stage.main([word.format(root=root, model=tiny_model) for word in stage.options.split()])

    return run


def write_inputs(stage: Stage, folder: Path) -> None:
    for name, rows in stage.inputs.items():
        write_jsonl(folder / name, rows)


def damage(path: Path, how: str) -> int:
    """Cut the file inside its last line, or break its second; return the number of the line."""
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-9])
        return len(lines)
    path.write_bytes(b"".join([lines[0], lines[1][9:], *lines[2:]]))
    return 2


@pytest.mark.parametrize("how", ["cut", "broken"])
@pytest.mark.parametrize(
    ("stage", "name"),
    [pytest.param(stage, name, id=f"{title}-{name}") for title, stage in STAGES.items() for name in stage.inputs],
)
def test_the_file_and_its_line_are_named(run, tmp_path: Path, stage: Stage, name: str, how: str) -> None:
    write_inputs(stage, tmp_path)
    line = damage(tmp_path / name, how)
    with pytest.raises((RecordError, SystemExit), match=rf"(^|/|: ){re.escape(name)}, line {line}: "):
        run(stage)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("how", ["cut", "longer"])
@pytest.mark.parametrize(
    ("stage", "name"),
    [pytest.param(stage, name, id=f"{title}-{name}") for title, stage in COMPRESSED.items() for name in stage.inputs],
)
def test_a_compressed_file_and_its_last_line_are_named(run, tmp_path: Path, stage: Stage, name: str, how: str) -> None:
    write_inputs(stage, tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-3] if how == "cut" else content + b"more")
    message = rf"(^|/|: ){re.escape(name)}, after line {len(stage.inputs[name])}: "
    with pytest.raises((RecordError, SystemExit), match=message):
        run(stage)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("title", [title for title in STAGES if title not in ("generate", "train_leg")])
def test_the_files_are_good_but_for_their_damage(run, tmp_path: Path, title: str) -> None:
    write_inputs(STAGES[title], tmp_path)
    run(STAGES[title])
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("title", [title for title in COMPRESSED if title != "generate"])
def test_compressed_files_give_what_plain_ones_give(run, tmp_path: Path, title: str) -> None:
    def written() -> dict[str, str]:
        """The texts of the files, in which other files are called as if they were plain."""
        names = [path for path in (tmp_path / "out").iterdir() if "manifest" not in path.name]
        return {
            path.name.removesuffix(".zst"): b"".join(line for _, line in read_lines(path)).decode().replace(".zst", "")
            for path in names
        }

    write_inputs(COMPRESSED[title], tmp_path)
    run(COMPRESSED[title])
    compressed = written()
    shutil.rmtree(tmp_path / "out")
    for path in tmp_path.glob("*.zst"):
        path.unlink()
    write_inputs(STAGES[title], tmp_path)
    run(STAGES[title])
    assert written() == compressed
    assert compressed
