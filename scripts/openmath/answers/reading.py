"""From the text of an answer to its tree: which reader is asked first, and what becomes of texts that none can read.

    time  ->  option ("(C)")  ->  words ("no solution")  ->  numeral, date  ->  the parser
    ->  the parser behind a lead-in  ->  words  ->  the text itself (``Raw``), which equals only itself

A tree is then brought to one shape (``shapes``). An answer may have a second reading, which is tried when the first
does not agree: ``1,234,567`` is also a list of three.
"""

import functools
import re

from openmath.answers import lexer
from openmath.answers.exact import rational_of
from openmath.answers.lexer import UnreadableError, clean
from openmath.answers.number_tokens import number, numeral
from openmath.answers.parser import parse
from openmath.answers.shapes import shape
from openmath.answers.trees import (
    EXPRESSIONS,
    Apply,
    Choice,
    Clock,
    Congruence,
    Family,
    Items,
    Matrix,
    NamedSet,
    Node,
    Number,
    Numeral,
    Quantity,
    Ratio,
    Raw,
    Relation,
    SetOperation,
    Words,
    bare_list,
    negate,
    variables,
)  # fmt: skip
from openmath.answers.words import (
    normal_words,
    plain_text,
    raw,
    read_choice,
    read_clock,
    read_date,
    read_quantity,
    read_words,
)  # fmt: skip

_LETTERS = re.compile(r"[^\W\d_]")
_TEXT_DIGITS = re.compile(r"\\(?:text|mathrm|textrm)\{\s*([0-9A-F]+)\s*\}")
_LONG_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{3,}")
_TEXT = re.compile(r"\\(?:text|textbf|textrm|mbox|mathrm|textit)\b")
_LEAD_IN = re.compile(
    r"(?:(?:the|our|so|thus|hence|therefore|final|correct|answer|value|solution|result|is|are|equals|:|approximately|about|"
    r"exactly|roughly|around|only|all|set|of|we|have|get|there|\\text\{[^{}]*?(?:is|are|:|approximately|about|answer)\s*\})"
    r"(?:\s*[,:]\s*|\s+|(?<=\})|(?=\\)))+",
    re.IGNORECASE,
)
_CLOSING_SENTENCE = re.compile(r"\.\s+(?:I|This|Therefore|Thus|So|The|We|It)\b.*$", re.DOTALL)
_NUMERAL = re.compile(
    r"\(?\s*(-?\s*[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]+)?)\s*\)?\s*(?:_\s*(?:\{\s*\(?|\()?\s*(?:\\(?:text|mathrm|textbf|rm)\s*\{?\s*)?(\w+)\}?\s*\)?\}?"
    r"|,?\s*\(?\s*(?:\\text\{)?\s*\(?(?:in\s+)?base[\s-]+\}?\s*(\w+)\}?\)?\}?)"
)
_MATRIX_CALL = re.compile(r"(?:sympy\.|np\.)?(?:Matrix|array|matrix)\s*\(\s*(\[.*\])\s*\)", re.DOTALL)


@functools.lru_cache(maxsize=2**14)
def read(text: str) -> Node:
    r"""The tree of an answer; every text has one.

    >>> read(r"\frac{3}{4}"), read("even"), read("2+")
    (Apply(op='/', args=(Number(value=3, digits=0), Number(value=4, digits=0))), Words(text='even'), Raw(text='2+'))
    """
    if len(text) < 40 and (match := _PLAIN_NUMBER.fullmatch(text)) is not None:
        return _plain_number(match)
    if len(text) > 4 * lexer.MAX_LENGTH:
        return Raw(text)
    cleaned = clean(text)
    if len(cleaned) > lexer.MAX_LENGTH:
        return raw(cleaned)
    try:
        return _read(cleaned)
    except RecursionError:
        return raw(cleaned)


_PLAIN_NUMBER = re.compile(r"(-?)(?:(\d+(?:\.\d+)?)|\\d?frac\{(\d+)\}\{(\d+)\}|(\d+)/(\d+))", re.ASCII)


def _plain_number(match: re.Match[str]) -> Node:
    """The tree that the parser gives for a decimal or a fraction of naturals, at a tenth of the cost."""
    if match[2]:
        tree: Node = number(match[2])
    else:
        tree = Apply("/", (Number(int(match[3] or match[5])), Number(int(match[4] or match[6]))))
    return negate(tree) if match[1] else tree


