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
import string
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

MAX_SIDE = 200
MAX_CHAIN = 1000
MAX_STEPS = 20
MAX_DIGITS = 15
_NEAR = 60

Value = int | Fraction


class _Number(NamedTuple):
    """A number and how it is written; ``text`` is empty where it was computed."""

    value: Value
    text: str


_Tokens = list[_Number | str]

_CHARACTERS = "0123456789.+-*/=() ,"
_RUN = re.compile(r"[\d.+\-*/=() ,]*", re.ASCII)
# An equals sign that ends one side of numbers and begins another.
_EQUALS = re.compile(r"=(?:(?<=[\d.)]=)|(?<=[\d.)] =)|(?<=  =))(?= *[-(.\d])", re.ASCII)
_OPERATION = re.compile(r"[\d.)] *[-+*/] *[-(.\d]", re.ASCII)
# A comma that is none of a number, and a full stop before a space or the end of the chain.
_BREAK = re.compile(r"(?<!\d),|,(?!\d{3}(?!\d))|(?<=[\d)])\.(?= |\Z)", re.ASCII)
_TOKEN = re.compile(r" *((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+|[-+*/()])", re.ASCII)
_PLAIN_NUMBER = re.compile(r"-? ?(?:[\d,]+(?:\.(\d*))?|\.(\d+)) *", re.ASCII)
_RANGE = re.compile(r"(\d+)-(\d+)", re.ASCII)
_DATE = re.compile(r"\d{1,2}([-/])\d{1,2}\1(?:19|20)\d\d|(?:19|20)\d\d([-/])\d{1,2}\2\d{1,2}", re.ASCII)

_WHOLE_NUMBERS = re.compile(r"(\d{1,9}) *([-+*/]) *(\d{1,9}) *= *(\d{1,9})", re.ASCII)
_NEGATED = re.compile(r"(?:\A|[-+*/(]) *- *\(")
# 28 / 1/5, which many write for 28 / (1/5).
_FRACTION_BELOW = re.compile(r"/ *(\d+) */ *(\d+)", re.ASCII)

# What may stand between a chain and the text that it touches.
_BETWEEN = string.whitespace + "\\&[($<*"
_BEFORE = re.compile(r"(?:\s|\\\\|&|\\[\[(]|\\?\$|<<|\*\*)*\Z")
_AFTER = re.compile(r"(?:[ \t]|\\\\|&|\\[\])]|\\?\$|\*\*)*")
# How a first side begins that goes on to the left, and how a last one ends that goes on to the right, or is not there.
_GOES_ON_LEFT, _GOES_ON_RIGHT = ("", "+", "*", "/"), ("", "+", "-", "*", "/")
_OPERATORS = "+-*/^×÷·⋅±−–∗"
_SENTENCE_END = re.compile(r"\.(?:\s|[$\"')*]|\\[\])\\]|\Z)")
_BULLET_OR_RULE = re.compile(r"(?:(?:\A|\n)[ \t]*[-*+]|---)\Z")
_WORD_BEFORE = re.compile(r"([-+*/×÷·−=] *|\d (?=and\Z))?(?:[^\W\d_]+ ){0,2}(\\?)([^\W\d_]+)\Z")
_WORD_AFTER = re.compile(r"([^\W\d_]+)((?: [^\W\d_]+){0,2} ?[-+*/^×÷·−\d]|(?<=and) \()?")
_LAST_COMMAND = re.compile(r"\\([a-zA-Z]+)\Z")
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_TEXT_COMMAND = re.compile(r"\\(?:text|textrm|textbf|mathrm|mbox)\{ *([^\W\d_]*)[^{}]*\}\s*(.?)")
_NEUTRAL_COMMANDS = frozenset({"quad", "qquad", "implies", "Rightarrow", "rightarrow", "therefore", "because", "end"})
# Words that make the number beside them part of something larger.
_WORDS_BEFORE = frozenset({
    "of", "times", "plus", "minus", "by", "over", "from", "than", "twice", "thrice", "double", "triple", "half", "less",
    "more", "into", "to", "sqrt", "root", "square", "cube", "log", "ln", "lg", "exp", "sin", "cos", "tan", "floor",
    "ceil", "abs", "min", "max", "gcd", "lcm", "mod", "case", "step", "part", "option", "question", "example", "day",
    "week", "year", "row", "page", "line", "figure", "equation", "number", "chapter",
})  # fmt: skip
_WORDS_AFTER = frozenset({
    "percent", "mod", "modulo", "hundred", "thousand", "million", "billion", "trillion", "dozen", "score", "times",
    "plus", "minus", "divided", "multiplied", "squared", "cubed", "over", "remainder", "with", "rounded", "choose",
    "factorial",
})  # fmt: skip
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


