"""Tokens of an answer: LaTeX, plain notation and Unicode in one alphabet.

``clean`` takes off what encloses an answer (dollar signs, boxes, a full stop); ``tokenize`` cuts the rest into
``(kind, value)`` pairs in one pass of one regular expression. Spacing and sizing commands vanish, synonyms share a
token (``\\dfrac`` and ``\\frac``, ``≤``, ``<=`` and ``\\leq``), words in ``\\text{}`` are told from letters of
formulas.

Kinds of one character stand for themselves. The others: n number, s symbol, w word, t word of a text, f function, rel
relation, and, or, cup, cap, setminus, pm, frac, sqrt, binom, set{, set}, lbar, rbar, lfloor ..., see ``COMMANDS``.
"""

import re
import unicodedata

from openmath.answers.notation import (
    BLANKS,
    COMMANDS,
    ESCAPES,
    FONTS,
    FUNCTION_NAMES,
    PLAIN,
    ROOT,
    SKIPPED,
    SPACERS,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    SYNONYMS,
    TEXTS,
    UNICODE,
    UPRIGHT,
    Token,
)

MAX_LENGTH = 1500


class UnreadableError(ValueError):
    """The text is no answer that this reader knows; nothing more is said, because nothing follows from it."""


_ROOT_SIGN = re.compile(r"([√∛∜])\s*(\d+(?:\.\d+)?|[A-Za-z](?![A-Za-z])|[\u03b1-\u03c9])?")
_SUPER_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣʸᵏᵐᵃᵇᵗ]+")
_SUB_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋ₙₖₘᵢₐₓ]+")
_VULGAR = re.compile("[¼-¾⅐-⅞]")

_GROUPING = re.compile(r"(?<=\d)(?:\{,\}|\\!,\\!|,?\s*\\!|,?\\[,:; ]|\\thinspace|~)\s*(?=\d{3}(?!\d))")
_DOTTED = re.compile(r"\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?")
_SPACE_GROUPING = re.compile(r"(?<![\d.,/^_])(?<!\d )[1-9]\d{0,2}(?: \d{3})+(?!\d| \d|\s*/)")
_TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
_TAIL_UNIT = re.compile(
    r"(?<=[\d}])(?:\s|\\[ ,;:]|~)+"
    r"((?:h|min|mins|[kMGcmunp]?(?:m|g|s|L|V|W|J|N|A|C|K|Pa|Hz|mol))(?:\s*/\s*(?:s|h|m|g)(?:\^\{?[23]\}?)?|\^\{?[23]\}?)?)\s*$"
)
_SPACE = r"(?:\s|\\[ ,;:]|~)*"
_MICRO = re.compile(rf"(?<=[\d}}]){_SPACE}\\mu{_SPACE}(?:\\(?:mathrm|text)\{{\s*)?([mgsLAVCFN])\}}?(?![A-Za-z])")
_OHM = re.compile(rf"(?<=[\d}}]){_SPACE}(?:\\(?:mathrm|text)\{{\s*)?([kM]?){_SPACE}\\Omega\s*\}}?\s*$")
_SPACING_HINT = re.compile(r"\\[!,:; t]|\{,\}|~")
_TAIL_HINT = re.compile(r"[A-Za-z](?:\^\{?[23]\}?)?\s*$")
_PLAIN_UNION = re.compile(r"(?<=[\])}])\s*U\s*(?=[\[({\\])")
_PLAIN_ANGLES = re.compile(r"^<([^<>]+,[^<>]+)>$")
_TRAILING = ".,;: \t\n"


def to_ascii(text: str) -> str:
    """Write Unicode signs as LaTeX; letters of other scripts stay."""
    text = _ROOT_SIGN.sub(lambda m: ROOT[m[1]] + (f"{{{m[2]}}}" if m[2] else " "), text)
    text = _VULGAR.sub(_vulgar_fraction, text)
    text = _SUPER_RUN.sub(lambda run: "^{" + run.group().translate(SUPERSCRIPTS) + "}", text)
    text = _SUB_RUN.sub(lambda run: "_{" + run.group().translate(SUBSCRIPTS) + "}", text)
    text = text.translate(UNICODE)
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def _vulgar_fraction(match: re.Match[str]) -> str:
    numerator, denominator = unicodedata.normalize("NFKC", match.group()).split("⁄")
    return rf"\frac{{{numerator}}}{{{denominator}}}"


