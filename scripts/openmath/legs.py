"""Legs of a training run: what they are told on the command line, whatever trains, and what they say at their end.

A leg goes on from the state in the run's work folder and writes {"leg", "step", "finished", "checkpoints"} when its
steps or its time are over; the next reads that.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from openmath.records import write_json


class LegError(RuntimeError):
    """A leg that cannot go on; the message is for a person."""


def add_leg_arguments(parser: argparse.ArgumentParser, optimizers: tuple[str, ...]) -> None:
    """Add the options of a leg that do not depend on the back end, but for the optimisers that it has."""
    parser.add_argument("--run", required=True, help="name of the run, for the log")
    parser.add_argument("--leg", type=int, required=True, help="number of this leg, from 1")
    parser.add_argument("--previous", type=Path, help="output of the leg before this one; absent for leg 1")
    parser.add_argument("--base-model", type=Path, required=True, help="the model folder to start from")
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
    batch = parser.add_mutually_exclusive_group(required=True)
    batch.add_argument("--global-batch-size", type=int, help="rows of one optimiser step")
    batch.add_argument("--batch-file", type=Path, help="JSON whose global_batch_size it is (scripts/suggest_batch.py)")
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--min-learning-rate", type=float, required=True, help="of the cosine schedule")
    parser.add_argument("--schedule", choices=("constant", "cosine"), required=True)
    parser.add_argument("--warmup-steps", type=int, required=True)
    parser.add_argument("--optimizer", choices=optimizers, required=True)
    parser.add_argument("--weight-decay", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of the forward pass")


def parse_leg_args(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """Read the command line of a leg and the batch file that it may name, and check that it names the leg before it."""
    args = parser.parse_args(argv)
    if args.batch_file is not None:
        try:
            args.global_batch_size = read_batch_size(args.batch_file)
        except LegError as error:
            parser.error(str(error))
    if (args.leg == 1) != (args.previous is None):
        parser.error("--previous belongs to every leg but the first")
    return args


def read_batch_size(path: Path) -> int:
    """The ``global_batch_size`` of a JSON file.

    Raises:
        LegError: it cannot be read, or holds no whole number above 0 under this key.
    """
    try:
        batch = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LegError(f"--batch-file {path}: {error}") from None
    size = batch.get("global_batch_size") if isinstance(batch, dict) else None
    if type(size) is not int or size < 1:
        raise LegError(f"--batch-file {path}: no global_batch_size that is a whole number above 0")
    return size


def previous_leg(path: Path | None) -> dict[str, Any]:
    """What the leg before this one reached; before the first leg nothing is reached."""
    if path is None:
        return {"leg": 0, "step": 0, "finished": False, "checkpoints": []}
    leg: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return leg


def check_state(folder: Path, step: int, previous: dict[str, Any]) -> None:
    """Raise LegError if the state in a folder is older than what the leg before this one reached."""
    if step < previous["step"]:
        raise LegError(
            f"{folder} holds the state of step {step}, but leg {previous['leg']} came to step {previous['step']}: "
            "the state that this leg should go on from is gone"
        )


def check_progress(leg: int, step: int, previous: dict[str, Any]) -> None:
    """Raise LegError if a leg ends no further than the leg before it."""
    if step <= previous["step"] and not previous["finished"]:
        raise LegError(f"leg {leg} made no progress: it ended at step {step}, where it began")


def write_leg(args: argparse.Namespace, step: int, checkpoints: list[int]) -> None:
    """Write how far the leg came."""
    finished = step >= args.steps
    write_json(args.output, {"leg": args.leg, "step": step, "finished": finished, "checkpoints": checkpoints})
