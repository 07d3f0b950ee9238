"""Which side of an equation is the name of what the other side says."""

from openmath.answers.trees import (
    EXPRESSIONS,
    PI,
    Apply,
    E,
    I,
    Items,
    Node,
    Number,
    Ratio,
    Symbol,
    Words,
    variables,
)  # fmt: skip

_EQUATION_LETTERS = frozenset("xyz")


def is_name(tree: Node) -> bool:
    """Whether the side of an equation names what the other side says: ``x``, ``f(x)``, ``|AB|``, ``\\angle ABC``."""
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
    if tree.op in ("abs", "norm"):
        return isinstance(tree.args[0], Symbol) and len(tree.args[0].name) > 1
    if tree.op[0] in "fghFGH" and len(tree.op) <= 5:
        return all(isinstance(arg, EXPRESSIONS) for arg in tree.args)
    if tree.op == "*" and len(tree.args) == 2:
        first, second = tree.args
        if first == Symbol("m") and isinstance(second, Symbol) and second.name.startswith("angle "):
            return True
        return isinstance(first, Symbol) and first.name[0].isupper() and isinstance(second, (Symbol, Number, Items))
    if tree.op == "/":
        return all(_is_differential(arg) for arg in tree.args)
    return tree.op in ("gcd", "lcm", "max", "min", "Re", "Im", "det", "dim", "rank", "tr") and bool(variables(tree))


def _is_differential(tree: Node) -> bool:
    return isinstance(tree, Apply) and tree.op == "*" and tree.args[0] in (Symbol("d"), Symbol("\\partial"))


def is_named_expression(name: Node, value: Node) -> bool:
    """An expression of other letters than x, y, z that has a constant value, ``a + b = 5``, or ``\\cos C = ...``."""
    if not isinstance(name, EXPRESSIONS) or not isinstance(value, EXPRESSIONS):
        return False
    letters = variables(name)
    of_one_letter = isinstance(name, Apply) and len(name.args) == 1 and isinstance(name.args[0], Symbol)
    if variables(value) and not (of_one_letter and letters.isdisjoint(variables(value))):
        return False
    return bool(letters) and not any(letter[0] in _EQUATION_LETTERS for letter in letters)


def name_words(tree: Node) -> str:
    return word(tree).removeprefix("name ").lower() if isinstance(tree, Symbol) and len(tree.name) > 1 else repr(tree)


def word(tree: Node) -> str:
    if isinstance(tree, Words):
        return tree.text
    return {E: "e", I: "i"}.get(tree.name, tree.name) if isinstance(tree, Symbol) else ""