def clean(text: str) -> str:
    r"""An answer without what encloses it: white space, math delimiters, ``\boxed{}``, a full stop.

    >>> clean(r" $\boxed{\frac{1}{2}}$. "), clean("$18.90"), clean("½")
    ('\\frac{1}{2}', '\\$18.90', '\\frac{1}{2}')
    """
    if not text.isascii():
        text = to_ascii(text)
    if "\\right." in text:
        text = text.replace("\\left\\{", "").replace("\\right.", "")
    previous = None
    while text != previous:
        previous = text
        text = text.strip()
        if text.startswith("**") and "**" in text[2:]:
            text = text[2:].replace("**", "", 1)
        if text.endswith("$") and len(_DOLLAR.findall(text)) % 2 == 1 and not text.startswith("$"):
            text = text[:-1]
        while text and text[-1] in _TRAILING and not text.endswith(("\\,", "\\;", "\\:", "\\ ", "...")):
            text = text[:-1]
        if text.endswith("\\") and not text.endswith("\\\\"):
            text = text[:-1]
        if text.startswith("####"):
            text = text.lstrip("#")
        if text.startswith(("\\", "$", "*", "`")):
            text = _unwrap(text)
    if "$" in text:
        text = _without_dollars(text)
    if " U " in text or ")U" in text or "]U" in text:
        text = _PLAIN_UNION.sub(r"\\cup ", text)
    if "C_" in text or "P_" in text:
        text = _CHOSEN.sub(_chosen, text)
    if text.startswith("<"):
        text = _PLAIN_ANGLES.sub(r"\\langle \1 \\rangle", text)
    if _SPACING_HINT.search(text):
        text = _GROUPING.sub("", text)
    if "\\dot" in text:
        text = _DOTTED.sub(r"\\overline{\1\2\3}", text)
    if " " in text:
        text = _SPACE_GROUPING.sub(lambda number: number.group().replace(" ", ""), text)
    if " 10" in text or "x10" in text or "X10" in text:
        text = _TIMES_TEN.sub(r"\\cdot ", text)
    if "\\mu" in text or "\\Omega" in text:
        text = _OHM.sub(r"\\text{ \1ohm}", _MICRO.sub(r"\\text{ u\1}", text))
    if _TAIL_HINT.search(text):
        text = _TAIL_UNIT.sub(r"\\text{ \1}", text)
    return text


_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("*", "*"), ("`", "`"))
_BOX = re.compile(r"\\(?:boxed|fbox|displaystyle|textstyle|ensuremath|large|Large|LARGE|huge)(?![A-Za-z])\s*")


def _unwrap(text: str) -> str:
    for opening, closing in _WRAPPERS:
        inner = text[len(opening) : len(text) - len(closing)]
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing):
            if opening not in inner and closing not in inner and not text.endswith("\\$"):
                return inner
            break
    if match := _BOX.match(text):
        rest = text[match.end() :]
        if not rest.startswith("{"):
            return rest if "style" in match[0] or "arge" in match[0] or "huge" in match[0] else text
        if closing_brace(rest, 0) == len(rest) - 1:
            return rest[1:-1]
    return text


_DOLLAR = re.compile(r"(?<!\\)\$")


def _without_dollars(text: str) -> str:
    count = len(_DOLLAR.findall(text))
    if count % 2 == 1 and re.match(r"-?\s*\$", text):
        text = text.replace("$", r"\$", 1)
    elif count > 1 and len(re.findall(r"(?<![\\\d])\$(?=\d)", text)) == count:
        return _DOLLAR.sub(r"\\$", text)
    return _DOLLAR.sub(" ", text)


_CHOSEN = re.compile(
    r"(?:\{\s*\}\s*)?(?:_|\^)\s*(?:\{\s*(\w+)\s*\}|(\d+|[a-z]))\s*([CP])\s*_\s*(?:\{\s*(\w+)\s*\}|(\d+|[a-z]))"
)


