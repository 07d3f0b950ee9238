r"""The answer of a solution, found in its text.

    ... so $x = \boxed{1}$ or         boxes are read from the last one backwards, and no further than needed:
    $\boxed{\frac{1}{2}}$.            the last box, then each one before it that only a separator parts from the next
       "1, \frac{1}{2}"

Boxes are ``\boxed``, ``\fbox`` and ``\framebox``. Of sources without boxes the answer is taken from the last line that
begins with ``####`` (the layout of GSM8K) or by a regular expression; ``extractor`` gives the function of a method.

What is chosen where the earlier graders differ:

* a last box that is empty, or still open where the text ends, is no answer, even if a whole one stands before it: that
  one was a step. A mention of the command without content is passed over;
* boxes are joined where a comma, a semicolon, "and" or "or" stands between them, or nothing but layout on one line;
  a word, an operator or a new line without such a separator begins a new statement, and the last one counts;
* of nested boxes the inner one counts, which is the last command of the text;
* there is no fallback to "the last number": a text without its mark has no answer.

The time is linear in the length of the text (regular expressions of users apart, which see a bounded tail), and no
text raises an exception.
"""

import functools
import re
from collections.abc import Callable
from typing import Literal

from openmath.answers.lexer import closing_brace

Extractor = Callable[[str], str | None]

METHODS = ("boxed", "hashes", "regex", "boxed_or_hashes")
MAX_BARE = 200  # characters that a box without braces can hold
MAX_GAP = 200  # characters between two boxes that are one answer
MAX_TAIL = 20_000  # characters at the end of a text that a user's expression is searched in

_BOX = re.compile(
    r"\\(?:(?:boxed|fbox)(?![A-Za-z])|framebox(?![A-Za-z])(?:\s*\[[^\[\]{}]{0,40}\]){0,2})(?P<blank>\s*)",
)
_CUT_COMMANDS = (r"\box", r"\boxe", r"\fbo", r"\framebo")

_LAYOUT = r"(?:\s|\$|~|&|\*\*|\\[()\[\],;:! ]|\\q?quad)*+"
_EMPTY = re.compile(_LAYOUT)
_WORD = r"(?:(?i:and|or)|和|或者?|与|及|\\(?:lor|vee|land|wedge))"
_TEXT_WORD = rf"\\(?:text|textrm|mathrm|mbox)\s*\{{\s*(?:[,;]\s*)?{_WORD}\s*\}}"
_SEPARATOR = rf"[,;，；、]{_LAYOUT}(?:{_TEXT_WORD}|{_WORD})?|{_TEXT_WORD}|{_WORD}"
_GAP = re.compile(rf"{_LAYOUT}(?P<separator>{_SEPARATOR})?{_LAYOUT}")

# A box without braces: TeX would take one sign, a model means what adjoins.
_PIECE = re.compile(r"\\[A-Za-z]+(?: (?=[\d{]))?|\\.|.", re.DOTALL)
_MENTION = re.compile(r"[A-Za-z]{2}|[=<>^_/,:]")
_BARE = re.compile(
    r"\\(?!(?:end|q?quad|approx|implies|Rightarrow)(?![A-Za-z]))[A-Za-z]+"
    r"|\\[%$]|[0-9A-Za-z%°²³¹¼½¾⅐-⅞√∞Ͱ-Ͽ]|[-+−*/=<>^_](?=[^\s*])|[.,:](?=\d)"
)
_OPENING = frozenset(("(", "[", "{", r"\{", r"\begin"))
_CLOSING = frozenset((")", "]", "}", r"\}", r"\end"))

_HASHES = re.compile(r"^[ \t]*####(?!#)(.*)$", re.MULTILINE)


def extract_answer(text: str) -> str | None:
    r"""The content of the last box of a solution, stripped; None if there is none.

    Boxes that only a separator parts are one answer, joined by commas, each spelling once. A box without braces holds
    what follows up to a blank or the end of the sentence. A last box that is empty or cut off is no answer.

    >>> extract_answer(r"so $\boxed{\frac{1}{2}}$."), extract_answer(r"\boxed{1} or \boxed{2}")
    ('\\frac{1}{2}', '1, 2')
    >>> extract_answer(r"\boxed 5."), extract_answer(r"\boxed{\{1, 2\}}"), extract_answer(r"\boxed{\frac{1}{2")
    ('5', '\\{1, 2\\}', None)
    """
    if text.endswith(_CUT_COMMANDS):
        return None
    joined: list[str] = []
    later_start = len(text)
    # Backwards, and no further than needed: a model that repeats an open box a thousand times costs one walk.
    for match in reversed(list(_BOX.finditer(text))):
        content, end = _box_content(text, match)
        if content is None and end < len(text):
            continue
        if not content or (joined and not _is_one_answer(text, end, later_start)):
            break
        joined.append(content)
        later_start = match.start()
    return ", ".join(dict.fromkeys(reversed(joined))) or None


