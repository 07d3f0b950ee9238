"""Conversions of a model between Hugging Face layout, NeMo's checkpoints and TensorRT-LLM's engines.

    hf -> trtllm    NeMo-Skills' converter, then `trtllm-build`, then the tokenizer: two steps, kept apart
    hf -> nemo      NeMo-Skills' converter
    nemo -> hf      NeMo-Skills' converter, then what it leaves out of the model that training began with

The converters are those of the checkout (openmath/programs.py); the tests hold the command lines against the option
lists of the real programs. What can be checked of a result without a GPU is checked before its step counts as finished:
sizes, limits and files of an engine, the arithmetic of a NeMo checkpoint, configuration and weights of a model.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from openmath.folder_steps import already_made, finished_step, move_contents, remove_steps
from openmath.manifests import MANIFEST, write_folder_manifest
from openmath.programs import (
    NEMO_ADVICE,
    Checkout,
    Launcher,
    in_checkout,
    require_packages,
    require_program,
    run_program,
)
from openmath.records import file_sha256

DIRECTIONS = (("hf", "trtllm"), ("hf", "nemo"), ("nemo", "hf"))

PRECISIONS = {"bf16": "bf16", "fp16": "16", "fp32": "32"}
"""The converters' words for an arithmetic; they take a word that they do not know for fp32."""

TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*")
GENERATION_CONFIG = "generation_config.json"

# One name at the pinned commit, another since November 2024, when each family of models got its own.
_HF_TO_TRTLLM = ("nemo_skills/conversion/hf_to_trtllm.py", "nemo_skills/conversion/hf_to_trtllm_llama.py")
_HF_TO_NEMO = ("nemo_skills/conversion/hf_to_nemo.py", "nemo_skills/conversion/hf_to_nemo_llama.py")
_NEMO_TO_HF = ("nemo_skills/conversion/nemo_to_hf.py", "nemo_skills/conversion/nemo_to_hf_llama.py")
_MAX_SHARD_SIZE = "10GB"
_TRTLLM_ADVICE = (
    "TensorRT-LLM is missing; name its container in the launcher (tensorrt_llm.launcher), "
    "or install it in the job's environment"
)


class ConversionError(RuntimeError):
    """A conversion cannot be made, or its result is not right; the message names file and key."""


@dataclass(frozen=True)
class EngineSizes:
    """What an engine is built for.

    Attributes:
        tp_size: GPUs that share each layer.
        pp_size: stages that the layers are cut into.
        dtype: bfloat16, float16 or float32.
        max_input_len: longest prompt, in tokens.
        max_seq_len: longest prompt and answer, in tokens.
        max_num_tokens: tokens of a batch, padding taken out.
        max_batch_size: requests of a batch.
    """

    tp_size: int
    pp_size: int
    dtype: str
    max_input_len: int
    max_seq_len: int
    max_num_tokens: int
    max_batch_size: int

    @property
    def ranks(self) -> int:
        return self.tp_size * self.pp_size

    @property
    def limits(self) -> dict[str, int]:
        """The limits, by their names in TensorRT-LLM."""
        return {name: getattr(self, name) for name in asdict(self) if name.startswith("max_")}


@dataclass(frozen=True)
class Conversion:
    """From which folder into which, and with what.

    Attributes:
        source: folder of the model, with its manifest.
        target: folder that is made; held by the caller.
        checkout: NeMo-Skills.
        launcher: words before each command.
    """

    source: Path
    target: Path
    checkout: Checkout
    launcher: Launcher


def check_source(folder: Path) -> None:
    """Raise ConversionError if a model folder is not finished."""
    if not (folder / MANIFEST).is_file():
        raise ConversionError(f"{folder} is no finished model folder: it has no {MANIFEST}")


# Command lines.


