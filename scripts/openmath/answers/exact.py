r"""Exact normal forms of expressions: quotients of polynomials over the rationals in independent atoms.

Atoms are variables, pi, e, i (with i^2 = -1), prime numbers under a fractional exponent, and powers of any of them
with a variable in the exponent:

    \sqrt{8} + \frac{x}{2}      {((#2, 1/2),): 2, ((x, 1),): 1/2}        2 * 2^(1/2) + 1/2 * x
    4^{x+1}                     {((#2^[x], 2),): 4}                      4 * (2^x)^2

Different roots of primes are linearly independent over the rationals (Besicovitch 1940), and the other atoms are
taken as algebraically independent (of pi and e nobody knows; a pair of answers will not decide it). So two forms of
such atoms are equal if and only if the expressions are. What has no such form (sines, nested roots, |x|) becomes an
opaque atom: forms with opaque atoms can still prove equality, never difference. Terms and sizes of numbers are
bounded; cost grows with the product of the numbers of terms.
"""

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from openmath.answers.polynomials import (
    MAX_BITS,
    ONE,
    Monomial,
    Polynomial,
    Rational,
    TooLargeError,
    content,
    factorise,
    multiply,
    normal,
    plus,
    reduced,
)
from openmath.answers.trees import PI, Apply, E, I, Node, Number, Numeral, Symbol

MAX_POWER = 40
MAX_KEY = 4000
MAX_FACTORIAL = 1000


class Form(NamedTuple):
    """``above / below``; ``complete`` if no atom is opaque, so that different forms are different values."""

    above: Polynomial
    below: Polynomial
    complete: bool


@functools.lru_cache(maxsize=2**15)
def form_of(tree: Node) -> Form | None:
    """The normal form of an expression; None if it has none within the bounds (also for a division by zero)."""
    try:
        return _form(tree)
    except (TooLargeError, ZeroDivisionError, OverflowError, RecursionError):
        return None


def rational_of(tree: Node) -> Rational | None:
    """The value of an expression that is a rational number; None for any other."""
    if isinstance(tree, Number):
        return tree.value
    form = form_of(tree)
    return None if form is None else _constant(form)


def forms_equal(one: Form, other: Form) -> bool | None:
    """Whether two forms are the same value; None where that is not known."""
    if one.below == other.below:
        equal = one.above == other.above
    else:
        try:
            equal = multiply(one.above, other.below) == multiply(other.above, one.below)
        except TooLargeError:
            return None
    if equal:
        return True
    return False if one.complete and other.complete else None


def proportional(one: Form, other: Form) -> bool | None:
    """Whether the numerators of two forms are equal up to a factor that is a number other than zero."""
    try:
        left, right = _cleared(one.above), _cleared(other.above)
        equal = _proportional(left, right)
    except TooLargeError:
        return None
    return True if equal else _unknown(one, other)


def _proportional(one: Polynomial, other: Polynomial) -> bool:
    """Equality up to a factor like 3 or the square root of 2: the leading coefficients are multiplied over."""
    ones, others = _by_variables(one), _by_variables(other)
    if ones.keys() != others.keys():
        return False
    lead = min(ones, key=repr)
    return all(multiply(ones[key], others[lead]) == multiply(others[key], ones[lead]) for key in ones)


def _by_variables(polynomial: Polynomial) -> dict[Monomial, Polynomial]:
    parts: dict[Monomial, Polynomial] = {}
    for monomial, factor in polynomial.items():
        constants = tuple(pair for pair in monomial if pair[0][0] == "#" or pair[0] in (PI, E, I))
        free = tuple(pair for pair in monomial if pair not in constants)
        parts.setdefault(free, {})[constants] = factor
    return parts


def ratio_sign(one: Form, other: Form) -> int:
    """The sign of the rational factor between two proportional numerators; 0 if the factor is no rational number."""
    lead = min(one.above, key=repr)
    if lead not in other.above:
        return 0
    return 1 if Fraction(one.above[lead]) / other.above[lead] > 0 else -1


def _cleared(polynomial: Polynomial) -> Polynomial:
    """The polynomial times the variables that it divides by: ``y - 12 / x`` as ``x y - 12``."""
    lowest: dict[str, Rational] = {}
    for monomial in polynomial:
        for atom, exponent in monomial:
            if exponent < 0 and atom[0] not in "#@\\-":
                lowest[atom] = min(lowest.get(atom, 0), exponent)
    if not lowest:
        return polynomial
    return multiply(polynomial, {tuple(sorted((atom, -exponent) for atom, exponent in lowest.items())): 1})


