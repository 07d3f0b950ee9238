"""Command lines of the converters, held against the option lists of the real programs; what is wrong with a result."""

import csv
import itertools
import json
from pathlib import Path

import pytest
from stand_ins import OPTIONS, write_checkout

from openmath import conversions
from openmath.conversions import EngineSizes
from openmath.programs import read_checkout

SIZES = EngineSizes(8, 2, "bfloat16", 4096, 8192, 8192, 128)


def real_options(table: str, version: str) -> dict[str, dict[str, str]]:
    """The options of a program at a version, by each of their spellings."""
    with open(OPTIONS / table, encoding="utf-8") as lines:
        rows = list(csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t"))
    return {flag: row for row in rows if row["version"] == version for flag in row["flag"].split()}


def versions(table: str) -> list[str]:
    lines = (OPTIONS / table).read_text("utf-8").splitlines()
    return sorted({line.split("\t")[4] for line in lines if line.startswith("--")})


@pytest.fixture
def checkout(tmp_path):
    return read_checkout(write_checkout(tmp_path / "nemo-skills"))


def assert_real(words: list[str], options: dict[str, dict[str, str]]) -> None:
    """Every option is one of the program's, has a value of its kind, and one of its choices."""
    flags = [word for word in words if word.startswith("--")]
    assert flags
    for flag, value in itertools.pairwise(words):
        if flag in flags:
            assert flag in options
            assert options[flag]["type"] != "flag"
            if options[flag]["choices"]:
                assert value in options[flag]["choices"].split("|")
            if options[flag]["type"] == "int":
                assert int(value) > 0


@pytest.mark.parametrize("version", versions("trtllm_convert_llama.tsv"))
def test_the_converter_to_trtllm_knows_every_option_at_every_version(checkout, version):
    words = conversions.checkpoint_words(checkout, Path("/m"), Path("/t"), SIZES)
    assert words[:2] == ["python", str(checkout.folder / "nemo_skills/conversion/hf_to_trtllm.py")]
    assert_real(words[2:], real_options("trtllm_convert_llama.tsv", version))
    assert words[2:] == [
        *("--model_dir", "/m", "--output_dir", "/t", "--dtype", "bfloat16", "--tp_size", "8", "--pp_size", "2")
    ]


@pytest.mark.parametrize("version", versions("trtllm_build.tsv"))
def test_trtllm_build_knows_every_option_at_every_version(version):
    words = conversions.engine_words(Path("/c"), Path("/t"), SIZES)
    assert_real(words[1:], real_options("trtllm_build.tsv", version))
    # The command of NeMo-Skills, option for option.
    assert words == [
        *("trtllm-build", "--checkpoint_dir", "/c", "--output_dir", "/t", "--gpt_attention_plugin", "bfloat16"),
        *("--use_paged_context_fmha", "enable", "--max_input_len", "4096", "--max_seq_len", "8192"),
        *("--max_num_tokens", "8192", "--max_batch_size", "128"),
    ]


def test_the_converters_of_nemo_are_modules_of_the_checkout(checkout):
    words = conversions.hf_to_nemo_words(checkout, Path("/m"), Path("/t"), "a/b", "bf16")
    assert words[:3] == ["python", "-m", "nemo_skills.conversion.hf_to_nemo"]
    options = ["--in-path", "/m", "--out-path", "/t", "--hf-model-name", "a/b", "--precision", "bf16"]
    assert words[3:] == options
    back = conversions.nemo_to_hf_words(checkout, Path("/m"), Path("/t"), "a/b", "bf16")
    assert back[2:] == ["nemo_skills.conversion.nemo_to_hf", *options, "--max-shard-size", "10GB"]


def test_a_later_checkout_has_the_converters_under_other_names(checkout):
    folder = checkout.folder / "nemo_skills/conversion"
    for name in ("hf_to_nemo", "nemo_to_hf", "hf_to_trtllm"):
        (folder / f"{name}.py").rename(folder / f"{name}_llama.py")
    assert conversions.hf_to_nemo_words(checkout, Path("m"), Path("t"), "a/b", "bf16")[2].endswith(".hf_to_nemo_llama")
    assert conversions.nemo_to_hf_words(checkout, Path("m"), Path("t"), "a/b", "bf16")[2].endswith(".nemo_to_hf_llama")
    assert conversions.checkpoint_words(checkout, Path("m"), Path("t"), SIZES)[1].endswith("/hf_to_trtllm_llama.py")


def test_paths_are_absolute_as_the_command_runs_elsewhere(checkout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = conversions.hf_to_nemo_words(checkout, Path("m/hf"), Path("m/nemo"), "a/b", "bf16")
    assert words[4] == str(tmp_path / "m/hf")
    assert words[6] == str(tmp_path / "m/nemo")


def write_engine(folder: Path, sizes: EngineSizes = SIZES, vocabulary: int = 100) -> dict:
    folder.mkdir()
    for rank in range(sizes.ranks):
        (folder / f"rank{rank}.engine").touch()
    mapping = {"tp_size": sizes.tp_size, "pp_size": sizes.pp_size}
    model = {"dtype": sizes.dtype, "vocab_size": vocabulary, "mapping": mapping}
    return {"pretrained_config": model, "build_config": {**sizes.limits, "max_beam_width": 1}}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda config: None, None),
        (lambda config: config["pretrained_config"]["mapping"].update(tp_size=4), "mapping.tp_size is 4, but 8 was"),
        (lambda config: config["pretrained_config"]["mapping"].update(pp_size=1), "mapping.pp_size is 1, but 2 was"),
        (lambda config: config["pretrained_config"].update(dtype="float16"), "pretrained_config.dtype is float16, but"),
        (lambda config: config["pretrained_config"].update(vocab_size=96), "vocab_size is 96, the model's is 100"),
        (lambda config: config["build_config"].pop("max_batch_size"), "build_config.max_batch_size is None, but 128"),
        (lambda config: config["build_config"].update(max_input_len=1), "build_config.max_input_len is 1, but 4096"),
        (lambda config: config.pop("build_config"), "build_config.max_seq_len is None, but 8192"),
    ],
)
def test_an_engine_of_other_sizes_is_seen(tmp_path, spoil, problem):
    config = write_engine(tmp_path / "engine")
    spoil(config)
    (tmp_path / "engine/config.json").write_text(json.dumps(config))
    found = list(conversions.engine_problems(tmp_path / "engine", SIZES, 100))
    assert found == [] if problem is None else any(problem in sentence for sentence in found)


