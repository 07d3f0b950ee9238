"""Values of expressions at points: the tier below exact forms.

Two expressions are compared at fixed pseudo-random points, in double precision first, which refuses nearly all that
differ, then, where nothing speaks against equality, with 50 digits. Accepted is agreement to 30 digits at every
point, so that two expressions that differ by more than 1e-30 of their size at a random point are never taken for
equal.

Variables are real. A point where either side is undefined (an even root of a negative number, a logarithm of one, a
pole) says nothing; points lie below 1, above 1 and below 0, and, for functions of whole numbers, on the naturals.
Expressions with the imaginary unit are evaluated over the complex numbers, at positive points. An unknown function
``f`` is a fixed pseudo-random smooth function: what holds for it holds for all.
"""

import cmath
import functools
import math
import operator
import random
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from openmath.answers.exact import numeral_value
from openmath.answers.trees import (
    INFINITY,
    OPERATIONS,
    PI,
    Apply,
    Cases,
    E,
    I,
    Node,
    Number,
    Numeral,
    Relation,
    Symbol,
    contains,
    symbols,
    variables,
)

DIGITS = 50
AGREEMENT = 30
MAX_EXPONENT, MAX_BASE, MAX_FACTORIAL = 10**6, 1e1000, 1000
LARGEST, SMALLEST = 1e40, 1e-40
_LOOSE = 1e-7
_RANGES = ((0.15, 0.95), (1.1, 3.7), (-3.6, -1.2), (0.2, 0.9), (-0.9, -0.2), (2.1, 5.3), (-5.9, -2.2), (1.3, 9.7))
_NEEDED = 2


class UndefinedError(ArithmeticError):
    """The expression has no value at this point."""


class UnsupportedError(ValueError):
    """The expression holds an operation that is not evaluated at points: sums, integrals, limits, infinity."""


def contains_imaginary(tree: Node) -> bool:
    """Whether the imaginary unit occurs."""
    return I in symbols(tree)


def equal_at_points(one: Node, other: Node) -> bool | None:
    """Whether two expressions agree wherever both are defined; None if there are too few points to say.

    Raises:
        UnsupportedError: an operation that is not evaluated at points.
    """
    names = tuple(sorted(variables(one) | variables(other)))
    complex_values = contains_imaginary(one) or contains_imaginary(other) or (not names and _may_be_complex(one, other))
    field = _complex_field() if complex_values else _float_field()
    points = _points(names, positive=complex_values)
    if contains(one, "floor", "ceil", "sgn") or contains(other, "floor", "ceil", "sgn"):
        points = [*_natural_points(names), *points] if names else points
    if isinstance(one, Cases) or isinstance(other, Cases):
        points = [*({name: float(value) for name in names} for value in (-1, 0, 1, 2)), *points]
    needed = _NEEDED if names else 1
    good: list[dict[str, float]] | None = _agreeing(one, other, points, field)
    if good is not None and len(good) < needed and names:
        good = _agreeing(one, other, _natural_points(names), field)
    if good is None:
        return False
    if len(good) < needed:
        return None if names else _precise(one, other, [{}], complex_values)
    return _precise(one, other, good[:_NEEDED], complex_values)


def _agreeing(
    one: Node, other: Node, points: Sequence[dict[str, float]], field: "Field"
) -> list[dict[str, float]] | None:
    """The points where both are defined and nearly agree; None as soon as they differ at one."""
    good = []
    for point in points:
        verdict = _compare(one, other, point, field)
        if verdict is False:
            return None
        if verdict:
            good.append(point)
    return good


def _may_be_complex(one: Node, other: Node) -> bool:
    """Constants are tried over the reals first; a root of a negative number makes them complex."""
    for tree in (one, other):
        try:
            evaluate(tree, {}, _float_field())
        except UndefinedError:
            return True
    return False


def _precise(one: Node, other: Node, points: Sequence[dict[str, float]], complex_values: bool) -> bool | None:
    verdicts = [_agree(one, other, point, complex_values) for point in points]
    if False in verdicts:
        return False
    return True if True in verdicts else None