class _Chain(NamedTuple):
    """Where a chain stands in a text, without the spaces around it."""

    start: int
    end: int


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
    for chain in _chains(text):
        if _is_wrong(text, chain) and not _is_forgiven(text, chain):
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
    for chain in _chains(text):
        steps = _steps(text, chain)
        if steps is not None:
            parts += [text[done : chain.start], steps]
            done = chain.end
    return "".join([*parts, text[done:]]) if parts else text


# Where chains stand


def _chains(text: str) -> Iterator[_Chain]:
    """The chains of a text that hold an operation and an equals sign, in their order."""
    end = 0
    while (match := _EQUALS.search(text, end)) is not None:
        start = end + len(text[end : match.start()].rstrip(_CHARACTERS))
        run = _RUN.match(text, match.start())
        assert run is not None
        end = run.end()
        if end - start > MAX_CHAIN or _OPERATION.search(text, start, end) is None:
            continue
        if text[start] in "()" and _is_escaped(text, start):
            start += 1
        for chain in _pieces(text, start, end):
            if "=" in text[chain.start : chain.end].strip("="):
                yield chain


def _is_escaped(text: str, position: int) -> bool:
    before = text[max(0, position - _NEAR) : position]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _pieces(text: str, start: int, end: int) -> Iterator[_Chain]:
    """Part a run of characters at its commas and full stops; marks of a list and of bold print are left out."""
    run = text[start:end]
    stops = [match.start() for match in _BREAK.finditer(run)] if "," in run or "." in run else []
    begin = 0
    for stop in [*stops, len(run)]:
        piece = run[begin:stop]
        left = len(piece) - len(piece.lstrip(" "))
        if piece.startswith("**", left) or (piece.startswith("* ", left) and _starts_line(text, start + begin)):
            left += len(piece[left:]) - len(piece[left:].lstrip("* "))
        right = len(piece.rstrip(" "))
        if piece.endswith("**", 0, right):
            right = len(piece[:right].rstrip("* "))
        if left < right:
            yield _Chain(start + begin + left, start + begin + right)
        begin = stop + 1


def _starts_line(text: str, position: int) -> bool:
    before = text[max(0, position - _NEAR) : position].rstrip(" \t")
    return before == "" or before.endswith("\n")


# What is said of a chain


def _is_wrong(text: str, chain: _Chain) -> bool:
    if _is_plainly_right(text, chain):
        return False
    sides = [side.strip(" ") for side in text[chain.start : chain.end].split("=")]
    opens, closes = sides[0][:1] not in _GOES_ON_LEFT, sides[-1][-1:] not in _GOES_ON_RIGHT
    sides = sides[not opens : len(sides) - (not closes)]
    if _agree(sides):
        return False
    if closes and _touches_after(text, chain):
        sides.pop()
    if opens and sides:
        if _touches_before(text, chain):
            sides.pop(0)
        elif sides[0][0] == "-" and _may_be_bullet(text, chain) and _agree([sides[0][1:].lstrip(" "), *sides[1:]]):
            return False
    return not _agree(sides) and not _agree([_FRACTION_BELOW.sub(r"/(\1/\2)", side) for side in sides])


def _is_plainly_right(text: str, chain: _Chain) -> bool:
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
    if len(sides) < 2 or (len(sides) == 2 and all(_PLAIN_NUMBER.fullmatch(side) for side in sides)):
        return True
    values = []
    for side in sides:
        value = _evaluate(side)
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
    match = _PLAIN_NUMBER.fullmatch(side)
    if match is None or shown == 0:
        return False
    decimals = len(match[1] or match[2] or "")
    return 2 * abs(Fraction(shown) - exact) * 10**decimals <= 1


