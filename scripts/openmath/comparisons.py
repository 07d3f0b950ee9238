"""Two models on the same problems: is one better, or were these problems kinder to it?

Each problem is solved by both models, by neither, or by one alone. What both do alike says nothing about which is
better, so a paired comparison is sharper than two intervals that overlap.

``mcnemar`` is the exact test of the b and c problems that one model alone solves: were the models equally good, each of
them would fall to either side like a fair coin. The p-value is two-sided,

    p = min(1, 2 * sum over i <= min(b, c) of C(b + c, i) / 2^(b + c))

and the interval of the difference is that of a paired bootstrap: problems are resampled, and both models with them.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from openmath.metrics import aligned
from openmath.resampling import bootstrap_interval

TABLE_COLUMNS = ("model", "other", "difference", "difference_low", "difference_high", "only_model", "only_other")


def mcnemar(only_one: int, only_other: int) -> float:
    """The two-sided p-value of the exact test.

    >>> mcnemar(1, 5)
    0.21875
    """
    decided = only_one + only_other
    term = total = 1  # C(decided, 0); each next one follows from the last
    for i in range(1, min(only_one, only_other) + 1):
        term = term * (decided - i + 1) // i
        total += term
    return float(min(Fraction(1), Fraction(2 * total, 2**decided)))


def compare_shares(pairs: Sequence[tuple[float, float]], seed: int) -> dict[str, Any]:
    """Compare the shares of right samples, a pair for each problem.

    Returns:
        The means over problems in percent, their difference (the first less the other) and its 95 % interval.
    """
    shares = np.array(pairs, dtype=np.float64)
    differences = shares[:, 0] - shares[:, 1]
    low, high = bootstrap_interval(differences, seed)
    model, other = (100 * shares.mean(axis=0)).tolist()
    return {
        "model": model,
        "other": other,
        "difference": 100 * float(differences.mean()),
        "difference_low": 100 * float(low),
        "difference_high": 100 * float(high),
    }


def compare_solved(pairs: Sequence[tuple[bool, bool]], seed: int) -> dict[str, Any]:
    """As ``compare_shares``, and the numbers of problems that both, one and neither solve, and the p-value."""
    only_model, only_other = pairs.count((True, False)), pairs.count((False, True))
    return {
        **compare_shares(pairs, seed),
        "both": pairs.count((True, True)),
        "only_model": only_model,
        "only_other": only_other,
        "neither": pairs.count((False, False)),
        "p_value": mcnemar(only_model, only_other),
    }


def format_comparison(comparisons: dict[str, dict[str, Any]]) -> str:
    """The table for people: a line for each mode; "-" where a mode has no such figure."""
    lines = [["evaluation_mode", *TABLE_COLUMNS, "p_value"]]
    for mode, figures in comparisons.items():
        cells = [_cell(figures.get(name), "{:.2f}") for name in TABLE_COLUMNS]
        lines.append([mode, *cells, _cell(figures.get("p_value"), "{:.3g}")])
    return "\n".join(row.rstrip() for row in aligned(lines))


def _cell(value: float | None, form: str) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else form.format(value)
