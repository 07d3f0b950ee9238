"""A model as judge of answers: which pairs it is asked about, what it is asked, and what its text says.

A pair needs no call where there is no prediction (not equivalent), or where the stripped texts are equal (equivalent).
What the symbolic grader thinks of a pair is not used: the judge is an opinion of its own (NeMo-Skills e718d393).
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from openmath.records import Record

JudgeVerdict = Literal["yes", "no", "invalid"]

_MARKER = re.compile(r"judge?ment\s*[*_]*\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """One question to the judge; equal pairs are asked once."""

    problem: str
    expected: str
    predicted: str

    @property
    def key(self) -> str:
        """16 hexadecimal digits that stand for the pair in work folders and seeds."""
        text = "\x1f".join((self.problem, self.expected, self.predicted))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def placeholders(self) -> Record:
        """The values that a judge's prompt may name."""
        return {"problem": self.problem, "expected_answer": self.expected, "predicted_answer": self.predicted}


def judgement_without_call(expected: str, predicted: str | None) -> str | None:
    """The judgement of a pair that needs no model; None if it needs one.

    >>> judgement_without_call("5", None)
    'There is no predicted answer.\\nJudgement: No'
    >>> judgement_without_call("5", "x = 5") is None
    True
    """
    if predicted is None or not predicted.strip():
        return "There is no predicted answer.\nJudgement: No"
    if predicted.strip() == expected.strip():
        return "The predicted answer is the expected answer to the letter.\nJudgement: Yes"
    return None


def read_judgement(text: str) -> JudgeVerdict:
    """What a judgement says: the word after the last "Judgement:", or the whole text where there is no such mark.

    Case, punctuation and emphasis around the word do not matter. Anything else is "invalid": a judge that rambles or is
    cut off has said neither yes nor no.

    >>> read_judgement("Both are 1/2.\\nJudgement: **Yes**."), read_judgement("no"), read_judgement("Judgement: maybe")
    ('yes', 'no', 'invalid')
    """
    words = re.findall(r"[^\W_]+", _MARKER.split(text)[-1].lower())
    if words == ["yes"]:
        return "yes"
    return "no" if words == ["no"] else "invalid"
