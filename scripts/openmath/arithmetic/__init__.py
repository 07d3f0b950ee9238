r"""Plain arithmetic in the text of a solution: whether it is right, and written out step by step.

A *chain* is what stands between two characters that are none of ``0-9 . + - * / = ( )`` and the space; a comma belongs
to it inside of a number (1,000) and ends it elsewhere, as a full stop before a space does. ``=`` parts it into sides:

    text                     sides                  what is said of it
    5 * 3 = 15 pens          5 * 3 | 15             right
    10/3 = 3.33 = 3.3        10/3 | 3.33 | 3.3      right: numbers rounded to the digits that they show
    1/3 = 0.34               1/3 | 0.34             wrong
    Total = 2 + 3 = 6        2 + 3 | 6              wrong: what stands before the first = is another side, not seen
    Day 2 = 5 + 3 = 8        5 + 3 | 8              right: a number alone after a word belongs to the word
    x - 1 + 2 = 3            3                      nothing: x belongs to the first side, which is left out
    1 + 2 = 3x, = 3^2, = 3!  1 + 2                  nothing: the last side goes on, and is left out
    4 + 5% = 9               9                      nothing
    - 5 + 3 = 8              5 + 3 | 8              right: the mark of a list, or a sign; wrong only if both are
    2 1/2 + 1 = 4            unreadable             nothing: numbers side by side
    28 / 1/5 = 140           28 / 1/5 | 140         right: either way to read it will do
    2(3 + 1) = 9, 1/0 = 3    unreadable             nothing
    pages 2-3 = 2            unreadable             nothing: a range; 1/2/2024 is a date

The first side that is left holds for all: another is wrong where it differs by more than 1e-4 of the larger of the two,
and neither is the rounding of the other to the digits that it shows. Nothing is said where one side is unreadable, of
chains with a single operator (2 = 3), and of sides longer than ``MAX_SIDE``.

A right solution that is thrown away is lost, a wrong chain that is kept does little harm. So a side is left out where
what touches it is not known to be harmless (a line's end, punctuation, a word of prose, ``$`` and its like), and a
mismatch is forgiven where the text denies it (``= 6, which is not``) or reckons otherwise (mod 7, base 8,
``a * b = ...``).

Values are exact (integers and fractions); nothing of the text is executed. The time is linear in the length of text.
"""

import re
from fractions import Fraction

from openmath.arithmetic.chains import NEAR, Chain, chains_of
from openmath.arithmetic.neighbours import may_be_bullet, touches_after, touches_before
from openmath.arithmetic.values import MAX_SIDE, PLAIN_NUMBER, Number, Value, evaluate, read, reduce, write

MAX_STEPS = 20

_WHOLE_NUMBERS = re.compile(r"(\d{1,9}) *([-+*/]) *(\d{1,9}) *= *(\d{1,9})", re.ASCII)
_NEGATED = re.compile(r"(?:\A|[-+*/(]) *- *\(")
# 28 / 1/5, which many write for 28 / (1/5).
_FRACTION_BELOW = re.compile(r"/ *(\d+) */ *(\d+)", re.ASCII)
# How a first side begins that goes on to the left, and how a last one ends that goes on to the right, or is not there.
_GOES_ON_LEFT, _GOES_ON_RIGHT = ("", "+", "*", "/"), ("", "+", "-", "*", "/")
_DENIAL_AFTER = re.compile(
    r"\b(?:not|no|false|incorrect|wrong|contradict\w*|impossible|invalid|cannot|remainder|round(?:ed|ing|s)?|approx\w*|"
    r"nearest|base|mod(?:ulo)?)\b|n't|≠|\\neq?\b",
    re.IGNORECASE,
)
_DENIAL_BEFORE = re.compile(r"\b(?:not|if|suppose|whether|base|wrong|incorrect|instead of)\b|n't", re.IGNORECASE)
# Texts whose signs mean something else: residues, other bases, operations of their own.
_OTHER_ARITHMETIC = re.compile(
    r"\bmod(?:ulo|ular|ulus)?\b|\\[pb]mod\b|\bbase[- ]\$?\d|\bbinary\b|\boctal\b|\d_\{?\d|[a-zA-Z] ?\* ?[a-zA-Z] ?="
)
_CONVERSION_AFTER = re.compile(r"[ $]*(?:\\text\{ *)?[^\W\d_]{2}")
_UNIT_FACTORS = (7, 12, 24, 60, 100, 1000)


def has_wrong_arithmetic(text: str) -> bool:
    r"""Whether some plain arithmetic chain of a text is wrong.

    >>> has_wrong_arithmetic("He pays 5 * 3 = 15 dollars, or $15 + 1/3 = 15.33$ with the fee.")
    False
    >>> has_wrong_arithmetic("He pays 5 * 3 = 16 dollars.")
    True
    >>> has_wrong_arithmetic(r"$x + 2 + 3 = 5$, \frac{1}{2} + 1 = 3, 2 + 3 = 5\%, 1 + 2 = 3^2")
    False
    """
    return find_wrong_arithmetic(text) is not None


def find_wrong_arithmetic(text: str) -> str | None:
    """The first chain of a text that is wrong, as it stands there, or None.

    >>> find_wrong_arithmetic("First 1 + 1 = 2. So we have 1,000 + 5 = 1,050.")
    '1,000 + 5 = 1,050'
    """
    for chain in chains_of(text):
        if _is_wrong(text, chain) and not is_forgiven(text, chain):
            return None if _OTHER_ARITHMETIC.search(text) else text[chain.start : chain.end]
    return None