def _unknown(one: Form, other: Form) -> bool | None:
    return False if one.complete and other.complete else None


def subtract(one: Form, other: Form) -> Form | None:
    """The difference of two forms; None beyond the bounds."""
    try:
        minus = Form({monomial: -factor for monomial, factor in other.above.items()}, other.below, other.complete)
        return _add(one, minus)
    except (TooLargeError, ZeroDivisionError):
        return None


# Polynomials


def _quotient(above: Polynomial, below: Polynomial, complete: bool) -> Form:
    """A form whose denominator is 1 where it can be: a single term is divided into the numerator."""
    if not below:
        raise ZeroDivisionError
    if below is ONE or below == ONE:
        return Form(above, ONE, complete)
    if not above:
        return Form({}, ONE, complete)
    if len(below) == 1:
        ((monomial, factor),) = below.items()
        inverse, extra = normal({atom: -exponent for atom, exponent in monomial})
        return Form(multiply(above, {inverse: reduced(Fraction(extra) / factor)}), ONE, complete)
    if all(not (monomial and monomial[-1][0][0] not in "#\\") for monomial in below) and len(below) == 2:
        rational = _rationalised(above, below)
        if rational is not None:
            return Form(*rational, complete)
    if len(above) == len(below) and above == below:
        return Form(ONE, ONE, complete)
    return Form(above, below, complete)


def _rationalised(above: Polynomial, below: Polynomial) -> tuple[Polynomial, Polynomial] | None:
    """Multiply ``a + b`` in the denominator by ``a - b`` where both squares are rational."""
    (first, first_factor), (second, second_factor) = below.items()
    conjugate: Polynomial = {first: first_factor, second: -second_factor}
    norm = multiply(below, conjugate)
    if len(norm) != 1 or () not in norm:
        return None
    inverse = reduced(1 / Fraction(norm[()]))
    return {m: reduced(f * inverse) for m, f in multiply(above, conjugate).items()}, ONE


# Forms


def _constant(form: Form) -> Rational | None:
    if form.below is not ONE:
        return None
    if not form.above:
        return 0
    return form.above.get(()) if len(form.above) == 1 else None


def _rational(value: Rational) -> Form:
    value = reduced(value)
    return Form({(): value} if value else {}, ONE, True)


def _atom(name: str, exponent: Rational = 1, complete: bool = True) -> Form:
    return Form({((name, exponent),): 1}, ONE, complete)


def _add(one: Form, other: Form) -> Form:
    complete = one.complete and other.complete
    if one.below is ONE and other.below is ONE:
        return Form(plus(one.above, other.above), ONE, complete)
    if one.below == other.below:
        return _quotient(plus(one.above, other.above), one.below, complete)
    above = plus(multiply(one.above, other.below), multiply(other.above, one.below))
    return _quotient(above, multiply(one.below, other.below), complete)


def _times(one: Form, other: Form) -> Form:
    complete = one.complete and other.complete
    if one.below is ONE and other.below is ONE:
        return Form(multiply(one.above, other.above), ONE, complete)
    return _quotient(multiply(one.above, other.above), multiply(one.below, other.below), complete)


def _inverse(form: Form) -> Form:
    return _quotient(form.below, form.above, form.complete)


def _form(tree: Node) -> Form:
    if isinstance(tree, Number):
        return _rational(tree.value)
    if isinstance(tree, Symbol):
        return _atom(tree.name)
    if isinstance(tree, Numeral):
        return _rational(numeral_value(tree))
    if not isinstance(tree, Apply):
        raise TooLargeError
    op, args = tree.op, tree.args
    if op == "+":
        result = _form(args[0])
        for arg in args[1:]:
            result = _add(result, _form(arg))
        return result
    if op == "*":
        result = _form(args[0])
        for arg in args[1:]:
            result = _times(result, _form(arg))
        return result
    if op == "/":
        return _times(_form(args[0]), _inverse(_form(args[1])))
    if op == "^":
        return _power(_form(args[0]), _form(args[1]))
    if op == "root":
        index = _constant(_form(args[1]))
        if index is None or index == 0 or abs(Fraction(index)) > 1000:
            raise TooLargeError
        return _power(_form(args[0]), _rational(1 / Fraction(index)))
    if op == "conj":
        form = _form(args[0])
        return _quotient(_conjugate(form.above), _conjugate(form.below), form.complete)
    if op == "deg":
        return _times(_form(args[0]), Form({((PI, 1),): Fraction(1, 180)}, ONE, True))
    if op == "percent":
        return _times(_form(args[0]), _rational(Fraction(1, 100)))
    return _applied(op, args)


