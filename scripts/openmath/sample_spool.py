"""Tokenised samples on disk: they come in the order of the data, and leave in the order of the rows they belong to.

All of them do not fit into memory, and to fetch each from where it lies would be a seek for each. So they are written
twice, from front to back, and the second time they are dealt out: rows that stand together share a bucket, which fits
into memory, and a bucket is a region of one file, as its size is known before.

    spool     a b c d e f          as they come;  rows  0 1 0 3 2 3
    dealt     a b c | d e f        buckets of rows 0-1 and 2-3, filled side by side
    by row    a c b   e d f        each bucket sorted in memory

A record is three numbers and its tokens, all int32: row (0 in the spool), tokens, tokens of the input.

Memory: 4 bytes a sample for its length, and some blocks of ``_BLOCK`` numbers, however many samples there are. Disk: 4
bytes a token for the spool and as much for the dealt file; the spool is emptied when all is dealt.
"""

import contextlib
import io
import struct
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]
Tokens = npt.NDArray[np.int32]
Sample = tuple[int, Tokens, int]
"""Row, tokens, and how many of them are the input's."""

_HEADER = struct.Struct("=3i")
_FIELDS = 3
_BLOCK = 1 << 23
# What a sample costs beside its tokens while it is handled, in numbers of 4 bytes.
_HANDLING = 60
_STEP = 1 << 20


def records_of(samples: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]]) -> tuple[bytes, bytes]:
    """The records of samples (tokens of the input, tokens of the output) end to end, and their lengths as int32."""
    records, lengths = [np.empty(0, dtype=np.int32)], array("i")
    for input_ids, output_ids in samples:
        asked, answered = np.asarray(input_ids, dtype=np.int32), np.asarray(output_ids, dtype=np.int32)
        lengths.append(len(asked) + len(answered))
        records += [np.array((0, lengths[-1], len(asked)), dtype=np.int32), asked, answered]
    return np.concatenate(records).tobytes(), lengths.tobytes()


@contextlib.contextmanager
def open_spool(folder: Path) -> Iterator["Spool"]:
    """A new spool, with its files in a folder that is the caller's to remove."""
    with open(folder / "spool", "w+b") as stream, open(folder / "dealt", "w+b", buffering=0) as dealt:
        yield Spool(stream, dealt)


class Spool:
    """Samples on their way from the order of the data to that of the rows; see ``open_spool``."""

    def __init__(self, stream: IO[bytes], dealt: io.FileIO):
        self._stream = stream
        self._dealt = dealt
        self._lengths = array("i")

    def append(self, records: bytes, lengths: bytes) -> None:
        """Add what ``records_of`` returned."""
        self._stream.write(records)
        self._lengths.frombytes(lengths)

    @property
    def lengths(self) -> Tokens:
        """(n,) tokens of each sample, input and output together."""
        return np.frombuffer(self._lengths, dtype=np.int32)

    def by_row(self, rows: Ints) -> Iterator[Sample]:
        """Yield all samples, row after row; inside a row they stand in the order in which they came.

        Can be called once: the spool is used up by it.

        Args:
            rows: (n,) row of each sample, from 0, none left out.
        """
        self._stream.flush()
        sizes = self._deal(rows)
        self._stream.truncate(0)
        self._dealt.seek(0)
        for size in sizes:
            bucket = np.fromfile(self._dealt, dtype=np.int32, count=size)
            for row, first, last, input_length in _sorted(bucket):
                yield row, bucket[first:last], input_length

    def _deal(self, rows: Ints) -> list[int]:
        """Copy all records from the spool to their buckets, and return the sizes of these, in numbers."""
        lengths = self.lengths
        per_row = counts_of(rows)
        in_row = totals(rows, lengths) + _FIELDS * per_row
        costs = in_row + _HANDLING * per_row
        bucket_of = (np.cumsum(costs) - costs) // _BLOCK
        sizes = totals(bucket_of, in_row)
        places = (4 * (np.cumsum(sizes) - sizes)).tolist()
        self._stream.seek(0)
        for first, last in _blocks(lengths):
            ends = np.cumsum(lengths[first:last] + _FIELDS, dtype=np.int64)
            block = np.fromfile(self._stream, dtype=np.int32, count=int(ends[-1]))
            starts = ends - lengths[first:last] - _FIELDS
            block[starts] = rows[first:last]
            for bucket, pieces in _grouped(block, starts, ends, bucket_of[rows[first:last]]):
                self._dealt.seek(places[bucket])
                places[bucket] += _write_all(self._dealt, b"".join(pieces))
        return [int(size) for size in sizes]


def totals(groups: Ints, values: Ints) -> npt.NDArray[np.int64]:
    """The sum of the values of each group.

    >>> totals(np.array([0, 2, 0]), np.array([5, 6, 7])).tolist()
    [12, 0, 6]
    """
    sums = np.zeros(int(groups.max()) + 1, dtype=np.int64)
    for first in range(0, len(groups), _STEP):  # numpy makes indices and summands of 8 bytes, so not of all at once
        np.add.at(sums, groups[first : first + _STEP], values[first : first + _STEP].astype(np.int64))
    return sums


def counts_of(groups: Ints) -> npt.NDArray[np.int64]:
    """The number of members of each group."""
    return totals(groups, np.broadcast_to(np.int32(1), groups.shape))


def _blocks(lengths: Ints) -> Iterator[tuple[int, int]]:
    """First and last (excluded) of consecutive samples that fill a block, and of one that is larger than a block."""
    first = 0
    while first < len(lengths):
        ends = np.cumsum(lengths[first : first + _STEP] + _HANDLING, dtype=np.int64)
        last = first + max(1, int(np.searchsorted(ends, _BLOCK, side="right")))
        yield first, last
        first = last


def _grouped(block: Tokens, starts: Ints, ends: Ints, buckets: Ints) -> Iterator[tuple[int, list[memoryview]]]:
    """The records of a block by bucket; in each they stand in the order of the block."""
    order = np.argsort(buckets, kind="stable")
    view = block.data
    pieces = [view[start:end] for start, end in zip(starts[order].tolist(), ends[order].tolist(), strict=True)]
    names, firsts = np.unique(buckets[order], return_index=True)
    bounds = [*firsts.tolist(), len(pieces)]
    for number, bucket in enumerate(names.tolist()):
        yield bucket, pieces[bounds[number] : bounds[number + 1]]


def _sorted(bucket: Tokens) -> list[tuple[int, int, int, int]]:
    """Row, first and last (excluded) token, and tokens of the input, of each record of a bucket, by row."""
    found = []
    view, first = bucket.data.cast("B"), 0
    while first < len(bucket):
        row, length, input_length = _HEADER.unpack_from(view, 4 * first)
        first += _FIELDS + length
        found.append((row, first - length, first, input_length))
    return sorted(found)


def _write_all(stream: io.FileIO, data: bytes) -> int:
    """Write to a file without a buffer, which may take less than it is given."""
    view, written = memoryview(data), 0
    while written < len(view):
        written += stream.write(view[written:])
    return written
