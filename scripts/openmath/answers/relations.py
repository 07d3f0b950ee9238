"""Equations and inequalities: up to factors and sides, and as a name with its value."""

from abc import abstractmethod
from collections.abc import Sequence

from openmath.answers.exact import form_of, proportional, ratio_sign
from openmath.answers.matching import can_be_paired
from openmath.answers.names import is_name, is_named_expression, name_words, word
from openmath.answers.numeric import UnsupportedError, equal_at_points
from openmath.answers.trees import (
    EXPRESSIONS,
    FLIPPED,
    ORDERS,
    Items,
    Node,
    Relation,
    Symbol,
    add,
    bare_list,
    multiply,
    negate,
    substitute,
    variables,
)  # fmt: skip
from openmath.answers.values import ValueComparison


class RelationComparison(ValueComparison):
    """The comparison of relations, and of a relation with the value that it gives to a name."""

    @abstractmethod
    def _unordered(self, ones: Sequence[Node], others: Sequence[Node]) -> bool:
        """Whether each item has a partner of its own."""

    def _relations(self, one: Relation, other: Relation) -> bool:
        if one.ops[0] in ORDERS or other.ops[0] in ORDERS:
            return self._inequalities(one, other)
        if one.ops == other.ops == ("=",) and self._same_sides(one.sides, other.sides[::-1]):
            return True
        if _is_equation(one) and _is_equation(other):
            differences = [add(tree.sides[0], negate(tree.sides[1])) for tree in (one, other)]
            if self._proportional(*differences) is not None:
                return True
        for chain, pair in ((one, other), (other, one)):
            if (
                len(chain.sides) > 2
                and isinstance(pair.sides[0], Items)
                and len(chain.sides) == len(pair.sides[0].items) + 1
            ):
                equations = tuple(Relation((name, chain.sides[-1]), ("=",)) for name in chain.sides[:-1])
                return self._system(pair.sides[0], pair.sides[1], Items("", "", equations))
        left, right = self._named(one), self._named(other)
        for name, value in left:
            for other_name, other_value in right:
                if self._same_name(name, other_name) and self.same(value, other_value):
                    return True
        return False

    def _same_sides(self, ones: Sequence[Node], others: Sequence[Node]) -> bool:
        return all(self.same(one, other) for one, other in zip(ones, others, strict=True))

    def _proportional(self, left: Node, right: Node) -> int | None:
        """The sign of the constant factor between two expressions (0: unknown); None if there is no such factor."""
        forms = form_of(left), form_of(right)
        if forms[0] is not None and forms[1] is not None:
            self.used("exact")
            if not forms[0].above or not forms[1].above:
                return None
            found = proportional(forms[0], forms[1])
            if found:
                return ratio_sign(forms[0], forms[1])
            if found is False:
                return None
        return self._proportional_at_points(left, right)

    def _proportional_at_points(self, left: Node, right: Node) -> int | None:
        names = variables(left) | variables(right)
        if not names:
            return None
        shift: dict[str, Node] = {name: Symbol(f"{name} shifted") for name in names}
        try:
            self.used("points")
            crossed = multiply(left, substitute(right, shift)), multiply(right, substitute(left, shift))
            return 0 if equal_at_points(*crossed) else None
        except UnsupportedError:
            return None

    def _inequalities(self, one: Relation, other: Relation) -> bool:
        if not all(isinstance(side, EXPRESSIONS) for side in (*one.sides, *other.sides)):
            return one.ops == other.ops and self._same_sides(one.sides, other.sides)
        return can_be_paired(_steps(one), _steps(other), self._same_inequality)

    def _same_inequality(self, one: tuple[Node, str], other: tuple[Node, str]) -> bool:
        sign = self._proportional(one[0], other[0])
        if sign is None:
            return False
        if sign == 0:
            return one[1] == other[1] and (one[1] == "!=" or self.expressions(one[0], other[0]))
        return one[1] == (other[1] if sign > 0 else FLIPPED.get(other[1]))

    def _named(self, tree: Relation) -> list[tuple[Node | None, Node]]:
        """The (name, value) pairs that an equation may be read as; the name is None for a chain of equal values."""
        sides, ops = list(tree.sides), list(tree.ops)
        if "approx" in ops:
            cut = ops.index("approx")
            if cut == 0 and is_name(sides[0]):
                return [(sides[0], sides[1])]
            sides, ops = sides[: cut + 1], ops[:cut]
        if ops == ["in"]:
            return [(sides[0], sides[1])]
        if any(op != "=" for op in ops):
            return []
        pairs: list[tuple[Node | None, Node]] = []
        if is_name(sides[0]) or (
            len(sides) == 2 and not isinstance(sides[1], EXPRESSIONS) and not isinstance(sides[0], Items)
        ):
            pairs.append((sides[0], sides[-1]))
            if len(sides) > 2 and all(is_name(side) for side in sides[1:-1]):
                pairs.extend((side, sides[-1]) for side in sides[1:-1])
        elif is_name(sides[-1]) and len(sides) == 2:
            pairs.append((sides[-1], sides[0]))
        elif self._is_chain(sides):
            pairs.append((None, sides[0]))
        else:
            ends = (sides[0], sides[-1]), (sides[-1], sides[0])
            pairs.extend((name, value) for name, value in ends if is_named_expression(name, value))
        return pairs

    def _is_chain(self, sides: list[Node]) -> bool:
        """Whether all sides are constants of one value, or one expression in several forms."""
        if not all(isinstance(side, EXPRESSIONS) for side in sides):
            return all(self.same(sides[0], side) for side in sides[1:]) and not isinstance(sides[0], Symbol)
        return all(self.expressions(sides[0], side) for side in sides[1:])

    def _same_name(self, one: Node | None, other: Node | None) -> bool:
        return one is None or other is None or one == other or name_words(one) == name_words(other)

    def _value_for_relation(self, one: Relation, other: Node) -> bool:
        if isinstance(other, Items) and any(isinstance(item, Relation) and item.ops == ("=",) for item in other.items):
            return self._assignments(one, other)
        for name, value in self._named(one):
            if name is not None and self.conventions.names == "required":
                continue
            if self.same(value, other):
                return True
        return False

    def _assignments(self, one: Relation, other: Items) -> bool:
        """``(x, y) = (3, 4)`` or ``x = y = 2`` for a list of equations; ``x = 1, 2`` for one that repeats the name."""
        if one.ops == ("=",) * (len(one.sides) - 1) and len(one.sides) > 2 and all(map(is_name, one.sides[:-1])):
            equations = tuple(Relation((name, one.sides[-1]), ("=",)) for name in one.sides[:-1])
            return self._unordered(equations, other.items)
        if self._numbered(one, other):
            return True
        return any(
            isinstance(name, Items) and self._system(name, value, other) for name, value in self._named(one)
        )  # fmt: skip

    def _numbered(self, one: Relation, other: Items) -> bool:
        """``x = 2, 5`` for ``x_1 = 2, x_2 = 5``."""
        name, values = one.sides[0], bare_list(one.sides[-1])
        if not isinstance(name, Symbol) or values is None or one.ops != ("=",):
            return False
        found = [
            item.sides[-1]
            for item in other.items
            if isinstance(item, Relation) and word(item.sides[0]).partition("_")[0] == name.name
        ]
        return len(found) == len(other.items) and self._unordered(values, found)

    def _system(self, names: Items, values: Node, other: Items) -> bool:
        """``(x, y) = (3, 4)`` for ``x = 3, y = 4``."""
        parts = values.items if isinstance(values, Items) else (values,)
        equations = [Relation(pair, ("=",)) for pair in zip(names.items, parts, strict=False)]
        relations = [item for item in other.items if isinstance(item, Relation)]
        whole = len(parts) == len(names.items) and len(relations) == len(other.items)
        return whole and self._unordered(equations, relations)


def _is_equation(tree: Relation) -> bool:
    return tree.ops == ("=",) and all(isinstance(side, EXPRESSIONS) for side in tree.sides)


def _steps(tree: Relation) -> list[tuple[Node, str]]:
    """``a < b < c`` as ``a - b < 0`` and ``b - c < 0``."""
    return [
        (add(left, negate(right)), op)
        for left, op, right in zip(tree.sides, tree.ops, tree.sides[1:], strict=False)
    ]  # fmt: skip
