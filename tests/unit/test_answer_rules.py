"""Rules of grading that no labelled pair can show: which tier decides, what is unreadable, values at points."""

import pytest

from openmath.answers import Conventions, answers_equal, class_key, grade, kind_of
from openmath.answers.numeric import UnsupportedError, equal_at_points
from openmath.answers.reading import read
from openmath.answers.trees import Raw

# Pairs that exact forms alone decide; values at points would be the dearer way to the same verdict.
EXACT = [
    (r"\sqrt{8}", r"2\sqrt{2}"),
    (r"\sqrt{18} + x", r"x + 3\sqrt{2}"),
    (r"\sqrt[3]{-16}", r"-2\sqrt[3]{2}"),
    (r"\sqrt[3]{-x^3}", "-x"),
    (r"\sqrt{\frac{x^4+2}{9}}", r"\frac{1}{3}\sqrt{2+x^4}"),
    (r"\sqrt{\pi^2}", r"\pi"),
    (r"\sqrt{-2}", r"i\sqrt{2}"),
    (r"\overline{2+3i}", "2-3i"),
    (r"x \cdot 90^\circ", r"\frac{\pi x}{2}"),
    (r"\frac{1}{\sqrt{3}-\sqrt{2}} + x", r"x + \sqrt{2} + \sqrt{3}"),
    (r"\frac{1}{1+\sqrt{2}}", r"\sqrt{2}-1"),
    (r"\frac{x+1}{x+2} + \frac{1}{x+2}", "1"),
    (r"\left(\frac{x+1}{x-1}\right)^{-2}", r"\frac{(x-1)^2}{(x+1)^2}"),
    (r"(x+1)^{-1}", r"\frac{1}{x+1}"),
    ("|3-5| + x", "x + 2"),
    (r"\lfloor 7/2 \rfloor x", "3x"),
    (r"\lceil 7/2 \rceil x", "4x"),
    (r"\max(2, 7) x", "7x"),
    (r"\min(2, 7) x", "2x"),
    (r"\operatorname{sgn}(-3) x", "-x"),
    (r"\gcd(12, 18) x", "6x"),
    (r"\operatorname{lcm}(4, 6) x", "12x"),
    ("5! x", "120x"),
    ("7!! x", "105x"),
    (r"\binom{5}{2} x", "10x"),
    ("101_2 + x", "x + 5"),
    ("4^{x+1}", r"4 \cdot 2^{2x}"),
    ("(-2)^{n+1}", r"-2 \cdot (-2)^n"),
    ("x^{2/2}", "x"),
    (r"\sin(x) + \sin(x)", r"2\sin x"),
    (r"2^{\frac{1}{\sqrt{2}-1} - \sqrt{2}} x", "2x"),
    (r"y^{\frac{x+1}{x+1}}", "y"),
    (r"y^{\frac{0}{x+1}} z", "z"),
    ("y^{x-x} z", "z"),
    (r"(50\%) x", r"\frac{x}{2}"),
    (r"\sqrt{x-x} + y", "y"),
    ("y = 2x + 1", "3y = 6x + 3"),
    (r"\frac{xy}{x}", "y"),
    (r"\sqrt{4012009} x", "2003x"),
    (r"\frac{\sin x}{\sin x}", "1"),
]


@pytest.mark.parametrize(("one", "other"), EXACT, ids=[f"{one} is {other}" for one, other in EXACT])
def test_an_exact_form_decides(one: str, other: str) -> None:
    assert grade(one, other) == ("correct", "exact")
    assert grade(one, f"{other} + 1") == ("incorrect", grade(one, f"{other} + 1").tier)


