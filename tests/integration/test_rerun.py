"""What is made again after a change, and what is not: nothing that has cost GPU hours, by accident.

The miniature is finished; a copy of the repository is changed and asked for its plan.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import planning
import pytest
import yaml
from running import Overlay, Run

pytestmark = pytest.mark.slow

PROFILES = {"slurm": ["--profile", "slurm"], "local": ["--cores", "2"]}
GRADED = {
    "grade_solutions": 2,
    "grade_new_solutions": 4,
    "vote_new_answers": 4,
    "prepare_sft_data": 1,
    "pack_flat": 1,
    "suggest_batch": 1,
    "grade_evaluation": 6,
    "vote_answers": 2,
    "judge_answers": 6,
    "judge_majority": 2,
    "compute_metrics": 6,
    "tabulate_results": 1,
}
TRAINED_AGAIN = {"train_leg": 2, "average_checkpoints": 2, "evaluate_greedy": 4, "evaluate_samples": 16}

Plan = Callable[..., dict[str, int]]


@pytest.fixture
def checkout(root: Path, miniature: Run, tmp_path: Path) -> Path:
    """A fresh checkout (every file is newer than every result), with what Snakemake remembers of the miniature."""
    folder = tmp_path / "checkout"
    shutil.copytree(
        root, folder, symlinks=True, ignore=shutil.ignore_patterns(".git", ".venv", ".snakemake", "results")
    )
    shutil.copytree(root / ".snakemake/metadata", folder / ".snakemake/metadata")
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            os.utime(file)
    return folder


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plan(checkout: Path, miniature: Run, profile: str) -> Plan:
    """The jobs that a checkout plans, by rule."""

    def jobs(*arguments: str, overlay: Overlay | None = None) -> dict[str, int]:
        changes = checkout / "changes.yaml"
        changes.write_text(yaml.safe_dump(overlay or {"margins": {}}))
        files = ["config/demo.yaml", miniature.results.parent / "overlay.yaml", changes]
        overlays = ["--configfile", *map(str, files)]
        target = str(miniature.results / "openmath2_metrics.tsv")
        return planning.plan(target, *PROFILES[profile], *overlays, *arguments, root=checkout).jobs

    return jobs


def edit(checkout: Path, name: str) -> None:
    """Add a comment to a file."""
    with open(checkout / name, "a") as file:
        file.write("\n# changed\n")


def test_a_fresh_checkout_and_changes_that_change_no_result_plan_nothing(
    checkout: Path, plan: Plan, miniature: Run
) -> None:
    for name in ("scripts/openmath/client.py", "scripts/openmath/lease.py", "rules/synthesis.smk", "Snakefile"):
        edit(checkout, name)
    problems = next((miniature.results.parent / "resources").rglob("train.jsonl"))
    problems.write_bytes(problems.read_bytes())
    limits = ("augment_solutions:runtime=999", "train_leg:runtime=999", "train_leg:mem_mb=999")
    server = {"concurrency": 7, "options": {"idle_timeout": 9}}
    overlay = {"margins": {"generation": 3, "training": 3}, "models": {"teacher": {"server": server}}}
    assert plan("--set-resources", *limits, overlay=overlay) == {}


def test_an_edited_grader_grades_again_and_asks_for_no_gpu(checkout: Path, plan: Plan, profile: str) -> None:
    edit(checkout, "scripts/openmath/answers/exact.py")
    assert plan() == (GRADED if profile == "slurm" else {**GRADED, **TRAINED_AGAIN})


def test_an_edited_gpu_script_is_followed_on_a_laptop_and_not_on_a_cluster(
    checkout: Path, plan: Plan, profile: str
) -> None:
    edit(checkout, "scripts/generate.py")
    edit(checkout, "scripts/train_leg.py")
    jobs = plan()
    generation = {"augment_solutions": 8, "augment_problems": 4, "solve_new_problems": 16, "check_contamination": 1}
    assert jobs == {} if profile == "slurm" else {**jobs, **generation, **TRAINED_AGAIN, "evaluate_greedy": 6} == jobs