def _agree(one: Node, other: Node, point: dict[str, float], complex_values: bool) -> bool | None:
    """Agreement to 30 digits; that both vanish is asked again with twice the digits."""
    before = None
    for digits in (DIGITS, 2 * DIGITS):
        field = _precise_field(complex_values, digits)
        try:
            left, right = evaluate(one, point, field), evaluate(other, point, field)
            size = max(abs(left), abs(right))
        except (UndefinedError, OverflowError):
            return None
        if not size <= LARGEST:
            return None
        if size > SMALLEST:
            return bool(abs(left - right) <= 10.0**-AGREEMENT * size)
        if before is not None and size > before * SMALLEST:
            return None
        before = size
    return True


def _compare(one: Node, other: Node, point: dict[str, float], field: "Field") -> bool | None:
    """Whether both sides nearly agree in double precision; None where one is undefined or too large."""
    try:
        left, right = evaluate(one, point, field), evaluate(other, point, field)
        size = max(abs(left), abs(right))
        if not size <= LARGEST:
            return None
        difference = abs(left - right)
    except (UndefinedError, OverflowError):
        return None
    return bool(difference <= _LOOSE * max(size, 1e-3))


@functools.lru_cache(maxsize=1024)
def _points(names: tuple[str, ...], positive: bool) -> list[dict[str, float]]:
    if not names:
        return [{}]
    points = []
    for index, (low, high) in enumerate(_RANGES):
        generator = random.Random(index)
        if positive:
            low, high = sorted((abs(low), abs(high)))
        points.append({name: generator.uniform(low, high) for name in names})
    generator = random.Random(len(_RANGES))
    points.append({name: generator.choice((1, 1 if positive else -1)) * generator.uniform(0.3, 3) for name in names})
    return points


def _natural_points(names: tuple[str, ...]) -> list[dict[str, float]]:
    generator = random.Random(99)
    descending = sorted(generator.sample(range(3, 12), min(len(names), 9)), reverse=True)
    points: list[dict[str, float]] = [{name: float(value) for name, value in zip(names, descending, strict=False)}]
    for _ in range(7):
        points.append({name: float(generator.randint(1, 9)) for name in names})
    return [point for point in points if len(point) == len(names)]


class Field:
    """The functions of one kind of numbers."""

    def __init__(
        self, functions: dict[str, Callable[..., Any]], number: Callable[[Any], Any], constants: dict[str, Any]
    ) -> None:
        self.functions = functions
        self.number = number
        self.constants = constants


def evaluate(tree: Node, point: dict[str, float], field: Field) -> Any:
    """The value of an expression at a point.

    Raises:
        UndefinedError: it has none there.
        UnsupportedError: an operation without values at points.
    """
    if isinstance(tree, Number):
        try:
            return field.number(tree.value)
        except OverflowError:
            raise UndefinedError from None
    if isinstance(tree, Symbol):
        if tree.name in point:
            return field.number(point[tree.name])
        if tree.name in field.constants:
            return field.constants[tree.name]
        raise UnsupportedError
    if isinstance(tree, Numeral):
        return field.number(numeral_value(tree))
    if isinstance(tree, Cases):
        return _chosen_case(tree, point, field)
    if not isinstance(tree, Apply):
        raise UnsupportedError
    args = [evaluate(arg, point, field) for arg in tree.args]
    op = tree.op
    try:
        if op == "+":
            return sum(args[1:], args[0])
        if op == "*":
            product = args[0]
            for arg in args[1:]:
                product = product * arg
            return product
        if op == "/":
            return args[0] / args[1]
        function = field.functions.get(op)
        if function is None:
            if op in OPERATIONS:
                raise UnsupportedError
            return _unknown_function(op, args, field)
        return function(*args)
    except (ValueError, ZeroDivisionError, OverflowError, TypeError) as error:
        if isinstance(error, UnsupportedError):
            raise
        raise UndefinedError from None