DIFFERENT = [
    ("x^2 - 1", "x^2 + 1"),
    (r"\sqrt{2}x", r"\sqrt{3}x"),
    ("2^x", "3^x"),
    (r"\pi x", "3x"),
    ("e^2", "7.4"),
    ("y = 2x", "y = 3x"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_an_exact_form_tells_apart(one: str, other: str) -> None:
    assert grade(one, other) == ("incorrect", "exact")


# What equal_at_points says of two expressions by itself.
AT_POINTS = [
    (r"\sin(10_2 x)", r"2 \sin x \cos x", True),
    (r"\sqrt{-x} \sqrt[3]{x^3}", r"x \sqrt{-x}", True),
    (r"\sqrt{-x} \sqrt[3]{x^3}", r"-x \sqrt{-x}", False),
    (r"i \sqrt[3]{-8}", "-2i", True),
    (r"i \sqrt[3]{-8} \sin x", r"2i \sin x", False),
    (r"\sqrt{-4} \sqrt{-9}", "-6", True),
    (r"10^{200} \cdot 10^{200} x", r"10^{200} x \cdot 10^{200}", None),
    ("0^{x - x}", "1", None),
    ("0^{x - x}", "2", None),
    ("1.000000001 x", "x", False),
    (r"i \sqrt{xy}", r"i \sqrt{x} \sqrt{y}", True),
    (r"\gcd(x, x)", "x", True),
    (r"\gcd(x, 2x)", "2x", False),
    (r"0 \cdot \log 0", "0", None),
    (r"\sqrt{-x^2}", "x + 1", None),
    ("f(x) + f(y)", "f(y) + f(x)", True),
    ("f(x)", "f(y)", False),
    ("f(x)", "g(x)", False),
    (r"\lfloor x \rfloor", "x", False),
    (r"\lfloor x + 1 \rfloor", r"\lfloor x \rfloor + 1", True),
    (r"\binom{n}{2}", r"\frac{n(n-1)}{2}", True),
    (r"\overline{x + i}", "x - i", True),
    (r"\operatorname{Re}(x + iy)", "x", True),
    (r"\operatorname{Im}(x + iy)", "y", True),
    ("x!", "x(x-1)!", True),
    ("7!! x", "105x", True),
    (r"\log_2 x", r"\frac{\ln x}{\ln 2}", True),
    (r"10^{10^9}", r"10^{10^9} + 1", None),
    ("1 + 10^{-45}", "1", True),
    (r"10^{-60}", r"2 \cdot 10^{-60}", None),
    (r"\begin{cases} x & x > 0 \\ -x & x \le 0 \end{cases}", "|x|", True),
    (r"\begin{cases} x & x > 1 \\ -x & x \le 1 \end{cases}", "|x|", False),
]


@pytest.mark.parametrize(("one", "other", "equal"), AT_POINTS, ids=[f"{a} and {b}" for a, b, _ in AT_POINTS])
def test_values_at_points(one: str, other: str, equal: bool | None) -> None:
    assert equal_at_points(read(one), read(other)) is equal
    assert equal_at_points(read(other), read(one)) is equal


UNSUPPORTED = [
    r"\sum_{k=1}^{n} k",
    r"\infty",
    r"\begin{cases} x & \text{on Sundays} \\ -x & x \le 0 \end{cases}",
    r"\begin{cases} x \\ -x & x \le 0 \end{cases}",
    r"\begin{cases} x & x \in \mathbb{Z} \\ -x & x \le 0 \end{cases}",
    r"\begin{cases} x & x \approx 1 \\ -x & x \le 0 \end{cases}",
    r"\begin{cases} x & i < x \\ -x & x \le 0 \end{cases}",
]


@pytest.mark.parametrize("text", UNSUPPORTED)
def test_no_value_at_points(text: str) -> None:
    with pytest.raises(UnsupportedError):
        equal_at_points(read(text), read("x"))


UNREADABLE = {
    "a number and a number": "1 2",
    "a fraction of a list": r"\frac{1}{(1,2)}",
    "a power of a list": "2^{(1,2)}",
    "the size of a point": "|(1,2)|",
    "a bar over digits": r"\bar{5}",
    "an angle of nothing": r"\angle",
    "a mended matrix": r"\begin{pmatrix} 1 \end{bmatrix}",
    "a ragged matrix": r"\begin{pmatrix} 1 & 2 \\ 3 \end{pmatrix}",
    "an unknown environment": r"\begin{tikzpicture} 1 \end{tikzpicture}",
    "an unfinished cell": r"\begin{pmatrix} 1 + \end{pmatrix}",
    "a sign in vain": "- - -3",
    "a line separator": "5\u20286",
    "a numeral with a digit too large": "x + 59_8",
    "an index of a bracket": "x_(",
    "a bracket behind a point": "(1,2)[3,4)",
    "a bracket too many": "2x )",
    "brackets that do not match": "]1,2)",
    "a numeral behind an open bracket": "(52_8",
    "a number behind a unit in brackets": r"5 (\text{cm} 3)",
    "too deep": "(" * 61 + "x" + ")" * 61,
    "a huge exponent": "1e6000",
    "too short a repetition": r"0.1211\ldots",
    "no end of a repeating decimal": r"0.12\ldots",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_no_reader_reads_stands_for_itself(text: str) -> None:
    assert isinstance(read(text), Raw)
    assert kind_of(text) == "unread"
    assert grade(text, "5") == grade("5", text) == ("unparsed", "text")
    assert grade(text, text) == ("correct", "text")
    assert class_key(text) == text


READABLE_BUT_WRONG = [
    (r"(2,3) \cup (4,5)", "(2,3)"),
    (r"\infty", "0.123456789012"),
    ("(1,2,3)", "(1,2)"),
    (r"\mathbb{Q}", r"\mathbb{R}"),
    (r"3 \pmod{n}", "4"),
    ("0:3", "0:5"),
]


@pytest.mark.parametrize(("one", "other"), READABLE_BUT_WRONG)
def test_what_can_be_read_is_wrong_and_not_unread(one: str, other: str) -> None:
    assert grade(one, other).verdict == grade(other, one).verdict == "incorrect"


KINDS = {
    "5": "number", r"\frac{1}{2} + 1": "number", r"\sqrt{2} + \pi": "constant", "x + 1": "expression",
    "1, 2": "list", r"\{1, 2\}": "set", "(1, 2)": "tuple", "[1, 2)": "tuple", "x = 5": "equation",
    r"x \in \mathbb{R}": "equation", "x < 5": "inequality", "x < 5 or x > 7": "inequality", "5 cm": "quantity",
    "4:30": "time", "(C)": "choice", "3:2:1": "ratio", "even": "text", "2 +": "unread", "52_8": "numeral",
    r"3 \pmod 7": "congruence", r"\begin{pmatrix} 1 & 2 \end{pmatrix}": "matrix", r"A \cup B": "set",
    r"\pi k, k \in \mathbb{Z}": "family",
}  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), KINDS.items())
def test_kind(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def test_class_keys() -> None:
    assert class_key("0.5") == class_key(r"\frac{2}{4}") != class_key("0.25")
    assert class_key("x + 1") == "x + 1"
    assert class_key("0.333333333333") == "0.333333333333"
    assert class_key("1, 2") == "1, 2"


def test_an_answer_that_is_missing_is_wrong() -> None:
    assert grade("", "5") == grade("5", "") == ("incorrect", "text")
    assert grade("", "") == ("correct", "text")
    assert grade("$$", r"\,").verdict != "correct"


def test_texts_beyond_the_limit_are_compared_as_texts() -> None:
    long = "1+" * 800 + "1"
    assert grade(long, long.replace("+", " + ")) == ("correct", "text")
    assert grade(long, "801") == ("unparsed", "text")
    longer = "1+" * 4000 + "1"
    assert grade(longer, longer.replace("+", " + ")) == ("unparsed", "text")


def test_logarithms_by_convention() -> None:
    pairs = {"e": r"\log e", "10": r"\log 10"}
    for base, text in pairs.items():
        assert answers_equal("1", text)
        for other in ("e", "10"):
            assert answers_equal("1", text, Conventions(logarithm=other)) is (base == other)  # type: ignore[arg-type]


def test_rounding_by_convention() -> None:
    exact, written = r"\frac{1}{3}", "0.333333333333"
    assert answers_equal(exact, written)
    assert not answers_equal(exact, written, Conventions(rounding="none"))
    assert answers_equal("-0.333333333333", r"-\frac{1}{3}")
    assert answers_equal("0.33", exact, Conventions(rounding="expected"))
    assert not answers_equal(exact, "0.33", Conventions(rounding="expected"))
    assert not answers_equal("0.33", "0.34", Conventions(rounding="expected"))
    assert not answers_equal("0.0", r"10^{-9}", Conventions(rounding="expected"))
