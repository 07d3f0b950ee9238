"""The step that makes the final table."""

import json
from pathlib import Path

import pytest

import tabulate_results
from openmath.curves import COLUMNS, write_curves
from openmath.metrics import Outcome, mode_metrics
from openmath.records import RecordError
from openmath.results_table import read_published, table_row

HEADER = "model\tbenchmark\tevaluation_mode\tmetric\tvalue\tsource\n"


def write_metrics(path: Path, model: str, benchmark: str, judged: bool) -> Path:
    outcomes = [Outcome(right, not right, right if judged else None) for right in (True, True, False)]
    modes = {"greedy": mode_metrics(outcomes)}
    path.parent.mkdir()
    path.write_text(json.dumps({benchmark: modes, "facts": {"model": model, "benchmark": benchmark}}))
    sampled = {name: [float(len(name)), 50.0] for name in COLUMNS[1:]}
    write_curves(path.with_name("curves.tsv"), sampled if model == "big" else None)
    return path


def tabulate(folder: Path, files: list[Path], curves: list[Path]) -> None:
    tabulate_results.main([
        *("--metrics", *map(str, files), "--published", str(folder / "published.tsv")),
        *("--curves", *map(str, curves), "--curve-table", str(folder / "curves.tsv")),
        *("--table", str(folder / "table.tsv"), "--text", str(folder / "table.txt")),
    ])  # fmt: skip


def test_rows_stand_as_given_beside_the_published_figures(tmp_path: Path) -> None:
    (tmp_path / "published.tsv").write_text(
        HEADER
        + "big\tmath\tgreedy\tjudge_correct\t60.0\tpaper\nbig\tmath\tgreedy\tjudge_correct\t61.0\tdocument\n"
        + "small\tmath\tgreedy\tjudge_correct\t50.0\tpaper\n"
    )
    files = [
        write_metrics(tmp_path / "1/metrics.json", "small", "math", judged=False),
        write_metrics(tmp_path / "2/metrics.json", "big", "math", judged=True),
        write_metrics(tmp_path / "3/metrics.json", "big", "amc23", judged=True),
    ]
    tabulate(tmp_path, files, [path.with_name("curves.tsv") for path in files])
    lines = [line.split("\t") for line in (tmp_path / "table.tsv").read_text().splitlines()]
    assert lines == [
        ["model", "benchmark", "evaluation_mode", "num_entries", "symbolic_correct", "judge_correct", "both_correct",
         "any_correct", "no_answer", "ci_low", "ci_high", "published", "difference"],
        # A symbolic figure is not held against a judged one.
        ["small", "math", "greedy", "3", "66.67", "", "", "", "33.33", "20.77", "93.85", "", ""],
        ["big", "math", "greedy", "3", "66.67", "66.67", "66.67", "66.67", "33.33", "20.77", "93.85", "60.00", "6.67"],
        ["big", "amc23", "greedy", "3", "66.67", "66.67", "66.67", "66.67", "33.33", "20.77", "93.85", "", ""],
    ]  # fmt: skip
    text = (tmp_path / "table.txt").read_text()
    assert text.startswith("small\n\n\n----")
    assert text.count(" math ") == 2
    assert text.index("\nbig\n") < text.index(" amc23 ")
    assert [line.split("\t") for line in (tmp_path / "curves.tsv").read_text().splitlines()] == [
        ["model", "benchmark", *COLUMNS],
        ["big", "math", "1", *(f"{len(name)}.0000" for name in COLUMNS[1:])],
        ["big", "math", "2", *["50.0000"] * 7],
        ["big", "amc23", "1", *(f"{len(name)}.0000" for name in COLUMNS[1:])],
        ["big", "amc23", "2", *["50.0000"] * 7],
    ]


def test_curves_that_do_not_go_with_the_metrics_are_refused(tmp_path: Path) -> None:
    (tmp_path / "published.tsv").write_text(HEADER)
    files = [write_metrics(tmp_path / f"{name}/metrics.json", "big", name, judged=True) for name in ("math", "amc23")]
    curves = [path.with_name("curves.tsv") for path in files]
    with pytest.raises(SystemExit):
        tabulate(tmp_path, files, curves[::-1])
    curves[1].write_text("k\tpass_at_k\n")
    with pytest.raises(RecordError, match=r"amc23/curves\.tsv, line 1: the columns are"):
        tabulate(tmp_path, files, curves)


def test_the_mean_over_samples_is_held_against_a_published_pass_at_1() -> None:
    metrics = {**mode_metrics([Outcome(True, False), Outcome(False, False)])}
    published = {
        ("m", "aime24", "pass@1", "symbolic_correct"): 61.6,
        ("m", "aime24", "pass@8", "symbolic_correct"): 80.0,
    }
    assert table_row("m", "aime24", "pass@1[8]", metrics, published)["published"] == 61.6
    assert table_row("m", "aime24", "pass@8", metrics, published)["published"] == 80
    assert table_row("m", "aime24", "greedy", metrics, published)["published"] is None


def test_the_published_figures_can_be_read(root: Path) -> None:
    published = read_published(root / "resources/published_results.tsv")
    assert published["openmath2-llama3.1-8b", "math", "greedy", "judge_correct"] == 67.8
    assert published["openmath2-llama3.1-8b", "math", "greedy", "symbolic_correct"] == 67.7
    assert published["openmath2-llama3.1-8b", "amc23", "majority@256", "judge_correct"] == 57.5
    assert published["openmath2-llama3.1-70b", "aime24", "greedy", "judge_correct"] == 13.33
    assert published["llama3.1-70b-instruct", "gsm8k", "greedy", "judge_correct"] == 95.1
    for size in ("8b", "70b"):
        ours = {figure[1:]: value for figure, value in published.items() if figure[0] == f"openmath2-llama3.1-{size}"}
        theirs = {
            figure[1:]: value
            for figure, value in published.items()
            if figure[0] == f"openmath2-llama3.1-{size}-released"
        }
        assert ours == theirs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("model\tvalue\n", "the columns are", id="another header"),
        pytest.param(HEADER + "a\tb\n", "line 2: 2 columns", id="a short row"),
        pytest.param(HEADER + "a\tb\tgreedy\tno_answer\t5\ts\n", "line 2: no_answer", id="an unknown metric"),
        pytest.param(HEADER + "a\tb\tgreedy\tjudge_correct\t500\ts\n", "line 2: .* 500", id="more than all"),
    ],
)
def test_a_wrong_published_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "published.tsv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_published(tmp_path / "published.tsv")
