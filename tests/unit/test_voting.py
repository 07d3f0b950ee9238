"""Majority votes."""

from fractions import Fraction

import pytest

from openmath.voting import Winner, answer_classes, majority

VOTES = {
    "the most frequent wins": (["1", "2", "2"], Winner("2", 2, 3)),
    "other spellings of a number count together": (["0.5", "3", r"\frac12", "3", "1/2"], Winner("0.5", 3, 5)),
    "the most frequent spelling stands for its class": (["0.5", "1/2", "1/2"], Winner("1/2", 3, 3)),
    "of two spellings as frequent the first seen": ([r"\frac12", "0.5"], Winner(r"\frac12", 2, 2)),
    "a tie of classes goes to the lowest seed": (["7", "2", "2", "7"], Winner("7", 2, 4)),
    "a missing answer has no vote but counts in the total": ([None, None, None, "4"], Winner("4", 1, 4)),
    "no answer at all": ([None, None], None),
    "no sample at all": ([], None),
    "a name without a value in common": (["x=5", "y=5", "x = 5"], Winner("x=5", 2, 3)),
}


@pytest.mark.parametrize(("answers", "winner"), VOTES.values(), ids=VOTES.keys())
def test_majority(answers: list[str | None], winner: Winner | None) -> None:
    assert majority(answers) == winner


def test_spellings_linked_by_a_third_are_one_class_in_any_order() -> None:
    assert answer_classes(["x=5", "y=5", "5"]) == [["x=5", "y=5", "5"]]
    assert answer_classes(["y=5", "7", "5", "x=5"]) == [["y=5", "5", "x=5"], ["7"]]


def test_thresholds_are_exact() -> None:
    assert Winner("1", 3, 30).passes(min_votes=3, min_share=Fraction("0.1"))
    assert not Winner("1", 2, 30).passes(min_votes=2, min_share=Fraction("0.1"))
    assert not Winner("1", 3, 30).passes(min_votes=4, min_share=Fraction(0))
