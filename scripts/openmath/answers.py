"""Answers of solutions: found in the text, brought to one form, and held against each other.

``extract_answer`` finds what a solution boxes. ``answers_equal`` compares in tiers, cheapest first:

    equal text  ->  equal normalised text  ->  equal exact rationals  ->  lists, tuples, intervals, item by item

It is reflexive, symmetric and deterministic, executes nothing of the text, knows no tolerance, and refuses what it
cannot read unless the texts agree. Conventions on which graders differ, and what is chosen here:

* percent: ``10\\%`` equals ``10`` (the sign is a unit) and never ``0.1``;
* units: a unit on one side only is passed over; two different units are different answers; the same holds for a name
  (``x = 5`` equals ``5``, not ``y = 5``) and for the base of a numeral (``52_8`` equals ``52``, not ``52_9``);
* order: comma lists and braces compare in any order; parentheses and square brackets in order, brackets included.
"""

import functools
import re
from dataclasses import dataclass
from fractions import Fraction

from openmath.answer_text import SCALES, clean, closing_index, compact, is_known_unit, split_top_level, unit_name
from openmath.rationals import read_rational

MAX_LENGTH = 1000
MAX_DEPTH = 6
MAX_ITEMS = 100

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_BARE_BOX = re.compile(r"[-+]?\w+(?:[.,/:]\w+)*%?")
_BETWEEN_BOXES = re.compile(r"[\s$]*(?:,|(?:,\s*)?(?:and|or|\\text\{\s*(?:and|or)\s*\}))[\s$]*")


def extract_answer(text: str) -> str | None:
    r"""The content of the last ``\boxed{}`` (or ``\fbox{}``) of a solution, stripped; None if there is none.

    Boxes that only a comma, "and" or "or" separates are one answer, joined by commas. A box without braces holds the
    next word. A last box that is empty or cut off is no answer: an earlier one is then a step, not the answer.

    >>> extract_answer(r"so $\boxed{\frac{1}{2}}$."), extract_answer(r"\boxed{1} or \boxed{2}")
    ('\\frac{1}{2}', '1, 2')
    >>> extract_answer(r"\boxed 5."), extract_answer(r"\boxed{\{1, 2\}}"), extract_answer(r"\boxed{\frac{1}{2")
    ('5', '\\{1, 2\\}', None)
    """
    joined: list[str] = []
    later_start = len(text)
    # Backwards, and no further than needed: a model that repeats an open box a thousand times costs one walk.
    for match in reversed(list(_BOX.finditer(text))):
        content, end = _box_content(text, match.end())
        if content is None and not joined and end < len(text):
            continue
        if not content or (joined and not _BETWEEN_BOXES.fullmatch(text, end, later_start)):
            break
        joined.append(content)
        later_start = match.start()
    return ", ".join(dict.fromkeys(reversed(joined))) or None


def _box_content(text: str, start: int) -> tuple[str | None, int]:
    """What a box holds and where it ends: None if nothing follows the command that a box could hold."""
    if text.startswith("{", start):
        end = _closing_brace(text, start)
        return (None, len(text)) if end < 0 else (text[start + 1 : end].strip(), end + 1)
    bare = _BARE_BOX.match(text, start)
    return (bare.group(), bare.end()) if bare else (None, start)


def _closing_brace(text: str, start: int) -> int:
    depth, index = 0, start
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
        index += 1
    return -1


@dataclass(frozen=True)
class Group:
    """Several items: ``brackets`` is "" for lists and sets (any order), "∪" for unions, else what encloses them."""

    brackets: str
    items: tuple["Answer", ...]

    @property
    def ordered(self) -> bool:
        """Whether the items are compared position by position."""
        return self.brackets not in ("", "∪")


@dataclass(frozen=True)
class Answer:
    """What is read from an answer text; an empty unit or name stands for any."""

    value: Fraction | str | Group
    unit: str = ""
    name: str = ""


def normalise_answer(text: str) -> str:
    r"""One spelling of an answer: exact fractions, no units, no ``x =``, no LaTeX layout.

    >>> normalise_answer(r"x = \dfrac{3}{6} \text{ cm}"), normalise_answer(r"\left( 1.50 ,\, \sqrt3 \right)")
    ('1/2', '(3/2,\\sqrt{3})')
    """
    return _spell(read_answer(text).value)


def answers_equal(expected: str, predicted: str) -> bool:
    """Whether two answers are the same under the conventions of this module; symmetric in its arguments."""
    expected, predicted = expected.strip(), predicted.strip()
    if expected == predicted:
        return True
    if not expected or not predicted or len(expected) > MAX_LENGTH or len(predicted) > MAX_LENGTH:
        return False
    return readings_equal(read_answer(expected), read_answer(predicted))


