r"""Arithmetic chains in solution texts: right, wrong, or not to be read; and written out in steps."""

import itertools
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from openmath.arithmetic import MAX_SIDE, find_wrong_arithmetic, has_wrong_arithmetic, split_arithmetic

WRONG = [
    "5 * 3 = 16",
    "He pays 5 * 3 = 16 dollars.",
    "Total = 2 + 3 = 6",
    "The sum is 2 + 3 = 5 = 6.",
    "First 1 + 1 = 2. Then 2 + 2 = 5.",
    "1 + 1 = 2, 2 + 2 = 5",
    "1 + 1 = 2\n2 + 2 = 5",
    "$2 + 3 = 6$",
    r"\(2 + 3 = 6\)",
    r"\[ (2 + 3) * 2 = 11 \]",
    r"x &= 5 \\ y &= 2 + 1 = 4",
    r"2 + 3 = 6 \text{ apples}",
    r"So we have \boxed{6}, as $2 + 3 = 6$.",
    "**2 + 3 = 6**",
    "**Total:** 2 + 3 = 6",
    "* 2 + 3 = 6",
    "- 5 + 3 = 9",
    "1. 2 + 3 = 6",
    "$-1 + 2 = 3$",
    "<<48/2=25>>25 clips",
    "1,000 + 5 = 1,050",
    ".5 + .5 = 2",
    "5.+3 = 9",
    "1/3 = 0.34",
    "10/4 = 2.6",
    "0.3 + 0 = 0",
    "3 * -2 = 6",
    "3 - (-2) = 1",
    "$-(2 + 3) * 2 = 10$",
    "10 - 3 - 2 = 9",
    "48-24 = 20",
    "100 / 10 / 2 = 6",
    "((1 + 2) * (3 + 4)) = 20",
    "x is odd and 2 + 3 = 6",
    "We get that 2 + 3 = 6 = y",
    r"3 + 4 = 8 \quad \text{and so on}",
    "---\n2 + 3 = 6",
    "x + 2 = 3 + 4 = 8",
    "2 + 3 = 6 = 5 + x",
    "2 + 3 = 6 &= x",
    "Total = $2 + 3 = 6",
    "• 2 + 3 = 6",
    "Then\n2 + 3 = 6\n- next",
]
RIGHT = [
    "1 + 2 = 3.",
    "1 + 2 = 3",
    "He pays 5 * 3 = 15 dollars.",
    "10/3 = 3.33",
    "10/3 = 3.333 = 3.3 = 3",
    "2/3 = 0.67",
    "1/8 = 0.13 = 0.12",
    "0.33 = 1/3 = 0.3333",
    "99999 + 1 = 100001",
    "1,000 + 5 = 1,005",
    "1,234,567 - 1 = 1234566",
    ".5 + .5 = 1",
    "5. + 3 = 9",
    "- 5 + 3 = 8",
    "- 5 + 3 = -2",
    "so: -5 + 3 = 8",
    "$-5 + 3 = -2$",
    "6 / -3 = -2",
    "3 - -2 = 5",
    "2 * (3 + 4) - 6 / 3 = 12",
    "1. 2 + 3 = 5",
    "28 / 1/5 = 140",
    "28 / 4/7 = 1",
    "1/2 + 1/3 = 5/6",
    "1 + 1 = 2. 3 + 3 = 6. 10 is 5 + 5",
]
SILENT = [
    "x + 2 + 3 = 5",
    "x - 1 + 2 = 3",
    "2x + 3 = 7",
    "x2 + 3 = 6",
    "x 2 + 3 = 6",
    "x_1 + 2 = 5, a_2 + 3 = 6",
    "x^2 + 2 = 6",
    "2^2 + 1 = 5",
    "1 + 2 = 3x",
    "1 + 2 = 4 x",
    "1 + 8 = 3^2",
    "1 + 2 = 3!",
    "1 + 5 = 3!",
    "2 + 3 = 50%",
    r"2 + 3 = 50\%",
    r"2 + 3 = 4\frac{1}{2}",
    r"2 + 3 = 7 \cdot 2",
    r"2 \times 3 + 1 = 6",
    r"1 + 2 \\ \times" + "\n 3 + 1 = 10",
    r"\frac{1}{2} + 3 = 5",
    r"\frac{1}{2} 3 + 1 = 5",
    r"\sqrt{4} + 3 = 6",
    r"\sqrt 4 + 3 = 6",
    r"$x$ - 1 + 2 = 3",
    r"$x$2 + 2 = 3",
    "$ab$2 + 2 = 3",
    "ab**2 + 2 = 3",
    "total ** 2 + 2 = 3",
    r"2 + 3 = 6 \text{ dozen}",
    r"2 + 3 = 4 \text{ ft} + 1 \text{ ft}",
    r"2 + 3 = 4 \text{ m} \cdot 1",
    "2 + 3 = 6? Let us see.",
    r"\(x\) - 1 + 2 = 3",
    "5 + $2 + 3 = 10",
    "$2 + 3 = 3$ + 2",
    "f(2 + 3) = 6",
    "f (2 + 3) = 6",
    "area (2 + 3) * 1 = 6",
    "half of 2 + 3 = 4",
    "20% of 50 + 3 = 13",
    "Step 1 - 2 + 3 = 5",
    "Remaining 10 = 600 / 10 = $60",
    "Day 2 = 5 + 3 = 8",
    "apples - 2 + 3 = 6",
    "3 apples + 2 + 3 = 8 pens",
    "red 5 + blue 3 + 2 = 10",
    "2 + 3 = 4 apples + 1 pear",
    "2 * 35 = 1 hour 10 minutes",
    "1 and 1/4 + 2 = 5",
    "20/6 = 3 and (1/3)",
    "2 1/2 + 1 = 4",
    "2(3 + 1) = 9",
    "(2)(3) = 7",
    "1/0 = 3",
    "1/0 + 2 = 3",
    "3/(1 - 1) = 1 + 1 = 3",
    "(1 + 2 = 4",
    "1 + 2) = 4",
    "1 + = 4",
    "1 + 2 == 4",
    "2 ** 3 = 9",
    "7 // 2 = 9",
    "5 -- 3 + 2 = 3",
    "5 +-3 = 9",
    "1 + 2 + ... + 10 = 56",
    "2/3 = 0.6...",
    "1.2.3 + 4 = 6",
    "3,45 + 1 = 9",
    "1000,000 + 1 = 9",
    "pages 2-3 = 2",
    "12-25 = 13",
    "-(2 + 3) * 2 = 10",
    "x = 7 and 2 + 3 = 6",
    "1/2/2024 = 9",
    "2024-01-15 = 7 + 9",
    "10:30 + 45 = 11:15",
    "ratio 3 : 4 + 5 = 12",
    "2 = 3",
    "x = 2 = 3",
    "2 + 3",
    "= 2 + 3",
    "2 + 3 = 6? No.",
    "2 + 3 = 6, which is not true",
    "It is not true that 2 + 3 = 6.",
    "We work mod 7. Then 3 + 5 = 1.",
    "In base 8 we have 5 + 6 = 13.",
    "Let a * b = a + 2b. Then 2 * 3 = 8.",
    "17/5 = 4 remainder 2",
    "3/4 = 75 percent",
    "$1 / 2 = 50 cents",
    "279/99999 = 1.\\overline{2}",
    "1 +\n2 + 3 = 6",
    "2 + 3 = 6\n+ 1",
    r"1\,000 + 5 = 2000",
    "",
    "=",
    "= 1 =",
]


