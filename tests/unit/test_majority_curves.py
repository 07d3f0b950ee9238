"""The majority of k samples: the exact mean over subsets, its estimate, and the classes that vote."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmath.answers import Conventions
from openmath.majority_curves import (
    EXACT_SAMPLES,
    ClassVotes,
    binomials,
    class_votes,
    expected_majority,
    majority_at_k,
    sampled_majority,
)
from openmath.metrics import pass_at_k
from openmath.records import Record

Classes = list[tuple[int, bool]]


def over_all_subsets(classes: Classes, unanswered: int) -> list[Fraction]:
    """maj@k by its definition: every subset of k samples votes, and a tie is worth the right classes' share of it."""
    samples = [index for index, (votes, _) in enumerate(classes) for _ in range(votes)] + [None] * unanswered
    result = []
    for k in range(1, len(samples) + 1):
        credits = []
        for subset in itertools.combinations(samples, k):
            votes = [subset.count(index) for index in range(len(classes))]
            tied = [index for index, count in enumerate(votes) if count == max(votes) > 0]
            credits.append(Fraction(sum(classes[index][1] for index in tied), max(len(tied), 1)))
        result.append(sum(credits, Fraction(0)) / len(credits))
    return result


CASES: dict[str, tuple[Classes, int]] = {
    "nobody answers": ([], 3),
    "all agree and are right": ([(4, True)], 0),
    "all agree and are wrong": ([(4, False)], 1),
    "a right minority": ([(3, False), (1, True)], 1),
    "two classes tie": ([(2, False), (2, True)], 0),
    "three tie, two of them right": ([(2, True), (2, False), (2, True)], 0),
    "all differ": ([(1, True), (1, False), (1, False), (1, False), (1, False)], 0),
    "two right classes of the same size": ([(3, False), (2, True), (2, True), (1, False)], 1),
    "right classes of several sizes": ([(3, True), (3, False), (2, True), (1, True)], 0),
    "many small classes": ([(3, True), (2, False), (2, False), (1, False), (1, False)], 2),
}


@pytest.mark.parametrize(("classes", "unanswered"), CASES.values(), ids=CASES)
def test_the_exact_mean_is_that_over_all_subsets(classes: Classes, unanswered: int) -> None:
    found = expected_majority(ClassVotes.of(classes, unanswered))
    assert found.tolist() == pytest.approx([float(share) for share in over_all_subsets(classes, unanswered)], abs=1e-13)


def votes_of(most_classes: int, most_votes: int, most_unanswered: int) -> st.SearchStrategy[ClassVotes]:
    classes = st.lists(st.tuples(st.integers(1, most_votes), st.booleans()), max_size=most_classes)
    made = st.builds(ClassVotes.of, classes, st.integers(0, most_unanswered))
    return made.filter(lambda votes: votes.samples > 0)


@settings(max_examples=60, deadline=None)
@given(votes_of(5, 4, 3).filter(lambda votes: votes.samples <= 10))
def test_the_exact_mean_is_that_over_all_subsets_of_any_votes(votes: ClassVotes) -> None:
    expected = over_all_subsets(list(votes.classes), votes.unanswered)
    assert expected_majority(votes).tolist() == pytest.approx([float(share) for share in expected], abs=1e-13)


@settings(max_examples=60, deadline=None)
@given(votes_of(6, 8, 6))
def test_a_majority_is_a_share_that_begins_with_the_mean_and_stays_below_pass_at_k(votes: ClassVotes) -> None:
    found = expected_majority(votes)
    right = sum(count for count, correct in votes.classes if correct)
    assert found[0] == pytest.approx(right / votes.samples)
    assert ((found >= 0) & (found <= 1)).all()
    assert (found <= np.array(pass_at_k(votes.samples, right)) + 1e-12).all()


@settings(max_examples=40, deadline=None)
@given(votes_of(6, 8, 6))
def test_the_credits_of_all_classes_add_up_to_one_where_somebody_answers(votes: ClassVotes) -> None:
    """Each class in turn is the right one; the subsets without any answer are the rest."""
    total = np.zeros(votes.samples)
    for index in range(len(votes.classes)):
        classes = [(count, other == index) for other, (count, _) in enumerate(votes.classes)]
        total += expected_majority(ClassVotes.of(classes, votes.unanswered))
    answered = votes.samples - votes.unanswered
    assert total.tolist() == pytest.approx(pass_at_k(votes.samples, answered), abs=1e-12)


def test_the_compiled_count_is_the_same() -> None:
    votes = ClassVotes.of([(9, False), (8, True), (5, False), (5, True), (2, False), *[(1, False)] * 9], 4)
    assert expected_majority(votes, compiled=True).tolist() == pytest.approx(expected_majority(votes), rel=1e-12)


