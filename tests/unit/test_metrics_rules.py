"""Rules of the metrics that show only where rounding would break them."""

import pytest

from openmath.metrics import wilson_interval


@pytest.mark.parametrize("problems", range(1, 200))
def test_bounds_never_pass_none_and_all(problems: int) -> None:
    low, high = wilson_interval(problems, problems)
    assert 0 < low < high == 100
    low, high = wilson_interval(0, problems)
    assert low == 0 < high < 100
