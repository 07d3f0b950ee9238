"""The many spellings of one answer text: LaTeX spacing, synonyms of commands, Unicode signs, units written as words.

Everything here rewrites text by fixed rules; nothing is evaluated. ``clean`` removes what carries no meaning in
any answer and leaves ``\\text{...}`` for the unit reader; ``compact`` gives the final spelling of one value.
"""

import re
import unicodedata

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_UNICODE = {
    **dict.fromkeys("−–—‒﹣－", "-"),
    **dict.fromkeys("×✕⨯", r"\times "),
    **dict.fromkeys("·⋅∙•", r"\cdot "),
    **dict.fromkeys("÷∕⁄", "/"),
    **dict.fromkeys("°˚º", r"^\circ "),
    **dict.fromkeys("‘’′", "'"),
    **dict.fromkeys("⟨〈", r"\langle "),
    **dict.fromkeys("⟩〉", r"\rangle "),
    **{letter: f"\\{name} " for letter, name in {
        "π": "pi", "∞": "infty", "≤": "le", "≥": "ge", "≠": "ne", "∪": "cup", "∩": "cap", "∈": "in", "±": "pm",
        "∅": "emptyset", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "θ": "theta", "λ": "lambda", "μ": "mu",
        "φ": "phi", "ω": "omega", "σ": "sigma", "Δ": "Delta", "Ω": "Omega", "∠": "angle", "→": "to", "≈": "approx",
        "ℝ": "mathbb{R}", "ℤ": "mathbb{Z}", "…": "dots",
    }.items()},
}  # fmt: skip
_TRANSLATION = str.maketrans(_UNICODE)
_ROOT = re.compile(r"([√∛])\s*(\d+(?:\.\d+)?|[A-Za-z]|\([^()]*\)|\{[^{}]*\})")
_COMMAND_NAMES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom",
    "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge", "neq": "ne", "lt": "<", "gt": ">",
    "varnothing": "emptyset", "infin": "infty", "infinity": "infty", "lbrace": "{", "rbrace": "}",
    "ldots": "dots", "cdots": "dots", "degree": "^\\circ", "degrees": "^\\circ", "textdollar": "$",
    "mbox": "text", "hbox": "text", "mathrm": "text", "textrm": "text", "textbf": "text", "mathbf": "text",
    "textit": "text", "mathit": "text", "textsf": "text", "texttt": "text", "operatorname": "text", "bold": "text",
    "boldsymbol": "text", "mathsf": "text", "textnormal": "text", "emph": "text",
}  # fmt: skip
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?\s*")
_DROPPED = {"displaystyle", "textstyle", "limits", "rm", "bf", "it", "bm", "left", "right", "middle", "phantom",
            "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr",
            "Biggl", "Biggr"}  # fmt: skip
_SPACES = {"quad", "qquad", "enspace", "thinspace", "nobreakspace"}


def clean(text: str) -> str:
    """One spelling of signs, commands, spaces and delimiters; the words of ``\\text{...}`` stay marked.

    >>> clean("$\\\\left( 10{,}000 ,\\\\, \\\\dfrac{π}{2}\\\\right)$")
    '( 10000 , \\\\frac{\\\\pi}{2})'
    """
    text = re.sub(r"\\\\(?:\s*\[[^\]]*\])?", lambda row_end: r"\cr ", text)
    text = _ROOT.sub(_root, text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda run: "^{" + run.group().translate(_SUPERSCRIPTS) + "}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉]+", lambda run: "_{" + run.group().translate(_SUBSCRIPTS) + "}", text)
    text = re.sub("[¼-¾⅐-⅞]", _vulgar_fraction, text).translate(_TRANSLATION)
    text = re.sub(r"(?<=\d)(?:\{,\}|,?\s*\\[!,:; ])\s*(?=\d{3}(?!\d))", "", text)
    text = _strip_delimiters(text.strip())
    text = text.replace(r"\!", "")
    text = re.sub(r"\\hspace\*?\{[^{}]*\}|\\[,:;> ]|~|\s+", " ", text)
    text = _COMMAND.sub(_rename, text)
    text = re.sub(r"\\text\{\s*\}", "", text).replace(r"^{\circ}", r"^\circ").replace(r"\^\circ", r"^\circ")
    text = re.sub(r"(\^\\circ)\s*", r"\1 ", text)
    text = re.sub(r"(\d)\s*,\s*\\text\{\s*(and|or)\s*\}", r"\1, ", text)
    text = re.sub(r"(\\[A-Za-z]+) (?![A-Za-z])", r"\1", text)
    return re.sub(r"\s+", " ", text).strip().rstrip(".,;:").strip()