def readings_equal(one: Answer, other: Answer) -> bool:
    """The comparison behind ``answers_equal``, on what ``read_answer`` gave."""
    if (one.unit and other.unit and one.unit != other.unit) or (one.name and other.name and one.name != other.name):
        return False
    if isinstance(one.value, Group) and isinstance(other.value, Group):
        if one.value.brackets != other.value.brackets or len(one.value.items) != len(other.value.items):
            return False
        if one.value.ordered:
            return all(readings_equal(a, b) for a, b in zip(one.value.items, other.value.items, strict=True))
        return _can_be_paired(one.value.items, other.value.items)
    return one.value == other.value and one.value != ""


def _can_be_paired(ones: tuple[Answer, ...], others: tuple[Answer, ...]) -> bool:
    """Whether each item has a partner of its own (augmenting paths, because "equal up to a unit" is not transitive)."""
    partner: dict[int, int] = {}

    def assign(index: int, seen: set[int]) -> bool:
        for position, other in enumerate(others):
            if position not in seen and readings_equal(ones[index], other):
                seen.add(position)
                if position not in partner or assign(partner[position], seen):
                    partner[position] = index
                    return True
        return False

    return all(assign(index, set()) for index in range(len(ones)))


@functools.lru_cache(maxsize=2**16)
def read_answer(text: str) -> Answer:
    """Read an answer into its value, unit and name; what cannot be read is its own compacted text."""
    if len(text) > MAX_LENGTH:
        return Answer(text)
    return _read(clean(text), depth=0)


_NAME = (
    r"(?:\\angle ?)?(?:\\?[A-Za-z](?:[a-z]*(?<=\\)[a-z]*)?|\\[A-Za-z]+|[A-Z]{2,4}|\\text\{[^{}]*\})"
    r"(?:_(?:\w|\{\w+\}))?'*(?:\([A-Za-z0-9, ]+\))?"
)
_NAMED = re.compile(rf"({_NAME})\s*(=|\\in(?![A-Za-z]))\s*([^=<>]+)")
_NAMED_LAST = re.compile(r"([^=<>]+?)\s*(=)\s*([A-Za-z])")
_CURRENCY = re.compile(r"(-?)\s*(?:\\\$|([€£¥₹]))\s*(-?.+)")
_SYMBOL_UNIT = re.compile(r"(.*[\d.})\]])\s*(\\?%|\^\\circ(?: ?\\text\{ ?[CF] ?\}| ?[CF])?|¢)")
_WORD_UNIT = re.compile(r"(.*?[\w})\]!])\s*\\text\{\s*([A-Za-z][A-Za-z./\- ]*?)\s*\}\s*(\^\s*(?:\{[23]\}|[23]))?")
_PLAIN_UNIT = re.compile(
    r"(.*?(?:[\d.})]))\s*(?<![A-Za-z\\])((?:[A-Za-z][A-Za-z.]*)(?:[ /-]+[A-Za-z][A-Za-z.]*)*)(\^\s*(?:\{[23]\}|[23]))?"
)
_BASE = re.compile(r"([0-9A-F]+)_(?:\{\s*(?:\\text\{)?\s*(\w+)\s*\}?\s*\}|(\d))")
_BASES = "two three four five six seven eight nine ten eleven twelve"
_BASE_WORDS = {word: str(base) for base, word in enumerate(_BASES.split(), 2)}
_GROUPED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?!\d|,\d)")
_AND = re.compile(r"[\s,]*\\text\{\s*,?\s*(?:and|or)\s*\}\s*")
_MATRIX = re.compile(r"\\begin\{([pbvV]?matrix)\}(.*)\\end\{\1\}")


def _read(text: str, depth: int) -> Answer:
    if depth > MAX_DEPTH:
        return Answer(compact(text))
    name = ""
    if match := _NAMED.fullmatch(text):
        name, text = re.sub(r"[\s{}]|\\text", "", match[1]), match[3].strip()
    elif (match := _NAMED_LAST.fullmatch(text)) and not re.fullmatch(r"[A-Za-z]", match[1]):
        name, text = match[3], match[1]
    if depth == 0 and not re.match(r"[(\[]|\\\{", text):
        text = _GROUPED.sub(lambda number: number.group().replace(",", ""), text)
    if (group := _read_group(text, depth)) is not None:
        return Answer(group.value, group.unit, name) if not group.name else group
    text, unit, factor = _split_unit(text)
    if unit and (group := _read_group(text, depth)) is not None:
        return Answer(group.value, group.unit or unit, name)
    if match := _BASE.fullmatch(text):
        base = (match[2] or match[3]).lower()
        text, unit = match[1], f"base {_BASE_WORDS.get(base, base)}"
    value = compact(text)
    number = read_rational(value)
    if number is not None:
        return Answer(number * factor, unit, name)
    return Answer(value if factor == 1 else f"{value}*{factor}", unit, name)


