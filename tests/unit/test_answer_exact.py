"""Exact forms against sympy, whose expressions are built from the same trees."""

import ast
import functools
import operator
from fractions import Fraction
from typing import Any

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from openmath.answers.exact import (
    Form,
    form_of,
    forms_equal,
    numeral_value,
    proportional,
    ratio_sign,
    rational_of,
    subtract,
)
from openmath.answers.trees import PI, Apply, E, I, Node, Number, Numeral, Symbol, add, multiply, negate

X, Y = Symbol("x"), Symbol("y")
CONSTANTS = {PI: sympy.pi, E: sympy.E, I: sympy.I}


def to_sympy(tree: Node) -> Any:
    """The sympy expression of a tree; variables are positive, as only there are all roots drawn alike."""
    if isinstance(tree, Number):
        return sympy.Rational(tree.value.numerator, tree.value.denominator)
    if isinstance(tree, Symbol):
        return CONSTANTS.get(tree.name) or sympy.Symbol(tree.name, positive=True)
    assert isinstance(tree, Apply)
    args = [to_sympy(arg) for arg in tree.args]
    if tree.op in ("+", "*"):
        return functools.reduce(operator.add if tree.op == "+" else operator.mul, args)
    if tree.op == "/":
        return args[0] / args[1]
    if tree.op == "root":
        return sympy.Pow(args[0], 1 / args[1])
    assert tree.op == "^"
    return sympy.Pow(args[0], args[1])


def from_sympy(expression: Any) -> Node:
    """The tree of a sympy expression."""
    if expression.is_Rational:
        return number(Fraction(int(expression.p), int(expression.q)))
    for name, constant in CONSTANTS.items():
        if expression == constant:
            return Symbol(name)
    if expression.is_Symbol:
        return Symbol(expression.name)
    op = {sympy.Add: "+", sympy.Mul: "*", sympy.Pow: "^", sympy.exp: "^"}[expression.func]
    args = tuple(from_sympy(arg) for arg in expression.args)
    return Apply(op, (Symbol(E), *args) if expression.func is sympy.exp else args)


def number(value: Fraction | int) -> Number:
    return Number(value.numerator if Fraction(value).denominator == 1 else value)


def root(radicand: int, index: int = 2) -> Node:
    return Apply("root", (Number(radicand), Number(index)))


def form(tree: Node) -> Form:
    found = form_of(tree)
    assert found is not None
    return found


def equal(one: Node, other: Node) -> bool | None:
    return forms_equal(form(one), form(other))


RATIONALS = st.builds(Fraction, st.integers(-9, 9), st.integers(1, 6)).map(number)
RADICALS = st.one_of(RATIONALS, st.builds(root, st.integers(2, 30), st.sampled_from([2, 2, 2, 3, 4])))
VARIABLES = st.one_of(RATIONALS, st.sampled_from([X, Y]))
BOTH = st.one_of(RADICALS, st.sampled_from([X, Y, Symbol(PI), Symbol(I)]))