def compact(text: str) -> str:
    """The final spelling of one cleaned value: no needless space, brace or multiplication sign; ``/`` as ``\\frac``.

    >>> compact("\\\\sqrt 3 / 2"), compact("2 \\\\cdot x^{2}"), compact("7 3/4"), compact("\\\\frac{-\\\\pi}{2}")
    ('\\\\frac{\\\\sqrt{3}}{2}', '2x^2', '(7+\\\\frac{3}{4})', '-\\\\frac{\\\\pi}{2}')
    """
    text = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text).strip()
    if re.fullmatch(r"[A-Za-z][A-Za-z' .-]*", text) and re.search(r"[A-Za-z]{3}", text):
        return re.sub(r"[\s.]+", " ", text).strip().lower()
    text = re.sub(r"(?<![\d.])(\d+)\s+(\d+)\s*/\s*(\d+)(?!\s*[\d.^])", r"(\1+\\frac{\2}{\3})", text)
    text = re.sub(r"\\(cdot|times)(?![A-Za-z])\s*", "*", text)
    text = re.sub(r"(\\[A-Za-z]+) (?=[A-Za-z])", "\\g<1>\x00", text)
    text = re.sub(r"(?<=\d) (?=\d)", "\x00", text).replace(" ", "").replace("\x00", " ")
    text = _brace_arguments(text)
    text = re.sub(r"([\^_])\{([A-Za-z0-9]|\\[A-Za-z]+)\}", r"\1\2", text)
    # Before a fraction the sign stays: without it 3 * 1/2 would read as the mixed number 3 1/2.
    text = re.sub(r"\*(?=[A-Za-z(]|\\(?!frac))", "", text)
    text = re.sub(r"(?<![\d.])\+(?=\\infty)", "", text)
    text = re.sub(r"^0(\d:\d\d)$", r"\1", text)
    return _pull_sign(_slash_to_fraction(text))


_UNIT_NAMES = {
    "dollar": "dollar usd buck", "euro": "euro eur", "pound sterling": "gbp", "cent": "cent ¢", "percent": "percent %",
    "degree": "degree deg", "radian": "radian rad", "mm": "mm millimeter millimetre", "cm": "cm centimeter centimetre",
    "m": "m meter metre", "km": "km kilometer kilometre", "in": "in inch", "ft": "ft foot", "yd": "yd yard",
    "mi": "mi mile", "mph": "mph mi/h mi/hr", "g": "g gram", "kg": "kg kilogram", "mg": "mg milligram",
    "lb": "lb pound", "oz": "oz ounce", "l": "l liter litre", "ml": "ml milliliter millilitre", "gal": "gal gallon",
    "s": "s sec second", "min": "min minute", "h": "h hr hour", "day": "day", "week": "week wk", "month": "month",
    "year": "year yr", "unit": "unit", "am": "am", "pm": "pm",
}  # fmt: skip
_UNITS = {word: unit for unit, words in _UNIT_NAMES.items() for word in words.split()}
_IRREGULAR = {"feet": "ft", "inches": "in", "men": "man", "women": "woman", "people": "person", "children": "child"}
_NO_UNIT_WORDS = """
    and or to mod modulo base choose over plus minus times divided by squared cubed factorial half halves third thirds
    quarter quarters if for where when not no than least most more less each is are as all any only but either solution
    solutions real root roots th st nd rd"""
_NO_UNITS = frozenset(_NO_UNIT_WORDS.split())
SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def is_known_unit(words: str) -> bool:
    """Whether ``words`` is a unit of measurement, which needs no ``\\text{}`` to be told from variables."""
    return all(part in _UNITS.values() for part in re.split(r"[/ ]|\^[23]", unit_name(words)) if part)


def unit_name(words: str) -> str:
    """One name for the spellings of a unit, or "" if the words are no unit.

    >>> unit_name("square feet"), unit_name("ft^2"), unit_name("miles per hour"), unit_name("green apples")
    ('ft^2', 'ft^2', 'mph', 'green apple')
    >>> unit_name("or more")
    ''
    """
    words = re.sub(r"(?<=[a-z])\.", "", words.strip().lower())
    words = re.sub(r"\s*/\s*", "/", words.replace(" per ", "/"))
    power = ""
    if match := re.fullmatch(r"(?:(square|sq|cubic|cu) )?(.+?)(?: (squared|cubed)|\s*\^\s*\{?([23])\}?)?", words):
        powers = {"square": "2", "sq": "2", "squared": "2", "cubic": "3", "cu": "3", "cubed": "3", None: ""}
        power, words = match[4] or powers[match[1]] or powers[match[3]], match[2]
    if words != "in" and any(word in _NO_UNITS or word == "in" for word in words.split()):
        return ""
    name = "/".join(" ".join(_singular(word) for word in part.split()) for part in words.split("/"))
    name = _UNITS.get(name, name)
    return f"{name}^{power}" if power else name


