r"""Generated problems: from what a model wrote to a record that is worth 32 solutions.

A generated text is taken as it is (only the white space around it goes) or rejected, for the first of these reasons
that holds, in this order:

    empty           nothing but white space
    truncated       the model was cut off at its token limit
    same_as_seed    the text of a problem of the training set (normalised)
    duplicate       the text of a problem accepted before, in this file or in one of an earlier seed (normalised)
    holds_solution  a \boxed answer, or a line that opens with "Solution:", "Answer:" or the like
    boilerplate     a line that opens like a remark about the task ("Here is a new problem ...", "New problem:")
    not_a_problem   no letter, or neither a question mark nor anything else that asks
    too_long        more tokens than the limit

The sources generate 32 solutions for everything, duplicates too (NeMo-Skills e718d393 does no cleaning here); the
length limit came into its documents on 2024-10-30.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from openmath.records import Record, record_id

REASONS = (
    "empty",
    "truncated",
    "same_as_seed",
    "duplicate",
    "holds_solution",
    "boilerplate",
    "not_a_problem",
    "too_long",
)

_LINE_START = r"^[\W_]*"
_SOLUTION = re.compile(
    rf"\\f?boxed\b|{_LINE_START}(?:(?:the|my|final|correct|step[- ]by[- ]step)\s+)*(?:solution|answer|explanation)"
    r"[\W_]*:",
    re.IGNORECASE | re.MULTILINE,
)
_BOILERPLATE = re.compile(
    rf"{_LINE_START}(?:here(?:'s|’s|\s+is|\s+are)\s+(?:a|an|the|another|my|one)\b[^.?\n]*\b(?:problem|question)\b"
    r"|(?:new|original|similar|inspired|another)\s+(?:problem|question)[\W_]*:"
    r"|(?:sure|certainly|of course)\s*[,!])",
    re.IGNORECASE | re.MULTILINE,
)
# What asks for something: a question mark, a word, or answers to choose from. Found by hand on the train splits of MATH
# and GSM8K, 14,947 problems, of which the rule refuses one.
_ASKS = re.compile(
    r"\?|\(\s*A\s*\)|\b(?:what|which|who|whose|where|when|why|how|find|determine|compute|calculate|evaluate|simplify|"
    r"solve|express|prove|show|give|write|state|list|name|factor|expand|convert|estimate|round|rationalize|graph|"
    r"sketch|draw|identify|explain|describe|complete|fill|match|choose|select|enter|answer|count|add|subtract|"
    r"multiply|divide|reduce|order|arrange|rewrite|derive|verify|construct|approximate|classify|compare|represent|"
    r"differentiate|integrate|minimize|maximize)\b",
    re.IGNORECASE,
)


def normalise_problem(text: str) -> str:
    """The form in which two problem texts are compared: case and white space do not count.

    >>> normalise_problem(" Find\\n $X$. ") == normalise_problem("find $x$.")
    True
    """
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def problem_key(text: str) -> bytes:
    """Sixteen bytes that stand for a problem text: equal for texts that are equal when normalised."""
    return hashlib.blake2b(normalise_problem(text).encode(), digest_size=16).digest()


@dataclass
class ProblemFilter:
    """Accepts or rejects generated problems in the order in which they come.

    Only keys of accepted texts are kept: 600,000 problems take about 60 MB.

    Attributes:
        seed_keys: ``problem_key`` of every problem of the training set.
        within_limit: whether a text is short enough.
        accepted: ``problem_key`` of every text accepted so far.
    """

    seed_keys: frozenset[bytes]
    within_limit: Callable[[str], bool]
    accepted: set[bytes] = field(default_factory=set)

    def reason(self, record: Record) -> str | None:
        """Why the generated problem of ``record`` is rejected; None when it is accepted, which is remembered."""
        text = record["generation"].strip()
        if not text:
            return "empty"
        if record["finish_reason"] == "length":
            return "truncated"
        key = problem_key(text)
        if key in self.seed_keys:
            return "same_as_seed"
        if key in self.accepted:
            return "duplicate"
        if _SOLUTION.search(text):
            return "holds_solution"
        if _BOILERPLATE.search(text):
            return "boilerplate"
        if not _is_problem(text):
            return "not_a_problem"
        if not self.within_limit(text):
            return "too_long"
        self.accepted.add(key)
        return None

    def clean(self, records: Iterable[Record], counts: dict[str, int]) -> Iterator[Record]:
        """Yield the records that are accepted and count the others in ``counts``, by reason."""
        for record in records:
            reason = self.reason(record)
            if reason is None:
                yield record
            else:
                counts[reason] += 1


def new_problem(record: Record, dataset: str) -> Record:
    """The record of a generated problem.

    Nothing of the problem that it was made from is carried on but its name and text: its answer and its reference
    solution are not those of the new problem.
    """
    source = f"augmented_{dataset}"
    text = record["generation"].strip()
    return {
        "id": record_id(source, text),
        "problem": text,
        "problem_source": source,
        "seed_id": record["id"],
        "seed_problem": record["problem"],
        "problem_seed": record["seed"],
    }


def _is_problem(text: str) -> bool:
    return any(character.isalpha() for character in text) and _ASKS.search(text) is not None