def split_arithmetic(text: str) -> str:
    """Write every expression of several operations out in steps of one: ``a + b + c = r`` becomes ``... = d + c = r``.

    Innermost parentheses come first, then ``*`` and ``/`` from the left, then ``+`` and ``-``. A chain stays as it is
    unless it has two sides, the second a number that equals the first exactly, and every value on the way is a finite
    decimal; so does one that touches what is not read, or that takes more than ``MAX_STEPS``.

    >>> split_arithmetic("That is 1 + 7 * 19 = 134 in all, and 3 * (1 + 7) / 4 = 6.")
    'That is 1 + 7 * 19 = 1 + 133 = 134 in all, and 3 * (1 + 7) / 4 = 3 * 8 / 4 = 24 / 4 = 6.'
    """
    parts, done = [], 0
    for chain in chains_of(text):
        steps = _steps(text, chain)
        if steps is not None:
            parts += [text[done : chain.start], steps]
            done = chain.end
    return "".join([*parts, text[done:]]) if parts else text


def _is_wrong(text: str, chain: Chain) -> bool:
    if _is_plainly_right(text, chain):
        return False
    sides = [side.strip(" ") for side in text[chain.start : chain.end].split("=")]
    opens, closes = sides[0][:1] not in _GOES_ON_LEFT, sides[-1][-1:] not in _GOES_ON_RIGHT
    sides = sides[not opens : len(sides) - (not closes)]
    if _agree(sides):
        return False
    if closes and touches_after(text, chain):
        sides.pop()
    if opens and sides:
        if touches_before(text, chain):
            sides.pop(0)
        elif sides[0][0] == "-" and may_be_bullet(text, chain) and _agree([sides[0][1:].lstrip(" "), *sides[1:]]):
            return False
    return not _agree(sides) and not _agree([_FRACTION_BELOW.sub(r"/(\1/\2)", side) for side in sides])


def _is_plainly_right(text: str, chain: Chain) -> bool:
    """Whether a chain is one right operation on whole numbers, as most are: nothing else has to be asked of it then."""
    match = _WHOLE_NUMBERS.fullmatch(text, chain.start, chain.end)
    if match is None:
        return False
    left, operator, right, result = int(match[1]), match[2], int(match[3]), int(match[4])
    if operator == "+":
        return left + right == result
    if operator == "-":
        return left - right == result
    if operator == "*":
        return left * right == result
    return right != 0 and left == right * result


def _agree(sides: list[str]) -> bool:
    """Whether nothing is wrong with sides: all equal the first, or nothing can be said."""
    if len(sides) < 2 or (len(sides) == 2 and all(PLAIN_NUMBER.fullmatch(side) for side in sides)):
        return True
    values = []
    for side in sides:
        value = evaluate(side)
        if value is None:
            return True
        values.append(value)
    first = values[0]
    return all(
        value == first
        or _is_near(value, first)
        or _is_rounding(side, value, first)
        or _is_rounding(sides[0], first, value)
        for side, value in zip(sides[1:], values[1:], strict=True)
    )


def _is_near(one: Value, other: Value) -> bool:
    left, right = Fraction(one), Fraction(other)
    return 10_000 * abs(left - right) <= max(abs(left), abs(right))


def _is_rounding(side: str, shown: Value, exact: Value) -> bool:
    """Whether a side is a number that shows the digits to which ``exact`` was rounded; half may go either way."""
    match = PLAIN_NUMBER.fullmatch(side)
    if match is None or shown == 0:
        return False
    decimals = len(match[1] or match[2] or "")
    return 2 * abs(Fraction(shown) - exact) * 10**decimals <= 1


def is_forgiven(text: str, chain: Chain) -> bool:
    """Whether what is said around a chain denies it, or names another unit."""
    after = text[chain.end : chain.end + NEAR].partition("\n")[0]
    before = text[max(0, chain.start - NEAR) : chain.start].rpartition("\n")[2]
    if _CONVERSION_AFTER.match(after) and _is_conversion(text[chain.start : chain.end]):
        return True
    return _DENIAL_AFTER.search(after) is not None or _DENIAL_BEFORE.search(before) is not None


def _is_conversion(chain: str) -> bool:
    """Whether two sides differ by the factor of two units: ``1 / 2 = 30`` minutes."""
    first, last = (evaluate(side.strip(" ")) for side in chain.split("=")[-2:])
    return first is not None and last is not None and any(Fraction(last) == first * factor for factor in _UNIT_FACTORS)


def _steps(text: str, chain: Chain) -> str | None:
    if _WHOLE_NUMBERS.fullmatch(text, chain.start, chain.end):
        return None
    sides = text[chain.start : chain.end].split("=")
    if len(sides) != 2 or not PLAIN_NUMBER.fullmatch(sides[1].strip(" ")):
        return None
    result = evaluate(sides[1].strip(" "))
    left = sides[0].strip(" ")
    mark = ""
    if left.startswith("- ") and may_be_bullet(text, chain) and evaluate(left) != result:
        left = left[1:].lstrip(" ")
        mark = sides[0][: sides[0].index(left)] if left else ""
    written = _written_out(left, result)
    if written is None or text[chain.start - 1 : chain.start] == "<":
        return None
    if touches_before(text, chain) or touches_after(text, chain):
        return None
    return " = ".join([mark + left, *written, sides[1].strip(" ")])


def _written_out(side: str, result: Value | None) -> list[str] | None:
    """The expressions between a side and its value, or None where there are none or not all can be written."""
    tokens = read(side)
    if tokens is None or result is None or len(side) > MAX_SIDE or _NEGATED.search(side):
        return None
    written: list[str] = []
    while len(tokens) > 1:
        if len(written) > MAX_STEPS or not reduce(tokens):
            return None
        if (line := write(tokens)) is None:
            return None
        written.append(line)
    if len(written) < 2 or not isinstance(tokens[0], Number) or tokens[0].value != result:
        return None
    return written[:-1]
