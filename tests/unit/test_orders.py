"""Shuffles that follow from numbers alone."""

import numpy as np

from openmath.orders import _finish, mix, shuffled


def test_a_shuffle_holds_every_number_once() -> None:
    assert sorted(shuffled(1000, seed=3).tolist()) == list(range(1000))


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    assert shuffled(50, seed=3).tolist() == shuffled(50, seed=3).tolist() != shuffled(50, seed=4).tolist()


def test_the_hash_gives_the_published_words() -> None:
    """The first two words of SplitMix64 started at 0."""
    step = 0x9E3779B97F4A7C15
    words = _finish(np.array([step, 2 * step % 2**64], dtype=np.uint64))
    assert [hex(word) for word in words] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


def test_every_bit_of_the_words_is_set_about_half_of_the_time() -> None:
    words = mix(np.arange(4096), seed=1)
    shares = [((words >> np.uint64(bit)) & np.uint64(1)).mean() for bit in range(64)]
    assert 0.45 < min(shares) <= max(shares) < 0.55