def _singular(word: str) -> str:
    if word in _UNITS:
        return _UNITS[word]
    word = _IRREGULAR.get(word, word)
    if len(word) > 2 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return _UNITS.get(word, word)


def _root(match: re.Match[str]) -> str:
    index = "" if match[1] == "√" else "[3]"
    inner = match[2][1:-1] if match[2][0] in "({" else match[2]
    return rf"\sqrt{index}{{{inner}}}"


def _vulgar_fraction(match: re.Match[str]) -> str:
    numerator, denominator = unicodedata.normalize("NFKC", match.group()).split("⁄")
    return rf"\frac{{{numerator}}}{{{denominator}}}"


def _strip_delimiters(text: str) -> str:
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$")):
        if text.startswith(opening) and text.endswith(closing) and len(text) >= 4:
            text = text[2:-2].strip()
    unescaped = re.findall(r"(?<!\\)\$", text)
    if len(unescaped) % 2 == 1 and re.match(r"-?\$", text):
        text = text.replace("$", r"\$", 1)
    return re.sub(r"(?<!\\)\$", "", text)


def _rename(match: re.Match[str]) -> str:
    name = match[1]
    if name in _SPACES:
        return " "
    if name in _DROPPED:
        return ""
    new = _COMMAND_NAMES.get(name, name)
    space = " " if match.group()[-1].isspace() and new != "text" else ""
    return (new if new.startswith("^") or new in "<>" else "\\" + new) + space


def _brace_arguments(text: str) -> str:
    text = re.sub(r"\\sqrt([A-Za-z0-9])", r"\\sqrt{\1}", text)
    text = re.sub(r"\\frac([A-Za-z0-9])(?=[A-Za-z0-9{\\])", r"\\frac{\1}", text)
    return re.sub(r"(\\frac\{[^{}]*\})([A-Za-z0-9]|\\pi)", r"\1{\2}", text)


def _slash_to_fraction(text: str) -> str:
    """``a/b`` as ``\\frac{a}{b}`` where the whole text is one quotient whose denominator is one factor."""
    sign, body = ("-", text[1:]) if text.startswith("-") else ("", text)
    parts = split_top_level(body, "/")
    if len(parts) != 2 or not parts[0]:
        return text
    numerator, denominator = (_inside_parentheses(part) for part in parts)
    single = denominator != parts[1] or re.fullmatch(
        r"\d+(\.\d+)?|[A-Za-z]|\\[A-Za-z]+(\{[^{}]*\})?|[A-Za-z]\^\w", parts[1]
    )
    if not single or (numerator == parts[0] and re.search(r"[-+=<>,]", re.sub(r"\{[^{}]*\}", "", numerator))):
        return text
    return rf"{sign}\frac{{{numerator}}}{{{denominator}}}"


def _pull_sign(text: str) -> str:
    match = re.fullmatch(r"\\frac\{-((?:[^{}+-]|\{[^{}]*\})+)\}(\{(?:[^{}]|\{[^{}]*\})*\})", text)
    return rf"-\frac{{{match[1]}}}{match[2]}" if match else text


def _inside_parentheses(text: str) -> str:
    return text[1:-1] if text.startswith("(") and closing_index(text, 0) == len(text) - 1 else text


def closing_index(text: str, start: int) -> int:
    """Where the bracket that opens at ``start`` is closed (kinds may differ, as in ``[1, 2)``); -1 if it is not."""
    depth = 0
    for index in range(start, len(text)):
        if text[index] in "([{":
            depth += 1
        elif text[index] in ")]}":
            depth -= 1
            if depth == 0:
                return index
    return -1


def split_top_level(text: str, separator: str) -> list[str]:
    """Split at ``separator`` outside of all brackets."""
    parts, depth, begin, index = [], 0, 0, 0
    while index < len(text):
        if text[index] in "([{":
            depth += 1
        elif text[index] in ")]}":
            depth -= 1
        elif depth == 0 and text.startswith(separator, index):
            parts.append(text[begin:index].strip())
            index += len(separator)
            begin = index
            continue
        index += 1
    return [*parts, text[begin:].strip()]
