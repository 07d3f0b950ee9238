r"""Reference answers: from a worked solution of the MATH data set to the short answer that a model is held against.

A solution marks its answer with ``\boxed{...}``, sometimes several times: once for each way to solve the problem, or
once for each part of the answer. ``boxed_entries`` finds them, ``normalise_entry`` writes each in one plain way,
``choose_entry`` makes one answer of them, and ``right_side`` turns ``x=5`` into ``5`` where no equation was asked for.

The order of the steps is that of NeMo-Skills e718d393. Its normaliser searched units and million-words inside of
other words (``second root`` became ``root``) and deleted every space (``two lines`` became ``twolines``, ``\pi r``
became ``\pir``); here a unit counts only as a whole word behind a quantity, and a space goes only where nothing is
joined by that.
"""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

# A problem that asks for an equation keeps its equation.
EQUATION_PHRASES = (
    "Find the equation",
    "Enter the equation",
    "What is the equation",
    "described by the equation",
    "Find an equation",
)

_TEXT = r"\\(?:text|textnormal|textrm|textbf|textit|mathrm|mathcal|mathbf|mbox)\s*"
_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?"
_POWERS = {"million": 6, "billion": 9, "trillion": 12}
_UNITS = (
    r"degrees?|mm|cm|km|(?:milli|centi|kilo)?meters?|miles?|foot|feet|inch(?:es)?|yards?"
    r"|seconds?|minutes?|hours?|days?|weeks?|months?|years?|p\.?m\.?|a\.?m\.?"
)
_UNIT_AT_END = re.compile(rf"^(?P<quantity>.*\S)\s*(?<![\\A-Za-z])(?:{_UNITS})(?:\^\{{?\d+\}}?)?\.?$", re.IGNORECASE)
_BARE_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")


def boxed_entries(solution: str) -> list[str]:
    r"""The contents of the outermost ``\boxed{...}``, in order; a box that is never closed counts for nothing.

    >>> boxed_entries(r"so \boxed{\frac{1}{2}} or \boxed{a\boxed{b}}, not \boxed 3")
    ['\\frac{1}{2}', 'a\\boxed{b}']
    """
    opening = "\\boxed{"
    entries = []
    begin = solution.find(opening)
    while begin >= 0:
        end = _closing_brace(solution, begin + len(opening) - 1)
        if end < 0:
            begin = solution.find(opening, begin + 1)
            continue
        entries.append(solution[begin + len(opening) : end])
        begin = solution.find(opening, end)
    return entries


def normalise_entry(entry: str) -> str:
    r"""One boxed entry, or any short answer, written in one plain way; what it means stays.

    >>> normalise_entry(r"\left(\tfrac32,\, -1\right)")
    '(\\frac{3}{2},-1)'
    >>> normalise_entry(r"10{,}080 \text{ cm}^2")
    '10080'
    """
    text = re.sub(r"\\(?:left|right)(?![A-Za-z])", "", entry)
    text = re.sub(rf"{_TEXT}\{{\s*,?\s*(?:or|and)\s*\}}", ",", text)
    text = re.sub(r"\\!|\{,\}\\?!?", lambda match: "," if "," in match[0] else "", text)
    text = re.sub(r",(?:\s*,)+", ",", text)
    text = _without_unit_text(text)
    text = re.sub(r"^.*\\in(?![A-Za-z])", "", text, flags=re.DOTALL)
    # Of an exact value and its approximation the exact one is the answer.
    exact, sign, rounded = re.sub(r"\\approx(?![A-Za-z])", "\0", text).partition("\0")
    text = rounded if sign and not exact.strip(" $\\") else exact
    # A backslash before a space, comma or semicolon is space between symbols, except as the end of a matrix row.
    text = re.sub(r"(?<!\\)\\[,;: ]|~|\\q?quad(?![A-Za-z])", " ", text)
    text = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))", "", text)
    text = re.sub(r"\\?[$%]", "", text)
    text = re.sub(r"\s(?:or|and)\s|\s\\?(?:to|rightarrow)\s", ",", text)
    text = _without_unit_word(_without_power_word(text.strip()))
    text = _without_enclosing_braces(text.strip().rstrip(",."))
    text = _braced_arguments(text)
    text = _mixed_number(text)
    return canonical_number(_without_loose_spaces(text))


def choose_entry(entries: Sequence[str], rule: str | None = None) -> str:
    """One answer from the normalised entries of a solution.

    Args:
        entries: at least one.
        rule: what a repair says of several different ones: ``first``, ``last`` or ``semicolons``; None joins them with
            a comma, as parts of one answer.
    """
    if all(entry == entries[0] for entry in entries) or rule == "first":
        return entries[0]
    if rule == "last":
        return entries[-1]
    return (";" if rule == "semicolons" else ",").join(entries)


