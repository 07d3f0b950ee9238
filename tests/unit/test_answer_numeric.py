"""Values at points: identities that no normal form shows, and differences that no double shows."""

import math
from fractions import Fraction

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from openmath.answers.numeric import UnsupportedError, equal_at_points, float_value
from openmath.answers.reading import read
from openmath.answers.trees import INFINITY, PI, Apply, E, Node, Number, Symbol, add, multiply, negate

X = Symbol("x")


def equal(one: str, other: str) -> bool | None:
    return equal_at_points(read(one), read(other))


IDENTITIES = {
    "one": (r"\sin^2 x + \cos^2 x", "1"),
    "double angles": (r"\sin 2x", r"2 \sin x \cos x"),
    "half angles": (r"\cos x", r"1 - 2\sin^2\frac{x}{2}"),
    "sums of angles": (r"\sin(x+y)", r"\sin x\cos y + \cos x\sin y"),
    "a product of tangents": (r"\tan x \cot x", "1"),
    "logarithms": (r"\ln(x^2 y)", r"2\ln x + \ln y"),
    "bases": (r"\log_8 x", r"\frac{\ln x}{3\ln 2}"),
    "an exponential": (r"e^{\ln x}", "x"),
    "absolute values": (r"\sqrt{x^2}", "|x|"),
    "nested roots": (r"\sqrt{3 + 2\sqrt{2}}", r"1 + \sqrt{2}"),
    "an angle of a triangle": (r"\arctan 1 + \arctan 2 + \arctan 3", r"\pi"),
    "a fifth of a turn": (r"\cos\frac{\pi}{5}", r"\frac{1+\sqrt5}{4}"),
    "hyperbolic": (r"\cosh^2 x - \sinh^2 x", "1"),
    "binomials": (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"),
    "factorials": (r"\frac{(n+1)!}{n!}", "n + 1"),
    "cube roots": (r"\sqrt[3]{2+\sqrt5} + \sqrt[3]{2-\sqrt5}", "1"),
    "a turn of i": (r"e^{i\pi}", "-1"),
    "complex roots": (r"\left(\frac{1+i}{\sqrt2}\right)^2", "i"),
    "a largest": (r"\max(x, y)", r"\frac{x+y+|x-y|}{2}"),
    "an unknown function": ("f(x+1) + f(x+1)", "2f(1+x)"),
}
DIFFERENCES = {
    "a sign": (r"\sin x", r"-\sin x"),
    "a shift": (r"\sin x", r"\sin(x + 10^{-20})"),
    "a square root of a square": (r"\sqrt{x^2}", "x"),
    "a near integer": (r"e^{\pi\sqrt{163}}", "262537412640768744"),
    "a nearer integer": (r"\sin(11)", "-1"),
    "a famous fraction": (r"\pi", r"\frac{355}{113}"),
    "a long decimal": (r"\pi", "3.14159265358979323846264338"),
    "functions": ("f(x)", "g(x)"),
    "arguments": ("f(x)", "f(2x)"),
    "orders of arguments": ("f(x, y)", "f(y, x)"),
    "nested roots": (r"\sqrt{3 + 2\sqrt{2}}", r"1 + \sqrt{2 + 10^{-18}}"),
}
UNSUPPORTED = [r"\sum_{k=1}^{3} k", r"\int_0^1 x\,dx", r"\lim_{x\to 0} x", r"\infty"]


@pytest.mark.parametrize(("one", "other"), IDENTITIES.values(), ids=IDENTITIES.keys())
def test_identity(one: str, other: str) -> None:
    assert equal(one, other) is True
    assert equal(other, one) is True
    assert equal(one, f"{other} + 10^{{-25}}") is False


@pytest.mark.parametrize(("one", "other"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_difference(one: str, other: str) -> None:
    assert equal(one, other) is False
    assert equal(other, one) is False


@pytest.mark.parametrize("text", UNSUPPORTED)
def test_what_has_no_values_at_points(text: str) -> None:
    with pytest.raises(UnsupportedError):
        equal(text, "x")


def test_nothing_is_said_where_one_is_defined_nowhere() -> None:
    assert equal(r"\ln(-1 - x^2)", "x") is None
    assert equal(r"\sqrt{-1-x^2}", r"\arcsin(2 + x^2)") is None


FUNCTIONS = {"sin": sympy.sin, "cos": sympy.cos, "arctan": sympy.atan, "sinh": sympy.sinh, "cosh": sympy.cosh}
NUMBERS = st.builds(Fraction, st.integers(-5, 5), st.integers(1, 4)).map(Number)


def larger(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        pair.map(lambda two: Apply("+", two)),
        pair.map(lambda two: Apply("*", two)),
        st.builds(lambda op, arg: Apply(op, (arg,)), st.sampled_from(sorted(FUNCTIONS)), inner),
    )


EXPRESSIONS = st.recursive(st.one_of(NUMBERS, st.just(X), st.just(Symbol("y"))), larger, max_leaves=4)


def to_sympy(tree: Node) -> sympy.Expr:
    if isinstance(tree, Number):
        return sympy.Rational(tree.value.numerator, tree.value.denominator)
    if isinstance(tree, Symbol):
        return sympy.Symbol(tree.name, real=True)
    assert isinstance(tree, Apply)
    args = [to_sympy(arg) for arg in tree.args]
    if tree.op in FUNCTIONS:
        return FUNCTIONS[tree.op](args[0])
    return args[0] + args[1] if tree.op == "+" else args[0] * args[1]


def from_sympy(expression: sympy.Expr) -> Node:
    if expression.is_Rational:
        return Number(Fraction(int(expression.p), int(expression.q)))
    if expression.is_Symbol:
        return Symbol(expression.name)
    if expression == sympy.pi:
        return Symbol(PI)
    args = tuple(from_sympy(arg) for arg in expression.args)
    names = {function: name for name, function in FUNCTIONS.items()}
    if expression.func is sympy.exp:
        return Apply("^", (Symbol(E), *args))
    op = names.get(expression.func) or {sympy.Add: "+", sympy.Mul: "*", sympy.Pow: "^"}[expression.func]
    return Apply(op, args)


@given(EXPRESSIONS)
@settings(max_examples=120, deadline=None)
def test_an_expression_equals_what_sympy_makes_of_it_and_no_neighbour(tree: Node) -> None:
    rewritten = sympy.expand(to_sympy(tree), trig=True)
    if not any(rewritten.has(function) for function in (sympy.sinh, sympy.cosh)):
        assert equal_at_points(tree, from_sympy(rewritten)) in (True, None)
    shifted = add(tree, multiply(Number(Fraction(1, 10**12)), X))
    assert equal_at_points(tree, shifted) is not True
    if equal_at_points(tree, tree) is True and "sinh" not in repr(tree) and "cosh" not in repr(tree):
        assert equal_at_points(tree, shifted) is False


@given(EXPRESSIONS, EXPRESSIONS)
@settings(max_examples=120, deadline=None)
def test_two_expressions_agree_as_sympy_finds(one: Node, other: Node) -> None:
    found = equal_at_points(one, other)
    assert found == equal_at_points(other, one)
    assume(found is not None)
    difference = to_sympy(one) - to_sympy(other)
    names = sorted(difference.free_symbols, key=str)
    points = [(sympy.Rational(3, 7), sympy.Rational(5, 9)), (sympy.Rational(8, 5), sympy.Rational(-2, 3))]
    values = [sympy.N(difference.subs(dict(zip(names, point, strict=False))), 60) for point in points]
    assert found is all(abs(value) < 1e-40 for value in values)


@given(st.recursive(NUMBERS, larger, max_leaves=5))
@settings(max_examples=100, deadline=None)
def test_a_constant_has_the_value_that_sympy_finds(tree: Node) -> None:
    value = float_value(tree)
    expected = sympy.N(to_sympy(tree), 30)
    if value is None:
        assert abs(expected) > 1e300
    else:
        assert value == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


def test_infinities_are_values_of_end_points() -> None:
    infinity = Symbol(INFINITY)
    assert float_value(infinity) == math.inf
    assert float_value(negate(infinity)) == -math.inf
    assert float_value(X) is None
    assert float_value(read(r"\frac{1}{0}")) is None
    assert float_value(read(r"\sqrt{-1}")) is None
