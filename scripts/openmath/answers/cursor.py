"""Walking along tokens: the part of the parser that knows nothing of answers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from openmath.answers.lexer import Token, UnreadableError
from openmath.answers.trees import Node

MAX_DEPTH = 60
_END: Token = ("", "")


class Cursor(ABC):
    """A position in a list of tokens; ``kind`` is the kind of the token there, "" at the end.

    ``bars`` counts the absolute values that are open, in which a bar closes; ``no_bars`` forbids a bar to open one.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        tokens.append(_END)
        self.position = 0
        self.kind = tokens[0][0]
        self.depth = 0
        self.bars = 0
        self.no_bars = False

    def advance(self) -> str:
        if self.position + 1 >= len(self.tokens):
            raise UnreadableError
        value = self.tokens[self.position][1]
        self.position += 1
        self.kind = self.tokens[self.position][0]
        return value

    def back_to(self, position: int) -> None:
        self.position = position
        self.kind = self.tokens[position][0]

    def value(self) -> str:
        return self.tokens[self.position][1]

    def peek(self, ahead: int = 1) -> Token:
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else _END

    def expect(self, kind: str) -> None:
        if self.kind != kind:
            raise UnreadableError
        self.advance()

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableError

    @abstractmethod
    def listing(self, closers: frozenset[str] = frozenset()) -> Node:
        """Items up to the end or a closing bracket."""

    @abstractmethod
    def item(self) -> Node:
        """One item of a list."""

    @abstractmethod
    def sum(self) -> Node:
        """A sum, the largest expression."""

    @abstractmethod
    def product(self) -> Node:
        """A product."""

    @abstractmethod
    def atom(self) -> Node:
        """What no operator divides."""

    @abstractmethod
    def exponent(self) -> Node:
        """What stands behind a caret."""

    @abstractmethod
    def subscript(self, name: str) -> str:
        """The name of a letter with its index."""

    @abstractmethod
    def argument(self) -> Node:
        """The argument of a command."""

    @abstractmethod
    def raised(self, tree: Node) -> Node:
        """A tree to the power behind the caret at the position."""

    @abstractmethod
    def power(self) -> Node:
        """An atom with what stands behind it."""

    @abstractmethod
    def starts_factor(self, before: Sequence[Node] = ()) -> bool:
        """Whether the next token begins a factor."""

    @abstractmethod
    def holds_condition(self) -> bool:
        """Whether the parentheses that open here hold a relation."""
