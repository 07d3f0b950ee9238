"""Training with NeMo-Aligner as NeMo-Skills starts it: its configuration, its command line and its checkpoints.

NeMo-Skills' `start_sft` is configured by Hydra. Every key of its `sft_config.yaml` that has a part in the training is
written out here with its value, so that a run does not change with the defaults of a checkout; the rest concerns chat
data and LoRA. Three values differ from the defaults of the pinned commit:

    trainer.sft.max_epochs               100: the steps end a run; -1 would train nothing
    ...train_ds.index_mapping_dir        in the work folder: the data's own folder is not ours to write to
    ...callback_params.save_top_k        enough for all: what is worse by validation loss would be deleted otherwise

NeMo writes `training/checkpoints/` in the work folder. The names there hold the step:

    megatron_gpt_sft--val_loss=0.345-step=2000-consumed_samples=1024000-epoch=0               kept
    megatron_gpt_sft--val_loss=0.345-step=2000-consumed_samples=1024000-epoch=0-last          resumed from; the latest
    megatron_gpt_sft--val_loss=0.345-step=2000-consumed_samples=1024000-epoch=0-unfinished    a file: half written
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from openmath.compressed import is_compressed
from openmath.programs import Checkout

MAX_EPOCHS = 100
CONFIG = "nemo_skills/training/sft_config.yaml"
MODULE = "nemo_skills.training.start_sft"

ADDED = (
    "exp_manager.max_time_per_run",
    "exp_manager.create_tensorboard_logger",
    "exp_manager.wandb_logger_kwargs.id",
    "exp_manager.wandb_logger_kwargs.resume",
    "model.context_parallel_size",
)
"""Keys that NeMo knows and `sft_config.yaml` does not list: Hydra takes them with `++`."""

_TRAIN, _VALIDATION = "model.data.train_ds.", "model.data.validation_ds."
_FILE_NAME = "megatron_gpt_sft--{val_loss:.3f}-{step}-{consumed_samples}-{epoch}"
_WANDB_PROJECT = "nemo-skills"
_STEP = re.compile(r"(?<![A-Za-z_])step=(\d+)")
_LAST = re.compile(r"-last(-v\d+)?$")
_UNFINISHED = "-unfinished"


class NemoError(ValueError):
    """A run cannot be trained as it is described; the message names the key."""


@dataclass(frozen=True)
class Run:
    """What a leg is trained with; sizes are those of scripts/train_nemo_leg.py.

    Attributes:
        data: rows of {"input", "output"} (a JSON Lines file), or the prefix of packed arrays.
        work: folder of the run's state; NeMo writes to `training/` in it.
        max_minutes: NeMo saves and ends after this long; None: never.
    """

    name: str
    base_model: Path
    data: Path
    packed: bool
    work: Path
    steps: int
    save_steps: int
    global_batch_size: int
    micro_batch_size: int
    learning_rate: float
    min_learning_rate: float
    schedule: str
    warmup_steps: int
    weight_decay: float
    precision: str
    seed: int
    num_nodes: int
    num_gpus: int
    tensor_parallel: int
    pipeline_parallel: int
    context_parallel: int
    max_seq_length: int
    max_minutes: float | None

    @property
    def data_parallel(self) -> int:
        """Copies of the model that train side by side."""
        return self.num_nodes * self.num_gpus // (self.tensor_parallel * self.pipeline_parallel * self.context_parallel)

    @property
    def training(self) -> Path:
        """Where NeMo writes its logs and checkpoints."""
        return Path(os.path.abspath(self.work / "training"))

    @property
    def index(self) -> Path:
        """Where NeMo writes the index of the lines of the data."""
        return Path(os.path.abspath(self.work / "index"))

    @property
    def data_file(self) -> Path:
        """The file that NeMo is told; of packed arrays there is none of that name, only those with its suffixes."""
        return Path(os.path.abspath(f"{self.data}.npy" if self.packed else self.data))


# What is wrong with a run, before anything is started.


def check_run(run: Run, launched: bool) -> None:
    """Raise NemoError for what NeMo would refuse after minutes, or train wrongly.

    Args:
        run: the run.
        launched: whether a launcher starts the processes.
    """
    problems = list(_problems(run, launched))
    if problems:
        raise NemoError("; ".join(problems))


def _problems(run: Run, launched: bool) -> Iterator[str]:
    gpus, shared = run.num_nodes * run.num_gpus, run.tensor_parallel * run.pipeline_parallel * run.context_parallel
    if run.num_gpus < 1:
        yield f"--num-gpus {run.num_gpus}: NeMo trains on GPUs"
    elif gpus % shared:
        yield (
            f"{gpus} GPUs are no multiple of --tensor-parallel {run.tensor_parallel} x --pipeline-parallel "
            f"{run.pipeline_parallel} x --context-parallel {run.context_parallel}"
        )
    elif run.global_batch_size % (run.micro_batch_size * run.data_parallel):
        yield (
            f"--global-batch-size {run.global_batch_size} is no multiple of --micro-batch-size {run.micro_batch_size} "
            f"x {run.data_parallel} data-parallel copies"
        )
    if run.num_nodes > 1 and not launched:
        yield f"--num-nodes {run.num_nodes}: several nodes need a launcher that starts a process on every GPU"
    if run.packed and run.micro_batch_size != 1:
        yield f"--micro-batch-size {run.micro_batch_size}: packed rows are taken one at a time"
    if run.max_minutes is not None and run.max_minutes <= 0:
        yield f"--deadline-minutes {run.max_minutes:g}: no time is left to train"
    yield from _too_many_epochs(run)


def _too_many_epochs(run: Run) -> Iterator[str]:
    rows = known_rows(run.data, run.packed)
    if rows is None:
        return
    steps = rows // run.global_batch_size
    if steps * MAX_EPOCHS < run.steps:
        yield (
            f"--steps {run.steps}: {run.data} has {rows} rows, {steps} steps of {run.global_batch_size} an epoch, "
            f"and a run ends after {MAX_EPOCHS} epochs"
        )


def known_rows(data: Path, packed: bool) -> int | None:
    """The rows of the data, where the file that was written beside them says so."""
    file = Path(f"{data}.json") if packed else data.with_suffix(".counts.json")
    if not file.is_file():
        return None
    rows = json.loads(file.read_text("utf-8")).get("rows" if packed else "rows_out")
    return None if rows is None else int(rows)


def check_files(run: Run) -> None:
    """Raise NemoError if the data or the model that training starts from are not there."""
    parts = ("input_ids", "loss_mask", "seq_start_id") if run.packed else ()
    for file in [Path(f"{run.data}.{part}.npy") for part in parts] or [run.data]:
        if not file.is_file():
            raise NemoError(f"--data: there is no file {file}")
    if not run.packed and is_compressed(run.data):
        raise NemoError(f"--data {run.data}: NeMo reads no compressed rows; unpack them")
    if not (run.base_model / "manifest.json").is_file():
        raise NemoError(f"--base-model {run.base_model}: no finished model folder, it has no manifest.json")


# The configuration.


def sft_config(run: Run, resumed: bool, wandb: bool) -> dict[str, Any]:
    """Every key and its value.

    Args:
        run: the run.
        resumed: whether there is a checkpoint to resume from; NeMo then fails, rather than begin anew, without one.
        wandb: whether Weights & Biases gets the logs; otherwise TensorBoard does.
    """
    return {
        "name": "megatron_gpt_sft",
        **_trainer(run),
        **_experiment(run, resumed, wandb),
        **_model(run),
        **_data(run),
        **_optimiser(run),
    }


def _trainer(run: Run) -> dict[str, Any]:
    return {
        "trainer.num_nodes": run.num_nodes,
        "trainer.devices": run.num_gpus,
        "trainer.accelerator": "gpu",
        "trainer.precision": "bf16" if run.precision == "bf16" else 32,
        "trainer.sft.max_epochs": MAX_EPOCHS,
        "trainer.sft.max_steps": run.steps,
        "trainer.sft.val_check_interval": run.save_steps,
        "trainer.sft.save_interval": run.save_steps,
        "trainer.sft.limit_val_batches": 1,
        "trainer.sft.gradient_clip_val": None,
        "trainer.logger": False,
        "trainer.enable_checkpointing": False,
        "trainer.use_distributed_sampler": False,
        "trainer.max_time": None,
        "trainer.max_epochs": MAX_EPOCHS,
        "trainer.max_steps": run.steps,
        "trainer.log_every_n_steps": 10,
    }


def _experiment(run: Run, resumed: bool, wandb: bool) -> dict[str, Any]:
    logger = "exp_manager.wandb_logger_kwargs."
    further = {f"{logger}id": run.name, f"{logger}resume": True} if wandb else {}
    callback = "exp_manager.checkpoint_callback_params."
    return {
        "exp_manager.explicit_log_dir": str(run.training),
        "exp_manager.exp_dir": str(run.training),
        "exp_manager.name": run.name,
        "exp_manager.max_time_per_run": duration(run.max_minutes),
        "exp_manager.create_wandb_logger": wandb,
        "exp_manager.create_tensorboard_logger": not wandb,
        f"{logger}project": _WANDB_PROJECT if wandb else None,
        f"{logger}name": run.name if wandb else None,
        **further,
        "exp_manager.resume_if_exists": True,
        "exp_manager.resume_ignore_no_checkpoint": not resumed,
        "exp_manager.create_checkpoint_callback": True,
        f"{callback}monitor": "val_loss",
        f"{callback}save_top_k": 50 + run.steps // run.save_steps,
        f"{callback}mode": "min",
        f"{callback}save_nemo_on_train_end": False,
        f"{callback}filename": _FILE_NAME,
        f"{callback}model_parallel_size": run.tensor_parallel,
        f"{callback}save_best_model": False,
    }


def _model(run: Run) -> dict[str, Any]:
    context = {} if run.context_parallel == 1 else {"model.context_parallel_size": run.context_parallel}
    return {
        "model.seed": run.seed,
        "model.tensor_model_parallel_size": run.tensor_parallel,
        "model.pipeline_model_parallel_size": run.pipeline_parallel,
        **context,
        "model.restore_from_path": os.path.abspath(run.base_model),
        "model.resume_from_checkpoint": None,
        "model.save_nemo_on_validation_end": True,
        "model.sync_batch_comm": False,
        "model.megatron_amp_O2": run.precision == "bf16",
        "model.encoder_seq_length": run.max_seq_length,
        "model.sequence_parallel": False,
        "model.activations_checkpoint_granularity": None,
        "model.activations_checkpoint_method": None,
        "model.activations_checkpoint_num_layers": None,
        "model.activations_checkpoint_layers_per_pipeline": None,
        "model.answer_only_loss": True,
        "model.gradient_as_bucket_view": True,
        "model.seq_len_interpolation_factor": None,
        "model.use_flash_attention": None,
        "model.hidden_dropout": 0.0,
        "model.attention_dropout": 0.0,
        "model.ffn_dropout": 0.0,
        "model.peft.peft_scheme": "none",
    }


def _data(run: Run) -> dict[str, Any]:
    rows = {
        "file_path": str(run.data_file),
        "global_batch_size": run.global_batch_size,
        "micro_batch_size": run.micro_batch_size,
        "memmap_workers": 2,
        "max_seq_length": run.max_seq_length,
        "min_seq_length": 1,
        "label_key": "output",
        "add_eos": False,
        "add_sep": False,
        "add_bos": False,
        "truncation_field": "input",
        "index_mapping_dir": str(run.index),
        "prompt_template": "{input}{output}",
        "hf_dataset": False,
        "truncation_method": "right",
        **({"packed_sequence": True} if run.packed else {}),
    }
    train = {**rows, "shuffle": True, "drop_last": True}
    # NeMo cannot do without validation; one batch of the training rows is the least.
    validation = {**rows, "shuffle": False, "drop_last": False, "output_original_text": True}
    return {
        "model.data.chat": False,
        "model.data.sample": False,
        "model.data.num_workers": 2,
        "model.data.dataloader_type": "single",
        **{_TRAIN + key: value for key, value in train.items()},
        **{_VALIDATION + key: value for key, value in validation.items()},
    }


def _optimiser(run: Run) -> dict[str, Any]:
    return {
        "model.optim.name": "distributed_fused_adam",
        "model.optim.lr": run.learning_rate,
        "model.optim.weight_decay": run.weight_decay,
        "model.optim.betas": [0.9, 0.98],
        "model.optim.sched.name": "CosineAnnealing",
        "model.optim.sched.warmup_steps": run.warmup_steps,
        "model.optim.sched.constant_steps": 0,
        "model.optim.sched.min_lr": run.learning_rate if run.schedule == "constant" else run.min_learning_rate,
    }


def duration(minutes: float | None) -> str:
    """A time in NeMo's form, days:hours:minutes:seconds; None is as good as for ever.

    >>> duration(1510.5), duration(None)
    ('01:01:10:30', '10000:00:00:00')
    """
    if minutes is None:
        return "10000:00:00:00"
    seconds = int(minutes * 60)
    return f"{seconds // 86400:02}:{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


# The command line.


def training_words(checkout: Checkout, config: Mapping[str, Any], overrides: Mapping[str, Any]) -> list[str]:
    """The command that trains; a key of `overrides` takes the place of ours.

    Raises:
        NemoError: the checkout's configuration lacks a key, so that its value would be ignored.
    """
    known = config_keys(checkout.file(CONFIG))
    unknown = [key for key in config if key not in known and key not in ADDED and key not in overrides]
    if unknown:
        raise NemoError(f"{checkout.folder / CONFIG} has no key {', '.join(unknown)}: {_reason(unknown)}")
    folder = checkout.folder / Path(CONFIG).parent
    words = ["python", "-m", MODULE, f"--config-name={Path(CONFIG).stem}", f"--config-path={folder}"]
    values = {**config, **overrides}
    return words + [f"{'' if key in known else '++'}{key}={hydra_value(value)}" for key, value in values.items()]


def _reason(keys: list[str]) -> str:
    packed = f"{_TRAIN}packed_sequence" in keys
    return "packed rows came with a later revision of NeMo-Skills" if packed else "another revision is needed"


def check_context_parallel(run: Run, checkout: Checkout) -> None:
    """Raise NemoError if the checkout's trainer would silently ignore that sequences are shared by GPUs."""
    if run.context_parallel > 1:
        trainer = checkout.file("nemo_skills/training/start_sft.py")
        if "context_parallel_size" not in trainer.read_text("utf-8"):
            raise NemoError(f"--context-parallel {run.context_parallel}: {trainer} does not read context_parallel_size")


