"""Sets of real numbers against membership, asked at every point of a grid finer than the end points."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from openmath.answers import answers_equal
from openmath.answers.reading import read
from openmath.answers.sets import RealSet, is_set_like, real_set, sets_equal
from openmath.answers.trees import (
    INFINITY,
    Apply,
    Builder,
    Items,
    NamedSet,
    Node,
    Number,
    Relation,
    SetOperation,
    Symbol,
    multiply,
    negate,
)

X = Symbol("x")
# End points are whole, from -5 to 10; points between them and beyond them tell all such sets apart.
GRID = [Fraction(half, 2) for half in range(-12, 23)]
HOLDS = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "!=": lambda a, b: a != b,
}


def value(tree: Node, x: Fraction) -> float | Fraction:
    """The value of an end point, or of a side of an inequality, at a point."""
    if isinstance(tree, Number):
        return Fraction(tree.value)
    if isinstance(tree, Symbol):
        return math.inf if tree.name == INFINITY else x
    assert isinstance(tree, Apply)
    args = [value(arg, x) for arg in tree.args]
    if tree.op == "abs":
        return abs(args[0])
    if tree.op == "/":
        return args[0] / args[1]
    return args[0] + args[1] if tree.op == "+" else args[0] * args[1]


def member(tree: Node, x: Fraction) -> bool:
    """Whether a point belongs to a set: by the definition of each kind of set, without any normal form."""
    if isinstance(tree, NamedSet):
        return True
    if isinstance(tree, Relation):
        sides = [value(side, x) for side in tree.sides]
        return all(HOLDS[op](a, b) for a, op, b in zip(sides, tree.ops, sides[1:], strict=False))
    if isinstance(tree, Builder):
        return member(tree.condition, x)
    if isinstance(tree, SetOperation):
        left, right = member(tree.left, x), member(tree.right, x)
        return {"cup": left or right, "cap": left and right, "setminus": left and not right}[tree.op]
    assert isinstance(tree, Items)
    if tree.opening in ("and", "or"):
        return (all if tree.opening == "and" else any)([member(item, x) for item in tree.items])
    if tree.opening == "{":
        return any(value(item, x) == x for item in tree.items)
    low, high = (value(item, x) for item in tree.items)
    above = x >= low if tree.opening == "[" else x > low
    return above and (x <= high if tree.closing == "]" else x < high)


def covered(found: RealSet, x: Fraction) -> bool:
    """Whether a point lies in one of the segments."""
    return any(
        (low.value < x or (low.value == x and low.closed)) and (x < high.value or (x == high.value and high.closed))
        for low, high in found.segments
    )


def interval(low: int | None, width: int | None, opening: str, closing: str) -> Node:
    left: Node = negate(Symbol(INFINITY)) if low is None else Number(low)
    right: Node = Symbol(INFINITY) if width is None else Number((low or 0) + width)
    return Items("(" if low is None else opening, ")" if width is None else closing, (left, right))


WHOLE = st.integers(-5, 5)
ORDERS = st.sampled_from(["<", "<=", ">", ">="])
INTERVALS = st.builds(
    interval, st.none() | WHOLE, st.none() | st.integers(1, 5), st.sampled_from("(["), st.sampled_from(")]")
)
POINTS = st.lists(WHOLE, min_size=1, max_size=3, unique=True).map(lambda xs: Items("{", "}", tuple(map(Number, xs))))
LINEAR = st.builds(
    lambda slope, shift, op, bound: Relation(
        (Apply("+", (multiply(Number(slope), X), Number(slope * shift))), Number(slope * bound)), (op,)
    ),
    st.sampled_from([-3, -1, 2, 4]), st.integers(-1, 1), st.sampled_from(sorted(HOLDS)), st.integers(-4, 4),
)  # fmt: skip
CHAINS = st.builds(
    lambda low, width, first, second: Relation((Number(low), X, Number(low + width)), (first, second)),
    WHOLE, st.integers(1, 5), st.sampled_from(["<", "<="]), st.sampled_from(["<", "<="]),
)  # fmt: skip
ABSOLUTE = st.builds(
    lambda op, bound: Relation((Apply("abs", (X,)), Number(bound)), (op,)), ORDERS, st.integers(1, 5)
)  # fmt: skip
INEQUALITIES = st.one_of(LINEAR, CHAINS, ABSOLUTE)
JOINED = st.builds(
    lambda word, items: Items(word, "", tuple(items)),
    st.sampled_from(["and", "or"]), st.lists(INEQUALITIES, min_size=2, max_size=3),
)  # fmt: skip
BUILDERS = INEQUALITIES.map(lambda condition: Builder(X, condition))
SETS = st.recursive(
    st.one_of(INTERVALS, POINTS, BUILDERS, st.just(NamedSet("R"))),
    lambda inner: st.builds(SetOperation, st.sampled_from(["cup", "cap", "setminus"]), inner, inner),
    max_leaves=6,
)
ANY = st.one_of(SETS, INEQUALITIES, JOINED)


def same(one: Node, other: Node) -> bool:
    return value(one, Fraction(0)) == value(other, Fraction(0))


@given(ANY)
@settings(max_examples=300, deadline=None)
def test_segments_hold_the_members_and_no_other_point(tree: Node) -> None:
    found = real_set(tree)
    assert found is not None
    assert [x for x in GRID if covered(found, x) != member(tree, x)] == []


@given(ANY)
@settings(max_examples=200, deadline=None)
def test_segments_ascend_and_do_not_touch(tree: Node) -> None:
    found = real_set(tree)
    assert found is not None
    for low, high in found.segments:
        assert low.value < high.value or (low.value == high.value and low.closed and high.closed)
        assert not any(math.isinf(end.value) and end.closed for end in (low, high))
    for (_, high), (low, _) in zip(found.segments, found.segments[1:], strict=False):
        assert high.value < low.value or (high.value == low.value and not high.closed and not low.closed)


@given(ANY, ANY)
@settings(max_examples=300, deadline=None)
def test_sets_are_equal_if_their_members_are(one: Node, other: Node) -> None:
    left, right = real_set(one), real_set(other)
    assert left is not None
    assert right is not None
    equal = all(member(one, x) == member(other, x) for x in GRID)
    assert sets_equal(left, right, same) is equal
    assert sets_equal(right, left, same) is equal


@given(SETS, SETS)
@settings(max_examples=150, deadline=None)
def test_laws_of_sets(one: Node, other: Node) -> None:
    everything = NamedSet("R")
    union = SetOperation("cup", one, other)
    complements = SetOperation(
        "cap", SetOperation("setminus", everything, one), SetOperation("setminus", everything, other)
    )
    de_morgan = SetOperation("setminus", everything, complements)
    left, right = real_set(union), real_set(de_morgan)
    assert left is not None
    assert right is not None
    assert sets_equal(left, right, same)
    absorbed = real_set(SetOperation("cup", one, SetOperation("cap", one, other)))
    plain = real_set(one)
    assert absorbed is not None
    assert plain is not None
    assert sets_equal(absorbed, plain, same)


def test_inequalities_in_two_variables_differ() -> None:
    one, other = (real_set(Relation((Symbol(name), Number(1)), (">",))) for name in "xy")
    assert one is not None
    assert other is not None
    assert not sets_equal(one, other, same)


NO_SETS = {
    "a number": "5", "a tuple of three": "(1, 2, 3)", "a point of letters": "(a, b)", "a descending pair": "(3, 1)",
    "two variables": "x < y", "a plane": r"x + y \le 1", "integers": r"\mathbb{Z}",
}  # fmt: skip


@pytest.mark.parametrize("text", NO_SETS.values(), ids=NO_SETS.keys())
def test_what_is_no_set_of_reals(text: str) -> None:
    assert real_set(read(text)) is None


def test_what_can_only_be_a_set() -> None:
    assert is_set_like(read(r"(0,1) \cup (2,3)"))
    assert is_set_like(read("x > 5"))
    assert not is_set_like(read("(0, 1)"))
    assert not is_set_like(read("x = 5"))


@given(
    st.lists(st.tuples(WHOLE, st.integers(1, 4), st.sampled_from("(["), st.sampled_from(")]")), min_size=1, max_size=4)
)
@settings(max_examples=100, deadline=None)
def test_a_union_equals_its_inequalities_as_text(parts: list[tuple[int, int, str, str]]) -> None:
    union = r" \cup ".join(f"{left}{low}, {low + width}{right}" for low, width, left, right in parts)
    signs = {"(": "<", "[": r"\le", ")": "<", "]": r"\le"}
    words = r" \text{ or } ".join(
        f"{low} {signs[left]} x {signs[right]} {low + width}" for low, width, left, right in parts
    )
    assert answers_equal(union, words)
    assert answers_equal(words, union)
    outside = max(low + width for low, width, _, _ in parts) + 1
    assert not answers_equal(rf"{union} \cup \{{{outside}\}}", words)
    assume(len(parts) > 1)
    assert answers_equal(r" \cup ".join(reversed(union.split(r" \cup "))), words)
