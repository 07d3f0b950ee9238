"""Exact values of written numbers: ``\\frac{3}{4}``, ``0.75``, ``7\\frac{1}{2}``, ``2^{10}``, ``1.5 \\times 10^{-3}``.

A recursive-descent reader over a closed grammar; it must consume the whole text and gives up (``None``) on anything
else. Values are ``fractions.Fraction``: no float takes part, so nothing is "close". Length, depth and the size of
powers are bounded, because the text comes from a model.

    sum     = product (("+" | "-") product)*
    product = signed (("*" | "/" | "\\cdot" | "\\times") signed | "(" sum ")")*
    signed  = ("-" | "+") signed | power
    power   = atom ["!"] ["^" exponent]
    atom    = number | number fraction (a mixed number) | fraction | binomial | "(" sum ")" | "{" sum "}"
    fraction, binomial = ("\\frac" | "\\binom") "{" sum "}" "{" sum "}"
"""

import math
import re
from fractions import Fraction

MAX_LENGTH = 300
MAX_DEPTH = 20
MAX_EXPONENT = 1000
MAX_FACTORIAL = 1000
MAX_BITS = 20_000

_TOKEN = re.compile(
    r"\s*(?:(?P<repeating>\d*\.\d*\\overline\{\d+\})|(?P<number>\d+\.?\d*|\.\d+)"
    r"|(?P<command>\\frac|\\binom|\\cdot|\\times)|(?P<sign>[-+*/^!(){}]))"
)


class _NotRationalError(Exception):
    pass


def read_rational(text: str) -> Fraction | None:
    """The exact value of ``text``, or None if it is no rational number that this grammar can write.

    >>> read_rational("7\\\\frac{3}{4}"), read_rational("-0.5"), read_rational("0.\\\\overline{3}")
    (Fraction(31, 4), Fraction(-1, 2), Fraction(1, 3))
    >>> read_rational("2^{10}"), read_rational("x"), read_rational("1/0")
    (Fraction(1024, 1), None, None)
    """
    if not text or len(text) > MAX_LENGTH:
        return None
    try:
        reader = _Reader(_tokens(text))
        value = reader.sum(0)
        reader.expect("")
    except _NotRationalError:
        return None
    return value


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _NotRationalError
        tokens.append(match.group().strip())
        position = match.end()
    return [*tokens, ""]


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0

    @property
    def token(self) -> str:
        return self.tokens[self.position]

    def take(self) -> str:
        token = self.token
        self.position += 1
        return token

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise _NotRationalError

    def sum(self, depth: int) -> Fraction:
        if depth > MAX_DEPTH:
            raise _NotRationalError
        value = self.product(depth)
        while self.token in ("+", "-"):
            value = (
                _bounded(value + self.product(depth)) if self.take() == "+" else _bounded(value - self.product(depth))
            )
        return value

    def product(self, depth: int) -> Fraction:
        value = self.signed(depth)
        while self.token in ("*", "/", r"\cdot", r"\times", "("):
            operator = "*" if self.token == "(" else self.take()
            operand = self.signed(depth)
            value = _quotient(value, operand) if operator == "/" else _bounded(value * operand)
        return value

    def signed(self, depth: int) -> Fraction:
        negative = False
        while self.token in ("+", "-"):
            negative ^= self.take() == "-"
        value = self.power(depth)
        return -value if negative else value

    def power(self, depth: int) -> Fraction:
        base = self.atom(depth)
        if self.token == "!":
            self.take()
            base = Fraction(math.factorial(_small_natural(base)))
            if self.token == "!":
                raise _NotRationalError
        if self.token != "^":
            return base
        self.take()
        if self.token == "{":
            exponent = self.braced(depth)
        elif len(self.token) == 1 and self.token.isdigit():
            exponent = Fraction(self.take())
        else:
            raise _NotRationalError
        if self.token == "^" or exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT:
            raise _NotRationalError
        if base == 0 and exponent <= 0:
            raise _NotRationalError
        if (base.numerator.bit_length() + base.denominator.bit_length()) * abs(exponent.numerator) > MAX_BITS:
            raise _NotRationalError
        return Fraction(base**exponent.numerator)

    def atom(self, depth: int) -> Fraction:
        token = self.take()
        if token == r"\frac":
            numerator = self.braced(depth)
            return _quotient(numerator, self.braced(depth))
        if token == r"\binom":
            top = _small_natural(self.braced(depth))
            return Fraction(math.comb(top, _small_natural(self.braced(depth))))
        if token == "(":
            value = self.sum(depth + 1)
            self.expect(")")
            return value
        if token == "{":
            self.position -= 1
            return self.braced(depth)
        if not token or token[0] not in "0123456789.":
            raise _NotRationalError
        if token.endswith("}"):
            return _repeating(token)
        if self.token != r"\frac":
            return Fraction(token)
        mixed = self.tokens[self.position : self.position + 7]
        if not token.isdigit() or [*mixed[1:2], *mixed[3:5], *mixed[6:]] != ["{", "}", "{", "}"]:
            raise _NotRationalError
        if not (mixed[2].isdigit() and mixed[5].isdigit()):
            raise _NotRationalError
        self.position += 7
        return Fraction(token) + _quotient(Fraction(mixed[2]), Fraction(mixed[5]))

    def braced(self, depth: int) -> Fraction:
        self.expect("{")
        value = self.sum(depth + 1)
        self.expect("}")
        return value


def _repeating(token: str) -> Fraction:
    plain, period = token[:-1].split(r"\overline{")
    whole, decimals = plain.split(".")
    scale = 10 ** len(decimals)
    return Fraction(int(whole + decimals or "0"), scale) + Fraction(int(period), scale * (10 ** len(period) - 1))


def _small_natural(value: Fraction) -> int:
    if value.denominator != 1 or not 0 <= value <= MAX_FACTORIAL:
        raise _NotRationalError
    return value.numerator


def _quotient(numerator: Fraction, denominator: Fraction) -> Fraction:
    if denominator == 0:
        raise _NotRationalError
    return _bounded(numerator / denominator)


def _bounded(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
        raise _NotRationalError
    return value
