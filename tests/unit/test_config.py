"""A configuration is refused in sentences that name the key."""

import copy
import shutil
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from snakemake.utils import update_config

from openmath.answers import Conventions
from openmath.answers.extraction import METHODS
from openmath.config import ConfigError, check_config

OVERLAYS = ["demo", "evaluate", "hosted", "pilot", "released_data"]


def merged(root: Path, *overlays: str) -> dict[str, Any]:
    """The paper's configuration with overlays merged into it, as Snakemake does it."""
    config = yaml.safe_load((root / "config/config.yaml").read_text())
    for overlay in overlays:
        update_config(config, yaml.safe_load((root / f"config/{overlay}.yaml").read_text()))
    return copy.deepcopy(config)


def test_every_overlay_is_known_here(root: Path) -> None:
    assert sorted(file.stem for file in (root / "config").glob("*.yaml")) == sorted(["config", *OVERLAYS])


@pytest.mark.parametrize("overlays", [(), *((name,) for name in OVERLAYS), ("released_data", "pilot")], ids=" ".join)
def test_what_is_shipped_is_accepted(overlays: tuple[str, ...], root: Path) -> None:
    check_config(merged(root, *overlays), root)


def descriptions(schema: dict[str, Any], key: str = "") -> list[str]:
    """The keys of a schema that say nothing about themselves."""
    silent = []
    for name, value in schema.get("properties", {}).items():
        if "description" not in value and "$ref" not in value:
            silent.append(f"{key}.{name}")
        silent += descriptions(value, f"{key}.{name}")
        if isinstance(value.get("additionalProperties"), dict):
            silent += descriptions(value["additionalProperties"], f"{key}.{name}.*")
    return silent


def test_every_key_says_what_it_is(root: Path) -> None:
    assert descriptions(yaml.safe_load((root / "config/schemas/config.schema.yaml").read_text())) == []


def test_answers_are_found_and_compared_in_all_the_ways_that_the_grader_knows(root: Path) -> None:
    schema = yaml.safe_load((root / "config/schemas/config.schema.yaml").read_text())["properties"]["grading"]
    assert schema["properties"]["extraction"]["enum"] == list(METHODS)
    named = {name: value["enum"] for name, value in schema["properties"]["conventions"]["properties"].items()}
    assert named == {name: list(get_args(kind)) for name, kind in get_type_hints(Conventions).items()}


PAPER = "training.openmath2-llama3.1-8b"
SMALL = "training.student-packed"
SECRET = "nvapi-" + 24 * "x"

