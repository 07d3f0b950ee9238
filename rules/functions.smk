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
    return os.path.relpath(ROOT / "scripts" / name)


def hold_results():
    """Hold the results folder for this run, in place of Snakemake's own lock: a run that is killed lets go by dying."""
    lock = Path(path("<results>/.lock"))
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(lock, os.O_CREAT | os.O_WRONLY)  # a bare descriptor stays open as long as this process lives
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(f"another run is at work in {lock.parent}; wait for it, or end it") from None
    except OSError as error:
        logger.warning(f"{lock.parent} cannot be locked ({error.strerror}): start no second run in it")


def check_secrets():
    """Before the first job: every key that a planned job needs is in the environment."""
    jobs = list(workflow.dag.needrun_jobs())
    names = {key_of(job.params.get("server", "")) for job in jobs} - {None}
    missing = [f"the environment variable {name} is not set" for name in sorted(names) if not os.environ.get(name)]
    gated = {job.wildcards.model for job in jobs if job.rule.name == "fetch_model"} & set(gated_models())
    if gated and get_token() is None and not HF_HUB_OFFLINE:
        missing.append(f"{', '.join(sorted(gated))} is gated: set HF_TOKEN, or log in with `hf auth login`")
    if missing:
        raise WorkflowError("planned jobs need what is not here: " + "; ".join(missing))


def key_of(server):
    """The environment variable whose key a job needs, from the options that name its server."""
    words = shlex.split(server)
    return words[words.index("--api-key-env") + 1] if "--api-key-env" in words else None


def gated_models():
    """The models whose licence has to be accepted."""
    return [name for name, model in config["models"].items() if model.get("gated")]


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


def folder_of(name):
    """Params function: the folder of the input manifest of this name."""
    return lambda wildcards, input: os.path.dirname(input[name])


def option_of_folder(name):
    """Params function: the option that names that folder; nothing where the rule has none."""
    return lambda wildcards, input: quote_options({name: os.path.dirname(input.get(name) or "") or None})


# Models: where their files are and how they are asked.


def model_manifest(model):
    """The manifest of a model's folder, by which the folder is declared; nothing for a hosted model."""
    if model in config["training"]:
        return f"<results>/training/{model}/model-averaged-hf/manifest.json"
    return [] if config["models"][model]["source"] == "hosted" else f"<resources>/models/{model}/hf/manifest.json"


def server_of(model):
    """The ``server`` section of a model or training run."""
    return (config["training"].get(model) or config["models"][model])["server"]


def served_sizes(model):
    """GPUs of each node and nodes that a model's server takes."""
    server = server_of(model)
    return server.get("gpus", 0), server.get("nodes", 1)


def served_models():
    """The models and training runs that can be asked."""
    return [name for section in ("models", "training") for name in config[section] if "server" in config[section][name]]


def served_manifest(model):
    """The manifest of the folder that is served: an engine that TensorRT-LLM built, or the model's own folder."""
    if server_of(model)["engine"] != "trtllm":
        return model_manifest(model)
    if model in config["training"]:
        return f"<results>/training/{model}/model-averaged-trtllm/manifest.json"
    gpus, nodes = served_sizes(model)
    return f"<resources>/models/{model}/trtllm-tp{gpus}-pp{nodes}/manifest.json"


def server_options(model):
    """The command-line options that name a model and its engine; how the engine is run is a resource."""
    server, manifest = server_of(model), served_manifest(model)
    return quote_options(
        {
            "model": server.get("served_name", model),
            "engine": server["engine"],
            "model_folder": os.path.dirname(path(manifest)) if manifest else None,
            "address": server.get("address"),
            "api_key_env": server.get("api_key_env"),
        }
    )


def stage_model(stage):
    """The manifest of the model that a stage asks."""
    return served_manifest(config[stage]["model"])


def stage_server(stage):
    """The options that name the model that a stage asks."""
    return server_options(config[stage]["model"])