def _conjugate(polynomial: Polynomial) -> Polynomial:
    return {monomial: -factor if (I, 1) in monomial else factor for monomial, factor in polynomial.items()}


def _applied(op: str, args: tuple[Node, ...]) -> Form:
    if op in ("sum", "prod", "int", "lim"):
        raise TooLargeError
    forms = [_form(arg) for arg in args]
    values = [value for form in forms if (value := _constant(form)) is not None]
    if values and len(values) == len(forms):
        found = _of_numbers(op, values)
        if found is not None:
            return _rational(found)
    key = ";".join(form_key(form) for form in forms)
    if len(key) > MAX_KEY:
        raise TooLargeError
    return _atom(f"@{op}({key})", 1, complete=False)


def _of_numbers(op: str, values: Sequence[Rational]) -> Rational | None:
    """Functions of rationals that have rational values."""
    first = values[0]
    if op == "abs" and len(values) == 1:
        return abs(Fraction(first))
    if op == "floor":
        return math.floor(first)
    if op == "ceil":
        return math.ceil(first)
    if op in ("max", "min"):
        return max(values) if op == "max" else min(values)
    if op == "sgn":
        return (first > 0) - (first < 0)
    if any(Fraction(value).denominator != 1 for value in values):
        return None
    whole = [int(value) for value in values]
    if op in ("gcd", "lcm"):
        return math.gcd(*whole) if op == "gcd" else math.lcm(*whole)
    if op == "!" and 0 <= whole[0] <= MAX_FACTORIAL:
        return math.factorial(whole[0])
    if op == "!!" and 0 <= whole[0] <= MAX_FACTORIAL:
        return math.prod(range(whole[0], 0, -2))
    if (
        op == "binom"
        and whole[1] >= 0
        and 0 <= whole[0] <= 10 * MAX_FACTORIAL
        and min(whole[1], whole[0] - whole[1]) <= 500
    ):
        return math.comb(whole[0], whole[1])
    return None


def form_key(form: Form) -> str:
    """A text that is the same for equal numerators over equal denominators."""
    return f"{sorted(form.above.items(), key=repr)}/{sorted(form.below.items(), key=repr)}"


def numeral_value(numeral: Numeral) -> Rational:
    """The value of digits in their base; digits beyond the base are none.

    Raises:
        TooLargeError: a digit is not below the base.
    """
    whole, _, part = numeral.digits.partition(".")
    try:
        value: Rational = int(whole + part or "0", numeral.base)
    except ValueError:
        raise TooLargeError from None
    return Fraction(value, numeral.base ** len(part)) if part else value


# Powers


def _power(base: Form, exponent: Form) -> Form:
    value = _constant(exponent)
    if value is not None:
        return _rational_power(base, Fraction(value))
    return _exponential(base, exponent)


def _rational_power(base: Form, exponent: Fraction) -> Form:
    if not base.above:
        if exponent <= 0:
            raise ZeroDivisionError
        return base
    if exponent.denominator == 1:
        return _whole_power(base, exponent.numerator)
    if base.below is not ONE:
        return _times(
            _rational_power(Form(base.above, ONE, base.complete), exponent),
            _rational_power(Form(base.below, ONE, base.complete), -exponent),
        )
    if len(base.above) == 1:
        ((monomial, factor),) = base.above.items()
        root = _root_of_term(monomial, Fraction(factor), exponent, base.complete)
        if root is not None:
            return root
    common = content(base.above)
    primitive = {monomial: reduced(Fraction(factor) / common) for monomial, factor in base.above.items()}
    key = form_key(Form(primitive, ONE, True))
    opaque = _atom(f"@({key})", exponent, complete=False)
    return _times(_root_of_number(common, exponent), opaque)


