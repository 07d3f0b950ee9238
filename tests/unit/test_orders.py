"""Shuffles that follow from numbers alone."""

import numpy as np
import pytest

from openmath import orders
from openmath.orders import _finish, mix, shuffled


def test_a_shuffle_holds_every_number_once() -> None:
    assert sorted(shuffled(1000, seed=3).tolist()) == list(range(1000))


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    assert shuffled(50, seed=3).tolist() == shuffled(50, seed=3).tolist() != shuffled(50, seed=4).tolist()


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 500])
def test_the_order_is_that_of_the_hashes_however_it_is_cut(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(orders, "_NUMBERS_AT_ONCE", 7)
    hashes = mix(np.arange(count, dtype=np.uint64), 5)
    assert shuffled(count, 5).tolist() == np.argsort(hashes, kind="stable").tolist()


def test_the_hash_gives_the_published_words() -> None:
    """The first two words of SplitMix64 started at 0."""
    step = 0x9E3779B97F4A7C15
    words = _finish(np.array([step, 2 * step % 2**64], dtype=np.uint64))
    assert [hex(word) for word in words] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


def test_every_bit_of_the_words_is_set_about_half_of_the_time() -> None:
    words = mix(np.arange(4096), seed=1)
    shares = [((words >> np.uint64(bit)) & np.uint64(1)).mean() for bit in range(64)]
    assert 0.45 < min(shares) <= max(shares) < 0.55