class TestWrong:
    @pytest.mark.parametrize("text", WRONG)
    def test_a_wrong_chain_is_found(self, text: str) -> None:
        assert has_wrong_arithmetic(text)

    @pytest.mark.parametrize("text", RIGHT)
    def test_a_right_chain_is_not_called_wrong(self, text: str) -> None:
        assert find_wrong_arithmetic(text) is None

    @pytest.mark.parametrize("text", SILENT)
    def test_nothing_is_said_of_what_cannot_be_read_whole(self, text: str) -> None:
        assert find_wrong_arithmetic(text) is None
        assert split_arithmetic(text) == text

    @pytest.mark.parametrize(
        ("text", "chain"),
        [
            ("Ok 1 + 1 = 2. So **2 + 2 = 5**, and 1 + 1 = 3.", "2 + 2 = 5"),
            (r"\((1 + 1) * 2 = 5\)", "(1 + 1) * 2 = 5"),
            ("Total = 1,000 + 5 = 1,050, he says", "= 1,000 + 5 = 1,050"),
        ],
    )
    def test_the_first_wrong_chain_is_named(self, text: str, chain: str) -> None:
        assert find_wrong_arithmetic(text) == chain

    @pytest.mark.parametrize(("last", "wrong"), [("10001", False), ("10002", True)])
    def test_a_difference_of_a_ten_thousandth_is_let_pass(self, last: str, wrong: bool) -> None:
        assert has_wrong_arithmetic(f"5000 + 5000 = {last}") is wrong

    @pytest.mark.parametrize(("shown", "wrong"), [("0.125", False), ("0.13", False), ("0.12", False), ("0.14", True)])
    def test_a_half_may_be_rounded_either_way(self, shown: str, wrong: bool) -> None:
        assert has_wrong_arithmetic(f"1 / 8 = {shown}") is wrong

    def test_sides_longer_than_the_limit_are_not_read(self) -> None:
        ones = (MAX_SIDE + 3) // 4
        assert has_wrong_arithmetic(" + ".join("1" * ones) + f" = {ones + 1}")
        assert not has_wrong_arithmetic(" + ".join("1" * (ones + 1)) + f" = {ones + 2}")


