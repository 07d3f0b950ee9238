"""What share of problems a model solves: one greedy answer, the majority of N samples, any of k samples.

A figure is a percentage of the problems of a benchmark. An interval covers 95 % and is over problems: it says how far
the figure would move with other problems of the same kind, not with other samples. Where a problem is solved or not, it
is the Wilson score interval of a proportion, which holds for few problems and near 0 and 100 %; where a problem counts
by the share of its samples, it is a bootstrap over the problems.

``pass@k`` is the unbiased estimate of "one of k samples is right" from n >= k samples, c of them right, averaged
over the problems (Chen et al. 2021, arXiv 2107.03374):

    pass@k = 1 - C(n - c, k) / C(n, k)
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from openmath.records import Record, RecordError
from openmath.resampling import bootstrap_interval

COLUMNS = ("num_entries", "symbolic_correct", "judge_correct", "both_correct", "any_correct", "no_answer")

Metrics = dict[str, float | int | None]

_Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Outcome:
    """One problem in one mode; ``judge`` is None where nobody asked a judge."""

    symbolic: bool
    no_answer: bool
    judge: bool | None = None


def is_right(row: Record, source: Path) -> bool:
    """Whether the verdict on an answer is that it is correct.

    Raises:
        RecordError: there was nothing to hold it against.
    """
    if row["verdict"] == "ungraded":
        raise RecordError(f"{source}: {row['id']!r} has no expected answer, so there is nothing to measure")
    return bool(row["verdict"] == "correct")


def mode_metrics(outcomes: Iterable[Outcome]) -> Metrics:
    """The metrics of one mode, in percent and unrounded; judge columns are None unless every problem was judged.

    Raises:
        ValueError: there is no outcome, or only some were judged.
    """
    rows = list(outcomes)
    judged = [row for row in rows if row.judge is not None]
    if not rows or len(judged) not in (0, len(rows)):
        raise ValueError(f"{len(judged)} of {len(rows)} problems are judged; it must be none or all, and at least one")
    symbolic = sum(row.symbolic for row in rows)
    judge = sum(row.judge is True for row in rows) if judged else None
    both = sum(row.symbolic and row.judge is True for row in rows) if judged else None
    either = sum(row.symbolic or row.judge is True for row in rows) if judged else None
    metrics: Metrics = {"num_entries": len(rows)}
    for name, count in zip(COLUMNS[1:5], (symbolic, judge, both, either), strict=True):
        metrics[name] = percent(count, len(rows))
    metrics["no_answer"] = percent(sum(row.no_answer for row in rows), len(rows))
    for name, count in (("symbolic_correct", symbolic), ("judge_correct", judge)):
        low, high = (None, None) if count is None else wilson_interval(count, len(rows))
        metrics[f"{name}_low"], metrics[f"{name}_high"] = low, high
    return metrics


def mean_metrics(right: npt.NDArray[np.bool_], unanswered: npt.NDArray[np.bool_], seed: int) -> Metrics:
    """The metrics of the mean over samples, in percent; a sample is not judged, and shares cannot be both or either.

    Args:
        right: (problems, samples), whether a sample is right.
        unanswered: likewise, whether it has no answer.
        seed: of the bootstrap over problems.

    Returns:
        What ``mode_metrics`` returns, and the spread over samples: the standard deviation of the accuracies that the
        samples have on the same problems, and the standard error of their mean; None for one sample.
    """
    samples = right.shape[1]
    low, high = bootstrap_interval(right.mean(axis=1), seed)
    spread = float(np.std(100 * right.mean(axis=0), ddof=1)) if samples > 1 else None
    metrics: Metrics = {
        **dict.fromkeys(COLUMNS),
        "num_entries": len(right),
        "symbolic_correct": percent(int(right.sum()), right.size),
        "no_answer": percent(int(unanswered.sum()), right.size),
        "symbolic_correct_low": 100 * float(low),
        "symbolic_correct_high": 100 * float(high),
        "judge_correct_low": None,
        "judge_correct_high": None,
        "symbolic_correct_std_dev": spread,
        "symbolic_correct_std_err": None if spread is None else spread / math.sqrt(samples),
    }
    return metrics


def percent(count: int | None, total: int) -> float | None:
    """``count`` of ``total`` in percent; None stays None."""
    return None if count is None else 100 * count / total


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a proportion, in percent.

    >>> [round(bound, 2) for bound in wilson_interval(16, 40)]
    [26.35, 55.4]
    """
    share, z2 = successes / trials, _Z95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    # At 0 and at all the bound is exact; rounding must not push it past the figure.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return 100 * low, 100 * high


def pass_at_k(samples: int, correct: int) -> list[float]:
    """The unbiased pass@k of one problem for k = 1 ... ``samples``, as shares of 1.

    >>> pass_at_k(4, 1)
    [0.25, 0.5, 0.75, 1.0]
    """
    result, miss = [], 1.0
    for k in range(1, samples + 1):
        # C(n-c, k) / C(n, k) is the product of (n - c - i) / (n - i) over i < k.
        miss *= max(samples - correct - (k - 1), 0) / (samples - (k - 1))
        result.append(1 - miss)
    return result


def headline(metrics: Metrics) -> str:
    """The figure that a mode is known by: the judge's, which is the more accurate, or else the symbolic one."""
    return "symbolic_correct" if metrics["judge_correct"] is None else "judge_correct"


def format_table(benchmark: str, modes: dict[str, Metrics]) -> str:
    """The table of one benchmark, laid out as the source documents print it; "-" stands where nothing was judged."""
    header = ["evaluation_mode", *COLUMNS]
    lines = [[mode, *(_cell(metrics[column]) for column in COLUMNS)] for mode, metrics in modes.items()]
    rows = aligned([header, *lines])
    title = f" {benchmark} ".center(len(rows[0]), "-")
    return "\n".join([title, *(row.rstrip() for row in rows)])


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of cells as rows of equal width, with bars between the columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def _cell(value: float | int | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.2f}"
