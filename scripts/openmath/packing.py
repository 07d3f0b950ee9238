"""Packing: which of many short samples share a row of tokens.

A row is filled by first fit over all samples at once: each goes into the first row that has room.
A tree over the room in the rows finds it in O(log rows), so n samples cost O(n log n); scanning the rows, as the source
does, makes it cut the data in chunks of 100,000.
"""

import numpy as np
import numpy.typing as npt

from openmath.orders import shuffled
from openmath.records import derive_seed

ALGORITHMS = ("first_fit_shuffle", "first_fit_decreasing")

Ints = npt.NDArray[np.int64]

# Loading the compiler takes a second, in which plain Python places as many sequences as this.
_COMPILE_FROM = 50_000


def pack(lengths: npt.ArrayLike, capacity: int, algorithm: str, seed: int) -> Ints:
    """Decide which row each sequence goes to.

    Args:
        lengths: (n,) places that each sequence fills, 1 to ``capacity``.
        capacity: places in a row.
        algorithm: the order in which sequences are placed: "first_fit_shuffle" (by ``seed``) or
            "first_fit_decreasing" (longest first, equal ones shuffled by ``seed``).
        seed: of the shuffle.

    Returns:
        (n,) row of each sequence; rows are numbered from 0 in the order in which they were opened.

    Raises:
        ValueError: a length is outside 1 to ``capacity``, or the algorithm is unknown.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    if len(sizes) and not 1 <= sizes.min() <= sizes.max() <= capacity:
        raise ValueError(f"lengths are {sizes.min()} to {sizes.max()}, a row takes 1 to {capacity}")
    order = shuffled(len(sizes), derive_seed("pack", seed))
    if algorithm == "first_fit_decreasing":
        order = order[np.argsort(-sizes[order], kind="stable")]
    elif algorithm != "first_fit_shuffle":
        raise ValueError(f"no packing algorithm '{algorithm}' (known: {', '.join(ALGORITHMS)})")
    rows: Ints = np.empty(len(sizes), dtype=np.int64)
    rows[order] = _first_fit(sizes[order], capacity)
    return rows


def _first_fit(sizes: Ints, capacity: int) -> Ints:
    """Row of each size, in the order given."""
    if len(sizes) < _COMPILE_FROM:
        return _place(sizes, capacity)
    from numba import njit

    rows: Ints = njit(cache=True)(_place)(sizes, capacity)
    return rows


def _place(sizes: Ints, capacity: int) -> Ints:
    """First fit with a tree whose leaves are the room in each row, and whose nodes are the most room below them.

    Going left wherever there is room enough ends in the first row that fits. All rows exist from the start, empty;
    first fit leaves at most one of them half empty, so twice the sum of sizes bounds their number.
    """
    leaves = 1
    while leaves < min(len(sizes), 2 * sizes.sum() // capacity + 2):
        leaves *= 2
    room = np.full(2 * leaves, capacity, dtype=np.int64)
    rows = np.empty(len(sizes), dtype=np.int64)
    for item in range(len(sizes)):
        size = sizes[item]
        node = 1
        while node < leaves:
            node *= 2
            if room[node] < size:
                node += 1
        rows[item] = node - leaves
        room[node] -= size
        node //= 2
        while node >= 1:
            most = max(room[2 * node], room[2 * node + 1])
            if room[node] == most:
                break
            room[node] = most
            node //= 2
    return rows