class TestSplit:
    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("1 + 2 + 3 + 4 = 10", "1 + 2 + 3 + 4 = 3 + 3 + 4 = 6 + 4 = 10"),
            ("1 + 7 * 19 = 134", "1 + 7 * 19 = 1 + 133 = 134"),
            ("3 * (1 + 7) / 4 = 6", "3 * (1 + 7) / 4 = 3 * 8 / 4 = 24 / 4 = 6"),
            ("(1 + 2) * (3 + 4) = 21", "(1 + 2) * (3 + 4) = 3 * (3 + 4) = 3 * 7 = 21"),
            ("((1 + 2))* ((3 + 1) / 2) = 6", "((1 + 2))* ((3 + 1) / 2) = 3 * ((3 + 1) / 2) = 3 * (4 / 2) = 3 * 2 = 6"),
            ("It is 1+2+3=6.", "It is 1+2+3 = 3 + 3 = 6."),
            ("1 - 5 + 10 = 6", "1 - 5 + 10 = -4 + 10 = 6"),
            ("9 + (2 - 5) * 2 = 3", "9 + (2 - 5) * 2 = 9 + (-3) * 2 = 9 + (-6) = 3"),
            ("(4) + (1) + (-2) = 3", "(4) + (1) + (-2) = 5 + (-2) = 3"),
            ("1 / 4 + 1 / 8 = 0.375", "1 / 4 + 1 / 8 = 0.25 + 1 / 8 = 0.25 + 0.125 = 0.375"),
            ("1,000 + 1 + 1 = 1,002 and so", "1,000 + 1 + 1 = 1001 + 1 = 1,002 and so"),
            ("- 1 + 2 + 3 = 6", "- 1 + 2 + 3 = 3 + 3 = 6"),
            ("- 1 + 2 + 3 = 4", "- 1 + 2 + 3 = 1 + 3 = 4"),
            ("So $1 + 1 + 1 = 3$, 1 + 1 + 2 = 4", "So $1 + 1 + 1 = 2 + 1 = 3$, 1 + 1 + 2 = 2 + 2 = 4"),
        ],
    )  # fmt: skip
    def test_an_expression_is_written_in_steps_of_one_operation(self, text: str, written: str) -> None:
        assert split_arithmetic(text) == written
        assert split_arithmetic(written) == written
        assert not has_wrong_arithmetic(written)

    @pytest.mark.parametrize(
        "text",
        [
            "1 + 2 = 3",
            "1 + 2 + 3 = 7",
            "1 + 2 + 3 = 3 + 3 = 6",
            "1 + 2 + 3 = 5 + 1",
            "x = 1 + 2 + 3 = 6",
            "1 + 2 + 3 = 6 = x",
            "10 / 3 * 3 = 10",
            "10 / 4 * 3 = 7.51",
            "2/3 + 1/3 + 1 = 2.00",
            "-(1 + 2) * 3 = -9",
            "<<1+2+3=6>>6",
            "6 = 1 + 2 + 3",
            "ab 1 + x 1 + 2 + 3 = 6",
            "1 + 2 + 3 = 6x",
            "1 + 2 + 3 = 6 thousand",
            " + ".join("1" * 30) + " = 30",
            "1000000000 * 1000000000 + 1 = 1000000000000000001",
        ],
    )
    def test_anything_else_stays_as_it_is(self, text: str) -> None:
        assert split_arithmetic(text) == text


class Expression(NamedTuple):
    """An expression as the test prints it, and its value as the test reckons it; ``level`` is that of its operator."""

    text: str
    value: Fraction
    level: int