def _chosen(match: re.Match[str]) -> str:
    """``_{10}C_3`` as a binomial coefficient, ``_{10}P_3`` as a quotient of factorials."""
    above, below = match[1] or match[2], match[4] or match[5]
    if match[3] == "C":
        return rf"\binom{{{above}}}{{{below}}}"
    return rf"\frac{{{above}!}}{{({above}-{below})!}}"


_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def closing_brace(text: str, start: int) -> int:
    """Where the brace that opens at ``start`` closes; -1 if it does not. What a backslash stands before is no brace."""
    depth = 0
    for sign in _BRACE.finditer(text, start):
        if sign[0] == "{":
            depth += 1
        elif sign[0] == "}":
            depth -= 1
            if depth == 0:
                return sign.start()
    return -1


_TOKEN = re.compile(
    r"(?P<ws>\s+|~|\\[ ,;:!/])"
    r"|(?P<n>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
    r"|\\(?P<c>[A-Za-z]+)\*?"
    r"|(?P<w>[A-Za-z]{2,})"
    r"|(?P<s>[A-Za-z])"
    r"|(?P<o>\\\\(?:\[[^\]]*\])?|\\[{}%$&_#|.]|\*\*|<=|>=|!=|==|:=|=>|->|\.\.\.|\+/-|\S)",
    re.ASCII,
)
_JOINED = re.compile(r"(sin|cos|tan|cot|sec|csc|ln|log|sqrt)(x|y|z|t|n|a|b|theta|pi|A|B|C)$")


def is_formula_word(word: str) -> bool:
    """Whether a bare word belongs to formulas: a function, a Greek letter, a constant, one or two letters."""
    return len(word) < 3 or word in SYNONYMS or _JOINED.match(word) is not None


def tokenize(text: str, depth: int = 0, in_text: bool = False) -> list[Token]:
    r"""Cut a cleaned text into tokens.

    >>> tokenize(r"\frac{1}{2} \text{ or } x_1")[-4:]
    [('or', ''), ('s', 'x'), ('_', ''), ('n', '1')]

    Raises:
        UnreadableError: a sign or command that no answer has, or an open ``\text{``.
    """
    if len(text) > MAX_LENGTH or depth > 5:
        raise UnreadableError
    tokens: list[Token] = []
    append = tokens.append
    match_at = _TOKEN.match
    position = 0
    while (match := match_at(text, position)) is not None:
        position = match.end()
        kind = match.lastgroup
        if kind == "ws":
            continue
        value = match.group(kind or 0)
        if kind == "n":
            position = _number(text, position, value, tokens)
        elif kind == "s":
            append(("t", value) if in_text else ("s", value))
        elif kind == "c":
            position = _command(text, position, value, tokens, depth)
        elif kind == "w":
            _word(value, tokens, in_text)
        elif value in PLAIN:
            append((value, ""))
        elif value[:2] == "\\\\":
            append(("row", ""))
        elif value in ESCAPES:
            append(ESCAPES[value])
        elif value == '"' or value == "\\." or (value == "." and in_text):
            continue
        elif value.isalpha():
            append(("t", value))
        else:
            raise UnreadableError
    return tokens


_REPEATING = re.compile(r"\\(?:overline|bar|dot)\s*(?:\{(\d+)\}|(\d))|\((\d{1,9})\)")
_DOTS = re.compile(r"\s*(?:\.\.\.|\\[lc]?dots(?![A-Za-z]))")
_EXPONENT = re.compile(r"[eE]([-+]?\d{1,5})(?![\d.A-Za-z])")


def _number(text: str, position: int, value: str, tokens: list[Token]) -> int:
    if "." in value and position < len(text):
        if match := _REPEATING.match(text, position):
            tokens.append(("n", f"{value}|{match[1] or match[2] or match[3]}"))
            after = _DOTS.match(text, match.end())
            return after.end() if after else match.end()
        if match := _DOTS.match(text, position):
            tokens.append(("n", f"{value}|..."))
            return match.end()
    if position < len(text) and (match := _EXPONENT.match(text, position)):
        tokens.append(("n", f"{value}e{match[1]}"))
        return match.end()
    tokens.append(("n", value))
    return position


