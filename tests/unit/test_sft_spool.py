"""Rows in buckets on disk, and in order out of them."""

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmath.sft import spool
from openmath.sft.spool import KEYS, SpoolWriter, bucket_of, read_keys, read_rows
from openmath.sft.writing import order_by_position, write_by_place

PLACES = st.integers(0, 2**64 - 1)


def fill(folder: Path, rows: list[tuple[int, int]], buckets: int, writers: int) -> dict[int, bytes]:
    """Write rows of (place, position), each with a line of its own, by several writers; return the lines."""
    lines = {position: b"row %d\n" % position * (position % 3 + 1) for _, position in rows}
    for number in range(writers):
        writer = SpoolWriter(folder, buckets, str(number))
        for part in (rows[number::writers][::2], rows[number::writers][1::2]):
            keys = np.zeros(len(part), dtype=KEYS)
            keys["place"] = [place for place, _ in part]
            keys["position"] = [position for _, position in part]
            writer.add(keys, [lines[position] for _, position in part])
        writer.flush()
    return lines


rows_of_places = st.lists(PLACES, max_size=60).map(
    lambda places: [(place, position) for position, place in enumerate(places)]
)


@given(rows_of_places, st.integers(1, 7), st.integers(1, 3), st.sampled_from([0, 2**20]), st.randoms())
def test_chosen_rows_come_out_sorted_by_place_whatever_the_buckets_and_the_writers(
    rows: list[tuple[int, int]], buckets: int, writers: int, held: int, rng: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "_HELD", held)
        folder = Path(name) / "spool"
        folder.mkdir()
        lines = fill(folder, rows, buckets, writers)
        chosen = {position for _, position in rows if rng.random() < 0.7}
        flags = [np.isin(read_keys(folder, bucket)["position"], sorted(chosen)) for bucket in range(buckets)]
        write_by_place(folder, flags, Path(name) / "out")
        expected = b"".join(lines[position] for _, position in sorted(rows) if position in chosen)
        assert (Path(name) / "out").read_bytes() == expected
        assert list(folder.iterdir()) == []


@given(rows_of_places, st.integers(1, 5))
def test_rows_come_out_in_the_order_of_the_input_where_that_is_asked_for(
    rows: list[tuple[int, int]], buckets: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, ordered = Path(name) / "spool", Path(name) / "ordered"
        folder.mkdir()
        ordered.mkdir()
        lines = fill(folder, rows, buckets, 2)
        flags = [read_keys(folder, bucket)["position"] % 4 != 1 for bucket in range(buckets)]
        flags = order_by_position(folder, flags, ordered, last_position=len(rows))
        write_by_place(ordered, flags, Path(name) / "out")
        expected = b"".join(lines[position] for position in range(len(rows)) if position % 4 != 1)
        assert (Path(name) / "out").read_bytes() == expected


@given(st.lists(PLACES, min_size=1), st.integers(1, 1000))
def test_buckets_are_equal_shares_of_all_places_in_their_order(places: list[int], buckets: int) -> None:
    sorted_places = np.array(sorted(places), dtype=np.uint64)
    numbers = bucket_of(sorted_places, buckets)
    assert (np.diff(numbers) >= 0).all()
    assert numbers.tolist() == [(place >> 32) * buckets >> 32 for place in sorted_places.tolist()]


def test_keys_are_read_in_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = [(random.Random(number).getrandbits(64), number) for number in range(50)]
    lines = fill(tmp_path, rows, 3, 2)
    for bucket in range(3):
        keys, text = read_rows(tmp_path, bucket)
        assert (read_keys(tmp_path, bucket) == keys).all()
        assert bytes(text) == b"".join(lines[position] for position in keys["position"].tolist())