def numbers() -> st.SearchStrategy[Expression]:
    def with_decimals(whole: int, decimals: int) -> Expression:
        value = Fraction(whole, 10**decimals)
        text = f"{whole / 10**decimals:.{decimals}f}" if decimals else f"{whole}"
        return Expression(text, value, 3)

    return st.builds(with_decimals, st.integers(0, 9999), st.sampled_from([0, 0, 0, 1, 2]))


@st.composite
def operations(draw: st.DrawFn, parts: st.SearchStrategy[Expression]) -> Expression:
    left, right, operator = draw(parts), draw(parts), draw(st.sampled_from("+-*/"))
    if operator == "/":
        assume(right.value != 0)
    level = 1 if operator in "+-" else 2
    value = {
        "+": lambda: left.value + right.value,
        "-": lambda: left.value - right.value,
        "*": lambda: left.value * right.value,
        "/": lambda: left.value / right.value,
    }[operator]()
    before = left.text if left.level >= level else f"({left.text})"
    after = right.text if right.level > level else f"({right.text})"
    return Expression(f"{before} {operator} {after}", value, level)


EXPRESSIONS = st.recursive(numbers(), operations, max_leaves=6).filter(lambda tree: tree.level < 3)
FRAMES = st.sampled_from(
    ["{}", "So {}.", "${}$", r"\[ {} \]", "x is 3, so {} cm.", "Total = {}", "1. {}\n2. next", "**{}**", "<<{}>>7"]
)


def shown(value: Fraction, decimals: int) -> str:
    """A value rounded to a number of decimals, the test's own way (half to even)."""
    scaled = round(value * 10**decimals)
    digits = f"{abs(scaled):0{decimals + 1}d}"
    return ("-" if scaled < 0 else "") + (f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits)


class TestProperties:
    @given(tree=EXPRESSIONS, frame=FRAMES, decimals=st.integers(2, 6))
    def test_what_is_right_is_never_called_wrong(self, tree: Expression, frame: str, decimals: int) -> None:
        assume(abs(tree.value) >= Fraction(1, 10**decimals))
        assert find_wrong_arithmetic(frame.format(f"{tree.text} = {shown(tree.value, decimals)}")) is None
        value = tree.value
        assert find_wrong_arithmetic(frame.format(f"{tree.text} = {value.numerator}/{value.denominator}")) is None

    @given(tree=EXPRESSIONS, frame=FRAMES, off=st.sampled_from([Fraction(-3, 1000), Fraction(2, 1000), Fraction(1, 7)]))
    def test_what_is_off_by_more_than_the_tolerance_is_called_wrong(
        self, tree: Expression, frame: str, off: Fraction
    ) -> None:
        assume(abs(tree.value) >= Fraction(1, 100) and "/" not in tree.text)
        assume(not (tree.text.startswith("(") and "o {" in frame))
        text = frame.format(f"{tree.text} = {shown(tree.value * (1 + off), 6)}")
        assert has_wrong_arithmetic(text)

    @given(tree=EXPRESSIONS, other=EXPRESSIONS)
    def test_every_side_is_compared_with_the_first(self, tree: Expression, other: Expression) -> None:
        difference = abs(tree.value - other.value)
        assume(difference * 1000 > max(abs(tree.value), abs(other.value)) and "/" not in tree.text + other.text)
        assert has_wrong_arithmetic(f"{tree.text} = {other.text} = {tree.text}")
        assert has_wrong_arithmetic(f"{tree.text} = {tree.text} = {other.text}")

    @given(tree=EXPRESSIONS, frame=FRAMES)
    def test_steps_keep_the_value_and_have_one_operation_each(self, tree: Expression, frame: str) -> None:
        assume("<<" not in frame and "Total" not in frame)
        value = tree.value
        assume(1000 % value.denominator == 0 and value >= 0)
        text = frame.format(f"{tree.text} = {shown(value, 3)}")
        written = split_arithmetic(text)
        assert split_arithmetic(written) == written
        assert find_wrong_arithmetic(written) is None
        operators = re.findall(r" ([-+*/]) ", tree.text)
        if len(operators) > 1 and "/" not in operators and operators.count("*") < 3 and "(" not in tree.text[:1]:
            assert written != text
        sides = re.sub(r"[^-+*/=().\d ]", "", written).split("=") if written != text else []
        for one, other in itertools.pairwise(sides):
            assert len(re.findall(r" [-+*/] ", one)) == len(re.findall(r" [-+*/] ", f" {other}")) + 1

    @given(st.text(alphabet="0123456789.+-*/=() ,$\\x{}\n:", max_size=80))
    def test_any_text_is_read_without_an_error_and_split_once(self, text: str) -> None:
        written = split_arithmetic(text)
        assert split_arithmetic(written) == written
        if not has_wrong_arithmetic(text):
            assert not has_wrong_arithmetic(written)


