"""Command lines of the engines, held against the option lists of the real programs."""

import argparse
import csv
from pathlib import Path

import pytest

from openmath.engines import (
    EngineError,
    Server,
    add_sampling_arguments,
    add_server_arguments,
    check_engine,
    engine_command,
    parallel_options,
    sampling_from_args,
    server_from_args,
)

GPU_OPTIONS = {
    "tensor_parallel_size": 8,
    "pipeline_parallel_size": 2,
    "max_model_len": 4096,
    "max_num_seqs": 256,
    "gpu_memory_utilization": 0.9,
    "enable_prefix_caching": True,
    "enable_chunked_prefill": False,
    "trust_remote_code": True,
    "dtype": "bfloat16",
    "distributed_executor_backend": "ray",
}


def known_flags(table: str) -> set[str]:
    with open(Path(__file__).parents[1] / "data/options" / table, encoding="utf-8") as lines:
        rows = csv.reader((line for line in lines if not line.startswith("#")), delimiter="\t")
        return {flag for row in rows for flag in row[0].split()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "manifest.json").write_text("{}")
    return tmp_path


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_server_arguments(parser)
    add_sampling_arguments(parser)
    return parser.parse_args([*words])


@pytest.mark.parametrize(
    ("engine", "options", "listed"),
    [
        ("vllm", GPU_OPTIONS, "vllm_serve.tsv"),
        ("vllm", parallel_options("vllm", 8, 2), "vllm_serve.tsv"),
        ("trtllm", parallel_options("trtllm", 8, 1), "trtllm_serve.tsv"),
        ("trtllm", {"tp_size": 8, "pp_size": 2, "tokenizer": "t", "max_batch_size": 64}, "trtllm_serve.tsv"),
    ],
)
def test_every_option_that_is_written_is_one_of_the_program(engine, options, listed, folder):
    known = known_flags(listed)
    words = engine_command(Server("m", engine, folder, options), 8000)
    flags = [word for word in words if word.startswith("--")]
    assert len(flags) > len(options)
    assert set(flags) <= known


def test_a_server_over_several_nodes_is_started_on_every_gpu_of_them(folder):
    words = engine_command(Server("m", "trtllm", folder, parallel_options("trtllm", 8, 2)), 8000)
    start = words.index("trtllm-serve")
    assert words[0] == "srun"
    assert words[start - 1] == "trtllm-llmapi-launch"
    assert {"--nodes=2", "--ntasks=16", "--ntasks-per-node=8", "--gres=gpu:8", "--cpus-per-task=1"} <= set(
        words[:start]
    )
    options = dict(zip(words[start + 2 :: 2], words[start + 3 :: 2], strict=False))
    assert (options["--tp_size"], options["--pp_size"], options["--backend"]) == ("8", "2", "tensorrt")


def test_the_embedded_server_takes_what_is_written(folder):
    import serve_transformers

    words = engine_command(Server("m", "transformers", folder, {"max_batch_size": 32, "dtype": "float32"}), 8000)
    args = serve_transformers.parse_args(words[2:])
    assert (args.served_model_name, args.port, args.max_batch_size, args.dtype) == ("m", 8000, 32, "float32")


def test_options_of_ours_are_not_written_and_the_launcher_stands_in_front(folder):
    options = {"launcher": ["srun", "--overlap"], "exclusive": True, "start_timeout": 5, "idle_timeout": 1}
    words = engine_command(Server("m", "vllm", folder, options), 1)
    assert words[:4] == ["srun", "--overlap", "vllm", "serve"]
    assert not {"--exclusive", "--start-timeout", "--idle-timeout", "--launcher"} & set(words)


def test_values_are_written_each_in_its_way(folder):
    options = {"a_b": None, "c": True, "d": False, "e": [1, 2], "f": {"g": 1}, "h": "x y"}
    words = engine_command(Server("m", "vllm", folder, options), 1)[8:]
    assert words == ["1", "--c", "--no-d", "--e", "1", "2", "--f", '{"g": 1}', "--h", "x y"]


def test_a_missing_program_is_named_in_one_sentence(folder, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineError, match="'vllm' of the engine 'vllm' is not found in this job: install vLLM"):
        check_engine(Server("m", "vllm", folder))
    with pytest.raises(EngineError, match="launcher 'apptainer'"):
        check_engine(Server("m", "vllm", folder, {"launcher": ["apptainer", "exec"]}))


def test_a_missing_package_of_the_embedded_server_is_named(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(EngineError, match="needs uvicorn in this job's environment"):
        check_engine(Server("m", "transformers", folder))


def test_an_unfinished_model_folder_is_refused(tmp_path):
    with pytest.raises(EngineError, match=r"no manifest\.json"):
        check_engine(Server("m", "transformers", tmp_path))


def test_engines_on_gpus_have_the_allocation_to_themselves_unless_told():
    assert Server("m", "vllm", None).exclusive
    assert not Server("m", "vllm", None, {"exclusive": False}).exclusive
    assert not Server("m", "transformers", None).exclusive


SAMPLING = ("--temperature", "1", "--top-p", "0.95", "--max-tokens", "9")


def test_a_server_is_read_from_the_command_line():
    words = ("--model", "m", "--engine", "vllm", "--model-folder", "f", "--engine-options", '{"dtype": "auto"}')
    assert server_from_args(parse(*words, *SAMPLING)) == Server("m", "vllm", Path("f"), {"dtype": "auto"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--engine", "openai"), "needs --address"),
        (("--engine", "vllm"), "needs --model-folder"),
        (("--engine", "vllm", "--model-folder", "f", "--engine-options", "[1]"), "JSON object"),
    ],
)
def test_a_server_that_cannot_be_reached_or_started_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        server_from_args(parse("--model", "m", *words, *SAMPLING))


@pytest.mark.parametrize("bad", [("--temperature", "-1"), ("--top-p", "0"), ("--top-p", "1.1"), ("--max-tokens", "0")])
def test_sampling_out_of_range_is_refused_by_name(bad):
    with pytest.raises(ValueError, match=bad[0]):
        sampling_from_args(parse("--model", "m", "--engine", "openai", *SAMPLING, *bad))
