"""How often the majority of k samples is right, for every k: the mean over all subsets of k samples, not the first k.

    samples of a problem     A A B none, of which the class A is right
    subsets of k = 2         AA  AB  AB  A-  A-  B-
    credit                   1   1/2 1/2 1   1   0        maj@2 = 4/6

Samples vote for classes of equal answers (openmath/voting.py), which are those of the vote of all samples; one without
an answer has no vote. In that vote a tie goes to the class that was voted for first. A subset has no first sample: over
all orders of it each of the tied classes comes first equally often, so a tie of t classes, s of them right, is worth
s/t.

Up to ``EXACT_SAMPLES`` samples the mean is exact. With c_j votes of n in class j, the subsets in which a right class i
wins with m votes are counted by a product of polynomials in x (whose power is the size of the subset) and y (the
number of classes that tie with it):

    C(c_i, m) x^m  *  prod over j != i, c_j >= m  (sum over s < m of C(c_j, s) x^s  +  y C(c_j, m) x^m)
                   *  (1 + x)^(all other samples)

The coefficient of x^k y^t, over 1 + t and over C(n, k), is the share of i in maj@k; it is added up over t, m and i. All
terms are positive, so nothing cancels. One product yields every k. It costs O(n^3) at worst for a problem of n samples
(n/m classes can have m votes), and little where most samples agree; nothing is counted where all classes are right, or
none. Problems with the same counts are counted once.

Beyond that number the binomials leave the range of doubles, and the mean is taken over random orders of the samples,
whose first k are a random subset for every k. The error is that of a mean of so many orders.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from openmath.answers import DEFAULT, Conventions
from openmath.metrics import pass_at_k
from openmath.records import Record
from openmath.voting import answer_classes

EXACT_SAMPLES = 1000
RANDOM_ORDERS = 1000

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Loading the compiler takes a second or two, in which plain Python does about as many multiplications as this.
_COMPILE_FROM = 3_000_000


@dataclass(frozen=True)
class ClassVotes:
    """The votes of one problem: (votes, whether the class is right) of each class, and the samples without an answer.

    Classes stand in descending order, so that problems with the same counts are equal.
    """

    classes: tuple[tuple[int, bool], ...]
    unanswered: int

    @classmethod
    def of(cls, classes: Iterable[tuple[int, bool]], unanswered: int) -> "ClassVotes":
        """The votes, with the classes in any order."""
        return cls(tuple(sorted(classes, reverse=True)), unanswered)

    @property
    def samples(self) -> int:
        """The samples of the problem, those without an answer too."""
        return sum(votes for votes, _ in self.classes) + self.unanswered


def class_votes(rows: Sequence[Record], vote_by: str = "classes", options: Conventions = DEFAULT) -> ClassVotes:
    """Count the votes among the rows (with "predicted_answer" and "verdict") of one problem, in seed order.

    A class is as right as its most frequent spelling; of equally frequent ones the first counts.

    Args:
        rows: one of each sample.
        vote_by: "classes", or "text": each spelling is a class by itself, as in ``openmath.voting.majority``.
        options: the conventions under which answers are equal.
    """
    votes: dict[str, int] = {}
    right: dict[str, bool] = {}
    for row in rows:
        answer = row["predicted_answer"]
        if answer is not None:
            votes[answer] = votes.get(answer, 0) + 1
            right.setdefault(answer, row["verdict"] == "correct")
    groups = answer_classes(list(votes), votes, options) if vote_by == "classes" else [[answer] for answer in votes]
    classes = [(sum(votes[text] for text in group), right[max(group, key=votes.__getitem__)]) for group in groups]
    return ClassVotes.of(classes, len(rows) - sum(votes.values()))


def majority_at_k(problems: Sequence[ClassVotes], seeds: Sequence[int]) -> tuple[Floats, Floats]:
    """maj@k of each problem, and its error.

    Args:
        problems: the votes, of equally many samples in each problem.
        seeds: one for each problem, of the random orders; unused where the mean is exact.

    Returns:
        Two arrays (problems, samples), as shares of 1; k is the column plus 1. The error is 0 where the mean is exact.
    """
    samples = problems[0].samples
    if any(votes.samples != samples for votes in problems):
        raise ValueError("the problems differ in their number of samples")
    means, errors = np.zeros((len(problems), samples)), np.zeros((len(problems), samples))
    if samples > EXACT_SAMPLES:
        for index, (votes, seed) in enumerate(zip(problems, seeds, strict=True)):
            means[index], errors[index] = sampled_majority(votes, RANDOM_ORDERS, seed)
        return means, errors
    distinct = list(dict.fromkeys(problems))
    compiled = sum(map(_multiplications, distinct)) >= _COMPILE_FROM
    known = {votes: expected_majority(votes, compiled) for votes in distinct}
    for index, votes in enumerate(problems):
        means[index] = known[votes]
    return means, errors


def expected_majority(votes: ClassVotes, compiled: bool = False) -> Floats:
    """The exact maj@k of one problem for k = 1 ... its samples, as shares of 1.

    Args:
        votes: at most ``EXACT_SAMPLES`` samples.
        compiled: count by machine code, which is a hundred times as fast once the compiler is loaded.

    >>> expected_majority(ClassVotes(((2, True), (1, False)), unanswered=1)).round(4).tolist()
    [0.5, 0.6667, 0.75, 1.0]
    """
    samples = votes.samples
    if samples > EXACT_SAMPLES:
        raise ValueError(f"{samples} samples; the mean is exact up to {EXACT_SAMPLES}")
    right = Counter(count for count, correct in votes.classes if correct)
    if right.total() == len(votes.classes):
        # Also where nobody answered: then no subset has an answer.
        return np.array(pass_at_k(samples, samples - votes.unanswered))
    if not right:
        return np.zeros(samples)
    winners, right_classes = (np.array(list(column), dtype=np.int64) for column in (right.keys(), right.values()))
    counts = np.array([count for count, _ in votes.classes], dtype=np.int64)
    choose = binomials(samples)
    count_wins = _compiled() if compiled else _count_wins
    wins: Floats = count_wins(winners, right_classes, counts, votes.unanswered, choose)
    return np.minimum(wins[1:] / choose[samples, 1:], 1.0)


def sampled_majority(votes: ClassVotes, orders: int, seed: int) -> tuple[Floats, Floats]:
    """maj@k of one problem over random orders of its samples, and the standard error of that mean, for every k."""
    labels = np.repeat(np.arange(len(votes.classes) + 1), [*(count for count, _ in votes.classes), votes.unanswered])
    right = np.array([*(correct for _, correct in votes.classes), False])
    drawn = np.random.default_rng(seed).permuted(np.tile(labels, (orders, 1)), axis=1)
    row = np.arange(orders)
    counts = np.zeros((orders, len(right)), dtype=np.int64)
    most, tied, tied_right = (np.zeros(orders, dtype=np.int64) for _ in range(3))
    means, errors = np.zeros(len(labels)), np.zeros(len(labels))
    for k, label in enumerate(drawn.T):
        answered = label < len(votes.classes)
        counts[row, label] += answered
        new = counts[row, label]
        ahead, level = answered & (new > most), answered & (new == most)
        most = np.where(ahead, new, most)
        tied = np.where(ahead, 1, tied + level)
        tied_right = np.where(ahead, right[label], tied_right + (level & right[label]))
        credit = tied_right / np.maximum(tied, 1)
        means[k], errors[k] = credit.mean(), credit.std(ddof=1) / np.sqrt(orders)
    return means, errors


@functools.cache
def binomials(size: int) -> Floats:
    """Pascal's triangle: (size + 1, size + 1), C(n, k) in row n and column k."""
    rows = np.zeros((size + 1, size + 1))
    rows[:, 0] = 1
    for n in range(1, size + 1):
        rows[n, 1:] = rows[n - 1, 1:] + rows[n - 1, :-1]
    return rows