def _is_forgiven(text: str, chain: _Chain) -> bool:
    """Whether what is said around a chain denies it, or names another unit."""
    after = text[chain.end : chain.end + _NEAR].partition("\n")[0]
    before = text[max(0, chain.start - _NEAR) : chain.start].rpartition("\n")[2]
    if _CONVERSION_AFTER.match(after) and _is_conversion(text[chain.start : chain.end]):
        return True
    return _DENIAL_AFTER.search(after) is not None or _DENIAL_BEFORE.search(before) is not None


def _is_conversion(chain: str) -> bool:
    """Whether two sides differ by the factor of two units: ``1 / 2 = 30`` minutes."""
    first, last = (_evaluate(side.strip(" ")) for side in chain.split("=")[-2:])
    return first is not None and last is not None and any(Fraction(last) == first * factor for factor in _UNIT_FACTORS)


def _steps(text: str, chain: _Chain) -> str | None:
    if _WHOLE_NUMBERS.fullmatch(text, chain.start, chain.end):
        return None
    sides = text[chain.start : chain.end].split("=")
    if len(sides) != 2 or not _PLAIN_NUMBER.fullmatch(sides[1].strip(" ")):
        return None
    result = _evaluate(sides[1].strip(" "))
    left = sides[0].strip(" ")
    mark = ""
    if left.startswith("- ") and _may_be_bullet(text, chain) and _evaluate(left) != result:
        left = left[1:].lstrip(" ")
        mark = sides[0][: sides[0].index(left)] if left else ""
    written = _written_out(left, result)
    if written is None or text[chain.start - 1 : chain.start] == "<":
        return None
    if _touches_before(text, chain) or _touches_after(text, chain):
        return None
    return " = ".join([mark + left, *written, sides[1].strip(" ")])


def _written_out(side: str, result: Value | None) -> list[str] | None:
    """The expressions between a side and its value, or None where there are none or not all can be written."""
    tokens = _read(side)
    if tokens is None or result is None or len(side) > MAX_SIDE or _NEGATED.search(side):
        return None
    written: list[str] = []
    while len(tokens) > 1:
        if len(written) > MAX_STEPS or not _reduce(tokens):
            return None
        if (line := _write(tokens)) is None:
            return None
        written.append(line)
    if len(written) < 2 or not isinstance(tokens[0], _Number) or tokens[0].value != result:
        return None
    return written[:-1]


def _write(tokens: _Tokens) -> str | None:
    """Tokens as text, with spaces around operators; None where a value is no finite decimal, or has too many digits.

    A negative value stands in parentheses where it follows an operator.
    """
    text = ""
    for token in tokens:
        if isinstance(token, _Number):
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


# What touches a chain


def _may_be_bullet(text: str, chain: _Chain) -> bool:
    """Whether the minus that a chain starts with may be a mark: of a list, or a dash after punctuation."""
    before = text[max(0, chain.start - _NEAR) : chain.start].rstrip(" \t*")
    return before == "" or before[-1] in "\n,;:."


def _touches_before(text: str, chain: _Chain) -> bool:
    """Whether the first side of a chain may go on to its left."""
    first = text[chain.start]
    before = text[max(0, chain.start - _NEAR) : chain.start]
    gap = _BEFORE.search(before, len(before.rstrip(_BETWEEN)))
    assert gap is not None
    between, before = gap[0], before[: gap.start()]
    if before == "":
        return False
    last = before[-1]
    if last in _OPERATORS:
        return _BULLET_OR_RULE.search(before) is None
    if between.startswith(("$", "\\$", "**")) and (last.isalnum() or last in ")]}") and "\n" not in between:
        return not between.endswith(" ") or "**" not in between
    if between == " ** ":
        return True
    if "\n" in between:
        command = _LAST_COMMAND.search(before)
        return command is not None and command[1] not in _NEUTRAL_COMMANDS
    if first == "-" and not (last in ",;:" and between) and not between.endswith(("$", "\\(", "\\[", "&", "<<")):
        return True
    if (
        last.isalpha()
        and between.isspace()
        and _PLAIN_NUMBER.fullmatch(text[chain.start : chain.end].partition("=")[0])
    ):
        return True
    return _prose_touches(before, between, first)


