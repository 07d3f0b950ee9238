"""Engines: which program serves a model, how it is asked for on a command line, and how it is started.

All engines speak the OpenAI protocol, so that there is one client. Ours is `transformers` (small, on the CPU); `vllm`
and `trtllm` are programs of their own environments or containers, which are started and never imported; `openai` is
any address that answers already. An engine's options are its own command-line options, with underscores for hyphens,
beside these, which are ours:

    launcher        words before the command: ["srun", "--overlap", ...], ["apptainer", "exec", "--nv", "vllm.sif"]
    exclusive       one server at a time in an allocation (default: true for engines that run on GPUs)
    start_timeout   seconds until the server must answer (default 1800)
    idle_timeout    seconds without a user after which the server is ended (default 60)
"""

import argparse
import importlib.util
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENGINES = ("transformers", "vllm", "trtllm", "openai")
OWN_OPTIONS = ("launcher", "exclusive", "start_timeout", "idle_timeout")
HOST = "127.0.0.1"

_SERVE_TRANSFORMERS = Path(__file__).resolve().parent.parent / "serve_transformers.py"
_EMBEDDED_MODULES = ("torch", "transformers", "starlette", "uvicorn")
_ADVICE = {
    "vllm": "install vLLM in the job's environment",
    "trtllm": "install TensorRT-LLM in the job's environment",
}


class EngineError(RuntimeError):
    """An engine cannot be started or has ended; the message is for a person."""


@dataclass(frozen=True)
class Server:
    """What is asked for, and how it is reached or started.

    Attributes:
        model: the name that the server knows the model by.
        engine: one of ENGINES.
        folder: the model folder; None for `openai`.
        options: options of the engine and ours (see the module).
        address: base URL of a server that runs already (with its `/v1`); None where we start one.
        api_key_env: the environment variable that holds the key of `address`.
    """

    model: str
    engine: str
    folder: Path | None
    options: dict[str, Any] = field(default_factory=dict)
    address: str | None = None
    api_key_env: str | None = None

    @property
    def exclusive(self) -> bool:
        """Whether the server wants the allocation to itself."""
        return bool(self.options.get("exclusive", self.engine in ("vllm", "trtllm")))

    @property
    def start_timeout(self) -> float:
        return float(self.options.get("start_timeout", 1800))

    @property
    def idle_timeout(self) -> float:
        return float(self.options.get("idle_timeout", 60))


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; a temperature of 0 is greedy."""

    temperature: float
    top_p: float
    max_tokens: int


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `server_from_args` reads."""
    group = parser.add_argument_group("server")
    group.add_argument("--model", required=True, help="the name of the model, as the server knows it")
    group.add_argument("--engine", choices=ENGINES, required=True)
    group.add_argument("--model-folder", type=Path, help="the model's files, with their manifest.json")
    group.add_argument("--engine-options", type=json.loads, default={}, metavar="JSON", help="see openmath/engines.py")
    group.add_argument("--address", help="base URL of a server that runs already, as https://api.openai.com/v1")
    group.add_argument("--api-key-env", metavar="NAME", help="the environment variable that holds the key of --address")


