"""Units of measurement and counted nouns.

A unit is reduced to the base units of its dimension and an exact factor, so that quantities in different units of one
dimension compare exactly: ``km/h`` is (length^1 time^-1, 5/18). Nouns ("apples", "ways") are dimensions of their own.
Which words are no unit (``or``, ``more`` ...) is a closed list: what they follow is then no quantity.
"""

import functools
import re
from fractions import Fraction
from typing import NamedTuple

PERCENT, DEGREE, RADIAN = "percent^1", "angle^1", "radian^1"


class Unit(NamedTuple):
    """A dimension (base units and exponents, or "noun:" and its words), its scale, and a factor of the value."""

    dimension: str
    scale: Fraction
    factor: int = 1


# Name: base, scale, spellings. Scales are the definitions: international yard and pound (1959), US gallon.
_MEASURES = """
mm: length 1/1000 mm millimeter millimetre
cm: length 1/100 cm centimeter centimetre
dm: length 1/10 dm decimeter decimetre
m: length 1 m meter metre
km: length 1000 km kilometer kilometre
in: length 127/5000 in inch
ft: length 381/1250 ft foot
yd: length 1143/1250 yd yard
mi: length 201168/125 mi mile
mg: mass 1/1000 mg milligram
g: mass 1 g gm gram gramme
kg: mass 1000 kg kilogram kilo
lb: mass 45359237/100000 lb lbs pound
oz: mass 45359237/1600000 oz ounce
ms: time 1/1000 ms millisecond
s: time 1 s sec second
min: time 60 min minute
h: time 3600 h hr hour
day: time 86400 day
week: time 604800 week wk
month: calendar 1 month mo
year: calendar 12 year yr
decade: calendar 120 decade
century: calendar 1200 century
cent: dollar 1/100 cent ¢
penny: dollar 1/100 penny
nickel: noun:nickel 1 nickel
dollar: dollar 1 dollar usd buck
euro: euro 1 euro eur
pound sterling: pound_sterling 1 pound_sterling gbp
yen: yen 1 yen jpy
rupee: rupee 1 rupee inr rs
unit: unit 1 unit
percent: percent 1 percent %
degree: angle 1 degree deg °
radian: radian 1 radian rad
""".strip()
_LITRES = "ml milliliter millilitre:1/1000;cl centiliter:1/100;dl deciliter:1/10;l liter litre:1;cc:1/1000;" \
          "gal gallon:473176473/125000000;qt quart:473176473/500000000;pt pint:473176473/1000000000"  # fmt: skip
_IRREGULAR = {
    "feet": "foot", "inches": "inch", "men": "man", "women": "woman", "people": "person", "children": "child",
    "pennies": "penny", "centuries": "century", "lbs": "lb", "hrs": "hr", "mins": "min", "secs": "sec", "ozs": "oz",
    "dice": "die", "vertices": "vertex", "mice": "mouse", "persons": "person", "geese": "goose", "halves": "half",
    "matrices": "matrix", "boxes": "box", "matches": "match", "inch": "inch", "gross": "gross", "series": "series",
}  # fmt: skip
_NO_UNIT_WORDS = frozenset(
    [
        "and",
        "or",
        "to",
        "mod",
        "modulo",
        "base",
        "choose",
        "over",
        "plus",
        "minus",
        "times",
        "divided",
        "by",
        "factorial",
        "if",
        "where",
        "when",
        "not",
        "no",
        "than",
        "least",
        "most",
        "more",
        "less",
        "each",
        "is",
        "are",
        "as",
        "but",
        "either",
        "if",
        "then",
        "otherwise",
        "else",
        "undefined",
        "approximately",
        "about",
        "only",
        "even",
        "odd",
        "because",
        "since",
        "so",
        "hence",
        "thus",
        "therefore",
        "which",
        "that",
        "does",
        "do",
        "has",
        "have",
        "from",
        "with",
        "without",
        "between",
        "both",
        "all",
        "any",
        "none",
        "every",
        "prime",
        "true",
        "false",
        "yes",
        "exactly",
        "greater",
        "fewer",
    ]
)
SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ORDINALS = frozenset(("th", "st", "nd", "rd"))


_Entry = tuple[tuple[tuple[str, int], ...], Fraction]


def _table() -> dict[str, _Entry]:
    table: dict[str, _Entry] = {}
    for line in _MEASURES.splitlines():
        dimension, scale, *spellings = line.split(": ", 1)[1].split()
        for spelling in spellings:
            table[spelling] = (((dimension, 1),), Fraction(scale))
    for entry in _LITRES.split(";"):
        names, scale = entry.split(":")
        for name in names.split():
            table[name] = ((("length", 3),), Fraction(scale) / 1000)
    table["mph"] = ((("length", 1), ("time", -1)), Fraction(201168, 125) / 3600)
    table["kph"] = table["kmh"] = table["kmph"] = ((("length", 1), ("time", -1)), Fraction(1000, 3600))
    table["acre"] = ((("length", 2),), Fraction(316160658, 78125))
    table["hectare"] = table["ha"] = ((("length", 2),), Fraction(10000))
    return table