@pytest.mark.parametrize(("missing", "extra"), [(["rank15.engine"], []), ([], ["rank16.engine"])])
def test_an_engine_has_one_file_a_rank(tmp_path, missing, extra):
    config = write_engine(tmp_path / "engine")
    (tmp_path / "engine/config.json").write_text(json.dumps(config))
    for name in missing:
        (tmp_path / "engine" / name).unlink()
    for name in extra:
        (tmp_path / "engine" / name).touch()
    (problem,) = conversions.engine_problems(tmp_path / "engine", SIZES, 100)
    assert "should hold rank0.engine to rank15.engine" in problem
    assert (missing + extra)[0] in problem


def test_an_empty_folder_is_no_result(tmp_path):
    for found in (
        conversions.engine_problems(tmp_path, SIZES, 0),
        conversions.checkpoint_problems(tmp_path, SIZES),
        conversions.model_problems(tmp_path, tmp_path),
    ):
        assert list(found) == [f"{tmp_path} has no config.json"]
    assert list(conversions.nemo_problems(tmp_path, "bf16")) == [f"{tmp_path} has no model_config.yaml"]


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model-00001-of-00002.bin", None])
def test_a_model_without_weights_is_none(tmp_path, weights):
    (tmp_path / "config.json").write_text('{"vocab_size": 7}')
    if weights:
        (tmp_path / weights).touch()
    found = list(conversions.model_problems(tmp_path, tmp_path))
    assert found == ([] if weights else [f"{tmp_path} has no weights: neither *.safetensors nor *.bin"])


def test_a_nemo_checkpoint_without_weights_is_none(tmp_path):
    (tmp_path / "model_config.yaml").write_text("precision: bf16\n")
    assert list(conversions.nemo_problems(tmp_path, "bf16")) == [f"{tmp_path} has no weights"]
    (tmp_path / "model_weights").mkdir()
    assert list(conversions.nemo_problems(tmp_path, "bf16")) == []
    (problem,) = conversions.nemo_problems(tmp_path, "fp16")
    assert "precision is bf16, but 16 was asked for" in problem


def test_a_configuration_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(conversions.ConversionError, match=r"config\.json cannot be read"):
        conversions.read_json(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(conversions.ConversionError, match="holds no JSON object"):
        conversions.read_json(tmp_path / "config.json")