def _chosen_case(tree: Cases, point: dict[str, float], field: Field) -> Any:
    """The branch whose condition holds at the point."""
    for branch in tree.branches:
        if len(branch) != 2:
            raise UnsupportedError
        expression, condition = branch
        if condition == Symbol("name otherwise") or (
            isinstance(condition, Relation) and _holds(condition, point, field)
        ):
            return evaluate(expression, point, field)
        if not isinstance(condition, Relation):
            raise UnsupportedError
    raise UndefinedError


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip


def _holds(condition: Relation, point: dict[str, float], field: Field) -> bool:
    values = [evaluate(side, point, field) for side in condition.sides]
    if any(op not in _ORDER for op in condition.ops):
        raise UnsupportedError
    if any(isinstance(value, complex) for value in values):
        raise UnsupportedError
    return all(_ORDER[op](left, right) for left, op, right in zip(values, condition.ops, values[1:], strict=False))


def _unknown_function(name: str, args: list[Any], field: Field) -> Any:
    phase = field.number(zlib.crc32(name.encode()) % 1000) / 997
    total = phase
    for weight, arg in enumerate(args, 2):
        total = total + arg * weight / 3
    return 2 + field.functions["cos"](total)


def _too_large() -> Any:
    raise ValueError


def _float_power(base: float, exponent: float) -> float:
    if base == 0 and exponent <= 0:
        raise ValueError
    return float(base**exponent)


def _float_root(radicand: float, index: float) -> float:
    if radicand < 0:
        if index == int(index) and int(index) % 2 == 1:
            return -_float_root(-radicand, index)
        raise ValueError
    return math.sqrt(radicand) if index == 2 else radicand ** (1 / index)


def _whole(value: float) -> int:
    if value != int(value):
        raise ValueError
    return int(value)


def _log(log: Callable[[Any], Any]) -> Callable[..., Any]:
    def to_base(x: Any, base: Any = None) -> Any:
        if x == 0 or base == 0:
            raise ValueError
        return log(x) if base is None else log(x) / log(base)

    return to_base


def _common(m: Any, pi: Any, gamma: Callable[[Any], Any], real: bool) -> dict[str, Callable[..., Any]]:
    """The functions that one module of mathematics (math, cmath, mpmath) offers, under the names of trees."""
    functions: dict[str, Callable[..., Any]] = {
        "sin": m.sin, "cos": m.cos, "tan": m.tan, "arcsin": m.asin, "arccos": m.acos, "arctan": m.atan,
        "sinh": m.sinh, "cosh": m.cosh, "tanh": m.tanh, "arcsinh": m.asinh, "arccosh": m.acosh, "arctanh": m.atanh,
        "cot": lambda x: m.cos(x) / m.sin(x), "sec": lambda x: 1 / m.cos(x), "csc": lambda x: 1 / m.sin(x),
        "coth": lambda x: m.cosh(x) / m.sinh(x), "sech": lambda x: 1 / m.cosh(x), "csch": lambda x: 1 / m.sinh(x),
        "arccot": lambda x: pi / 2 - m.atan(x), "arcsec": lambda x: m.acos(1 / x),
        "arccsc": lambda x: m.asin(1 / x),
        "ln": _log(m.log), "log": _log(m.log), "deg": lambda x: x * pi / 180, "percent": lambda x: x / 100, "abs": abs,
        "!": lambda x: gamma(x + 1), "binom": lambda n, k: gamma(n + 1) / gamma(k + 1) / gamma(n - k + 1),
    }  # fmt: skip
    if real:
        functions.update({
            "floor": math.floor, "ceil": math.ceil, "max": max, "min": min, "sgn": lambda x: (x > 0) - (x < 0),
            "gcd": lambda *xs: math.gcd(*map(_whole, xs)), "lcm": lambda *xs: math.lcm(*map(_whole, xs)),
            "!!": lambda x: math.prod(range(_whole(x), 0, -2)) if x <= MAX_FACTORIAL else _too_large(),
            "Re": lambda x: x, "conj": lambda x: x,
        })  # fmt: skip
    else:
        functions.update({"Re": lambda z: z.real, "Im": lambda z: z.imag, "conj": lambda z: z.conjugate()})
    return functions


