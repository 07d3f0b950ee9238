"""What holds for all pairs of answers: equality is reflexive, symmetric, deterministic, and that of the values."""

import hashlib
import itertools
import json
import os
import random
import string
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openmath.answers import VERDICTS, answers_equal, class_key, extract_answer, grade, kind_of

ROOT = Path(__file__).resolve().parents[2]
PAIRS = [
    (fields[1], fields[2])
    for path in sorted((ROOT / "tests/data/answers").glob("*.tsv"))
    for fields in (line.split("\t") for line in path.read_bytes().decode("utf-8").split("\n")[1:] if line)
]
ANSWERS = sorted({answer for pair in PAIRS for answer in pair})

# Texts made of the pieces that answers are made of, so that every branch of the reader is met.
SIGNS = """0 1 2 7 10 1,000 0.5 . , ( ) [ ] { } = + - / ^ _ x y a n k f i e & : ; ! ' ~ % $ | < > * million and or half
½ √ ² − ∞ ° π cm base p.m. no solution"""
COMMANDS = r"""\{ \} \frac \frac{1}{2} \sqrt \sqrt[3] \pi \pm \cup \cap \in \mathbb{R} \text{ \text{and} \text{cm} \% \$
^\circ \\ \cdot \times \left( \right) \left| \right| \, \! \sin \log \ln \binom \le \ne \equiv \pmod \overline{
\emptyset \infty \lfloor \rfloor \boxed{ \dots \sum_{k=1}^{3} \approx \setminus \angle \mid \begin{pmatrix}
\end{pmatrix} ^{ _{ f(x)="""
PIECES = st.sampled_from([*SIGNS.split(), *COMMANDS.split(), " "])
PIECED = st.lists(PIECES, max_size=12).map("".join)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str]:
    """A real answer, and a copy with a sign dropped, doubled, exchanged with its neighbour or replaced."""
    answer = draw(st.sampled_from(ANSWERS))
    changed = list(answer)
    for _ in range(draw(st.integers(1, 2))):
        if len(changed) < 2:
            break
        place = draw(st.integers(0, len(changed) - 2))
        how = draw(st.sampled_from(("drop", "double", "exchange", "replace")))
        if how == "drop":
            del changed[place]
        elif how == "double":
            changed.insert(place, changed[place])
        elif how == "exchange":
            changed[place : place + 2] = reversed(changed[place : place + 2])
        else:
            changed[place] = draw(st.sampled_from(answer))
    return answer, "".join(changed)


def both_ways(one: str, other: str) -> bool:
    """Whether two answers are equal; fails if the order of the two matters, or if the verdict is none."""
    found, reverse = grade(one, other), grade(other, one)
    assert found.verdict == reverse.verdict
    assert found.verdict in VERDICTS
    return found.verdict == "correct"


@given(st.one_of(st.text(), PIECED, st.text(st.sampled_from(string.printable)), mutated().map(lambda pair: pair[1])))
@settings(max_examples=800, deadline=None)
@example(r"5 \text{ cm}")
@example("{}")
def test_every_text_equals_itself(text: str) -> None:
    assert answers_equal(text, text)
    assert answers_equal(text, f" {text}\n") or not text.strip()
    assert class_key(text) == class_key(text)
    assert isinstance(kind_of(text), str)
    extract_answer(text)


@given(PIECED, PIECED)
@settings(max_examples=400, deadline=None)
def test_equality_is_symmetric(one: str, other: str) -> None:
    both_ways(one, other)


@given(st.one_of(mutated(), st.tuples(st.sampled_from(ANSWERS), st.sampled_from(ANSWERS))))
@settings(max_examples=600, deadline=None)
def test_equality_is_symmetric_for_near_misses_of_real_answers(pair: tuple[str, str]) -> None:
    both_ways(*pair)


@given(st.one_of(mutated(), st.sampled_from(PAIRS)))
@settings(max_examples=300, deadline=None)
def test_equal_keys_mean_equal_answers(pair: tuple[str, str]) -> None:
    assert class_key(pair[0]) != class_key(pair[1]) or answers_equal(*pair)


@given(st.sampled_from(PAIRS))
@settings(max_examples=300, deadline=None)
def test_a_box_and_dollars_around_an_answer_change_no_verdict(pair: tuple[str, str]) -> None:
    one, other = pair
    assert answers_equal(one, other) == answers_equal(rf"\boxed{{{one}}}", other) or "$" in one or "\\(" in one
    assert answers_equal(one, other) == answers_equal(one, f" {other} ")


