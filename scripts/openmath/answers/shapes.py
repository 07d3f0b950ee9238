"""Bringing parsed trees to the one shape in which they are compared.

Plus-minus becomes a list, the name in ``x = 1 or x = 2`` holds for the whole list, lists of lists become matrices,
bounded sets of integers are listed, a modulus holds for all items before it.
"""

import itertools
import math

from openmath.answers.sets import RealSet, real_set
from openmath.answers.trees import (
    EXPRESSIONS,
    Apply,
    Builder,
    Congruence,
    Family,
    Items,
    Matrix,
    NamedSet,
    Node,
    Number,
    Quantity,
    Relation,
    Symbol,
    bare_list,
    contains,
    negate,
)  # fmt: skip

MAX_EXPANDED = 8


def shape(tree: Node) -> Node:
    """Bring a parsed tree to the shape in which it is compared."""
    if isinstance(tree, EXPRESSIONS):
        variants = expand(tree)
        return tree if len(variants) == 1 else Items("", "", tuple(variants))
    if isinstance(tree, Items):
        return _shape_items(tree)
    if isinstance(tree, Relation):
        return _shape_relation(tree)
    if isinstance(tree, Quantity):
        value = shape(tree.value)
        values = bare_list(value)
        if values is not None:
            return Items("", "", tuple(Quantity(item, tree.dimension, tree.scale) for item in values))
        return Quantity(value, tree.dimension, tree.scale)
    if isinstance(tree, Family):
        return Family(shape(tree.member), tree.parameter)
    if isinstance(tree, Builder):
        return _shape_builder(tree)
    if isinstance(tree, Congruence):
        residues = bare_list(shape(tree.residue))
        return tree if residues is None else Items("", "", tuple(Congruence(item, tree.modulus) for item in residues))
    return tree


def _shape_builder(tree: Builder) -> Node:
    """Sets over an integer parameter are families; bounded sets of integers are listed."""
    element, condition = tree.element, shape(tree.condition)
    if isinstance(condition, Family):
        member = condition.member
        if isinstance(member, Relation) and member.ops == ("=",) and member.sides[0] == element:
            return Family(member.sides[1], condition.parameter)
    if isinstance(condition, Relation) and condition.ops == ("in",) and condition.sides[1] == NamedSet("Z"):
        parameter = condition.sides[0]
        if isinstance(parameter, Symbol) and not isinstance(element, Symbol):
            return Family(shape(element), parameter.name)
    if isinstance(element, Relation) and element.ops == ("in",) and element.sides[1] in (NamedSet("Z"), NamedSet("N")):
        found = real_set(condition)
        if found is not None and found.segments and found.variable == getattr(element.sides[0], "name", None):
            return _listed(found, natural=element.sides[1] == NamedSet("N")) or tree
    return Builder(element, condition)


def _listed(found: RealSet, natural: bool) -> Node | None:
    whole: list[int] = []
    for low, high in found.segments:
        start = max(low.value, 1 if natural else low.value)
        if not (abs(start) < 1e6 and abs(high.value) < 1e6 and high.value - start < 200):
            return None
        first, last = math.ceil(start - 1e-12), math.floor(high.value + 1e-12)
        whole.extend(
            n for n in range(first, last + 1) if (n != low.value or low.closed) and (n != high.value or high.closed)
        )
    return Items("{", "}", tuple(Number(n) for n in whole))


def _shape_relation(tree: Relation) -> Node:
    sides = tuple(shape(side) for side in tree.sides)
    if tree.ops == ("!=",) and isinstance(sides[1], Items) and sides[1].opening in ("", "{"):
        return Items("and", "", tuple(Relation((sides[0], item), ("!=",)) for item in sides[1].items))
    return Relation(sides, tree.ops)


def _shape_items(tree: Items) -> Node:
    items: list[Node] = []
    for item in tree.items:
        shaped = shape(item)
        several = bare_list(shaped) if tree.opening in ("", "{") else None
        items.extend([shaped] if several is None else several)
    if (
        tree.opening == "["
        and tree.closing == "]"
        and all(isinstance(item, Items) and item.opening == "[" for item in items)
    ):
        rows = tuple(item.items for item in items if isinstance(item, Items))
        if len({len(row) for row in rows}) == 1:
            return Matrix(rows)
    if tree.opening == "":
        return _shape_list(_with_modulus(items))
    if tree.opening == "(" and any(bare_list(item) is not None for item in items):
        return _expanded_tuple(tree, items)
    return Items(tree.opening, tree.closing, tuple(items))


