"""The average of several checkpoints of one run, tensor by tensor.

    step=10  w = [1.0, 4.0]
    step=20  w = [3.0, 0.0]     average  w = [2.0, 2.0]

Sums are kept in a wider type than the weights (fp32 for 16-bit weights, fp64 for fp32), and only the mean is rounded,
once, to the type of the weights: the average of equal checkpoints is the checkpoint. One file of weights is in memory
at a time. Tensors that hold no fractions (counters, indices) have no mean and must be equal.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


class AveragingError(ValueError):
    """The checkpoints cannot be averaged; the message names checkpoint or tensor."""


def checkpoint_folders(folder: Path, steps: Sequence[int]) -> list[Path]:
    """The folders ``step={n}`` of exactly these steps, in this order.

    Raises:
        AveragingError: no step is asked for, one is asked for twice, or one is missing.
    """
    if not steps:
        raise AveragingError("no step to average")
    if len(set(steps)) != len(steps):
        raise AveragingError(f"a step is named twice: {' '.join(map(str, steps))}")
    missing = [step for step in steps if not (folder / f"step={step}").is_dir()]
    if missing:
        raise AveragingError(f"{folder} holds no checkpoint of step {', '.join(map(str, missing))}")
    return [folder / f"step={step}" for step in steps]


def weight_files(folder: Path) -> dict[str, str]:
    """The file that each tensor of a model folder is in, by the name of the tensor.

    Raises:
        AveragingError: the folder holds no safetensors weights.
    """
    from safetensors import safe_open

    if (folder / INDEX).is_file():
        files: dict[str, str] = json.loads((folder / INDEX).read_text("utf-8"))["weight_map"]
        return files
    if not (folder / SINGLE).is_file():
        raise AveragingError(f"{folder} holds neither {SINGLE} nor {INDEX}")
    with safe_open(folder / SINGLE, framework="pt") as weights:
        return dict.fromkeys(weights.keys(), SINGLE)


def average_checkpoints(folders: Sequence[Path], output: Path) -> None:
    """Write the average of model folders; files other than weights are those of the first folder.

    Raises:
        AveragingError: the folders differ in the names, shapes or types of their tensors, or in a tensor that has no
            mean.
    """
    from safetensors.torch import save_file

    places = [weight_files(folder) for folder in folders]
    for folder, files in zip(folders, places, strict=True):
        if files.keys() != places[0].keys():
            names = sorted(files.keys() ^ places[0].keys())
            raise AveragingError(f"{folder} and {folders[0]} do not hold the same tensors: {', '.join(names[:5])}")
    output.mkdir(parents=True, exist_ok=True)
    for old in (*output.glob("*.safetensors"), *output.glob(INDEX)):
        old.unlink()
    for file in sorted(set(places[0].values())):
        averages = {
            name: average_tensor(name, [folder / files[name] for folder, files in zip(folders, places, strict=True)])
            for name in sorted(places[0])
            if places[0][name] == file
        }
        part = output / f".{file}.part"
        save_file(averages, part, metadata={"format": "pt"})
        os.replace(part, output / file)
    for path in sorted(folders[0].iterdir()):
        if path.is_file() and path.suffix != ".safetensors" and path.name != "manifest.json":
            shutil.copyfile(path, output / path.name)
    for path in output.glob("*.safetensors"):
        shutil.copymode(folders[0] / path.name, path)


def average_tensor(name: str, files: Sequence[Path]) -> "torch.Tensor":
    """The mean of one tensor over several files of weights, in the type that it has there."""
    import torch
    from safetensors import safe_open

    def load(path: Path) -> torch.Tensor:
        with safe_open(path, framework="pt") as weights:
            return weights.get_tensor(name)

    first = load(files[0])
    wide = torch.float32 if first.dtype in (torch.bfloat16, torch.float16) else torch.float64
    total = first.to(wide) if first.is_floating_point() else first
    for path in files[1:]:
        other = load(path)
        if other.shape != first.shape or other.dtype != first.dtype:
            raise AveragingError(f"{name}: {tuple(first.shape)} {first.dtype} in {files[0]}, other in {path}")
        if first.is_floating_point():
            total += other
        elif not torch.equal(first, other):
            raise AveragingError(f"{name} holds whole numbers that differ between {files[0]} and {path}")
    return (total / len(files)).to(first.dtype) if first.is_floating_point() else first