def _multiplications(votes: ClassVotes) -> int:
    """About as many as ``_count_wins`` does: m^2 b^3 / 3 for the product of b classes, and n (b m + 1) for the rest."""
    right = {count for count, correct in votes.classes if correct}
    if all(correct for _, correct in votes.classes):
        return 0
    total = 0
    for m in range(1, max(right, default=0) + 1):
        tying = sum(count >= m for count, _ in votes.classes) - 1
        total += sum(count >= m for count in right) * (m * m * tying**3 // 3 + votes.samples * (tying * m + 1))
    return total


@functools.cache
def _compiled() -> Any:
    from numba import njit

    return njit(cache=True)(_count_wins)


def _count_wins(winners: Ints, right_classes: Ints, counts: Ints, unanswered: int, choose: Floats) -> Floats:
    """Subsets that a right class wins, by their size; a tie counts as the right classes' share of it.

    Args:
        winners: (distinct,) votes of the right classes, without repetition.
        right_classes: (distinct,) right classes with so many votes.
        counts: (classes,) votes of all classes.
        unanswered: samples without a vote.
        choose: Pascal's triangle.

    Returns:
        (samples + 1,) wins by size of the subset.
    """
    wins = np.zeros(len(choose))
    # Powers of y (ties) by powers of x (size): the product so far, and the next.
    before, after = np.zeros((len(counts), len(wins))), np.zeros((len(counts), len(wins)))
    ways = np.zeros(len(wins))
    for winner, alike in zip(winners, right_classes):  # noqa: B905  (the compiler knows no strict)
        for m in range(1, winner + 1):
            before[0, 0] = 1.0
            ties, size, small = 0, 0, unanswered
            itself = True
            for votes in counts:
                if votes < m:
                    small += votes
                elif votes == winner and itself:
                    itself = False
                else:
                    for tie in range(ties + 2):
                        after[tie, : size + m + 1] = 0.0
                    for tie in range(ties + 1):
                        for taken in range(m):
                            for power in range(size + 1):
                                after[tie, power + taken] += choose[votes, taken] * before[tie, power]
                        for power in range(size + 1):
                            after[tie + 1, power + m] += choose[votes, m] * before[tie, power]
                    ties, size = ties + 1, size + m
                    before, after = after, before
            ways[: size + 1] = 0.0
            for tie in range(ties + 1):
                for power in range(size + 1):
                    ways[power] += before[tie, power] / (1 + tie)
            for power in range(size + 1):
                times = alike * choose[winner, m] * ways[power]
                for taken in range(small + 1):
                    wins[m + power + taken] += times * choose[small, taken]
    return wins
