"""The configuration, checked before anything is planned.

``check_config`` holds a merged configuration against the schema (``config/schemas/config.schema.yaml``) and against
itself: every name that a stage selects is defined, every number fits its neighbours. What is wrong is told in
sentences that name the key, all of them at once.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

Config = Mapping[str, Any]

STAGES_WITH_MODEL = (
    "solution_augmentation",
    "problem_augmentation",
    "new_problems_solution_augmentation",
    "contamination",
    "judge",
)


class ConfigError(ValueError):
    """The configuration cannot be used; each line of the message names a key."""


def check_config(config: Config, schema_file: str | Path) -> None:
    """Raise ConfigError if the merged configuration is not one that every stage can run with."""
    schema = yaml.safe_load(Path(schema_file).read_text("utf-8"))
    problems = list(_schema_problems(config, schema))
    if not problems:
        problems = list(_contradictions(config))
    if problems:
        raise ConfigError("the configuration cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))


def _schema_problems(config: Config, schema: Mapping[str, Any]) -> Iterator[str]:
    for error in sorted(Draft202012Validator(schema).iter_errors(config), key=lambda error: error.json_path):
        key = error.json_path.removeprefix("$.")
        if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
            known = error.schema.get("properties", {})
            for name in error.instance:
                if name not in known:
                    yield f"{key}: unknown key '{name}' (known: {', '.join(known)})".replace("$: ", "")
        else:
            yield f"{key}: {error.message}"


def _contradictions(config: Config) -> Iterator[str]:
    datasets, models, runs = config["datasets"], config["models"], config["training"]
    for dataset in config["synthesis"]["datasets"]:
        if dataset not in datasets:
            yield f"synthesis.datasets: no data set '{dataset}' is defined in datasets"
            continue
        for key in ("train_split", "solution_seeds", "problem_seeds", "problem_prompt", "new_solution_seeds"):
            if key not in datasets[dataset]:
                yield f"datasets.{dataset}: no key '{key}', which synthesis needs"
    for section in ("contamination", "evaluation"):
        for benchmark in config[section]["benchmarks"]:
            if benchmark not in datasets:
                yield f"{section}.benchmarks: no data set '{benchmark}' is defined in datasets"
    for stage in STAGES_WITH_MODEL:
        yield from _servable(config, config[stage]["model"], f"{stage}.model")
    for model in config["evaluation"]["models"]:
        yield from _servable(config, model, "evaluation.models")
    for model in config["evaluation"]["samples"]:
        if model not in models and model not in runs:
            yield f"evaluation.samples: no model or training run '{model}' is defined"
    for key, model in (
        ("contamination.embedding_model", config["contamination"]["embedding_model"]),
        ("sft.tokenizer", config["sft"]["tokenizer"]),
        *((f"training.{run}.base_model", settings["base_model"]) for run, settings in runs.items()),
    ):
        if model not in models:
            yield f"{key}: no model '{model}' is defined in models"
        elif models[model]["source"] == "hosted":
            yield f"{key}: model '{model}' is hosted, so there are no files of it"
    for name in set(models) & set(runs):
        yield f"training.{name}: a model has the same name"
    for model, settings in models.items():
        yield from _incomplete_model(model, settings)
    for name, settings in config["sft"]["sets"].items():
        if (settings["downsample"] == "none") != ("num_samples" not in settings):
            yield f"sft.sets.{name}: downsample and num_samples are set together"
    for run, settings in runs.items():
        yield from _impossible_run(config, run, settings)


def _servable(config: Config, model: str, key: str) -> Iterator[str]:
    settings = config["models"].get(model) or config["training"].get(model)
    if settings is None:
        yield f"{key}: no model or training run '{model}' is defined"
    elif "server" not in settings:
        yield f"{key}: model '{model}' has no key 'server', so it cannot be asked"


def _incomplete_model(model: str, settings: Mapping[str, Any]) -> Iterator[str]:
    needed = {"hub": ["repository"], "package": ["package"], "path": ["path"], "trained": ["training"]}
    for key in needed.get(settings["source"], []):
        if key not in settings:
            yield f"models.{model}: source '{settings['source']}' needs the key '{key}'"
    server = settings.get("server", {})
    if (settings["source"] == "hosted") != (server.get("engine") == "openai"):
        yield f"models.{model}: source 'hosted' and engine 'openai' go together"
    if server.get("engine") == "openai" and "address" not in server:
        yield f"models.{model}.server: engine 'openai' needs the key 'address'"


def _impossible_run(config: Config, run: str, settings: Mapping[str, Any]) -> Iterator[str]:
    key = f"training.{run}"
    if settings["data"] not in config["sft"]["sets"]:
        yield f"{key}.data: no set '{settings['data']}' is defined in sft.sets"
    for step in settings["average_steps"]:
        if step != settings["steps"] and (step % settings["save_steps"] or step > settings["steps"]):
            yield (
                f"{key}.average_steps: step {step} is not saved "
                f"(saved are multiples of {settings['save_steps']} and the last step, {settings['steps']})"
            )
    if settings["global_batch_size"] % settings["micro_batch_size"]:
        yield f"{key}.global_batch_size: {settings['global_batch_size']} is not a multiple of micro_batch_size"
    if settings["leg_steps"] is not None:
        legs = -(-settings["steps"] // settings["leg_steps"])
        if legs > settings["num_training_jobs"]:
            yield f"{key}.num_training_jobs: {legs} legs of {settings['leg_steps']} steps are needed"
