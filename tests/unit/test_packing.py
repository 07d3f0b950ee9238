"""Which sequences share a row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmath import packing
from openmath.orders import shuffled
from openmath.packing import ALGORITHMS, pack
from openmath.records import derive_seed

algorithms = st.sampled_from(ALGORITHMS)
lengths_of_rows = st.integers(1, 40).flatmap(
    lambda capacity: st.tuples(st.just(capacity), st.lists(st.integers(1, capacity), max_size=80))
)


def scan(sizes: list[int], capacity: int) -> list[int]:
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


@given(lengths_of_rows, algorithms, st.integers(0, 3))
def test_no_row_is_over_capacity_and_none_is_empty(case: tuple[int, list[int]], algorithm: str, seed: int) -> None:
    capacity, lengths = case
    rows = pack(lengths, capacity, algorithm, seed)
    filled = np.bincount(rows, weights=lengths)
    assert len(rows) == len(lengths)
    assert all(1 <= fill <= capacity for fill in filled)
    assert pack(lengths, capacity, algorithm, seed).tolist() == rows.tolist()


@given(lengths_of_rows, st.integers(0, 3))
def test_every_sequence_goes_into_the_first_row_with_room(case: tuple[int, list[int]], seed: int) -> None:
    capacity, lengths = case
    order = shuffled(len(lengths), derive_seed("pack", seed)).tolist()
    shuffle = pack(lengths, capacity, "first_fit_shuffle", seed)
    assert shuffle[order].tolist() == scan([lengths[item] for item in order], capacity)
    order.sort(key=lambda item: -lengths[item])
    decreasing = pack(lengths, capacity, "first_fit_decreasing", seed)
    assert decreasing[order].tolist() == scan([lengths[item] for item in order], capacity)


def test_the_compiled_tree_decides_as_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.random.default_rng(0).integers(1, 700, 3000)
    plain = pack(lengths, 1000, "first_fit_shuffle", 0)
    monkeypatch.setattr(packing, "_COMPILE_FROM", 0)
    assert pack(lengths, 1000, "first_fit_shuffle", 0).tolist() == plain.tolist()


def test_another_seed_packs_otherwise() -> None:
    lengths = np.random.default_rng(0).integers(1, 9, 100)
    one, other = (pack(lengths, 20, "first_fit_shuffle", seed).tolist() for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize("lengths", [[3, 11], [0, 3]])
def test_a_length_that_no_row_takes_is_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"lengths are \d+ to \d+, a row takes 1 to 10"):
        pack(lengths, 10, "first_fit_shuffle", 0)