def _whole_power(base: Form, exponent: int) -> Form:
    if exponent < 0:
        return _whole_power(_inverse(base), -exponent)
    if base.below is ONE and len(base.above) == 1:
        ((monomial, factor),) = base.above.items()
        if (
            abs(exponent) * (factor.numerator.bit_length() + factor.denominator.bit_length()) > MAX_BITS
            and abs(factor) != 1
        ):
            raise TooLargeError
        if exponent > 10**6 and monomial:
            raise TooLargeError
        raised, extra = normal({atom: power * exponent for atom, power in monomial})
        return Form({raised: reduced(Fraction(factor) ** exponent * extra)}, ONE, base.complete)
    if exponent > MAX_POWER:
        raise TooLargeError
    result = Form(ONE, ONE, True)
    while exponent:
        if exponent & 1:
            result = _times(result, base)
        exponent >>= 1
        if exponent:
            base = _times(base, base)
    return result


def _root_of_term(monomial: Monomial, factor: Fraction, exponent: Fraction, complete: bool) -> Form | None:
    """A root of one term; None where it depends on signs that are not known."""
    odd = exponent.denominator % 2 == 1
    exponents: dict[str, Rational] = {}
    for atom, power in monomial:
        if atom == I:
            return None
        positive = atom in (PI, E) or atom[0] == "#" or (atom[0] == "\\" and "[" in atom)
        even = isinstance(power, int) and power % 2 == 0
        raised = power * exponent
        if not positive and not odd and even and not (raised.denominator == 1 and raised % 2 == 0):
            return None
        exponents[atom] = raised
    sign: Form = Form(ONE, ONE, True)
    if factor < 0:
        if odd:
            sign = _rational(-1 if exponent.numerator % 2 else 1)
        elif exponent.denominator == 2 and all(atom in (PI, E) or atom[0] == "#" for atom, _ in monomial):
            sign = _whole_power(_atom(I), exponent.numerator % 4)
        else:
            return None
    raised_monomial, extra = normal(exponents)
    term = Form({raised_monomial: reduced(extra)}, ONE, complete)
    return _times(_times(sign, _root_of_number(abs(factor), exponent)), term)


def _root_of_number(value: Fraction, exponent: Fraction) -> Form:
    """A rational power of a positive rational, as a rational times prime roots."""
    result = Form(ONE, ONE, True)
    for number, sign in ((value.numerator, 1), (value.denominator, -1)):
        for prime, power in factorise(number):
            if prime < 0:
                result = _times(result, _atom(f"@root{-prime}", sign * power * exponent, complete=False))
                continue
            monomial, factor = normal({f"#{prime}": sign * power * exponent})
            result = _times(result, Form({monomial: reduced(factor)}, ONE, True))
    return result


def _exponential(base: Form, exponent: Form) -> Form:
    """A power with something other than a rational in the exponent: a^(c + k m) = a^c (a^m)^k."""
    if base.below is not ONE or exponent.below is not ONE or len(base.above) != 1:
        return _opaque_power(base, exponent)
    ((monomial, factor),) = base.above.items()
    complete = base.complete and exponent.complete
    constant = Fraction(exponent.above.get((), 0))
    result = _rational_power(base, constant) if constant else Form(ONE, ONE, True)
    pieces: dict[str, Rational] = {}
    for atom, power in monomial:
        pieces[atom] = power
    for number, sign in ((Fraction(factor).numerator, 1), (Fraction(factor).denominator, -1)):
        for prime, power in factorise(abs(number)):
            if prime < 0:
                return _opaque_power(base, exponent)
            pieces[f"#{prime}"] = pieces.get(f"#{prime}", 0) + sign * power
    exponents: dict[str, Rational] = {}
    for term, coefficient in exponent.above.items():
        if not term:
            continue
        if any(atom == I for atom, _ in term) or I in pieces:
            return _opaque_power(base, exponent)
        if factor < 0:
            if Fraction(coefficient).denominator != 1:
                return _opaque_power(base, exponent)
            exponents[f"-1^[{term}]"] = coefficient
        for atom, power in pieces.items():
            name = f"{atom}^[{term}]"
            exponents[name] = exponents.get(name, 0) + power * coefficient
    raised, extra = normal(exponents)
    return _times(result, Form({raised: extra}, ONE, complete))


def _opaque_power(base: Form, exponent: Form) -> Form:
    return _atom(f"@^({form_key(base)};{form_key(exponent)})", 1, complete=False)
