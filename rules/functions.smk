"""Functions for the rules: the code a job depends on, its options, and the files that the configuration asks for."""


def one_of(names):
    """A wildcard constraint: one of the names, and nothing where there are none."""
    return "|".join(re.escape(name) for name in names) or r"(?!)"


def path(pattern):
    """A path with its pathvars filled in, for params, where Snakemake does not fill them."""
    return workflow.pathvars.apply(pattern)


def script(name):
    """An entry script and the modules of scripts/openmath that it imports: an edit to any of them reruns the stage."""
    return [os.path.relpath(file) for file in imported_modules(ROOT / "scripts" / name)]


def script_alone(name):
    """An entry script by itself, for stages on GPUs: an edit to the library does not ask for them again."""
    return lambda wildcards: [os.path.relpath(ROOT / "scripts" / name)]


def hold_results():
    """Hold the results folder for this run, in place of Snakemake's own lock: a run that is killed lets go by dying."""
    lock = Path(path("<results>/.lock"))
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(lock, os.O_CREAT | os.O_WRONLY)  # a bare descriptor stays open as long as this process lives
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(f"another run is at work in {lock.parent}; wait for it, or end it") from None


def write_merged_config():
    """Put the configuration that this run was planned with beside its results."""
    write_json(path("<results>/config.json"), dict(config))