def config_keys(file: Path) -> set[str]:
    """The keys of a YAML file that hold values, with dots: `trainer.sft.max_steps`."""

    def walk(section: Mapping[str, Any], prefix: str) -> Iterator[str]:
        for key, value in section.items():
            if isinstance(value, dict) and value:
                yield from walk(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}"

    return set(walk(yaml.safe_load(file.read_text("utf-8")), ""))


def hydra_value(value: Any) -> str:
    r"""A value in the grammar of Hydra's overrides; text is always quoted.

    >>> [hydra_value(value) for value in (None, True, 2e-05, [0.9, 0.98], "{input}", "it's")]
    ['null', 'True', '2e-05', '[0.9,0.98]', "'{input}'", "'it\\'s'"]
    """
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(hydra_value, value))}]"
    if isinstance(value, str):
        # Backslashes count only where they stand before a quote.
        quoted = re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + found[2].replace("'", "\\'"), value)
        return f"'{quoted}'"
    raise NemoError(f"an override must be a text, a number, true, false, null or a list, not {value!r}")


# Checkpoints.


@dataclass(frozen=True)
class SavedState:
    """A checkpoint of NeMo that is whole.

    Attributes:
        path: its folder.
        step: steps that were done.
        last: whether it is the one that NeMo resumes from, which it deletes when it has saved the next.
    """

    path: Path
    step: int
    last: bool


