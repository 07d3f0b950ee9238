"""Polynomials over the rationals in named atoms with rational exponents: sums, products, primes, all bounded."""

import functools
import math
from fractions import Fraction

from openmath.answers.trees import I

MAX_TERMS = 300
MAX_BITS = 20_000
_TRIAL_LIMIT = 2000

Rational = int | Fraction
Monomial = tuple[tuple[str, Rational], ...]
Polynomial = dict[Monomial, Rational]

ONE: Polynomial = {(): 1}


class TooLargeError(ValueError):
    """The expression is beyond the bounds of this module."""


def reduced(value: Rational) -> Rational:
    """The value, as an int where it is whole.

    Raises:
        TooLargeError: it has more than ``MAX_BITS`` bits.
    """
    if type(value) is int:
        if value.bit_length() > MAX_BITS:
            raise TooLargeError
        return value
    numerator, denominator = value.numerator, value.denominator
    if numerator.bit_length() + denominator.bit_length() > MAX_BITS:
        raise TooLargeError
    return numerator if denominator == 1 else value


def join(one: Monomial, other: Monomial) -> tuple[Monomial, Rational]:
    """The product of two monomials, and the rational that falls out where roots or i meet."""
    if not one:
        return other, 1
    if not other:
        return one, 1
    exponents = dict(one)
    for atom, exponent in other:
        exponents[atom] = exponents.get(atom, 0) + exponent
    return normal(exponents)


def normal(exponents: dict[str, Rational]) -> tuple[Monomial, Rational]:
    factor: Rational = 1
    kept = []
    for atom, exponent in exponents.items():
        if atom[0] == "#" and "[" not in atom:
            whole = math.floor(exponent)
            if whole:
                prime = int(atom[1:])
                if abs(whole) * prime.bit_length() > MAX_BITS:
                    raise TooLargeError
                factor *= Fraction(prime) ** whole
                exponent -= whole
        elif atom == I:
            turns = exponent % 4
            if turns >= 2:
                factor, turns = -factor, turns - 2
            exponent = turns
        elif atom.startswith("-1^["):
            exponent = exponent % 2
        if exponent:
            if isinstance(exponent, Fraction) and exponent.denominator == 1:
                exponent = exponent.numerator
            kept.append((atom, exponent))
    kept.sort()
    return tuple(kept), factor


def multiply(one: Polynomial, other: Polynomial) -> Polynomial:
    if one is ONE:
        return other
    if other is ONE:
        return one
    if len(one) * len(other) > MAX_TERMS * 10:
        raise TooLargeError
    product: Polynomial = {}
    for left, left_factor in one.items():
        for right, right_factor in other.items():
            monomial, factor = join(left, right)
            total = product.get(monomial, 0) + left_factor * right_factor * factor
            if total:
                product[monomial] = reduced(total)
            else:
                product.pop(monomial, None)
    if len(product) > MAX_TERMS:
        raise TooLargeError
    return product


def plus(one: Polynomial, other: Polynomial) -> Polynomial:
    total = dict(one)
    for monomial, factor in other.items():
        value = total.get(monomial, 0) + factor
        if value:
            total[monomial] = reduced(value)
        else:
            total.pop(monomial, None)
    if len(total) > MAX_TERMS:
        raise TooLargeError
    return total


@functools.lru_cache(maxsize=4096)
def factorise(number: int) -> tuple[tuple[int, int], ...]:
    """The primes of a natural number with their powers; a part that is too large to factor stands negative.

    >>> factorise(72)
    ((2, 3), (3, 2))
    """
    factors, prime = [], 2
    if number.bit_length() > 2000:
        return ((-number, 1),)
    while prime * prime <= number and prime < _TRIAL_LIMIT:
        power = 0
        while number % prime == 0:
            number //= prime
            power += 1
        if power:
            factors.append((prime, power))
        prime += 1 if prime == 2 else 2
    if number > 1:
        root = math.isqrt(number)
        if number < _TRIAL_LIMIT**2:
            factors.append((number, 1))
        elif root * root == number and root < _TRIAL_LIMIT**2:
            factors.append((root, 2))
        else:
            factors.append((-number, 1))
    return tuple(factors)


def content(polynomial: Polynomial) -> Fraction:
    numerators = [abs(Fraction(factor).numerator) for factor in polynomial.values()]
    denominators = [Fraction(factor).denominator for factor in polynomial.values()]
    return Fraction(math.gcd(*numerators), math.lcm(*denominators))
