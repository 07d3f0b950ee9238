r"""What is looked for in the text of a solution, and what is cut from it."""

import re

from openmath.answers.lexer import closing_brace

_BOX = "\\boxed"
_PREFIX = "My solution:\n"
_CLOSES_DISPLAY = ("\\end{align", "\\]", "$$")

# The texts of NeMo-Skills (math_sft.yaml, cb3f35bc).
_CODE_ERRORS = ("Traceback (most recent call last)", "<output cut>", "Timed out", "SyntaxError")
_MATPLOTLIB = ("from matplotlib", "import matplotlib")
_VERIFICATION = (
    "Let's verify this with Python",
    "Let's verify this using Python",
    "Let's confirm this with Python",
    "Let's use Python to plot",
    "Let's verify this solution using Python",
    "Let's use Python to verify",
    "Let's confirm this result with some Python",
)

_NOT_SPACE = re.compile(r"\S")
_EXECUTIONS_LEFT = re.compile(r"Remaining code executions: (\d{1,9})")
_NO_EXECUTIONS_LEFT = "You have run out of code executions!"


def has_several_boxes(solution: str) -> bool:
    r"""Whether a solution holds more than one ``\boxed``."""
    return solution.count(_BOX) > 1


def has_code_error(solution: str) -> bool:
    """Whether a solution shows what a program that failed, or printed too much, leaves behind."""
    return any(text in solution for text in _CODE_ERRORS)


def has_matplotlib(solution: str) -> bool:
    """Whether a solution draws."""
    return any(text in solution for text in _MATPLOTLIB)


def has_verification_code(solution: str) -> bool:
    """Whether a solution announces code that finds nothing new."""
    return any(text in solution for text in _VERIFICATION)


def has_pair(solution: str, tag: str) -> bool:
    """Whether a tag is opened, and closed after that.

    >>> [has_pair(text, "think") for text in ("<think>So</think> 5", "</think> 5", "</think><think>")]
    [True, False, False]
    """
    start = solution.find(f"<{tag}>")
    return start >= 0 and f"</{tag}>" in solution[start:]


def count_code_executions(solution: str) -> int | None:
    """How many programs a solution was allowed to run in all; None where it does not say.

    After its first program it is told how many are left, or that none is (OpenMathReasoning, upstream reads the first
    digit of that number alone).

    >>> [count_code_executions(text) for text in ("Remaining code executions: 12.", "You have run out of code "
    ...     "executions!", "So 5.")]
    [13, 1, None]
    """
    if match := _EXECUTIONS_LEFT.search(solution):
        return 1 + int(match[1])
    return 1 if _NO_EXECUTIONS_LEFT in solution else None


def trim_prefix(solution: str) -> str:
    """Take a leading heading line "My solution:" away, which base prompts lead models to write."""
    return solution.removeprefix(_PREFIX)


def trim_solution(solution: str) -> str:
    r"""Cut a solution after the line in which its last ``\boxed{...}`` closes.

    One more line is kept where it closes the display that the answer stands in. A solution without a box that closes
    is left as it is.

    >>> trim_solution("So $x$ is\n$$\n\\boxed{\\frac{1}{2}}\n$$\nI hope this helps!")
    'So $x$ is\n$$\n\\boxed{\\frac{1}{2}}\n$$'
    """
    end = _end_of_last_box(solution)
    if end is None:
        return solution
    line_end = solution.find("\n", end)
    if line_end < 0:
        return solution
    next_end = solution.find("\n", line_end + 1)
    next_line = solution[line_end + 1 : len(solution) if next_end < 0 else next_end]
    if any(mark in next_line for mark in _CLOSES_DISPLAY):
        line_end += 1 + len(next_line)
    return solution[:line_end]


def _end_of_last_box(text: str) -> int | None:
    start = text.rfind(_BOX)
    if start < 0:
        return None
    after = _NOT_SPACE.search(text, start + len(_BOX))
    if after is None:
        return None
    if after[0] != "{":
        # An answer without braces (\boxed 5): the box ends with its line.
        return after.start()
    end = closing_brace(text, after.start())
    return None if end < 0 else end + 1