def test_verdicts_do_not_depend_on_the_process() -> None:
    sample = random.Random(1).sample(PAIRS, 500)
    program = (
        "import json, sys; from openmath.answers import class_key, grade, kind_of\n"
        "pairs = json.load(sys.stdin)\n"
        "print(json.dumps([[*grade(*pair), kind_of(pair[0]), str(class_key(pair[1]))] for pair in pairs]))"
    )
    digests = set()
    for seed, pairs in (("1", sample), ("2", sample), ("3", sample[::-1])):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "scripts")}
        done = subprocess.run(
            [sys.executable, "-c", program], input=json.dumps(pairs), capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        digests.add(hashlib.sha256(json.dumps(found if seed != "3" else found[::-1]).encode()).hexdigest())
    assert len(digests) == 1


# Numbers


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6), st.integers(1, 1000), st.sampled_from([1, -1]))
@settings(max_examples=150, deadline=None)
def test_a_fraction_equals_its_multiples_only(numerator: int, denominator: int, factor: int, sign: int) -> None:
    text = f"{numerator}/{denominator}"
    multiple = rf"\frac{{{sign * numerator * factor}}}{{{sign * denominator * factor}}}"
    assert both_ways(text, multiple)
    assert not both_ways(text, f"{numerator + 1}/{denominator}")
    assert not both_ways(multiple, f"{-numerator}/{denominator}") or not numerator


@given(st.integers(-(10**15), 10**15), st.integers(0, 10))
@settings(max_examples=150, deadline=None)
def test_a_decimal_equals_its_fraction_and_no_neighbour(value: int, places: int) -> None:
    exact = Fraction(value, 10**places)
    digits = f"{abs(value):0{places + 1}d}"
    written = f"{'-' * (value < 0)}{digits[: len(digits) - places]}.{digits[len(digits) - places :]}0"
    assert both_ways(written, rf"\frac{{{exact.numerator}}}{{{exact.denominator}}}")
    other = exact + Fraction(1, 10**places)
    assert not both_ways(written, f"{other.numerator}/{other.denominator}")


@given(st.integers(1, 10**12))
@settings(max_examples=60, deadline=None)
def test_a_number_equals_itself_however_it_is_grouped(value: int) -> None:
    for separator in (",", "{,}", r"\,", r",\!", " "):
        assert both_ways(str(value), f"{value:,}".replace(",", separator))
    assert not both_ways(str(value), f"{value + 1:,}")


@given(st.integers(-30, 30), st.integers(1, 12), st.integers(2, 60), st.integers(2, 9))
@settings(max_examples=100, deadline=None)
def test_a_root_equals_what_is_drawn_out_of_it(whole: int, outside: int, inside: int, below: int) -> None:
    drawn = rf"\frac{{{whole} + {outside}\sqrt{{{inside}}}}}{{{below}}}"
    kept = rf"\frac{{{whole}}}{{{below}}} + \sqrt{{\frac{{{inside * outside**2}}}{{{below**2}}}}}"
    assert both_ways(drawn, kept)
    assert not both_ways(drawn, rf"\frac{{{whole} - {outside}\sqrt{{{inside}}}}}{{{below}}}")
    assert not both_ways(drawn, rf"\frac{{{whole} + {outside}\sqrt{{{inside + 1}}}}}{{{below}}}")


# Expressions

SMALL = st.integers(-9, 9)


def signed(coefficient: int, rest: str) -> str:
    return f"{'-' if coefficient < 0 else '+'} {abs(coefficient)}{rest} "


def written(coefficients: list[int]) -> str:
    """A polynomial in x by its coefficients, constant first, highest power first in the text."""
    terms = [signed(c, f"x^{{{power}}}" if power else "") for power, c in reversed([*enumerate(coefficients)])]
    return "".join(terms).removeprefix("+ ")


def product(one: list[int], other: list[int]) -> list[int]:
    result = [0] * (len(one) + len(other) - 1)
    for (i, a), (j, b) in itertools.product(enumerate(one), enumerate(other)):
        result[i + j] += a * b
    return result