def test_256_samples_of_60_classes_are_counted_exactly() -> None:
    """The right class leads by far, so the vote of many samples hardly errs, and that of all cannot."""
    classes = [(100, True), (60, False), *[(2, False)] * 38, *[(1, False)] * 20]
    found = expected_majority(ClassVotes.of(classes, 0), compiled=True)
    assert found[0] == pytest.approx(100 / 256)
    assert found[1] == pytest.approx(100 / 256), "two votes that differ tie, which is what one vote is worth"
    assert (np.diff(found[2:]) >= -1e-12).all()
    assert found[-1] == 1
    assert 0.98 < found[127] < 1


@pytest.mark.parametrize("classes", [[(30, True), (28, False), (7, False)], [(20, True), (20, False), (10, True)]])
def test_the_estimate_is_within_its_error_of_the_exact_mean(classes: Classes) -> None:
    votes = ClassVotes.of(classes, 5)
    exact = expected_majority(votes)
    estimate, error = sampled_majority(votes, orders=4000, seed=1)
    assert (np.abs(estimate - exact) <= 4.5 * error + 1e-9).all()
    assert estimate[-1] == pytest.approx(exact[-1])
    assert error[-1] == pytest.approx(0)
    shares = exact[0] * (1 - exact[0])
    assert error[0] == pytest.approx(np.sqrt(shares / 4000), rel=0.1), "one sample is right or wrong"


def test_the_estimate_follows_from_its_seed() -> None:
    votes = ClassVotes.of([(6, True), (5, False)], 2)
    first, again, other = (sampled_majority(votes, orders=50, seed=seed)[0].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_beyond_the_exact_number_random_orders_are_taken() -> None:
    problems = [ClassVotes.of([(EXACT_SAMPLES, True)], 1), ClassVotes.of([(EXACT_SAMPLES // 2, True)], 501)]
    with pytest.raises(ValueError, match="exact up to"):
        expected_majority(problems[0])
    means, errors = majority_at_k(problems, seeds=[1, 2])
    assert means.shape == errors.shape == (2, EXACT_SAMPLES + 1)
    assert means[0, 1:].tolist() == [1] * EXACT_SAMPLES
    assert means[1, 0] == pytest.approx(500 / 1001, abs=5 * errors[1, 0])
    assert 0 < errors[1, 0] < 0.05


def test_problems_are_exact_and_stand_in_their_order() -> None:
    problems = [ClassVotes.of(classes, 4 - sum(count for count, _ in classes)) for classes in
                ([(4, True)], [(1, True)], [(2, True), (2, False)], [(4, True)])]  # fmt: skip
    means, errors = majority_at_k(problems, seeds=[0] * 4)
    assert means.tolist() == [expected_majority(votes).tolist() for votes in problems]
    assert not errors.any()


def test_problems_with_other_numbers_of_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in their number of samples"):
        majority_at_k([ClassVotes.of([(4, True)], 0), ClassVotes.of([(3, True)], 0)], seeds=[0, 0])


def test_binomials() -> None:
    assert binomials(4)[4].tolist() == [1, 4, 6, 4, 1]
    assert np.isfinite(binomials(EXACT_SAMPLES)).all()


def rows(*answers: tuple[str | None, str]) -> list[Record]:
    return [{"predicted_answer": answer, "verdict": verdict} for answer, verdict in answers]


def test_equal_answers_vote_together_and_none_for_no_answer() -> None:
    votes = class_votes(
        rows(("1/2", "correct"), ("7", "incorrect"), (None, "no_answer"), ("0.5", "correct"), (None, "truncated"))
    )
    assert votes == ClassVotes(((2, True), (1, False)), unanswered=2)
    assert votes.samples == 5


def test_a_vote_by_text_tells_spellings_apart() -> None:
    sampled = rows(("1/2", "correct"), ("7", "incorrect"), ("0.5", "correct"), ("7", "incorrect"))
    assert class_votes(sampled, "classes").classes == ((2, True), (2, False))
    assert class_votes(sampled, "text").classes == ((2, False), (1, True), (1, True))


def test_answers_vote_together_under_the_conventions_that_are_given() -> None:
    answers = rows(("x=5", "correct"), ("5", "correct"), ("7", "incorrect"))
    assert class_votes(answers).classes == ((2, True), (1, False))
    assert class_votes(answers, options=Conventions(names="required")).classes == ((1, True), (1, True), (1, False))


@pytest.mark.parametrize("verdict", ["incorrect", "unparsed", "timeout"])
def test_only_a_correct_answer_is_right(verdict: str) -> None:
    assert class_votes(rows(("7", verdict))).classes == ((1, False),)


def test_a_class_is_as_right_as_its_most_frequent_spelling() -> None:
    assert class_votes(rows(("1/2", "correct"), ("0.5", "timeout"), ("0.5", "timeout"))).classes == ((3, False),)
    assert class_votes(rows(("1/2", "correct"), ("0.5", "timeout"))).classes == ((2, True),), "of equals the first"


def test_without_any_answer_there_is_no_class() -> None:
    assert class_votes(rows((None, "no_answer"), (None, "truncated"))) == ClassVotes((), unanswered=2)
