"""Which sequences share a row."""

import functools
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmath import packing
from openmath.orders import shuffled
from openmath.packing import ALGORITHMS, pack
from openmath.records import derive_seed

Case = tuple[int, list[int]]
algorithms = st.sampled_from(ALGORITHMS)
lengths_of_rows = st.integers(1, 40).flatmap(
    lambda capacity: st.tuples(st.just(capacity), st.lists(st.integers(1, capacity), max_size=80))
)
seeds = st.integers(0, 3)


def order_of(lengths: list[int], algorithm: str, seed: int) -> list[int]:
    """The order in which an algorithm meets the sequences."""
    order = shuffled(len(lengths), derive_seed("pack", seed)).tolist()
    return sorted(order, key=lambda item: -lengths[item]) if algorithm.endswith("decreasing") else order


def in_order(lengths: list[int], capacity: int, algorithm: str, seed: int) -> tuple[list[int], list[int]]:
    """The lengths in that order, and the row of each."""
    order = order_of(lengths, algorithm, seed)
    return [lengths[item] for item in order], pack(lengths, capacity, algorithm, seed)[order].tolist()


def first_fit(sizes: list[int], capacity: int) -> list[int]:
    """First fit as its definition says: look at the rows from the first."""
    filled: list[int] = []
    rows = []
    for size in sizes:
        row = next((row for row, fill in enumerate(filled) if fill + size <= capacity), len(filled))
        if row == len(filled):
            filled.append(0)
        filled[row] += size
        rows.append(row)
    return rows


def best_fit(sizes: list[int], capacity: int) -> list[int]:
    """Best fit as its definition says: look at all rows; of equal ones, the one that was touched longest ago."""
    room: list[int] = []
    touched: list[int] = []
    rows = []
    for time, size in enumerate(sizes):
        fitting = [row for row, left in enumerate(room) if left >= size]
        row = min(fitting, key=lambda row: (room[row], touched[row]), default=len(room))
        if row == len(room):
            room.append(capacity)
            touched.append(time)
        room[row] -= size
        touched[row] = time
        rows.append(row)
    return rows


def fill(sizes: list[int], capacity: int, window: int, choices: int) -> list[int]:
    """Row after row from the next sequences, as its definition says: look at all that wait."""

    def longest(room: int) -> int:
        return max((size for _, size in waiting[:window] if size <= room), default=0)

    waiting = list(enumerate(sizes))
    rows = {}
    row, room = -1, 0
    while waiting:
        size = waiting[0][1]
        if room - size < 2 * sum(sizes) // len(sizes):
            ways = [(room - longest(room), longest(room))]
            for _, first in waiting[:window][:choices]:
                if first <= room:
                    ways.append((room - first - longest(room - first), first))
            size = min(ways, key=lambda way: way[0])[1]
        if size == 0:
            row, room, size = row + 1, capacity, waiting[0][1]
        place = next(place for place, other in waiting if other == size)
        waiting.remove((place, size))
        rows[place] = row
        room -= size
    return [rows[place] for place in range(len(sizes))]


def solution_lengths(count: int) -> list[int]:
    """Lengths as those of OpenMathInstruct-2, in tokens."""
    random = np.random.default_rng(0)
    solutions = np.minimum(random.lognormal(np.log(255), 0.6, count), 1024)
    return (solutions + random.lognormal(np.log(55), 0.65, count) + 35).astype(int).tolist()


@functools.cache
def packed_solutions(algorithm: str) -> tuple[list[int], list[int]]:
    """20,000 of them in the order in which the algorithm meets them, and the row of each; capacity 4096."""
    return in_order(solution_lengths(20_000), 4096, algorithm, 0)


def mean_lengths(sizes: list[int], rows: list[int]) -> list[float]:
    """Mean length of the sequences of each row."""
    return list(np.bincount(rows, weights=sizes) / np.bincount(rows))


@given(lengths_of_rows, algorithms, seeds)
def test_no_row_is_over_capacity_and_none_is_empty(case: Case, algorithm: str, seed: int) -> None:
    capacity, lengths = case
    rows = pack(lengths, capacity, algorithm, seed)
    filled = np.bincount(rows, weights=lengths)
    assert len(rows) == len(lengths)
    assert rows.dtype == np.int32
    assert all(1 <= fill <= capacity for fill in filled)
    assert pack(lengths, capacity, algorithm, seed).tolist() == rows.tolist()