def checkpoint_words(checkout: Checkout, source: Path, result: Path, sizes: EngineSizes) -> list[str]:
    """The command that cuts a model in Hugging Face layout into the shards of an engine."""
    words = ["python", str(checkout.file(*_HF_TO_TRTLLM)), "--model_dir", _absolute(source)]
    words += ["--output_dir", _absolute(result), "--dtype", sizes.dtype]
    return [*words, "--tp_size", str(sizes.tp_size), "--pp_size", str(sizes.pp_size)]


def engine_words(checkpoint: Path, result: Path, sizes: EngineSizes) -> list[str]:
    """The command that builds an engine from the shards."""
    words = ["trtllm-build", "--checkpoint_dir", _absolute(checkpoint), "--output_dir", _absolute(result)]
    words += ["--gpt_attention_plugin", sizes.dtype, "--use_paged_context_fmha", "enable"]
    return words + [word for name, limit in sizes.limits.items() for word in (f"--{name}", str(limit))]


def hf_to_nemo_words(checkout: Checkout, source: Path, result: Path, hf_model_name: str, precision: str) -> list[str]:
    """The command that brings a model into NeMo's form."""
    return _converter_words(checkout, _HF_TO_NEMO, source, result, hf_model_name, precision)


def nemo_to_hf_words(checkout: Checkout, source: Path, result: Path, hf_model_name: str, precision: str) -> list[str]:
    """The command that brings a NeMo checkpoint into Hugging Face layout."""
    words = _converter_words(checkout, _NEMO_TO_HF, source, result, hf_model_name, precision)
    return [*words, "--max-shard-size", _MAX_SHARD_SIZE]


def _converter_words(
    checkout: Checkout, files: Sequence[str], source: Path, result: Path, hf_model_name: str, precision: str
) -> list[str]:
    file = checkout.file(*files).relative_to(checkout.folder)
    module = ".".join(file.with_suffix("").parts)
    words = ["python", "-m", module, "--in-path", _absolute(source), "--out-path", _absolute(result)]
    return [*words, "--hf-model-name", hf_model_name, "--precision", PRECISIONS[precision]]


def _absolute(path: Path) -> str:
    # Links are kept: a container sees the paths that are mounted, not those that links lead to.
    return os.path.abspath(path)


# Conversions.


def require_for(source: str, target: str, launcher: Launcher, checkout: Checkout) -> None:
    """Raise ProgramError, in one sentence, when a program of the direction is missing."""
    if (source, target) == ("hf", "trtllm"):
        checkout.file(*_HF_TO_TRTLLM)
        require_program(launcher, "trtllm-build", _TRTLLM_ADVICE)
        require_packages(launcher, checkout, ["tensorrt_llm"], _TRTLLM_ADVICE)
    else:
        checkout.file(*(_HF_TO_NEMO if target == "nemo" else _NEMO_TO_HF))
        require_packages(launcher, checkout, ["nemo"], NEMO_ADVICE)


def convert_to_trtllm(conversion: Conversion, sizes: EngineSizes) -> None:
    """Build the engine of a model in Hugging Face layout, and put the tokenizer beside it.

    Raises:
        ConversionError: a result is not what was asked for.
        ProgramError: a program failed.
    """
    vocabulary = read_json(conversion.source / "config.json").get("vocab_size", 0)

    def cut(result: Path) -> None:
        words = checkpoint_words(conversion.checkout, conversion.source, result, sizes)
        run_program("the converter to TensorRT-LLM", in_checkout(conversion.launcher, conversion.checkout, words))
        _refuse(checkpoint_problems(result, sizes), "the converter to TensorRT-LLM")

    def build(result: Path) -> None:
        run_program("trtllm-build", conversion.launcher.before(engine_words(checkpoint, result, sizes)))
        _refuse(engine_problems(result, sizes, vocabulary), "trtllm-build")

    facts = _facts(conversion, "hf to trtllm", asdict(sizes))
    if already_made(conversion.target, facts):
        return
    shards = {**facts, "options": {name: value for name, value in asdict(sizes).items() if name not in sizes.limits}}
    checkpoint = finished_step(conversion.target, "checkpoint", shards, cut)
    engine = finished_step(conversion.target, "engine", facts, build)
    move_contents(engine, conversion.target)
    if not copy_missing(conversion.source, conversion.target, (*TOKENIZER_FILES, GENERATION_CONFIG)):
        raise ConversionError(f"{conversion.source} has no tokenizer: there is no file tokenizer* in it")
    write_folder_manifest(conversion.target, **facts)
    remove_steps(conversion.target, "engine", "checkpoint")