# What is wrong: key, value, and the beginning of the sentence that says so.
BROKEN: dict[str, tuple[str, Any, str]] = {
    "an unknown key": ("judge.modle", "x", "judge: unknown key 'modle' (known: model, prompt, template, sampling)"),
    "an unknown key at the top": ("judgement", {}, "unknown key 'judgement'"),
    "an unknown key of a run": (f"{PAPER}.lr", 1e-5, f"{PAPER}: unknown key 'lr'"),
    "a key that is missing": ("judge", {"model": "gpt-4o"}, "judge: 'prompt' is a required property"),
    "a seed count of zero": (
        "datasets.math.solution_seeds",
        0,
        "datasets.math.solution_seeds: 0 is less than the minimum of 1",
    ),
    "text for a number": ("contamination.top_k", "five", "contamination.top_k: 'five' is not of type 'integer'"),
    "a temperature below zero": (
        "judge.sampling.temperature",
        -1,
        "judge.sampling.temperature: -1 is less than the minimum of 0",
    ),
    "an unknown engine": (
        "models.gpt-4o.server.engine",
        "sglang",
        "models.gpt-4o.server.engine: 'sglang' is not one of",
    ),
    "an unknown recipe": ("datasets.math.recipe", "maths", "datasets.math.recipe: 'maths' is not one of"),
    "a name that is no file name": ("models.a/b", {"source": "hub"}, "models: 'a/b' does not match"),
    "a checkout that is not pinned": ("nemo.revision", "main", "nemo.revision: 'main' does not match"),
    "an unknown model": ("judge.model", "gpt-5", "judge.model: no model or training run 'gpt-5' is defined"),
    "a model that is not served": (
        "judge.model",
        "llama3.1-8b",
        "judge.model: model 'llama3.1-8b' has no key 'server', so it cannot be asked",
    ),
    "an unknown model to evaluate": (
        "evaluation.models",
        ["openmath2"],
        "evaluation.models: no model or training run 'openmath2' is defined",
    ),
    "samples of an unknown model": (
        "evaluation.samples.openmath2",
        8,
        "evaluation.samples: no model or training run 'openmath2' is defined",
    ),
    "an unknown data set": (
        "synthesis.datasets",
        ["maths"],
        "synthesis.datasets: no data set 'maths' is defined in datasets",
    ),
    "a data set that cannot be augmented": (
        "synthesis.datasets",
        ["amc23"],
        "datasets.amc23: no key 'train_split', which synthesis needs",
    ),
    "a split that the recipe lacks": (
        "datasets.aime24.train_split",
        "train",
        "datasets.aime24: the recipe 'aime24' has no split 'train'",
    ),
    "an unknown benchmark": (
        "evaluation.benchmarks",
        ["aime"],
        "evaluation.benchmarks: no data set 'aime' is defined in datasets",
    ),
    "a prompt that is not there": (
        "sft.prompt",
        "resources/prompts/full/solv.yaml",
        "sft.prompt: there is no file resources/prompts/full/solv.yaml",
    ),
    "an original that nobody has": (
        "judge.prompt",
        "<resources>/originals/judge/maths.yaml",
        "judge.prompt: resources/originals.tsv has no <resources>/originals/judge/maths.yaml",
    ),
    "an expression that is missing": (
        "grading.extraction",
        "regex",
        "grading.regex: answers by 'regex' need a regular expression",
    ),
    "an expression without its use": (
        "grading.regex",
        "answer: (.*)",
        "grading.regex: a regular expression goes with the method 'regex', not with 'boxed'",
    ),
    "an expression that is none": (
        "grading",
        {"extraction": "regex", "regex": "answer: (.*", "conventions": {}},
        "grading.regex: the regular expression for answers, 'answer: (.*', cannot be used",
    ),
    "an unknown convention": (
        "grading.conventions",
        {"percents": "unit"},
        "grading.conventions: unknown key 'percents' (known: percent, units, ",
    ),
    "a convention that cannot be so": (
        "grading.conventions",
        {"percent": "half"},
        "grading.conventions.percent: 'half' is not one of ['either', 'unit', 'ratio']",
    ),
    "a yes or no without quotes": (
        "grading.conventions",
        yaml.safe_load("intervals: no"),
        "grading.conventions.intervals: False is not one of ['yes', 'no']",
    ),
    "a hosted model with a template": (
        "judge.template",
        "resources/templates/brief.yaml",
        "judge.template: must be null, as the hosted model 'gpt-4o' has its own",
    ),
    "samples that are all the same": (
        "evaluation.sampling.temperature",
        0,
        "evaluation.sampling.temperature: samples of temperature 0 are all the same",
    ),
    "greedy that is not": ("evaluation.greedy.temperature", 0.7, "evaluation.greedy.temperature: must be 0"),
    "a model without its repository": (
        "models.llama3.1-8b",
        {"source": "hub"},
        "models.llama3.1-8b: source 'hub' needs the key 'repository'",
    ),
    "a model without its revision": (
        "models.llama3.1-8b",
        {"source": "hub", "repository": "meta-llama/Llama-3.1-8B"},
        "models.llama3.1-8b: source 'hub' needs the key 'revision'",
    ),
    "an engine without GPUs": (
        "models.llama3.1-8b-instruct.server",
        {"engine": "vllm"},
        "models.llama3.1-8b-instruct.server: engine 'vllm' needs the key 'gpus'",
    ),
    "vLLM over several nodes": (
        "models.llama3.1-405b-instruct.server.engine",
        "vllm",
        "models.llama3.1-405b-instruct.server.nodes: vLLM over several nodes needs options.launcher",
    ),
    "a hosted model with GPUs": (
        "models.gpt-4o.server.gpus",
        8,
        "models.gpt-4o.server.gpus: engine 'openai' takes no GPUs",
    ),
    "a hosted model that is served here": (
        "models.gpt-4o.server.engine",
        "vllm",
        "models.gpt-4o: source 'hosted' and engine 'openai' go together",
    ),
    "a hosted base model": (
        f"{PAPER}.base_model",
        "gpt-4o",
        f"{PAPER}.base_model: model 'gpt-4o' is hosted, so there are no files of it",
    ),
    "a run named like a model": (
        "models.openmath2-llama3.1-8b",
        {"source": "path", "path": "x"},
        f"{PAPER}: a model has the same name",
    ),
    "unknown training data": (f"{PAPER}.data", "sft", f"{PAPER}.data: no set 'sft' is defined in sft.sets"),
    "a step that is not saved": (
        f"{PAPER}.average_steps",
        [10000, 25000],
        f"{PAPER}.average_steps: step 25000 is not saved (saved are multiples of 10000 and the last step, 60000)",
    ),
    "a step after the last": (
        f"{PAPER}.average_steps",
        [70000],
        f"{PAPER}.average_steps: step 70000 is not saved",
    ),
    "a batch that data parallelism cannot share": (
        f"{PAPER}.num_nodes",
        7,
        f"{PAPER}.global_batch_size: 512 is not a multiple of micro_batch_size x data-parallel size (4 x 14)",
    ),
    "GPUs that parallelism cannot share": (
        f"{PAPER}.tensor_parallel",
        3,
        f"{PAPER}: 8 x 8 GPUs are no multiple of tensor_parallel x pipeline_parallel x context_parallel",
    ),
    "NeMo without GPUs": (f"{PAPER}.num_gpus", 0, f"{PAPER}.num_gpus: the back end 'nemo_aligner' needs GPUs"),
    "NeMo without a length": (
        f"{PAPER}.max_seq_length",
        None,
        f"{PAPER}.max_seq_length: the back end 'nemo_aligner' needs it",
    ),
    "an optimiser that NeMo lacks": (
        f"{PAPER}.optimizer",
        "muon",
        f"{PAPER}.optimizer: the back end 'nemo_aligner' has no 'muon'",
    ),
    "packs of another length": (
        f"{PAPER}.packing",
        {"capacity": 2048, "seed": 0},
        f"{PAPER}.packing.capacity: 2048 is not max_seq_length",
    ),
    "packs that this NeMo-Skills does not read": (
        f"{PAPER}.packing",
        {"capacity": 4096, "seed": 0},
        f"{PAPER}.packing: nemo.revision knows it not; take one of 2025, such as cb3f35bc",
    ),
    "a learning rate that rises": (
        f"{PAPER}.min_learning_rate",
        1e-3,
        f"{PAPER}.min_learning_rate: is above learning_rate",
    ),
    "a warm-up without end": (f"{PAPER}.warmup_steps", 60001, f"{PAPER}.warmup_steps: 60001 is more than all 60000"),
    "a sample without a size": (
        "sft.sets.sft_data_5m",
        {"downsample": "fair"},
        "sft.sets.sft_data_5m: downsample and num_samples are set together",
    ),
    "balance without a sample": (
        "sft.sets.sft_data.balance_sources",
        True,
        "sft.sets.sft_data.balance_sources: a sample of all rows is not balanced; set downsample",
    ),
    "a validation set of nothing": (
        "sft.sets.sft_data.part",
        "validation",
        "sft.sets.sft_data.part: nothing is kept for validation; set validation_share",
    ),
    "limits that leave nothing": (
        "sft.filters",
        {"min_solution_chars": 300, "max_solution_chars": 200},
        "sft.filters.min_solution_chars: 300 is more than max_solution_chars, 200",
    ),
    "limits of a set that leave nothing": (
        "sft.sets.sft_data.filters",
        {"min_problem_tokens": 3, "max_problem_tokens": 2},
        "sft.sets.sft_data.filters.min_problem_tokens: 3 is more than max_problem_tokens, 2",
    ),
    "rows of another trainer": (
        "sft.sets.sft_data.format",
        "nemotron",
        f"{PAPER}.data: rows of the format 'nemotron' are for other trainers",
    ),
    "a merged set of unknown sets": (
        "sft.merged",
        {"both": ["sft_data", "sft"]},
        "sft.merged.both: no set 'sft' is defined in sft.sets",
    ),
    "a merged set named like a set": (
        "sft.merged",
        {"sft_data": ["sft_data", "sft_data_5m"]},
        "sft.merged.sft_data: a set of sft.sets has the same name",
    ),
    "no batch": (f"{PAPER}.global_batch_size", None, f"{PAPER}: either global_batch_size or packing.samples_per_batch"),
    "two batches": (
        f"{PAPER}.packing",
        {"capacity": 4096, "seed": 0, "samples_per_batch": 512},
        f"{PAPER}: either global_batch_size or packing.samples_per_batch",
    ),
    "released data from nowhere": (
        "sft.sets.sft_data",
        {
            "downsample": "none",
            "released": {
                "source": "hub",
                "split": "train",
                "problem_key": "problem",
                "solution_key": "generated_solution",
                "answer_key": "expected_answer",
            },
        },
        "sft.sets.sft_data.released: source 'hub' needs the key 'repository'",
    ),
    "a secret": (
        "models.gpt-4o.server.options",
        {"api-key": SECRET},
        "models.gpt-4o.server.options.api-key: looks like a secret; put it in an environment variable",
    ),
    "a secret where its name belongs": (
        "models.gpt-4o.server.api_key_env",
        SECRET,
        "models.gpt-4o.server.api_key_env: looks like a secret",
    ),
}
BROKEN_MINIATURE: dict[str, tuple[str, Any, str]] = {
    "too few legs": (f"{SMALL}.num_training_jobs", 1, f"{SMALL}.num_training_jobs: 2 legs of 280 steps are needed"),
    "a batch that cannot be split": (
        f"{SMALL}.global_batch_size",
        3,
        f"{SMALL}.global_batch_size: 3 is not a multiple of micro_batch_size x data-parallel size (2 x 1)",
    ),
    "tensor parallelism that the back end lacks": (
        f"{SMALL}.tensor_parallel",
        2,
        f"{SMALL}.tensor_parallel: the back end 'transformers' has none; it must be 1",
    ),
}


