r"""Whether two trees are the same answer.

Nodes of one kind are compared part by part; for two kinds a closed list of rules says when one may stand for the
other (a value for a quantity, a tuple for a column vector, an interval for an inequality). Expressions go through
tiers, cheapest first:

    equal trees  ->  exact normal forms  ->  values at points  ->  sympy (only sums, products, integrals, limits)

``Comparison.tier`` is the dearest one that took part. Every rule is symmetric; the relation as a whole is not
transitive, since ``5 cm`` equals ``5`` and ``5`` equals ``5 in``. Collections without order are matched by augmenting
paths.
"""

from collections.abc import Sequence
from fractions import Fraction

from openmath.answers.exact import rational_of
from openmath.answers.matching import MAX_UNPAIRED, can_be_paired
from openmath.answers.names import is_name, word
from openmath.answers.reading import read
from openmath.answers.relations import RelationComparison
from openmath.answers.sets import is_set_like, letter_interval, real_set, sets_equal
from openmath.answers.trees import (
    EXPRESSIONS,
    PI,
    Apply,
    Builder,
    Cases,
    Choice,
    Clock,
    Congruence,
    Date,
    Family,
    Items,
    Matrix,
    Node,
    Number,
    Numeral,
    Quantity,
    Ratio,
    Raw,
    Relation,
    SetOperation,
    Symbol,
    Words,
    add,
    multiply,
    negate,
    substitute,
    symbols,
)  # fmt: skip
from openmath.answers.units import DEGREE, PERCENT, RADIAN, same_dimension
from openmath.answers.vectors import components, spread, vector

_VALUED = (*EXPRESSIONS, Cases)


