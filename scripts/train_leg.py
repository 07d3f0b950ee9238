"""Train for one leg of a run: go on from where the last leg stopped, until the run, the leg or the time is at its end.

Reads   --base-model   a model folder: the weights that the run starts from, its tokenizer and configuration
        --data         packed rows (the prefix of their flat layout) or rows of {"input", "output"} (a JSON Lines file)
        --batch-file   the rows of an optimiser step, where --global-batch-size does not say it
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
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from openmath.legs import (
    LegError,
    add_leg_arguments,
    check_progress,
    check_state,
    parse_leg_args,
    previous_leg,
    write_leg,
)
from openmath.manifests import run_facts
from openmath.tokenization import load_tokenizer
from openmath.training import Checkpoints, PackedRows, Recipe, latest_state, read_answer_rows, saved_steps, train
from openmath.work_folders import DeadlineError, hold

logger = logging.getLogger("train_leg")

_LONGER_THAN_ANY_JOB = datetime.timedelta(days=60)


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
    add_leg_arguments(parser, optimizers=("adamw", "muon"))
    parser.add_argument("--clip", type=float, default=0.0, help="largest norm of the gradient; 0 for none")
    return parse_leg_args(parser, argv)


def make_leg(args: argparse.Namespace, deadline: float) -> None:
    """Train the leg from the state in the work folder and say how far it came; a state as far as its end is enough."""
    previous = previous_leg(args.previous)
    step = state_step(args.work)
    check_state(args.work, step, previous)
    last_step = args.steps if args.leg_steps is None else min(args.steps, previous["step"] + args.leg_steps)
    if step < last_step:
        step = run_leg(args, last_step, deadline)
    check_progress(args.leg, step, previous)
    if int(os.environ.get("RANK", "0")) == 0:
        write_leg(args, step, saved_steps(args.checkpoints))


def main(argv: list[str] | None = None) -> None:
    started = time.monotonic()
    args = parse_args(argv)
    logger.info("run %s, leg %d: %s; %s", args.run, args.leg, vars(args), run_facts())
    deadline = float("inf") if args.deadline_minutes is None else started + 60 * args.deadline_minutes
    try:
        with only_attempt(args.work, deadline):
            make_leg(args, deadline)
    except (DeadlineError, LegError) as error:
        raise SystemExit(f"train_leg: {error}") from None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Of no use here, and half of the time that transformers takes to start; None counts as not installed.
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
    main()