def expressions(leaves: st.SearchStrategy[Node], division: bool = True) -> st.SearchStrategy[Node]:
    """Sums, products, quotients and small powers of some leaves."""

    def larger(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        pair = st.tuples(inner, inner)
        choices = [pair.map(lambda two: Apply("+", two)), pair.map(lambda two: Apply("*", two))]
        choices.append(inner.map(negate))
        choices.append(st.builds(lambda base, n: Apply("^", (base, Number(n))), inner, st.integers(2, 3)))
        if division:
            choices.append(pair.map(lambda two: Apply("/", two)))
        return st.one_of(choices)

    return st.recursive(leaves, larger, max_leaves=6)


def digits_of(expression: Any) -> Any:
    """The value to 60 digits; None where it has none."""
    value = sympy.N(expression, 60, maxn=400)
    return None if value.has(sympy.nan, sympy.zoo, sympy.oo) else value


@given(expressions(RADICALS), expressions(RADICALS))
@settings(max_examples=150, deadline=None)
def test_two_constants_are_equal_if_their_values_are(one: Node, other: Node) -> None:
    found = subtract(form(one), form(other)) if form_of(one) and form_of(other) else None
    assume(found is not None)
    value = digits_of(to_sympy(one) - to_sympy(other))
    assume(value is not None)
    assert equal(one, other) is bool(abs(value) < 1e-45)
    assert equal(one, one) is True


@given(expressions(RADICALS))
@settings(max_examples=150, deadline=None)
def test_a_constant_equals_what_sympy_makes_of_it(tree: Node) -> None:
    assume(form_of(tree) is not None)
    expanded = sympy.expand(to_sympy(tree))
    assume(not expanded.has(sympy.nan, sympy.zoo))
    assert equal(tree, from_sympy(expanded)) is True
    assert equal(tree, add(from_sympy(expanded), number(Fraction(1, 10**9)))) is False


@given(expressions(RADICALS))
@settings(max_examples=100, deadline=None)
def test_a_rational_is_found_where_there_is_one(tree: Node) -> None:
    found = rational_of(tree)
    if found is None:
        return
    value = digits_of(to_sympy(tree) - sympy.Rational(found.numerator, found.denominator))
    assert value is None or abs(value) < 1e-45


@given(expressions(VARIABLES), expressions(VARIABLES))
@settings(max_examples=150, deadline=None)
def test_quotients_of_polynomials_are_equal_if_sympy_cancels_their_difference(one: Node, other: Node) -> None:
    assume(form_of(one) is not None)
    assume(form_of(other) is not None)
    left, right = to_sympy(one), to_sympy(other)
    assume(not (left - right).has(sympy.nan, sympy.zoo))
    assert equal(one, other) is bool(sympy.cancel(sympy.together(left - right)) == 0)
    rewritten = sympy.cancel(sympy.together(left))
    assert equal(one, from_sympy(rewritten)) is True
    assert equal(one, add(from_sympy(rewritten), multiply(number(Fraction(1, 10**9)), X))) is False


@given(expressions(BOTH, division=False), expressions(BOTH, division=False))
@settings(max_examples=120, deadline=None)
def test_polynomials_in_roots_pi_and_i(one: Node, other: Node) -> None:
    assume(form_of(one) is not None)
    assume(form_of(other) is not None)
    left, right = sympy.expand(to_sympy(one)), sympy.expand(to_sympy(other))
    assert equal(one, from_sympy(left)) is True
    assert equal(one, other) is bool(sympy.expand(left - right) == 0)
    conjugate = multiply(one, add(other, negate(root(2))))
    assert equal(conjugate, from_sympy(sympy.expand(left * (right - sympy.sqrt(2))))) is True


@given(expressions(VARIABLES, division=False), RADICALS)
@settings(max_examples=80, deadline=None)
def test_a_multiple_is_proportional_and_a_shifted_one_is_not(tree: Node, factor: Node) -> None:
    value = to_sympy(factor)
    expanded = sympy.expand(to_sympy(tree))
    assume(value != 0)
    assume(expanded != 0)
    multiple = form(from_sympy(sympy.expand(value * expanded)))
    assert proportional(form(tree), multiple) is True
    if value.is_Rational:
        assert ratio_sign(multiple, form(tree)) == (1 if value > 0 else -1)
    if not expanded.is_Rational:
        assert proportional(form(tree), form(add(from_sympy(sympy.expand(value * expanded)), Number(1)))) is False


def tree_of(text: str) -> Node:
    """An expression in Python's notation over numbers, letters and a few functions, by Python's own syntax tree."""
    operators = {ast.Add: "+", ast.Mult: "*", ast.Div: "/", ast.Pow: "^"}
    names = {"pi": PI, "e": E, "i": I}

    def convert(node: ast.expr) -> Node:
        if isinstance(node, ast.Constant):
            assert isinstance(node.value, int)
            return Number(node.value)
        if isinstance(node, ast.Name):
            return Symbol(names.get(node.id, node.id))
        if isinstance(node, ast.UnaryOp):
            return negate(convert(node.operand))
        if isinstance(node, ast.BinOp):
            left, right = convert(node.left), convert(node.right)
            if isinstance(node.op, ast.Sub):
                return add(left, negate(right))
            return Apply(operators[type(node.op)], (left, right))
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        args = tuple(convert(arg) for arg in node.args)
        if node.func.id == "sqrt":
            return Apply("root", (*args, Number(2)))
        return Apply("!" if node.func.id == "factorial" else node.func.id, args)

    return convert(ast.parse(text, mode="eval").body)


EQUAL = {
    "a root drawn": ("sqrt(72)", "6*sqrt(2)"),
    "a root of a fraction": ("sqrt(3/4)", "sqrt(3)/2"),
    "a rational denominator": ("1/(1+sqrt(2))", "sqrt(2)-1"),
    "a product of roots": ("sqrt(6)*sqrt(10)", "2*sqrt(15)"),
    "roots of several indices": ("root(4,4)", "sqrt(2)"),
    "a cube root": ("root(54,3)", "3*root(2,3)"),
    "a cube root of a negative": ("root(-8,3)", "-2"),
    "a broken power": ("8**(2/3)", "4"),
    "a root of a negative": ("sqrt(-12)", "2*i*sqrt(3)"),
    "a power of i": ("i**7", "-i"),
    "a quotient of complex numbers": ("(3+4*i)/(1-2*i)", "-1+2*i"),
    "a cancelled factor": ("(x**2-1)/(x-1)", "x+1"),
    "a sum of fractions": ("1/x+1/y", "(x+y)/(x*y)"),
    "powers of one base": ("4**(x+1)", "4*2**(2*x)"),
    "exponentials": ("e**(x+2)/e**2", "e**x"),
    "a factorial": ("factorial(6)/factorial(4)", "30"),
    "a binomial": ("binom(10,3)", "120"),
    "an odd root of a variable": ("root(x**3,3)", "x"),
    "a root of pi squared": ("sqrt(4*pi**2)", "2*pi"),
    "zero": ("sqrt(8)-2*sqrt(2)", "0"),
}
UNEQUAL = {
    "roots": ("sqrt(2)+sqrt(3)", "sqrt(5)"),
    "a near root": ("sqrt(2)", "14142135623731/10000000000000"),
    "signs": ("1/(1+sqrt(2))", "1-sqrt(2)"),
    "pi and its fraction": ("pi", "355/113"),
    "pi and e": ("pi", "e"),
    "bases": ("4**x", "2**x"),
    "exponents": ("x**2", "x**3"),
    "conjugates": ("2+3*i", "2-3*i"),
    "large numbers": ("2**1000", "2**1000+1"),
}
UNDECIDED = {
    "a square root of a square": ("sqrt(x**2)", "x"),
    "sines": ("sin(x)", "cos(x)"),
    "nested roots": ("sqrt(3+2*sqrt(2))", "1+sqrt(2)"),
}
REFUSED = {
    "a division by zero": "1/(sqrt(8)-2*sqrt(2))",
    "zero to the zero": "0**0",
    "zero to a negative power": "(x-x)**(-2)",
    "a large power": "7**1000000",
    "a power of a sum": "(1+x)**99",
    "many terms": "(1+x+y+z)**40",
    "a root of no index": "root(2,0)",
    "a root of a large index": "root(2,1000000)",
    "a sum over a range": "sum(x,x,1,3)",
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL.keys())
def test_equal(one: str, other: str) -> None:
    assert equal(tree_of(one), tree_of(other)) is True


@pytest.mark.parametrize(("one", "other"), UNEQUAL.values(), ids=UNEQUAL.keys())
def test_unequal(one: str, other: str) -> None:
    assert equal(tree_of(one), tree_of(other)) is False


@pytest.mark.parametrize(("one", "other"), UNDECIDED.values(), ids=UNDECIDED.keys())
def test_undecided(one: str, other: str) -> None:
    assert equal(tree_of(one), tree_of(other)) is None


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_refused(text: str) -> None:
    assert form_of(tree_of(text)) is None
    assert rational_of(tree_of(text)) is None


@given(st.integers(0, 10**9), st.integers(2, 36))
@settings(max_examples=60, deadline=None)
def test_a_numeral_has_the_value_of_its_digits(value: int, base: int) -> None:
    digits, rest = "", value
    while rest or not digits:
        rest, digit = divmod(rest, base)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit] + digits
    assert numeral_value(Numeral(digits, base)) == value
    assert numeral_value(Numeral(f"{digits}.1", base)) == value + Fraction(1, base)


def test_only_rationals_have_a_rational_value() -> None:
    assert rational_of(tree_of("sqrt(2)*sqrt(8)")) == 4
    assert rational_of(tree_of("(1+sqrt(2))*(1-sqrt(2))/3")) == Fraction(-1, 3)
    assert rational_of(tree_of("sqrt(2)")) is None
    assert rational_of(tree_of("x")) is None
    assert rational_of(tree_of("x-x")) == 0
