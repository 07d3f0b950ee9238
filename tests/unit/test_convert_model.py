"""Conversions, through stand-ins of the real programs (stand_ins.py)."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_ins import environment, read_calls, write_checkout, write_programs

import convert_model
from openmath.records import file_sha256

SIZES = {
    "--tp-size": "2",
    "--pp-size": "2",
    "--dtype": "bfloat16",
    "--max-input-len": "4096",
    "--max-seq-len": "8192",
    "--max-num-tokens": "8192",
    "--max-batch-size": "128",
}


class Place:
    """A folder with models, a checkout and the programs of a job."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.checkout = write_checkout(folder / "nemo-skills")
        self.programs = write_programs(folder / "bin", self.checkout)
        self.calls_file = folder / "calls.jsonl"
        self.variables = environment(self.programs, self.calls_file)
        self.hf = self.model("hf", {"config.json": '{"vocab_size": 100}', "model.safetensors": "weights"})
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"):
            (self.hf / name).write_text(f"{name} of the base model")
        self.nemo = self.model("averaged-nemo", {"model_config.yaml": "precision: bf16"})
        self.target = folder / "made"

    def model(self, name: str, files: dict[str, str]) -> Path:
        model = self.folder / name
        model.mkdir()
        for file, text in {**files, "manifest.json": f'{{"source": "{name}"}}'}.items():
            (model / file).write_text(text)
        return model

    def words(self, source: str, target: str, *more: str) -> list[str]:
        folder = self.nemo if source == "nemo" else self.hf
        common = ["--from", source, "--to", target, "--model-folder", str(folder), "--checkout", str(self.checkout)]
        options = {"trtllm": [word for pair in SIZES.items() for word in pair]}.get(target, ["--hf-model-name", "a/b"])
        base = ["--hf-model-folder", str(self.hf)] if source == "nemo" else []
        return [*common, *options, *base, "--manifest", str(self.target / "manifest.json"), *more]

    def convert(self, source: str, target: str, *more: str) -> dict:
        convert_model.main(self.words(source, target, *more))
        return json.loads((self.target / "manifest.json").read_text())

    def names(self) -> list[str]:
        return [call["name"] for call in read_calls(self.calls_file)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Place(tmp_path)
    for name, value in place.variables.items():
        monkeypatch.setenv(name, value)
    return place


DIRECTIONS = [("hf", "trtllm"), ("hf", "nemo"), ("nemo", "hf")]


def test_an_engine_is_made_in_two_steps_and_gets_the_tokenizer(place):
    manifest = place.convert("hf", "trtllm")
    convert, build = read_calls(place.calls_file)
    assert (convert["name"], build["name"]) == ("hf_to_trtllm", "trtllm-build")
    assert convert["cwd"] == str(place.checkout / "checkout")
    assert convert["environment"]["PYTHONPATH"].split(":")[0] == str(place.checkout / "checkout")
    written = {file: (place.target / file).read_text() for file in manifest["files"]}
    assert set(written) == {
        *(f"rank{rank}.engine" for rank in range(4)),
        *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
        "generation_config.json",
    }
    assert json.loads(written["config.json"])["build_config"]["max_num_tokens"] == 8192
    assert manifest["files"]["rank3.engine"] == file_sha256(place.target / "rank3.engine")
    assert manifest["conversion"] == "hf to trtllm"
    assert manifest["model_manifest_sha256"] == file_sha256(place.hf / "manifest.json")
    assert manifest["checkout"]["revision"] == "e718d393e7b82d671e78d9474c514d1f90b6ea11"
    assert manifest["options"] == {
        **{"tp_size": 2, "pp_size": 2, "dtype": "bfloat16", "max_input_len": 4096, "max_seq_len": 8192},
        **{"max_num_tokens": 8192, "max_batch_size": 128},
    }
    assert [path.name for path in place.target.glob(".*")] == [".lock"]  # the shards are as large as the engine


def test_a_model_goes_to_nemo_with_all_its_weights(place):
    manifest = place.convert("hf", "nemo")
    assert manifest["options"] == {"hf_model_name": "a/b", "precision": "bf16"}
    weights = "model_weights/model.embedding.word_embeddings.weight"
    assert set(manifest["files"]) == {"model_config.yaml", f"{weights}/0.0"}
    assert (place.target / weights / ".zarray").is_file()


def test_a_model_comes_back_from_nemo_with_what_the_converter_leaves_out(place):
    manifest = place.convert("nemo", "hf")
    assert set(manifest["files"]) == {
        *("config.json", "model-00001-of-00001.safetensors", "tokenizer_config.json"),
        *("tokenizer.json", "special_tokens_map.json", "generation_config.json"),
    }
    assert "the converter" in (place.target / "tokenizer_config.json").read_text()
    assert "base model" in (place.target / "generation_config.json").read_text()
    assert manifest["model_manifest_sha256"] == file_sha256(place.nemo / "manifest.json")
    assert manifest["base_model_manifest_sha256"] == file_sha256(place.hf / "manifest.json")
    (call,) = read_calls(place.calls_file)
    assert call["argv"][-2:] == ["--max-shard-size", "10GB"]


@pytest.mark.parametrize(("given", "written"), [("bf16", "bf16"), ("fp16", "16"), ("fp32", "32")])
def test_an_arithmetic_is_named_as_the_converters_know_it(place, given, written):
    place.convert("hf", "nemo", "--precision", given)
    (call,) = read_calls(place.calls_file)
    assert call["argv"][call["argv"].index("--precision") + 1] == written


def test_the_launcher_stands_before_every_command_with_its_numbers(place, capfd):
    launcher = json.dumps([str(place.programs / "launch"), "n{nodes}-g{gpus}", "t{tasks}"])
    place.convert("hf", "trtllm", "--launcher", launcher)
    assert capfd.readouterr().err.count("launched n1-g2 t1") == 2
    convert, build = read_calls(place.calls_file)
    assert convert["cwd"] == str(place.checkout / "checkout")  # though the launcher went elsewhere
    assert build["cwd"] == "/"


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("nemo", "trtllm", "nemo to trtllm goes through hf"),
        ("trtllm", "hf", "there is no conversion of trtllm to hf; there are hf to trtllm, hf to nemo, nemo to hf"),
        ("hf", "hf", "there is no conversion of hf to hf"),
    ],
)
def test_what_nobody_converts_is_refused(place, source, target, message):
    with pytest.raises(SystemExit, match=f"convert_model: {message}"):
        place.convert(source, target)


