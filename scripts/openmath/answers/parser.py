r"""A recursive-descent parser of answers: tokens in, one tree out, or nothing.

    answer     = item ((","|";"|"and"|"or"|row end) item)*          a bare list if there are several
    item       = [currency] relation [unit] [modulus]
    relation   = ratio (("="|"<"|"\in"|...) ratio)*
    ratio      = set (":" set)*
    set        = sum ("\cap" sum)* (("\cup"|"\setminus") sum ("\cap" sum)*)*
    sum        = [sign] product (("+"|"-"|"\pm") product)*
    product    = power (["*"|"/"] power)*                             a missing sign is a product, left to right
    power      = atom suffix* ["^" exponent]                          suffixes: ! % degrees '
    atom       = number | symbol | group | fraction | root | function ...

All input must be consumed. ``a/bc`` is (a/b)c, as programming languages read it; ``3\frac{1}{2}`` and ``3 1/2`` are
mixed numbers; a function without parentheses takes the product that follows (``\sin 2x``). Cost is linear in the
tokens; depth is bounded, because texts come from models.
"""

from openmath.answers import lexer
from openmath.answers.combining import combine, together
from openmath.answers.expressions import ExpressionParser
from openmath.answers.lexer import UnreadableError
from openmath.answers.trees import (
    EXPRESSIONS,
    Apply,
    Congruence,
    NamedSet,
    Node,
    Number,
    Quantity,
    Ratio,
    Relation,
    SetOperation,
    Symbol,
    multiply,
    negate,
)
from openmath.answers.units import read_unit

MAX_ITEMS = 500
_SEPARATORS = frozenset((",", ";", "and", "or", "row"))
_SET_KINDS = frozenset(("(", "[", "]", "set", "set{", "{", "empty"))
_UNIVERSAL = frozenset(("all", "any", "every", "each"))
_QUANTIFIERS = _UNIVERSAL | {"some", "real", "reals", "numbers", "a", "constant"}
_CONDITIONS = frozenset(
    ["where", "for", "for all", "if", "with", "when", "such", "given", "if,", "for,", "where,", "provided"]
)


def parse(text: str) -> Node:
    """The tree of a cleaned text (``lexer.clean``).

    Raises:
        UnreadableError: the text is no answer of this grammar.
    """
    parser = AnswerParser(lexer.tokenize(text))
    return parser.answer()


