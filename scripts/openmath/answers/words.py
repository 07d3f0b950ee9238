"""Answers that are words: numbers in words, times, dates, lettered options, plain text.

Each reader takes a cleaned text and gives a node, or None where the text is nothing of its kind.
"""

import functools
import re
from fractions import Fraction

from openmath.answers.trees import (
    INFINITY,
    Clock,
    Date,
    Items,
    NamedSet,
    Node,
    Number,
    Quantity,
    Raw,
    Symbol,
    Words,
)  # fmt: skip
from openmath.answers.units import read_unit

_TEXT_COMMAND = re.compile(
    r"\\(?:text|textrm|textbf|textit|textsf|texttt|textnormal|mbox|hbox|mathrm|operatorname|mathbf|mathit|emph|bf|rm|it)"
    r"(?![A-Za-z])\s*"
)
_SPACING = re.compile(r"\\(?:[ ,;:]|(?:quad|qquad|left|right)(?![A-Za-z]))|~")
_UNITS_OF = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_SMALL = {word: value for value, word in enumerate(_UNITS_OF)}
_TENS = {
    word: 10 * value
    for value, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
"ninth": 9,
          "tenth": 10}  # fmt: skip
_ORDINAL_WORDS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
                  "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12}  # fmt: skip
_EMPTY = frozenset(
    ("no solution", "no solutions", "none", "no real solution", "no real solutions", "empty set", "null set", "no root",
     "no real roots", "no roots", "there is no solution", "there are no solutions", "no such number", "no value",
     "no values", "no real root", "no real number", "no real numbers", "no such numbers", "has no solution")
)  # fmt: skip
_REALS = frozenset(
    ("all real numbers", "all reals", "any real number", "all real number", "all real x", "all real values",
    "real numbers",
     "reals", "every real number", "all real values of x", "set of all real numbers", "set of real numbers")
)  # fmt: skip
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_SAME = {
    **{day[:3]: day for day in _DAYS}, "tues": "tuesday", "thur": "thursday", "thurs": "thursday",
    "dne": "does not exist", "undefined": "does not exist", "not defined": "does not exist",
    "is undefined": "does not exist", "doesnt exist": "does not exist", "limit does not exist": "does not exist",
    "does not converge": "diverges", "divergent": "diverges", "is divergent": "diverges", "convergent": "converges",
    "infinitely many solutions": "infinitely many", "infinite number of solutions": "infinitely many",
    "infinite solutions": "infinitely many", "infinitely many": "infinitely many", "t": "t", "cannot be determined":
    "cannot be determined", "impossible to determine": "cannot be determined", "not possible": "impossible",
}  # fmt: skip


@functools.lru_cache(maxsize=64)
def plain_text(text: str) -> str:
    """The text without its text commands, spacing commands and braces around words."""
    text = _SPACING.sub(" ", _TEXT_COMMAND.sub(" ", text.replace("\\!", "")))
    return re.sub(r"\s+", " ", re.sub(r'[{}$"]', " ", text)).strip(" .,;:")


_PROSE = re.compile(r"[^\W\d_][^\W\d_]*(?:[\s'’.,;:!?&/()-]+[^\W\d_]+)*[\s.!?)]*")


def normal_words(text: str) -> str:
    """One spelling of words: lower case, no articles, no punctuation; a single letter keeps its case.

    >>> normal_words("The  Circle."), normal_words("BAC"), normal_words("B")
    ('circle', 'bac', 'B')
    """
    words = re.sub(r"['’.]", "", text)
    parts = [part for part in re.split(r"[\s,;:!?&/()-]+", words) if part]
    if len(parts) == 1 and len(parts[0]) == 1:
        return parts[0]
    kept = [part.lower() for part in parts if part.lower() not in ("a", "an", "the")]
    return " ".join(kept or [part.lower() for part in parts])


