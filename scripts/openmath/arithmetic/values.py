"""Sides of chains: read, reckoned out exactly, one operation at a time, and written."""

import re
from fractions import Fraction
from typing import NamedTuple

MAX_SIDE = 200
MAX_DIGITS = 15

Value = int | Fraction


class Number(NamedTuple):
    """A number and how it is written; ``text`` is empty where it was computed."""

    value: Value
    text: str


Tokens = list[Number | str]

PLAIN_NUMBER = re.compile(r"-? ?(?:[\d,]+(?:\.(\d*))?|\.(\d+)) *", re.ASCII)
_TOKEN = re.compile(r" *((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+|[-+*/()])", re.ASCII)
_RANGE = re.compile(r"(\d+)-(\d+)", re.ASCII)
_DATE = re.compile(r"\d{1,2}([-/])\d{1,2}\1(?:19|20)\d\d|(?:19|20)\d\d([-/])\d{1,2}\2\d{1,2}", re.ASCII)


def evaluate(side: str) -> Value | None:
    """The exact value of a side; None where it cannot be read, or is a range or a date."""
    if len(side) > MAX_SIDE or _DATE.fullmatch(side):
        return None
    interval = _RANGE.fullmatch(side)
    if interval is not None and int(interval[1]) < int(interval[2]):
        return None
    tokens = read(side)
    if tokens is None:
        return None
    while len(tokens) > 1:
        if not reduce(tokens):
            return None
    return tokens[0].value if isinstance(tokens[0], Number) else None


def read(side: str) -> Tokens | None:
    """Numbers, operators and parentheses (of more than one number) of a side; None unless they form an expression.

    A minus that no operand precedes becomes the sign of its number, or ``-1 *`` before a parenthesis. ``--`` and ``+-``
    are no expression (a dash, plus or minus); ``+ -`` is.
    """
    tokens: Tokens = []
    position, depth, sign, needs_operand = 0, 0, False, True
    while position < len(side):
        match = _TOKEN.match(side, position)
        if match is None:
            return None
        token, position = match[1], match.end()
        if token[0].isdigit() or token[0] == ".":
            if not needs_operand:
                return None
            value = _number(token)
            tokens.append(Number(-value, f"-{token}") if sign else Number(value, token))
            sign = needs_operand = False
        elif token == "(":
            if not needs_operand or (sign and tokens and tokens[-1] in ("*", "/")):
                return None
            tokens += [Number(-1, "-1"), "*", "("] if sign else ["("]
            depth, sign = depth + 1, False
        elif token == ")":
            if needs_operand or depth == 0:
                return None
            if tokens[-2] == "(":
                del tokens[-2]
            else:
                tokens.append(token)
            depth -= 1
        elif not needs_operand:
            tokens.append(token)
            needs_operand = True
        elif token == "-" and not sign and not (match[0] == "-" and tokens and tokens[-1] in ("+", "-")):
            sign = True
        else:
            return None
    return None if needs_operand or depth else tokens


def _number(text: str) -> Value:
    whole, _, decimals = text.replace(",", "").partition(".")
    if not decimals:
        return int(whole)
    return Fraction(int(whole + decimals), 10 ** len(decimals))


def reduce(tokens: Tokens) -> bool:
    """Do the next operation of an expression in its place; False where it divides by zero.

    No parentheses hold a single number, before and after.
    """
    first, last = 0, len(tokens)
    if ")" in tokens:
        last = tokens.index(")")
        first = last - 1
        while tokens[first] != "(":
            first -= 1
        first += 1
    at = next((at for at in range(first + 1, last, 2) if tokens[at] in ("*", "/")), first + 1)
    value = _apply(tokens[at - 1], tokens[at], tokens[at + 1])
    if value is None:
        return False
    tokens[at - 1 : at + 2] = [Number(value, "")]
    if first + 3 == last:
        while first and tokens[first - 1] == "(" and tokens[first + 1] == ")":
            del tokens[first + 1], tokens[first - 1]
            first -= 1
    return True


def _apply(left: Number | str, operator: Number | str, right: Number | str) -> Value | None:
    assert isinstance(left, Number)
    assert isinstance(right, Number)
    if operator == "+":
        return left.value + right.value
    if operator == "-":
        return left.value - right.value
    if operator == "*":
        return left.value * right.value
    if right.value == 0:
        return None
    return Fraction(left.value) / right.value


def write(tokens: Tokens) -> str | None:
    """Tokens as text, with spaces around operators; None where a value is no finite decimal, or has too many digits.

    A negative value stands in parentheses where it follows an operator.
    """
    text = ""
    for token in tokens:
        if isinstance(token, Number):
            written = token.text or _decimal(token.value)
            if written is None:
                return None
            text += f"({written})" if token.value < 0 and text.endswith(" ") else written
        else:
            text += token if token in "()" else f" {token} "
    return text


def _decimal(value: Value) -> str | None:
    """The finite decimal of a value, or None.

    >>> _decimal(Fraction(-5, 8)), _decimal(Fraction(1, 3)), _decimal(Fraction(6, 2))
    ('-0.625', None, '3')
    """
    numerator, denominator = value.numerator, value.denominator
    places = 0
    while denominator != 1 and places < MAX_DIGITS:
        numerator, places = numerator * 10, places + 1
        shared = Fraction(numerator, denominator)
        if shared.denominator == 1:
            numerator, denominator = shared.numerator, 1
    digits = str(abs(numerator))
    if denominator != 1 or len(digits) > MAX_DIGITS:
        return None
    if places:
        digits = digits.rjust(places + 1, "0")
        digits = f"{digits[:-places]}.{digits[-places:]}"
    return f"-{digits}" if numerator < 0 else digits
