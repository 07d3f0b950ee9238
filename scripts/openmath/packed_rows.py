"""Packed rows on disk: several short samples in one row of tokens, without one seeing the other.

Three samples of 3, 2 and 4 tokens (a lower-case letter is a token of the input, a capital one of the output) in rows
of capacity 4, in the two layouts:

    nemo     input_ids            loss_mask              seq_start_id
    row 0    a b C  d E           . x x  x x             0  3
    row 1    f G H I  -1          x x x x  x             0 -1

    flat     tokens               sequences     answers     rows
             a b C d E f G H I    0 3 5 9       2 1 1       0 2 3

A sample of n tokens fills n - 1 places of a row, because inputs and targets lose one token each.

**nemo** is what NeMo trains from (NeMo-Skills cb3f35bc, prepare_packed_ft_dataset): input_ids int32 and loss_mask bool
(rows, width), seq_start_id int32 (rows, most samples). The mask stands where the prediction is made: a place counts
when the token after it is of the output, so the first is the last token of the input. The place of a sample's last
token is never used. Tokens are padded with -1 and the mask with True, to the longest row; starts to the largest number
of samples in a row.

For context parallelism each sample fills a multiple of M places: behind its tokens stand pad tokens, up to one more
than its places, and none of them is asked for. With M = 4 the sample a b C is a b C P P, its mask . x . . . ; NeMo has
no place for its length, so it is found by the last place that is asked at.

**flat** is read by our trainer: tokens int32, all that there are; where each sample starts in them (sequences, int64,
one more than samples), where in the sample its answer does (answers, int32), and where each row starts among the
samples (rows, int64, one more than rows).

A layout is several files ``PREFIX.{name}.npy`` and a manifest, which appears last and says that they belong together.
"""

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from openmath.records import write_json
from openmath.sample_spool import Ints, Sample, Spool, Tokens, counts_of, totals

PAD = -1

LAYOUTS = {"nemo": ("input_ids", "loss_mask", "seq_start_id"), "flat": ("tokens", "sequences", "answers", "rows")}
"""The arrays of each layout."""

Mask = npt.NDArray[np.bool_]

_BLOCK = 1 << 22