def read_words(text: str) -> Node | None:
    """Read an answer that is words and nothing else."""
    plain = plain_text(text)
    if not plain or not _PROSE.fullmatch(plain) or plain.count("(") != plain.count(")"):
        return None
    words = normal_words(plain)
    if words in _EMPTY:
        return Items("{", "}", ())
    if words in _REALS:
        return NamedSet("R")
    if words in ("infinity", "positive infinity", "infinite"):
        return Symbol(INFINITY)
    value = number_words(words)
    if value is not None:
        return Number(value)
    parts = [part for part in _WORD_LIST.split(plain) if part]
    if len(parts) > 1 and words not in _SAME and all(len(part.split()) <= 3 for part in parts):
        return Items("", "", tuple(_word_item(part) for part in parts))
    return Words(_SAME.get(words, words))


_WORD_LIST = re.compile(r"\s*(?:[,;]\s*(?:and|or)\b|[,;]|\b(?:and|or)\b)\s*", re.IGNORECASE)


def _word_item(text: str) -> Node:
    words = normal_words(text)
    value = number_words(words)
    if value is not None:
        return Number(value)
    return Symbol(words) if len(words) == 1 else Words(words)


def read_quantity(plain: str) -> Node | None:
    """A number in words before a noun, or before a unit: ``five apples``, ``two hours``."""
    parts = normal_words(plain).split()
    for count in range(len(parts) - 1, 0, -1):
        value = number_words(" ".join(parts[:count]))
        if value is not None and parts[0] not in ("second", "third", "first", "half", "quarter", "fourth", "fifth"):
            unit = read_unit(" ".join(parts[count:]))
            return None if unit is None or not unit.dimension else Quantity(Number(value), unit.dimension, unit.scale)
    return None


def number_words(words: str) -> int | Fraction | None:
    """The value of a number in English words.

    >>> number_words("one hundred and twenty one"), number_words("two thirds"), number_words("apple")
    (121, Fraction(2, 3), None)
    """
    parts = [part for part in words.split() if part != "and"]
    sign = 1
    if parts and parts[0] in ("minus", "negative"):
        sign, parts = -1, parts[1:]
    if not parts:
        return None
    if parts[0] == "half" and len(parts) > 1:
        count = _whole([part for part in parts[1:] if part != "of"])
        return None if count is None else Fraction(sign * count, 2)
    if len(parts) == 1 and parts[0] in _ORDINAL_WORDS and parts[0] != "second":
        return sign * _ORDINAL_WORDS[parts[0]]
    if parts[-1].rstrip("s") in _PARTS or parts[-1] == "halves":
        part = _PARTS[parts[-1].rstrip("s")] if parts[-1] != "halves" else 2
        if parts == ["half"]:
            return Fraction(sign, 2)
        count = _whole(parts[:-1])
        return None if count is None or len(parts) == 1 else Fraction(sign * count, part)
    value = _whole(parts)
    return None if value is None else sign * value


def _whole(parts: list[str]) -> int | None:
    total = current = 0
    if not parts:
        return None
    for part in parts:
        if part in _SMALL:
            current += _SMALL[part]
        elif part in _TENS:
            current += _TENS[part]
        elif part == "hundred":
            current = max(current, 1) * 100
        elif part == "dozen":
            current = max(current, 1) * 12
        elif part in _LARGE:
            total, current = total + max(current, 1) * _LARGE[part], 0
        else:
            return None
    return total + current


_CHOICE = re.compile(
    r"\(\s*([A-Z])\s*\)|([A-Z])\)|([A-Z])\.|(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s*:?\s*)\(?([A-Z])\)?"
)
_TEXT_LABEL = re.compile(r"\\(?:text|textbf|mathrm|textrm|mathbf|bf|rm)\s*\{\s*(\(?[A-H]\)?[.:)]?)\s*\}")
_CHOICE_WITH_CONTENT = re.compile(r"(?:\(\s*([A-H])\s*\)|([A-H])\)|([A-H])[.:])\s*(.+)", re.DOTALL)


def read_choice(text: str) -> tuple[str, str] | None:
    """The letter and the content ("" if none) of a lettered option.

    >>> read_choice(r"\\text{(C)}"), read_choice("(B) 12"), read_choice("C(1, 2)")
    (('C', ''), ('B', '12'), None)
    """
    plain = plain_text(text)
    match = _CHOICE.fullmatch(plain)
    if match:
        letter = next(group for group in match.groups() if group)
        return letter.upper(), ""
    match = _CHOICE_WITH_CONTENT.fullmatch(_TEXT_LABEL.sub(r"\1 ", text).strip("$ "))
    if match:
        return match[1] or match[2] or match[3], match[4].strip()
    return None


