"""Packed rows of several prefixes as those of one: the rows of the first, then those of the second, and so on.

    nemo    rows of the first   a b C d E -1 -1         widths are the widest
            rows of the second  f G H I J k L
    flat    tokens and answers end to end; starts of sequences and rows go on where the last prefix ended

Nothing is packed anew. Arrays are read and written from front to back, a block at a time.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from openmath.packed_rows import LAYOUTS, PAD, array_file, fill_facts, manifest_path
from openmath.records import file_sha256

MUST_AGREE = ("layout", "tokenizer_sha256", "capacity", "multiple", "pad_id")
"""What has to be the same for rows to be one set."""

_SUMS = ("rows", "sequences", "tokens", "target_tokens", "pad_tokens")
_LARGEST = ("row_width", "most_sequences_in_a_row")
_FILLERS = {"input_ids": PAD, "loss_mask": True, "seq_start_id": PAD}
_BLOCK = 1 << 22

Numbers = npt.NDArray[Any]


class MergeError(ValueError):
    """Packed rows that cannot be merged; the message is for a person."""


@dataclass(frozen=True)
class Part:
    """Packed rows of one prefix: where they are, and what their manifest says."""

    prefix: str
    manifest: Path
    facts: dict[str, Any]

    def array(self, name: str) -> Path:
        """The file of an array."""
        return Path(f"{self.prefix}.{name}.npy")


def read_parts(prefixes: Sequence[str], layout: str) -> list[Part]:
    """Read the manifests of packed rows.

    Raises:
        MergeError: one cannot be read or lacks a key, or two do not agree; both are named.
    """
    parts = [_read_part(prefix, manifest_path(prefix, layout)) for prefix in prefixes]
    first = parts[0]
    for part, key in itertools.product(parts[1:], MUST_AGREE):
        if part.facts[key] != first.facts[key]:
            raise MergeError(
                f"{first.manifest} has {key} {first.facts[key]!r}, {part.manifest} has {part.facts[key]!r}"
            )
    return parts


def _read_part(prefix: str, manifest: Path) -> Part:
    try:
        facts = json.loads(manifest.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise MergeError(f"{manifest}: {error}") from None
    for key in (*MUST_AGREE, "pad_token", *_SUMS, *_LARGEST, "counts"):
        if not isinstance(facts, dict) or key not in facts:
            raise MergeError(f"{manifest}: no key '{key}'; no manifest of packed rows")
    return Part(prefix, manifest, facts)


def merge_arrays(parts: Sequence[Part], layout: str, folder: Path) -> None:
    """Write the arrays of all parts to ``folder`` as those of one.

    Raises:
        MergeError: an array is damaged or is not as its manifest says.
    """
    for name in LAYOUTS[layout]:
        if layout == "nemo":
            _merge_padded(parts, name, folder)
        elif name in ("sequences", "rows"):
            _merge_starts(parts, name, folder)
        else:
            _merge_flat(parts, name, folder)


def _merge_padded(parts: Sequence[Part], name: str, folder: Path) -> None:
    width_key = "most_sequences_in_a_row" if name == "seq_start_id" else "row_width"
    rows, width = sum(part.facts["rows"] for part in parts), max(part.facts[width_key] for part in parts)
    dtype = np.bool_ if name == "loss_mask" else np.int32
    with array_file(folder, name, dtype, (rows, width)) as merged:
        for part in parts:
            shape = (part.facts["rows"], part.facts[width_key])
            for block in _blocks(part, name, dtype, shape):
                padded = np.full((len(block), width), _FILLERS[name], dtype=dtype)
                padded[:, : shape[1]] = block
                merged.write(padded.data)


def _merge_flat(parts: Sequence[Part], name: str, folder: Path) -> None:
    key = "tokens" if name == "tokens" else "sequences"
    with array_file(folder, name, np.int32, (sum(part.facts[key] for part in parts),)) as merged:
        for part in parts:
            for block in _blocks(part, name, np.int32, (part.facts[key],)):
                merged.write(block.data)


def _merge_starts(parts: Sequence[Part], name: str, folder: Path) -> None:
    """Starts of a part go on from the end of the part before it; a part's own first, 0, is left out."""
    key, counted = ("sequences", "tokens") if name == "sequences" else ("rows", "sequences")
    with array_file(folder, name, np.int64, (sum(part.facts[key] for part in parts) + 1,)) as merged:
        merged.write(bytes(8))
        offset = 0
        for part in parts:
            first = 1
            for block in _blocks(part, name, np.int64, (part.facts[key] + 1,)):
                merged.write((block[first:] + offset).data)
                first = 0
            offset += part.facts[counted]


def _blocks(part: Part, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Iterator[Numbers]:
    """The array of a part, some rows at a time."""
    path = part.array(name)
    try:
        with open(path, "rb") as stream:
            _check_header(stream, path, np.dtype(dtype), shape, part.manifest)
            row = int(np.prod(shape[1:]))
            step = max(1, _BLOCK // row)
            for first in range(0, shape[0], step):
                wanted = min(step, shape[0] - first) * row
                block = np.fromfile(stream, dtype=dtype, count=wanted)
                if len(block) < wanted:
                    raise MergeError(f"{path}: the file is cut")
                yield block.reshape(-1, *shape[1:])
    except FileNotFoundError as error:
        raise MergeError(f"{path}: {error.strerror}") from None


def _check_header(stream: IO[bytes], path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], manifest: Path) -> None:
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"version {version} of the format")
        found, fortran, kind = np.lib.format.read_array_header_1_0(stream)
    except ValueError as error:
        raise MergeError(f"{path}: no array of NumPy ({error})") from None
    if found != shape or kind != dtype or fortran:
        raise MergeError(f"{path} holds {kind} {found}, and {manifest} says {dtype} {shape}")


def merged_manifest(parts: Sequence[Part]) -> dict[str, Any]:
    """What is true of all parts together: sums, largest, and means over all rows."""
    first = parts[0].facts
    facts = {key: sum(part.facts[key] for part in parts) for key in _SUMS}
    counts = {key: sum(part.facts["counts"].get(key, 0) for part in parts) for key in first["counts"]}
    return {
        **{key: first[key] for key in (*MUST_AGREE, "pad_token")},
        **facts,
        **{key: max(part.facts[key] for part in parts) for key in _LARGEST},
        **fill_facts(facts, first["capacity"]),
        "counts": counts,
        "merged_from": [{"prefix": part.prefix, "manifest_sha256": file_sha256(part.manifest)} for part in parts],
    }