@given(lengths_of_rows, algorithms, seeds)
def test_at_most_one_row_is_half_empty_or_more(case: Case, algorithm: str, seed: int) -> None:
    # Two such rows would have been one. This holds for rows that look for sequences while all are in the window.
    capacity, lengths = case
    filled = np.bincount(pack(lengths, capacity, algorithm, seed), weights=lengths)
    assert sum(2 * fill <= capacity for fill in filled) <= 1


@given(lengths_of_rows, st.sampled_from(("first_fit_shuffle", "first_fit_decreasing")), seeds)
def test_first_fit_takes_the_first_row_with_room(case: Case, algorithm: str, seed: int) -> None:
    sizes, rows = in_order(case[1], case[0], algorithm, seed)
    assert rows == first_fit(sizes, case[0])


@given(lengths_of_rows, seeds)
def test_best_fit_takes_the_row_with_the_least_room_that_is_enough(case: Case, seed: int) -> None:
    sizes, rows = in_order(case[1], case[0], "best_fit_decreasing", seed)
    assert rows == best_fit(sizes, case[0])


@given(lengths_of_rows)
def test_best_fit_does_so_in_any_order(case: Case) -> None:
    capacity, lengths = case
    assert packing._best_fit(np.array([capacity, *lengths], dtype=np.int32), capacity).tolist() == best_fit(
        [capacity, *lengths], capacity
    )


@given(lengths_of_rows, seeds, st.integers(1, 12), st.integers(1, 5))
def test_a_row_takes_what_fills_it_best_of_the_sequences_that_wait(
    case: Case, seed: int, window: int, choices: int
) -> None:
    with mock.patch.multiple(packing, WINDOW=window, CHOICES=choices):
        sizes, rows = in_order(case[1], case[0], "best_fit_shuffle", seed)
    assert rows == fill(sizes, case[0], window, choices)


@given(lengths_of_rows, seeds, st.integers(1, 12))
def test_no_sequence_is_passed_over_by_more_rows_than_the_window_is_wide(case: Case, seed: int, window: int) -> None:
    with mock.patch.multiple(packing, WINDOW=window):
        _, rows = in_order(case[1], case[0], "best_fit_shuffle", seed)
    earliest = [rows.index(row) for row in range(max(rows, default=-1) + 1)]
    assert earliest == sorted(earliest)
    # A sequence comes into the window when all but ``window`` of those before it have been placed.
    opened = sorted(rows)
    assert all(row <= opened[max(0, place - window)] + window for place, row in enumerate(rows))


@given(lengths_of_rows, algorithms, seeds)
def test_rows_are_numbered_as_they_are_opened(case: Case, algorithm: str, seed: int) -> None:
    _, rows = in_order(case[1], case[0], algorithm, seed)
    assert list(dict.fromkeys(rows)) == list(range(max(rows, default=-1) + 1))


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("first_fit_shuffle", [[2, 1, 4, 1, 2], [8], [7], [4]]),
        ("first_fit_decreasing", [[8, 2], [7, 2, 1], [4, 4, 1]]),
        ("best_fit_decreasing", [[8, 2], [7, 1, 1], [4, 4, 2]]),
        ("best_fit_shuffle", [[2, 1, 7], [4, 4, 2], [1, 8]]),
    ],
)
def test_the_drawn_example(monkeypatch: pytest.MonkeyPatch, algorithm: str, expected: list[list[int]]) -> None:
    monkeypatch.setattr(packing, "shuffled", lambda count, seed: np.arange(count, dtype=np.int32))
    lengths = [2, 1, 4, 1, 8, 7, 4, 2]
    rows = pack(lengths, 10, algorithm, 0)
    order = sorted(range(8), key=lambda item: -lengths[item]) if algorithm.endswith("decreasing") else range(8)
    assert [[lengths[item] for item in order if rows[item] == row] for row in range(len(expected))] == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_compiled_code_decides_as_plain_code(monkeypatch: pytest.MonkeyPatch, algorithm: str) -> None:
    lengths = np.random.default_rng(0).integers(1, 700, 3000)
    plain = pack(lengths, 1000, algorithm, 0)
    monkeypatch.setattr(packing, "_COMPILE_FROM", 0)
    assert pack(lengths, 1000, algorithm, 0).tolist() == plain.tolist()


