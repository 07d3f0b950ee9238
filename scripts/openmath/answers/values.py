"""Whether two expressions have one value: the tiers, and what conventions say of decimals and logarithms."""

import math
from abc import ABC, abstractmethod
from fractions import Fraction

from openmath.answers.conventions import Conventions
from openmath.answers.exact import form_of, forms_equal, rational_of
from openmath.answers.numeric import UnsupportedError, equal_at_points, float_value
from openmath.answers.symbolic import equal_by_sympy, needs_sympy
from openmath.answers.trees import (
    Apply,
    Node,
    Number,
    Symbol,
    contains,
    variables,
)  # fmt: skip
from openmath.answers.vectors import chosen_of, has_unit_vectors, plain_letters, spread

TIERS = ("text", "structure", "exact", "points", "symbolic")
ROUNDED_DIGITS = 12


class ValueComparison(ABC):
    """The comparison of expressions; ``tier`` is the dearest tier that took part."""

    def __init__(self, conventions: Conventions) -> None:
        self.conventions = conventions
        self.tier = "structure"

    def used(self, tier: str) -> None:
        if TIERS.index(tier) > TIERS.index(self.tier):
            self.tier = tier

    @abstractmethod
    def same(self, one: Node, other: Node) -> bool:
        """Whether two answers of any kind are the same."""

    def expressions(self, one: Node, other: Node) -> bool:
        """Whether two expressions have the same value wherever both have one."""
        if one == other:
            return True
        if isinstance(one, Number) and isinstance(other, Number) and not (one.digits or other.digits):
            return False
        if self._equal_values(one, other):
            return True
        common = self.conventions.logarithm == "either" and (contains(one, "log") or contains(other, "log"))
        if common and self._equal_values(_common_logs(one), _common_logs(other)):
            return True
        return self._rounded(one, other)

    def _equal_values(self, one: Node, other: Node) -> bool:
        if self.conventions.logarithm == "10":
            one, other = _common_logs(one), _common_logs(other)
        if isinstance(one, Apply) and isinstance(other, Apply) and one.op == other.op == "+":
            one, other = _with_constant(one), _with_constant(other)
        if has_unit_vectors(one) != has_unit_vectors(other):
            one, other = plain_letters(one), plain_letters(other)
        carried = [spread(tree) if isinstance(tree, Apply) else None for tree in (one, other)]
        if carried[0] is not None or carried[1] is not None:
            if chosen_of(one) or chosen_of(other):
                return self.expressions(chosen_of(one) or one, chosen_of(other) or other)
            return self.same(carried[0] or one, carried[1] or other)
        forms = form_of(one), form_of(other)
        if forms[0] is not None and forms[1] is not None:
            self.used("exact")
            found = forms_equal(forms[0], forms[1])
            if found is not None:
                return found
        if needs_sympy(one) or needs_sympy(other):
            try:
                self.used("symbolic")
                return bool(equal_by_sympy(one, other))
            except ValueError:
                return False
        try:
            self.used("points")
            return bool(equal_at_points(one, other))
        except (UnsupportedError, RecursionError):
            return False

    def _rounded(self, one: Node, other: Node) -> bool:
        """A written decimal for the value that it is the correct rounding of."""
        if self.conventions.rounding == "none":
            return False
        for decimal, exact in ((one, other), (other, one)):
            if not isinstance(decimal, Number):
                continue
            enough = decimal.digits >= ROUNDED_DIGITS or (
                self.conventions.rounding == "expected" and decimal is one and decimal.digits
            )
            if enough and self._rounds_to(decimal, exact):
                return True
        return False

    def _rounds_to(self, decimal: Number, exact: Node) -> bool:
        approximate = float_value(exact)
        if approximate is None or not math.isfinite(approximate) or approximate == 0 or decimal.value == 0:
            return False
        value, slack = Fraction(approximate), abs(Fraction(approximate)) / 2**50
        form = rational_of(exact)
        tier = "points"
        if form is not None:
            value, slack, tier = Fraction(form), Fraction(0), "exact"
        self.used(tier)
        half = _last_place(abs(Fraction(decimal.value)), decimal.digits) / 2
        return abs(decimal.value - value) <= half + slack


def _last_place(value: Fraction, digits: int) -> Fraction:
    """The unit of the last of ``digits`` significant digits of a positive value."""
    exponent = len(str(value.numerator)) - len(str(value.denominator))
    if value < Fraction(10) ** exponent:
        exponent -= 1
    return Fraction(10) ** (exponent - digits + 1)


def _common_logs(tree: Node) -> Node:
    """The same with base 10 wherever ``\\log`` has none."""
    if not isinstance(tree, Apply):
        return tree
    args = tuple(_common_logs(arg) for arg in tree.args)
    if tree.op == "log" and len(args) == 1:
        return Apply("log", (args[0], Number(10)))
    return Apply(tree.op, args)


def _with_constant(tree: Apply) -> Apply:
    """A constant of integration under one name, ``+ C`` and ``+ c``, but not the last of ``a, b, c``."""
    if variables(tree) & {"a", "b"}:
        return tree
    return Apply("+", tuple(Symbol("C") if arg == Symbol("c") else arg for arg in tree.args))
