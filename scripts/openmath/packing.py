"""Packing: which of many short samples share a row of tokens.

All samples are packed at once. Four algorithms, with rows of 10 places; a bar stands between rows, which are numbered
in the order in which they were opened:

    first_fit_shuffle      2 1 4 1 8 7 4 2   ->   2 1 4 1 2 | 8 | 7 | 4     the first row with room
    first_fit_decreasing   8 7 4 4 2 2 1 1   ->   8 2 | 7 2 1 | 4 4 1       the same, longest first
    best_fit_decreasing    8 7 4 4 2 2 1 1   ->   8 2 | 7 1 1 | 4 4 2       the row with the least room that is enough
    best_fit_shuffle       2 1 4 1 8 7 4 2   ->   2 1 7 | 4 4 2 | 1 8       for each row the sequences that fill it

What they do to the order (benchmarks/packing.py measures it): a decreasing order makes the first rows of long samples
only and the last of short ones, and takes each sample far from its shuffled place. A shuffled first fit keeps the order
and leaves a row in some hundreds empty, more where sequences are long. ``best_fit_shuffle`` keeps the order and fills
rows better than any of the others: it looks for a sequence that fits a row, not for a row that fits a sequence.

For n sequences: first fit finds a row in O(log rows) with a tree over the room in the rows. The best fits find theirs
in O(log capacity), at most 16 steps up and as many down where rows have 32,768 places: lists of what has the same
length, or the same room left, and a tree of bits over the lists that are not empty. The order is one sort or two, O(n
log n). It takes 20 bytes a sequence beside the lengths, of which the rows are 4, and about 12 bytes for each place of a
row.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from openmath.orders import shuffled
from openmath.records import derive_seed

ALGORITHMS = ("first_fit_shuffle", "first_fit_decreasing", "best_fit_decreasing", "best_fit_shuffle")

Ints = npt.NDArray[np.int32]
Loop = Callable[[Ints, int], Ints]

# Loading the compiler takes a second, in which plain Python places as many sequences as this.
_COMPILE_FROM = 50_000

# How far best_fit_shuffle looks ahead: for the sequence that fills a row, and for the one before it.
WINDOW = 1000
CHOICES = 8


def pack(lengths: npt.ArrayLike, capacity: int, algorithm: str, seed: int) -> Ints:
    """Decide which row each sequence goes to.

    Args:
        lengths: (n,) places that each sequence fills, 1 to ``capacity``; int32 is taken as it is, without a copy.
        capacity: places in a row, less than 2^31.
        algorithm: how the rows are filled, see ``ALGORITHMS`` and the loops below. All take the sequences in the order
            of ``seed``, or longest first, equal ones in the order of ``seed``.
        seed: of the shuffle.

    Returns:
        (n,) row of each sequence; rows are numbered from 0 in the order in which they were opened.

    Raises:
        ValueError: a length is outside 1 to ``capacity``, or the algorithm is unknown.
        TypeError: lengths are not whole numbers.
    """
    loops = dict(zip(ALGORITHMS, (_first_fit, _first_fit, _best_fit, _fill), strict=True))
    if algorithm not in loops:
        raise ValueError(f"no packing algorithm '{algorithm}' (known: {', '.join(ALGORITHMS)})")
    sizes = np.asarray(lengths)
    if not len(sizes):
        return np.empty(0, dtype=np.int32)
    if not 1 <= sizes.min() <= sizes.max() <= capacity:
        raise ValueError(f"lengths are {sizes.min()} to {sizes.max()}, a row takes 1 to {capacity}")
    sizes = sizes.astype(np.int32, casting="same_kind", copy=False)
    order = shuffled(len(sizes), derive_seed("pack", seed))
    if algorithm.endswith("decreasing"):
        order = _longest_first(sizes, order)
    placed = _run(loops[algorithm], sizes[order], capacity)
    rows: Ints = np.empty(len(sizes), dtype=np.int32)
    rows[order] = placed
    return rows


def _longest_first(sizes: Ints, order: Ints) -> Ints:
    """The order sorted by length, longest first; sequences of equal length stay in order."""
    keys = sizes[order].astype(np.int64)
    keys *= -1 << 32
    keys += np.arange(len(order), dtype=np.int32)
    keys.sort()
    keys &= (1 << 32) - 1
    return order[keys]


def _run(loop: Loop, sizes: Ints, capacity: int) -> Ints:
    """Row of each size, in the order given."""
    if len(sizes) < _COMPILE_FROM:
        return loop(sizes, capacity)
    try:
        return _compiler()(cache=True)(loop)(sizes, capacity)
    except (OSError, RuntimeError):  # There is no place for the cache, or no room in it.
        return _compiler()()(loop)(sizes, capacity)


@functools.cache
def _compiler() -> Any:
    from numba import njit
    from numba.extending import register_jitable

    for function in (_most_rows, _choose, _lists, _mark, _append, _take, _find):
        register_jitable(function)
    return njit


def _first_fit(sizes: Ints, capacity: int) -> Ints:
    """First fit: each sequence goes into the first row that has room.

    The leaves of a tree are the room in each row, its nodes the most room below them. Going left wherever there is room
    enough ends in the first row that fits. All rows exist from the start, empty. Node 0, above the root, has as much
    room as there can be: there the way up from a changed leaf ends.
    """
    leaves, most_rows = 1, _most_rows(sizes, capacity)
    while leaves < most_rows:
        leaves *= 2
    room = np.full(2 * leaves, capacity, dtype=np.int32)
    rows = np.empty(len(sizes), dtype=np.int32)
    for item in range(len(sizes)):
        size = sizes[item]
        node = 1
        while node < leaves:
            node *= 2
            if room[node] < size:
                node += 1
        rows[item] = node - leaves
        room[node] -= size
        most = max(room[node], room[node ^ 1])
        while room[node // 2] != most:
            node //= 2
            room[node] = most
            most = max(room[node], room[node ^ 1])
    return rows


def _best_fit(sizes: Ints, capacity: int) -> Ints:
    """Best fit: each sequence goes into the row with the least room that is enough for it.

    Of several rows with the same room it is the one that has had it longest. Rows are listed by the room they have
    left; ``capacity`` is the room of the next row, which is opened if no other fits.
    """
    lists = _lists(capacity, _most_rows(sizes, capacity))
    rows = np.empty(len(sizes), dtype=np.int32)
    opened = 0
    for item in range(len(sizes)):
        room = _find(lists.filled, sizes[item])
        if room == capacity:
            row = opened
            opened += 1
        else:
            row = _take(lists, room)
        rows[item] = row
        _append(lists, room - sizes[item], row)
    return rows


def _fill(sizes: Ints, capacity: int) -> Ints:
    """Best fit of sequences to rows: each row in turn takes from the next ``WINDOW`` sequences those that fill it.

    1. A row is opened with the earliest sequence that waits. While this leaves room for two of average length, the
       earliest is taken again: most of a row is a piece of the order given.
    2. Then the row is completed by one sequence, the longest that fits, or by two, one of the ``CHOICES`` earliest and
       the longest that fits beside it: whatever leaves least room; the single one before two, and the earlier before
       the later. (Lengths decide: that only one of a length waits, where both would be of it, is not looked at.)
    3. When nothing fits any more, the next row is opened.

    Of equal lengths the earliest is taken. As every row takes the earliest, no sequence waits for more than ``WINDOW``
    rows after it has come into the window.
    """
    lists = _lists(capacity, len(sizes))
    enough = 2 * sizes.sum() // len(sizes)
    rows = np.full(len(sizes), -1, dtype=np.int32)
    row, room = -1, 0
    earliest, seen = 0, 0
    for placed in range(len(sizes)):
        while seen < min(placed + WINDOW, len(sizes)):
            _append(lists, capacity - sizes[seen], seen)
            seen += 1
        while rows[earliest] >= 0:
            earliest += 1
        size = sizes[earliest]
        if room - size < enough:
            size = _choose(lists.filled, capacity, sizes, rows, earliest, seen, room)
        if size == 0:
            row += 1
            room = capacity
            size = sizes[earliest]
        rows[_take(lists, capacity - size)] = row
        room -= size
    return rows


def _choose(
    filled: npt.NDArray[np.bool_], capacity: int, sizes: Ints, rows: Ints, earliest: int, seen: int, room: int
) -> int:
    """The length of the next sequence of a row that one or two more complete; 0 if none fits."""
    size = capacity - _find(filled, capacity - room)
    least = room - size
    choices = 0
    for item in range(earliest, seen):
        if least == 0 or choices == CHOICES:
            break
        if rows[item] < 0:
            choices += 1
            rest = room - sizes[item]
            if rest >= 0:
                left = rest - (capacity - _find(filled, capacity - rest))
                if left < least:
                    size, least = sizes[item], left
    return size


def _most_rows(sizes: Ints, capacity: int) -> int:
    """No fit opens more rows: it leaves at most one of them half empty."""
    return min(len(sizes), 2 * sizes.sum() // capacity + 2)


# Lists of items by a number from 0 to a limit. Lists of the limit itself are taken for filled, and never are.


class Lists(NamedTuple):
    """Items by key, in the order in which they came.

    Attributes:
        filled: bits of a tree: leaf ``len(filled) // 2 + key`` says whether the list of a key has items, a node whether
            a list below it has.
        first: (keys,) first item of each list that is filled.
        last: (keys,) its last item.
        after: (items,) the item after each that is not the last of its list.
    """

    filled: npt.NDArray[np.bool_]
    first: Ints
    last: Ints
    after: Ints


def _lists(limit: int, items: int) -> Lists:
    leaves = 1
    while leaves <= limit:
        leaves *= 2
    filled = np.zeros(2 * leaves, dtype=np.bool_)
    filled[0] = True
    _mark(filled, limit)
    first, last = np.zeros(limit, dtype=np.int32), np.zeros(limit, dtype=np.int32)
    return Lists(filled, first, last, np.zeros(items, dtype=np.int32))


def _mark(filled: npt.NDArray[np.bool_], key: int) -> None:
    node = len(filled) // 2 + key
    while not filled[node]:
        filled[node] = True
        node //= 2


def _append(lists: Lists, key: int, item: int) -> None:
    if lists.filled[len(lists.filled) // 2 + key]:
        lists.after[lists.last[key]] = item
    else:
        _mark(lists.filled, key)
        lists.first[key] = item
    lists.last[key] = item


def _take(lists: Lists, key: int) -> int:
    """Take the first item from a list."""
    item = lists.first[key]
    if item == lists.last[key]:
        node = len(lists.filled) // 2 + key
        lists.filled[node] = False
        while not lists.filled[node ^ 1]:
            node //= 2
            lists.filled[node] = False
    lists.first[key] = lists.after[item]
    return item


def _find(filled: npt.NDArray[np.bool_], key: int) -> int:
    """The least key, from ``key`` on, whose list is filled; the limit if there is none.

    To the right, and up wherever nothing to the left is below; then down to the leftmost leaf.
    """
    node = len(filled) // 2 + key
    while not filled[node]:
        node += 1
        while node % 2 == 0:
            node //= 2
    while node < len(filled) // 2:
        node *= 2
        if not filled[node]:
            node += 1
    return node - len(filled) // 2
