"""What an answer is read into: a small immutable tree.

An expression is a ``Number``, a ``Symbol`` (constants are symbols with reserved names) or an ``Apply`` of an operation
to expressions. The other nodes stand above expressions and hold them:

    \\frac{1}{2}x + 3      Apply("+", (Apply("*", (Number(1/2), Symbol("x"))), Number(3)))
    x \\in (1, 2]          Relation((Symbol("x"), Items("(", "]", (Number(1), Number(2)))), ("in",))
    5 \\text{ cm}          Quantity(Number(5), Unit(...))

Nodes compare and hash by content; nothing in them refers back to the text, save the digits of a written decimal.
"""

import functools
from fractions import Fraction
from typing import Union

from msgspec import Struct

PI, E, I, INFINITY = "\\pi", "\\e", "\\i", "\\infty"  # noqa: E741


CONSTANTS = frozenset((PI, E, I, INFINITY))


class Number(Struct, frozen=True, gc=False):
    """An exact rational; ``digits`` is the number of significant digits of a written decimal, 0 for anything else."""

    value: int | Fraction
    digits: int = 0


class Symbol(Struct, frozen=True, gc=False):
    """A variable, or one of the constants ``PI``, ``E``, ``I`` and ``INFINITY``."""

    name: str


class Apply(Struct, frozen=True, gc=False, cache_hash=True):
    """An operation on expressions.

    "+" and "*" take any number of arguments; "/", "^" and "root" (radicand, index) take two; the others are functions,
    named as LaTeX names them ("sin", "log", "abs", "!", "binom" ...), or letters applied to something ("f").
    """

    op: str
    args: tuple["Node", ...]


class Items(Struct, frozen=True, gc=False, cache_hash=True):
    """Several answers in a row; ``opening`` and ``closing`` are "" for a bare list, "{" and "}" for a set."""

    opening: str
    closing: str
    items: tuple["Node", ...]


class Matrix(Struct, frozen=True, gc=False):
    """The rows of a matrix; a vector in angle brackets is a column."""

    rows: tuple[tuple["Node", ...], ...]


class Cases(Struct, frozen=True, gc=False):
    """A function by cases: (expression, condition) pairs, in any order."""

    branches: tuple[tuple["Node", ...], ...]


class Relation(Struct, frozen=True, gc=False):
    """A chain ``sides[0] ops[0] sides[1] ops[1] ...``; the operators are = != < <= > >= in approx."""

    sides: tuple["Node", ...]
    ops: tuple[str, ...]


class SetOperation(Struct, frozen=True, gc=False):
    """A union, intersection or difference of two sets; ``op`` is "cup", "cap" or "setminus"."""

    op: str
    left: "Node"
    right: "Node"


class NamedSet(Struct, frozen=True, gc=False):
    """One of the number sets R, Z, N, Q, C."""

    name: str


class Builder(Struct, frozen=True, gc=False):
    """The set of all ``element`` for which ``condition`` holds."""

    element: "Node"
    condition: "Node"


class Family(Struct, frozen=True, gc=False):
    """``member`` for every integer ``parameter``."""

    member: "Node"
    parameter: str


class Quantity(Struct, frozen=True, gc=False):
    """A value with a unit: ``dimension`` says what is measured, ``scale`` how much of its base unit the unit is.

    ``scale`` is a multiple of the base unit of the dimension; nouns are their own dimension, with scale 1.
    """

    value: "Node"
    dimension: str
    scale: Fraction


class Numeral(Struct, frozen=True, gc=False):
    """Digits in a stated base."""

    digits: str
    base: int


class Ratio(Struct, frozen=True, gc=False):
    """``a : b`` or ``a : b : c ...``."""

    parts: tuple["Node", ...]


class Congruence(Struct, frozen=True, gc=False):
    """``residue`` modulo ``modulus``."""

    residue: "Node"
    modulus: "Node"


class Clock(Struct, frozen=True, gc=False):
    """A time of day in seconds since midnight or noon.

    ``half`` is "am" or "pm", "24 am" or "24 pm" where the hour alone says so, "" where nothing does.
    """

    seconds: int
    half: str


class Date(Struct, frozen=True, gc=False):
    """A date; the year is 0 where the text gives none, the day is 0 for a month of a year; ``weekday`` may be ""."""

    year: int
    month: int
    day: int
    weekday: str = ""