def places_of(lengths: Ints, multiple: int = 1) -> Tokens:
    """The places of a row that samples of ``lengths`` tokens fill, rounded up to a multiple.

    >>> places_of(np.array([2, 5, 6]), 4).tolist()
    [4, 4, 8]
    """
    return (-(-(lengths - 1) // multiple) * multiple).astype(np.int32)


def write_nemo(spool: Spool, rows: Ints, folder: Path, multiple: int = 1, pad_id: int = 0) -> dict[str, int]:
    """Write the arrays of NeMo's layout to ``folder``, from front to back, a block of rows at a time.

    Args:
        spool: the samples, one at least; they are used up.
        rows: (n,) row of each sample, from ``pack``; inside a row samples stand in the order of their numbers.
        folder: the arrays are ``{name}.npy`` in it.
        multiple: each sample fills a multiple of so many places.
        pad_id: the token behind a sample that has to be filled up.

    Returns:
        Facts: number of rows, of samples, of their tokens, of the targets that count and of pad tokens, the width of
        the widest row in tokens, and the largest number of samples in a row.
    """
    facts, per_row = _facts(spool, rows, multiple)
    count, width, most = facts["rows"], facts["row_width"], facts["most_sequences_in_a_row"]
    block = max(1, _BLOCK // width)
    samples = spool.by_row(rows)
    with contextlib.ExitStack() as stack:
        ids_file = stack.enter_context(array_file(folder, "input_ids", np.int32, (count, width)))
        mask_file = stack.enter_context(array_file(folder, "loss_mask", np.bool_, (count, width)))
        starts_file = stack.enter_context(array_file(folder, "seq_start_id", np.int32, (count, most)))
        for first in range(0, count, block):
            chosen = per_row[first : first + block]
            rows_of_block = _NemoRows(first, len(chosen), width, most)
            for sample in itertools.islice(samples, int(chosen.sum())):
                rows_of_block.add(sample, multiple, pad_id)
            ids_file.write(rows_of_block.ids.data)
            mask_file.write(rows_of_block.mask.data)
            starts_file.write(rows_of_block.starts.data)
            facts["target_tokens"] += rows_of_block.targets
    return facts


class _NemoRows:
    """Some rows of the three arrays, each as one long row, filled from left to right."""

    def __init__(self, first: int, count: int, width: int, most: int):
        self.ids = np.full(count * width, PAD, dtype=np.int32)
        self.mask = np.ones(count * width, dtype=np.bool_)
        self.starts = np.full(count * most, PAD, dtype=np.int32)
        self.targets = 0
        self._first, self._width, self._most = first, width, most
        self._row, self._column, self._number = -1, 0, 0

    def add(self, sample: Sample, multiple: int, pad_id: int) -> None:
        row, tokens, input_length = sample
        if row != self._row:
            self._row, self._column, self._number = row, 0, 0
        length = len(tokens)
        stored = -(-(length - 1) // multiple) * multiple + 1
        start = (row - self._first) * self._width + self._column
        self.ids[start : start + length] = tokens
        self.mask[start : start + max(input_length - 1, 0)] = False
        if stored > length:
            self.ids[start + length : start + stored] = pad_id
            self.mask[start + length - 1 : start + stored] = False
        self.starts[(row - self._first) * self._most + self._number] = self._column
        self.targets += length - max(input_length, 1)
        self._column += stored
        self._number += 1


def write_flat(spool: Spool, rows: Ints, folder: Path) -> dict[str, int]:
    """Write the arrays of the flat layout to ``folder``; arguments and facts are those of ``write_nemo``."""
    facts, per_row = _facts(spool, rows)
    count = facts["sequences"]
    samples = spool.by_row(rows)
    with contextlib.ExitStack() as stack:
        tokens_file = stack.enter_context(array_file(folder, "tokens", np.int32, (facts["tokens"],)))
        sequences_file = stack.enter_context(array_file(folder, "sequences", np.int64, (count + 1,)))
        answers_file = stack.enter_context(array_file(folder, "answers", np.int32, (count,)))
        rows_file = stack.enter_context(array_file(folder, "rows", np.int64, (facts["rows"] + 1,)))
        rows_file.write(np.append(0, np.cumsum(per_row)).data)
        sequences_file.write(bytes(8))
        end = 0
        for _, tokens, input_length in samples:
            end += len(tokens)
            tokens_file.write(tokens.data)
            sequences_file.write(end.to_bytes(8, "little"))
            answers_file.write(input_length.to_bytes(4, "little"))
            facts["target_tokens"] += len(tokens) - max(input_length, 1)
    return facts


def _facts(spool: Spool, rows: Ints, multiple: int = 1) -> tuple[dict[str, int], npt.NDArray[np.int64]]:
    """What is known before anything is written, and the number of samples in each row."""
    stored = places_of(spool.lengths, multiple) + 1
    per_row = counts_of(rows)
    tokens = int(spool.lengths.sum(dtype=np.int64))
    facts = {
        "rows": len(per_row),
        "sequences": len(rows),
        "tokens": tokens,
        "target_tokens": 0,
        "pad_tokens": int(stored.sum(dtype=np.int64)) - tokens,
        "row_width": int(totals(rows, stored).max()),
        "most_sequences_in_a_row": int(per_row.max()),
    }
    return facts, per_row


@contextlib.contextmanager
def array_file(folder: Path, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """Open ``folder/{name}.npy`` for writing the elements of an array of little-endian numbers."""
    kind = np.dtype(dtype).newbyteorder("<")
    with open(folder / f"{name}.npy", "wb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        )
        yield stream


def manifest_path(prefix: str | Path, layout: str) -> Path:
    """Where the manifest of packed rows is: the two layouts may lie beside each other."""
    return Path(f"{prefix}.json" if layout == "nemo" else f"{prefix}.{layout}.json")


def publish(folder: Path, prefix: str | Path, layout: str, manifest: dict[str, Any]) -> None:
    """Move the arrays of a layout from ``folder`` to their names.

    Nothing can want of space any more when the first is moved. The manifest of older arrays goes before it and the new
    one comes after the last, so that no manifest ever stands beside arrays of another.
    """
    written, place = folder / "manifest.json", manifest_path(prefix, layout)
    write_json(written, manifest)
    place.unlink(missing_ok=True)
    for name in LAYOUTS[layout]:
        os.replace(folder / f"{name}.npy", f"{prefix}.{name}.npy")
    os.replace(written, place)


def fill_facts(facts: dict[str, int], capacity: int) -> dict[str, float]:
    """How full the rows are: samples in a row, and the share of the places that tokens fill (padding does not)."""
    return {
        "sequences_per_row": facts["sequences"] / facts["rows"],
        "efficiency": (facts["tokens"] - facts["sequences"]) / (facts["rows"] * capacity),
    }


def suggested_batch(samples: int, sequences: int, rows: int, unit: int) -> int:
    """The rows of an optimiser step that hold about ``samples`` samples, where ``rows`` hold ``sequences``.

    The multiple of ``unit`` (data-parallel size times micro batch) nearest to it, the larger of two as near, and at
    least one.

    >>> suggested_batch(512, sequences=37, rows=10, unit=16)  # 138.4 rows
    144
    """
    return unit * max(1, (2 * samples * rows + sequences * unit) // (2 * sequences * unit))


def read_packed(prefix: str | Path) -> Iterator[list[tuple[Tokens, Mask]]]:
    """Yield, row by row, the samples of NeMo's layout as they were before they were packed.

    A row ends at its first -1 and a sample where the next begins; of what it holds, tokens up to the last that is asked
    for are its own.

    Yields:
        For each row a list of (tokens, loss_mask), both of the sample's length. As in the file, ``loss_mask[i]`` says
        whether the token *after* ``tokens[i]`` is asked for; its last entry is never used.
    """
    arrays = [np.load(f"{prefix}.{name}.npy", mmap_mode="r") for name in LAYOUTS["nemo"]]
    for ids, mask, starts in zip(*arrays, strict=True):
        bounds = [*starts[: _until_pad(starts)].tolist(), _until_pad(ids)]
        samples = []
        for start, end in itertools.pairwise(bounds):
            asked = np.flatnonzero(mask[start : end - 1])
            length = int(asked[-1]) + 2 if len(asked) else end - start
            samples.append((np.array(ids[start : start + length]), np.array(mask[start : start + length])))
        yield samples


def _until_pad(values: Tokens) -> int:
    pads = np.flatnonzero(values == PAD)
    return int(pads[0]) if len(pads) else len(values)


@dataclass(frozen=True)
class FlatRows:
    """The arrays of the flat layout, mapped into memory."""

    tokens: Tokens
    sequences: Ints
    answers: Ints
    rows: Ints

    @classmethod
    def open(cls, prefix: str | Path) -> "FlatRows":
        """Map the files of a prefix."""
        return cls(*(np.load(f"{prefix}.{name}.npy", mmap_mode="r") for name in LAYOUTS["flat"]))

    def __len__(self) -> int:
        return len(self.rows) - 1

    def samples(self, row: int) -> list[tuple[Tokens, Mask]]:
        """The samples of a row, in the form of ``read_packed``."""
        first, last = self.rows[row : row + 2].tolist()
        bounds = self.sequences[first : last + 1].tolist()
        return [
            (np.array(self.tokens[start:end]), np.arange(end - start) >= answer - 1)
            for (start, end), answer in zip(itertools.pairwise(bounds), self.answers[first:last].tolist(), strict=True)
        ]


def read_flat(prefix: str | Path) -> Iterator[list[tuple[Tokens, Mask]]]:
    """Yield, row by row, the samples of the flat layout, in the form of ``read_packed``."""
    arrays = FlatRows.open(prefix)
    for row in range(len(arrays)):
        yield arrays.samples(row)