MILLION = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "(" * MILLION,
        "1+" * (MILLION // 2) + "1=3",
        "9" * MILLION + "+1=3",
        "9" * 100_000 + " + 1 = 3",
        "=" * MILLION,
        "= " * (MILLION // 2),
        "1 + 1 =" + " " * MILLION + "3",
        "- " * (MILLION // 2) + "1=3",
        "\\" * MILLION + "(1+1=3",
        "1 + 1 = 2\n" * (MILLION // 10),
    ],
    ids=[
        "parentheses",
        "sum",
        "digits",
        "number",
        "equals",
        "spaced",
        "spaces",
        "minus",
        "backslashes",
        "right chains",
    ],
)
def test_a_megabyte_of_anything_is_read_at_once(text: str) -> None:
    assert not has_wrong_arithmetic(text)
    assert split_arithmetic(text) == text


@pytest.mark.parametrize("depth", [1, 90])
def test_nesting_costs_no_recursion(depth: int) -> None:
    assert has_wrong_arithmetic("(" * depth + "1 + 1" + ")" * depth + " = 3")
    assert not has_wrong_arithmetic("(" * depth + "1 + 1" + ")" * depth + " = 2")


def _accused(texts: Iterator[str]) -> list[str]:
    return [chain for text in texts if (chain := find_wrong_arithmetic(text)) is not None]


class TestRealTexts:
    """Every chain that is called wrong in real texts was looked at: all of them are."""

    def test_solutions_of_the_released_data_hold_nothing_wrong(self, shared_data: Path) -> None:
        lines = (shared_data / "generations/openmathinstruct2_sample100.jsonl").read_text("utf-8").splitlines()
        assert len(lines) == 100
        assert _accused(json.loads(line)["generated_solution"] for line in lines) == []

    def test_of_eight_hundred_solutions_of_a_model_two_hold_a_wrong_chain(self, shared_data: Path) -> None:
        lines = (shared_data / "generations/qwen_math_cot_100x8.jsonl").read_text("utf-8").splitlines()
        accused = _accused(text for line in lines for text in json.loads(line)["code"])
        assert accused == ["29 - 10 - 1 = 19", "10 - 0 = 8"]

    def test_a_base_model_adds_one_sum_up_wrongly(self, shared_data: Path) -> None:
        paths = sorted((shared_data / "generations").glob("nemo_math_output-rs*.jsonl"))
        accused = _accused(json.loads(line)["generation"] for path in paths for line in path.open(encoding="utf-8"))
        assert accused == ["0 + 0 + 0 + 0 + 10 + 10 + 10 + 10 + 10 + 10 = 50"]

    def test_of_the_solutions_of_gsm8k_those_are_accused_that_are_wrong(self, shared_data: Path) -> None:
        """Of 7,473 with 24,000 chains (and every ``<<48/2=24>>`` among them) ten, each with a slip of its writer."""
        lines = (shared_data / "benchmarks/gsm8k_train.jsonl").read_text("utf-8").splitlines()
        assert len(lines) == 7473
        assert _accused(json.loads(line)["answer"] for line in lines) == [
            "4080 + 4080 / 2 = 4000 + 2040 =",
            "3/1=1",
            "2*8 = 24",
            "200*.55=100",
            "70 + 40 = 100",
            "2 / 12 = .125",
            "4+4+6 = 18",
            "500/ 2/5 = 200",
            "1152/ 1,536 = .5",
            "14*20=140",
        ]

    def test_solutions_of_math_hold_nothing_wrong(self, shared_data: Path) -> None:
        lines = (shared_data / "benchmarks/math_test_5000.jsonl").read_text("utf-8").splitlines()
        assert len(lines) == 5000
        assert _accused(json.loads(line)["solution"] for line in lines) == []

    def test_steps_written_out_are_right_and_stay(self, shared_data: Path) -> None:
        lines = (shared_data / "benchmarks/gsm8k_train.jsonl").read_text("utf-8").splitlines()
        texts = [json.loads(line)["answer"] for line in lines]
        changed = [(text, written) for text in texts if (written := split_arithmetic(text)) != text]
        assert len(changed) > 30
        for text, written in changed:
            assert split_arithmetic(written) == written
            assert find_wrong_arithmetic(written) == find_wrong_arithmetic(text)
