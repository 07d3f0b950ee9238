"""The final table: measured metrics beside the published figures.

A measured mode is held against the published figure of the same model, benchmark, mode and metric, where the metric
is the mode's headline: the judge's figure where there is one, else the symbolic one. A judged figure is never held
against a symbolic one. Where several sources publish the figure, the first line of the published table counts. The mean
over N samples (``pass@1[N]``) is held against a published ``pass@1``, of however many samples.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openmath import curves
from openmath.metrics import COLUMNS, Metrics, format_table, headline

PUBLISHED_COLUMNS = ("model", "benchmark", "evaluation_mode", "metric", "value", "source")
TABLE_COLUMNS = ("model", "benchmark", "evaluation_mode", *COLUMNS, "ci_low", "ci_high", "published", "difference")
CURVE_COLUMNS = ("model", "benchmark", *curves.COLUMNS)

Figure = tuple[str, str, str, str]


def read_published(path: Path) -> dict[Figure, float]:
    """The published figures by (model, benchmark, mode, metric), in percent; of several the first.

    Raises:
        ValueError: the header is another, a figure is no percentage or its metric unknown; the line is named.
    """
    figures: dict[Figure, float] = {}
    with open(path, encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines, delimiter="\t")
        header = next(rows, [])
        if tuple(header) != PUBLISHED_COLUMNS:
            raise ValueError(f"{path}: the columns are {header}, not {list(PUBLISHED_COLUMNS)}")
        for number, row in enumerate(rows, start=2):
            if len(row) != len(PUBLISHED_COLUMNS):
                raise ValueError(f"{path}, line {number}: {len(row)} columns, not {len(PUBLISHED_COLUMNS)}")
            model, benchmark, mode, metric, value, _ = row
            if metric not in ("judge_correct", "symbolic_correct") or not 0 <= float(value) <= 100:
                raise ValueError(f"{path}, line {number}: {metric} {value} is no figure that can be compared")
            figures.setdefault((model, benchmark, mode, metric), float(value))
    return figures


def read_metrics(path: Path) -> tuple[str, str, dict[str, Metrics]]:
    """Model, benchmark and modes of a metrics.json."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    benchmark = document["facts"]["benchmark"]
    return document["facts"]["model"], benchmark, document[benchmark]


def table_row(
    model: str, benchmark: str, mode: str, metrics: Metrics, published: dict[Figure, float]
) -> dict[str, Any]:
    """One row of the final table; numbers unrounded, None where there is nothing."""
    name = headline(metrics)
    known_as = "pass@1" if mode.startswith("pass@1[") else mode
    measured, claimed = metrics[name], published.get((model, benchmark, known_as, name))
    return {
        "model": model,
        "benchmark": benchmark,
        "evaluation_mode": mode,
        **{column: metrics[column] for column in COLUMNS},
        "ci_low": metrics[f"{name}_low"],
        "ci_high": metrics[f"{name}_high"],
        "published": claimed,
        "difference": None if claimed is None or measured is None else measured - claimed,
    }


def text_tables(results: Sequence[tuple[str, str, dict[str, Metrics]]]) -> str:
    """All tables for people: under the name of each model its benchmarks, as the source documents print them."""
    parts: list[str] = []
    models = list(dict.fromkeys(model for model, _, _ in results))
    for model in models:
        tables = [format_table(benchmark, modes) for name, benchmark, modes in results if name == model]
        parts.append("\n\n\n".join([model, *tables]))
    return "\n\n\n".join(parts) + "\n"