@pytest.mark.parametrize(
    ("removed", "direction", "message"),
    [
        ("bin/trtllm-build", ("hf", "trtllm"), "the program 'trtllm-build' is not found in this job: TensorRT-LLM is"),
        ("bin/python", ("hf", "nemo"), "the program 'python' is not found in this job: NeMo is missing"),
        ("nemo-skills/checkout/nemo/__init__.py", ("nemo", "hf"), "python has no package 'nemo': NeMo is missing"),
        (
            "nemo-skills/checkout/tensorrt_llm/__init__.py",
            ("hf", "trtllm"),
            "python has no package 'tensorrt_llm': TensorRT-LLM is missing",
        ),
        ("nemo-skills/manifest.json", ("hf", "nemo"), "nemo-skills is no finished checkout"),
        (
            "nemo-skills/checkout/nemo_skills/conversion/nemo_to_hf.py",
            ("nemo", "hf"),
            "checkout has no nemo_skills/conversion/nemo_to_hf.py and no .*: another revision is needed",
        ),
        ("hf/manifest.json", ("hf", "nemo"), "hf is no finished model folder"),
        ("hf/manifest.json", ("nemo", "hf"), "hf is no finished model folder"),
    ],
)
def test_what_is_missing_is_named_in_the_first_second(place, removed, direction, message):
    (place.folder / removed).unlink()
    if removed.endswith("__init__.py"):
        (place.folder / removed).parent.rmdir()
    started = time.monotonic()
    with pytest.raises(SystemExit, match=f"^convert_model: .*{message}"):
        place.convert(*direction)
    assert time.monotonic() - started < 5  # a second, on a machine that does nothing else
    assert place.names() == []
    assert not place.target.exists()


