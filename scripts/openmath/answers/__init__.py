r"""Answers of solutions: found in the text, read into trees, and held against each other.

``extract_answer`` finds what a solution boxes. ``grade`` and ``answers_equal`` compare two answers in tiers, cheapest
first; a verdict names the tier that decided:

    text        the same text, or the same text in another layout
    structure   the same tree: lists in another order, other brackets, other words
    exact       the same rational, polynomial, quotient, radical (``exact``)
    points      the same values at fixed pseudo-random points, to 30 digits (``numeric``)
    symbolic    sums, products, integrals and limits, by sympy in a process that can be killed (``symbolic``)

The relation is reflexive, symmetric and deterministic; nothing of a text is ever executed, and no tolerance is known
but ``Conventions.rounding``. A text that cannot be read is equal to itself only: a failed reading never falls to a
looser one. It is not transitive (``5 cm`` equals ``5``, which equals ``5 in``), because an answer may leave out what
another states.

Cost: one reading of an answer takes 10 to 100 microseconds and is cached, an exact comparison about as much, one at
points about a millisecond where it ends in agreement, sympy up to 0.8 seconds. Texts beyond 1,500 characters are
compared as texts.
"""

import functools
from collections.abc import Hashable
from typing import NamedTuple

from openmath.answers.comparing import Comparison
from openmath.answers.conventions import DEFAULT, Conventions
from openmath.answers.exact import rational_of
from openmath.answers.extraction import extract_answer
from openmath.answers.reading import kind_of, read, second_reading
from openmath.answers.symbolic import TimeLimitError
from openmath.answers.trees import EXPRESSIONS, Number, Raw

VERDICTS = ("correct", "incorrect", "unparsed", "timeout")


class Grade(NamedTuple):
    """What became of a pair of answers: one of ``VERDICTS``, and the tier that decided.

    "unparsed": one of the two cannot be read, and the texts differ (or, by the tier "error", their comparison failed);
    "timeout": the last tier did not finish.
    """

    verdict: str
    tier: str


def answers_equal(expected: str, predicted: str, options: Conventions = DEFAULT) -> bool:
    r"""Whether two answers are the same under some conventions; never raises.

    >>> answers_equal(r"\frac{\sqrt{8}}{2}", "√2"), answers_equal("(1, 2)", "[1, 2]")
    (True, False)
    """
    return grade(expected, predicted, options).verdict == "correct"


@functools.lru_cache(maxsize=2**16)
def grade(expected: str, predicted: str, options: Conventions = DEFAULT) -> Grade:
    r"""The verdict on a predicted answer.

    >>> grade("x^2 - 1", "(x-1)(x+1)"), grade("5", "5 +")
    (Grade(verdict='correct', tier='exact'), Grade(verdict='unparsed', tier='text'))
    """
    expected, predicted = expected.strip(), predicted.strip()
    if expected == predicted:
        return Grade("correct", "text")
    if not expected or not predicted:
        return Grade("incorrect", "text")
    try:
        return _grade(expected, predicted, options)
    except TimeLimitError:
        return Grade("timeout", "symbolic")
    except Exception:  # No answer known does this; were there one, it must not end a job of a million others.
        return Grade("unparsed", "error")


def _grade(expected: str, predicted: str, options: Conventions) -> Grade:
    one, other = read(expected), read(predicted)
    if isinstance(one, Raw) or isinstance(other, Raw):
        return Grade("correct" if one == other and one != Raw("") else "unparsed", "text")
    comparison = Comparison(options)
    equal = comparison.same(one, other) or _second(expected, predicted, comparison)
    return Grade("correct" if equal else "incorrect", comparison.tier)


def _second(expected: str, predicted: str, comparison: Comparison) -> bool:
    """Whether the answers agree where commas between digits separate."""
    if "," not in expected or "," not in predicted:
        return False
    ones = [tree for tree in (read(expected), second_reading(expected)) if tree is not None]
    others = [tree for tree in (read(predicted), second_reading(predicted)) if tree is not None]
    return len(ones) + len(others) > 2 and any(comparison.same(one, other) for one in ones for other in others)


@functools.lru_cache(maxsize=2**14)
def class_key(text: str) -> Hashable:
    r"""A key such that answers with equal keys are equal: the value of a rational number, the text of anything else.

    >>> class_key("0.5") == class_key(r"\frac12"), class_key("x + 1")
    (True, 'x + 1')
    """
    tree = read(text)
    if isinstance(tree, EXPRESSIONS) and not (isinstance(tree, Number) and tree.digits >= 12):
        value = rational_of(tree)
        if value is not None:
            return value
    return text


__all__ = [
    "DEFAULT",
    "VERDICTS",
    "Conventions",
    "Grade",
    "answers_equal",
    "class_key",
    "extract_answer",
    "grade",
    "kind_of",
]
