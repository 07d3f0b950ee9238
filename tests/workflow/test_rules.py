"""The workflow as a whole: it plans in every configuration, and every rule is documented, logged and mapped."""

import fcntl
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from planning import snakemake
from snakemake.api import ConfigSettings, ResourceSettings, SnakemakeApi, StorageSettings, WorkflowSettings

from openmath.dependencies import imported_modules


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
        components = [item.partition("=")[0] for item in settings.get("group-components", [])]
        for key in ("set-resources", "set-threads", "consider-ancient"):
            unknown = {*settings.get(key, {}), *components} - names
            assert not unknown, f"{profile}: {key} names rules that do not exist: {unknown}"


def test_every_input_that_a_profile_takes_for_ancient_exists(rules: list, root: Path) -> None:
    inputs = {rule.name: set(dict(rule.input._get_names())) for rule in rules}
    for profile in sorted(root.glob("profiles/*/config.yaml")):
        for rule, names in yaml.safe_load(profile.read_text()).get("consider-ancient", {}).items():
            assert set(names.split(",")) <= inputs[rule], f"{profile}: {rule}"


def test_the_readme_draws_the_rules_as_they_depend_on_each_other(root: Path, tmp_path: Path) -> None:
    elsewhere = f"pathvars={{results: {tmp_path}, resources: {tmp_path}}}"
    done = snakemake("--rulegraph", "mermaid-js", "--profile", "profiles/demo", "--config", elsewhere, root=root)
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", done.stdout))
    depends = {(names[one], names[other]) for one, other in re.findall(r"(id\d+) --> (id\d+)", done.stdout)}
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", (root / "README.md").read_text(), flags=re.MULTILINE))
    assert drawn == depends


@pytest.mark.parametrize(("env", "extras"), [("core", []), ("hub", ["hub"]), ("torch", ["demo"])])
def test_an_environment_has_the_pins_of_the_package(env: str, extras: list[str], root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    pins = project["dependencies"] + [pin for extra in extras for pin in project["optional-dependencies"][extra]]
    (pip,) = [item["pip"] for item in yaml.safe_load((root / f"envs/{env}.yaml").read_text())["dependencies"][2:]]
    assert sorted(pip) == sorted(pins)


def test_the_environment_of_the_audit_has_pins_of_the_package(root: Path) -> None:
    """Not the whole core: Math-Verify, and what our own grader imports."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    (pip,) = [item["pip"] for item in yaml.safe_load((root / "envs/audit.yaml").read_text())["dependencies"][2:]]
    assert set(project["optional-dependencies"]["audit"]) < set(pip)
    assert set(pip) - set(project["optional-dependencies"]["audit"]) <= set(project["dependencies"])
    files = [Path(file).read_text("utf-8") for file in imported_modules(root / "scripts/audit_grading.py")]
    roots = {
        name.partition(".")[0] for text in files for name in re.findall(r"^ *(?:import|from) ([\w.]+)", text, re.M)
    }
    foreign = {name for name in roots - sys.stdlib_module_names if name != "openmath"}
    assert {re.split(r"[\[=]", pin)[0].replace("-", "_") for pin in pip} == foreign


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


def test_a_missing_key_is_told_before_the_first_job_and_not_in_a_dry_run(root: Path, tmp_path: Path) -> None:
    elsewhere = f"pathvars={{results: {tmp_path}, resources: {tmp_path}, logs: {tmp_path}, benchmarks: {tmp_path}}}"
    target = str(tmp_path / "evaluation/openmath2-llama3.1-8b-released/aime24/judged.jsonl")
    arguments = ("--cores", "1", "--configfile", "config/evaluate.yaml", "--config", elsewhere, "--", target)
    without = {"OPENAI_API_KEY": ""}
    assert snakemake("-n", *arguments, root=root, environment=without).returncode == 0
    refused = snakemake(*arguments, root=root, environment=without)
    assert refused.returncode != 0
    assert "the environment variable OPENAI_API_KEY is not set" in refused.stdout + refused.stderr
    assert not list(tmp_path.rglob("*.jsonl")), "a job ran"


def test_a_gated_model_without_a_token_is_told_before_the_download(root: Path, tmp_path: Path) -> None:
    elsewhere = f"pathvars={{results: {tmp_path}, resources: {tmp_path}, logs: {tmp_path}, benchmarks: {tmp_path}}}"
    target = str(tmp_path / "models/llama3.1-8b/hf/manifest.json")
    without = {"HF_TOKEN": "", "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    refused = snakemake("--cores", "1", "--config", elsewhere, "--", target, root=root, environment=without)
    assert refused.returncode != 0
    assert "llama3.1-8b is gated: set HF_TOKEN" in refused.stdout + refused.stderr