def test_a_missing_launcher_is_named(place):
    with pytest.raises(SystemExit, match="the launcher 'srun' is not found in this job"):
        place.convert("hf", "nemo", "--launcher", '["srun", "-n1"]')


@pytest.mark.parametrize(
    ("direction", "program"),
    [(("hf", "trtllm"), "trtllm-build"), (("nemo", "hf"), "nemo_to_hf"), (DIRECTIONS[1], None)],
)
def test_a_failure_ends_with_the_last_lines_and_leaves_no_finished_folder(place, direction, program, monkeypatch):
    monkeypatch.setenv("STAND_IN_FAIL", program or "hf_to_nemo")
    with pytest.raises(SystemExit, match=r"ended with status 3; the end of its log:\n(.*\n)*line 39") as caught:
        place.convert(*direction)
    lines = str(caught.value).splitlines()
    assert "CUDA out of memory" in lines
    assert len(lines) == 21
    assert [path.name for path in place.target.glob("[!.]*")] == []
    monkeypatch.delenv("STAND_IN_FAIL")
    assert place.convert(*direction)["files"]
    assert list(place.target.glob(".*.part")) == []


def test_a_finished_step_is_not_repeated(place, monkeypatch):
    monkeypatch.setenv("STAND_IN_FAIL", "trtllm-build")
    with pytest.raises(SystemExit, match="trtllm-build ended"):
        place.convert("hf", "trtllm")
    monkeypatch.delenv("STAND_IN_FAIL")
    place.convert("hf", "trtllm")
    assert place.names() == ["hf_to_trtllm", "trtllm-build", "trtllm-build"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (["--max-batch-size", "64"], ["hf_to_trtllm", "trtllm-build", "trtllm-build"]),
        (["--tp-size", "1"], ["hf_to_trtllm", "trtllm-build", "hf_to_trtllm", "trtllm-build"]),
    ],
)
def test_a_step_that_was_made_from_something_else_is_made_again(place, monkeypatch, change, names):
    monkeypatch.setenv("STAND_IN_FAIL", "trtllm-build")
    with pytest.raises(SystemExit, match="trtllm-build ended"):
        place.convert("hf", "trtllm")
    monkeypatch.delenv("STAND_IN_FAIL")
    place.convert("hf", "trtllm", *change)
    assert place.names() == names


def test_another_model_under_the_same_name_is_converted_again_and_leaves_nothing_of_the_first(place):
    place.convert("hf", "trtllm")
    (place.hf / "manifest.json").write_text('{"source": "retrained"}')
    manifest = place.convert("hf", "trtllm", "--tp-size", "1")
    assert place.names() == ["hf_to_trtllm", "trtllm-build"] * 2
    assert sorted(path.name for path in place.target.glob("rank*")) == ["rank0.engine", "rank1.engine"]
    assert manifest["model_manifest_sha256"] == file_sha256(place.hf / "manifest.json")


def test_a_finished_folder_is_not_made_again(place):
    first = place.convert("hf", "nemo")
    assert place.convert("hf", "nemo") == first
    assert place.names() == ["hf_to_nemo"]


def test_a_folder_that_was_made_in_another_way_is_not_emptied(place):
    place.target.mkdir()
    (place.target / "model.safetensors").write_text("of another back end")
    with pytest.raises(SystemExit, match=r"holds model\.safetensors, which was made in another way"):
        place.convert("hf", "nemo")
    assert (place.target / "model.safetensors").read_text() == "of another back end"
    assert place.names() == []