@pytest.mark.parametrize("fault", ["no place", "no room"])
def test_compiled_code_does_not_need_its_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str) -> None:
    import numba

    lengths = list(range(1, 100))
    plain = pack(lengths, 100, "first_fit_shuffle", 0)
    monkeypatch.setattr(packing, "_COMPILE_FROM", 0)
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "UserProvidedCacheLocator")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path) if fault == "no room" else f"{os.devnull}/cache")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises((OSError, RuntimeError)):
            numba.njit(cache=True)(packing._first_fit)(np.array(lengths, dtype=np.int32), 100)
        rows = pack(lengths, 100, "first_fit_shuffle", 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert rows.tolist() == plain.tolist()


def test_the_compiler_is_not_loaded_for_little() -> None:
    code = "import sys; from openmath.packing import pack; pack(range(1, 99), 99, 'best_fit_shuffle', 0)"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'numba' not in sys.modules"], check=True)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_seed_packs_otherwise(algorithm: str) -> None:
    lengths = np.random.default_rng(0).integers(1, 9, 100)
    one, other = (pack(lengths, 20, algorithm, seed).tolist() for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize("kind", [list, np.uint16, np.int32, np.int64, np.uint64])
def test_lengths_may_be_whole_numbers_of_any_kind(kind: Callable[..., object]) -> None:
    lengths = [3, 9, 4, 4, 7, 2]
    given = list(lengths) if kind is list else np.array(lengths, dtype=kind)  # type: ignore[call-overload]
    assert pack(given, 10, "best_fit_decreasing", 0).tolist() == pack(lengths, 10, "best_fit_decreasing", 0).tolist()
    assert list(given) == lengths


def test_lengths_that_are_no_whole_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match="float64"):
        pack([1.5, 2.0], 10, "best_fit_shuffle", 0)


def test_nothing_fills_no_row() -> None:
    assert pack([], 10, "best_fit_shuffle", 0).tolist() == []


@pytest.mark.parametrize("lengths", [[3, 11], [0, 3]])
def test_a_length_that_no_row_takes_is_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"lengths are \d+ to \d+, a row takes 1 to 10"):
        pack(lengths, 10, "first_fit_shuffle", 0)


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no packing algorithm 'next_fit' \(known: first_fit_shuffle, .*\)"):
        pack([1], 10, "next_fit", 0)


class TestSolutions:
    """20,000 lengths like those of OpenMathInstruct-2, rows of 4096."""

    @pytest.mark.parametrize(
        ("algorithm", "least"),
        [
            ("first_fit_shuffle", 0.985),
            ("first_fit_decreasing", 0.995),
            ("best_fit_decreasing", 0.995),
            ("best_fit_shuffle", 0.9995),
        ],
    )
    def test_rows_are_full(self, algorithm: str, least: float) -> None:
        sizes, rows = packed_solutions(algorithm)
        assert sum(sizes) / (4096 * (max(rows) + 1)) >= least

    def test_decreasing_rows_are_of_long_or_of_short_ones_and_shuffled_rows_of_all(self) -> None:
        spread = {name: float(np.std(mean_lengths(*packed_solutions(name)))) for name in ALGORITHMS}
        sizes, _ = packed_solutions("best_fit_shuffle")
        one_after_another = (np.cumsum(sizes) // 4096).tolist()
        chance = float(np.std(mean_lengths(sizes, one_after_another)))
        assert spread["first_fit_decreasing"] > 2 * chance < spread["best_fit_decreasing"]
        assert 0.8 * chance < spread["best_fit_shuffle"] < 1.1 * chance

    def test_only_decreasing_orders_put_long_ones_first(self) -> None:
        trend = {}
        for name in ALGORITHMS:
            means = mean_lengths(*packed_solutions(name))
            trend[name] = float(np.corrcoef(np.arange(len(means)), means)[0, 1])
        assert trend["first_fit_decreasing"] < -0.8 > trend["best_fit_decreasing"]
        assert abs(trend["best_fit_shuffle"]) < 0.1

    def test_the_shuffled_order_is_kept_but_for_what_completes_a_row(self) -> None:
        _, rows = packed_solutions("best_fit_shuffle")
        follows = np.mean(np.diff(rows) == 0)
        assert follows > 0.6
        moved = np.abs(np.argsort(np.argsort(rows, kind="stable")) - np.arange(len(rows)))
        assert np.quantile(moved, 0.9) < packing.WINDOW
