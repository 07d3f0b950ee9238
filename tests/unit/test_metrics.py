"""Metrics: proportions, intervals, pass@k and the printed table."""

import itertools
from statistics import mean

import pytest

from openmath.metrics import Outcome, format_table, headline, mean_pass_at_k, mode_metrics, pass_at_k, wilson_interval


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


def test_mean_pass_at_k_is_over_problems() -> None:
    assert mean_pass_at_k(2, [0, 1, 2, 2]) == pytest.approx([62.5, 75])


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
    table = format_table("math", {"majority@256": mode_metrics([Outcome(symbolic=True, no_answer=False)])})
    assert table.splitlines()[2] == (
        "majority@256    | 1           | 100.00           | -             | -            | -           | 0.00"
    )