def server_from_args(args: argparse.Namespace) -> Server:
    """Check what was given against what the engine needs.

    Raises:
        ValueError: `openai` without an address, another engine without a model folder, or options that are no object.
    """
    if not isinstance(args.engine_options, dict):
        raise ValueError("--engine-options must be a JSON object")
    if args.engine == "openai" and args.address is None:
        raise ValueError("the engine 'openai' needs --address")
    if args.engine != "openai" and args.model_folder is None and args.address is None:
        raise ValueError(f"the engine '{args.engine}' needs --model-folder (or --address, if its server runs already)")
    return Server(args.model, args.engine, args.model_folder, args.engine_options, args.address, args.api_key_env)


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `sampling_from_args` reads."""
    group = parser.add_argument_group("sampling")
    group.add_argument("--temperature", type=float, required=True, help="0: greedy")
    group.add_argument("--top-p", type=float, required=True)
    group.add_argument("--max-tokens", type=int, required=True)


def sampling_from_args(args: argparse.Namespace) -> Sampling:
    """Check the ranges.

    Raises:
        ValueError: a value out of its range, named.
    """
    if args.temperature < 0:
        raise ValueError(f"--temperature {args.temperature}: must not be negative")
    if not 0 < args.top_p <= 1:
        raise ValueError(f"--top-p {args.top_p}: must lie above 0 and not above 1")
    if args.max_tokens < 1:
        raise ValueError(f"--max-tokens {args.max_tokens}: must be at least 1")
    return Sampling(args.temperature, args.top_p, args.max_tokens)


def parallel_options(engine: str, gpus: int, nodes: int) -> dict[str, Any]:
    """The engine's own options for a server over ``gpus`` GPUs on each of ``nodes`` nodes.

    Layers are shared by the GPUs of a node and cut into a stage for each node, as NeMo-Skills does. TensorRT-LLM starts
    a process on every GPU by itself on one node only.

    >>> parallel_options("vllm", 8, 2)
    {'tensor_parallel_size': 8, 'pipeline_parallel_size': 2}
    """
    if engine == "vllm":
        return {"tensor_parallel_size": gpus, "pipeline_parallel_size": nodes}
    if engine != "trtllm":
        return {}
    sizes = {"backend": "tensorrt", "tp_size": gpus, "pp_size": nodes}
    return sizes if nodes == 1 else {"launcher": _every_gpu(gpus, nodes), **sizes}


def _every_gpu(gpus: int, nodes: int) -> list[str]:
    step = {"nodes": nodes, "ntasks": nodes * gpus, "ntasks-per-node": gpus, "gres": f"gpu:{gpus}", "cpus-per-task": 1}
    words = [f"--{name}={value}" for name, value in step.items()]
    return ["srun", "--overlap", "--mpi=pmix", *words, "trtllm-llmapi-launch"]


def engine_command(server: Server, port: int) -> list[str]:
    """The command line that serves the model of `server` on a port of this machine.

    >>> server = Server("m", "vllm", Path("models/m"), {"tensor_parallel_size": 8, "enforce_eager": True})
    >>> " ".join(engine_command(server, 8000)[3:])
    '--served-model-name m --host 127.0.0.1 --port 8000 --tensor-parallel-size 8 --enforce-eager'
    """
    folder = str(server.folder)
    where = ["--host", HOST, "--port", str(port)]
    if server.engine == "transformers":
        names = ["--model-folder", folder, "--served-model-name", server.model]
        command = [sys.executable, str(_SERVE_TRANSFORMERS), *names, *where]
    elif server.engine == "vllm":
        command = ["vllm", "serve", folder, "--served-model-name", server.model, *where]
    elif server.engine == "trtllm":
        # It has no option for the name in every version, and does not look at the name in a request.
        command = ["trtllm-serve", folder, *where]
    else:
        raise EngineError(f"the engine '{server.engine}' is not started by us")
    return [*server.options.get("launcher", []), *command, *_option_words(server)]


def check_engine(server: Server) -> None:
    """Raise EngineError, in one sentence, when the program that serves the model is not here."""
    if server.folder is not None and not (server.folder / "manifest.json").is_file():
        raise EngineError(f"{server.folder} is no finished model folder: it has no manifest.json.")
    launcher = server.options.get("launcher", [])
    if launcher:
        if shutil.which(launcher[0]) is None:
            raise EngineError(f"The launcher '{launcher[0]}' of the engine '{server.engine}' is not found in this job.")
    elif server.engine == "transformers":
        missing = [name for name in _EMBEDDED_MODULES if importlib.util.find_spec(name) is None]
        if missing:
            raise EngineError(
                f"The engine 'transformers' needs {', '.join(missing)} in this job's environment: "
                "pip install the extra 'demo' of this project."
            )
    else:
        program = engine_command(server, 0)[0]
        if shutil.which(program) is None:
            raise EngineError(
                f"The program '{program}' of the engine '{server.engine}' is not found in this job: "
                f"{_ADVICE[server.engine]}, or start it through the engine option 'launcher'."
            )


def _option_words(server: Server) -> list[str]:
    # trtllm-serve writes its options with underscores, the others with hyphens; only vLLM has a --no-x to every --x.
    separator = "_" if server.engine == "trtllm" else "-"
    words: list[str] = []
    for key, value in server.options.items():
        name = key.replace("_", separator)
        if key in OWN_OPTIONS or value is None:
            continue
        if isinstance(value, bool):
            words += [f"--{name}"] if value else [f"--no-{name}"] if server.engine == "vllm" else []
        elif isinstance(value, list):
            words += [f"--{name}", *map(str, value)]
        elif isinstance(value, dict):
            words += [f"--{name}", json.dumps(value)]
        else:
            words += [f"--{name}", str(value)]
    return words