def saved_states(folder: Path) -> list[SavedState]:
    """The checkpoints in a folder of NeMo, by step; those that are marked as half written are left out."""
    if not folder.is_dir():
        return []
    states = []
    for path in sorted(folder.iterdir()):
        step = _STEP.search(path.name)
        if step and path.is_dir() and not path.with_name(path.name + _UNFINISHED).exists():
            states.append(SavedState(path, int(step[1]), _LAST.search(path.name) is not None))
    return sorted(states, key=lambda state: state.step)


def reached_step(states: list[SavedState]) -> int:
    """The step of the latest state; 0 without one."""
    return max((state.step for state in states), default=0)


def link_checkpoints(states: list[SavedState], folder: Path) -> list[int]:
    """Make the links ``step={n}`` to the checkpoints that are kept, and no others; return their steps, rising.

    Of two checkpoints of one step, which a leg leaves that was killed between the two forms of saving, the younger is
    taken: the run went on from it.

    Raises:
        NemoError: something else than a link has such a name.
    """
    kept: dict[int, Path] = {}
    for state in states:
        if not state.last:
            known = kept.get(state.step)
            if known is None or _saved_at(known) < _saved_at(state.path):
                kept[state.step] = state.path
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("step=*")):
        if not old.is_symlink():
            raise NemoError(f"{old} is no link: another back end has trained here")
        old.unlink()
    for step, path in sorted(kept.items()):
        (folder / f"step={step}").symlink_to(os.path.relpath(path.resolve(), folder.resolve()))
    return sorted(kept)


def _saved_at(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def prepare_index(run: Run) -> None:
    """Make the folder of the index, without an index that is older than the data: NeMo would read it."""
    if run.index.is_dir() and not run.packed and run.index.stat().st_mtime_ns < run.data.stat().st_mtime_ns:
        shutil.rmtree(run.index)
    run.index.mkdir(parents=True, exist_ok=True)
