"""Majority votes over answers that are spelled in different ways.

    votes in seed order      x=5   7   5   y=5   none   5   7.0   5.0
    spellings by votes       5: 2   x=5: 1   7: 1   y=5: 1   7.0: 1   5.0: 1
    first class              5 leads, and takes all that equal it: {5, x=5, y=5, 5.0}, 5 votes
    of the rest              7 leads: {7, 7.0}, 2 votes
    winner                   5, with 5 votes of 8 samples

Equality is not transitive (``x=5`` equals ``5``, which equals ``y=5``; ``50\\%`` equals both ``50`` and ``0.5``), so a
class is what equals its *leader*, never a chain. The spelling with most votes leads the first class and takes all that
equal it; of the others the one with most votes leads the second, and so on. In other words, each spelling in order of
votes joins the first class whose leader it equals, or leads a new one. Where another spelling leads, classes differ:

    x=5   y=5   5            {x=5, 5}: 2 votes   {y=5}: 1 vote
    x=5   y=5   5   5        {5, x=5, y=5}: 4 votes

Ties go to the lowest seed: of spellings with as many votes the one seen first comes first, and of classes with as many
votes the one that was voted for first wins. The leader stands for its class: no spelling in it has more votes. Nothing
else has a say: neither other problems nor the order of the seeds where nothing is tied. Another vote for the winning
spelling never makes it lose.

A sample without an answer has no vote but is counted in the total; a problem without any answer has no winner. The
paper counts texts instead, so that ``1/2`` and ``0.5`` vote against each other: ``vote_by="text"``.

Cost: spellings that the answers' ``class_key`` tells to be equal are one from the start, and the others are held only
against leaders, while another class can still win: with k different keys seldom more than k comparisons.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from openmath.answers import DEFAULT, Conventions, answers_equal, class_key

VOTE_BY = ("classes", "text")


@dataclass(frozen=True)
class Winner:
    """The answer with most votes: its spelling, the votes of its class, and all samples (those without answer too)."""

    answer: str
    votes: int
    total: int

    def passes(self, min_votes: int, min_share: Fraction) -> bool:
        """Whether the votes reach both thresholds; the share is of all samples."""
        return self.votes >= min_votes and self.votes >= min_share * self.total


def majority(answers: Sequence[str | None], vote_by: str = "classes", options: Conventions = DEFAULT) -> Winner | None:
    """The winner among the answers of one problem; None if there is no answer at all.

    Args:
        answers: one of each sample, in seed order; None where it has no answer.
        vote_by: "classes" counts equal answers together, "text" only equal texts.
        options: the conventions under which answers are equal.

    >>> majority(["1/2", "7", None, "0.5", "7"])
    Winner(answer='1/2', votes=2, total=5)
    >>> majority(["1/2", "7", None, "0.5", "7"], vote_by="text")
    Winner(answer='7', votes=2, total=5)
    """
    if vote_by not in VOTE_BY:
        raise ValueError(f"vote by {vote_by!r}: none of {', '.join(VOTE_BY)}")
    votes = Counter([answer for answer in answers if answer is not None])
    if not votes:
        return None
    if vote_by == "text" or len(votes) == 1:
        # A counter keeps the order of insertion and max() takes the first of equals: the lowest seed wins a tie.
        answer = max(votes, key=votes.__getitem__)
        return Winner(answer, votes[answer], len(answers))
    return _largest_class(votes, len(answers), options)


def _largest_class(votes: Mapping[str, int], total: int, options: Conventions) -> Winner:
    """The winner by classes; ``votes`` are in the order in which the spellings were seen."""
    seen = {spelling: position for position, spelling in enumerate(votes)}
    best, most, first = "", 0, 0
    remaining = sum(votes.values())
    for members in _classes(votes, votes, options):
        count = sum(votes[member] for member in members)
        if count >= most:
            position = min(seen[member] for member in members)
            if count > most or position < first:
                best, most, first = members[0], count, position
        remaining -= count
        if remaining < most:
            break
    return Winner(best, most, total)


def answer_classes(
    spellings: Sequence[str], votes: Mapping[str, int] | None = None, options: Conventions = DEFAULT
) -> list[list[str]]:
    """Group distinct spellings into classes of equal answers, each around the leader that most voted for.

    Args:
        spellings: in the order in which they were seen, which decides between equal votes.
        votes: of each spelling; one each unless given, so that of equal answers the first leads.
        options: the conventions under which answers are equal.

    Returns:
        The classes in the order of their first members, and these in the order given.

    >>> answer_classes(["x=5", "7", "5", "y=5"])
    [['x=5', '5'], ['7'], ['y=5']]
    >>> answer_classes(["x=5", "7", "5", "y=5"], {"x=5": 1, "7": 1, "5": 2, "y=5": 1})
    [['x=5', '5', 'y=5'], ['7']]
    """
    seen = {spelling: position for position, spelling in enumerate(spellings)}
    counted = votes or dict.fromkeys(seen, 1)
    classes = [sorted(members, key=seen.__getitem__) for members in _classes(spellings, counted, options)]
    return sorted(classes, key=lambda members: seen[members[0]])


def _classes(spellings: Iterable[str], votes: Mapping[str, int], options: Conventions) -> Iterator[list[str]]:
    """Yield the classes, in order of their leaders' votes; the leader is the first of each."""
    alike: dict[Hashable, list[str]] = {}
    for spelling in sorted(spellings, key=votes.__getitem__, reverse=True):
        alike.setdefault(class_key(spelling), []).append(spelling)
    groups = list(alike.values())
    while groups:
        members, others = groups[0].copy(), []
        for group in groups[1:]:
            if answers_equal(members[0], group[0], options):
                members += group
            else:
                others.append(group)
        yield members
        groups = others
