"""Two models on the same problems: the exact test, the difference and its interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from openmath.comparisons import compare_shares, compare_solved, format_comparison, mcnemar


@pytest.mark.parametrize(
    ("only_one", "only_other", "p_value"),
    [
        pytest.param(0, 0, 1.0, id="no problem decides"),
        pytest.param(1, 0, 1.0, id="one problem says nothing"),
        pytest.param(5, 0, 2 / 32, id="five to none"),
        pytest.param(6, 0, 2 / 64, id="six to none"),
        pytest.param(1, 5, 2 * 7 / 64, id="one to five"),
        pytest.param(4, 4, 1.0, id="as many on both sides"),
        pytest.param(10, 2, 2 * (1 + 12 + 66) / 4096, id="ten to two"),
    ],
)
def test_mcnemar_by_hand(only_one: int, only_other: int, p_value: float) -> None:
    assert mcnemar(only_one, only_other) == pytest.approx(p_value, rel=1e-12)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_two_sided_binomial_test(only_one: int, only_other: int) -> None:
    decided = only_one + only_other
    expected = binomtest(only_one, decided, 0.5).pvalue if decided else 1.0
    assert mcnemar(only_one, only_other) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(only_one, only_other) == mcnemar(only_other, only_one)


def test_mcnemar_of_thousands_of_problems_that_all_decide_alike() -> None:
    assert mcnemar(5000, 0) == 0
    assert mcnemar(1000, 0) == pytest.approx(2.0**-999)


def pairs(both: int, only_model: int, only_other: int, neither: int) -> list[tuple[bool, bool]]:
    kinds = [((True, True), both), ((True, False), only_model), ((False, True), only_other), ((False, False), neither)]
    return [pair for pair, count in kinds for _ in range(count)]


def test_solved_problems_are_counted_by_who_solves_them() -> None:
    found = compare_solved(pairs(50, 20, 8, 22), seed=0)
    assert [found[name] for name in ("both", "only_model", "only_other", "neither")] == [50, 20, 8, 22]
    assert (found["model"], found["other"], found["difference"]) == pytest.approx((70, 58, 12))
    assert found["p_value"] == pytest.approx(binomtest(8, 28).pvalue)


def test_the_interval_of_the_difference_is_paired() -> None:
    """Its width is that of the problems that one model alone solves; unpaired it would be more than twice as wide."""
    found = compare_solved(pairs(350, 60, 40, 550), seed=0)
    half = 100 * 1.96 * np.sqrt((0.06 + 0.04 - 0.02**2) / 1000)
    assert found["difference_low"] == pytest.approx(2 - half, abs=0.2)
    assert found["difference_high"] == pytest.approx(2 + half, abs=0.2)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_turning_the_models_round_turns_the_comparison_round(solved: list[tuple[bool, bool]]) -> None:
    found, turned = compare_solved(solved, seed=4), compare_solved([(other, one) for one, other in solved], seed=4)
    assert found["difference"] == -turned["difference"]
    assert found["difference_low"] == pytest.approx(-turned["difference_high"], abs=1e-6)
    assert (found["only_model"], found["p_value"]) == (turned["only_other"], turned["p_value"])
    assert found["difference"] == pytest.approx(found["model"] - found["other"])


def test_equal_models_differ_by_nothing() -> None:
    found = compare_shares([(0.25, 0.25), (1.0, 1.0), (0.5, 0.5)], seed=0)
    assert [found[name] for name in ("difference", "difference_low", "difference_high")] == [0, 0, 0]


def test_the_table_has_a_line_for_each_mode() -> None:
    comparisons = {
        "greedy": {"num_entries": 100, **compare_solved(pairs(50, 20, 8, 22), seed=0)},
        "pass@1": compare_shares([(1.0, 0.5)] * 4, seed=0),
    }
    header, greedy, mean = (
        [cell.strip() for cell in line.split("|")] for line in format_comparison(comparisons).splitlines()
    )
    assert header[:4] == ["evaluation_mode", "model", "other", "difference"]
    assert greedy[:4] == ["greedy", "70.00", "58.00", "12.00"]
    assert greedy[6:] == ["20", "8", "0.0357"]
    assert mean == ["pass@1", "100.00", "50.00", "50.00", "50.00", "50.00", "-", "-", "-"]
