"""Rows on their way from readers to the output: buckets on disk, written by several processes, read one at a time.

    reader 1  ->  bucket-00000.1   bucket-00001.1   ...        every row goes to the bucket of its place,
    reader 2  ->  bucket-00000.2   bucket-00001.2   ...        a number from 0 to 2**64 - 1

A file is a sequence of blocks: the number of rows and of bytes, the keys of the rows, their lines. Keys can be read
without the lines. A writer holds what it has not yet written, at most ``_HELD`` bytes; files are open only while a
block is written, so there may be any number of them.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

KEYS = np.dtype(
    [
        ("row", "<u8"),  # hash of problem and solution
        ("problem", "<u8"),  # hash of the problem
        ("source", "<u8"),  # hash of the name of where the problem comes from
        ("position", "<u8"),  # in the order of the input
        ("place", "<u8"),  # where the row belongs; the first bits name the bucket
        ("length", "<u4"),  # bytes of the line
        ("has_code", "?"),
    ]
)
Keys = npt.NDArray[Any]

_HELD = 32 * 2**20
_BLOCK = struct.Struct("<QQ")


class SpoolWriter:
    """Writes rows to the buckets of a folder; each writer has a name of its own."""

    def __init__(self, folder: Path, buckets: int, name: str) -> None:
        self.folder = folder
        self.buckets = buckets
        self.name = name
        self._keys: list[list[Keys]] = [[] for _ in range(buckets)]
        self._lines: list[list[bytes]] = [[] for _ in range(buckets)]
        self._held = [0] * buckets
        self._limit = _HELD // buckets

    def add(self, keys: Keys, lines: Sequence[bytes]) -> None:
        """Add rows, whose keys are complete but for their ``length``."""
        keys["length"] = [len(line) for line in lines]
        buckets = bucket_of(keys["place"], self.buckets)
        for bucket in np.unique(buckets).tolist():
            members = np.flatnonzero(buckets == bucket)
            self._keys[bucket].append(keys[members])
            self._lines[bucket].extend(lines[member] for member in members.tolist())
            self._held[bucket] += int(keys["length"][members].sum()) + len(members) * KEYS.itemsize
            if self._held[bucket] > self._limit:
                self._flush(bucket)

    def flush(self) -> None:
        """Write what is held."""
        for bucket in range(self.buckets):
            self._flush(bucket)

    def _flush(self, bucket: int) -> None:
        if not self._keys[bucket]:
            return
        keys = np.concatenate(self._keys[bucket])
        with open(self.folder / f"bucket-{bucket:05d}.{self.name}", "ab") as stream:
            stream.write(_BLOCK.pack(len(keys), int(keys["length"].sum())))
            stream.write(keys.tobytes())
            stream.writelines(self._lines[bucket])
        self._keys[bucket], self._lines[bucket], self._held[bucket] = [], [], 0


def bucket_of(places: npt.NDArray[np.uint64], buckets: int) -> npt.NDArray[np.int64]:
    """The bucket of each place: equal shares of all places, in their order."""
    return ((places >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32)).astype(np.int64)


def read_keys(folder: Path, bucket: int) -> Keys:
    """The keys of a bucket, in the order of ``read_rows``."""
    return np.concatenate([np.empty(0, dtype=KEYS), *(keys for _, keys, _ in _blocks(folder, bucket))])


def read_rows(folder: Path, bucket: int) -> tuple[Keys, memoryview]:
    """The keys of a bucket, and all its lines end to end."""
    all_keys, lines = [np.empty(0, dtype=KEYS)], bytearray()
    for stream, keys, size in _blocks(folder, bucket):
        all_keys.append(keys)
        lines += stream.read(size)
    return np.concatenate(all_keys), memoryview(lines)


def remove_bucket(folder: Path, bucket: int) -> None:
    """Delete the files of a bucket."""
    for path in folder.glob(f"bucket-{bucket:05d}.*"):
        path.unlink()


def _blocks(folder: Path, bucket: int) -> Iterator[tuple[IO[bytes], Keys, int]]:
    """The blocks of a bucket: the file at the first of its lines, the keys, and the bytes of the lines."""
    for path in sorted(folder.glob(f"bucket-{bucket:05d}.*")):
        with open(path, "rb") as stream:
            while head := stream.read(_BLOCK.size):
                rows, size = _BLOCK.unpack(head)
                keys = np.frombuffer(stream.read(rows * KEYS.itemsize), dtype=KEYS)
                end = stream.tell() + size
                yield stream, keys, size
                stream.seek(end)
