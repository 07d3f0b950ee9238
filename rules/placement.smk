"""Where jobs run: nodes, GPUs, CPUs and memory follow from the configuration; time and partitions stand in the profile."""

PLACEMENT_KEYS = ("num_nodes", "num_gpus", "tensor_parallel", "pipeline_parallel", "context_parallel")
SEVERAL_NODES = {"mpi": "", "tasks": 1, "tasks_per_gpu": 0}
# What a GPU brings along of its node: nodes of eight have one to two TB, and a hundred CPUs or more.
MB_PER_GPU, CPUS_PER_GPU = 120000, 8


def node_resources(nodes, gpus):
    """Resources of a job that takes so many nodes and GPUs of each, in the words of the Slurm executor.

    Commands on several nodes are started by ``srun`` from the first (``mpi``), which wants more than one task.
    """
    if not gpus:
        return {"mem_mb": 8000}
    several = {**SEVERAL_NODES, "mpi": "srun", "tasks": nodes} if nodes > 1 else {}
    shares = {"mem_mb": gpus * MB_PER_GPU, "cpus_per_task": gpus * CPUS_PER_GPU}
    return {"nodes": nodes, "gres": f"gpu:{gpus}", **shares, **several}


def asking_resources(model):
    """Resources of a job that asks a model: nodes and options of its server, requests in flight, minutes kept back.

    Options of the engine are among them as they change where and how fast it runs: nothing is asked again for them.

    ``server`` is 1, so that a profile can let the jobs of a group take turns at the server that they share.
    """
    server, (gpus, nodes) = server_of(model), served_sizes(model)
    engine = parallel_options(server["engine"], gpus, nodes) | server.get("options", {})
    return {
        **node_resources(nodes, gpus),
        **({"server": 1} if gpus else {}),
        "concurrency": server.get("concurrency", 64),
        "margin": config["margins"]["generation"],
        "engine_options": quote_options({"engine_options": json.dumps(engine) if engine else None}),
    }


def stage_resources(stage):
    """Resources of a job of a stage that asks one model."""
    return asking_resources(config[stage]["model"])


def run_resources(run):
    """Resources of a leg of a training run."""
    nodes = node_resources(config["training"][run]["num_nodes"], config["training"][run]["num_gpus"])
    return {**nodes, "margin": config["margins"]["training"], "placement": placement(run)}


def for_each(resources_of, wildcard, names):
    """Resource functions, where resources depend on a wildcard; each is worked out once a name."""
    known = {name: resources_of(name) for name in names}
    keys = {key for resources in known.values() for key in resources}
    missing = {"nodes": 1, "gres": "", "cpus_per_task": 1, "server": 0, **SEVERAL_NODES}
    return {
        key: lambda wildcards, key=key: known[wildcards[wildcard]].get(key, missing.get(key)) for key in sorted(keys)
    }


def share_server(rule, *names):
    """Group function: as many seeds as ``group-components`` gives this rule follow each other in one allocation.

    The number of the group is part of its name: Snakemake merges the groups of one name again whenever a checkpoint
    has changed the plan, so that they would grow.

    Args:
        rule: the name that ``group-components`` knows.
        names: wildcards beside the seed that tell servers apart.
    """

    def group(wildcards):
        size = workflow.group_settings.group_components.get(rule, 1)
        if size == 1:
            return None
        name = "-".join([rule, *(wildcards[name] for name in names), str(int(wildcards.get("seed", 0)) // size)])
        workflow.parent_groupids[name] = rule
        return name

    return group


def placement(name):
    """The options that say over which GPUs a run is spread: a resource, as the run stays the same."""
    run = config["training"][name]
    if run["backend"] != "nemo_aligner":
        return ""
    spread = {key: run[key] for key in PLACEMENT_KEYS}
    return quote_options({**spread, "launcher": json.dumps(config["nemo"]["launcher"])})


def launcher_option(section, num_gpus=None):
    """The words before the commands of NeMo or TensorRT-LLM, and GPUs that they may name.

    This is a resource, as it changes where a command runs and not what it makes.
    """
    return quote_options({"launcher": json.dumps(config[section]["launcher"]), "num_gpus": num_gpus})


def nemo_launcher(wildcards):
    """Resource function: the launcher of NeMo on the GPUs of a node that trains a run."""
    return launcher_option("nemo", config["training"][wildcards.run]["num_gpus"])
