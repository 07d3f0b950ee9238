"""Grade-school word problems, made to order: the two data sets of the miniature.

A problem states a few small numbers in one of the wordings of its kind and is solved in two steps. Its *facts* are its
kind and its numbers; a wording, a name and a thing only dress them. The numbers are so small that a newly invented
problem now and then states the facts of a test item in other words, which is what a contamination check has to find.

Whether a text may be learnt from follows from the text alone: one text of eight, by its hash, belongs to the *universe*
"test" and the others to "train". Whoever draws only from one universe can never meet a text of the other.

    kind bus, numbers (21, 4, 8), wording 0
    problem    A bus to the park has 21 people. 4 get on and 8 get off. How many are on it?
    solution   21+4=25. 25-8=17. Answer \\boxed{17}
"""

import hashlib
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from openmath.records import Record, derive_seed

NAMES = ("Tom", "Ana", "Ben", "Mia", "Sam")
THINGS = ("pens", "cups", "books", "toys", "hats")
PLACES = ("park", "lake", "farm", "zoo")
TEST_SHARE = 8
"""One text of this many belongs to the test universe."""

_OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_INVERSE = {"+": "-", "-": "+"}

STYLES = {
    "terse": "{first}. {second}. Answer \\boxed{{{answer}}}",
    "plain": "First {first}. Then {second}. Answer \\boxed{{{answer}}}",
    "checked": "First {first}. Then {second}. Check {check}, so that is right. Answer \\boxed{{{answer}}}",
}


@dataclass(frozen=True)
class Kind:
    """One kind of problem: the ranges of its numbers (both ends included), its wordings, and its two steps.

    A step is (left, operation, right); ``a``, ``b``, ``c`` are the numbers and ``x`` is the result of the first step.
    """

    family: str
    ranges: tuple[tuple[int, int], ...]
    wordings: tuple[str, ...]
    first: tuple[str, str, str]
    second: tuple[str, str, str]


KINDS = {
    "stock": Kind(
        family="shop",
        ranges=((10, 59), (2, 5), (2, 5)),
        wordings=(
            "A shop has {a} {thing}, sells {b} and gets {c}. How many are there now?",
            "{name} has {a} {thing}. {b} are sold and {c} come in. How many has {name} then?",
        ),
        first=("a", "-", "b"),
        second=("x", "+", "c"),
    ),
    "bill": Kind(
        family="shop",
        ranges=((3, 12), (3, 9), (2, 19)),
        wordings=(
            "{name} buys {a} {thing} for {b} coins each and a bag for {c}. How much is it?",
            "What does {name} pay for {a} {thing} at {b} coins each and a bag at {c}?",
        ),
        first=("a", "*", "b"),
        second=("x", "+", "c"),
    ),
    "bus": Kind(
        family="trips",
        ranges=((10, 59), (2, 5), (2, 5)),
        wordings=(
            "A bus to the {place} has {a} people. {b} get on and {c} get off. How many are on it?",
            "{a} people go to the {place} by bus. {b} join and {c} leave. How many go on?",
        ),
        first=("a", "+", "b"),
        second=("x", "-", "c"),
    ),
    "walk": Kind(
        family="trips",
        ranges=((10, 59), (2, 5), (2, 5)),
        wordings=(
            "{name} walks {a} km, then {b} km and then {c} km. How far is that?",
            "It is {a} km to the {place}. {name} goes there and {b} km and {c} km more. How far is it in all?",
        ),
        first=("a", "+", "b"),
        second=("x", "+", "c"),
    ),
}
FAMILIES = tuple(sorted({kind.family for kind in KINDS.values()}))


@dataclass(frozen=True)
class Problem:
    """A worded problem; ``kind`` and ``numbers`` are its facts."""

    kind: str
    numbers: tuple[int, ...]
    text: str

    @property
    def answer(self) -> int:
        """The right answer, a whole number above zero."""
        return self._values()["y"]

    def solution(self, style: str = "terse") -> str:
        """A right solution that ends in a boxed answer; ``style`` is one of ``STYLES``."""
        values = self._values()
        kind = KINDS[self.kind]
        left, sign, right = (values.get(part, part) for part in kind.second)
        return STYLES[style].format(
            first=_equation(kind.first, values, "x"),
            second=_equation(kind.second, values, "y"),
            check=f"{values['y']}{_INVERSE[str(sign)]}{right}={left}",
            answer=values["y"],
        )

    def _values(self) -> dict[str, int]:
        values = dict(zip("abc", self.numbers, strict=False))
        kind = KINDS[self.kind]
        for name, (left, sign, right) in (("x", kind.first), ("y", kind.second)):
            values[name] = _OPERATIONS[sign](values[left], values[right])
        return values


def problem(rng: Random, kind: str) -> Problem:
    """Draw a problem of this kind; numbers, wording and dress are all drawn from ``rng``."""
    numbers = tuple(rng.randint(low, high) for low, high in KINDS[kind].ranges)
    return state(rng, kind, numbers, rng.randrange(len(KINDS[kind].wordings)))


def state(rng: Random, kind: str, numbers: tuple[int, ...], wording: int) -> Problem:
    """Put these facts into one wording, with a name, a thing and a place drawn from ``rng``."""
    dress = {"name": rng.choice(NAMES), "thing": rng.choice(THINGS), "place": rng.choice(PLACES)}
    values: dict[str, Any] = {**dict(zip("abc", numbers, strict=False)), **dress}
    return Problem(kind, numbers, KINDS[kind].wordings[wording].format_map(values))


def kinds_of(family: str) -> tuple[str, ...]:
    """The names of the kinds of one data set, in the order they are declared in.

    Raises:
        ValueError: there is no such family.
    """
    names = tuple(name for name, kind in KINDS.items() if kind.family == family)
    if not names:
        raise ValueError(f"no family of word problems is called '{family}' (known: {', '.join(FAMILIES)})")
    return names


def universe(text: str) -> str:
    """The universe of a problem text, "train" or "test"; a function of the text alone."""
    return "test" if hashlib.sha256(text.encode()).digest()[0] % TEST_SHARE == 0 else "train"


def draw(rng: Random, kind: str, split: str) -> Problem:
    """Draw problems of this kind until one belongs to the universe ``split``."""
    while True:
        drawn = problem(rng, kind)
        if universe(drawn.text) == split:
            return drawn


def rows(family: str, split: str, count: int, seed: int) -> Iterator[Record]:
    """Yield ``count`` records of distinct problem texts of one universe, the kinds of the family in turn.

    Raises:
        ValueError: an unknown family or split, or more texts asked for than there are at ease.
    """
    if split not in ("train", "test"):
        raise ValueError(f"a split of word problems is 'train' or 'test', not '{split}'")
    kinds = kinds_of(family)
    rng = Random(derive_seed("word_problems", family, split, seed))
    seen: set[str] = set()
    misses = 0
    while len(seen) < count:
        drawn = draw(rng, kinds[len(seen) % len(kinds)], split)
        if drawn.text in seen:
            misses += 1
            if misses > 10 * count:
                raise ValueError(f"{family}/{split}: {count} distinct problems were asked for, found {len(seen)}")
            continue
        seen.add(drawn.text)
        yield {
            "problem": drawn.text,
            "expected_answer": str(drawn.answer),
            "problem_source": family,
            "reference_solution": drawn.solution(),
        }


def _equation(step: tuple[str, str, str], values: dict[str, int], result: str) -> str:
    left, sign, right = step
    return f"{values[left]}{sign}{values[right]}={values[result]}"
