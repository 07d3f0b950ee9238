"""The part of the parser for what expressions are made of: numbers, letters, words, fractions, roots."""

from fractions import Fraction

from openmath.answers.functions import FunctionParser
from openmath.answers.lexer import UnreadableError
from openmath.answers.number_tokens import number, numeral
from openmath.answers.trees import (
    EXPRESSIONS,
    Apply,
    E,
    I,
    Items,
    Matrix,
    Node,
    Number,
    Symbol,
    multiply,
)
from openmath.answers.units import is_measure

APPLIED = frozenset("fghFGH")
_NAMED = ["(", "s", ")", "rel"]


class AtomParser(FunctionParser):
    """Parses atoms, and the arguments of commands."""

    def number_atom(self) -> Node:
        text = self.advance()
        if self.kind == "_":
            return self.numeral(text)
        tree = number(text)
        if self.kind == "{" and self.peek()[0] == "frac":
            return self.braced_mixed(tree, text)
        if self.kind == "frac" or (self.kind == "n" and text.isdigit()):
            return self.mixed(tree, text)
        return tree

    def braced_mixed(self, whole: Number, text: str) -> Node:
        position = self.position
        self.advance()
        tree = self.mixed(whole, text)
        if tree is not whole and self.kind == "}":
            self.advance()
            return tree
        self.back_to(position)
        return whole

    def mixed(self, whole: Number, text: str) -> Node:
        """``3\\frac{1}{2}`` and ``3 1/2``; anything but a proper fraction of naturals behind a natural is a product."""
        if self.kind == "n":
            slash, below = self.peek(), self.peek(2)
            if slash[0] != "/" or below[0] != "n":
                raise UnreadableError
            dividend = self.advance()
            self.advance()
            divisor = self.advance()
            if not (dividend.isdigit() and divisor.isdigit() and int(divisor) > 0):
                raise UnreadableError
            return Number(whole.value + Fraction(int(dividend), int(divisor)))
        if not text.replace(",", "").isdigit():
            return whole
        position = self.position
        saved = self.tokens[position : position + 6]
        fraction = self.fraction()
        raised = self.kind == "^" and "circ" not in (self.peek()[0], self.peek(2)[0])
        part = _proper_fraction(fraction)
        if part is not None and not raised:
            return Number(whole.value + part)
        self.tokens[position : position + 6] = saved
        self.back_to(position)
        return whole

    def numeral(self, text: str) -> Node:
        self.advance()
        if self.kind == "{":
            self.advance()
            base_text = self.advance()
            self.expect("}")
        else:
            base_text = self.advance()
        digits = text.replace(",", "")
        tree = numeral(digits, base_text) if digits.replace(".", "").isdigit() else None
        if tree is None:
            raise UnreadableError
        return tree

    def symbol(self) -> Node:
        name = self.advance()
        if name == "e":
            name = E
        elif name == "i":
            name = I
        if self.kind == "_":
            name = self.subscript(name)
        if self.kind == "(" and [token[0] for token in self.tokens[self.position : self.position + 4]] == _NAMED:
            for _ in range(3):
                self.advance()
            return Symbol(name)
        if self.kind == "(" and name[0].isupper() and self.holds_condition():
            return self.probability(name)
        if name in APPLIED and self.kind == "(":
            return Apply(name, tuple(self.call_arguments()))
        if name in APPLIED and self.kind == "^" and "'" not in (self.peek()[0], self.peek(2)[0]):
            self.advance()
            exponent = self.exponent()
            if self.kind == "(" and exponent == Number(-1):
                return Apply(f"{name}^-1", tuple(self.call_arguments()))
            return Apply("^", (Symbol(name), exponent))
        return Symbol(name)

    def probability(self, name: str) -> Node:
        """``P(X \\le 2)`` is a name of its own."""
        parts, depth = [name], 0
        while True:
            kind, value = self.tokens[self.position]
            depth += (kind == "(") - (kind == ")")
            parts.append(value or kind)
            self.advance()
            if depth == 0:
                return Symbol("name " + "".join(parts))

    def subscript(self, name: str) -> str:
        self.advance()
        name = name.replace(E, "e").replace(I, "i")
        if self.kind == "{":
            depth, parts = 0, []
            while True:
                kind, value = self.tokens[self.position]
                depth += (kind == "{") - (kind == "}")
                self.advance()
                if depth == 0:
                    break
                if not (kind == "{" and depth == 1):
                    parts.append(value or kind)
            return f"{name}_{_index(parts)}"
        if self.kind not in ("n", "s", "t", "w", "*"):
            raise UnreadableError
        return f"{name}_{self.advance() or '*'}"

    def word(self) -> Node:
        word = self.value()
        if self.kind == "t":
            if len(word) == 1:
                self.advance()
                return self.subscripted(word)
            if word.isupper() and len(word) <= 4:
                self.advance()
                return Symbol(word)
            return self.named_text()
        if word.isupper() and len(word) <= 4:
            self.advance()
            return self.subscripted(word)
        if len(word) > 4 or (len(word) == 4 and not word.islower()) or (is_measure(word) and len(word) > 2):
            return self.named_text()
        self.advance()
        letters = [Symbol({"e": E, "i": I}.get(letter, letter)) for letter in word]
        if self.kind == "_":
            letters[-1] = Symbol(self.subscript(letters[-1].name))
        if self.kind == "^":
            letters[-1:] = [self.raised(letters[-1])]  # type: ignore[list-item]
        return multiply(*letters)

    def subscripted(self, name: str) -> Node:
        return Symbol(self.subscript(name) if self.kind == "_" else name)

    def named_text(self) -> Node:
        """Words before an equals sign are a name: ``\\text{Area} = 5``."""
        words = []
        while self.kind in ("t", "w", "s"):
            words.append(self.advance())
        if self.kind == ":":
            self.tokens[self.position] = ("rel", "=")
            self.back_to(self.position)
        if self.kind == "(" and self.peek(2)[0] == ")":
            words.append("(" + self.peek()[1] + ")")
            self.advance(), self.advance(), self.advance()
        if self.kind != "rel" or self.value() not in ("=", "approx") or len(words) > 6:
            raise UnreadableError
        if words[-1] in ("is", "are"):
            words.pop()
        return Symbol("name " + " ".join(words).lower())

    def argument(self) -> Node:
        """The argument of a command: a brace group, or one token (of a number one digit)."""
        if self.kind == "n":
            text = self.value()
            if len(text) > 1 and text.isdigit():
                self.tokens[self.position] = ("n", text[1:])
                return Number(int(text[0]))
            self.advance()
            return number(text)
        self.split_word()
        return self.atom()

    def split_word(self) -> None:
        """An argument without braces is one letter: ``e^xy`` is e^x y."""
        if self.kind == "w":
            word = self.value()
            self.tokens[self.position : self.position + 1] = [
                ("s", word[0]),
                ("s" if len(word) == 2 else "w", word[1:]),
            ]
            self.back_to(self.position)

    def fraction(self) -> Node:
        self.advance()
        above = self.argument()
        below = self.argument()
        if not isinstance(below, EXPRESSIONS):
            raise UnreadableError
        if not isinstance(above, EXPRESSIONS):
            if isinstance(above, (Items, Matrix)):
                return multiply(Apply("/", (Number(1), below)), above)
            raise UnreadableError
        return Apply("/", (above, below))

    def root(self) -> Node:
        self.advance()
        index: Node = Number(2)
        if self.kind == "[":
            self.advance()
            index = self.sum()
            self.expect("]")
        # Plain notation writes sqrt25 for the root of 25; more digits than a few are LaTeX without braces.
        short = self.kind == "n" and len(self.value()) < 5
        return Apply("root", (number(self.advance()) if short else self.argument(), index))

    def binomial(self) -> Node:
        self.advance()
        if self.kind == "(":
            arguments = self.call_arguments()
            if len(arguments) != 2:
                raise UnreadableError
            return Apply("binom", tuple(arguments))
        return Apply("binom", (self.argument(), self.argument()))

    def decorated(self) -> Node:
        """A letter under a bar, an arrow or a hat is that letter."""
        self.advance()
        position = self.position
        if self.kind == "{":
            self.advance()
            letters = []
            while self.kind in ("s", "w", "t", "n"):
                letters.append(self.advance())
                if self.kind == "_":
                    letters[-1] = self.subscript(letters[-1])
            if self.kind != "}":
                self.back_to(position)
                return Apply("conj", (self.group("{", "}"),))
            self.advance()
        else:
            letters = [self.advance()]
        name = "".join(letters)
        if not name or name.isdigit():
            raise UnreadableError
        return self.subscripted({"e": E, "i": "i", "I": "I"}.get(name, name))


def _proper_fraction(tree: Node) -> Fraction | None:
    """The value of a fraction of naturals below 1."""
    if isinstance(tree, Apply) and tree.op == "/":
        above, below = tree.args
        if isinstance(above, Number) and isinstance(below, Number):
            whole = isinstance(above.value, int) and isinstance(below.value, int)
            return Fraction(above.value) / below.value if whole and 0 < above.value < below.value else None
    return None


def _index(parts: list[str]) -> str:
    """An index in one order: ``n+1`` for ``1+n``."""
    return " + ".join(sorted(" ".join(parts).split(" + "), reverse=True))