def right_side(answer: str, problem: str) -> str:
    """The right side of an answer that holds one ``=``, unless the problem asks for an equation.

    >>> right_side("k=6", "What is $k$?"), right_side("x+y-2=0", "Give the line in general form.")
    ('6', 'x+y-2=0')
    """
    if answer.count("=") != 1 or any(phrase in problem for phrase in EQUATION_PHRASES):
        return answer
    left, right = (side.strip() for side in answer.split("="))
    # A formula equal to 0 is an equation, whatever words the problem asks for it with: 0 alone would be no answer.
    is_equation = right == "0" and not re.fullmatch(r"\\?[A-Za-z]+(?:_\w+|_\{\w+\})?", left)
    return answer if is_equation or not right else right


def canonical_number(answer: str) -> str:
    """An integer-valued number without grouping commas, leading zeros, decimal zeros and base suffix.

    >>> [canonical_number(text) for text in ("5,600", "27.0", "025", "52_8", "0.50", "1,2", "07:30")]
    ['5600', '27', '25', '52', '0.50', '1,2', '07:30']
    """
    number = re.sub(r"(?<=\d)_(?:\d+|\{\d+\})$", "", answer.strip())
    if not number or not re.fullmatch(_NUMBER, number):
        return answer
    try:
        value = Decimal(number.replace(",", ""))
    except InvalidOperation:
        return answer
    return str(int(value)) if value == value.to_integral_value() else answer


def _closing_brace(text: str, opening: int) -> int:
    """Where the brace at ``opening`` closes; -1 if it never does."""
    depth = 0
    for position in range(opening, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return -1


def _without_unit_text(text: str) -> str:
    """Drop words in a text command that end the answer behind a quantity; unwrap all others."""
    for match in reversed(list(re.finditer(rf"{_TEXT}\{{", text))):
        end = _closing_brace(text, match.end() - 1)
        if end < 0:
            continue
        before, words, after = text[: match.start()], text[match.end() : end], text[end + 1 :]
        quantity = before.rstrip("\\,;: ~")
        is_unit = bool(re.fullmatch(r"\s*(?:\^\s*(?:\{\s*\d+\s*\}|\d+))?[\s.,$]*", after)) and bool(
            re.search(r"[\w)}\]]$", quantity)
        )
        text = before if is_unit else f"{before}{words.strip()}{after}" if not quantity else f"{before}{words}{after}"
    return text


def _without_power_word(text: str) -> str:
    """Multiply a plain number by the million, billion or trillion behind it."""
    match = re.fullmatch(rf"(?P<number>{_NUMBER})\s*(?P<power>million|billion|trillion)s?", text)
    if match is None or not match["number"].strip("+-"):
        return text
    return f"{Decimal(match['number'].replace(',', '')).scaleb(_POWERS[match['power']]):f}"


def _without_unit_word(text: str) -> str:
    """Drop a unit that stands bare behind a quantity; behind words (``two feet``) it stays."""
    match = _UNIT_AT_END.match(text)
    if match is None or _BARE_WORD.search(match["quantity"]) or not re.search(r"[\d)}\]A-Za-z]$", match["quantity"]):
        return text
    return match["quantity"]


def _without_enclosing_braces(text: str) -> str:
    return text[1:-1].strip() if text.startswith("{") and _closing_brace(text, 0) == len(text) - 1 else text


def _braced_arguments(text: str) -> str:
    r"""``\sqrt2`` -> ``\sqrt{2}``, ``\frac12`` and ``\dfrac 1{2}`` -> ``\frac{1}{2}``."""
    text = re.sub(r"\\[cdt]frac(?![A-Za-z])", r"\\frac", text)
    text = re.sub(r"\\sqrt\s*(\d|[A-Za-z](?![A-Za-z]))", r"\\sqrt{\1}", text)
    argument = r"\s*(\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|\\[A-Za-z]+|[0-9A-Za-z])"
    return re.sub(
        rf"\\frac(?![A-Za-z]){argument}{argument}",
        lambda match: "\\frac" + "".join(part if part[0] == "{" else f"{{{part}}}" for part in match.groups()),
        text,
    )


def _mixed_number(text: str) -> str:
    """A mixed number as a sum: ``1 4/5`` -> ``1+4/5``; the sign holds for both parts."""
    match = re.fullmatch(r"(-?)\s*(\d+)\s*(\\frac\{\d+\}\{\d+\})|(-?)\s*(\d+)\s+(\d+/\d+)", text.strip())
    if match is None:
        return text
    sign, whole, fraction = (part or "" for part in (match.groups()[:3] if match[2] else match.groups()[3:]))
    return f"{sign}{whole}{sign or '+'}{fraction}"


def _without_loose_spaces(text: str) -> str:
    r"""Delete the spaces that join nothing: those in formulas, not those behind ``\pi`` or between words."""
    pieces = text.split()
    joined = pieces[0] if pieces else ""
    for piece in pieces[1:]:
        ends_in_command = bool(re.search(r"\\[A-Za-z]+$", joined)) and piece[0].isalpha()
        between_words = (
            joined[-1].isalnum()
            and piece[0].isalnum()
            and bool(re.search(r"(?<![\\A-Za-z])[A-Za-z]{2,}$", joined) or _BARE_WORD.match(piece))
        )
        after_comma_in_words = joined[-1] == "," and bool(_BARE_WORD.match(piece))
        joined += (" " if ends_in_command or between_words or after_comma_in_words else "") + piece
    return joined