def convert_to_nemo(conversion: Conversion, hf_model_name: str, precision: str) -> None:
    """Bring a model in Hugging Face layout into the form that NeMo trains.

    Raises:
        ConversionError: the result is not what was asked for.
        ProgramError: the converter failed.
    """

    def convert(result: Path) -> None:
        words = hf_to_nemo_words(conversion.checkout, conversion.source, result, hf_model_name, precision)
        run_program("the converter to NeMo", in_checkout(conversion.launcher, conversion.checkout, words))
        _refuse(nemo_problems(result, precision), "the converter to NeMo")

    facts = _facts(conversion, "hf to nemo", {"hf_model_name": hf_model_name, "precision": precision})
    if already_made(conversion.target, facts):
        return
    converted = finished_step(conversion.target, "converted", facts, convert)
    move_contents(converted, conversion.target)
    write_folder_manifest(conversion.target, **facts)
    remove_steps(conversion.target, "converted")


def convert_to_hf(conversion: Conversion, hf_model_name: str, precision: str, base_model: Path) -> None:
    """Bring a NeMo checkpoint into Hugging Face layout, with what the converter leaves out of its base model.

    Raises:
        ConversionError: the result is not what was asked for.
        ProgramError: the converter failed.
    """

    def convert(result: Path) -> None:
        words = nemo_to_hf_words(conversion.checkout, conversion.source, result, hf_model_name, precision)
        run_program("the converter from NeMo", in_checkout(conversion.launcher, conversion.checkout, words))
        _refuse(model_problems(result, base_model), "the converter from NeMo")

    facts = _facts(conversion, "nemo to hf", {"hf_model_name": hf_model_name, "precision": precision})
    facts["base_model_manifest_sha256"] = file_sha256(base_model / MANIFEST)
    if already_made(conversion.target, facts):
        return
    converted = finished_step(conversion.target, "converted", facts, convert)
    move_contents(converted, conversion.target)
    if not copy_missing(base_model, conversion.target, (*TOKENIZER_FILES, GENERATION_CONFIG)):
        raise ConversionError(f"neither the converter nor {base_model} gives a tokenizer: there is no file tokenizer*")
    write_folder_manifest(conversion.target, **facts)
    remove_steps(conversion.target, "converted")


def _facts(conversion: Conversion, direction: str, options: dict[str, Any]) -> dict[str, Any]:
    """What the result depends on, and where it comes from: the first keys of its manifest."""
    return {
        "source": "conversion",
        "conversion": direction,
        "model_manifest_sha256": file_sha256(conversion.source / MANIFEST),
        "checkout": conversion.checkout.facts,
        "options": options,
    }


def copy_missing(source: Path, target: Path, patterns: Sequence[str]) -> bool:
    """Copy the files that the target lacks, and say whether it has a tokenizer now."""
    for pattern in patterns:
        for file in sorted(source.glob(pattern)):
            if file.is_file() and not (target / file.name).exists():
                part = target / f".{file.name}.part"
                shutil.copyfile(file, part)
                part.rename(target / file.name)
    return any(target.glob("tokenizer*"))


# What is wrong with a result: sentences, none if it is right.


