"""Exact values of written numbers."""

from fractions import Fraction

import pytest

from openmath.rationals import read_rational

VALUES = {
    "12": 12, "-12": -12, "+3": 3, "007": 7, "5.": 5, ".25": Fraction(1, 4), "1.50": Fraction(3, 2),
    r"0.1\overline{6}": Fraction(1, 6), r"\frac{3}{-6}": Fraction(-1, 2), r"-\frac{1.5}{3}": Fraction(-1, 2),
    r"7\frac{3}{4}": Fraction(31, 4), "(7+1/2)": Fraction(15, 2), "2^{-3}": Fraction(1, 8), "-2^2": -4, "(-2)^2": 4,
    r"\frac{2}{3}^2": Fraction(4, 9), "2(3)": 6, r"2\cdot 3 - 4 / 8": Fraction(11, 2), "1-2-3": -4, "8/4/2": 1,
    "5!": 120, "2*3!": 12, r"\binom{6}{2}": 15,
}  # fmt: skip

REFUSED = {
    "no text": "", "a letter": "x", "a space in a number": "1 2", "no denominator": r"\frac{1}{}",
    "a zero denominator": "1/0",
    "an open bracket": "(1", "a second power": "2^3^2", "a broken power": r"2^{\frac{1}{2}}", "zero to the zero": "0^0",
    "a power that is too large": "9^{999}^{9}", "a long power": "7^{1000000}", "a tower of products": "(9^{900})^{900}",
    "a factorial that is too large": "5000!", "a double factorial": "5!!",
    "a factorial of a fraction": r"(\frac{1}{2})!",
    "a mixed number with a sign inside": r"7\frac{-3}{4}", "a number glued to a bracket": r"1.5\frac{1}{2}",
    "too deep": "(" * 50 + "1" + ")" * 50, "too long": "1" * 400, "code": "__import__('os')", "other digits": "١٢",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES.items(), ids=VALUES.keys())
def test_value(text: str, value: Fraction | int) -> None:
    assert read_rational(text) == value


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_refused(text: str) -> None:
    assert read_rational(text) is None
