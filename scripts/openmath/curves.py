"""The curves of a model on a benchmark: pass@k and maj@k against k, with their intervals, as a table.

    k  pass_at_k  pass_low  pass_high  majority_at_k  majority_low  majority_high  majority_error
    1  66.2000    64.9912   67.3820    66.2000        64.9912       67.3820        0.0000
    2  ...

Both start at the mean over samples. Figures are percentages of the problems with four decimals; "_low" and "_high" are
95 % bootstrap intervals over problems (openmath/resampling.py), and "majority_error" is the standard error of a maj@k
that was taken over random orders, 0 where it is exact (openmath/majority_curves.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from openmath.metrics import pass_at_k
from openmath.records import RecordError, atomic_output
from openmath.resampling import bootstrap_interval

COLUMNS = (
    "k",
    "pass_at_k",
    "pass_low",
    "pass_high",
    "majority_at_k",
    "majority_low",
    "majority_high",
    "majority_error",
)

Floats = npt.NDArray[np.float64]
Curves = dict[str, list[float]]


def curves_of(right_samples: Sequence[int], majority: Floats, errors: Floats, seed: int) -> Curves:
    """The columns but k, in percent, for k = 1 ... samples.

    Args:
        right_samples: how many samples of each problem are right.
        majority: (problems, samples), maj@k of each problem, as shares of 1.
        errors: likewise, their standard errors.
        seed: of the resampling; both curves are drawn over the same problems.
    """
    problems, samples = majority.shape
    passes = np.array([pass_at_k(samples, right) for right in range(samples + 1)])[np.asarray(right_samples)]
    both = np.hstack([passes, majority])
    low, high = bootstrap_interval(both, seed)
    columns = {
        "pass_at_k": both[:, :samples].mean(axis=0),
        "pass_low": low[:samples],
        "pass_high": high[:samples],
        "majority_at_k": both[:, samples:].mean(axis=0),
        "majority_low": low[samples:],
        "majority_high": high[samples:],
        "majority_error": np.sqrt((errors**2).sum(axis=0)) / problems,
    }
    return {name: (100 * columns[name]).tolist() for name in COLUMNS[1:]}


def write_curves(path: Path, curves: Curves | None) -> None:
    """Write the table; without samples it is a header alone."""
    rows = [] if curves is None else zip(*(curves[name] for name in COLUMNS[1:]), strict=True)
    lines = [[str(k), *(f"{value:.4f}" for value in row)] for k, row in enumerate(rows, start=1)]
    write_rows(path, COLUMNS, lines)


def read_curves(path: Path) -> Iterator[list[str]]:
    """Yield the rows of the table as they are written.

    Raises:
        RecordError: the columns are others.
    """
    with open(path, encoding="utf-8") as lines:
        header = next(lines, "").rstrip("\n").split("\t")
        if tuple(header) != COLUMNS:
            raise RecordError(f"{path}, line 1: the columns are {header}, not {list(COLUMNS)}")
        for line in lines:
            yield line.rstrip("\n").split("\t")


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table, tab separated."""
    with atomic_output(path) as stream:
        for row in (header, *rows):
            stream.write(("\t".join(row) + "\n").encode())
