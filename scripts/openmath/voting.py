"""Majority votes over answers that are spelled in different ways.

    votes (in seed order)    1/2   0.5   7   none   \\frac12   7   7.0
    classes                  {1/2, 0.5, \\frac12}: 3 votes, first from seed 0;   {7, 7.0}: 3 votes, first from seed 2
    winner                   the class of seed 0; its most frequent spelling, first seen on a tie: 1/2

Two spellings belong to one class if they are equal, or linked by others that are (``x = 5`` and ``y = 5`` through
``5``), so that classes do not depend on the order of the votes. A sample without an answer has no vote but is counted
in the total.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from openmath.answers import Answer, answers_equal, read_answer, readings_equal


@dataclass(frozen=True)
class Winner:
    """The answer with most votes: its spelling, its votes, and the number of samples (those without answer too)."""

    answer: str
    votes: int
    total: int

    def passes(self, min_votes: int, min_share: Fraction) -> bool:
        """Whether the votes reach both thresholds; the share is of all samples."""
        return self.votes >= min_votes and self.votes >= min_share * self.total


def majority(answers: Sequence[str | None]) -> Winner | None:
    """The winner among the answers of one problem, given in seed order; None if there is no answer at all.

    >>> majority(["1/2", "7", None, "0.5", "7"])
    Winner(answer='1/2', votes=2, total=5)
    """
    votes: dict[str, int] = {}
    for answer in answers:
        if answer is not None:
            votes[answer] = votes.get(answer, 0) + 1
    if not votes:
        return None
    # Dictionaries keep the order of insertion and max() takes the first of equals: the lowest seed wins every tie.
    winner = max(answer_classes(list(votes)), key=lambda spellings: sum(votes[spelling] for spelling in spellings))
    representative = max(winner, key=lambda spelling: votes[spelling])
    return Winner(representative, sum(votes[spelling] for spelling in winner), len(answers))


def answer_classes(spellings: Sequence[str]) -> list[list[str]]:
    """Group distinct spellings into classes; classes and their members stand in the order given."""
    if len(spellings) == 1:
        return [list(spellings)]
    alike: dict[Answer | str, list[int]] = {}
    for index, spelling in enumerate(spellings):
        reading = read_answer(spelling)
        # A reading that does not even equal itself (an empty one) stands for its own text only.
        alike.setdefault(reading if readings_equal(reading, reading) else spelling, []).append(index)
    groups = list(alike.values())
    parent = list(range(len(groups)))

    def root(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    for index, group in enumerate(groups):
        for other in range(index):
            if root(other) != root(index) and answers_equal(spellings[group[0]], spellings[groups[other][0]]):
                one, two = sorted((root(other), root(index)))
                parent[two] = one
    classes: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        classes.setdefault(root(index), []).extend(group)
    return [[spellings[index] for index in sorted(members)] for _, members in sorted(classes.items())]