class Comparison(RelationComparison):
    """One comparison of an expected answer with a predicted one under some conventions."""

    def same(self, one: Node, other: Node) -> bool:
        """Whether two answers are the same.

        Raises:
            TimeLimitError: sympy did not finish.
        """
        if one == other:
            return True
        if isinstance(one, _VALUED) and isinstance(other, _VALUED):
            if isinstance(one, Cases) and isinstance(other, Cases) and self._cases(one, other):
                return True
            return self.expressions(one, other)
        if is_set_like(one) or is_set_like(other):
            found = self._as_sets(one, other)
            if found is not None:
                return found
        if type(one) is type(other):
            return self._of_one_kind(one, other)
        return self._of_two_kinds(one, other) or self._of_two_kinds(other, one)

    # One kind

    def _of_one_kind(self, one: Node, other: Node) -> bool:
        if isinstance(one, Items) and isinstance(other, Items):
            return self._items(one, other)
        if isinstance(one, Relation) and isinstance(other, Relation):
            return self._relations(one, other)
        if isinstance(one, Quantity) and isinstance(other, Quantity):
            return self._quantities(one, other)
        if isinstance(one, Matrix) and isinstance(other, Matrix):
            return len(one.rows) == len(other.rows) and all(
                self._in_order(row, other_row) for row, other_row in zip(one.rows, other.rows, strict=True)
            )
        if isinstance(one, Clock) and isinstance(other, Clock):
            return _same_time(one, other)
        if isinstance(one, Date) and isinstance(other, Date):
            days = (one.year, one.month, one.day) == (other.year, other.month, other.day)
            return days and not (one.weekday and other.weekday)
        if isinstance(one, Choice) and isinstance(other, Choice):
            contents = one.content is None or other.content is None or self.same(one.content, other.content)
            return one.letter == other.letter and contents
        if isinstance(one, Numeral) and isinstance(other, Numeral):
            return self.expressions(one, other)
        if isinstance(one, Ratio) and isinstance(other, Ratio):
            return self._ratios(one.parts, other.parts)
        if isinstance(one, Congruence) and isinstance(other, Congruence):
            return self._congruences(one, other)
        if isinstance(one, Family) and isinstance(other, Family):
            return self._families(one, other)
        if isinstance(one, Builder) and isinstance(other, Builder):
            return self.same(one.element, other.element) and self.same(one.condition, other.condition)
        if isinstance(one, SetOperation) and isinstance(other, SetOperation):
            return self._set_operations(one, other)
        if isinstance(one, Words) and isinstance(other, Words):
            return one.text.replace(" ", "") == other.text.replace(" ", "")
        return False

    def _items(self, one: Items, other: Items) -> bool:
        openings = {one.opening, other.opening}
        if "{" in openings and len(openings) == 2:
            held, free = (one, other) if one.opening == "{" else (other, one)
            if len(held.items) == 1 and self.same(held.items[0], free):
                return True
            if free.opening in ("(", "["):
                left, right = real_set(one), real_set(other)
                return left is not None and right is not None and sets_equal(left, right, self.same)
        if one.opening == other.opening and one.closing == other.closing:
            if one.opening == "{":
                return self._unordered(self._distinct(one.items), self._distinct(other.items))
            if one.opening in ("and", "or") or (one.opening == "" and self.conventions.list_order == "any"):
                return self._unordered(one.items, other.items)
            return self._in_order(one.items, other.items)
        if openings == {"", "{"}:
            return self._unordered(self._distinct(one.items), self._distinct(other.items))
        if openings == {"", "or"}:
            return self._unordered(one.items, other.items)
        if "" in openings and self.conventions.bare_tuples == "yes":
            bracketed = one if one.opening else other
            if (bracketed.opening, bracketed.closing) == ("(", ")") or (
                bracketed.opening == "[" and len(one.items) > 2
            ):
                return self._in_order(one.items, other.items)
        if openings == {"(", "["} and len(one.items) > 2:
            return self._in_order(one.items, other.items)
        return False

    def _in_order(self, ones: Sequence[Node], others: Sequence[Node]) -> bool:
        return len(ones) == len(others) and all(self.same(a, b) for a, b in zip(ones, others, strict=True))

    def _distinct(self, items: Sequence[Node]) -> list[Node]:
        kept: list[Node] = []
        for item in items:
            if len(kept) > MAX_UNPAIRED or not any(self.same(item, before) for before in kept):
                kept.append(item)
        return kept

    def _unordered(self, ones: Sequence[Node], others: Sequence[Node]) -> bool:
        return can_be_paired(ones, others, self.same, _value_or_tree)

    def _quantities(self, one: Quantity, other: Quantity) -> bool:
        if {one.dimension, other.dimension} == {DEGREE, RADIAN}:
            degrees, radians = (one, other) if one.dimension == DEGREE else (other, one)
            return self.same(Apply("deg", (degrees.value,)), radians.value)
        if not same_dimension(one.dimension, other.dimension):
            return False
        generic = one.dimension.startswith("unit^") or other.dimension.startswith("unit^")
        if one.scale == other.scale or generic:
            return self.same(one.value, other.value)
        return self.same(_scaled(one), _scaled(other))

    def _ratios(self, ones: Sequence[Node], others: Sequence[Node]) -> bool:
        if len(ones) != len(others) or not all(isinstance(part, EXPRESSIONS) for part in (*ones, *others)):
            return False
        if any(rational_of(part) == 0 for part in (*ones, *others)):
            return self._in_order(ones, others)
        first, other_first = ones[0], others[0]
        return all(
            self.expressions(multiply(part, other_first), multiply(other, first))
            for part, other in zip(ones[1:], others[1:], strict=True)
        )

    def _congruences(self, one: Congruence, other: Congruence) -> bool:
        if not self.same(one.modulus, other.modulus):
            return False
        values = [rational_of(tree) for tree in (one.residue, other.residue, one.modulus)]
        if all(value is not None for value in values) and values[2]:
            self.used("exact")
            return (Fraction(values[0] or 0) - (values[1] or 0)) % Fraction(values[2] or 1) == 0
        return self.same(one.residue, other.residue)

    def _families(self, one: Family, other: Family) -> bool:
        ones = _members(_renamed(one.member, one.parameter))
        others = _members(_renamed(other.member, other.parameter))
        return can_be_paired(ones, others, lambda one, other: self.same(one, other) or self._shifted(one, other))

    def _shifted(self, one: Node, other: Node) -> bool:
        """``a + b k`` and ``a' + b' k`` over all integers k: equal steps up to sign, and starts whole steps apart."""
        starts = [_at(tree, 0) for tree in (one, other)]
        steps = [add(_at(tree, 1), negate(start)) for tree, start in zip((one, other), starts, strict=True)]
        doubles = [add(_at(tree, 2), negate(_at(tree, 1))) for tree in (one, other)]
        if not all(self.expressions(step, double) for step, double in zip(steps, doubles, strict=True)):
            return False
        if not (self.expressions(*steps) or self.expressions(steps[0], negate(steps[1]))):
            return False
        turns = rational_of(Apply("/", (add(starts[0], negate(starts[1])), steps[0])))
        return turns is not None and Fraction(turns).denominator == 1

    def _cases(self, one: Cases, other: Cases) -> bool:
        return can_be_paired(one.branches, other.branches, self._in_order)

    def _set_operations(self, one: SetOperation, other: SetOperation) -> bool:
        if one.op != other.op:
            return False
        if one.op == "setminus":
            return self.same(one.left, other.left) and self.same(one.right, other.right)
        return self._unordered(_flattened(one, one.op), _flattened(other, other.op))

    # Sets of reals

    def _as_sets(self, one: Node, other: Node) -> bool | None:
        """Compare as sets of reals; None where one of them is none, or both are equations of another kind."""
        if self.conventions.intervals == "no" and isinstance(one, Relation) != isinstance(other, Relation):
            return False
        left, right = real_set(one), real_set(other)
        if left is None or right is None:
            for relation, interval in ((one, other), (other, one)):
                if isinstance(relation, Relation) and isinstance(interval, Items) and interval.opening in ("(", "["):
                    return any(self._items(found, interval) for found in letter_interval(relation))
            return None
        self.used("exact")
        return sets_equal(left, right, self.same)

    # Two kinds

    def _of_two_kinds(self, one: Node, other: Node) -> bool:
        """Whether ``other`` may stand for ``one``; the caller tries both ways."""
        if isinstance(one, Relation):
            return self._value_for_relation(one, other)
        if isinstance(one, Quantity):
            return self._value_for_quantity(one, other)
        if isinstance(one, Numeral):
            return self._value_for_numeral(one, other)
        if isinstance(one, Items):
            return self._value_for_items(one, other)
        if isinstance(one, Choice):
            return word(other) == one.letter or (one.content is not None and self.same(one.content, other))
        if isinstance(one, Ratio):
            if isinstance(other, Clock):
                return self._ratios(one.parts, _clock_parts(other, len(one.parts)))
            return (
                len(one.parts) == 2
                and isinstance(other, EXPRESSIONS)
                and self.expressions(Apply("/", one.parts), other)
            )
        if isinstance(one, Congruence):
            return self.conventions.units == "optional" and (
                self.same(one.residue, other) or self._remainder(one, other)
            )
        if isinstance(one, Matrix):
            entries = vector(one)
            if entries is not None and isinstance(other, EXPRESSIONS):
                coefficients = components(other, len(entries))
                if coefficients is not None:
                    return self._in_order(entries, coefficients)
            return len(one.rows) == 1 and len(one.rows[0]) == 1 and self.same(one.rows[0][0], other)
        if isinstance(one, Apply):
            return self._value_for_apply(one, other)
        if isinstance(one, Words) and isinstance(other, Symbol):
            return one.text.removeprefix("angle ").replace(" ", "") == word(other).removeprefix("angle ").lower()
        return False

    def _remainder(self, one: Congruence, other: Node) -> bool:
        values = [rational_of(tree) for tree in (one.residue, one.modulus, other)]
        if any(value is None for value in values) or not values[1]:
            return False
        return Fraction(values[0] or 0) % Fraction(values[1]) == values[2]

    def _value_for_quantity(self, one: Quantity, other: Node) -> bool:
        if one.dimension == PERCENT and isinstance(one.value, EXPRESSIONS) and isinstance(other, EXPRESSIONS):
            if self.conventions.percent != "unit" and self.expressions(Apply("percent", (one.value,)), other):
                return True
            if self.conventions.percent == "ratio":
                return False
        if self.conventions.units == "required" or isinstance(other, (Quantity, Words, Raw)):
            return False
        if one.dimension == DEGREE and isinstance(other, EXPRESSIONS) and PI in symbols(other):
            return isinstance(one.value, EXPRESSIONS) and self.expressions(Apply("deg", (one.value,)), other)
        return self.same(one.value, other)

    def _value_for_numeral(self, one: Numeral, other: Node) -> bool:
        if self.conventions.base == "required" or not isinstance(other, (*EXPRESSIONS, Words)):
            return False
        return self.same(read(one.digits), other) or (isinstance(other, Words) and other.text.upper() == one.digits)

    def _value_for_items(self, one: Items, other: Node) -> bool:
        if len(one.items) == 1 and one.opening in ("{", ""):
            return self.same(one.items[0], other)
        if (
            one.opening == ""
            and len(set(one.items)) > 1
            and all(self.same(one.items[0], item) for item in one.items[1:])
        ):
            return self.same(one.items[0], other)
        if isinstance(other, EXPRESSIONS) and one.opening in ("(", "["):
            coefficients = components(other, len(one.items))
            return coefficients is not None and self._in_order(one.items, coefficients)
        if isinstance(other, Matrix):
            entries = vector(other)
            plain = (one.opening, one.closing) in (("(", ")"), ("[", "]")) or one.opening == ""
            return entries is not None and plain and self._in_order(one.items, entries)
        if isinstance(other, Words):
            return one == Items("{", "}", ()) and other.text in ("empty", "null", "no")
        return False

    def _value_for_apply(self, one: Apply, other: Node) -> bool:
        """A number before a vector or a matrix, a label before a point, a determinant."""
        carried_out = spread(one)
        return carried_out is not None and self.same(carried_out, other)


