"""Train for one leg of a run with NeMo-Aligner: go on from its latest checkpoint, until the run or the time is over.

Reads   --base-model   a NeMo checkpoint: the weights that the run starts from
        --data         packed rows (the prefix of their NeMo layout) or rows of {"input", "output"} (a JSON Lines file)
        --batch-file   the rows of an optimiser step, where --global-batch-size does not say it
        --checkout     NeMo-Skills, whose `start_sft` trains (scripts/fetch_checkout.py)
        --previous     what the leg before this one wrote, unless this is the first
        --work         the state of the run, kept between legs and attempts: training/checkpoints/ is NeMo's
Writes  --checkpoints  links step={n} to NeMo's checkpoints that are whole
        --output       {"leg", "step", "finished", "checkpoints"}, last

A leg that is killed is simply run again. An attempt that is still at work is waited for. A leg that ends no further
than the leg before it fails.
"""

import argparse
import dataclasses
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

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
from openmath.nemo_aligner import (
    NemoError,
    Run,
    check_context_parallel,
    check_files,
    check_run,
    link_checkpoints,
    prepare_index,
    reached_step,
    saved_states,
    sft_config,
    training_words,
)
from openmath.programs import (
    NEMO_ADVICE,
    Checkout,
    Launcher,
    ProgramError,
    in_checkout,
    parse_launcher,
    read_checkout,
    require_packages,
    run_program,
)
from openmath.work_folders import DeadlineError, hold

log = logging.getLogger("train_nemo_leg")

WANDB_KEY = "WANDB_API_KEY"
"""Weights & Biases gets the logs where its key is in the environment; the key itself is read by NeMo alone."""


PACKAGES = ("nemo", "nemo_aligner")


def described_run(args: argparse.Namespace) -> Run:
    """The run that the command line describes."""
    return Run(
        name=args.run,
        base_model=args.base_model,
        data=args.data,
        packed=args.packed,
        work=args.work,
        steps=args.steps,
        save_steps=args.save_steps,
        global_batch_size=args.global_batch_size,
        micro_batch_size=args.micro_batch_size,
        learning_rate=args.learning_rate,
        min_learning_rate=args.min_learning_rate,
        schedule=args.schedule,
        warmup_steps=args.warmup_steps,
        weight_decay=args.weight_decay,
        precision=args.precision,
        seed=args.seed,
        num_nodes=args.num_nodes,
        num_gpus=args.num_gpus,
        tensor_parallel=args.tensor_parallel,
        pipeline_parallel=args.pipeline_parallel,
        context_parallel=args.context_parallel,
        max_seq_length=args.max_seq_length,
        max_minutes=args.deadline_minutes,
    )


def train(run: Run, launcher: Launcher, checkout: Checkout, overrides: dict[str, Any]) -> None:
    """Start NeMo, and return when it has ended."""
    resumed = bool(saved_states(run.training / "checkpoints"))
    config = sft_config(run, resumed=resumed, wandb=bool(os.environ.get(WANDB_KEY)))
    words = training_words(checkout, config, overrides)
    prepare_index(run)
    # One connection: without it, tensor parallelism does not overlap what it computes and sends.
    command = in_checkout(launcher, checkout, words, CUDA_DEVICE_MAX_CONNECTIONS="1", HYDRA_FULL_ERROR="1")
    run_program("NeMo-Aligner", command)


def minutes_left(deadline: float) -> float | None:
    """How long NeMo may train; an attempt that was waited for has taken some of it.

    Raises:
        DeadlineError: nothing is left.
    """
    if deadline == float("inf"):
        return None
    left = (deadline - time.monotonic()) / 60
    if left <= 0:
        raise DeadlineError("the time was up before training began")
    return left


def make_leg(args: argparse.Namespace, started: float) -> None:
    """Train from the state in the work folder, and say how far it came."""
    run, previous = described_run(args), previous_leg(args.previous)
    launcher = Launcher(args.launcher, run.num_nodes, run.num_gpus, tasks=run.num_nodes * run.num_gpus)
    check_run(run, launched=bool(args.launcher))
    check_files(run)
    checkout = read_checkout(args.checkout)
    check_context_parallel(run, checkout)
    training_words(checkout, sft_config(run, resumed=False, wandb=False), args.overrides)
    folder = run.training / "checkpoints"
    if reached_step(saved_states(folder)) < run.steps:
        require_packages(launcher, checkout, PACKAGES, NEMO_ADVICE)
    deadline = float("inf") if run.max_minutes is None else started + 60 * run.max_minutes
    with hold(args.work, deadline):
        step = reached_step(saved_states(folder))
        check_state(folder, step, previous)
        if step < run.steps:
            train(dataclasses.replace(run, max_minutes=minutes_left(deadline)), launcher, checkout, args.overrides)
        states = saved_states(folder)
        steps, step = link_checkpoints(states, args.checkpoints), reached_step(states)
        check_progress(args.leg, step, previous)
        write_leg(args, step, steps)
        log.info("leg %d ended at step %d of %d", args.leg, step, run.steps)


def parse_overrides(text: str) -> dict[str, Any]:
    """The further keys of `--overrides`: a JSON object.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        overrides = json.loads(text)
    except ValueError:
        overrides = None
    if not isinstance(overrides, dict):
        raise argparse.ArgumentTypeError(f"must be a JSON object, not {text!r}")
    return overrides


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_leg_arguments(parser, optimizers=("adamw",))
    parser.add_argument("--checkout", type=Path, required=True, help="the folder of NeMo-Skills' checkout/")
    parser.add_argument("--num-nodes", type=int, required=True)
    parser.add_argument("--num-gpus", type=int, required=True, help="GPUs of each node")
    parser.add_argument("--tensor-parallel", type=int, required=True, help="GPUs that share each layer")
    parser.add_argument("--pipeline-parallel", type=int, required=True, help="stages that the layers are cut into")
    parser.add_argument("--context-parallel", type=int, required=True, help="GPUs that share each sequence")
    parser.add_argument(
        "--max-seq-length", type=int, required=True, help="longest row, in tokens; packed: the capacity"
    )
    parser.add_argument(
        "--launcher",
        type=parse_launcher,
        default=[],
        metavar="JSON",
        help="words before the command, which start {tasks} processes: one on each of {gpus} GPUs of {nodes} nodes",
    )
    parser.add_argument(
        "--overrides", type=parse_overrides, default={}, metavar="JSON", help="further Hydra keys, in place of ours"
    )
    args = parse_leg_args(parser, argv)
    if args.leg_steps is not None:
        parser.error("--leg-steps: NeMo ends a leg by its time alone; leave it out, and set the time of the job")
    return args


def main(argv: list[str] | None = None) -> None:
    """Train for one leg."""
    started = time.monotonic()
    args = parse_args(argv)
    log.info("run %s, leg %d: %s; %s", args.run, args.leg, vars(args), run_facts())
    try:
        make_leg(args, started)
    except (DeadlineError, LegError, NemoError, ProgramError) as error:
        raise SystemExit(f"train_nemo_leg: {error}") from None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
