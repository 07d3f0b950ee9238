"""The step that computes the metrics of one model on one benchmark."""

import json
from pathlib import Path
from typing import Any

import pytest

import compute_metrics
from openmath.records import Record, RecordError, write_jsonl

VERDICTS = {
    None: ["correct", "incorrect", "truncated"],
    0: ["correct", "no_answer", "no_answer"],
    1: ["incorrect", "incorrect", "truncated"],
}
WINNERS = ["correct", "incorrect", "no_answer"]


def answer(verdict: str) -> str | None:
    return {"correct": "1", "incorrect": "2"}.get(verdict)


def rows(verdicts: dict[int | None, list[str]]) -> list[Record]:
    return [
        {"id": identifier, "seed": seed, "predicted_answer": answer(verdict), "verdict": verdict}
        for seed, block in verdicts.items()
        for identifier, verdict in zip("abc", block, strict=True)
    ]


def judged(verdicts: list[str], judge: str) -> list[Record]:
    return [
        {"id": identifier, "seed": None, "predicted_answer": answer(verdict), "judgement": "", "judge_verdict": word}
        for identifier, verdict, word in zip("abc", verdicts, judge.split(), strict=True)
    ]


def run(folder: Path, *options: str, verdicts: dict[int | None, list[str]] | None = None) -> dict[str, Any]:
    write_jsonl(folder / "answers.jsonl", rows(VERDICTS if verdicts is None else verdicts))
    write_jsonl(folder / "majority.jsonl", rows({0: WINNERS}))
    write_jsonl(folder / "judged.jsonl", judged(VERDICTS[None], "yes yes no"))
    write_jsonl(folder / "judged-majority.jsonl", judged(WINNERS, "invalid yes no"))
    compute_metrics.main([
        *("--benchmark", "math", "--model", "student", "--answers", str(folder / "answers.jsonl")),
        *("--metrics", str(folder / "metrics.json"), "--table", str(folder / "metrics.txt")),
        *(option.format(folder=folder) for option in options),
    ])  # fmt: skip
    return dict(json.loads((folder / "metrics.json").read_text()))


SAMPLES = ("--num-samples", "2", "--majority", "{folder}/majority.jsonl")
JUDGED = ("--judged", "{folder}/judged.jsonl", "--judged-majority", "{folder}/judged-majority.jsonl")


def test_all_modes(tmp_path: Path) -> None:
    document = run(tmp_path, *SAMPLES, *JUDGED)
    modes = document["math"]
    assert list(modes) == ["greedy", "majority@2", "pass@2"]
    columns = ("num_entries", "symbolic_correct", "judge_correct", "both_correct", "any_correct", "no_answer")
    third = 100 / 3
    assert [modes["greedy"][name] for name in columns] == pytest.approx([3, third, 2 * third, third, 2 * third, third])
    assert [modes["majority@2"][name] for name in columns] == pytest.approx([3, third, third, 0, 2 * third, third])
    assert modes["pass@2"]["symbolic_correct"] == pytest.approx(third)
    assert modes["pass@2"]["judge_correct"] is None
    assert modes["pass@2"]["no_answer"] == pytest.approx(third)
    facts = document["facts"]
    assert (facts["model"], facts["benchmark"], facts["num_samples"]) == ("student", "math", 2)
    assert facts["pass_at_k"] == pytest.approx([100 / 6, third])
    assert (facts["samples_no_answer"], facts["samples_truncated"]) == pytest.approx((third, 100 / 6))
    table = (tmp_path / "metrics.txt").read_text().splitlines()
    assert (
        table[2]
        == "greedy          | 3           | 33.33            | 66.67         | 33.33        | 66.67       | 33.33"
    )
    assert len(table) == 5


def test_greedy_alone(tmp_path: Path) -> None:
    document = run(tmp_path, "--num-samples", "0", verdicts={None: VERDICTS[None]})
    assert list(document["math"]) == ["greedy"]
    assert document["math"]["greedy"]["judge_correct"] is None


def test_samples_alone(tmp_path: Path) -> None:
    document = run(tmp_path, *SAMPLES, verdicts={0: VERDICTS[0], 1: VERDICTS[1]})
    assert list(document["math"]) == ["majority@2", "pass@2"]


def test_a_judged_file_about_other_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"judged-majority\.jsonl, line 3: not about 'c'"):
        run(tmp_path, "--num-samples", "0", "--judged", "{folder}/judged-majority.jsonl",
            verdicts={None: ["correct", "incorrect", "incorrect"]})  # fmt: skip


def test_ungraded_answers_cannot_be_measured(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="'a' has no expected answer"):
        run(tmp_path, "--num-samples", "0", verdicts={None: ["ungraded", "correct", "correct"]})


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--num-samples", "2"), id="samples without their majority"),
        pytest.param(("--num-samples", "0", *SAMPLES[2:]), id="a majority without samples"),
        pytest.param(("--num-samples", "0", "--judged-majority", "x"), id="a judged majority without a majority"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path, *options)