@given(st.lists(st.lists(SMALL, min_size=2, max_size=3), min_size=2, max_size=4), st.data())
@settings(max_examples=120, deadline=None)
def test_a_product_equals_its_expansion_and_no_other(factors: list[list[int]], data: st.DataObject) -> None:
    expanded = [1]
    for factor in factors:
        expanded = product(expanded, factor)
    factored = "".join(f"({written(factor)})" for factor in factors)
    assert both_ways(factored, written(expanded))
    changed = list(expanded)
    changed[data.draw(st.integers(0, len(changed) - 1))] += data.draw(st.sampled_from([-2, -1, 1, 2]))
    assert not both_ways(factored, written(changed))
    assert not both_ways(f"({factored})^2 + {written(expanded)}", f"({factored})^2 + {written(changed)}")


@given(st.lists(SMALL, min_size=2, max_size=3), st.lists(SMALL, min_size=2, max_size=3), st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_an_equation_equals_its_multiples_with_sides_exchanged(left: list[int], right: list[int], factor: int) -> None:
    if left == right or not any(a != b for a, b in itertools.zip_longest(left, right, fillvalue=0)):
        return
    scaled = [[-factor * c for c in side] for side in (left, right)]
    equation = f"{written(left)} = y + {written(right)}"
    assert both_ways(equation, f"-{factor}y {signed_all(scaled[1])} = {written(scaled[0])}")
    assert not both_ways(equation, f"-{factor}y {signed_all(scaled[1])} = {written(scaled[0])} + 1")


def signed_all(coefficients: list[int]) -> str:
    return "".join(signed(c, f"x^{{{power}}}" if power else "") for power, c in enumerate(coefficients))


# Collections


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=120, deadline=None)
def test_lists_and_sets_have_no_order_and_tuples_have(values: list[int], shuffle: random.Random) -> None:
    shuffled = shuffle.sample(values, len(values))
    one, other = (", ".join(map(str, items)) for items in (values, shuffled))
    assert both_ways(one, other)
    assert both_ways(rf"\{{{one}\}}", rf"\{{{other}\}}")
    assert both_ways(f"({one})", f"({other})") is (values == shuffled)
    assert both_ways(f"({one})", other) is (values == shuffled)
    assert not both_ways(one, f"{one}, 100")
    assert not both_ways(f"({one})", rf"\{{{one}\}}")
    assert both_ways(rf"\{{{one}\}}", rf"\{{{other}, {values[0]}\}}")
    assert not both_ways(one, f"{one}, {values[0]}")


@given(st.integers(-20, 20), st.integers(1, 20), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_interval_equals_its_inequality_and_no_other_brackets(low: int, width: int, left: bool, right: bool) -> None:
    high = low + width
    interval = f"{'[' if left else '('}{low}, {high}{']' if right else ')'}"
    below, above = (r"\le" if closed else "<" for closed in (left, right))
    inequality = f"{low} {below} x {above} {high}"
    assert both_ways(interval, inequality)
    for opening, closing in itertools.product("([", ")]"):
        same = (opening == "[") is left and (closing == "]") is right
        assert both_ways(interval, f"{opening}{low}, {high}{closing}") is same
    assert not both_ways(interval, f"{interval[0]}{low}, {high + 1}{interval[-1]}")


@given(st.lists(st.integers(-9, 9), min_size=4, max_size=4), st.integers(0, 3), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_a_matrix_equals_itself_in_other_brackets_only(cells: list[int], place: int, change: int) -> None:
    a, b, c, d = cells
    matrix = rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}"
    assert both_ways(matrix, f"[[{a}, {b}], [{c}, {d}]]")
    assert both_ways(matrix.replace("pmatrix", "vmatrix"), str(a * d - b * c))
    changed = list(cells)
    changed[place] += change
    assert not both_ways(matrix, "[[{}, {}], [{}, {}]]".format(*changed))


@pytest.mark.parametrize("seed", range(3))
def test_a_long_list_equals_its_shuffle_and_no_near_copy(seed: int) -> None:
    generator = random.Random(seed)
    values = [Fraction(generator.randint(1, 99), generator.randint(1, 99)) for _ in range(50)]
    one = ", ".join(f"{2 * value.numerator}/{2 * value.denominator}" for value in values)
    other = ", ".join(map(str, generator.sample(values, len(values))))
    assert both_ways(one, other)
    assert not both_ways(one, f"{other}1")
