"""The short answers of the MATH data set: boxes, one way of writing, and what is left of an equation."""

import pytest

from openmath.reference_answers import boxed_entries, choose_entry, normalise_entry, right_side


@pytest.mark.parametrize(
    ("solution", "entries"),
    [
        pytest.param(r"so $\boxed{\frac{1}{2}}$.", [r"\frac{1}{2}"], id="braces inside the box"),
        pytest.param(r"\boxed{1} or \boxed{2}", ["1", "2"], id="two boxes in order"),
        pytest.param(r"\boxed{a + \boxed{b}}", [r"a + \boxed{b}"], id="only the outer box of two"),
        pytest.param(r"$\boxed 2$", [], id="a box without braces is none"),
        pytest.param(r"\boxed{3} and \boxed{4", ["3"], id="an open box is none"),
    ],
)
def test_boxed_entries(solution: str, entries: list[str]) -> None:
    assert boxed_entries(solution) == entries


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        pytest.param(r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})", id="sized brackets and spaces go"),
        pytest.param(r"\leftarrow", r"\leftarrow", id="a command that begins with left stays"),
        pytest.param(r"6, 8\text{, and }10", "6,8,10", id="and becomes a comma"),
        pytest.param(r"-2 \text{ or } -12", "-2,-12", id="or becomes a comma"),
        pytest.param(r"\frac{270}7\text{ degrees}", r"\frac{270}{7}", id="a unit in text goes"),
        pytest.param(r"864 \mbox{ inches}^2", "864", id="a square unit goes"),
        pytest.param(r"0.25\,\text{ cm}", "0.25", id="the space before a unit goes too"),
        pytest.param(r"40 feet", "40", id="a bare unit goes"),
        pytest.param("second root", "second root", id="an ordinal is no unit"),
        pytest.param("monday", "monday", id="a weekday holds no unit"),
        pytest.param("3 millimeters", "3", id="a long unit goes whole"),
        pytest.param("two feet", "two feet", id="a unit behind a word stays"),
        pytest.param(r"\text{Navin}", "Navin", id="text that is the answer is unwrapped"),
        pytest.param(r"\mbox{four}", "four", id="a box of text that is the answer is unwrapped"),
        pytest.param(r"\text{two lines}", "two lines", id="words keep their spaces"),
        pytest.param(r"\pi r^2", r"\pi r^2", id="a command keeps the space behind it"),
        pytest.param(r"x \in [-2,7]", "[-2,7]", id="of a membership the set stays"),
        pytest.param(r"\$32,\!348", "32348", id="money with a grouping comma"),
        pytest.param(r"24{,}000", "24000", id="a grouping comma in braces"),
        pytest.param(r"145^\circ", "145", id="the degree sign goes"),
        pytest.param(r"50\%", "50", id="the percent sign goes"),
        pytest.param("2.5 million", "2500000", id="a million is multiplied out"),
        pytest.param(r"\frac 59", r"\frac{5}{9}", id="bare arguments of a fraction"),
        pytest.param(r"\dfrac{\sqrt6}2", r"\frac{\sqrt{6}}{2}", id="a root in a fraction"),
        pytest.param(r"137 \frac{1}{2}", r"137+\frac{1}{2}", id="a mixed number is a sum"),
        pytest.param(r"-1\frac45", r"-1-\frac{4}{5}", id="a negative mixed number is a difference"),
        pytest.param("1 4/5", "1+4/5", id="a mixed number on one line"),
        pytest.param(r"\dfrac23 \approx 0.67", r"\frac{2}{3}", id="the exact value before its approximation"),
        pytest.param(r"\approx 8.24 \text{ mph}", "8.24", id="an approximation alone"),
        pytest.param(r"1+\sqrt 2,\ 1-\sqrt 2", r"1+\sqrt{2},1-\sqrt{2}", id="a spacing backslash does not cling to 1"),
        pytest.param(r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}.", r"\begin{pmatrix}1\\2\end{pmatrix}", id="matrix rows"),
        pytest.param("4210_{5}", "4210", id="the base suffix of an integer goes"),
        pytest.param(r"\text{A5}_{11}", "A5_{11}", id="the base suffix of letters stays"),
        pytest.param("10.00", "10", id="decimal zeros go"),
        pytest.param(".0000672", ".0000672", id="a decimal number stays"),
        pytest.param("1,2", "1,2", id="a list is no grouped number"),
    ],
)
def test_normalise_entry(entry: str, answer: str) -> None:
    assert normalise_entry(entry) == answer
    assert normalise_entry(answer) == answer


def test_equal_entries_are_one_answer_and_others_are_parts_of_it() -> None:
    assert choose_entry(["3", "3"]) == "3"
    assert choose_entry(["-2", "1"]) == "-2,1"
    assert choose_entry(["-2", "1"], "first") == "-2"
    assert choose_entry(["-2", "1"], "last") == "1"
    assert choose_entry(["(1,2)", "(3,4)"], "semicolons") == "(1,2);(3,4)"


@pytest.mark.parametrize(
    ("answer", "problem", "expected"),
    [
        pytest.param("x=5", "Solve for $x$.", "5", id="the value of a variable"),
        pytest.param("y=2x+3", "What is the equation of the line?", "y=2x+3", id="an equation that was asked for"),
        pytest.param("x=1,y=2", "Solve.", "x=1,y=2", id="two equations stay"),
        pytest.param("y^2-4x=0", "Write the curve in general form.", "y^2-4x=0", id="a formula equal to 0 stays"),
        pytest.param("k=0", "Find $k$.", "0", id="a variable equal to 0 has the value 0"),
    ],
)
def test_right_side(answer: str, problem: str, expected: str) -> None:
    assert right_side(answer, problem) == expected