@functools.lru_cache(maxsize=1)
def _float_field() -> Field:
    functions = _common(math, math.pi, math.gamma, real=True)
    functions |= {"^": _float_power, "root": _float_root}
    return Field(functions, float, {PI: math.pi, E: math.e})


@functools.lru_cache(maxsize=1)
def _complex_field() -> Field:
    def gamma(z: complex) -> float:
        if abs(z.imag) > 1e-12:
            raise ValueError
        return math.gamma(z.real)

    functions = _common(cmath, math.pi, gamma, real=False)
    functions |= {"^": operator.pow, "root": _complex_root}
    return Field(functions, complex, {PI: complex(math.pi), E: complex(math.e), I: 1j})


def _complex_root(z: complex, index: complex) -> complex:
    if z.imag == 0 and z.real < 0 and index.imag == 0 and index.real == int(index.real) and int(index.real) % 2 == 1:
        return -((-z) ** (1 / index))
    return cmath.sqrt(z) if index == 2 else z ** (1 / index)


@functools.lru_cache(maxsize=4)
def _precise_field(complex_values: bool, digits: int) -> Field:
    """Real and complex numbers of mpmath, with that many digits; loaded only when two expressions look equal."""
    import mpmath

    context = mpmath.MPContext()
    context.dps = digits

    def number(value: Any) -> Any:
        if isinstance(value, (int, float)):
            return context.mpf(value)
        return context.mpf(value.numerator) / value.denominator

    def real(function: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*args: Any) -> Any:
            value = function(*args)
            if isinstance(value, context.mpc) or not context.isfinite(value):
                raise ValueError
            return value

        return checked

    def power(base: Any, exponent: Any) -> Any:
        if (base == 0 and context.re(exponent) <= 0) or abs(exponent) > MAX_EXPONENT or abs(base) > MAX_BASE:
            raise ValueError
        return base**exponent

    def bounded(function: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*args: Any) -> Any:
            if any(abs(arg) > MAX_EXPONENT for arg in args):
                raise ValueError
            return function(*args)

        return checked

    def root(radicand: Any, index: Any) -> Any:
        whole = context.isint(index)
        if whole and context.im(radicand) == 0 and context.re(radicand) < 0 and int(context.re(index)) % 2 == 1:
            return -((-radicand) ** (1 / index))
        return context.sqrt(radicand) if index == 2 else radicand ** (1 / index)

    functions = _common(context, context.pi, context.gamma, real=not complex_values)
    functions |= {"^": power, "root": root, "floor": context.floor, "ceil": context.ceil}
    functions["binom"] = context.binomial
    functions |= {
        name: bounded(functions[name]) for name in ("!", "binom", "sinh", "cosh", "tanh", "coth", "sech", "csch")
    }
    if complex_values:
        constants = {PI: context.mpf(context.pi), E: context.mpf(context.e), I: context.mpc(0, 1)}
        return Field(functions, number, constants)
    return Field({name: real(function) for name, function in functions.items()}, number,
                 {PI: context.mpf(context.pi), E: context.mpf(context.e)})  # fmt: skip


def float_value(tree: Node) -> float | None:
    """The real value of a constant expression in double precision, infinities included; None if it has none."""
    if isinstance(tree, Symbol) and tree.name == INFINITY:
        return math.inf
    if (
        isinstance(tree, Apply)
        and tree.op == "*"
        and tree.args[1:] == (Symbol(INFINITY),)
        and isinstance(tree.args[0], Number)
    ):
        return math.inf * tree.args[0].value if abs(tree.args[0].value) == 1 else None
    try:
        return float(evaluate(tree, {}, _float_field()))
    except (UndefinedError, UnsupportedError, OverflowError):
        return None