@functools.lru_cache(maxsize=2**12)
def second_reading(text: str) -> Node | None:
    """Another tree of an answer with grouping commas: the list of its parts; None if there is no other."""
    if len(text) > lexer.MAX_LENGTH or not re.search(r"\d,\d{3},\d{3}(?!\d)", text):
        return None
    cleaned = clean(text)
    if re.search(r"\d,0\d\d(?!\d)", cleaned):
        return None
    spaced = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", ", ", cleaned) if "(" not in cleaned and "{" not in cleaned else cleaned
    return _read(spaced) if spaced != cleaned else None


def _read(text: str) -> Node:
    has_letters = _LETTERS.search(text) is not None
    if has_letters and (found := _read_special(text)) is not None:
        return found
    if ":" in text and (clock := read_clock(text)) is not None:
        return clock
    if "_" in text or "base" in text:
        match = _NUMERAL.fullmatch(_TEXT_DIGITS.sub(r"\1", text))
        if match and (found := _numeral(match)) is not None:
            return found
    if "-" in text or "/" in text:
        date = read_date(text)
        if date is not None:
            return date
    if "integer" in text:
        text = _INTEGER_IS.sub(r", \1 \\in \\mathbb{Z}", _FOR_INTEGER.sub(r", \1 \\in \\mathbb{Z}", _unmarked(text)))
    if "except" in text and (match := _ALL_EXCEPT.fullmatch(_unmarked(text))):
        rest = _read(match[1])
        return SetOperation("setminus", NamedSet("R"), Items("{", "}", bare_list(rest) or (rest,)))
    try:
        return shape(parse(_commas(text)))
    except UnreadableError:
        pass
    return _read_otherwise(text) if has_letters else raw(text)


_JOINT = r"\s*[,(]?\s*(?:where\s+|for\s+|with\s+)?(?:any\s+|all\s+|every\s+|each\s+|some\s+)?"
_FOR_INTEGER = re.compile(rf"{_JOINT}integers?\s+([a-z])\s*\)?\s*$")
_INTEGER_IS = re.compile(rf"{_JOINT}([a-z])\s+(?:(?:is|are|be)\s+)?(?:an\s+|any\s+)?integers?\s*\)?\s*$")
_ALL_EXCEPT = re.compile(
    r"(?:all|any|every)\s+(?:real\s+)?(?:numbers?|reals?|values?|x)(?:\s+x)?\s+except(?:\s+for)?\s+(?:x\s*=\s*)?(.+)"
)


def _unmarked(text: str) -> str:
    return re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text).strip()


_CHOICE_HINT = re.compile(r"^[(\[\s]*[A-Z]|^\\(?:text|math|bf|rm|mbox)|ption|hoice|nswer")
_CLOCK_HINT = re.compile(r":|[ap]\.?\s?m|clock|noon|midnight|morning|evening", re.IGNORECASE)
_PART_LABEL = re.compile(r"\([a-h]\)")


def _read_special(text: str) -> Node | None:
    """Words, options, times, dates, numerals: what the parser would misread."""
    if _CLOCK_HINT.search(text) and (clock := read_clock(text)) is not None:
        return clock
    if _CHOICE_HINT.search(text) and (option := read_choice(text)) is not None:
        letter, content = option
        return Choice(letter, _read(clean(content)) if content else None)
    if text.startswith("(a)") and "(b)" in text:
        parts = [part.strip(" ,;") for part in _PART_LABEL.split(text) if part.strip(" ,;")]
        return Items("parts", "", tuple(_read(clean(part)) for part in parts))
    if _LONG_WORD.search(text):
        if ("\\" not in text or _TEXT.match(text)) and (words := _only_words(text)) is not None:
            return words
        if (date := read_date(text)) is not None:
            return date
        if match := _MATRIX_CALL.fullmatch(text):
            return _read(match[1])
    elif text.lower() == "no" or (text.startswith("\\text") and len(plain_text(text)) > 1):
        return read_words(text)
    return None


def _only_words(text: str) -> Node | None:
    """Words, unless all of them are words of formulas ("pi", "sin x")."""
    plain = plain_text(text)
    found = read_words(text)
    if found is None:
        return read_quantity(plain)
    if isinstance(found, Words):
        if "text" not in text and all(lexer.is_formula_word(word) for word in re.findall(r"[A-Za-z]+", plain)):
            return None
        return read_quantity(plain) or found
    return found


def _numeral(match: re.Match[str]) -> Node | None:
    if match[0].count("(") != match[0].count(")"):
        return None
    return numeral(match[1].replace(" ", ""), match[2] or match[3])


_GROUPED_TWICE = re.compile(r"[1-9]\d{0,2}(?:,\d{3}){2,}(?:\.\d+)?")


def _commas(text: str) -> str:
    """Within brackets a comma groups digits only where other commas have spaces: ``(100,200)`` is a pair."""
    if ("(" in text or "\\{" in text or text.startswith(("[", "{"))) and not re.search(r",\s", text):
        inner = re.sub(r"^\W+|\W+$", "", text)
        if not (text.startswith("(") and _GROUPED_TWICE.fullmatch(inner)):
            return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", ", ", text)
    return text


def _read_otherwise(text: str) -> Node:
    text = _CLOSING_SENTENCE.sub("", text).strip()
    if text.startswith("\\text"):
        text = plain_text(text)
    match = _LEAD_IN.match(text)
    if match and match.end() < len(text):
        rest = text[match.end() :]
        try:
            return shape(parse(_commas(clean(rest))))
        except UnreadableError:
            pass
    found = read_words(text)
    if found is not None:
        return found
    plain = plain_text(text)
    if len(_LETTERS.findall(plain)) * 2 > len(plain) and "\\" not in plain:
        return Words("text " + normal_words(plain))
    return raw(text)


_KINDS = {
    Clock: "time", Choice: "choice", Congruence: "congruence", Family: "family", Matrix: "matrix", Numeral: "numeral",
    Quantity: "quantity", Ratio: "ratio", Raw: "unread", Words: "text",
}  # fmt: skip


def kind_of(text: str) -> str:
    """The kind of an answer, for tables: number, constant, expression, list, set, interval or tuple, matrix ...

    >>> kind_of(r"\\frac{1}{2}"), kind_of("x^2"), kind_of("(1,2]"), kind_of("x = 5"), kind_of("even")
    ('number', 'expression', 'tuple', 'equation', 'text')
    """
    tree = read(text)
    if isinstance(tree, EXPRESSIONS):
        return "number" if rational_of(tree) is not None else "expression" if variables(tree) else "constant"
    if isinstance(tree, Items):
        return {"": "list", "{": "set", "and": "inequality", "or": "inequality"}.get(tree.opening, "tuple")
    if isinstance(tree, Relation):
        return "equation" if set(tree.ops) <= {"=", "in", "approx"} else "inequality"
    return _KINDS.get(type(tree), "set")
