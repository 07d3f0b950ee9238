"""Values of number tokens: grouping commas, decimals, repeating decimals, scientific notation. All are exact."""

import re
from fractions import Fraction

from openmath.answers.lexer import UnreadableError
from openmath.answers.trees import Number, Numeral

MAX_POWER = 5000
_BASE_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
BASES = {**{word: base for base, word in enumerate(_BASE_WORDS, 2)}, "sixteen": 16}


def number(text: str) -> Number:
    """The exact value of a number token: grouping commas, decimals, repeating decimals, scientific notation.

    >>> number("1,234").value == 1234, number("0.1|6").value, number("1.5e-3").value
    (True, Fraction(1, 6), Fraction(3, 2000))

    Raises:
        UnreadableError: dots behind digits that do not repeat.
    """
    if text.isdigit():
        return Number(int(text))
    text = text.replace(",", "")
    if "|" in text:
        plain, period = text.split("|")
        return Number(_repeating(plain, period))
    mantissa, _, exponent = text.partition("e")
    value = Fraction(mantissa)
    digits = len(re.sub(r"^[0.]+", "", mantissa).replace(".", "")) if "." in mantissa else 0
    if exponent:
        power = int(exponent)
        if abs(power) > MAX_POWER:
            raise UnreadableError
        value *= Fraction(10) ** power
    return Number(value, digits)


def _repeating(plain: str, period: str) -> Fraction:
    whole, decimals = plain.split(".")
    if period == "...":
        for length in range(1, len(decimals) // 2 + 1):
            block = decimals[-length:]
            repeats = len(decimals) // length
            needed = 3 if length == 1 else 2
            count = 1
            while count < repeats and decimals[-length * (count + 1) : -length * count] == block:
                count += 1
            if count >= needed:
                head = decimals[: len(decimals) - length * count]
                decimals, period = head, block
                break
        else:
            raise UnreadableError
    scale = 10 ** len(decimals)
    return Fraction(int(whole + decimals or "0"), scale) + Fraction(int(period), scale * (10 ** len(period) - 1))


def numeral(digits: str, base_name: str) -> Numeral | None:
    """Digits (with a sign or a point) in the base that a word or a number names; None if it has no such digits.

    >>> numeral("-1b", "sixteen"), numeral("12", "2")
    (Numeral(digits='-1B', base=16), None)
    """
    name = base_name.lower()
    base = BASES.get(name) or (int(name) if name.isdigit() and len(name) < 3 else 0)
    if not 2 <= base <= 36 or any(int(digit, 36) >= base for digit in digits.replace(".", "").lstrip("-")):
        return None
    return Numeral(digits.upper(), base)
