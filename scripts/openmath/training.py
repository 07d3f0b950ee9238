"""Supervised fine-tuning with ``transformers.Trainer``, from one CPU core to several nodes under ``torchrun``.

An example is one or more sequences in a row. Of a sequence of n tokens the model reads the first n-1 and is asked for
the last n-1; only tokens of the answer count. Two sequences in a packed row, the answers in capitals:

    tokens     p q A B   r C        read      p q A   r   PAD       the end of a row is
    positions  0 1 2     0          asked     . A B   C   .         a document of its own

A packed row goes in with its restarting ``position_ids``, without an attention mask and with ``use_cache=False``: then
transformers keeps the sequences apart. With its default ``use_cache=True`` they silently read each other. Rows that are
not packed are padded on the right under the plain causal mask, which is cheaper and as right.

The loss is the sum over the answer tokens of a global batch, divided by their number, however the
batch is cut into micro-batches and processes. The order of the rows follows from the seed alone and is laid out before
the first step, so that a resumed run goes on with the batch at which it stopped.
"""

import itertools
import logging
import os
import shutil
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openmath.packed_rows import FlatRows
from openmath.records import read_jsonl
from openmath.tokenization import encode

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

IGNORED = -100
"""The label of a position that nothing is asked at."""

_BETAS = (0.9, 0.98)
_LOG_STEPS = 10
_LENGTH_WINDOW = 16  # global batches

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Example:
    """One row of a batch; the three arrays have one entry for each token that is read."""

    input_ids: Ints
    labels: Ints
    position_ids: Ints


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; batches are counted in rows, and ``clip`` 0 leaves the gradients as they are."""

    steps: int
    micro_batch_size: int
    global_batch_size: int
    learning_rate: float
    min_learning_rate: float
    schedule: str  # constant | cosine
    warmup_steps: int
    optimizer: str  # adamw | muon
    weight_decay: float
    seed: int
    precision: str = "fp32"  # fp32 | bf16 (autocast; weights and optimiser state stay fp32)
    clip: float = 0.0
    log_steps: int = _LOG_STEPS


@dataclass(frozen=True)
class Checkpoints:
    """Where a run that can be resumed keeps what it needs.

    ``work/state/step={n}``   Trainer's own resumable state, the latest only
    ``folder/step={n}``       the model, every ``save_steps`` steps and at the end, with the files of ``side_files``
    """

    work: Path
    folder: Path
    save_steps: int
    side_files: Path


def sequence_example(tokens: npt.ArrayLike, mask: npt.ArrayLike) -> Example:
    """One sequence. ``mask[i]`` says whether the token after ``tokens[i]`` is asked for; its last entry is unused."""
    ids = np.asarray(tokens, dtype=np.int32)
    asked = np.asarray(mask, dtype=bool)[:-1]
    return Example(
        input_ids=ids[:-1],
        labels=np.where(asked, ids[1:], IGNORED).astype(np.int32),
        position_ids=np.arange(len(ids) - 1, dtype=np.int32),
    )


def join_examples(examples: Sequence[Example]) -> Example:
    """Lay sequences behind one another in one row; positions restart with each."""
    return Example(
        np.concatenate([example.input_ids for example in examples]),
        np.concatenate([example.labels for example in examples]),
        np.concatenate([example.position_ids for example in examples]),
    )


class AnswerRows:
    """Rows of one prompt and its answer each; the loss is on the answer, including the token that ends it."""

    packed = False

    def __init__(self, pairs: Iterable[tuple[Sequence[int], Sequence[int]]]):
        tokens, ends, prompts = array("i"), array("q", [0]), array("q")
        for prompt, answer in pairs:
            tokens.extend(prompt)
            tokens.extend(answer)
            ends.append(len(tokens))
            prompts.append(len(prompt))
        self._tokens = np.frombuffer(tokens, dtype=np.int32) if tokens else np.empty(0, dtype=np.int32)
        self._ends = np.array(ends, dtype=np.int64)
        self._prompts = np.array(prompts, dtype=np.int64)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The number of tokens of each row."""
        return np.diff(self._ends)

    def __len__(self) -> int:
        return len(self._prompts)

    def __getitem__(self, row: int) -> Example:
        tokens = self._tokens[self._ends[row] : self._ends[row + 1]]
        prompt = int(self._prompts[row])
        return sequence_example(tokens, np.arange(len(tokens)) >= prompt - 1)


class PackedRows:
    """Packed rows on disk, in the flat layout of ``openmath.packed_rows``; a row is read when it is asked for."""

    packed = True
    lengths = None

    def __init__(self, prefix: str | Path):
        self._arrays = FlatRows.open(prefix)

    def __len__(self) -> int:
        return len(self._arrays)

    def __getitem__(self, row: int) -> Example:
        return join_examples([sequence_example(tokens, mask) for tokens, mask in self._arrays.samples(row)])


