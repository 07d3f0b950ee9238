"""The part of the parser for expressions: sums, products, powers, and the atoms that they are made of."""

from collections.abc import Sequence

from openmath.answers.atoms import APPLIED, AtomParser
from openmath.answers.lexer import Token, UnreadableError
from openmath.answers.number_tokens import number
from openmath.answers.trees import (
    EXPRESSIONS,
    Apply,
    NamedSet,
    Node,
    Number,
    Symbol,
    add,
    multiply,
    negate,
    variables,
)
from openmath.answers.units import is_measure

_LINK_WORDS = frozenset(["in", "to", "of", "is", "by", "at", "as", "if", "no", "on", "th", "st", "nd", "rd", "mod"])


class ExpressionParser(AtomParser):
    """Parses expressions; a missing sign is a product."""

    def sum(self) -> Node:
        self.enter()
        terms: list[Node] = []
        kind = self.kind
        if kind in ("+", "-", "pm"):
            sign = self.advance()
            first = self.sum_sign() if kind in "+-" and self.kind in ("+", "-") else self.product()
            if kind == "-":
                first = negate(first)
            elif kind == "pm":
                first = Apply("pm" if sign == "+" else "mp", (Number(0), first))
            terms.append(first)
        else:
            terms.append(self.product())
        while True:
            kind = self.kind
            if kind == "+" or kind == "-":
                if isinstance(terms[-1], NamedSet):
                    break
                self.advance()
                term = self.sum_sign() if self.kind in ("+", "-") else self.product()
                terms.append(term if kind == "+" else negate(term))
            elif kind == "pm":
                sign = self.advance()
                term = self.product()
                left = add(*terms)
                terms = [Apply("pm" if sign == "+" else "mp", (left, term))]
            else:
                break
        self.depth -= 1
        return add(*terms)

    def sum_sign(self) -> Node:
        """A product behind a second sign: ``- -3``."""
        sign = self.kind
        self.advance()
        term = self.product()
        return negate(term) if sign == "-" else term

    def product(self) -> Node:
        tree = self.power()
        factors = [tree]
        while True:
            kind = self.kind
            if kind == "*":
                self.advance()
                factors.append(self.signed_power())
            elif kind == "/":
                if self.peek()[0] in ("t", "w") and not self.is_factor(self.peek()):
                    break
                self.advance()
                divisor = self.signed_power()
                factors = [Apply("/", (multiply(*factors), divisor))]
            elif self.starts_factor(factors):
                self.check_juxtaposed(factors[-1])
                factors.append(self.power())
            else:
                return multiply(*factors)
        return multiply(*factors)

    def signed_power(self) -> Node:
        if self.kind in ("-", "+"):
            sign = self.kind
            self.advance()
            tree = self.power()
            return negate(tree) if sign == "-" else tree
        return self.power()

    def is_factor(self, token: Token) -> bool:
        kind, value = token
        if kind == "w":
            return len(value) <= 3 and value not in _LINK_WORDS
        return False

    def starts_factor(self, before: Sequence[Node] = ()) -> bool:
        """Whether the next token begins a factor; behind mere numbers a unit of measurement does not."""
        kind = self.kind
        if kind in ("s", "(", "frac", "sqrt", "f", "binom", "lbar", "lfloor", "lceil", "deco", "big", "angle"):
            if kind == "(":
                return (self.peek()[0] not in ("mod", "t") or self.peek(2)[0] == ",") and not self.holds_condition()
            return True
        if kind in ("{", "begin", "n", "langle"):
            return True
        if kind == "[":
            return self.peek()[0] not in ("", "cup", "cap", ",", ")", "]", "rel", "and", "or")
        if kind == "|":
            return self.bars == 0 and not self.no_bars
        if kind == "w":
            numeric = bool(before) and not any(variables(factor) for factor in before)
            unit = numeric and is_measure(self.value()) and not (self.value() == "hr" and self.peek()[0] == "^")
            return self.is_factor(self.tokens[self.position]) and not unit
        return False

    def holds_condition(self) -> bool:
        """Whether the parentheses that open here hold a relation: ``x + 1 (x > 0)``."""
        depth = 0
        for kind, _ in self.tokens[self.position :]:
            depth += (kind == "(") - (kind == ")")
            if depth == 0:
                return False
            if kind == "rel" and depth == 1:
                return True
        return False

    def check_juxtaposed(self, before: Node) -> None:
        """A number directly behind something is no product, unless that is a group."""
        if self.kind == "n":
            last = self.tokens[self.position - 1][0]
            closed = last in (")", "!") or (last == "}" and isinstance(before, Apply) and before.op in ("/", "root"))
            if not closed or not isinstance(before, EXPRESSIONS):
                raise UnreadableError
        if self.kind == "[" and not isinstance(before, EXPRESSIONS):
            raise UnreadableError

    def power(self) -> Node:
        tree = self.atom()
        while True:
            kind = self.kind
            if kind == "!":
                self.advance()
                if self.kind == "!":
                    self.advance()
                    tree = Apply("!!", (tree,))
                else:
                    tree = Apply("!", (tree,))
            elif kind == "%":
                self.advance()
                tree = Apply("percent", (tree,))
            elif kind == "circ":
                self.advance()
                tree = self.degrees(tree)
            elif kind == "'":
                self.advance()
                tree = self.primed(tree)
            elif kind == "^":
                tree = self.raised(tree)
            else:
                return tree

    def primed(self, tree: Node) -> Node:
        """A letter with a prime, and what it is applied to."""
        if not isinstance(tree, Symbol):
            raise UnreadableError
        name = f"{tree.name}'"
        if self.kind == "(" and name[0] in APPLIED:
            return Apply(name, tuple(self.call_arguments()))
        return Symbol(name)

    def raised(self, tree: Node) -> Node:
        self.advance()
        if self.kind == "circ":
            self.advance()
            return self.degrees(tree)
        if self.kind == "'":
            self.advance()
            return self.primed(tree)
        if self.kind == "{":
            inner = self.peek()
            if inner[0] in ("circ", "'", "t", "w") and self.peek(2)[0] == "}":
                self.advance()
                value = self.advance()
                self.advance()
                if inner[0] == "circ":
                    return self.degrees(tree)
                if inner[0] == "'":
                    return self.primed(tree)
                if value in ("th", "st", "nd", "rd"):
                    return tree
                if value == "T" and not isinstance(tree, Number):
                    return Apply("^", (tree, Symbol("T")))
                raise UnreadableError
        if self.kind in ("t", "w") and self.value() in ("th", "st", "nd", "rd"):
            self.advance()
            return tree
        if isinstance(tree, NamedSet):
            if self.kind in ("+", "-", "*"):
                sign = self.kind
                self.advance()
                return NamedSet(tree.name + sign)
            if self.kind == "{" and self.peek()[0] in ("+", "-", "*") and self.peek(2)[0] == "}":
                self.advance()
                sign = self.kind
                self.advance()
                self.advance()
                return NamedSet(tree.name + sign)
            raise UnreadableError
        exponent = self.exponent()
        if not isinstance(exponent, EXPRESSIONS):
            raise UnreadableError
        return Apply("^", (tree, exponent))

    def exponent(self) -> Node:
        self.enter()
        if self.kind == "-" or self.kind == "+":
            sign = self.kind
            self.advance()
            tree = self.exponent()
            tree = negate(tree) if sign == "-" else tree
        elif self.kind == "{":
            tree = self.group("{", "}")
            if self.kind == "^":
                tree = self.raised(tree)
        else:
            self.split_word()
            tree = number(self.advance()) if self.kind == "n" else self.atom()
            if self.kind == "!":
                self.advance()
                tree = Apply("!", (tree,))
            if self.kind == "^":
                tree = self.raised(tree)
        self.depth -= 1
        return tree

    def degrees(self, tree: Node) -> Node:
        if self.kind == "n" and self.peek()[0] == "'":
            minutes = number(self.advance())
            self.advance()
            tree = add(tree, Apply("/", (minutes, Number(60))))
        if self.kind in ("s", "t") and self.value() in ("C", "F") and self.peek()[0] != "_":
            self.tokens[self.position] = ("t", "celsius" if self.value() == "C" else "fahrenheit")
            self.back_to(self.position)
        return Apply("deg", (tree,))

    def atom(self) -> Node:
        kind = self.kind
        method = _ATOMS.get(kind)
        if method is None:
            raise UnreadableError
        self.enter()
        tree: Node = getattr(self, method)()
        self.depth -= 1
        return tree


_ATOMS = {
    "n": "number_atom", "s": "symbol", "w": "word", "t": "word", "{": "braces", "set{": "set_braces",
    "(": "brackets", "[": "brackets", "]": "french_bracket", "|": "bars_atom", "lbar": "bars_atom",
    "norm": "bars_atom", "lfloor": "floor", "lceil": "floor", "langle": "angle_brackets", "frac": "fraction",
    "sqrt": "root", "binom": "binomial", "f": "function", "big": "big_operator", "deco": "decorated",
    "angle": "angle", "set": "named_set", "empty": "empty_set", "begin": "environment", "dots": "dots",
}  # fmt: skip
