"""What several items make together: lists, families over the integers, joined inequalities, quantities in two units."""

from openmath.answers.lexer import UnreadableError
from openmath.answers.trees import (
    INFINITY,
    Apply,
    Family,
    Items,
    NamedSet,
    Node,
    Number,
    Quantity,
    Relation,
    Symbol,
    add,
    is_inequality,
    multiply,
    symbols,
)
from openmath.answers.units import DEGREE, PERCENT


def combine(items: list[Node], joints: list[str]) -> Node:
    """A bare list, or what its conditions make of it: a family over the integers, inequalities joined by and / or."""
    member, conditions = items[0], items[1:]
    if len(items) == 2 and all(isinstance(item, Quantity) for item in items):
        try:
            return together(*items)
        except UnreadableError:
            pass
    if set(joints) == {"or"} and _are_intervals(items):
        return Items("or", "", tuple(items))
    parameter = _integer_parameter(conditions)
    if parameter is not None:
        return Family(member, parameter)
    if all(isinstance(item, Relation) for item in items) and any(is_inequality(item) for item in items):
        op = "or" if "or" in joints else "and"
        return Items(op, "", tuple(items))
    return Items("", "", tuple(items))


def _are_intervals(items: list[Node]) -> bool:
    """Whether pairs in brackets can only be intervals: one is closed somewhere or has no end."""
    pairs = [item for item in items if isinstance(item, Items) and item.opening in ("(", "[") and len(item.items) == 2]
    return len(pairs) == len(items) and any(
        "[" in pair.opening or "]" in pair.closing or INFINITY in symbols(pair.items[0]) | symbols(pair.items[1])
        for pair in pairs
    )


def _integer_parameter(conditions: list[Node]) -> str | None:
    if len(conditions) != 1:
        return None
    condition = conditions[0]
    if isinstance(condition, Relation) and condition.ops == ("in",) and isinstance(condition.sides[0], Symbol):
        target = condition.sides[1]
        if isinstance(target, NamedSet) and target.name == "Z":
            return condition.sides[0].name
    return None


def together(one: Node, other: Node) -> Quantity:
    """``5 feet 6 inches`` as one quantity, in the smaller unit.

    Raises:
        UnreadableError: the second is no smaller unit of the same dimension.
    """
    if not (isinstance(one, Quantity) and isinstance(other, Quantity)):
        raise UnreadableError
    if one.dimension != other.dimension or one.scale <= other.scale:
        raise UnreadableError
    factor = Number(one.scale / other.scale)
    return Quantity(add(multiply(factor, one.value), other.value), other.dimension, other.scale)


def as_expression(tree: Node) -> Node:
    """Degrees and percent within an expression are factors."""
    if isinstance(tree, Quantity) and tree.dimension == DEGREE:
        return Apply("deg", (tree.value,))
    if isinstance(tree, Quantity) and tree.dimension == PERCENT:
        return Apply("percent", (tree.value,))
    return tree