NEMO_SKILLS = "<resources>/nemo-skills/manifest.json"


def engine_options(gpus, nodes):
    """The command-line options of an engine that TensorRT-LLM builds for so many GPUs of a node, and nodes."""
    build = {key: value for key, value in config["tensorrt_llm"].items() if key != "launcher"}
    return quote_options({"tp_size": gpus, "pp_size": nodes, **build})


def nemo_options(model):
    """The command-line options of a conversion to or from NeMo of a model of the hub, or of one like it."""
    return quote_options(
        {
            "hf_model_name": config["models"][model].get("repository", model),
            "precision": config["nemo"]["precision"],
        }
    )


def sampling(stage, key="sampling"):
    """The command-line options of a stage's sampling."""
    return quote_options(config[stage][key])


def template_option(stage):
    """The command-line option that names a stage's template; nothing where the server has its own."""
    template = config[stage]["template"]
    return quote_options({"template": path(template)}) if template else ""


def optional_file(value):
    """An input that a configuration may leave out."""
    return value if value else []


def original_names():
    """The prompts and few-shot sets that can be fetched."""
    return list(read_registry(ROOT / "resources/originals.tsv"))


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
    return [f"{folder}/output-rs{seed}.<generations>" for seed in range(seeds)]


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


# Answers: how they are found and compared.


def convention_options():
    """The command-line options of the conventions under which answers are compared."""
    chosen = sorted(config["grading"]["conventions"].items())
    return shlex.join(word for name, value in chosen for word in ("--convention", f"{name}={value}"))


def grading_options():
    """The command-line options that say where answers stand, and of those conventions."""
    extraction, regex = config["grading"]["extraction"], config["grading"]["regex"]
    words = ["--extraction", extraction, *([] if regex is None else [f"--regex={regex}"])]  # it may begin with a dash
    return f"{shlex.join(words)} {convention_options()}".rstrip()


# Training rows and training runs.


def sets_of(released):
    """The training sets that are made from generations, or from released data."""
    return [name for name, settings in config["sft"]["sets"].items() if ("released" in settings) == released]


def set_file(key):
    """Input function: the prompt or the template of a training set: its own, or that of all."""
    return lambda wildcards: config["sft"]["sets"][wildcards.data].get(key, config["sft"][key])


SET_KEYS = (
    "downsample",
    "num_samples",
    "balance_sources",
    "deduplicate",
    "code_filter",
    "code_begin",
    "validation_share",
    "part",
    "format",
    "suffix",
    "extra_keys",
)


def set_options(wildcards):
    """The options that say what a training set is made of, and in which form."""
    settings = config["sft"]["sets"][wildcards.data]
    filters = {**({} if "released" in settings else config["sft"]["filters"]), **settings.get("filters", {})}
    options = {key: settings.get(key) for key in SET_KEYS} | {"shuffle_seed": config["sft"]["shuffle_seed"]}
    metadata = [f"{key}={value}" for key, value in sorted(settings.get("metadata", {}).items())]
    in_order = settings.get("shuffle") is False
    return quote_options({**filters, **options, "metadata": metadata or None, "no_shuffle": in_order})


def released_tokenizer(wildcards):
    """The tokenizer, where rows of a released data set are measured in tokens."""
    filters = config["sft"]["sets"][wildcards.data].get("filters", {})
    return model_manifest(config["sft"]["tokenizer"]) if any(key.endswith("_tokens") for key in filters) else []


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
    nemo = ("json", "input_ids.npy", "loss_mask.npy", "seq_start_id.npy")
    flat = ("flat.json", "tokens.npy", "sequences.npy", "answers.npy", "rows.npy")
    parts = nemo if run["backend"] == "nemo_aligner" else flat
    return [f"{packs_of(wildcards.run)}.{part}" for part in parts]


