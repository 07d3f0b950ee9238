"""Metrics: proportions, means over samples, intervals, pass@k and the printed table."""

import itertools
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from openmath.metrics import (
    COLUMNS,
    Outcome,
    format_table,
    headline,
    is_right,
    mean_metrics,
    mode_metrics,
    pass_at_k,
    wilson_interval,
)
from openmath.records import RecordError


@pytest.mark.parametrize(("samples", "correct"), [(n, c) for n in range(1, 8) for c in range(n + 1)])
def test_pass_at_k_is_the_share_of_subsets_that_hold_a_right_sample(samples: int, correct: int) -> None:
    right = [True] * correct + [False] * (samples - correct)
    shares = [mean(any(subset) for subset in itertools.combinations(right, k)) for k in range(1, samples + 1)]
    assert pass_at_k(samples, correct) == pytest.approx(shares)


def test_pass_at_k_of_many_samples_is_a_share() -> None:
    values = pass_at_k(256, 1)
    assert values[0] == pytest.approx(1 / 256)
    assert values[-1] == 1
    assert values == sorted(values)


def test_every_column_is_a_share_of_all_problems() -> None:
    outcomes = [
        Outcome(symbolic=True, no_answer=False, judge=True),
        Outcome(symbolic=True, no_answer=False, judge=False),
        Outcome(symbolic=False, no_answer=False, judge=True),
        Outcome(symbolic=False, no_answer=True, judge=False),
        Outcome(symbolic=False, no_answer=True, judge=False),
    ]
    metrics = mode_metrics(outcomes)
    assert (metrics["num_entries"], metrics["symbolic_correct"], metrics["judge_correct"]) == (5, 40, 40)
    assert (metrics["both_correct"], metrics["any_correct"], metrics["no_answer"]) == (20, 60, 40)
    assert headline(metrics) == "judge_correct"
    assert (metrics["judge_correct_low"], metrics["judge_correct_high"]) == wilson_interval(2, 5)


def test_without_a_judge_its_columns_are_empty() -> None:
    metrics = mode_metrics([Outcome(symbolic=True, no_answer=False), Outcome(symbolic=False, no_answer=True)])
    assert [metrics[name] for name in ("judge_correct", "both_correct", "any_correct", "judge_correct_low")] == [
        None
    ] * 4
    assert headline(metrics) == "symbolic_correct"


@pytest.mark.parametrize(
    "outcomes",
    [
        pytest.param([], id="nothing to measure"),
        pytest.param([Outcome(True, False), Outcome(True, False, judge=True)], id="half of the problems judged"),
    ],
)
def test_refused(outcomes: list[Outcome]) -> None:
    with pytest.raises(ValueError, match="must be none or all"):
        mode_metrics(outcomes)


OUTCOMES = st.lists(st.builds(Outcome, st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40)


@given(OUTCOMES)
def test_figures_are_shares_and_a_joint_one_lies_between(outcomes: list[Outcome]) -> None:
    metrics = {name: float(value) for name, value in mode_metrics(outcomes).items() if value is not None}
    assert all(0 <= metrics[name] <= 100 for name in metrics if name != "num_entries")
    graders = (metrics["symbolic_correct"], metrics["judge_correct"])
    assert metrics["both_correct"] <= min(graders)
    assert max(graders) <= metrics["any_correct"]
    assert metrics["both_correct"] + metrics["any_correct"] == pytest.approx(sum(graders)), "each problem counts once"
    for grader in ("symbolic_correct", "judge_correct"):
        assert metrics[f"{grader}_low"] <= metrics[grader] <= metrics[f"{grader}_high"]


RIGHT = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
UNANSWERED = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]], dtype=bool)


def test_a_mean_over_samples_has_their_spread() -> None:
    metrics = mean_metrics(RIGHT, UNANSWERED, seed=0)
    accuracies = [100 * sum(column) / 3 for column in RIGHT.T.tolist()]
    assert metrics["num_entries"] == 3
    assert metrics["symbolic_correct"] == pytest.approx(mean(accuracies)) == pytest.approx(100 / 3)
    assert metrics["no_answer"] == pytest.approx(500 / 12)
    assert metrics["symbolic_correct_std_dev"] == pytest.approx(stdev(accuracies))
    assert metrics["symbolic_correct_std_err"] == pytest.approx(stdev(accuracies) / 2)
    assert headline(metrics) == "symbolic_correct"