_CLOCK = re.compile(
    r"(\d{1,2})\s*(?::\s*(\d\d))?(?:\s*:\s*(\d\d))?\s*(a\.?\s?m\.?|p\.?\s?m\.?|o'?\s?clock|(?<=:\d\d)\s*[ap])?"
    r"(?:\s*in the (morning|afternoon|evening))?",
    re.IGNORECASE,
)


def read_clock(text: str) -> Clock | None:
    """Read a time of day.

    >>> read_clock("4:30 p.m.") == read_clock("4:30 PM"), read_clock("noon"), read_clock("5")
    (True, Clock(seconds=0, half='pm'), None)
    """
    plain = plain_text(text)
    if plain.lower() in ("noon", "12 noon", "12:00 noon", "midnight", "12 midnight", "12:00 midnight"):
        return Clock(0, "pm" if "noon" in plain.lower() else "am")
    match = _CLOCK.fullmatch(plain)
    if not match or (match[2] is None and not match[4]):
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    half = re.sub(r"[^apm]", "", (match[4] or "").lower())
    half = {"a": "am", "p": "pm"}.get(half, half) if half in ("a", "p", "am", "pm") else ""
    if match[5]:
        half = "am" if match[5].lower() == "morning" else "pm"
    if hour > 24 or minute > 59 or second > 59:
        return None
    if not half and (hour > 12 or (hour == 0 and len(match[1]) == 2)):
        half = "24 pm" if 12 < hour < 24 else "24 am"
    return Clock((hour % 12) * 3600 + minute * 60 + second, half)


_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = {name[:3]: number for number, name in enumerate(_MONTHS, 1)}
_WEEKDAY = re.compile(r"(mon|tues|wednes|thurs|fri|satur|sun)day,?\s+(?=.*\d)", re.IGNORECASE)
_NAME = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(\d{1,2})(?:\s*\^?\s*(?:st|nd|rd|th))?"
_DATES = [
    (re.compile(rf"{_NAME}\s+(?:the\s+)?{_DAY}(?:\s*,?\s+(\d{{3,4}}))?", re.IGNORECASE), (3, 1, 2)),
    (re.compile(rf"{_DAY}\s+(?:of\s+)?{_NAME}(?:\s*,?\s+(\d{{3,4}}))?", re.IGNORECASE), (3, 2, 1)),
    (re.compile(rf"{_NAME}\s*,?\s+(\d{{3,4}})", re.IGNORECASE), (2, 1, 0)),
]
_NUMERIC_DATES = [
    (re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"), (1, 2, 3)),
    (re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})"), (3, 1, 2)),
]


def read_date(text: str) -> Date | None:
    """Read a date; a numeric one as year-month-day or as month/day/year.

    >>> read_date("July 4, 1776") == read_date("4 July 1776") == read_date("1776-07-04")
    True
    """
    plain = plain_text(text)
    weekday = _WEEKDAY.match(plain)
    if weekday:
        plain = plain[weekday.end() :]
    for pattern, (year, month, day) in [*_DATES, *_NUMERIC_DATES]:
        match = pattern.fullmatch(plain)
        if match:
            name = match[month]
            number = int(name) if name.isdigit() else _MONTH[name[:3].lower()]
            found = Date(
                int(match[year] or 0), number, int(match[day]) if day else 0, weekday[1].lower() if weekday else ""
            )
            return found if 1 <= found.month <= 12 and found.day <= 31 else None
    return None


def raw(text: str) -> Raw:
    """An unreadable text in one layout: no spaces, no text commands, synonyms of commands unified."""
    text = _TEXT_COMMAND.sub("", _SPACING.sub("", text))
    text = re.sub(r"\\[dt]frac", r"\\frac", text)
    return Raw(re.sub(r"[\s$]+|\\(?:displaystyle|left|right)(?![A-Za-z])", "", text))