def _word(value: str, tokens: list[Token], in_text: bool) -> None:
    known = SYNONYMS.get(value) or (SYNONYMS.get(value.lower()) if value.lower() in ("and", "or") else None)
    if known is not None and not (in_text and known[0] in ("s", "f", "rel", "+", "-", "*")):
        tokens.append(known)
    elif in_text:
        tokens.append(("t", value))
    elif match := _JOINED.match(value):
        _word(match[1], tokens, False)
        tokens.append(SYNONYMS.get(match[2], ("s", match[2])))
    else:
        tokens.append(("w", value))


_UNIT_VECTOR = re.compile(
    r"\s*\{?\s*\\(?:mathbf|boldsymbol|bm|textbf|mathrm|imath|jmath)\s*\{?\s*([ijk])\s*\}?\s*\}?|\s*\{?\s*(?:\\)?([ijk])(?:math)?\s*\}?(?![A-Za-z])"
)


def _command(text: str, position: int, name: str, tokens: list[Token], depth: int) -> int:
    token = None if name in ("hat", "vec") and _UNIT_VECTOR.match(text, position) else COMMANDS.get(name)
    if token is not None:
        if token[0] != " ":
            tokens.append(token)
        return position
    if name in SKIPPED:
        return position
    if name in BLANKS:
        return _delimiter(text, position, name, tokens)
    if name in TEXTS or name in FONTS:
        return _styled(text, position, name, tokens, depth)
    if name == "mathbb":
        content, position = _argument(text, position)
        tokens.append(("set", content.strip()))
        return position
    if name in ("hat", "vec") and (match := _UNIT_VECTOR.match(text, position)):
        tokens.append(("s", f"unit {match[1] or match[2]}"))
        return match.end()
    if name in ("pmatrix", "bmatrix", "matrix", "vmatrix", "cases") and text[position:].lstrip().startswith("{"):
        content, position = _argument(text, position)
        tokens.extend([("begin", name), *tokenize(content, depth + 1), ("end", name)])
        return position
    if name in ("begin", "end"):
        content, position = _argument(text, position)
        tokens.append((name, content.strip().rstrip("*")))
        if name == "begin" and content.strip() in ("array", "tabular") and text.startswith("{", position):
            _, position = _argument(text, position)
        return position
    if name in SPACERS:
        return _argument(text, position)[1] if text.startswith(("{", " ", "-"), position) else position
    raise UnreadableError


def _delimiter(text: str, position: int, name: str, tokens: list[Token]) -> int:
    while position < len(text) and text[position] == " ":
        position += 1
    if text.startswith(".", position):
        return position + 1
    if text.startswith("|", position) or text.startswith(r"\vert", position):
        tokens.append(("lbar" if name == "left" else "rbar", ""))
        return position + (1 if text[position] == "|" else 5)
    return position


def _argument(text: str, position: int) -> tuple[str, int]:
    while position < len(text) and text[position] == " ":
        position += 1
    if not text.startswith("{", position):
        return text[position : position + 1], position + 1
    end = closing_brace(text, position)
    if end < 0:
        raise UnreadableError
    return text[position + 1 : end], end + 1


def _styled(text: str, position: int, name: str, tokens: list[Token], depth: int) -> int:
    content, position = _argument(text, position)
    inner = content.strip()
    if name in ("mathbf", "boldsymbol", "bm", "hat", "vec") and inner in ("i", "j", "k"):
        tokens.append(("s", f"unit {inner}"))
    elif name in ("mathbf", "bold", "Bbb") and inner in ("R", "Z", "N", "Q"):
        tokens.append(("set", inner))
    elif name in FONTS or (name in ("mathrm", "operatorname") and inner in UPRIGHT):
        tokens.extend(tokenize(inner, depth + 1))
    elif inner in FUNCTION_NAMES and (
        name == "operatorname" or inner in ("gcd", "lcm") or (name == "mathrm" and inner not in ("min", "sec"))
    ):
        tokens.append(("f", FUNCTION_NAMES[inner]))
    elif inner:
        tokens.extend(tokenize(inner, depth + 1, in_text=not set("$_") & set(inner)))
    return position