def test_a_mean_over_samples_is_not_joined_with_another_grader() -> None:
    metrics = mean_metrics(RIGHT, UNANSWERED, seed=0)
    joint = ("judge_correct", "both_correct", "any_correct", "judge_correct_low", "judge_correct_high")
    assert [metrics[name] for name in joint] == [None] * 5
    assert set(mode_metrics([Outcome(True, False)])) < set(metrics)
    assert set(COLUMNS) < set(metrics)


def test_the_interval_of_a_mean_over_samples_knows_that_samples_of_a_problem_are_alike() -> None:
    """Ten problems of which each sample says the same: 100 samples are worth ten of them, not a hundred."""
    right = np.repeat(np.array([[True]] * 5 + [[False]] * 5), 10, axis=1)
    metrics = mean_metrics(right, ~right, seed=0)
    width = float(metrics["symbolic_correct_high"] or 0) - float(metrics["symbolic_correct_low"] or 0)
    assert width == pytest.approx(2 * 1.96 * 100 * (0.25 / 10) ** 0.5, rel=0.1)
    assert metrics["symbolic_correct_std_dev"] == 0


def test_one_sample_has_no_spread() -> None:
    metrics = mean_metrics(RIGHT[:, :1], UNANSWERED[:, :1], seed=0)
    assert metrics["symbolic_correct_std_dev"] is metrics["symbolic_correct_std_err"] is None


@pytest.mark.parametrize("verdict", ["incorrect", "no_answer", "truncated", "unparsed", "timeout"])
def test_only_correct_is_right(verdict: str) -> None:
    assert is_right({"id": "a", "verdict": "correct"}, Path("answers.jsonl"))
    assert not is_right({"id": "a", "verdict": verdict}, Path("answers.jsonl"))


def test_an_answer_that_was_held_against_nothing_is_refused() -> None:
    with pytest.raises(RecordError, match=r"answers\.jsonl: 'a' has no expected answer"):
        is_right({"id": "a", "verdict": "ungraded"}, Path("answers.jsonl"))


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        pytest.param(0, 30, 0.0, 11.35, id="none of 30"),
        pytest.param(3, 30, 3.46, 25.62, id="3 of 30"),
        pytest.param(30, 30, 88.65, 100.0, id="all of 30"),
        pytest.param(3405, 5000, 66.79, 69.38, id="3405 of 5000"),
    ],
)
def test_wilson_interval(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=0.005)


@given(st.integers(1, 400).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilson_interval_is_that_of_scipy(case: tuple[int, int]) -> None:
    expected = binomtest(*case).proportion_ci(method="wilson")
    assert wilson_interval(*case) == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-9)


def test_the_table_is_laid_out_as_the_source_prints_it() -> None:
    names = ("num_entries", "symbolic_correct", "judge_correct", "both_correct", "any_correct", "no_answer")
    printed = {
        "aime24": (30, 10.0, 10.0, 10.0, 10.0, 200 / 30),
        "gsm8k": (1319, 90.75, 91.7, 90.75, 91.7, 0.0),
        "omni-math": (4428, 18.97, 22.22, 18.11, 23.08, 2.55),
    }
    tables = [format_table(name, {"greedy": dict(zip(names, values, strict=True))}) for name, values in printed.items()]
    assert (
        "\n\n\n".join(tables)
        == """\
------------------------------------------------- aime24 ------------------------------------------------
evaluation_mode | num_entries | symbolic_correct | judge_correct | both_correct | any_correct | no_answer
greedy          | 30          | 10.00            | 10.00         | 10.00        | 10.00       | 6.67


------------------------------------------------- gsm8k -------------------------------------------------
evaluation_mode | num_entries | symbolic_correct | judge_correct | both_correct | any_correct | no_answer
greedy          | 1319        | 90.75            | 91.70         | 90.75        | 91.70       | 0.00


----------------------------------------------- omni-math -----------------------------------------------
evaluation_mode | num_entries | symbolic_correct | judge_correct | both_correct | any_correct | no_answer
greedy          | 4428        | 18.97            | 22.22         | 18.11        | 23.08       | 2.55"""
    )


def test_the_table_shows_a_dash_where_nothing_was_judged() -> None:
    modes = {
        "majority@256": mode_metrics([Outcome(symbolic=True, no_answer=False)]),
        "pass@1[4]": mean_metrics(RIGHT, UNANSWERED, seed=0),
    }
    assert format_table("math", modes).splitlines()[2:] == [
        "majority@256    | 1           | 100.00           | -             | -            | -           | 0.00",
        "pass@1[4]       | 3           | 33.33            | -             | -            | -           | 41.67",
    ]