def start(place, *direction, **variables):
    """Start a conversion as a job, and wait until the program that hangs has said so."""
    script = Path(convert_model.__file__)
    environment = {**os.environ, **place.variables, **variables}
    job = subprocess.Popen([sys.executable, str(script), *place.words(*direction)], env=environment)
    deadline = time.monotonic() + 20
    while not any(call.get("hanging") for call in read_calls(place.calls_file)):
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return job, read_calls(place.calls_file)[-1]["pid"]


def has_ended(process: int) -> bool:
    """Whether a process is gone, or waits as a zombie for its parent."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_conversion_that_is_killed_ends_its_program_and_goes_on_when_run_again(place, number):
    job, program = start(place, "hf", "trtllm", STAND_IN_HANG="trtllm-build")
    job.send_signal(number)
    assert job.wait(20) in (128 + number, -number)
    deadline = time.monotonic() + 20
    while not has_ended(program):
        assert time.monotonic() < deadline, "the program outlived the job"
        time.sleep(0.02)
    assert not (place.target / "manifest.json").exists()
    assert [path.name for path in place.target.glob("[!.]*")] == []
    manifest = place.convert("hf", "trtllm")
    assert place.names() == ["hf_to_trtllm", "trtllm-build", "trtllm-build", "trtllm-build"]  # one says that it hangs
    assert {f"rank{rank}.engine" for rank in range(4)} <= set(manifest["files"])
    assert list(place.target.glob(".*.part")) == []


def test_a_move_that_was_killed_is_finished(place, monkeypatch):
    """The job ends between two of the files that it moves to their place."""
    rename, moved = Path.rename, []

    def killed(path, target):
        if Path(target).parent == place.target and not Path(target).name.startswith("."):
            moved.append(Path(target).name)
            if len(moved) == 3:
                raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        place.convert("hf", "trtllm")
    assert len(list(place.target.glob("[!.]*"))) == 2
    assert not (place.target / "manifest.json").exists()
    monkeypatch.setattr(Path, "rename", rename)
    assert {f"rank{rank}.engine" for rank in range(4)} <= set(place.convert("hf", "trtllm")["files"])
    assert place.names() == ["hf_to_trtllm", "trtllm-build"]


@pytest.mark.parametrize(
    ("direction", "spoiled", "message"),
    [
        (DIRECTIONS[0], {"max_seq_len": 2048}, r"build_config\.max_seq_len is 2048, but 8192 was asked for"),
        (DIRECTIONS[1], {"precision": "16"}, r"precision is 16, but bf16 was asked for; is there a GPU"),
        (DIRECTIONS[2], {"vocab_size": 128}, r"vocab_size is 128, that of .* is 100"),
    ],
)
def test_a_result_that_is_not_what_was_asked_for_is_refused(place, monkeypatch, direction, spoiled, message):
    monkeypatch.setenv("STAND_IN_SPOIL", json.dumps(spoiled))
    with pytest.raises(SystemExit, match=f"did not make what was asked for: .*{message}"):
        place.convert(*direction)
    assert not (place.target / "manifest.json").exists()
    monkeypatch.delenv("STAND_IN_SPOIL")
    place.convert(*direction)


def test_a_model_without_a_tokenizer_makes_no_engine(place):
    for file in place.hf.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(SystemExit, match=r"hf has no tokenizer: there is no file tokenizer\*"):
        place.convert("hf", "trtllm")
    assert not (place.target / "manifest.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "hf", "--to", "trtllm"], "hf to trtllm needs --tp-size, --pp-size, --dtype"),
        (["--from", "hf", "--to", "nemo"], "hf to nemo needs --hf-model-name"),
        (["--from", "nemo", "--to", "hf", "--hf-model-name", "a/b"], "nemo to hf needs --hf-model-folder"),
        (["--from", "hf", "--to", "nemo", "--launcher", "srun"], "must be a JSON list of words, not 'srun'"),
        (["--from", "hf", "--to", "nemo", "--launcher", "[1]"], "must be a JSON list of words"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        convert_model.parse_args([*words, "--model-folder", "m", "--checkout", "c", "--manifest", "t/manifest.json"])
    assert message in capsys.readouterr().err
