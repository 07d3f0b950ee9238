"""Train for one leg of a run: go on from where the last leg stopped, until the run, the leg or the time is at its end.

Reads   --base-model   a model folder: the weights that the run starts from, its tokenizer and configuration
        --data         packed rows (the prefix of their three arrays) or rows of {"input", "output"} (a JSON Lines file)
        --previous     what the leg before this one wrote, unless this is the first
        --work         the state that the run resumes from, kept between legs and attempts
Writes  --checkpoints  a model folder step={n} every --save-steps steps and at the end of the run
        --output       {"leg", "step", "finished", "checkpoints"}, last

A leg that is killed is simply run again: it goes on from the last state that was saved. An attempt that is still at
work is waited for; when it came to the end of the leg, nothing is trained again. A leg that ends no further than the
leg before it fails. Under ``torchrun ... -- scripts/train_leg.py ...`` the processes share each global batch.
"""

import argparse
import contextlib
import datetime
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openmath.client import DeadlineError
from openmath.manifests import run_facts
from openmath.records import write_json
from openmath.tokenization import load_tokenizer
from openmath.training import Checkpoints, PackedRows, Recipe, latest_state, read_answer_rows, saved_steps, train
from openmath.work_folders import hold

logger = logging.getLogger("train_leg")

_LONGER_THAN_ANY_JOB = datetime.timedelta(days=60)


def previous_leg(path: Path | None) -> dict[str, Any]:
    """What the leg before this one reached; before the first leg nothing is reached."""
    if path is None:
        return {"leg": 0, "step": 0, "finished": False, "checkpoints": []}
    leg: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return leg


def state_step(work: Path) -> int:
    """The step of the state that the work folder holds; 0 without one."""
    state = latest_state(work)
    return 0 if state is None else int(state.name.removeprefix("step="))


@contextlib.contextmanager
def only_attempt(work: Path, deadline: float) -> Iterator[None]:
    """Hold the work folder: the first process does, and the others of its attempt wait until it has it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        with hold(work, deadline):
            yield
        return
    from torch.distributed import rendezvous

    store, rank, _ = next(rendezvous("env://", timeout=_LONGER_THAN_ANY_JOB))
    if rank == 0:
        with hold(work, deadline):
            store.set("work folder", "held")
            yield
    else:
        store.wait(["work folder"], _LONGER_THAN_ANY_JOB)
        yield


def run_leg(args: argparse.Namespace, last_step: int, deadline: float) -> int:
    """Train up to the last step of the leg or the deadline, and return the step that the run has come to."""
    import torch
    from transformers import AutoModelForCausalLM

    logger.info("torch %s, %d threads, CUDA %s", torch.__version__, torch.get_num_threads(), torch.cuda.is_available())
    model = AutoModelForCausalLM.from_pretrained(args.base_model, dtype=torch.float32)
    rows = (
        PackedRows(args.data)
        if args.packed
        else read_answer_rows(args.data, load_tokenizer(args.base_model), model.config.max_position_embeddings)
    )
    recipe = Recipe(
        steps=args.steps,
        micro_batch_size=args.micro_batch_size,
        global_batch_size=args.global_batch_size,
        learning_rate=args.learning_rate,
        min_learning_rate=args.min_learning_rate,
        schedule=args.schedule,
        warmup_steps=args.warmup_steps,
        optimizer=args.optimizer,
        weight_decay=args.weight_decay,
        seed=args.seed,
        precision=args.precision,
        clip=args.clip,
    )

    def stop(step: int) -> bool:
        return step >= last_step or time.monotonic() > deadline

    checkpoints = Checkpoints(args.work, args.checkpoints, args.save_steps, side_files=args.base_model)
    step, _ = train(model, rows, recipe, args.work / "scratch", checkpoints, stop)
    return step


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="name of the run, for the log")
    parser.add_argument("--leg", type=int, required=True, help="number of this leg, from 1")
    parser.add_argument("--previous", type=Path, help="output of the leg before this one; absent for leg 1")
    parser.add_argument("--base-model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    packing = parser.add_mutually_exclusive_group(required=True)
    packing.add_argument("--packed", dest="packed", action="store_true")
    packing.add_argument("--unpacked", dest="packed", action="store_false")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True, help="steps of the whole run")
    parser.add_argument("--save-steps", type=int, required=True)
    parser.add_argument("--leg-steps", type=int, help="end the leg after this many steps")
    parser.add_argument("--deadline-minutes", type=float, help="save and end the leg after this long")
    parser.add_argument("--micro-batch-size", type=int, required=True, help="rows in one pass of one process")
    parser.add_argument("--global-batch-size", type=int, required=True, help="rows of one optimiser step")
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--min-learning-rate", type=float, required=True)
    parser.add_argument("--schedule", choices=("constant", "cosine"), required=True)
    parser.add_argument("--warmup-steps", type=int, required=True)
    parser.add_argument("--optimizer", choices=("adamw", "muon"), required=True)
    parser.add_argument("--weight-decay", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of the forward pass")
    parser.add_argument("--clip", type=float, default=0.0, help="largest norm of the gradient; 0 for none")
    args = parser.parse_args(argv)
    if (args.leg == 1) != (args.previous is None):
        parser.error("--previous belongs to every leg but the first")
    return args


def make_leg(args: argparse.Namespace, deadline: float) -> None:
    """Train the leg from the state in the work folder and say how far it came; a state as far as its end is enough."""
    previous = previous_leg(args.previous)
    step = state_step(args.work)
    if step < previous["step"]:
        raise ValueError(
            f"{args.work} holds the state of step {step}, but leg {previous['leg']} came to step {previous['step']}: "
            "the state that this leg should go on from is gone"
        )
    last_step = args.steps if args.leg_steps is None else min(args.steps, previous["step"] + args.leg_steps)
    if step < last_step:
        step = run_leg(args, last_step, deadline)
    if step <= previous["step"] and not previous["finished"]:
        raise RuntimeError(f"leg {args.leg} made no progress: it ended at step {step}, where it began")
    if int(os.environ.get("RANK", "0")) == 0:
        write_json(
            args.output,
            {
                "leg": args.leg,
                "step": step,
                "finished": step >= args.steps,
                "checkpoints": saved_steps(args.checkpoints),
            },
        )


def main(argv: list[str] | None = None) -> None:
    started = time.monotonic()
    args = parse_args(argv)
    logger.info("run %s, leg %d: %s; %s", args.run, args.leg, vars(args), run_facts())
    deadline = float("inf") if args.deadline_minutes is None else started + 60 * args.deadline_minutes
    try:
        with only_attempt(args.work, deadline):
            make_leg(args, deadline)
    except DeadlineError as error:
        raise SystemExit(f"train_leg: {error}") from None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Of no use here, and half of the time that transformers takes to start; None counts as not installed.
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
    main()