# Symbol: spelled out, scale in (length, mass in grams, time, charge, amount, kelvin), and their exponents.
_SI: dict[str, tuple[str, int | Fraction, tuple[int, ...]]] = {
    "m": ("meter metre", 1, (1,)), "g": ("gram gramme", 1, (0, 1)), "s": ("second", 1, (0, 0, 1)),
    "A": ("ampere amp", 1, (0, 0, -1, 1)), "C": ("coulomb", 1, (0, 0, 0, 1)), "mol": ("mole", 1, (0, 0, 0, 0, 1)),
    "K": ("kelvin", 1, (0, 0, 0, 0, 0, 1)), "N": ("newton", 1000, (1, 1, -2)), "J": ("joule", 1000, (2, 1, -2)),
    "W": ("watt", 1000, (2, 1, -3)), "V": ("volt", 1000, (2, 1, -2, -1)), "Pa": ("pascal", 1000, (-1, 1, -2)),
    "Hz": ("hertz", 1, (0, 0, -1)), "ohm": ("ohm", 1000, (2, 1, -1, -2)), "L": ("liter litre", Fraction(1, 1000), (3,)),
}  # fmt: skip
_PREFIXES = {"": ("", 0), "k": ("kilo", 3), "M": ("mega", 6), "G": ("giga", 9), "c": ("centi", -2), "m": ("milli", -3),
             "u": ("micro", -6), "n": ("nano", -9), "p": ("pico", -12)}  # fmt: skip
_DIMENSIONS = ("length", "mass", "time", "charge", "amount", "kelvin")


def _si_table() -> dict[str, _Entry]:
    table: dict[str, _Entry] = {}
    for symbol, (names, scale, exponents) in _SI.items():
        bases = tuple((base, power) for base, power in zip(_DIMENSIONS, exponents, strict=False))
        for prefix, (prefix_name, power) in _PREFIXES.items():
            entry = (bases, scale * Fraction(10) ** power)
            table[prefix + symbol] = entry
            table.update({prefix_name + name: entry for name in names.split()})
    return table


_UNITS = _table()
_SI_UNITS = _si_table()
_POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
_HYPHEN = re.compile(r"-(?!\d)")
_WORD = re.compile(r"[A-Za-z°%¢_]+|\^|-?\d+|/")


def is_measure(word: str) -> bool:
    """Whether a bare word is a unit of measurement or a scale word, and so needs no ``\\text{}`` around it."""
    lower = word.lower()
    name = singular(lower)
    known = word in _SI_UNITS or name in _SI_UNITS or name in _UNITS or name in SCALES
    return known or lower in ("sq", "cubic", "square")


def singular(word: str) -> str:
    """The singular of a lower-case English noun, by rule."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@functools.lru_cache(maxsize=4096)
def read_unit(text: str) -> Unit | None:
    """The unit that some words name; None if they name none.

    >>> read_unit("square feet") == read_unit("ft^2"), read_unit("miles per hour") == read_unit("mph")
    (True, True)
    >>> read_unit("million dollars").factor, read_unit("or more")
    (1000000, None)
    """
    cased = _WORD.findall(_HYPHEN.sub(" ", text).replace(".", ""))
    words = [word.lower() for word in cased]
    factor = 1
    while words and singular(words[0]) in SCALES:
        factor *= SCALES[singular(words.pop(0))]
        cased.pop(0)
    while words and words[0] in ("a", "an", "the", "of", "different", "distinct", "total", "full", "possible", "whole"):
        words.pop(0)
        cased.pop(0)
    if not words or words[0] in _ORDINALS:
        return Unit("", Fraction(1), factor)
    if any(word in _NO_UNIT_WORDS for word in words):
        return None
    found = _measure(words, cased)
    if found is not None:
        return Unit(found.dimension, found.scale, factor)
    if len(words) > 5 or any(not word.isalpha() or len(word) < 2 for word in words):
        return None
    names = sorted({singular(word) for word in words if word not in ("of", "the", "a", "an", "per")})
    return Unit("noun:" + " ".join(names), Fraction(1), factor)


def _measure(words: list[str], cased: list[str]) -> Unit | None:
    exponents: dict[str, int] = {}
    scale, sign, index, pending = Fraction(1), 1, 0, 1
    while index < len(words):
        word = words[index]
        index += 1
        if word in ("per", "/", "a", "an", "each"):
            sign = -1
            continue
        if word in ("square", "sq", "cubic", "cu"):
            pending = _POWERS[word]
            continue
        symbol = cased[index - 1]
        entry = _SI_UNITS.get(symbol) or _SI_UNITS.get(singular(word)) or _UNITS.get(word) or _UNITS.get(singular(word))
        if word in ("degree", "degrees") and index < len(words) and words[index] in ("celsius", "fahrenheit", "c", "f"):
            entry = ((("temperature " + words[index][0], 1),), Fraction(1))
            index += 1
        if entry is None:
            return None
        power = pending
        pending = 1
        if index < len(words) and words[index] in ("squared", "cubed"):
            power = _POWERS[words[index]]
            index += 1
        elif index + 1 < len(words) and words[index] == "^" and words[index + 1].lstrip("-").isdigit():
            power = int(words[index + 1])
            index += 2
        if abs(power) > 6:
            return None
        for base, exponent in entry[0]:
            exponents[base] = exponents.get(base, 0) + sign * power * exponent
        scale *= entry[1] ** (sign * power)
        sign = 1
    if pending != 1:
        return None
    dimension = " ".join(f"{base}^{exponent}" for base, exponent in sorted(exponents.items()) if exponent)
    return Unit(dimension, scale)


def same_dimension(one: str, other: str) -> bool:
    """Whether two dimensions agree: nouns if the words of one are among the other's, "units" with any measure."""
    if one == other:
        return True
    if one.startswith("unit^") or other.startswith("unit^"):
        return one.rpartition("^")[2] == other.rpartition("^")[2] and " " not in one + other
    if one.startswith("noun:") and other.startswith("noun:"):
        ones, others = set(one[5:].split()), set(other[5:].split())
        return ones <= others or others <= ones
    return False