def packs_of(run):
    """The prefix of the packed rows of a run."""
    settings = config["training"][run]
    capacity, seed, cp = settings["packing"]["capacity"], settings["packing"]["seed"], settings["context_parallel"]
    shared = f"_cp{cp}" if cp > 1 else ""
    return f"<results>/packed/{settings['data']}/packed_{capacity}{shared}_seed{seed}"


def packing_options(wildcards):
    """The options that say how rows are packed."""
    packing = config["sft"]["packing"]
    cp = int(wildcards.cp.removeprefix("_cp") or 1)
    padded = {"multiple": padding_multiple(cp), "pad_token": packing["pad_token"]} if cp > 1 else {}
    return quote_options({"algorithm": packing["algorithm"], "too_long": packing["too_long"], **padded})


def prefix_of(manifest):
    """The prefix of the packed rows that a manifest, of either layout, is of."""
    return manifest.removesuffix(".json").removesuffix(".flat")


def packed_prefix(wildcards, output):
    """The prefix of the files of packed rows."""
    return prefix_of(output.manifest)


def packs_to_merge(suffix):
    """Input function: the manifests, of one layout, of the packs of the sets that a merged one is made of."""

    def manifests(wildcards):
        name = f"packed_{wildcards.capacity}{wildcards.cp}_seed{wildcards.seed}{suffix}"
        return [f"<results>/packed/{data}/{name}" for data in config["sft"]["merged"][wildcards.data]]

    return manifests


def packs_of_inputs(wildcards, input):
    """The prefixes of the packs that input manifests are of."""
    return [prefix_of(manifest) for manifest in input.manifests]


def suggested_batch(wildcards):
    """The rows of a step, where they follow from its samples and from how many of them a packed row holds."""
    counted = config["training"][wildcards.run]["global_batch_size"] is None
    return f"<results>/training/{wildcards.run}/batch.json" if counted else []


def previous_leg(wildcards):
    """The leg before this one; nothing before the first."""
    leg = int(wildcards.leg)
    return f"<results>/training/{wildcards.run}/legs/{leg - 1}.json" if leg > 1 else []


def base_model(wildcards):
    """The manifest of the model that a run starts from, in the form that its back end reads."""
    run = config["training"][wildcards.run]
    if run["backend"] == "nemo_aligner":
        return f"<resources>/models/{run['base_model']}/nemo/manifest.json"
    return model_manifest(run["base_model"])


def training_script(wildcards):
    """The script of a run's back end."""
    nemo = config["training"][wildcards.run]["backend"] == "nemo_aligner"
    return script_alone("train_nemo_leg.py" if nemo else "train_leg.py")


def training_checkout(wildcards):
    """NeMo-Skills' checkout, for runs that are trained with it."""
    return NEMO_SKILLS if config["training"][wildcards.run]["backend"] == "nemo_aligner" else []


def training_data_options(wildcards, input):
    """The options that name the rows: a JSON Lines file, or the prefix of packed arrays."""
    file = input.data[0]
    kind = "unpacked" if file.endswith(".jsonl") else "packed"
    return f"--{kind} --data {shlex.quote(prefix_of(file))}"


RUN_KEYS = (
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


def runs_with(backend):
    """The training runs of a back end."""
    return [run for run, settings in config["training"].items() if settings["backend"] == backend]


def training_options(wildcards):
    """The options that say what a run is; how long it may take stands in the profile."""
    run = config["training"][wildcards.run]
    options = {key: run[key] for key in RUN_KEYS}
    if run["backend"] == "nemo_aligner":
        options |= {"max_seq_length": run["max_seq_length"], "overrides": json.dumps(run.get("overrides", {}))}
    return quote_options(options)


def batch_options(wildcards):
    """The options that say how many samples a step sees, and how they are shared out."""
    run = config["training"][wildcards.run]
    return quote_options(
        {
            "samples": run["packing"]["samples_per_batch"],
            "data_parallel": data_parallel_size(run),
            "micro_batch_size": run["micro_batch_size"],
        }
    )


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