def _read_group(text: str, depth: int) -> Answer | None:
    """Read lists, sets, tuples, intervals, unions, matrices and enclosing brackets; None if the text is no such."""
    if match := _MATRIX.fullmatch(text):
        rows = [row for row in re.split(r"\\cr(?![A-Za-z])", match[2]) if row.strip()]
        kind = match[1] if match[1].lower() == "vmatrix" else "matrix"
        cells = [Answer(Group("row", _items(row.split("&"), depth))) for row in rows]
        return Answer(Group(kind, tuple(cells))) if len(cells) <= MAX_ITEMS else None
    text = _AND.sub(", ", text)
    parts = split_top_level(text, r"\cup")
    if len(parts) > 1 and all(parts):
        return Answer(Group("∪", _items(parts, depth)))
    pieces = [text]
    for separator in (",", " and ", " or "):
        pieces = [part for piece in pieces for part in split_top_level(f" {piece} ", separator) if part]
    pieces = [sign for piece in pieces for sign in _plus_minus(piece)]
    if 1 < len(pieces) <= MAX_ITEMS:
        return Answer(Group("", _items(pieces, depth)))
    return _read_enclosed(text, depth)


def _read_enclosed(text: str, depth: int) -> Answer | None:
    if match := re.fullmatch(r"\\text\{([^{}]*)\}", text):
        return _read(match[1].strip(), depth + 1)
    if text.startswith(r"\{") and text.endswith(r"\}") and closing_index(text, 1) == len(text) - 1:
        inner = text[2:-2].strip()
        if not inner or re.search(r"\||\\mid|:", inner):
            return None
        return _read(inner, depth + 1)
    if not text or text[0] not in "([{" or closing_index(text, 0) != len(text) - 1:
        return None
    parts = split_top_level(text[1:-1], ",")
    if text[0] == "{" or (len(parts) == 1 and text[0] == "(" and text[-1] == ")"):
        return _read(text[1:-1].strip(), depth + 1)
    if len(parts) == 1 or len(parts) > MAX_ITEMS or not all(parts):
        return None
    return Answer(Group(text[0] + text[-1], _items(parts, depth)))


def _items(texts: list[str], depth: int) -> tuple[Answer, ...]:
    return tuple(_read(text.strip(), depth + 1) for text in texts)


def _plus_minus(text: str) -> list[str]:
    if text.count(r"\pm") != 1 or (re.match(r"[(\[]|\\\{", text) and text[-1] in ")]}"):
        return [text]
    before, after = text.split(r"\pm")
    plus = f"{before}+{after}" if before.strip() else after.strip()
    return [plus, f"{before}-{after.strip()}"]


def _split_unit(text: str) -> tuple[str, str, int]:
    """Cut a trailing (for currency: leading) unit; also returns the factor of words like "million"."""
    if match := _CURRENCY.fullmatch(text):
        rest, _, factor = _split_unit(match[3])
        return match[1] + rest, {"€": "euro", "£": "gbp"}.get(match[2], match[2] or "dollar"), factor
    if match := _SYMBOL_UNIT.fullmatch(text):
        symbol = "degree" if "circ" in match[2] else "cent" if match[2] == "¢" else "percent"
        return match[1].strip(), symbol, 1
    if match := _WORD_UNIT.fullmatch(text):
        return _unit_of_words(text, match[1], match[2], match[3] or "", marked=True)
    if match := _PLAIN_UNIT.fullmatch(text):
        return _unit_of_words(text, match[1], match[2], match[3] or "", marked=False)
    return text, "", 1


def _unit_of_words(text: str, head: str, words: str, power: str, marked: bool) -> tuple[str, str, int]:
    factor = 1
    parts = words.split()
    while parts and parts[0].lower().rstrip("s") in SCALES:
        factor *= SCALES[parts.pop(0).lower().rstrip("s")]
    if factor > 1 and not parts:
        return head.strip(), "", factor
    words = " ".join(parts)
    unit = unit_name(words + power)
    number = read_rational(compact(head))
    if not unit or not (re.search(r"\d|\\pi|\\sqrt", head) or re.fullmatch(r"[a-z]", head)):
        return text, "", 1
    quantity = number is not None or re.fullmatch(r"\d+:\d\d", head.strip())
    if not marked and not (quantity and (is_known_unit(words + power) or len(words) >= 4)):
        return text, "", 1
    return head.strip(), unit, factor


def _spell(value: Fraction | str | Group) -> str:
    if not isinstance(value, Group):
        return str(value)
    items = [_spell(item.value) for item in value.items]
    if value.brackets == "∪":
        return r"\cup".join(sorted(items))
    if not value.ordered:
        return ",".join(sorted(items))
    if value.brackets == "row":
        return "&".join(items)
    if len(value.brackets) == 2:
        return f"{value.brackets[0]}{','.join(items)}{value.brackets[1]}"
    name = "pmatrix" if value.brackets == "matrix" else value.brackets
    rows = r"\\".join(items)
    return rf"\begin{{{name}}}{rows}\end{{{name}}}"
