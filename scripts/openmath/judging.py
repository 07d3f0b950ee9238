r"""A model as judge of answers: which pairs it is asked about, what its text says, and how far to trust it.

A pair needs no call where there is no prediction (not equivalent), or where the stripped texts are equal (equivalent).
What the symbolic grader thinks of a pair is not used: the judge is an opinion of its own (NeMo-Skills e718d393). How
far the two opinions agree is counted (``Agreement``).

The judge is asked to end with "Judgement: Yes" or "Judgement: No". What is read is a verdict only where the judge has
plainly given one; the rest is "invalid", which is counted apart and is not right:

    The same number.\n**Judgement:** \boxed{Yes}.                  yes       the word behind the last mark, undressed
    Judgement: Yes, as 0.5 is 1/2.                                 yes       an explanation may follow it ...
    Judgement: Yes, if units do not matter.                        invalid   ... but no condition
    Judgement: Yes, they are not equal.                            invalid   nor the contrary
    Judgement: yes/no                                              invalid   nor the other word
    Judgement: No difference.                                      invalid   part of a phrase is no verdict
    They are the same. Yes.                                        yes       no mark: the first or the last sentence
    Judgement: Correct                                             invalid   other words, and other languages

The source takes the lower-case text behind the last "Judgement:" for yes if it is exactly "yes", and everything else
for no. Reading takes time linear in the text.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from openmath.records import Record

JudgeVerdict = Literal["yes", "no", "invalid"]

JUDGE_VERDICTS: tuple[JudgeVerdict, ...] = ("yes", "no", "invalid")

_THOUGHTS_END = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_THOUGHTS_BEGIN = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_NEXT_EXAMPLE = re.compile(r"(\b(?:yes|no)\b[^\w\n]*+\n)\s*+problem\s*+:", re.IGNORECASE)
_DRESS = re.compile(r"\\(?:boxed|fbox|text(?:bf|it|rm|sf|tt)?|math(?:bf|it|rm|sf|tt)|[\[\]()])|[*_`~#$\"“”«»{}\\]")
# "Yes" and "No" as verdicts: nothing follows, or no word of the same phrase.
_WORD = r"(yes|no)\b(?!-\w)(?=[^\S\n]*(?:\Z|\n|[^\w\s?])|\s+(?:as|because|both|it|since|the|these|they|this|we)\b)"
_MARK = re.compile(rf"\bjudge?ment\b[\s'’)\]]*+(?:[:：]|(?:is|=|-+|[–—→])?[\s'’(\[]*+(?={_WORD}))", re.IGNORECASE)
_FIRST = re.compile(rf"\W*{_WORD}", re.IGNORECASE)
_LAST = re.compile(
    r"(?:\A|[.!?。！？\n]|\b(?:answer|conclusion|decision|verdict)\s*(?:is|[:：]))[^\w?]*\b(yes|no)[^\w?]*\Z",
    re.IGNORECASE,
)
_LAST_CHARACTERS = 200
_DETERMINER = re.compile(
    r"\bno\s+(?:change|difference|doubt|further|impact|longer|matter|more|need|real)\b", re.IGNORECASE
)
_CONDITION = re.compile(
    r"\W*(?:actually|assuming|depending|if|maybe|or|perhaps|possibly|probably|provided|unless)\b", re.IGNORECASE
)
_SECOND_THOUGHT = re.compile(r"\b(?:hmm+|on second thoughts?|wait)\b", re.IGNORECASE)
_CONCESSION = re.compile(
    r"\W*(?:almost|although|but|except|however|only|partially|partly|though|when)\b", re.IGNORECASE
)
_SAME = r"(?:equal|equivalent|identical|the\s+same)\b"
_DENIAL = re.compile(
    rf"\b(?:are\s+not|aren['’]t)\s+(?:\w+\s+)?{_SAME}|\bdo(?:es)?(?:\s+not|n['’]t)\s+match\b"
    r"|\bare\s+different\s*(?:[.,;)]|$)",
    re.IGNORECASE,
)
_AFFIRMATION = re.compile(rf"\bare\s+(?!not\b)(?:\w+\s+)?{_SAME}", re.IGNORECASE)


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
    """What a judgement says: the word behind the last "Judgement:", or the first or last sentence without such a mark.

    Thoughts between <think> tags are passed over, and so is what follows the verdict on one pair where the judge goes
    on with another "Problem:". Case, punctuation, emphasis, boxes and the spelling "Judgment" do not matter.

    >>> read_judgement("Both are 1/2.\\nJudgement: **Yes**."), read_judgement("no"), read_judgement("Judgement: maybe")
    ('yes', 'no', 'invalid')
    """
    text = _about_this_pair(_DRESS.sub(" ", _without_thoughts(text)))
    marks = list(_MARK.finditer(text))
    statement = text[marks[-1].end() :] if marks else text
    first = _FIRST.match(statement)
    if first is None:
        last = _LAST.search(statement[-_LAST_CHARACTERS:])
        return "invalid" if last is None else _verdict(last[1])
    verdict = _verdict(first[1])
    return "invalid" if _takes_back(verdict, statement[first.end() :]) else verdict


def _without_thoughts(text: str) -> str:
    """What follows the last thoughts; nothing where they are cut off."""
    ends = list(_THOUGHTS_END.finditer(text))
    return _THOUGHTS_BEGIN.split(text[ends[-1].end() :] if ends else text, maxsplit=1)[0]


def _about_this_pair(text: str) -> str:
    """The text up to where the judge, having judged, makes up the next example of the prompt."""
    following = _NEXT_EXAMPLE.search(text)
    return text if following is None else text[: following.end(1)]


def _verdict(word: str) -> JudgeVerdict:
    return "yes" if word.lower() == "yes" else "no"


def _takes_back(verdict: JudgeVerdict, rest: str) -> bool:
    """Whether what follows a verdict has the other word or second thoughts, or its line a condition or the contrary."""
    line = rest.partition("\n")[0]
    if _CONDITION.match(line) or _SECOND_THOUGHT.search(rest):
        return True
    if verdict == "yes":
        other = re.search(r"\bno\b", _DETERMINER.sub("", rest), re.IGNORECASE)
        return bool(other or _CONCESSION.match(line) or _DENIAL.search(line))
    return bool(re.search(r"\byes\b", rest, re.IGNORECASE) or _AFFIRMATION.search(line))


@dataclass
class Agreement:
    """How far the judge and the symbolic grader agree on the same predictions.

    ``tables["by_model"]["correct"]["no"]`` answers are correct for the grader and were not so for the judge; tables
    for what was asked and for what is equal to the letter stand apart, as the latter say nothing about the judge.
    """

    examples: int = 10
    """How many disagreements of a kind are kept, the first of them."""
    tables: dict[str, dict[str, Counter[str]]] = field(
        default_factory=lambda: {
            how: {symbolic: Counter(dict.fromkeys(JUDGE_VERDICTS, 0)) for symbolic in ("correct", "not_correct")}
            for how in ("by_model", "equal_text")
        }
    )
    disagreements: dict[str, list[Record]] = field(default_factory=lambda: {"judge_only": [], "symbolic_only": []})

    def add(self, how: str, verdict: str, judge: JudgeVerdict, pair: Record) -> None:
        """Count one prediction; ``verdict`` is the symbolic one, ``pair`` what an example shows."""
        correct = verdict == "correct"
        self.tables[how]["correct" if correct else "not_correct"][judge] += 1
        if judge == ("no" if correct else "yes"):
            shown = self.disagreements["symbolic_only" if correct else "judge_only"]
            if len(shown) < self.examples:
                shown.append({**pair, "verdict": verdict, "judge_verdict": judge})

    def facts(self) -> dict[str, Any]:
        """The tables, and the share (of 1) of the model's verdicts that the grader shares; null where there is none."""
        table = self.tables["by_model"]
        agreed = table["correct"]["yes"] + table["not_correct"]["no"]
        decided = agreed + table["correct"]["no"] + table["not_correct"]["yes"]
        tables = {how: {key: dict(row) for key, row in rows.items()} for how, rows in self.tables.items()}
        return {**tables, "share_agreed": agreed / decided if decided else None, "disagreements": self.disagreements}
