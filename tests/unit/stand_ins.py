"""Stand-ins for NeMo-Skills, NeMo and TensorRT-LLM: they take the options of the real ones and make their files.

`write_checkout` makes a folder like that of scripts/fetch_checkout.py, with modules of the names of NeMo-Skills. They
take the options of `tests/data/options/`, and no others, write down how they were called, and leave files like those of
the real programs. `write_programs` makes the programs of a job's PATH. What they do is said by the environment:

    STAND_IN_CALLS     the file that calls are appended to, as JSON lines: name, argv, cwd, environment
    STAND_IN_FAIL      name of the program that leaves half of its files and fails
    STAND_IN_HANG      name of the program that leaves half of its files, says so in the calls, and sleeps
    STAND_IN_SPOIL     JSON: values that go into the configuration that a program writes, in place of its own
"""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import yaml

OPTIONS = Path(__file__).resolve().parent.parent / "data" / "options"
REVISION = "e718d393e7b82d671e78d9474c514d1f90b6ea11"
LATER_REVISION = "cb3f35bc0bf024ab3923aa5025ae64fadb0518eb"

_LIBRARY = '''
import argparse, json, os, sys, time
from pathlib import Path


def record(name, **more):
    kept = {key: os.environ.get(key) for key in ("PYTHONPATH", "CUDA_DEVICE_MAX_CONNECTIONS", "HYDRA_FULL_ERROR")}
    call = {"name": name, "argv": sys.argv[1:], "cwd": os.getcwd(), "pid": os.getpid(), "environment": kept, **more}
    with open(os.environ["STAND_IN_CALLS"], "a") as calls:
        calls.write(json.dumps(call) + chr(10))


def half(name):
    """Called when half of the files are there."""
    if os.environ.get("STAND_IN_FAIL") == name:
        print("\\n".join(f"line {number}" for number in range(40)))
        print("CUDA out of memory", file=sys.stderr)
        sys.exit(3)
    if os.environ.get("STAND_IN_HANG") == name:
        record(name, hanging=True)
        time.sleep(600)


def spoiled(values):
    return {**values, **json.loads(os.environ.get("STAND_IN_SPOIL", "{}"))}


def parser_of(table, version):
    """A parser with the options of a table of the real ones, and no abbreviations."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for line in Path(os.environ["STAND_IN_OPTIONS"], table).read_text().splitlines():
        if line.startswith(("#", "flag")):
            continue
        flags, default, kind, choices, of_version = line.split("\\t")[:5]
        if of_version != version:
            continue
        if kind == "flag":
            parser.add_argument(*flags.split(), action="store_true")
        else:
            convert = {"int": int, "float": float}.get(kind.split()[0], str)
            parser.add_argument(*flags.split(), type=convert, choices=choices.split("|") if choices else None)
    return parser
'''

_HF_TO_TRTLLM = """
import json
from pathlib import Path
from stand_in import half, parser_of, record, spoiled

record("hf_to_trtllm")
args = parser_of("trtllm_convert_llama.tsv", "NeMo-Skills e718d393e").parse_args()
out = Path(args.output_dir)
out.mkdir(parents=True)
(out / "rank0.safetensors").write_text("weights")
half("hf_to_trtllm")
for rank in range(args.tp_size * args.pp_size):
    (out / f"rank{rank}.safetensors").write_text("weights")
mapping = {"world_size": args.tp_size * args.pp_size, "tp_size": args.tp_size, "pp_size": args.pp_size}
(out / "config.json").write_text(json.dumps({"dtype": args.dtype, "vocab_size": 100, "mapping": mapping}))
"""