class Choice(Struct, frozen=True, gc=False):
    """A lettered option, and what it says where the answer repeats that."""

    letter: str
    content: Union["Node", None] = None


class Words(Struct, frozen=True, gc=False):
    """Plain words in one spelling: lower case, single spaces, no articles; capitals alone keep their case."""

    text: str


class Raw(Struct, frozen=True, gc=False):
    """A text that cannot be read: equal to itself in another layout, and to nothing else."""

    text: str


Node = (
    Number | Symbol | Apply | Items | Matrix | Cases | Relation | SetOperation | NamedSet | Builder | Family | Quantity
    | Numeral | Ratio | Congruence | Clock | Date | Choice | Words | Raw
)  # fmt: skip

EXPRESSIONS = (Number, Symbol, Apply)
ORDERS = frozenset(("<", "<=", ">", ">=", "!="))
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "!=": "!=", "=": "="}


def is_inequality(tree: Node) -> bool:
    """Whether a tree is an inequality, or a chain of nothing else."""
    return isinstance(tree, Relation) and ORDERS.issuperset(tree.ops)


def add(*terms: Node) -> Node:
    """The sum of some terms."""
    return terms[0] if len(terms) == 1 else Apply("+", terms)


def multiply(*factors: Node) -> Node:
    """The product of some factors."""
    return factors[0] if len(factors) == 1 else Apply("*", factors)


def negate(tree: Node) -> Node:
    """The negative; of a number again a number, of a numeral a numeral."""
    if isinstance(tree, Number):
        return Number(-tree.value, tree.digits)
    if isinstance(tree, Numeral):
        return Numeral(f"-{tree.digits}".removeprefix("--"), tree.base)
    return Apply("*", (Number(-1), tree))


@functools.lru_cache(maxsize=2**13)
def _names(tree: Node) -> tuple[frozenset[str], frozenset[str]]:
    """The symbols of an expression and its operations, in one walk."""
    symbols: set[str] = set()
    operations: set[str] = set()
    pending: list[Node] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, Symbol):
            symbols.add(node.name)
        elif isinstance(node, Apply):
            operations.add(node.op)
            pending.extend(node.args)
        elif isinstance(node, Cases):
            pending.extend(part for branch in node.branches for part in branch)
        elif isinstance(node, Relation):
            pending.extend(node.sides)
    return frozenset(symbols), frozenset(operations)


def symbols(tree: Node) -> frozenset[str]:
    """The names of the symbols of an expression, constants too."""
    return _names(tree)[0]


def contains(tree: Node, *operations: str) -> bool:
    """Whether one of some operations occurs anywhere in an expression."""
    return isinstance(tree, Apply) and not _names(tree)[1].isdisjoint(operations)


def variables(tree: Node) -> frozenset[str]:
    """The names of the variables of an expression; constants are none."""
    return _names(tree)[0] - CONSTANTS


def bare_list(tree: Node) -> tuple[Node, ...] | None:
    """The items of a list without brackets; None for anything else."""
    return tree.items if isinstance(tree, Items) and tree.opening == "" else None


def substitute(tree: Node, new: dict[str, Node]) -> Node:
    """The tree with symbols replaced by name."""
    if isinstance(tree, Symbol):
        return new.get(tree.name, tree)
    if isinstance(tree, Apply):
        return Apply(tree.op, tuple(substitute(arg, new) for arg in tree.args))
    if isinstance(tree, Items):
        return Items(tree.opening, tree.closing, tuple(substitute(item, new) for item in tree.items))
    if isinstance(tree, Relation):
        return Relation(tuple(substitute(side, new) for side in tree.sides), tree.ops)
    return tree


FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "arccot",
        "arcsec",
        "arccsc",
        "sinh",
        "cosh",
        "tanh",
        "coth",
        "sech",
        "csch",
        "arcsinh",
        "arccosh",
        "arctanh",
        "ln",
        "log",
        "exp",
        "abs",
        "floor",
        "ceil",
        "gcd",
        "lcm",
        "max",
        "min",
        "det",
        "sgn",
        "Re",
        "Im",
        "conj",
    ]
)
OPERATIONS = FUNCTIONS | {"+", "*", "/", "^", "root", "!", "!!", "binom", "deg", "percent", "pm", "mp",
                          "sum", "prod", "int", "lim", "conj", "dim", "rank", "tr"}  # fmt: skip
