"""Comparisons that end without an error where a part has no exact form or no value."""

import pytest

from openmath.answers import grade
from openmath.answers.matching import can_be_paired
from openmath.answers.reading import read
from openmath.answers.sets import real_set

WITHOUT_VALUE = [
    ("x + 2^{99999999} < 5", "x < 3"),
    (r"\frac{x}{0} < 5", "x < 3"),
    ("(x,y) = 5", "x = 5, y = 5"),
    (r"(k\pi, 0), k \in \mathbb{Z}", r"(k\pi, 1), k \in \mathbb{Z}"),
    ("x + 1 = x + 1", "y = y"),
    ("x < x", "y > y"),
    (r"(1,2) \text{ cm}", r"\{1,2\} \text{ mm}"),
]


@pytest.mark.parametrize(("one", "other"), WITHOUT_VALUE, ids=[f"{one} is not {other}" for one, other in WITHOUT_VALUE])
def test_what_has_no_value_is_compared_without_an_error(one: str, other: str) -> None:
    assert grade(one, other).verdict == grade(other, one).verdict == "incorrect"
    assert grade(one, other).tier != "error"


def test_an_inequality_without_an_exact_form_is_no_set() -> None:
    assert real_set(read("x + 2^{99999999} < 5")) is None
    assert real_set(read("x + 2^{9} < 5")) is not None


def test_equal_keys_are_paired_before_the_bound_counts() -> None:
    numbers = list(range(1000))
    assert can_be_paired(numbers, numbers[::-1], lambda one, other: False)
    assert not can_be_paired(numbers, [number + 0.5 for number in numbers], lambda one, other: True)
