"""The step that compares two models on one benchmark."""

import json
from pathlib import Path
from typing import Any

import pytest

import compare_models
from openmath.records import Record, RecordError, write_jsonl

Verdicts = dict[int | None, str]


def rows(verdicts: Verdicts, ids: str) -> list[Record]:
    words = {"c": "correct", "i": "incorrect", "n": "no_answer", "u": "ungraded", "t": "timeout"}
    return [
        {"id": identifier, "seed": seed, "predicted_answer": None if letter == "n" else "1", "verdict": words[letter]}
        for seed, letters in verdicts.items()
        for identifier, letter in zip(ids, letters, strict=True)
    ]


def run(folder: Path, one: Verdicts, other: Verdicts, ids: str = "abcde", other_ids: str = "abcde") -> dict[str, Any]:
    write_jsonl(folder / "one.jsonl", rows(one, ids))
    write_jsonl(folder / "other.jsonl", rows(other, other_ids))
    compare_models.main([
        *("--benchmark", "math", "--model", "student", "--other", "teacher"),
        *("--answers", str(folder / "one.jsonl"), "--other-answers", str(folder / "other.jsonl")),
        *("--comparison", str(folder / "out/math.json"), "--table", str(folder / "out/math.txt")),
    ])  # fmt: skip
    return dict(json.loads((folder / "out/math.json").read_text()))


def test_greedy_rows_and_samples_are_compared(tmp_path: Path) -> None:
    document = run(
        tmp_path,
        {None: "ccnit", 0: "ccccc", 1: "ciiii"},
        {None: "iciii", 0: "ciiii", 1: "ciiii", 2: "ciini", 3: "iiiii"},
    )
    assert [document[name] for name in ("model", "other", "benchmark")] == ["student", "teacher", "math"]
    greedy = document["greedy"]
    assert [greedy[name] for name in ("num_entries", "both", "only_model", "only_other", "neither")] == [5, 1, 1, 0, 3]
    assert (greedy["model"], greedy["other"], greedy["p_value"]) == pytest.approx((40, 20, 1))
    sampled = document["pass@1"]
    assert (sampled["num_entries"], sampled["model_samples"], sampled["other_samples"]) == (5, 2, 4)
    assert (sampled["model"], sampled["other"], sampled["difference"]) == pytest.approx((60, 15, 45))
    assert sampled["difference_low"] <= 45 <= sampled["difference_high"]
    table = (tmp_path / "out/math.txt").read_text().splitlines()
    assert table[0] == "student less teacher on math"
    assert [line.split(" ")[0] for line in table[1:]] == ["evaluation_mode", "greedy", "pass@1"]


def test_what_one_of_them_lacks_is_left_out(tmp_path: Path) -> None:
    document = run(tmp_path, {None: "ccccc", 0: "ccccc"}, {None: "iiiii"})
    assert document["greedy"]["difference"] == 100
    assert document["greedy"]["p_value"] == pytest.approx(2 / 32)
    assert "pass@1" not in document
    assert "greedy" not in run(tmp_path, {0: "ccccc"}, {None: "iiiii", 0: "ccccc"})


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    both: tuple[Verdicts, Verdicts] = ({None: "ccnii", 0: "cicic"}, {None: "iciii", 0: "iicci"})
    run(tmp_path, *both)
    first = (tmp_path / "out/math.json").read_bytes()
    run(tmp_path, *both)
    assert (tmp_path / "out/math.json").read_bytes() == first


REFUSED = {
    "other problems": ({"other_ids": "abxde"}, "ccccc", r"problem 3: .*one\.jsonl has 'c', .*other\.jsonl has 'x'"),
    "fewer problems": ({"other_ids": "abcd"}, "cccc", r"problem 5: .*one\.jsonl has 'e', .*other\.jsonl has nothing"),
    "answers that were not graded": ({}, "ccucc", r"other\.jsonl: 'c' has no expected answer"),
}


@pytest.mark.parametrize(("ids", "letters", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path: Path, ids: dict[str, str], letters: str, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        run(tmp_path, {None: "ccccc"}, {None: letters}, **ids)


def test_files_that_have_nothing_in_common_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="do not both have greedy rows, or both samples"):
        run(tmp_path, {None: "ccccc"}, {0: "ccccc"})
