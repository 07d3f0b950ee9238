"""What is looked for in solutions, and what is cut from them."""

import pytest

from openmath.sft.texts import (
    count_code_executions,
    has_code_error,
    has_matplotlib,
    has_pair,
    has_several_boxes,
    has_verification_code,
    trim_prefix,
    trim_solution,
)


@pytest.mark.parametrize(
    ("text", "trimmed"),
    [
        ("It is \\boxed{2}.\nBye", "It is \\boxed{2}."),
        ("It is \\boxed{2}. Yes.", "It is \\boxed{2}. Yes."),
        ("\\boxed{1}\nno, \\boxed{2}\nBye", "\\boxed{1}\nno, \\boxed{2}"),
        ("\\[\n\\boxed{\\frac{1}{2}}\n\\]\nBye", "\\[\n\\boxed{\\frac{1}{2}}\n\\]"),
        ("\\begin{align*}\n\\boxed{2}\n\\end{align*}\nBye", "\\begin{align*}\n\\boxed{2}\n\\end{align*}"),
        ("\\boxed{1,\n2} is it\nBye", "\\boxed{1,\n2} is it"),
        ("So \\boxed 5\nBye", "So \\boxed 5"),
        ("So \\boxed{5\nBye", "So \\boxed{5\nBye"),
        ("No box\nhere", "No box\nhere"),
        ("So \\boxed \n", "So \\boxed \n"),
    ],
    ids=[
        "text after the line of the answer goes",
        "the line stays whole",
        "the last box counts",
        "the end of a display stays",
        "the end of an align stays",
        "a box may span lines",
        "a box without braces ends with its line",
        "a box that never closes changes nothing",
        "no box changes nothing",
        "a box of nothing changes nothing",
    ],
)
def test_a_solution_ends_with_its_last_answer(text: str, trimmed: str) -> None:
    assert trim_solution(text) == trimmed
    assert trim_solution(trimmed) == trimmed


def test_only_a_leading_heading_is_trimmed() -> None:
    assert trim_prefix("My solution:\nMy solution:\nx") == "My solution:\nx"
    assert trim_prefix("So\nMy solution:\nx") == "So\nMy solution:\nx"


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("No box", False),
        ("\\boxed{5}", False),
        ("\\boxed{\\frac{1}{2}}", False),
        ("He had \\boxed{3} and \\boxed{2}", True),
        ("\\boxed{\\frac{1}{2}} and \\boxed{\\frac{1}{3}}", True),
        ("boxed boxed", False),
    ],
)
def test_boxes_are_counted_whatever_they_hold(text: str, several: bool) -> None:
    assert has_several_boxes(text) is several


@pytest.mark.parametrize(
    "text",
    [
        "```output\nTraceback (most recent call last):\n```",
        "1 2 3<output cut>",
        "Timed out",
        "\x1b[0;31mSyntaxError\x1b[0m: invalid syntax",
    ],
)
def test_what_a_failed_program_leaves_is_seen(text: str) -> None:
    assert has_code_error(f"So\n{text}\nand then")
    assert not has_code_error("So it is, without an error.")


def test_drawing_and_mere_verification_are_seen() -> None:
    assert has_matplotlib("import matplotlib.pyplot as plt")
    assert has_matplotlib("from matplotlib import pyplot")
    assert not has_matplotlib("import math")
    assert has_verification_code("Let's verify this with Python.")
    assert has_verification_code("Let's use Python to plot it.")
    assert not has_verification_code("Let's use Python to find it.")


@pytest.mark.parametrize(
    ("text", "is_there"),
    [
        ("<tool_call>\nprint(1)\n</tool_call>", True),
        ("<tool_call>", False),
        ("</tool_call>", False),
        ("</tool_call><tool_call>", False),
        ("</tool_call><tool_call>x</tool_call>", True),
        ("<think>x</think>", False),
    ],
)
def test_a_pair_is_one_that_closes_after_it_opens(text: str, is_there: bool) -> None:
    assert has_pair(text, "tool_call") is is_there


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Remaining code executions: 7. Go on. Remaining code executions: 6.", 8),
        ("Remaining code executions: 12", 13),
        ("You have run out of code executions! Go on without.", 1),
        ("Remaining code executions: none", None),
        ("No program", None),
    ],
)
def test_the_programs_allowed_are_one_more_than_are_left_after_the_first(text: str, count: int | None) -> None:
    assert count_code_executions(text) == count