_TRTLLM_BUILD = """
import json
from pathlib import Path
from stand_in import half, parser_of, record, spoiled

record("trtllm-build")
args = parser_of("trtllm_build.tsv", "0.13.0.dev2024090300").parse_args()
out = Path(args.output_dir)
out.mkdir(parents=True)
pretrained = json.loads(Path(args.checkpoint_dir, "config.json").read_text())
(out / "rank0.engine").write_text("engine")
half("trtllm-build")
for rank in range(pretrained["mapping"]["world_size"]):
    (out / f"rank{rank}.engine").write_text("engine")
limits = {name: getattr(args, name) for name in ("max_input_len", "max_seq_len", "max_num_tokens", "max_batch_size")}
(out / "config.json").write_text(json.dumps({"pretrained_config": pretrained, "build_config": spoiled(limits)}))
"""

_HF_TO_NEMO = """
import argparse, json
from pathlib import Path
from stand_in import half, record, spoiled

record("hf_to_nemo")
parser = argparse.ArgumentParser(allow_abbrev=False)
for flag in ("--in-path", "--out-path", "--hf-model-name", "--precision"):
    parser.add_argument(flag, required=True)
args = parser.parse_args()
weights = Path(args.out_path, "model_weights/model.embedding.word_embeddings.weight")
weights.mkdir(parents=True)
half("hf_to_nemo")
(weights / "0.0").write_text("weights")
(weights / ".zarray").write_text("{}")
config = spoiled({"precision": args.precision, "tokenizer": {"type": args.hf_model_name}})
Path(args.out_path, "model_config.yaml").write_text(json.dumps(config))
"""

_NEMO_TO_HF = """
import argparse, json
from pathlib import Path
from stand_in import half, record, spoiled

record("nemo_to_hf")
parser = argparse.ArgumentParser(allow_abbrev=False)
for flag in ("--in-path", "--out-path", "--hf-model-name", "--precision", "--max-shard-size"):
    parser.add_argument(flag, required=True)
args = parser.parse_args()
assert Path(args.in_path, "model_config.yaml").is_file()
out = Path(args.out_path)
out.mkdir(parents=True)
half("nemo_to_hf")
(out / "model-00001-of-00001.safetensors").write_text("weights")
(out / "config.json").write_text(json.dumps(spoiled({"vocab_size": 100})))
(out / "tokenizer_config.json").write_text('{"made by": "the converter"}')
"""

_AVERAGE = """
import argparse, os, shutil, sys
from pathlib import Path
from stand_in import half, record

record("average_checkpoints")
parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--name_prefix", required=True)
parser.add_argument("--untarred_nemo_dir", required=True)
parser.add_argument("--checkpoint_dir", required=True)
parser.add_argument("--steps", nargs="+", type=int)
args = parser.parse_args()
names = []
for name in os.listdir(args.checkpoint_dir):
    if Path(args.checkpoint_dir, name).is_dir() and not name.endswith("-last"):
        names += [name for step in args.steps if f"step={step}" in name] if args.steps else [name]
values = [float(Path(args.checkpoint_dir, name, "model_weights/w/0").read_text()) for name in names]
out = Path(args.checkpoint_dir, args.name_prefix + "-".join(map(str, args.steps or [])) + "-averaged")
(out / "model_weights/w").mkdir(parents=True)
half("average_checkpoints")
(out / "model_weights/w/0").write_text(str(sum(values) / len(values)))
for file in Path(args.untarred_nemo_dir).glob("*.json"):
    shutil.copy(file, out)
shutil.copy(Path(args.untarred_nemo_dir, "model_config.yaml"), out)
"""

