"""The workflow as a whole: it plans in every configuration, and every rule is documented, logged and mapped."""

import fcntl
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from snakemake.api import ConfigSettings, ResourceSettings, SnakemakeApi, StorageSettings, WorkflowSettings


def snakemake(*arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run the Snakemake of this environment in the repository."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments], cwd=root, capture_output=True, text=True, check=False
    )


def planned_jobs(output: str) -> dict[str, int]:
    """The job counts of a dry run."""
    lines = output.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
    return {line.split()[0]: int(line.split()[1]) for line in lines}


@pytest.fixture(scope="module")
def rules(root: Path) -> list:
    with SnakemakeApi() as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[root / "config/demo.yaml"]),
            storage_settings=StorageSettings(),
            workflow_settings=WorkflowSettings(),
            snakefile=root / "Snakefile",
            workdir=root,
        )
        return list(workflow._workflow.rules)


def test_every_rule_has_a_docstring_a_log_and_a_benchmark(rules: list) -> None:
    for rule in rules:
        if rule.name == "all":
            continue
        assert rule.log, f"{rule.name} writes no log"
        assert rule.benchmark, f"{rule.name} records no time and memory"
        assert rule.docstring, f"{rule.name} does not say what it does"


def test_every_rule_that_a_profile_names_exists(rules: list, root: Path) -> None:
    names = {rule.name for rule in rules}
    for profile in sorted(root.glob("profiles/*/config.yaml")):
        settings = yaml.safe_load(profile.read_text())
        for key in ("set-resources", "set-threads", "consider-ancient"):
            unknown = set(settings.get(key, {})) - names
            assert not unknown, f"{profile}: {key} names rules that do not exist: {unknown}"


def test_the_miniature_plans_every_stage(root: Path, tmp_path: Path) -> None:
    elsewhere = f"pathvars={{results: {tmp_path}, resources: {tmp_path}}}"
    done = snakemake("-n", "--profile", "profiles/demo", "--config", elsewhere, root=root)
    assert done.returncode == 0, done.stderr
    jobs = planned_jobs(done.stdout)
    assert jobs["augment_solutions"] == 2 * 4
    assert jobs["augment_problems"] == 2 * 2
    assert jobs["solve_new_problems"] == 2 * 2 * 4
    assert jobs["evaluate_greedy"] == 3 * 2
    assert jobs["evaluate_samples"] == 2 * 8
    assert jobs["make_model"] == 3


def test_the_paper_plans_without_network_or_gpu(root: Path) -> None:
    done = snakemake("-n", "results/openmath2_metrics.tsv", "--profile", "slurm", root=root)
    assert done.returncode == 0, done.stderr
    jobs = planned_jobs(done.stdout)
    assert jobs["augment_solutions"] == 512 + 64
    assert jobs["augment_problems"] == 80 + 10
    assert jobs["solve_new_problems"] == (80 + 10) * 32
    assert jobs["vote_new_answers"] == 90
    assert jobs["evaluate_samples"] == 2 * 5 * 256


def test_one_file_can_be_asked_for_by_itself(root: Path) -> None:
    done = snakemake("-n", "results/solution-augmentation/math/output-rs5.jsonl", "--profile", "slurm", root=root)
    assert done.returncode == 0, done.stderr
    assert planned_jobs(done.stdout) == {
        "prepare_dataset": 1,
        "fetch_model": 1,
        "augment_solutions": 1,
        "total": 3,
    }


def test_the_readme_draws_the_rules_as_they_depend_on_each_other(root: Path, tmp_path: Path) -> None:
    elsewhere = f"pathvars={{results: {tmp_path}, resources: {tmp_path}}}"
    done = snakemake("--rulegraph", "mermaid-js", "--profile", "profiles/demo", "--config", elsewhere, root=root)
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", done.stdout))
    depends = {(names[one], names[other]) for one, other in re.findall(r"(id\d+) --> (id\d+)", done.stdout)}
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", (root / "README.md").read_text(), flags=re.MULTILINE))
    assert drawn == depends


@pytest.mark.parametrize(("env", "extras"), [("core", []), ("torch", ["demo"])])
def test_an_environment_has_the_pins_of_the_package(env: str, extras: list[str], root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    pins = project["dependencies"] + [pin for extra in extras for pin in project["optional-dependencies"][extra]]
    (pip,) = [item["pip"] for item in yaml.safe_load((root / f"envs/{env}.yaml").read_text())["dependencies"][2:]]
    assert sorted(pip) == sorted(pins)


def test_two_runs_do_not_write_to_the_same_results(root: Path, tmp_path: Path) -> None:
    elsewhere = f"pathvars={{results: {tmp_path}, resources: {tmp_path}, logs: {tmp_path}, benchmarks: {tmp_path}}}"
    target = str(tmp_path / "datasets/shop/test.jsonl")
    arguments = ("--profile", "profiles/demo", "--config", elsewhere, "--", target)
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = snakemake(*arguments, root=root)
    assert refused.returncode != 0
    assert f"another run is at work in {tmp_path}" in refused.stderr + refused.stdout
    assert snakemake(*arguments, root=root).returncode == 0