Rows = AnswerRows | PackedRows


def read_answer_rows(path: Path, tokenizer: "Tokenizer", limit: int) -> AnswerRows:
    """Tokenise a file of {"input", "output"}; input and output apart, with no token added to either.

    Rows that read more than ``limit`` tokens are left out, and their number is logged.
    """
    left_out = 0

    def pairs() -> Iterable[tuple[list[int], list[int]]]:
        nonlocal left_out
        records = read_jsonl(path, require=("input", "output"))
        while batch := list(itertools.islice(records, 2048)):
            prompts = encode(tokenizer, [record["input"] for record in batch])
            answers = encode(tokenizer, [record["output"] for record in batch])
            for prompt, answer in zip(prompts, answers, strict=True):
                if len(prompt) + len(answer) - 1 > limit:
                    left_out += 1
                else:
                    yield prompt, answer

    rows = AnswerRows(pairs())
    logger.info("%s: %d rows, %d left out as longer than %d tokens", path, len(rows), left_out, limit)
    return rows


def collate(examples: Sequence[Example], packed: bool) -> "dict[str, torch.Tensor]":
    """Pad rows on the right to one length, with any token: what counts never reads it.

    ``position_ids`` are there only for packed rows (see the module).
    """
    import torch

    length = max(len(example.input_ids) for example in examples)
    shape = (len(examples), length)
    input_ids = np.zeros(shape, dtype=np.int64)
    labels = np.full(shape, IGNORED, dtype=np.int64)
    positions = np.zeros(shape, dtype=np.int64)
    for row, example in enumerate(examples):
        end = len(example.input_ids)
        input_ids[row, :end] = example.input_ids
        labels[row, :end] = example.labels
        positions[row, :end] = example.position_ids
        positions[row, end:] = np.arange(length - end)
    batch = {
        "input_ids": torch.from_numpy(input_ids),
        "labels": torch.from_numpy(labels),
        "num_tokens": torch.tensor([len(example.input_ids) for example in examples]),
    }
    if packed:
        batch["position_ids"] = torch.from_numpy(positions)
    return batch