def checkpoint_problems(folder: Path, sizes: EngineSizes) -> Iterator[str]:
    """What is wrong with the shards that an engine is built from."""
    if not (folder / "config.json").is_file():
        yield f"{folder} has no config.json"
        return
    yield from _differences(folder, {"mapping": {"tp_size": sizes.tp_size, "pp_size": sizes.pp_size}})
    yield from _missing_ranks(folder, "rank{}.safetensors", sizes.ranks)


def engine_problems(folder: Path, sizes: EngineSizes, vocabulary: int) -> Iterator[str]:
    """What is wrong with an engine: its sizes, its limits, its files, or a vocabulary smaller than the model's."""
    if not (folder / "config.json").is_file():
        yield f"{folder} has no config.json"
        return
    model = {"mapping": {"tp_size": sizes.tp_size, "pp_size": sizes.pp_size}, "dtype": sizes.dtype}
    yield from _differences(folder, {"pretrained_config": model, "build_config": sizes.limits})
    built = read_json(folder / "config.json").get("pretrained_config", {}).get("vocab_size", vocabulary)
    if built < vocabulary:
        yield f"{folder / 'config.json'}: pretrained_config.vocab_size is {built}, the model's is {vocabulary}"
    yield from _missing_ranks(folder, "rank{}.engine", sizes.ranks)


def nemo_problems(folder: Path, precision: str) -> Iterator[str]:
    """What is wrong with a NeMo checkpoint: no configuration, no weights, or an arithmetic that nobody asked for."""
    file = folder / "model_config.yaml"
    if not file.is_file():
        yield f"{folder} has no model_config.yaml"
        return
    if not any(path.is_dir() or path.suffix == ".ckpt" for path in folder.iterdir()):
        yield f"{folder} has no weights"
    # Where no GPU does bf16, the converter takes fp16 with no more than a warning.
    written = (yaml.safe_load(file.read_text("utf-8")) or {}).get("precision")
    if written is not None and str(written) != PRECISIONS[precision]:
        yield f"{file}: precision is {written}, but {PRECISIONS[precision]} was asked for; is there a GPU in the job?"


def model_problems(folder: Path, base_model: Path) -> Iterator[str]:
    """What is wrong with a model in Hugging Face layout: no configuration, no weights, or another vocabulary."""
    if not (folder / "config.json").is_file():
        yield f"{folder} has no config.json"
        return
    if not any(True for pattern in ("*.safetensors", "*.bin") for _ in folder.glob(pattern)):
        yield f"{folder} has no weights: neither *.safetensors nor *.bin"
    sizes = [read_json(model / "config.json").get("vocab_size") for model in (folder, base_model)]
    if sizes[0] != sizes[1]:
        yield f"{folder / 'config.json'}: vocab_size is {sizes[0]}, that of {base_model} is {sizes[1]}"


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ConversionError: there is no such file, or no object in it.
    """
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConversionError(f"{file} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise ConversionError(f"{file} holds no JSON object")
    return value


def _differences(folder: Path, wanted: dict[str, Any]) -> Iterator[str]:
    file = folder / "config.json"

    def compare(there: Any, asked: dict[str, Any], name: str) -> Iterator[str]:
        for key, value in asked.items():
            found = there.get(key) if isinstance(there, dict) else None
            if isinstance(value, dict):
                yield from compare(found, value, f"{name}{key}.")
            elif found != value:
                yield f"{file}: {name}{key} is {found}, but {value} was asked for"

    yield from compare(read_json(file), wanted, "")


def _missing_ranks(folder: Path, pattern: str, ranks: int) -> Iterator[str]:
    wanted = {pattern.format(rank) for rank in range(ranks)}
    found = {path.name for path in folder.glob(pattern.format("*"))}
    if found != wanted:
        names = sorted(found ^ wanted)
        yield f"{folder} should hold {pattern.format(0)} to {pattern.format(ranks - 1)}; missing or too many: {names}"


def _refuse(problems: Iterator[str], maker: str) -> None:
    if found := list(problems):
        raise ConversionError(f"{maker} did not make what was asked for: " + "; ".join(found))
