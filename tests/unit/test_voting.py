"""Majority votes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import get_args, get_type_hints

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from openmath import voting
from openmath.answers import DEFAULT, Conventions, answers_equal, class_key
from openmath.voting import VOTE_BY, Winner, answer_classes, majority

CHOICES = {name: get_args(kind) for name, kind in get_type_hints(Conventions).items()}

VOTES = {
    "the most frequent wins": (["1", "2", "2"], Winner("2", 2, 3)),
    "other spellings of a number count together": (["0.5", "3", r"\frac12", "3", "1/2"], Winner("0.5", 3, 5)),
    "the most frequent spelling stands for its class": (["0.5", "1/2", "1/2"], Winner("1/2", 3, 3)),
    "of two spellings as frequent the first seen": ([r"\frac12", "0.5"], Winner(r"\frac12", 2, 2)),
    "a tie of classes goes to the lowest seed": (["7", "2", "2", "7"], Winner("7", 2, 4)),
    "a tie goes to the class voted for first, not to the one led by more votes": (
        ["0.5", "2", "2", "1/2", "2", r"\frac{1}{2}"],
        Winner("0.5", 3, 6),
    ),
    "a class of many spellings beats one of a more frequent spelling": (
        ["2", "2", "0.5", "1/2", r"\frac12"],
        Winner("0.5", 3, 5),
    ),
    "a missing answer has no vote but counts in the total": ([None, None, None, "4"], Winner("4", 1, 4)),
    "no answer at all": ([None, None], None),
    "no sample at all": ([], None),
    "a name without a value in common": (["x=5", "y=5", "x = 5"], Winner("x=5", 2, 3)),
    "a bare value with most votes takes both names": (["x=5", "5", "y=5", "5"], Winner("5", 4, 4)),
    "of a name, another name and the bare value the name seen first leads": (["y=5", "x=5", "5"], Winner("y=5", 2, 3)),
    "a named value with most votes leaves the other name out": (["x=5", "5", "y=5", "x=5"], Winner("x=5", 3, 4)),
}

# Sharing one value, written as names, units and parts, which are not all equal to each other; and other answers.
SPELLINGS = [
    "5", "5.0", "x=5", "x = 5", "y=5", "z=5", r"5\%", "0.05", r"\frac{1}{20}", r"5 \text{ cm}", r"5 \text{ in}", "7",
    "7.00", r"\frac{14}{2}", "x=7", "1,2", r"\{2,1\}", "(1,2)", r"\text{Even}", "2x+1", "1+2x", r"\frac{", "",
]  # fmt: skip
answers = st.lists(st.none() | st.sampled_from(SPELLINGS), max_size=24)


def votes_of(samples: Sequence[str | None]) -> Counter[str]:
    return Counter(sample for sample in samples if sample is not None)


def defined_classes(votes: Counter[str]) -> list[list[str]]:
    """The definition word for word: each spelling in order of votes joins the first leader that it equals, or leads."""
    classes: list[list[str]] = []
    for spelling, _ in votes.most_common():
        home = next((members for members in classes if answers_equal(members[0], spelling)), None)
        if home is None:
            classes.append([spelling])
        else:
            home.append(spelling)
    return classes


@pytest.mark.parametrize(("samples", "winner"), VOTES.values(), ids=VOTES.keys())
def test_majority(samples: list[str | None], winner: Winner | None) -> None:
    assert majority(samples) == winner


@given(answers)
@settings(max_examples=300, deadline=None)
@example(["x=5", "y=5", "5"])
@example(["7", "5", "x=5", "5", "y=5", "7", "7.00"])
def test_classes_and_winner_follow_from_the_definition(samples: list[str | None]) -> None:
    votes = votes_of(samples)
    classes = defined_classes(votes)
    assert {frozenset(c) for c in answer_classes(list(votes), votes)} == {frozenset(c) for c in classes}
    if not classes:
        assert majority(samples) is None
        return
    first_vote = {id(members): min(samples.index(member) for member in members) for members in classes}
    best = min(classes, key=lambda members: (-sum(votes[m] for m in members), first_vote[id(members)]))
    assert majority(samples) == Winner(best[0], sum(votes[m] for m in best), len(samples))


@given(answers)
@settings(max_examples=200, deadline=None)
def test_classes_share_out_every_vote_and_spelling_in_the_order_given(samples: list[str | None]) -> None:
    votes = votes_of(samples)
    spellings = list(votes)
    classes = answer_classes(spellings, votes)
    assert sum(votes[spelling] for members in classes for spelling in members) == len(samples) - samples.count(None)
    assert sorted(spelling for members in classes for spelling in members) == sorted(spellings)
    positions = [[spellings.index(spelling) for spelling in members] for members in classes]
    assert all(members == sorted(members) for members in positions)
    assert [members[0] for members in positions] == sorted(members[0] for members in positions)


@given(answers)
@settings(max_examples=200, deadline=None)
def test_the_winner_leads_a_class_and_beats_every_text(samples: list[str | None]) -> None:
    winner, votes = majority(samples), votes_of(samples)
    assume(winner is not None)
    assert winner is not None
    assert winner.votes >= max(votes.values())
    (home,) = [members for members in answer_classes(list(votes), votes) if winner.answer in members]
    assert votes[winner.answer] == max(votes[member] for member in home)
    assert all(answers_equal(winner.answer, member) for member in home)


@given(answers)
@settings(max_examples=200, deadline=None)
def test_another_vote_for_the_winner_keeps_it(samples: list[str | None]) -> None:
    for vote_by in VOTE_BY:
        winner = majority(samples, vote_by)
        if winner is not None:
            again = majority([*samples, winner.answer], vote_by)
            assert again is not None
            assert (again.answer, again.total) == (winner.answer, winner.total + 1)
            assert again.votes > winner.votes


@given(st.lists(st.sampled_from(SPELLINGS), min_size=1, max_size=6, unique=True), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_without_ties_the_order_of_seeds_has_no_say(spellings: list[str], random: object) -> None:
    samples: list[str | None] = [spelling for votes, spelling in enumerate(spellings, 1) for _ in range(votes)]
    shuffled = random.sample(samples, len(samples))  # type: ignore[attr-defined]
    classes = [answer_classes(list(votes), votes) for votes in (votes_of(samples), votes_of(shuffled))]
    assert {frozenset(c) for c in classes[0]} == {frozenset(c) for c in classes[1]}
    one, other = majority(samples), majority(shuffled)
    assert one is not None
    assert other is not None
    assert one.votes == other.votes


@given(answers)
@settings(max_examples=200, deadline=None)
def test_the_vote_by_text_is_that_of_a_counter_with_ties_to_the_first_seen(samples: list[str | None]) -> None:
    votes = votes_of(samples)
    expected = [Winner(text, count, len(samples)) for text, count in votes.most_common(1)]
    assert majority(samples, "text") == (expected[0] if expected else None)


def test_the_vote_by_text_knows_no_equality() -> None:
    assert majority(["0.5", "3", r"\frac12", "3", "1/2"], "text") == Winner("3", 2, 5)
    assert majority(["x=5", "x = 5"], "text") == Winner("x=5", 1, 2)


def test_only_what_may_change_the_winner_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []

    def recording(one: str, other: str, options: Conventions) -> bool:
        compared.append((one, other))
        return answers_equal(one, other, options)

    monkeypatch.setattr(voting, "answers_equal", recording)
    with monkeypatch.context() as unread:
        unread.delattr(voting, "class_key")
        assert majority(["x+1", "x+1", None]) == Winner("x+1", 2, 3)
    assert majority(["0.5", "1/2", r"\frac{1}{2}"]) == Winner("0.5", 3, 3)
    assert compared == []
    # Two votes are left for other classes than that of "x=5", which has three.
    assert majority(["x=5", "y=6", "z=7", "5", "x=5"]) == Winner("x=5", 3, 5)
    assert compared == [("x=5", "y=6"), ("x=5", "z=7"), ("x=5", "5")]


def test_another_way_to_vote_is_refused() -> None:
    with pytest.raises(ValueError, match="vote by 'Text': none of classes, text"):
        majority(["1"], "Text")


def test_spellings_linked_by_a_third_are_one_class_only_where_it_leads() -> None:
    assert answer_classes(["x=5", "y=5", "5"]) == [["x=5", "5"], ["y=5"]]
    assert answer_classes(["x=5", "y=5", "5"], {"x=5": 1, "y=5": 2, "5": 1}) == [["x=5"], ["y=5", "5"]]
    assert answer_classes(["x=5", "7", "y=5", "5"], {"x=5": 1, "7": 3, "y=5": 1, "5": 2}) == [
        ["x=5", "y=5", "5"],
        ["7"],
    ]


def test_answers_are_equal_under_the_conventions_that_are_given() -> None:
    strict = Conventions(names="required")
    assert answer_classes(["x=5", "7", "5"], options=strict) == [["x=5"], ["7"], ["5"]]
    samples = ["7", "7", "5", "5", "x=5"]
    assert majority(samples) == Winner("5", 3, 5)
    assert majority(samples, options=strict) == Winner("7", 2, 5)


@pytest.mark.parametrize("name", CHOICES)
def test_spellings_with_one_key_are_equal_under_every_convention(name: str) -> None:
    spellings = ["1/2", "0.5", r"\frac12", "0.50", r"\frac{2}{4}", "50", "50.0", r"50\%", "1,000", "1000", "5", "5 cm",
                 "x=5", "52_8", "52", "0.333333333333", "1/3", r"\log 100", "2", "(1,2)", "1,2"]  # fmt: skip
    alike = [(one, other) for one in spellings for other in spellings if class_key(one) == class_key(other)]
    assert len(alike) > len(spellings)
    for value in CHOICES[name]:
        options = replace(DEFAULT, **{name: value})
        assert [pair for pair in alike if not answers_equal(*pair, options)] == []


def test_where_there_is_no_spelling_there_is_no_class() -> None:
    assert answer_classes([]) == []


@given(st.integers(1, 512), st.integers(0, 512))
def test_thresholds_are_exact(votes: int, others: int) -> None:
    winner = Winner("1", votes, votes + others)
    share, step = Fraction(votes, votes + others), Fraction(1, 10**30)
    assert winner.passes(votes, share)
    assert winner.passes(votes - 1, share - step)
    assert not winner.passes(votes + 1, Fraction(0))
    assert not winner.passes(votes, share + step)


def test_a_share_written_as_a_decimal_is_not_rounded() -> None:
    assert Winner("1", 3, 30).passes(min_votes=3, min_share=Fraction("0.1"))
    assert not Winner("1", 2, 30).passes(min_votes=2, min_share=Fraction("0.1"))
