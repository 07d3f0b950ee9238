"""What stands around a chain: whether its first or last side goes on there, and whether it is denied there."""

import re
import string

from openmath.arithmetic.chains import NEAR, Chain
from openmath.arithmetic.values import PLAIN_NUMBER

# What may stand between a chain and the text that it touches.
_BETWEEN = string.whitespace + "\\&[($<*"
_BEFORE = re.compile(r"(?:\s|\\\\|&|\\[\[(]|\\?\$|<<|\*\*)*\Z")
_AFTER = re.compile(r"(?:[ \t]|\\\\|&|\\[\])]|\\?\$|\*\*)*")
_OPERATORS = "+-*/^×÷·⋅±−–∗"
_SENTENCE_END = re.compile(r"\.(?:\s|[$\"')*]|\\[\])\\]|\Z)")
_BULLET_OR_RULE = re.compile(r"(?:(?:\A|\n)[ \t]*[-*+]|---)\Z")
_WORD_BEFORE = re.compile(r"([-+*/×÷·−=] *|\d (?=and\Z))?(?:[^\W\d_]+ ){0,2}(\\?)([^\W\d_]+)\Z")
_WORD_AFTER = re.compile(r"([^\W\d_]+)((?: [^\W\d_]+){0,2} ?[-+*/^×÷·−\d]|(?<=and) \()?")
_LAST_COMMAND = re.compile(r"\\([a-zA-Z]+)\Z")
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_TEXT_COMMAND = re.compile(r"\\(?:text|textrm|textbf|mathrm|mbox)\{ *([^\W\d_]*)[^{}]*\}\s*(.?)")
_NEUTRAL_COMMANDS = frozenset({"quad", "qquad", "implies", "Rightarrow", "rightarrow", "therefore", "because", "end"})
# Words that make the number beside them part of something larger.
_WORDS_BEFORE = frozenset({
    "of", "times", "plus", "minus", "by", "over", "from", "than", "twice", "thrice", "double", "triple", "half", "less",
    "more", "into", "to", "sqrt", "root", "square", "cube", "log", "ln", "lg", "exp", "sin", "cos", "tan", "floor",
    "ceil", "abs", "min", "max", "gcd", "lcm", "mod", "case", "step", "part", "option", "question", "example", "day",
    "week", "year", "row", "page", "line", "figure", "equation", "number", "chapter",
})  # fmt: skip
_WORDS_AFTER = frozenset({
    "percent", "mod", "modulo", "hundred", "thousand", "million", "billion", "trillion", "dozen", "score", "times",
    "plus", "minus", "divided", "multiplied", "squared", "cubed", "over", "remainder", "with", "rounded", "choose",
    "factorial",
})  # fmt: skip


def may_be_bullet(text: str, chain: Chain) -> bool:
    """Whether the minus that a chain starts with may be a mark: of a list, or a dash after punctuation."""
    before = text[max(0, chain.start - NEAR) : chain.start].rstrip(" \t*")
    return before == "" or before[-1] in "\n,;:."


def touches_before(text: str, chain: Chain) -> bool:
    """Whether the first side of a chain may go on to its left."""
    first = text[chain.start]
    before = text[max(0, chain.start - NEAR) : chain.start]
    gap = _BEFORE.search(before, len(before.rstrip(_BETWEEN)))
    assert gap is not None
    between, before = gap[0], before[: gap.start()]
    if before == "":
        return False
    last = before[-1]
    if last in _OPERATORS:
        return _BULLET_OR_RULE.search(before) is None
    if between.startswith(("$", "\\$", "**")) and (last.isalnum() or last in ")]}") and "\n" not in between:
        return not between.endswith(" ") or "**" not in between
    if between == " ** ":
        return True
    if "\n" in between:
        command = _LAST_COMMAND.search(before)
        return command is not None and command[1] not in _NEUTRAL_COMMANDS
    if first == "-" and not (last in ",;:" and between) and not between.endswith(("$", "\\(", "\\[", "&", "<<")):
        return True
    if last.isalpha() and between.isspace() and PLAIN_NUMBER.fullmatch(text[chain.start : chain.end].partition("=")[0]):
        return True
    return _prose_touches(before, between, first)


def _prose_touches(before: str, between: str, first: str) -> bool:
    last = before[-1]
    if last in ",;:.!?":
        left = before[:-1].rstrip(" ")[-1:]
        return left in ("\\", ".") or (left.isdigit() and (between == "" or last in ":!"))
    if last in "=•→⇒":
        return False
    word = _WORD_BEFORE.search(before)
    if word is None or between == "":
        return "<<" not in between
    if word[2]:
        return word[3] not in _NEUTRAL_COMMANDS
    if first == "(" and between.isspace():
        return True
    return len(word[3]) == 1 or word[3].lower() in _WORDS_BEFORE or (word[1] is not None and word[1][0] != "=")


def touches_after(text: str, chain: Chain) -> bool:
    """Whether the last side of a chain may go on to its right."""
    if text.startswith(">>", chain.end):
        return False
    gap = _AFTER.match(text, chain.end)
    assert gap is not None
    between = gap[0]
    after = text[gap.end() : gap.end() + NEAR]
    if after == "" or after[0] == "\n":
        return after.lstrip()[:1] in ("+", "×", "÷")
    if after[0] == ".":
        return _SENTENCE_END.match(after) is None
    if after[0] in ",;:":
        return after[1:2].isdigit()
    if after[0] == "=":
        return False
    if after[0] == "\\":
        return _command_touches(after)
    word = _WORD_AFTER.match(after)
    if word is None or not ("\\" in between or " " in between):
        return True
    return len(word[1]) == 1 or word[1].lower() in _WORDS_AFTER or word[2] is not None


def _command_touches(after: str) -> bool:
    unit = _TEXT_COMMAND.match(after)
    if unit is not None:
        return (
            unit[1].lower() in _WORDS_AFTER
            or unit[2] not in ("", "$", ".", ",", ";", ":", "=", "\\")
            or bool(re.match(r"\\(?:times|cdot|div|pm|left)", after[unit.start(2) :]))
        )
    command = _COMMAND.match(after)
    return command is None or command[1] not in _NEUTRAL_COMMANDS
