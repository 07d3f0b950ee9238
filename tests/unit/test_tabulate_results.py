"""The step that makes the final table."""

import json
from pathlib import Path

import pytest

import tabulate_results
from openmath.metrics import Outcome, mode_metrics
from openmath.results_table import read_published

HEADER = "model\tbenchmark\tevaluation_mode\tmetric\tvalue\tsource\n"


def write_metrics(path: Path, model: str, benchmark: str, judged: bool) -> Path:
    outcomes = [Outcome(right, not right, right if judged else None) for right in (True, True, False)]
    modes = {"greedy": mode_metrics(outcomes)}
    path.write_text(json.dumps({benchmark: modes, "facts": {"model": model, "benchmark": benchmark}}))
    return path


def test_rows_stand_as_given_beside_the_published_figures(tmp_path: Path) -> None:
    (tmp_path / "published.tsv").write_text(
        HEADER
        + "big\tmath\tgreedy\tjudge_correct\t60.0\tpaper\nbig\tmath\tgreedy\tjudge_correct\t61.0\tdocument\n"
        + "small\tmath\tgreedy\tjudge_correct\t50.0\tpaper\n"
    )
    files = [
        write_metrics(tmp_path / "1.json", "small", "math", judged=False),
        write_metrics(tmp_path / "2.json", "big", "math", judged=True),
        write_metrics(tmp_path / "3.json", "big", "amc23", judged=True),
    ]
    tabulate_results.main([
        *("--metrics", *map(str, files), "--published", str(tmp_path / "published.tsv")),
        *("--table", str(tmp_path / "table.tsv"), "--text", str(tmp_path / "table.txt")),
    ])  # fmt: skip
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
