"""Which side of an equation is the name of what the other side says."""

from openmath.answers.trees import (
    EXPRESSIONS,
    PI,
    Apply,
    E,
    I,
    Items,
    Node,
    Ratio,
    Symbol,
    variables,
)  # fmt: skip

_EQUATION_LETTERS = frozenset("xyz")


def is_name(tree: Node) -> bool:
    """Whether the side of an equation names what the other side says: ``x``, ``f(x)``, ``dy/dx``, ``m\\angle ABC``."""
    if isinstance(tree, Symbol):
        return tree.name not in (PI, E, I)
    if isinstance(tree, Ratio):
        return all(is_name(part) for part in tree.parts)
    if isinstance(tree, Items):
        return tree.opening in ("(", "") and all(is_name(item) for item in tree.items)
    if not isinstance(tree, Apply):
        return False
    if tree.op == "int":
        return len(tree.args) == 2
    if tree.op[0] in "fghFGH" and len(tree.op) <= 5:
        return all(isinstance(arg, EXPRESSIONS) for arg in tree.args)
    if tree.op == "*" and len(tree.args) == 2:
        first, second = tree.args
        return first == Symbol("m") and isinstance(second, Symbol) and second.name.startswith("angle ")
    return tree.op == "/" and all(_is_differential(arg) for arg in tree.args)


def _is_differential(tree: Node) -> bool:
    return isinstance(tree, Apply) and tree.op == "*" and tree.args[0] in (Symbol("d"), Symbol("\\partial"))


def is_named_expression(name: Node, value: Node) -> bool:
    """An expression of other letters than x, y, z that has a constant value, ``a + b = 5``, or ``\\cos C = ...``."""
    letters = variables(name)
    of_one_letter = isinstance(name, Apply) and len(name.args) == 1 and isinstance(name.args[0], Symbol)
    if variables(value) and not (of_one_letter and letters.isdisjoint(variables(value))):
        return False
    return bool(letters) and not any(letter[0] in _EQUATION_LETTERS for letter in letters)


def name_words(tree: Node) -> str:
    return word(tree).removeprefix("name ").lower() if isinstance(tree, Symbol) and len(tree.name) > 1 else repr(tree)


def word(tree: Node) -> str:
    return {E: "e", I: "i"}.get(tree.name, tree.name) if isinstance(tree, Symbol) else ""