def _expanded_tuple(tree: Items, items: list[Node]) -> Node:
    """``(\\pm 1, 0)`` is two points."""
    choices = [bare_list(item) or (item,) for item in items]
    if math.prod(len(choice) for choice in choices) > MAX_EXPANDED:
        return Items(tree.opening, tree.closing, tuple(items))
    return Items("", "", tuple(Items(tree.opening, tree.closing, point) for point in itertools.product(*choices)))


def _with_modulus(items: list[Node]) -> list[Node]:
    """``1, 4 \\pmod 5``: the modulus holds for all items."""
    last = items[-1].sides[-1] if isinstance(items[-1], Relation) else items[-1]
    if not isinstance(last, Congruence):
        return items
    changed: list[Node] = []
    for item in items[:-1]:
        if isinstance(item, EXPRESSIONS):
            changed.append(Congruence(item, last.modulus))
        elif isinstance(item, Relation) and item.ops == ("=",) and isinstance(item.sides[1], EXPRESSIONS):
            changed.append(Relation((item.sides[0], Congruence(item.sides[1], last.modulus)), ("=",)))
        else:
            changed.append(item)
    return [*changed, items[-1]]


def _points(items: list[Node]) -> Node | None:
    """``x = 1, y = 2 or x = 3, y = 4`` is a list of points."""
    if not all(isinstance(item, Relation) and item.ops == ("=",) and len(item.sides) == 2 for item in items):
        return None
    names = [item.sides[0] for item in items if isinstance(item, Relation)]
    size = next(
        (n for n in range(2, len(names) // 2 + 1) if len(names) % n == 0 and names == names[:n] * (len(names) // n)), 0
    )
    if not size or len(set(names[:size])) != size:
        return None
    values = [item.sides[1] for item in items if isinstance(item, Relation)]
    return Items("", "", tuple(Items("(", ")", tuple(values[i : i + size])) for i in range(0, len(values), size)))


def _excluded(items: list[Node]) -> Node | None:
    """``x \\ne 1, 2`` and ``x \\ne 1, x \\ne 2``: the inequalities hold together."""
    steps: list[Node] = []
    for item in items:
        if isinstance(item, Items) and item.opening == "and":
            steps.extend(item.items)
        elif isinstance(item, EXPRESSIONS) and steps and isinstance(steps[0], Relation):
            steps.append(Relation((steps[0].sides[0], item), ("!=",)))
        else:
            steps.append(item)
    if all(isinstance(step, Relation) and step.ops == ("!=",) for step in steps):
        return Items("and", "", tuple(steps))
    return None


def _shape_list(items: list[Node]) -> Node:
    """``x = 1, x = 2`` and ``x = 1, 2`` are one name and a list; a unit at the end of a list stays with its item."""
    if (points := _points(items)) is not None:
        return points
    excluded = _excluded(items)
    if excluded is not None:
        return excluded
    named = [
        item for item in items if isinstance(item, Relation) and item.ops in (("=",), ("in",)) and len(item.sides) == 2
    ]
    if named and isinstance(items[0], Relation) and items[0] is named[0]:
        name = named[0].sides[0]
        values: list[Node] = []
        for item in items:
            if isinstance(item, Relation):
                if item.sides[0] != name or item.ops != ("=",):
                    return Items("", "", tuple(items))
                value = item.sides[1]
                values.extend(bare_list(value) or (value,))
            else:
                values.append(item)
        return Relation((name, Items("", "", tuple(values))), ("=",))
    return Items("", "", tuple(items))


def expand(tree: Node) -> list[Node]:
    """The values of an expression with plus-minus signs: all signs independent, unless a minus-plus links them."""
    if not contains(tree, "pm", "mp"):
        return [tree]
    if contains(tree, "mp"):
        return [_chosen(tree, 1), _chosen(tree, -1)]
    variants = [tree]
    while any(contains(variant, "pm") for variant in variants) and len(variants) < MAX_EXPANDED:
        variants = [new for variant in variants for new in _first_chosen(variant)]
    return variants


def _chosen(tree: Node, sign: int) -> Node:
    if not isinstance(tree, Apply):
        return tree
    args = tuple(_chosen(arg, sign) for arg in tree.args)
    if tree.op in ("pm", "mp"):
        plus = (sign > 0) == (tree.op == "pm")
        return Apply("+", (args[0], args[1] if plus else negate(args[1])))
    return Apply(tree.op, args)


def _first_chosen(tree: Node) -> list[Node]:
    if isinstance(tree, Apply) and tree.op == "pm":
        return [Apply("+", tree.args), Apply("+", (tree.args[0], negate(tree.args[1])))]
    if isinstance(tree, Apply):
        for index, arg in enumerate(tree.args):
            if contains(arg, "pm"):
                before, after = tree.args[:index], tree.args[index + 1 :]
                return [Apply(tree.op, (*before, variant, *after)) for variant in _first_chosen(arg)]
    return [tree]