def _prose_touches(before: str, between: str, first: str) -> bool:
    last = before[-1]
    if last in ",;:.!?":
        left = before[:-1].rstrip(" ")[-1:]
        return left in ("\\", ".") or (left.isdigit() and (between == "" or last in ":!"))
    if last in "=•→⇒":
        return False
    word = _WORD_BEFORE.search(before)
    if word is None or between == "":
        return "<<" not in between
    if word[2]:
        return word[3] not in _NEUTRAL_COMMANDS
    if first == "(" and between.isspace():
        return True
    return len(word[3]) == 1 or word[3].lower() in _WORDS_BEFORE or (word[1] is not None and word[1][0] != "=")


def _touches_after(text: str, chain: _Chain) -> bool:
    """Whether the last side of a chain may go on to its right."""
    if text.startswith(">>", chain.end):
        return False
    gap = _AFTER.match(text, chain.end)
    assert gap is not None
    between = gap[0]
    after = text[gap.end() : gap.end() + _NEAR]
    if after == "" or after[0] == "\n":
        return after.lstrip()[:1] in ("+", "×", "÷")
    if after[0] == ".":
        return _SENTENCE_END.match(after) is None
    if after[0] in ",;:":
        return after[1:2].isdigit()
    if after[0] == "=":
        return False
    if after[0] == "\\":
        return _command_touches(after)
    word = _WORD_AFTER.match(after)
    if word is None or not ("\\" in between or " " in between):
        return True
    return len(word[1]) == 1 or word[1].lower() in _WORDS_AFTER or word[2] is not None


def _command_touches(after: str) -> bool:
    unit = _TEXT_COMMAND.match(after)
    if unit is not None:
        return (
            unit[1].lower() in _WORDS_AFTER
            or unit[2] not in ("", "$", ".", ",", ";", ":", "=", "\\")
            or bool(re.match(r"\\(?:times|cdot|div|pm|left)", after[unit.start(2) :]))
        )
    command = _COMMAND.match(after)
    return command is None or command[1] not in _NEUTRAL_COMMANDS


# Values


def _evaluate(side: str) -> Value | None:
    """The exact value of a side; None where it cannot be read, or is a range or a date."""
    if len(side) > MAX_SIDE or _DATE.fullmatch(side):
        return None
    interval = _RANGE.fullmatch(side)
    if interval is not None and int(interval[1]) < int(interval[2]):
        return None
    tokens = _read(side)
    if tokens is None:
        return None
    while len(tokens) > 1:
        if not _reduce(tokens):
            return None
    return tokens[0].value if isinstance(tokens[0], _Number) else None


def _read(side: str) -> _Tokens | None:
    """Numbers, operators and parentheses (of more than one number) of a side; None unless they form an expression.

    A minus that no operand precedes becomes the sign of its number, or ``-1 *`` before a parenthesis. ``--`` and ``+-``
    are no expression (a dash, plus or minus); ``+ -`` is.
    """
    tokens: _Tokens = []
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
            tokens.append(_Number(-value, f"-{token}") if sign else _Number(value, token))
            sign = needs_operand = False
        elif token == "(":
            if not needs_operand or (sign and tokens and tokens[-1] in ("*", "/")):
                return None
            tokens += [_Number(-1, "-1"), "*", "("] if sign else ["("]
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


def _reduce(tokens: _Tokens) -> bool:
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
    tokens[at - 1 : at + 2] = [_Number(value, "")]
    if first + 3 == last:
        while first and tokens[first - 1] == "(" and tokens[first + 1] == ")":
            del tokens[first + 1], tokens[first - 1]
            first -= 1
    return True


def _apply(left: _Number | str, operator: _Number | str, right: _Number | str) -> Value | None:
    assert isinstance(left, _Number)
    assert isinstance(right, _Number)
    if operator == "+":
        return left.value + right.value
    if operator == "-":
        return left.value - right.value
    if operator == "*":
        return left.value * right.value
    if right.value == 0:
        return None
    return Fraction(left.value) / right.value
