"""Bootstrap intervals: what they cover, what they follow from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openmath.resampling import bootstrap_interval


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)), st.integers(0, 9))
def test_an_interval_encloses_the_mean_and_stays_among_the_values(values: np.ndarray, seed: int) -> None:
    low, high = bootstrap_interval(values, seed, resamples=200)
    assert low <= values.mean() <= high
    assert values.min() - 1e-9 <= low
    assert high <= values.max() + 1e-9


def test_nineteen_of_twenty_intervals_hold_the_true_mean() -> None:
    random = np.random.default_rng(5)
    samples = random.beta(2, 3, size=(400, 60))  # mean 0.4
    held = 0
    for seed, values in enumerate(samples):
        low, high = bootstrap_interval(values, seed, resamples=400)
        held += bool(low <= 0.4 <= high)
    assert 0.91 <= held / 400 <= 0.98


def test_the_interval_of_shares_is_that_of_the_normal_approximation() -> None:
    solved = np.repeat([1.0, 0.0], [600, 400])
    low, high = bootstrap_interval(solved, seed=0)
    half = 1.96 * np.sqrt(0.6 * 0.4 / 1000)
    assert (low, high) == pytest.approx((0.6 - half, 0.6 + half), abs=0.003)


def test_columns_are_resampled_together() -> None:
    values = np.random.default_rng(0).random(50)
    low, high = bootstrap_interval(np.column_stack([values, values, -values]), seed=3)
    assert (low[0], high[0]) == (low[1], high[1])
    assert (low[0], high[0]) == pytest.approx((-high[2], -low[2]), rel=1e-12)
    assert (low[0], high[0]) == tuple(float(bound) for bound in bootstrap_interval(values, seed=3))


def test_a_seed_gives_one_interval() -> None:
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_the_order_in_which_sums_are_made_does_not_show() -> None:
    """A column alone is a product of another shape, which libraries add up in another order."""
    values = np.random.default_rng(0).random((500, 7))
    together = bootstrap_interval(values, seed=1)
    alone = [bootstrap_interval(column, seed=1) for column in values.T]
    assert [bound.tolist() for bound in together] == [list(bounds) for bounds in zip(*alone, strict=True)]


def test_problems_that_are_all_alike_have_an_interval_without_width() -> None:
    assert bootstrap_interval([1 / 3] * 20, seed=0) == pytest.approx((1 / 3, 1 / 3))


def test_no_problem_is_refused() -> None:
    with pytest.raises(ValueError, match="no problem"):
        bootstrap_interval([], seed=0)