def quote_options(options):
    """Command-line options from a mapping: null and false are left out, true is a flag, a list has several values."""
    words = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words += [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return shlex.join(words)


def option_of(name):
    """Params function: the option that names the input file of this name; nothing where the rule has none."""
    return lambda wildcards, input: quote_options({name: input.get(name) or None})


# Models: where their files are and how they are asked.


def model_manifest(model):
    """The manifest of a model's folder, by which the folder is declared; nothing for a hosted model."""
    if model in config["training"]:
        return f"<results>/training/{model}/model-averaged-hf/manifest.json"
    return [] if config["models"][model]["source"] == "hosted" else f"<resources>/models/{model}/hf/manifest.json"


def server_of(model):
    """The ``server`` section of a model or training run."""
    return (config["training"].get(model) or config["models"][model])["server"]


def server_options(model):
    """The command-line options that name a model and its engine."""
    server, manifest = server_of(model), model_manifest(model)
    return quote_options(
        {
            "model": model,
            "engine": server["engine"],
            "model_folder": os.path.dirname(path(manifest)) if manifest else None,
            "engine_options": json.dumps(server["options"]) if "options" in server else None,
            "address": server.get("address"),
            "api_key_env": server.get("api_key_env"),
        }
    )


def stage_model(stage):
    """Input function: the manifest of the model that a stage asks."""
    return lambda wildcards: model_manifest(config[stage]["model"])


def stage_server(stage):
    """Params function: the options that name the model that a stage asks."""
    return lambda wildcards: server_options(config[stage]["model"])


def stage_concurrency(stage):
    """Resource function: requests in flight of a stage."""
    return lambda wildcards: server_of(config[stage]["model"]).get("concurrency", 64)


def sampling(stage, key="sampling"):
    """The command-line options of a stage's sampling."""
    return quote_options(config[stage][key])


def optional_file(value):
    """An input that a configuration may leave out."""
    return value if value else []


# Data sets and the generations made from them.


def training_problems(wildcards):
    """The problems of a training set."""
    return f"<resources>/datasets/{wildcards.dataset}/{config['datasets'][wildcards.dataset]['train_split']}.jsonl"


def dataset_value(key, default=None):
    """Function of wildcards: a value of the data set's definition."""
    return lambda wildcards: config["datasets"][wildcards.dataset].get(key, default)


def dataset_file(key):
    """Input function: a file that the data set's definition may name."""
    return lambda wildcards: optional_file(config["datasets"][wildcards.dataset].get(key))


def recipe_options(wildcards):
    """The options of a data set's recipe; one that is a map has a value for each split."""
    options = config["datasets"][wildcards.dataset].get("options", {})
    chosen = {key: value[wildcards.split] if isinstance(value, dict) else value for key, value in options.items()}
    return shlex.join(word for key, value in chosen.items() for word in ("--option", f"{key}={value}"))


def seed_files(folder, seeds):
    """The generation files of a folder."""
    return [f"{folder}/output-rs{seed}.jsonl" for seed in range(seeds)]


def solution_folder(dataset):
    """Where the solutions of a training set are."""
    return f"<results>/solution-augmentation/{dataset}"


def problem_sets(dataset):
    """The files of new problems that were made from a training set."""
    seeds = config["datasets"][dataset]["problem_seeds"]
    return [f"<results>/problem-augmentation/{dataset}/problem-set{i}.jsonl" for i in range(seeds)]


def new_solution_folders(dataset):
    """Where the solutions of its new problems are, a folder for each problem set."""
    seeds = config["datasets"][dataset]["problem_seeds"]
    return [f"<results>/new-problems-solution-augmentation/{dataset}/problem-set{i}" for i in range(seeds)]


def models_from(*sources):
    """The names of the models that come from one of the sources."""
    return [name for name, model in config["models"].items() if model["source"] in sources]


def benchmarks_to_protect():
    """Test problems by benchmark."""
    return {name: f"<resources>/datasets/{name}/test.jsonl" for name in config["contamination"]["benchmarks"]}


# Training rows and training runs.


def sft_folders():
    """Every folder of solutions that training rows are made from."""
    datasets = config["synthesis"]["datasets"]
    return [solution_folder(name) for name in datasets] + [
        folder for name in datasets for folder in new_solution_folders(name)
    ]


def sft_generations(wildcards):
    """Every generation file of those folders."""
    files = []
    for name in config["synthesis"]["datasets"]:
        files += seed_files(solution_folder(name), config["datasets"][name]["solution_seeds"])
        for folder in new_solution_folders(name):
            files += seed_files(folder, config["datasets"][name]["new_solution_seeds"])
    return files


def training_data(wildcards):
    """The rows that a run trains on: packed arrays, or a JSON Lines file."""
    run = config["training"][wildcards.run]
    if run["packing"] is None:
        return [f"<results>/{run['data']}.jsonl"]
    prefix = f"<results>/packed/{run['data']}/packed_{run['packing']['capacity']}_seed{run['packing']['seed']}"
    return [f"{prefix}.{part}" for part in ("json", "input_ids.npy", "loss_mask.npy", "seq_start_id.npy")]


def previous_leg(wildcards):
    """The leg before this one; nothing before the first."""
    leg = int(wildcards.leg)
    return f"<results>/training/{wildcards.run}/legs/{leg - 1}.json" if leg > 1 else []


def base_model(wildcards):
    """The manifest of the model that a run starts from."""
    return model_manifest(config["training"][wildcards.run]["base_model"])


def training_options(wildcards):
    """The options that say what a run is; where it runs and for how long stands in the profile."""
    keys = (
        "steps",
        "save_steps",
        "leg_steps",
        "global_batch_size",
        "micro_batch_size",
        "optimizer",
        "learning_rate",
        "min_learning_rate",
        "schedule",
        "warmup_steps",
        "weight_decay",
        "precision",
        "seed",
    )
    return quote_options({key: config["training"][wildcards.run][key] for key in keys})


def legs_until_finished(wildcards):
    """The legs of a run, up to the one that finished it."""
    run = config["training"][wildcards.run]
    legs = []
    for leg in range(1, run["num_training_jobs"] + 1):
        legs.append(checkpoints.train_leg.get(run=wildcards.run, leg=leg).output.leg)
        with open(legs[-1]) as file:
            if json.load(file)["finished"]:
                return legs
    raise WorkflowError(
        f"training.{wildcards.run}.num_training_jobs: {len(legs)} legs did not reach step {run['steps']}; raise it to go on"
    )


# Evaluation.


def samples_of(model):
    """Samples of every problem for majority@k and pass@k; 0 where only greedy decoding is asked for."""
    return config["evaluation"]["samples"].get(model, 0)


def evaluation_folder(wildcards):
    """Where a model's answers to a benchmark are."""
    return f"<results>/evaluation/{wildcards.model}/{wildcards.benchmark}"


def with_samples(name):
    """Input function: a file of the folder that exists only where the model is sampled."""
    return lambda wildcards: f"{evaluation_folder(wildcards)}/{name}" if samples_of(wildcards.model) else []