_START_SFT = '''
"""A trainer whose steps take no time: it saves as NeMo does, and ends after STAND_IN_STEPS of them."""
import os, sys
from pathlib import Path
from stand_in import half, record

given = dict(word.lstrip("+").split("=", 1) for word in sys.argv[1:] if not word.startswith("--"))
text = lambda key: given[key].strip("'")
record("start_sft")
folder = Path(text("exp_manager.explicit_log_dir"), "checkpoints")
folder.mkdir(parents=True, exist_ok=True)
assert Path(text("model.data.train_ds.index_mapping_dir")).is_dir()
for marker in folder.glob("*-unfinished"):
    for file in (marker, folder / marker.name.removesuffix("-unfinished")):
        os.system(f"rm -r '{file}'")
last = sorted(folder.glob("*-last"))
if not last and given["exp_manager.resume_ignore_no_checkpoint"] == "False":
    sys.exit("There were no checkpoints found: NotFoundError")
step = int(last[-1].name.split("step=")[1].split("-")[0]) if last else 0
end = min(int(given["trainer.sft.max_steps"]), step + int(os.environ.get("STAND_IN_STEPS", "1000000")))


def save(step):
    name = f"megatron_gpt_sft--val_loss=0.345-step={step}-consumed_samples={step * 4}-epoch=0"
    before = sorted(folder.glob("*-last"))
    for path in (folder / name, folder / (name + "-last")):
        Path(str(path) + "-unfinished").touch()
        (path / "model_weights/w").mkdir(parents=True)
        half("start_sft")
        (path / "model_weights/w/0").write_text(str(step))
        Path(str(path) + "-unfinished").unlink()
    for path in before:
        os.system(f"rm -r '{path}'")


print(f"resumed at step {step}", flush=True)
while step < end:
    step += 1
    if step % int(given["trainer.sft.save_interval"]) == 0 or step == end:
        save(step)
'''

_MODULES = {
    "stand_in.py": _LIBRARY,
    "nemo_skills/__init__.py": "",
    "nemo_skills/conversion/__init__.py": "",
    "nemo_skills/conversion/hf_to_trtllm.py": _HF_TO_TRTLLM,
    "nemo_skills/conversion/hf_to_nemo.py": _HF_TO_NEMO,
    "nemo_skills/conversion/nemo_to_hf.py": _NEMO_TO_HF,
    "nemo_skills/training/__init__.py": "",
    "nemo_skills/training/start_sft.py": _START_SFT,
    "nemo_skills/training/average_checkpoints.py": _AVERAGE,
    **{f"{name}/__init__.py": "" for name in ("nemo", "nemo_aligner", "tensorrt_llm", "zarr", "tensorstore")},
}


def write_checkout(folder: Path, revision: str = REVISION) -> Path:
    """Make a finished checkout; its sft_config.yaml has the keys of the real one at the revision."""
    for name, text in _MODULES.items():
        file = folder / "checkout" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    config = folder / "checkout/nemo_skills/training/sft_config.yaml"
    config.write_text(yaml.safe_dump(nested(sft_keys(revision))))
    manifest = {"repository": "https://github.com/NVIDIA/NeMo-Skills", "revision": revision}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def sft_keys(revision: str) -> dict[str, str]:
    """The keys of the real sft_config.yaml at a revision, and their values as they are written there."""
    lines = (OPTIONS / "nemo_skills_sft.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith(("#", "key\t"))]
    return {key: value for key, value, commit in rows if commit == revision}


def nested(keys: dict[str, str]) -> dict[str, Any]:
    """A nested map of dotted keys."""
    tree: dict[str, Any] = {}
    for key, value in keys.items():
        *sections, name = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return tree


def write_programs(folder: Path, checkout: Path) -> Path:
    """Make the folder of a job's PATH: python, trtllm-build, and a launcher that says what it was told."""
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    library = f"import sys\nsys.path.insert(0, {str(checkout / 'checkout')!r})\n"
    _write_program(folder / "trtllm-build", f"#!{sys.executable}\n{library}{_TRTLLM_BUILD}")
    _write_program(folder / "launch", '#!/bin/sh\necho "launched $1 $2"\nshift 2\ncd / && exec "$@"\n')
    return folder


def _write_program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def environment(programs: Path, calls: Path) -> dict[str, str]:
    """The environment of a job that has the stand-ins."""
    return {
        "PATH": os.pathsep.join([str(programs), *os.defpath.split(os.pathsep)]),
        "STAND_IN_CALLS": str(calls),
        "STAND_IN_OPTIONS": str(OPTIONS),
    }


def read_calls(calls: Path) -> list[dict[str, Any]]:
    """The calls so far."""
    return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
