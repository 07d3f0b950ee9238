"""Packed rows on disk: several short samples in one row of tokens, without one seeing the other.

Three samples of 3, 2 and 4 tokens (a lower-case letter is a token of the input, a capital one of the output) in rows
of capacity 4:

    row   input_ids            loss_mask              seq_start_id
    0     a b C  d E           . x x  x x             0  3
    1     f G H I  -1          x x x x  x             0 -1

A sample of n tokens fills n - 1 places of a row, because inputs and targets lose one token each. The mask stands where
the prediction is made: a place counts when the token after it is of the output, so the first is the last token of the
input. The place of a sample's last token counts too, and is never used. Tokens are padded with -1 and the mask with
True, to the longest row; starts to the largest number of samples in a row. The three arrays are those of NeMo
(NeMo-Skills cb3f35bc, prepare_packed_ft_dataset), and ``read_packed`` reads them as its loader does.
"""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from openmath.records import atomic_output

PAD = -1

Ints = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

_ROWS_PER_BLOCK = 256


@dataclass(frozen=True)
class Sequences:
    """Tokenised samples, end to end.

    Attributes:
        tokens: all tokens of all samples (may be a memory map).
        lengths: (n,) tokens of each sample, input and output together.
        input_lengths: (n,) tokens of its input.
    """

    tokens: Tokens
    lengths: Ints
    input_lengths: Ints


def write_packed(sequences: Sequences, rows: Ints, prefix: str) -> dict[str, Any]:
    """Write the three arrays of packed rows.

    Args:
        sequences: the samples.
        rows: (n,) row of each sample, from ``pack``; inside a row samples stand in the order of their numbers.
        prefix: the files are ``prefix`` and ``.input_ids.npy`` (int32), ``.loss_mask.npy`` (bool) and
            ``.seq_start_id.npy`` (int32). They are written from front to back, a block of rows at a time, and appear
            when all are complete.

    Returns:
        Facts: number of rows, of samples, of their tokens and of the targets that count, and the width of the arrays.

    Raises:
        ValueError: there is no sample.
    """
    if not len(rows):
        raise ValueError("there is no sequence to pack")
    order = np.argsort(rows, kind="stable")
    per_row = np.bincount(rows)
    ends = np.cumsum(per_row)
    offsets = np.cumsum(sequences.lengths) - sequences.lengths
    count, most = len(per_row), int(per_row.max())
    width = int(np.bincount(rows, weights=sequences.lengths).max())
    targets = 0
    with contextlib.ExitStack() as stack:
        ids_file, mask_file, starts_file = (
            stack.enter_context(atomic_output(f"{prefix}.{name}.npy"))
            for name in ("input_ids", "loss_mask", "seq_start_id")
        )
        _write_header(ids_file, np.dtype(np.int32), (count, width))
        _write_header(mask_file, np.dtype(np.bool_), (count, width))
        _write_header(starts_file, np.dtype(np.int32), (count, most))
        for first in range(0, count, _ROWS_PER_BLOCK):
            last = min(first + _ROWS_PER_BLOCK, count)
            items = order[ends[first] - per_row[first] : ends[last - 1]]
            lengths = sequences.lengths[items]
            within = _count_up(lengths)
            tokens = sequences.tokens[np.repeat(offsets[items], lengths) + within]
            asked = within >= np.repeat(sequences.input_lengths[items] - 1, lengths)
            # The block end to end, as tokens and as samples: row, and column in the row, of each.
            row_tokens = np.bincount(rows[items] - first, weights=lengths).astype(np.int64)
            token_row, token_column = np.repeat(np.arange(last - first), row_tokens), _count_up(row_tokens)
            ids = np.full((last - first, width), PAD, dtype=np.int32)
            ids[token_row, token_column] = tokens
            mask = np.ones((last - first, width), dtype=np.bool_)
            mask[token_row, token_column] = asked
            starts = np.full((last - first, most), PAD, dtype=np.int32)
            starts[rows[items] - first, _count_up(per_row[first:last])] = token_column[within == 0]
            ids_file.write(ids.tobytes())
            mask_file.write(mask.tobytes())
            starts_file.write(starts.tobytes())
            targets += int(asked.sum()) - len(items)
    return {
        "rows": count,
        "sequences": len(rows),
        "tokens": int(sequences.lengths.sum()),
        "target_tokens": targets,
        "row_width": width,
        "most_sequences_in_a_row": most,
    }


def _count_up(lengths: Ints) -> Ints:
    """0 to length - 1 for each length, end to end.

    >>> _count_up(np.array([3, 1, 2])).tolist()
    [0, 1, 2, 0, 0, 1]
    """
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _write_header(stream: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(
        stream, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    )


def read_packed(prefix: str | Path) -> Iterator[list[tuple[Tokens, Mask]]]:
    """Yield, row by row, the samples as they were before they were packed.

    Yields:
        For each row a list of (tokens, loss_mask), both of the sample's length. As in the file, ``loss_mask[i]`` says
        whether the token *after* ``tokens[i]`` is asked for; its last entry is never used.
    """
    arrays = [np.load(f"{prefix}.{name}.npy", mmap_mode="r") for name in ("input_ids", "loss_mask", "seq_start_id")]
    for ids, mask, starts in zip(*arrays, strict=True):
        bounds = [*starts[: _until_pad(starts)].tolist(), _until_pad(ids)]
        yield [(np.array(ids[start:end]), np.array(mask[start:end])) for start, end in itertools.pairwise(bounds)]


def _until_pad(values: Tokens) -> int:
    pads = np.flatnonzero(values == PAD)
    return int(pads[0]) if len(pads) else len(values)