def refusal(config: dict[str, Any], key: str, value: Any, root: Path) -> list[str]:
    """The sentences with which a configuration is refused when this key has this value."""
    section, names = config, dotted(config, key)
    for name in names[:-1]:
        section = section[name]
    section[names[-1]] = value
    with pytest.raises(ConfigError) as refused:
        check_config(config, root)
    return [line.strip() for line in str(refused.value).splitlines()[1:]]


def dotted(config: dict[str, Any], key: str) -> list[str]:
    """The parts of a dotted key; names such as llama3.1-8b hold dots themselves."""
    if not key:
        return []
    known = [name for name in config if key == name or key.startswith(f"{name}.")]
    name = max(known, key=len, default=key)
    rest = key.removeprefix(name).removeprefix(".")
    inner = config.get(name)
    return [name, *(dotted(inner, rest) if isinstance(inner, dict) else [rest] if rest else [])]


@pytest.mark.parametrize(("key", "value", "sentence"), BROKEN.values(), ids=BROKEN)
def test_the_paper_is_refused_with(key: str, value: Any, sentence: str, root: Path) -> None:
    told = refusal(merged(root), key, value, root)
    assert any(line.startswith(sentence) for line in told), told
    assert SECRET not in " ".join(told)


@pytest.mark.parametrize(("key", "value", "sentence"), BROKEN_MINIATURE.values(), ids=BROKEN_MINIATURE)
def test_the_miniature_is_refused_with(key: str, value: Any, sentence: str, root: Path) -> None:
    assert any(line.startswith(sentence) for line in refusal(merged(root, "demo"), key, value, root))


def test_a_benchmark_without_a_source_is_refused(root: Path, tmp_path: Path) -> None:
    registry = (root / "resources/datasets.tsv").read_text().splitlines(keepends=True)
    for folder in ("config", "resources"):
        shutil.copytree(root / folder, tmp_path / folder)
    (tmp_path / "resources/datasets.tsv").write_text("".join(line for line in registry if "omni-math" not in line))
    with pytest.raises(
        ConfigError, match=r"datasets\.omni-math: resources/datasets\.tsv has no source for its split 'test'"
    ):
        check_config(merged(root), tmp_path)


def test_all_that_is_wrong_is_told_at_once(root: Path) -> None:
    config = merged(root)
    config["judge"]["model"] = "gpt-5"
    told = refusal(config, "evaluation.benchmarks", ["aime"], root)
    assert [line.partition(":")[0] for line in told] == ["evaluation.benchmarks", "judge.model"]