def row_order(
    count: int, lengths: npt.NDArray[np.int64] | None, batch_size: int, steps: int, seed: int
) -> npt.NDArray[np.int64]:
    """The rows of all batches of a run, one after the other: shape (steps * batch_size,).

    Every row comes once before any comes again. With ``lengths``, rows of about one length stand together, so that
    little is padded: a shuffled epoch is cut in pieces of ``_LENGTH_WINDOW`` batches, the rows of a piece are sorted by
    length and cut in batches, and these are shuffled.

    Raises:
        ValueError: there is no row to train on.
    """
    if count == 0:
        raise ValueError("there is no row to train on")
    rng = np.random.default_rng(seed)
    wanted = steps * batch_size
    order: list[npt.NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    for _ in range(-(-wanted // count)):
        epoch = rng.permutation(count)
        if lengths is None:
            order.append(epoch)
            continue
        for start in range(0, count, _LENGTH_WINDOW * batch_size):
            piece = epoch[start : start + _LENGTH_WINDOW * batch_size]
            piece = piece[np.argsort(lengths[piece], kind="stable")]
            batches = [piece[first : first + batch_size] for first in range(0, len(piece), batch_size)]
            order.extend(batches[number] for number in rng.permutation(len(batches)))
    return np.concatenate(order)[:wanted]


class OrderedRows:
    """The rows in the order in which the run meets them; read in sequence, so a run resumes by counting."""

    def __init__(self, rows: Rows, order: npt.NDArray[np.int64]):
        self._rows = rows
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> Example:
        return self._rows[int(self._order[place])]


def learning_rate_factor(recipe: Recipe, step: int) -> float:
    """The learning rate of a step (0 for the first) over the highest one: linear warm-up, then the schedule."""
    if step < recipe.warmup_steps:
        return (step + 1) / (recipe.warmup_steps + 1)
    if recipe.schedule == "constant":
        return 1.0
    lowest = recipe.min_learning_rate / recipe.learning_rate
    share = min(1.0, (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps))
    return lowest + (1 - lowest) * 0.5 * (1 + float(np.cos(np.pi * share)))


def train(
    model: Any,
    rows: Rows,
    recipe: Recipe,
    scratch: Path,
    checkpoints: Checkpoints | None = None,
    stop: Callable[[int], bool] = lambda step: False,
) -> tuple[int, list[dict[str, float]]]:
    """Train ``model`` in place, from the latest state in ``checkpoints.work`` if there is one.

    Args:
        model: a causal language model with fp32 weights.
        rows: what it learns from, packed or not.
        recipe: steps, batches, optimiser.
        scratch: a folder for what Trainer has under its hands; nothing in it is of use afterwards.
        checkpoints: what is kept; None keeps nothing.
        stop: asked after every step; True saves and ends the run before its last step.

    Returns:
        The number of steps that the model has now been trained for, and the log ({"step", "loss", "learning_rate"}).
    """
    import torch
    from transformers import PrinterCallback, TrainingArguments

    world = int(os.environ.get("WORLD_SIZE", "1"))
    micro_batches, rest = divmod(recipe.global_batch_size, recipe.micro_batch_size * world)
    if rest or not micro_batches:
        raise ValueError(
            f"a global batch of {recipe.global_batch_size} rows is no multiple of "
            f"{world} process(es) x {recipe.micro_batch_size} rows"
        )
    order = row_order(len(rows), rows.lengths, recipe.global_batch_size, recipe.steps, recipe.seed)
    shutil.rmtree(scratch, ignore_errors=True)
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.micro_batch_size,
        gradient_accumulation_steps=micro_batches,
        train_sampling_strategy="sequential",
        learning_rate=recipe.learning_rate,
        max_grad_norm=recipe.clip,
        bf16=recipe.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        logging_steps=recipe.log_steps,
        logging_nan_inf_filter=False,
        save_strategy="no",
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
    )
    if arguments.world_size != world:
        raise RuntimeError(f"{world} processes were started, but transformers sees {arguments.world_size}")
    trainer = _trainer_class()(
        recipe,
        checkpoints,
        stop,
        model=model,
        args=arguments,
        train_dataset=OrderedRows(rows, order),
        data_collator=lambda examples: collate(examples, rows.packed),
    )
    trainer.remove_callback(PrinterCallback)
    state = latest_state(checkpoints.work) if checkpoints else None
    trainer.train(resume_from_checkpoint=str(state) if state else None)
    trainer.accelerator.wait_for_everyone()
    shutil.rmtree(scratch, ignore_errors=True)
    return trainer.state.global_step, [entry for entry in trainer.state.log_history if "loss" in entry]


def latest_state(work: Path) -> Path | None:
    """The newest resumable state in a work folder; a state that was not finished never bears its name."""
    steps = saved_steps(work / "state")
    return work / "state" / f"step={steps[-1]}" if steps else None


def saved_steps(folder: Path) -> list[int]:
    """The steps n of the folders ``step={n}``, in rising order."""
    return sorted(
        int(path.name.removeprefix("step="))
        for path in folder.glob("step=*")
        if path.is_dir() and path.name.removeprefix("step=").isdecimal()
    )


def replace_folder(finished: Path, place: Path) -> None:
    """Move a finished folder to its place; what stood there before is removed, and never seen half written."""
    place.parent.mkdir(parents=True, exist_ok=True)
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    finished.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def copy_side_files(source: Path, target: Path) -> None:
    """Copy what belongs to a model besides its weights and manifest; files that ``target`` has already are kept."""
    for path in sorted(source.iterdir()):
        weights = path.name.endswith((".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json"))
        if path.is_file() and not weights and path.name != "manifest.json" and not (target / path.name).exists():
            shutil.copyfile(path, target / path.name)


def share_permissions(folder: Path) -> None:
    """Give weight files, which safetensors writes for their owner only, the permissions of the configuration."""
    for path in folder.glob("*.safetensors"):
        shutil.copymode(folder / "config.json", path)


def make_optimizer(model: Any, recipe: Recipe) -> "torch.optim.Optimizer":
    """AdamW for all, or Muon for the matrices inside the layers and AdamW for the rest.

    Weight decay is for matrices only. Muon's steps are scaled to those of AdamW, so both go by one learning rate.
    """
    import torch

    embeddings = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    matrices: list[torch.nn.Parameter] = []
    tables: list[torch.nn.Parameter] = []
    vectors: list[torch.nn.Parameter] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            kind = vectors if parameter.ndim < 2 else tables if id(parameter) in embeddings else matrices
            kind.append(parameter)
    adamw_groups = [
        {"params": tables if recipe.optimizer == "muon" else [*matrices, *tables], "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(adamw_groups, lr=recipe.learning_rate, betas=_BETAS)
    if recipe.optimizer == "adamw":
        return adamw
    muon = torch.optim.Muon(
        matrices, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return _pair_class()(muon, adamw)


def _pair_class() -> type:
    import torch

    class Pair(torch.optim.Optimizer):
        """Two optimisers that step together; their groups are shared, so a scheduler sees one optimiser."""

        def __init__(self, first: torch.optim.Optimizer, second: torch.optim.Optimizer):
            self.parts = (first, second)
            super().__init__([*first.param_groups, *second.param_groups], {})
            self._share()

        def _share(self) -> None:
            self.param_groups = [group for part in self.parts for group in part.param_groups]

        def step(self, closure: Any = None) -> Any:
            loss = closure() if closure is not None else None
            for part in self.parts:
                part.step()
            return loss

        def state_dict(self) -> dict[str, Any]:
            return {"parts": [part.state_dict() for part in self.parts]}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            for part, state in zip(self.parts, state_dict["parts"], strict=True):
                part.load_state_dict(state)
            self._share()

    return Pair


def _trainer_class() -> type:
    import torch
    from transformers import Trainer, TrainerCallback

    class SftTrainer(Trainer):
        """Trainer with our order of rows, loss, optimiser and way of saving."""

        def __init__(
            self, recipe: Recipe, checkpoints: Checkpoints | None, stop: Callable[[int], bool], **arguments: Any
        ):
            super().__init__(**arguments)
            self.recipe, self.checkpoints, self.stop = recipe, checkpoints, stop
            self.loss_is_scaled_for_ga = True
            self._tokens, self._since = 0, time.monotonic()
            self.add_callback(Turns(self))

        def is_stopped(self) -> bool:
            """Whether any process wants to stop: all must know, or one would wait for the others for ever."""
            wish = torch.tensor([self.stop(self.state.global_step)], dtype=torch.int32, device=self.args.device)
            return bool(self.accelerator.gather(wish).any())

        def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
            if self.optimizer is None:
                self.optimizer = make_optimizer(self.model if model is None else model, self.recipe)
            return self.optimizer

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            if self.lr_scheduler is None:
                self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                    optimizer or self.create_optimizer(), lambda step: learning_rate_factor(self.recipe, step)
                )
                self._created_lr_scheduler = True
            return self.lr_scheduler

        def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> torch.Tensor:
            self._tokens += sum(int(batch["num_tokens"].sum()) for batch in batch_samples)
            total = torch.stack([(batch["labels"] != IGNORED).sum() for batch in batch_samples]).sum().to(device)
            return self.accelerator.gather(total).sum()

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            names = ("input_ids", "position_ids")
            logits = model(**{name: inputs[name] for name in names if name in inputs}, use_cache=False).logits
            asked = inputs["labels"] != IGNORED
            loss = torch.nn.functional.cross_entropy(logits[asked].float(), inputs["labels"][asked], reduction="sum")
            # Processes average their gradients, so each multiplies by their number to make a sum of it.
            return loss / num_items_in_batch * self.accelerator.num_processes

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            super().log(logs, start_time)
            if "loss" in logs and self.is_world_process_zero():
                now = time.monotonic()
                rate = self._tokens * self.accelerator.num_processes / max(now - self._since, 1e-9)
                self._tokens, self._since = 0, now
                logger.info(
                    "step %d of %d: loss %.4f, learning rate %.3g, %.0f tokens/s",
                    self.state.global_step,
                    self.recipe.steps,
                    logs["loss"],
                    logs["learning_rate"],
                    rate,
                )

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            """Write model and state under names of their own, then give them theirs: the model first."""
            assert self.checkpoints is not None
            step, scratch = self.state.global_step, Path(str(self.args.output_dir))
            if step % self.checkpoints.save_steps == 0 or step >= self.recipe.steps:
                part = self.checkpoints.folder / f".step={step}.part"
                if self.is_world_process_zero():
                    shutil.rmtree(part, ignore_errors=True)
                self.accelerator.wait_for_everyone()
                self.save_model(str(part), _internal_call=True)
                if self.is_world_process_zero():
                    (part / "training_args.bin").unlink(missing_ok=True)
                    copy_side_files(self.checkpoints.side_files, part)
                    share_permissions(part)
                    replace_folder(part, self.checkpoints.folder / f"step={step}")
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                states = self.checkpoints.work / "state"
                replace_folder(scratch / f"checkpoint-{step}", states / f"step={step}")
                for older in saved_steps(states)[:-1]:
                    shutil.rmtree(states / f"step={older}")
            self.accelerator.wait_for_everyone()

    class Turns(TrainerCallback):
        """Says after each step whether to save and whether to end."""

        def __init__(self, trainer: SftTrainer):
            self.trainer = trainer

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            kept = self.trainer.checkpoints
            end = state.global_step >= self.trainer.recipe.steps or self.trainer.is_stopped()
            control.should_training_stop = end
            control.should_save = kept is not None and (end or state.global_step % kept.save_steps == 0)

    return SftTrainer