class AnswerParser(ExpressionParser):
    """Parses whole answers: lists, relations, sets, quantities."""

    def answer(self) -> Node:
        tree = self.listing()
        if self.kind:
            raise UnreadableError
        return tree

    def listing(self, closers: frozenset[str] = frozenset()) -> Node:
        """Items up to the end (or a closing bracket); one item is itself, several are a bare list."""
        items, joints = [self.item()], []
        while self.kind in _SEPARATORS or (self.kind in ("t", "w") and self.value().lower() in _CONDITIONS):
            joint = self.kind
            words = self.condition_words()
            universal = not _UNIVERSAL.isdisjoint(words)
            if not words:
                self.advance()
            while self.kind in _SEPARATORS or (self.kind in ("t", "w") and self.value().lower() in _CONDITIONS):
                if self.kind in (",", ";") and joint in (",", ";"):
                    raise UnreadableError
                joint = self.kind if self.kind in ("and", "or") else joint
                self.advance()
            if not self.kind or self.kind in closers:
                break
            item = self.item()
            if universal and _is_variable(item):
                continue
            joints.append(joint)
            items.append(item)
            if len(items) > MAX_ITEMS:
                raise UnreadableError
        return items[0] if len(items) == 1 else combine(items, joints)

    def condition_words(self) -> list[str]:
        """Walk over ``for``, ``where``, ``for all``, ``for some``; the words that stood there."""
        words: list[str] = []
        while self.kind in ("t", "w") and self.value().lower() in (_QUANTIFIERS if words else _CONDITIONS):
            words.extend(self.advance().lower().split())
        return words

    def item(self) -> Node:
        self.enter()
        tree = self.relation()
        if self.kind == "pmod" or self.kind == "mod" or (self.kind == "(" and self.peek()[0] == "mod"):
            tree = self.modulus(tree)
        if self.kind == "(" and self.holds_condition():
            self.advance()
            tree = combine([tree, self.listing(frozenset((")",)))], [","])
            self.expect(")")
        self.depth -= 1
        return tree

    def relation(self) -> Node:
        if self.position == 0 and self.kind == "rel" and self.value() in ("approx", "="):
            self.advance()
        sides, ops = [self.quantity()], []
        while self.kind == "rel":
            op = self.advance()
            if op == "<" and self.kind == "rel" and self.value() == "=":
                self.advance()
                op = "<="
            ops.append(op)
            sides.append(self.quantity())
        if self.kind == "w" and self.value() == "in" and self.peek()[0]:
            self.advance()
            ops.append("in")
            sides.append(self.quantity())
        if "equiv" in ops:
            return self.congruence(sides, ops)
        return Relation(tuple(sides), tuple(ops)) if ops else sides[0]

    def congruence(self, sides: list[Node], ops: list[str]) -> Node:
        if self.kind not in ("pmod", "mod") and not (self.kind == "(" and self.peek()[0] == "mod"):
            return Relation(tuple(sides), tuple("=" if op == "equiv" else op for op in ops))
        tree = self.modulus(sides[-1])
        return Relation((*sides[:-1], tree), tuple("=" if op == "equiv" else op for op in ops))

    def modulus(self, residue: Node) -> Node:
        enclosed = self.kind == "("
        if enclosed:
            self.advance()
        self.advance()
        modulus = self.sum()
        if enclosed:
            self.expect(")")
        if isinstance(residue, Relation):
            return Relation((*residue.sides[:-1], Congruence(residue.sides[-1], modulus)), residue.ops)
        return Congruence(residue, modulus)

    def quantity(self) -> Node:
        sign = 1
        position = self.position
        if self.kind in ("-", "+") and self.peek()[0] == "currency":
            sign = -1 if self.kind == "-" else 1
            self.advance()
        if self.kind == "currency":
            unit = self.advance()
            value = self.ratio()
            value = value if sign == 1 else negate(value)
            return self.with_unit(value, unit)
        self.back_to(position)
        tree = self.ratio()
        if self.kind == "currency":
            unit = self.advance()
            return self.with_unit(tree, unit)
        quantity = self.with_unit(tree, "")
        while isinstance(quantity, Quantity) and self.kind == "n":
            smaller = self.with_unit(self.ratio(), "")
            quantity = together(quantity, smaller)
        return quantity

    def with_unit(self, tree: Node, currency: str) -> Node:
        """Read the unit behind a value: a percent or degree sign, or words."""
        words = self.unit_words()
        tree, sign = _without_sign(tree)
        words = f"{sign} {words}".strip()
        unit = read_unit(f"{words} {currency}".strip())
        if currency and (unit is None or unit.dimension.startswith("noun:")):
            unit = read_unit(currency)
        if unit is None:
            raise UnreadableError
        if unit.factor != 1:
            tree = multiply(Number(unit.factor), tree)
        return Quantity(tree, unit.dimension, unit.scale) if unit.dimension else tree

    def unit_words(self) -> str:
        if self.kind == "(" and self.peek()[0] == "t":
            return self.enclosed_words()
        words: list[str] = []
        while True:
            kind, value = self.tokens[self.position]
            if kind in ("t", "w"):
                if value.lower() in _CONDITIONS or (value == "in" and self.peek()[0] in _SET_KINDS):
                    break
                words.append(value)
            elif kind == "s" and words and len(value) == 1:
                words.append(value)
            elif kind == "/" and self.peek()[0] in ("t", "w", "s"):
                words.append("/")
            elif kind in ("-", "*") and words and self.peek()[0] in ("t", "w"):
                words.append(" ")
            elif kind == "^" and words:
                self.advance()
                words.append("^" + self.unit_power())
                continue
            else:
                break
            self.advance()
        return " ".join(words)

    def enclosed_words(self) -> str:
        position, words = self.position, []
        self.advance()
        while self.kind == "t":
            words.append(self.advance())
        if self.kind != ")":
            self.back_to(position)
            return ""
        self.advance()
        return " ".join(words)

    def unit_power(self) -> str:
        if self.kind == "{":
            self.advance()
            sign = "-" if self.kind == "-" else ""
            if sign:
                self.advance()
            power = self.advance()
            self.expect("}")
            return sign + power
        sign = "-" if self.kind == "-" else ""
        if sign:
            self.advance()
        return sign + self.advance()

    def ratio(self) -> Node:
        parts = [self.sets()]
        while self.kind == ":" or (self.kind in ("to", "w") and self.value() in ("", "to") and self.kind == "to"):
            if self.kind == "to" or not isinstance(parts[0], EXPRESSIONS):
                break
            self.advance()
            parts.append(self.sets())
        if len(parts) == 1 and self.kind in ("w", "t") and self.value() == "to" and isinstance(parts[0], EXPRESSIONS):
            self.advance()
            parts.append(self.sets())
        return parts[0] if len(parts) == 1 else Ratio(tuple(parts))

    def sets(self) -> Node:
        tree = self.intersection()
        while self.kind in ("cup", "setminus"):
            op = self.kind
            self.advance()
            tree = SetOperation(op, tree, self.intersection())
        if self.kind == "-" and isinstance(tree, NamedSet):
            self.advance()
            return SetOperation("setminus", tree, self.intersection())
        return tree

    def intersection(self) -> Node:
        tree = self.sum()
        while self.kind == "cap":
            self.advance()
            tree = SetOperation("cap", tree, self.sum())
        return tree


def _without_sign(tree: Node) -> tuple[Node, str]:
    """A value and the name of the percent or degree sign behind it."""
    if isinstance(tree, Apply) and tree.op in ("percent", "deg"):
        return tree.args[0], "percent" if tree.op == "percent" else "degree"
    if isinstance(tree, Apply) and tree.op == "*" and len(tree.args) == 2 and tree.args[0] == Number(-1):
        inner, sign = _without_sign(tree.args[1])
        return (negate(inner), sign) if sign else (tree, "")
    return tree, ""


def _is_variable(tree: Node) -> bool:
    """A letter, or a letter that is said to be real."""
    if isinstance(tree, Relation) and tree.ops == ("in",) and tree.sides[1] == NamedSet("R"):
        tree = tree.sides[0]
    return isinstance(tree, Symbol)