def _value_or_tree(tree: Node) -> Node | int | Fraction:
    value = rational_of(tree) if isinstance(tree, EXPRESSIONS) else None
    return tree if value is None else value


def _scaled(quantity: Quantity) -> Node:
    """The value in the unit of scale 1; of a vector, entry by entry."""
    product = Apply("*", (Number(quantity.scale), quantity.value))
    return spread(product) or product


def _clock_parts(clock: Clock, parts: int) -> tuple[Node, ...]:
    numbers = Number(clock.seconds // 3600 or 12), Number(clock.seconds % 3600 // 60), Number(clock.seconds % 60)
    return numbers[:parts]


def _same_time(one: Clock, other: Clock) -> bool:
    """Equal hands, and equal halves of the day where both say; a time of 24 hours has its half."""
    if one.seconds != other.seconds:
        return False
    halves = {one.half, other.half}
    if len(halves) == 1 or {half.removeprefix("24 ") for half in halves} in ({"am"}, {"pm"}):
        return True
    return "" in halves and halves != {"", "24 pm"}


def _flattened(tree: Node, op: str) -> list[Node]:
    if isinstance(tree, SetOperation) and tree.op == op:
        return [*_flattened(tree.left, op), *_flattened(tree.right, op)]
    return [tree]


_PARAMETER = "k of a family"


def _renamed(tree: Node, parameter: str) -> Node:
    return substitute(tree, {parameter: Symbol(_PARAMETER)})


def _at(tree: Node, value: int) -> Node:
    return substitute(tree, {_PARAMETER: Number(value)})


def _members(tree: Node) -> list[Node]:
    """The values of a family: without its name, a list item by item."""
    if isinstance(tree, Relation) and tree.ops in (("=",), ("in",)) and is_name(tree.sides[0]):
        tree = tree.sides[1]
    return list(tree.items) if isinstance(tree, Items) and tree.opening == "" else [tree]