def extract_after_hashes(text: str) -> str | None:
    """What stands after ``####`` in the last line that begins so, stripped, without a final full stop; None if nothing.

    Five hashes, and lines that end in a colon, are headings of Markdown.

    >>> extract_after_hashes("16 - 7 = 9\\n#### 9."), extract_after_hashes("the answer is 9")
    ('9', None)
    """
    lines = [match[1].strip() for match in _HASHES.finditer(text)]
    answers = [line for line in lines if not line.endswith(":")]
    return answers[-1].rstrip(". \t") or None if answers else None


def extract_by_regex(text: str, pattern: str | re.Pattern[str]) -> str | None:
    r"""Group 1 (the whole match, if there is no such group) of the last match that is not empty, stripped; or None.

    NeMo-Skills takes the first match instead; a solution that corrects itself gives its answer last. Only the last
    ``MAX_TAIL`` characters are searched, which bounds what an expression of quadratic cost can take; an expression
    of exponential cost, such as ``(a+)+b``, is not made safe by it. ValueError as of ``compile_regex``.

    >>> extract_by_regex("The answer is 4. No, the answer is 5.", r"answer is (\d+)")
    '5'
    """
    expression = compile_regex(pattern) if isinstance(pattern, str) else pattern
    last = None
    for match in expression.finditer(text[-MAX_TAIL:]):
        content = match[1] if expression.groups and match[1] is not None else match[0]
        last = content.strip() or last
    return last


def compile_regex(regex: str) -> re.Pattern[str]:
    """The expression, compiled; ValueError says what is wrong with it."""
    if not regex:
        raise ValueError("the regular expression for answers is empty")
    try:
        return re.compile(regex)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"the regular expression for answers, {regex!r}, cannot be used: {error}") from error


def extractor(method: str = "boxed", regex: str | None = None) -> Extractor:
    """The function that finds answers by one of ``METHODS``; it can be sent to other processes.

    "boxed_or_hashes" looks for ``####`` where no box gives an answer. "regex", and it alone, needs ``regex``;
    ValueError says what is wrong.
    """
    if method not in METHODS:
        raise ValueError(f"{method!r} is no way to find answers; there are {', '.join(METHODS)}")
    if method == "regex":
        if regex is None:
            raise ValueError("answers by 'regex' need a regular expression")
        return functools.partial(extract_by_regex, pattern=compile_regex(regex))
    if regex is not None:
        raise ValueError(f"a regular expression goes with the method 'regex', not with {method!r}")
    return {"boxed": extract_answer, "hashes": extract_after_hashes, "boxed_or_hashes": _boxed_or_hashes}[method]


def answer_state(
    text: str, finish_reason: str | None, answer: str | None
) -> Literal["answer", "no_answer", "truncated"]:
    r"""Whether a generation gave an answer, and if not, whether it was cut off before it could.

    Without an answer a generation is truncated if its ``finish_reason`` is "length", or if it ends inside of a box.

    >>> answer_state(r"so \boxed{5}", "length", "5"), answer_state(r"so \boxed{5", "stop", None)
    ('answer', 'truncated')
    >>> answer_state("so it is", "length", None), answer_state("so it is 5.", "stop", None)
    ('truncated', 'no_answer')
    """
    if answer is not None:
        return "answer"
    return "truncated" if finish_reason == "length" or ends_in_open_box(text) else "no_answer"


def ends_in_open_box(text: str) -> bool:
    """Whether the last box, or its command, is not complete where the text ends."""
    if text.endswith(_CUT_COMMANDS):
        return True
    boxes = list(_BOX.finditer(text))
    return bool(boxes) and _box_content(text, boxes[-1]) == (None, len(text))


def _boxed_or_hashes(text: str) -> str | None:
    answer = extract_answer(text)
    return extract_after_hashes(text) if answer is None else answer


def _box_content(text: str, box: re.Match[str]) -> tuple[str | None, int]:
    """What a box holds and where it ends. None at the end of the text: cut off; None before it: no content follows."""
    start = box.end()
    if not text.startswith("{", start):
        return _bare_content(text, start, spaced=bool(box["blank"]))
    end = closing_brace(text, start)
    if end < 0:
        return None, len(text)
    content = text[start + 1 : end].strip()
    return "" if _EMPTY.fullmatch(content) else content, end + 1


def _bare_content(text: str, start: int, spaced: bool) -> tuple[str | None, int]:
    if _MENTION.match(text, start) or (spaced and text.startswith(("(", "["), start)):
        return None, start
    depth, index = 0, start
    while index < len(text):
        piece = _PIECE.match(text, index)
        if piece is None or _BOX.match(text, index):  # a box further on has been looked at before
            return None, start
        if piece[0] in _OPENING:
            depth += 1
        elif depth and piece[0] in _CLOSING:
            depth -= 1
        elif not depth and not _BARE.match(text, index):
            break
        index = piece.end()
        if index > start + MAX_BARE:
            return None, start
    if depth:
        return None, len(text)
    return text[start:index] or None, index


def _is_one_answer(text: str, start: int, end: int) -> bool:
    """Whether two boxes belong together by what stands between them."""
    if end - start > MAX_GAP:
        return False
    gap = _GAP.fullmatch(text, start, end)
    return gap is not None and (gap["separator"] is not None or "\n" not in gap[0])
