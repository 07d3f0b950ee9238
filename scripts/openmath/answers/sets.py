"""Subsets of the real line in one form: disjoint segments in ascending order.

``x > 5``, ``(5, \\infty)``, ``\\{x \\mid x > 5\\}`` and ``(5, 7) \\cup [7, \\infty)`` are one segment. End points are
ordered by their values in double precision and compared as expressions, so that two sets are equal only if the end
points are.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from openmath.answers.exact import form_of, rational_of
from openmath.answers.numeric import float_value
from openmath.answers.trees import (
    EXPRESSIONS,
    FLIPPED,
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
    is_inequality,
    negate,
    variables,
)  # fmt: skip

_PLUS, _MINUS = Symbol(INFINITY), negate(Symbol(INFINITY))


class NoSetError(ValueError):
    """The answer is no subset of the real line with end points that are numbers."""


class End(NamedTuple):
    """An end point: its value, its expression, and whether it belongs to the segment."""

    value: float
    tree: Node
    closed: bool


Segment = tuple[End, End]


class RealSet(NamedTuple):
    """Segments in ascending order, and the variable that an inequality named ("" for an interval)."""

    segments: tuple[Segment, ...]
    variable: str


_ALL: tuple[Segment, ...] = ((End(-math.inf, _MINUS, False), End(math.inf, _PLUS, False)),)


def is_set_like(tree: Node) -> bool:
    """Whether an answer can only be read as a set of reals: an inequality, a union, a builder, R."""
    if isinstance(tree, Items):
        return tree.opening in ("and", "or")
    return is_inequality(tree) or isinstance(tree, (SetOperation, Builder, NamedSet))


def real_set(tree: Node) -> RealSet | None:
    """The set that an answer describes; None if it describes none of real numbers."""
    try:
        return _set(tree)
    except NoSetError:
        return None


def letter_interval(tree: Relation) -> list[Items]:
    """The intervals that ``x > a`` may stand for, where the end is an expression with letters."""
    if len(tree.sides) != 2 or tree.ops[0] not in ("<", "<=", ">", ">="):
        return []
    found = []
    for variable, op, bound in (
        (tree.sides[0], tree.ops[0], tree.sides[1]),
        (tree.sides[1], FLIPPED[tree.ops[0]], tree.sides[0]),
    ):
        if isinstance(variable, Symbol) and isinstance(bound, EXPRESSIONS) and variable.name not in variables(bound):
            if op[0] == "<":
                found.append(Items("(", "]" if op == "<=" else ")", (_MINUS, bound)))
            else:
                found.append(Items("[" if op == ">=" else "(", ")", (bound, _PLUS)))
    return found


def sets_equal(one: RealSet, other: RealSet, same: Callable[[Node, Node], bool]) -> bool:
    """Whether two sets are equal, with ``same`` to compare end points."""
    if one.variable and other.variable and one.variable != other.variable:
        return False
    if len(one.segments) != len(other.segments):
        return False
    return all(
        left.closed == right.closed and same(left.tree, right.tree)
        for lefts, rights in zip(one.segments, other.segments, strict=True)
        for left, right in zip(lefts, rights, strict=True)
    )


def _set(tree: Node) -> RealSet:
    if isinstance(tree, Items):
        return _of_items(tree)
    if isinstance(tree, Relation):
        return _of_relation(tree)
    if isinstance(tree, NamedSet):
        ends = {
            "R": _ALL,
            "R+": ((End(0.0, Number(0), False), _ALL[0][1]),),
            "R-": ((_ALL[0][0], End(0.0, Number(0), False)),),
        }
        if tree.name not in ends:
            raise NoSetError
        return RealSet(ends[tree.name], "")
    if isinstance(tree, SetOperation):
        left, right = _set(tree.left), _set(tree.right)
        if tree.op == "cup":
            return RealSet(_union([*left.segments, *right.segments]), left.variable or right.variable)
        if tree.op == "setminus":
            right = RealSet(_complement(right.segments), right.variable)
        return RealSet(_intersection(left.segments, right.segments), left.variable or right.variable)
    if isinstance(tree, Builder):
        return _of_builder(tree)
    raise NoSetError


def _of_builder(tree: Builder) -> RealSet:
    element = tree.element
    domain: RealSet | None = None
    if isinstance(element, Relation) and element.ops == ("in",):
        domain = _set(element.sides[1])
        element = element.sides[0]
    if not isinstance(element, Symbol):
        raise NoSetError
    found = _set(tree.condition)
    if found.variable not in ("", element.name):
        raise NoSetError
    segments = found.segments if domain is None else _intersection(found.segments, domain.segments)
    return RealSet(segments, "")


def _of_items(tree: Items) -> RealSet:
    if tree.opening in ("and", "or"):
        parts = [_set(item) for item in tree.items]
        names = {part.variable for part in parts if part.variable}
        if len(names) > 1:
            raise NoSetError
        segments = parts[0].segments
        for part in parts[1:]:
            segments = (
                _union([*segments, *part.segments]) if tree.opening == "or" else _intersection(segments, part.segments)
            )
        return RealSet(segments, next(iter(names), ""))
    if tree.opening in ("(", "[") and tree.closing in (")", "]") and len(tree.items) == 2:
        low, high = _end(tree.items[0], tree.opening == "["), _end(tree.items[1], tree.closing == "]")
        if low.value > high.value or (low.value == high.value and not (low.closed and high.closed)):
            raise NoSetError
        return RealSet(((low, high),), "")
    if tree.opening == "{":
        points = [_end(item, True) for item in tree.items]
        return RealSet(_union([(point, point) for point in points]), "")
    raise NoSetError


def _end(tree: Node, closed: bool) -> End:
    value = float_value(tree)
    if value is None or math.isnan(value):
        raise NoSetError
    return End(value, tree, closed and not math.isinf(value))


def _of_relation(tree: Relation) -> RealSet:
    """An inequality or a chain of them, linear in one variable."""
    if tree.ops == ("in",) and isinstance(tree.sides[0], Symbol):
        return _set(tree.sides[1])._replace(variable=tree.sides[0].name)
    names = set().union(*(variables(side) for side in tree.sides if isinstance(side, EXPRESSIONS)))
    if len(names) != 1 or not all(isinstance(side, EXPRESSIONS) for side in tree.sides):
        raise NoSetError
    name = names.pop()
    segments = _ALL
    for left, op, right in zip(tree.sides, tree.ops, tree.sides[1:], strict=False):
        if op not in FLIPPED:
            raise NoSetError
        segments = _intersection(segments, _half_line(left, op, right, name))
    return RealSet(segments, name)


def _half_line(left: Node, op: str, right: Node, name: str) -> tuple[Segment, ...]:
    if left == Symbol(name) and not variables(right):
        bound = right
    elif right == Symbol(name) and not variables(left):
        bound, op = left, FLIPPED[op]
    elif isinstance(left, Apply) and left.op == "abs" and not variables(right):
        return _absolute(left.args[0], op, right, name)
    elif isinstance(right, Apply) and right.op == "abs" and not variables(left):
        return _absolute(right.args[0], FLIPPED[op], left, name)
    elif (quadratic := _quadratic(left, op, right, name)) is not None:
        return quadratic
    else:
        bound, op = _solved(left, op, right, name)
    end = _end(bound, op in ("<=", ">=", "="))
    if op in ("<", "<="):
        return ((_ALL[0][0], end),)
    if op in (">", ">="):
        return ((end, _ALL[0][1]),)
    point = ((end._replace(closed=True), end._replace(closed=True)),)
    return point if op == "=" else _complement(point)


def _absolute(inside: Node, op: str, bound: Node, name: str) -> tuple[Segment, ...]:
    """``|u| < b`` as ``-b < u < b``, ``|u| > b`` as the two half lines."""
    if op not in ("<", "<=", ">", ">="):
        raise NoSetError
    if op in ("<", "<="):
        return _intersection(_half_line(inside, op, bound, name), _half_line(inside, FLIPPED[op], negate(bound), name))
    return _union([*_half_line(inside, op, bound, name), *_half_line(inside, FLIPPED[op], negate(bound), name)])


def _quadratic(left: Node, op: str, right: Node, name: str) -> tuple[Segment, ...] | None:
    """The solutions of ``a x^2 + b x + c < 0`` with rational coefficients; None for any other inequality."""
    form = form_of(Apply("+", (left, negate(right))))
    if form is None or form.below != {(): 1} or op == "=" or not set(form.above) <= {((name, 2),), ((name, 1),), ()}:
        return None
    a, b, c = (Fraction(form.above.get(key, 0)) for key in (((name, 2),), ((name, 1),), ()))
    if not a:
        return None
    op = op if a > 0 else FLIPPED[op]
    discriminant = b * b - 4 * a * c
    if discriminant < 0:
        return () if op in ("<", "<=") else _ALL
    root = Apply("root", (Number(discriminant), Number(2)))
    low, high = (
        _end(Apply("/", (Apply("+", (Number(-b), sign)), Number(2 * a))), op in ("<=", ">="))
        for sign in ((negate(root), root) if a > 0 else (root, negate(root)))
    )
    if op == "!=":
        return _complement(_union([(end._replace(closed=True), end._replace(closed=True)) for end in (low, high)]))
    if op in ("<", "<="):
        return ((low, high),) if low.value < high.value or low.closed else ()
    return _union([(_ALL[0][0], low), (high, _ALL[0][1])])


def _solved(left: Node, op: str, right: Node, name: str) -> tuple[Node, str]:
    """``2x - 1 < 5`` as ``x < 3``: the difference of the sides must be linear in the variable, over the rationals."""
    form = form_of(Apply("+", (left, negate(right))))
    slope = None if form is None else form.above.get(((name, 1),))
    constant = rational_of(
        Apply("+", (Apply("+", (left, negate(right))), Apply("*", (Number(-(slope or 0)), Symbol(name)))))
    )
    if slope is None or constant is None:
        raise NoSetError
    return Apply("/", (Number(-constant), Number(slope))), op if slope > 0 else FLIPPED[op]


def _starts(segment: Segment) -> tuple[float, bool]:
    return segment[0].value, not segment[0].closed


def _union(segments: list[Segment]) -> tuple[Segment, ...]:
    merged: list[Segment] = []
    for low, high in sorted(segments, key=_starts):
        if merged:
            last_low, last_high = merged[-1]
            touching = low.value < last_high.value or (
                low.value == last_high.value and (low.closed or last_high.closed)
            )
            if touching:
                if (high.value, high.closed) > (last_high.value, last_high.closed):
                    merged[-1] = (last_low, high)
                continue
        merged.append((low, high))
    return tuple(merged)


def _complement(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    gaps: list[Segment] = []
    low = _ALL[0][0]
    for first, last in segments:
        if first.value > low.value or low.closed:
            gaps.append((low, first._replace(closed=not first.closed and not math.isinf(first.value))))
        low = last._replace(closed=not last.closed and not math.isinf(last.value))
    if low.value < math.inf:
        gaps.append((low, _ALL[0][1]))
    return tuple(gaps)


def _intersection(ones: tuple[Segment, ...], others: tuple[Segment, ...]) -> tuple[Segment, ...]:
    common = []
    for low, high in ones:
        for other_low, other_high in others:
            start = max(low, other_low, key=lambda end: (end.value, not end.closed))
            stop = min(high, other_high, key=lambda end: (end.value, end.closed))
            if start.value < stop.value or (start.value == stop.value and start.closed and stop.closed):
                common.append((start, stop))
    return tuple(sorted(common, key=_starts))
