"""The curves over the number of samples, and their table."""

import itertools
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from openmath.curves import COLUMNS, curves_of, read_curves, write_curves
from openmath.records import RecordError

RIGHT_SAMPLES = [0, 1, 4, 4, 2]
MAJORITY = np.array([[0.0] * 4, [0.25, 0.25, 0.1, 0], [1.0] * 4, [1.0] * 4, [0.5, 0.5, 0.6, 0.7]])


def test_pass_at_k_is_the_mean_over_problems_and_subsets() -> None:
    curves = curves_of(RIGHT_SAMPLES, MAJORITY, np.zeros_like(MAJORITY), seed=0)
    samples = [[True] * right + [False] * (4 - right) for right in RIGHT_SAMPLES]
    for k in range(1, 5):
        shares = [mean(any(subset) for subset in itertools.combinations(problem, k)) for problem in samples]
        assert curves["pass_at_k"][k - 1] == pytest.approx(100 * mean(shares))
    assert curves["majority_at_k"] == pytest.approx((100 * MAJORITY.mean(axis=0)).tolist())


def test_intervals_enclose_the_curves_and_errors_add_up_over_problems() -> None:
    errors = np.repeat([[0.0], [0.3], [0.4], [0.0], [0.0]], 4, axis=1)
    curves = curves_of(RIGHT_SAMPLES, MAJORITY, errors, seed=0)
    for name in ("pass", "majority"):
        for low, value, high in zip(curves[f"{name}_low"], curves[f"{name}_at_k"], curves[f"{name}_high"], strict=True):
            assert 0 <= low < value < high <= 100
    assert curves["majority_error"] == pytest.approx([100 * 0.5 / 5] * 4)


def test_both_curves_begin_with_the_same_mean_and_interval() -> None:
    means = np.array([[right / 4] * 4 for right in RIGHT_SAMPLES])
    curves = curves_of(RIGHT_SAMPLES, means, np.zeros_like(means), seed=0)
    first = [curves[name][0] for name in COLUMNS[1:7]]
    assert first[:3] == pytest.approx(first[3:])


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    curves = {name: [100 / 3, 100.0] for name in COLUMNS[1:]}
    write_curves(tmp_path / "curves.tsv", curves)
    assert (tmp_path / "curves.tsv").read_text().splitlines()[0].split("\t") == list(COLUMNS)
    assert list(read_curves(tmp_path / "curves.tsv")) == [["1", *["33.3333"] * 7], ["2", *["100.0000"] * 7]]
    write_curves(tmp_path / "none.tsv", None)
    assert (tmp_path / "none.tsv").read_text() == "\t".join(COLUMNS) + "\n"


def test_another_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "curves.tsv").write_text("k\tpass\n1\t2\n")
    with pytest.raises(RecordError, match=r"curves\.tsv, line 1: the columns are \['k', 'pass'\]"):
        list(read_curves(tmp_path / "curves.tsv"))
