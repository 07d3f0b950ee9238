"""Where plain arithmetic chains stand in a text."""

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_CHAIN = 1000
NEAR = 60
"""Characters around a chain that may say something of it."""

_CHARACTERS = "0123456789.+-*/=() ,"
_RUN = re.compile(r"[\d.+\-*/=() ,]*", re.ASCII)
# An equals sign that ends one side of numbers and begins another.
_EQUALS = re.compile(r"=(?:(?<=[\d.)]=)|(?<=[\d.)] =)|(?<=  =))(?= *[-(.\d])", re.ASCII)
_OPERATION = re.compile(r"[\d.)] *[-+*/] *[-(.\d]", re.ASCII)
# A comma that is none of a number, and a full stop before a space or the end of the chain.
_BREAK = re.compile(r"(?<!\d),|,(?!\d{3}(?!\d))|(?<=[\d)])\.(?= |\Z)", re.ASCII)


class Chain(NamedTuple):
    """Where a chain stands in a text, without the spaces around it."""

    start: int
    end: int


def chains_of(text: str) -> Iterator[Chain]:
    """The chains of a text that hold an operation and an equals sign, in their order."""
    end = 0
    while (match := _EQUALS.search(text, end)) is not None:
        start = end + len(text[end : match.start()].rstrip(_CHARACTERS))
        run = _RUN.match(text, match.start())
        assert run is not None
        end = run.end()
        if end - start > MAX_CHAIN or _OPERATION.search(text, start, end) is None:
            continue
        if text[start] in "()" and _is_escaped(text, start):
            start += 1
        for chain in _pieces(text, start, end):
            if "=" in text[chain.start : chain.end].strip("="):
                yield chain


def _is_escaped(text: str, position: int) -> bool:
    before = text[max(0, position - NEAR) : position]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _pieces(text: str, start: int, end: int) -> Iterator[Chain]:
    """Part a run of characters at its commas and full stops; marks of a list and of bold print are left out."""
    run = text[start:end]
    stops = [match.start() for match in _BREAK.finditer(run)] if "," in run or "." in run else []
    begin = 0
    for stop in [*stops, len(run)]:
        piece = run[begin:stop]
        left = len(piece) - len(piece.lstrip(" "))
        if piece.startswith("**", left) or (piece.startswith("* ", left) and _starts_line(text, start + begin)):
            left += len(piece[left:]) - len(piece[left:].lstrip("* "))
        right = len(piece.rstrip(" "))
        if piece.endswith("**", 0, right):
            right = len(piece[:right].rstrip("* "))
        if left < right:
            yield Chain(start + begin + left, start + begin + right)
        begin = stop + 1


def _starts_line(text: str, position: int) -> bool:
    before = text[max(0, position - NEAR) : position].rstrip(" \t")
    return before == "" or before.endswith("\n")
