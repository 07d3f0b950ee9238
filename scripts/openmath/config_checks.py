"""What a configuration that fits the schema may still get wrong: names, files, and numbers that belong together.

Each check yields sentences that begin with the key.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from openmath.answers.extraction import extractor
from openmath.datasets import SPLITS, source_name
from openmath.sources import read_registry

Config = Mapping[str, Any]

STAGES_WITH_SAMPLES = ("solution_augmentation", "problem_augmentation", "new_problems_solution_augmentation")
STAGES_WITH_MODEL = (*STAGES_WITH_SAMPLES, "contamination", "judge")

NEMO_SKILLS_OF_2024 = "e718d393e7b82d671e78d9474c514d1f90b6ea11"
NEMO_SKILLS_OF_2025 = "cb3f35bc0bf024ab3923aa5025ae64fadb0518eb"


def contradictions(config: Config) -> Iterator[str]:
    """Names that nothing defines, and numbers that cannot go together."""
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
        if settings.get("balance_sources") and settings["downsample"] == "none":
            yield f"sft.sets.{name}.balance_sources: a sample of all rows is not balanced; set downsample"
        if settings.get("part") == "validation" and not settings.get("validation_share"):
            yield f"sft.sets.{name}.part: nothing is kept for validation; set validation_share"
        yield from _impossible_lengths(f"sft.sets.{name}.filters", settings.get("filters", {}))
        if "released" in settings:
            yield from _incomplete_released(f"sft.sets.{name}", settings)
    for name, parts in config["sft"]["merged"].items():
        if name in config["sft"]["sets"]:
            yield f"sft.merged.{name}: a set of sft.sets has the same name"
        for part in parts:
            if part not in config["sft"]["sets"]:
                yield f"sft.merged.{name}: no set '{part}' is defined in sft.sets"
    yield from _impossible_lengths("sft.filters", config["sft"]["filters"])
    for stage in (*STAGES_WITH_SAMPLES, "evaluation"):
        if config[stage]["sampling"]["temperature"] == 0:
            yield f"{stage}.sampling.temperature: samples of temperature 0 are all the same"
    if config["evaluation"]["greedy"]["temperature"] != 0:
        yield "evaluation.greedy.temperature: must be 0, which is greedy"
    yield from _impossible_extraction(config["grading"])
    for run, settings in runs.items():
        yield from _impossible_run(config, run, settings)


def _impossible_lengths(key: str, filters: Mapping[str, Any]) -> Iterator[str]:
    for name, low in filters.items():
        other = name.replace("min_", "max_", 1)
        if name != other and other in filters and low > filters[other]:
            yield f"{key}.{name}: {low} is more than {other}, {filters[other]}"


def _impossible_extraction(settings: Mapping[str, Any]) -> Iterator[str]:
    try:
        extractor(settings["extraction"], settings["regex"])
    except ValueError as error:
        yield f"grading.regex: {error}"


def _servable(config: Config, model: str, key: str) -> Iterator[str]:
    settings = config["models"].get(model) or config["training"].get(model)
    if settings is None:
        yield f"{key}: no model or training run '{model}' is defined"
    elif "server" not in settings:
        yield f"{key}: model '{model}' has no key 'server', so it cannot be asked"
    elif settings["server"]["engine"] == "openai" and config[key.partition(".")[0]]["template"] is not None:
        yield f"{key.partition('.')[0]}.template: must be null, as the hosted model '{model}' has its own"


def _incomplete_model(model: str, settings: Mapping[str, Any]) -> Iterator[str]:
    needed = {"hub": ["repository", "revision"], "package": ["package"], "path": ["path"], "trained": ["training"]}
    for key in needed.get(settings["source"], []):
        if key not in settings:
            yield f"models.{model}: source '{settings['source']}' needs the key '{key}'"
    server = settings.get("server", {})
    if (settings["source"] == "hosted") != (server.get("engine") == "openai"):
        yield f"models.{model}: source 'hosted' and engine 'openai' go together"
    yield from _incomplete_server(f"models.{model}.server", server)


def _incomplete_server(key: str, server: Mapping[str, Any]) -> Iterator[str]:
    engine = server.get("engine")
    if engine == "openai" and "address" not in server:
        yield f"{key}: engine 'openai' needs the key 'address'"
    if engine in ("vllm", "trtllm") and "gpus" not in server:
        yield f"{key}: engine '{engine}' needs the key 'gpus'"
    if engine == "vllm" and server.get("nodes", 1) > 1 and "launcher" not in server.get("options", {}):
        yield f"{key}.nodes: vLLM over several nodes needs options.launcher, which brings its processes together"
    if engine in ("transformers", "openai"):
        for name in {"gpus", "nodes"} & set(server):
            yield f"{key}.{name}: engine '{engine}' takes no GPUs"


def _incomplete_released(key: str, settings: Mapping[str, Any]) -> Iterator[str]:
    released = settings["released"]
    for name in ("repository", "revision") if released["source"] == "hub" else ("path",):
        if name not in released:
            yield f"{key}.released: source '{released['source']}' needs the key '{name}'"


def _impossible_run(config: Config, run: str, settings: Mapping[str, Any]) -> Iterator[str]:
    key = f"training.{run}"
    if settings["data"] in config["sft"]["merged"]:
        if settings["packing"] is None:
            yield f"{key}.data: of the merged set '{settings['data']}' there are packed rows alone; set packing"
    elif settings["data"] not in config["sft"]["sets"]:
        yield f"{key}.data: no set '{settings['data']}' is defined in sft.sets"
    elif (form := config["sft"]["sets"][settings["data"]].get("format", "plain")) != "plain":
        yield f"{key}.data: rows of the format '{form}' are for other trainers"
    for step in settings["average_steps"]:
        if step != settings["steps"] and (step % settings["save_steps"] or step > settings["steps"]):
            yield (
                f"{key}.average_steps: step {step} is not saved "
                f"(saved are multiples of {settings['save_steps']} and the last step, {settings['steps']})"
            )
    yield from _impossible_batch(key, settings)
    if settings["leg_steps"] is not None:
        legs = -(-settings["steps"] // settings["leg_steps"])
        if legs > settings["num_training_jobs"]:
            yield f"{key}.num_training_jobs: {legs} legs of {settings['leg_steps']} steps are needed"
    if settings["min_learning_rate"] > settings["learning_rate"]:
        yield f"{key}.min_learning_rate: is above learning_rate"
    if settings["warmup_steps"] > settings["steps"]:
        yield f"{key}.warmup_steps: {settings['warmup_steps']} is more than all {settings['steps']} steps"
    yield from _impossible_backend(key, settings)
    yield from _impossible_packing(key, settings, config["sft"]["packing"]["pad_token"])
    if settings["backend"] == "nemo_aligner" and config["nemo"]["revision"] == NEMO_SKILLS_OF_2024:
        for name, plain in (("packing", None), ("context_parallel", 1)):
            if settings[name] != plain:
                yield f"{key}.{name}: nemo.revision knows it not; take one of 2025, such as {NEMO_SKILLS_OF_2025}"
    yield from _incomplete_server(f"{key}.server", settings.get("server", {}))


def data_parallel_size(run: Mapping[str, Any]) -> int | None:
    """How many copies of the model a run trains side by side; None where its GPUs cannot be shared out so."""
    gpus = run["num_nodes"] * run["num_gpus"] or 1
    copies, left = divmod(gpus, run["tensor_parallel"] * run["pipeline_parallel"] * run["context_parallel"])
    return None if left else copies


def _impossible_batch(key: str, settings: Mapping[str, Any]) -> Iterator[str]:
    copies, batch, micro = data_parallel_size(settings), settings["global_batch_size"], settings["micro_batch_size"]
    if (batch is None) != ("samples_per_batch" in (settings["packing"] or {})):
        yield f"{key}: either global_batch_size or packing.samples_per_batch says how much a step sees"
    if not copies:
        yield (
            f"{key}: {settings['num_nodes']} x {settings['num_gpus']} GPUs are no multiple of "
            "tensor_parallel x pipeline_parallel x context_parallel"
        )
    elif batch is not None and batch % (micro * copies):
        yield (
            f"{key}.global_batch_size: {batch} is not a multiple of micro_batch_size x data-parallel size "
            f"({micro} x {copies})"
        )


def _impossible_backend(key: str, settings: Mapping[str, Any]) -> Iterator[str]:
    packing = settings["packing"]
    if settings["backend"] == "transformers":
        for name in ("tensor_parallel", "pipeline_parallel", "context_parallel"):
            if settings[name] != 1:
                yield f"{key}.{name}: the back end 'transformers' has none; it must be 1"
        if settings.get("overrides"):
            yield f"{key}.overrides: the back end 'transformers' takes none"
        return
    if settings["num_gpus"] == 0:
        yield f"{key}.num_gpus: the back end '{settings['backend']}' needs GPUs"
    if settings["max_seq_length"] is None:
        yield f"{key}.max_seq_length: the back end '{settings['backend']}' needs it"
    elif packing is not None and packing["capacity"] != settings["max_seq_length"]:
        yield f"{key}.packing.capacity: {packing['capacity']} is not max_seq_length"
    if packing is not None and settings["micro_batch_size"] != 1:
        yield f"{key}.micro_batch_size: packed rows are taken one at a time by '{settings['backend']}'"
    for name, value in (("optimizer", "adamw"), ("leg_steps", None)):
        if settings[name] != value:
            yield f"{key}.{name}: the back end '{settings['backend']}' has no {settings[name]!r}"


def padding_multiple(context_parallel: int) -> int:
    """Places of which each sample fills a multiple, so that so many GPUs can share it (NeMo-Skills cb3f35bc)."""
    return max(16, 2 * context_parallel) if context_parallel > 1 else 1


def _impossible_packing(key: str, settings: Mapping[str, Any], pad_token: str | None) -> Iterator[str]:
    copies = settings["context_parallel"]
    if settings["packing"] is None or copies == 1:
        return
    multiple = padding_multiple(copies)
    if settings["packing"]["capacity"] % multiple:
        yield f"{key}.packing.capacity: with context_parallel {copies} it must be a multiple of {multiple}"
    if pad_token is None:
        yield f"sft.packing.pad_token: with context_parallel samples are filled up ({key})"


def missing_files(config: Config, root: Path) -> Iterator[str]:
    """Sources and prompt files that nothing brings here."""
    sources = read_registry(root / "resources/datasets.tsv")
    for name, settings in config["datasets"].items():
        splits = {"test"} & set(SPLITS[settings["recipe"]]) | {settings.get("train_split", "test")}
        for split in sorted(splits):
            if split not in SPLITS[settings["recipe"]]:
                yield f"datasets.{name}: the recipe '{settings['recipe']}' has no split '{split}'"
            elif settings["recipe"] != "word_problems" and source_name(settings["recipe"], split) not in sources:
                yield f"datasets.{name}: resources/datasets.tsv has no source for its split '{split}'"
    originals = {f"<resources>/originals/{name}.yaml" for name in read_registry(root / "resources/originals.tsv")}
    for key, file in _named_files(config):
        if file.startswith("<"):
            if file not in originals:
                yield f"{key}: resources/originals.tsv has no {file}"
        elif not (root / file).is_file():
            yield f"{key}: there is no file {file}"


def _named_files(config: Config) -> Iterator[tuple[str, str]]:
    for section, names in (
        *((stage, ("prompt", "template")) for stage in (*STAGES_WITH_MODEL, "sft", "evaluation")),
        *(
            (f"datasets.{name}", ("solution_examples", "problem_prompt", "problem_examples"))
            for name in config["datasets"]
        ),
    ):
        settings = config["datasets"][section.partition(".")[2]] if "." in section else config[section]
        yield from ((f"{section}.{name}", settings[name]) for name in names if settings.get(name))
    yield "published_results", config["published_results"]
