"""The chosen rows of a spool, in order, into the output."""

from pathlib import Path

import numpy as np

from openmath.records import atomic_output
from openmath.sft.choosing import Flags
from openmath.sft.spool import Keys, SpoolWriter, read_keys, read_rows, remove_bucket


def write_by_place(folder: Path, flags: list[Flags], output: Path) -> None:
    """Write the flagged rows of a spool to ``output``, sorted by their place, and delete the spool on the way.

    Args:
        folder: of the spool.
        flags: for each bucket, whether each of its rows is written.
        output: appears when it is complete.
    """
    with atomic_output(output) as stream:
        for bucket, chosen in enumerate(flags):
            keys, lines = _take_chosen(folder, bucket, chosen)
            for row in np.lexsort((keys["position"], keys["place"])).tolist():
                stream.write(lines[row])


def order_by_position(folder: Path, flags: list[Flags], into: Path, last_position: int) -> list[Flags]:
    """Move the flagged rows of a spool to another one, where their place is that of the input.

    Args:
        folder: of the spool; it is deleted on the way.
        flags: for each bucket, whether each of its rows is moved.
        into: folder of the new spool, which has as many buckets.
        last_position: no row has a larger one.

    Returns:
        The flags of the new spool: all rows of it.
    """
    writer = SpoolWriter(into, len(flags), "1")
    scale = np.uint64((2**64 - 1) // (last_position + 1))
    for bucket, chosen in enumerate(flags):
        keys, lines = _take_chosen(folder, bucket, chosen)
        keys["place"] = keys["position"] * scale
        writer.add(keys, [bytes(line) for line in lines])
    writer.flush()
    return [np.ones(len(read_keys(into, bucket)), dtype=bool) for bucket in range(len(flags))]


def _take_chosen(folder: Path, bucket: int, chosen: Flags) -> tuple[Keys, list[memoryview]]:
    """The keys and the lines of the flagged rows of a bucket, which is deleted."""
    keys, lines = read_rows(folder, bucket)
    remove_bucket(folder, bucket)
    ends = np.cumsum(keys["length"], dtype=np.int64)
    starts = ends - keys["length"]
    bounds = zip(starts[chosen].tolist(), ends[chosen].tolist(), strict=True)
    return keys[chosen], [lines[start:end] for start, end in bounds]
