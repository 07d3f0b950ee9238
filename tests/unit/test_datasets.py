"""Data sets from their real source files, and the MATH archive from a small one of the same build."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from openmath.datasets import (
    DatasetError,
    RepairTally,
    prepare_records,
    read_repairs,
    source_name,
    take_split,
    with_ids,
    word_problem_records,
)
from openmath.records import Record
from openmath.sources import FoundSource, SourceFile, find_source, read_registry


@pytest.fixture(scope="session")
def repairs(root: Path) -> dict[str, list[Record]]:
    return read_repairs(root / "resources/repairs.yaml")


@pytest.fixture(scope="session")
def prepare(root: Path, shared_data: Path, repairs: dict[str, list[Record]], tmp_path_factory: Any) -> Any:
    """Prepare a split of a real data set, once a session."""
    registry = read_registry(root / "resources/datasets.tsv")
    made: dict[tuple[str, str], tuple[list[Record], RepairTally]] = {}

    def make(recipe: str, split: str) -> tuple[list[Record], RepairTally]:
        if (recipe, split) not in made:
            entries = registry[source_name(recipe, split)]
            source = find_source(entries, tmp_path_factory.getbasetemp(), folder=shared_data / "benchmarks")
            made[recipe, split] = prepare_records(recipe, recipe, split, source, repairs)
        return made[recipe, split]

    return make


@pytest.mark.parametrize(
    ("recipe", "split", "rows"),
    [
        ("gsm8k", "test", 1319),
        ("gsm8k", "train_full", 7473),
        ("gsm8k", "train", 6473),
        ("gsm8k", "validation", 1000),
        ("math", "test", 5000),
        ("math", "train_full", 7474),
        ("math-500", "test", 500),
        ("amc23", "test", 40),
        ("aime24", "test", 30),
    ],
)
def test_every_split_has_its_rows_and_their_fields(prepare: Any, recipe: str, split: str, rows: int) -> None:
    records, _ = prepare(recipe, split)
    assert len(records) == rows
    assert len({record["id"] for record in records}) == rows
    for record in records:
        assert record["problem_source"] == recipe
        assert isinstance(record["expected_answer"], str)
        assert record["expected_answer"] == record["expected_answer"].strip() != ""
        assert not {"answer", "solution", "question"} & set(record)


@pytest.mark.parametrize("recipe", ["gsm8k", "math"])
def test_validation_and_train_are_train_full_in_its_order(prepare: Any, recipe: str) -> None:
    whole = prepare(recipe, "train_full")[0]
    assert prepare(recipe, "validation")[0] + prepare(recipe, "train")[0] == whole


def test_the_shuffle_is_that_of_seed_42(prepare: Any) -> None:
    whole = prepare("gsm8k", "train_full")[0]
    assert [record["id"] for record in whole[:3]] == ["79733747488ca917", "39b87fae08ac4f66", "f47dc0cef3591d5b"]
    assert whole[0]["problem"].startswith("Stefan goes to a restaurant")
    assert prepare("gsm8k", "test")[0][0]["problem"].startswith("Janet’s ducks"), "the test half is not shuffled"


def test_all_eleven_repairs_of_gsm8k_apply(prepare: Any) -> None:
    records, tally = prepare("gsm8k", "train_full")
    assert len(tally.applied) == 11
    assert not tally.not_needed
    assert not tally.not_found
    answers = {record["problem"][:25]: record["expected_answer"] for record in records}
    assert answers["Pete has to take a 10-min"] == "07:30"
    assert answers["James invests $2000 a wee"] == "531000"


def test_gsm8k_answers_lose_commas_and_solutions_their_calculator(prepare: Any) -> None:
    for split in ("test", "train_full"):
        for record in prepare("gsm8k", split)[0]:
            assert "," not in record["expected_answer"]
            assert "<<" not in record["reference_solution"]
            assert "####" not in record["reference_solution"]


def test_benchmark_answers_are_canonical_numbers(prepare: Any) -> None:
    amc = [record["expected_answer"] for record in prepare("amc23", "test")[0]]
    assert amc[:4] == ["27", "36", "45", "3159"]
    assert "-1" in amc
    aime = [record["expected_answer"] for record in prepare("aime24", "test")[0]]
    assert aime[7] == "25", "the leading zero of 025 goes"
    assert "\\frac{3}{56}" in [record["expected_answer"] for record in prepare("math-500", "test")[0]]


def test_math_test_repairs_are_found_by_the_text_of_the_problem(prepare: Any) -> None:
    records, tally = prepare("math", "test")
    assert not tally.not_found
    assert len(tally.applied) == 10
    # One is not needed: both of its boxes are 0.25 as soon as the thin space before the unit is gone.
    assert tally.not_needed == ["test/geometry/1125.json"]
    answers = {record["problem"]: record["expected_answer"] for record in records}
    divisors = next(problem for problem in answers if problem.startswith("Let $\\boxed{N}$ mean the number"))
    assert answers[divisors] == "12", "boxes of intermediate values are no answers"


def test_math_train_without_solutions_takes_what_repairs_it_can(prepare: Any) -> None:
    records, tally = prepare("math", "train_full")
    assert len(tally.applied) == 8
    assert len(tally.not_found) == 17
    answers = {record["problem"]: record["expected_answer"] for record in records}
    assert answers["If $(x + y)^2 = 1$ and $xy = -4$, what is the value of $x^2 + y^2$?"] == "9"
    assert not any("reference_solution" in record for record in records)


@pytest.mark.parametrize("recipe", ["gsm8k", "math", "math-500", "amc23", "aime24"])
def test_every_reference_answer_equals_itself(prepare: Any, recipe: str) -> None:
    from openmath.answers import answers_equal

    wrong = {
        record["expected_answer"]
        for record in prepare(recipe, "test")[0]
        if not answers_equal(record["expected_answer"], record["expected_answer"])
    }
    assert not wrong


def test_math_500_is_the_same_in_both_sources(prepare: Any) -> None:
    """The published answers of MATH-500 against those made from the solutions of the same 500 problems."""
    from openmath.answers import answers_equal

    made = {record["problem"]: record["expected_answer"] for record in prepare("math", "test")[0]}
    published = {record["problem"]: record["expected_answer"] for record in prepare("math-500", "test")[0]}
    assert set(published) <= set(made)
    different = {
        (answer, made[problem]) for problem, answer in published.items() if not answers_equal(answer, made[problem])
    }
    assert not different


def archive(folder: Path, members: dict[str, dict[str, str]]) -> FoundSource:
    path = folder / "MATH.tar"
    with tarfile.open(path, "w") as tar:
        for name, row in members.items():
            content = json.dumps({"level": "Level 1", "problem": "?", "type": "Algebra", **row}).encode()
            info = tarfile.TarInfo(f"MATH/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        tar.addfile(tarfile.TarInfo("MATH/train/algebra/notes.txt"))
        tar.addfile(tarfile.TarInfo("MATH/train/algebra/._1.json"))
    return FoundSource(SourceFile("math", "math-tar", "MATH.tar", (), "", None, None, "MIT", "2021"), path, "")


def test_the_archive_gives_ids_and_takes_the_repairs_by_them(tmp_path: Path, repairs: dict[str, list[Record]]) -> None:
    source = archive(
        tmp_path,
        {
            "test/algebra/1.json": {"problem": "one", "solution": r"$\boxed{1}$"},
            "train/algebra/24014.json": {"problem": "bare box", "solution": r"so $\boxed 2$"},
            "train/algebra/535.json": {"problem": "log", "solution": r"$\log_24=\boxed{2}$, so $\boxed{4}$"},
            "train/algebra/1771.json": {"problem": "points", "solution": r"$\boxed{(1, 2)}$ and $\boxed{(3, 4)}$"},
            "train/algebra/2156.json": {"problem": "ways", "solution": r"$\boxed{7/14}$, so $\boxed{0.5}$"},
            "train/prealgebra/452.json": {
                "problem": "two",
                "solution": r"$\boxed{9}$, $\boxed{10}$",
                "type": "Prealgebra",
            },
            "train/prealgebra/666.json": {"problem": "far", "solution": r"$\boxed{9\text{ h}}$", "type": "Prealgebra"},
            "train/algebra/9.json": {"problem": "parts", "solution": r"$\boxed{-2}$ and $\boxed{1}$"},
            "train/algebra/10.json": {"problem": "Solve for $x$.", "solution": r"\boxed{x = \frac12}"},
            "train/algebra/11.json": {"problem": "Find the equation of the line.", "solution": r"\boxed{y = 2x}"},
            "train/counting_and_probability/2.json": {"solution": r"\boxed{3}", "type": "Counting & Probability"},
        },
    )
    records, tally = prepare_records("math", "math", "train_full", source, repairs)
    answers = {record["source_id"]: record["expected_answer"] for record in records}
    assert answers == {
        "train/algebra/24014.json": "2",
        "train/algebra/535.json": "4",
        "train/algebra/1771.json": "(1,2);(3,4)",
        "train/algebra/2156.json": "0.5",
        "train/prealgebra/452.json": "9",
        "train/prealgebra/666.json": "125",
        "train/algebra/9.json": "-2,1",
        "train/algebra/10.json": r"\frac{1}{2}",
        "train/algebra/11.json": "y=2x",
        "train/counting_and_probability/2.json": "3",
    }
    assert len(tally.applied) == 6
    assert "train/algebra/25040.json" in tally.not_found
    assert not any(name.startswith("test/") for name in tally.not_found), "the other half is not asked for its repairs"
    solutions = {record["source_id"]: record["reference_solution"] for record in records}
    assert solutions["train/algebra/535.json"] == r"$\log_24=2$, so $\boxed{4}$"
    assert [record["problem"] for record in prepare_records("math", "math", "test", source, repairs)[0]] == ["one"]


def test_a_problem_without_an_answer_is_named(tmp_path: Path, repairs: dict[str, list[Record]]) -> None:
    source = archive(tmp_path, {"test/algebra/1.json": {"solution": "no box"}})
    with pytest.raises(DatasetError, match=r"MATH.tar, row 1: neither a boxed answer"):
        prepare_records("math", "math", "test", source, repairs)


def test_a_problem_in_the_folder_of_another_subject_is_named(tmp_path: Path, repairs: dict[str, list[Record]]) -> None:
    source = archive(tmp_path, {"test/geometry/1.json": {"solution": r"\boxed{1}"}})
    with pytest.raises(DatasetError, match=r"MATH/test/geometry/1.json: the type 'Algebra' does not belong"):
        prepare_records("math", "math", "test", source, repairs)


def found(path: Path, rows: int | None = None) -> FoundSource:
    return FoundSource(SourceFile("amc23", "answers", path.name, (), "", None, rows, "MIT", "1"), path, "")


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"problem": "1+1?", "answer": 2}\n{"problem": \n')
    with pytest.raises(DatasetError, match=r"a.jsonl, line 2: not JSON"):
        prepare_records("amc23", "amc23", "test", found(tmp_path / "a.jsonl"), {})


def test_a_row_without_an_answer_and_a_missing_row_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"problem": "1+1?"}\n')
    with pytest.raises(DatasetError, match=r"a.jsonl, row 1: no key 'answer'"):
        prepare_records("amc23", "amc23", "test", found(tmp_path / "a.jsonl"), {})
    with pytest.raises(DatasetError, match=r"holds 1 rows of amc23, expected 40"):
        prepare_records("amc23", "amc23", "test", found(tmp_path / "a.jsonl", rows=40), {})


def test_a_last_line_without_its_newline_counts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 7, "question": "1+1?", "answer": 2.0, "domain": "sums"}')
    (record,) = prepare_records("amc23", "mine", "test", found(tmp_path / "a.jsonl", rows=1), {})[0]
    assert {key: record[key] for key in ("source_id", "problem", "expected_answer", "domain", "problem_source")} == {
        "source_id": "7",
        "problem": "1+1?",
        "expected_answer": "2",
        "domain": "sums",
        "problem_source": "mine",
    }


def test_equal_problems_have_different_ids() -> None:
    first, second = with_ids([{"problem": "1+1?"}, {"problem": "1+1?"}], "twins")
    assert first["id"] != second["id"]
    assert with_ids([{"problem": "1+1?"}], "twins") == [first]


def test_a_small_half_is_all_validation() -> None:
    records = [{"id": number} for number in range(5)]
    assert sorted(record["id"] for record in take_split(records, "validation")) == [0, 1, 2, 3, 4]
    assert take_split(records, "train") == []


def test_a_split_that_a_recipe_does_not_have_is_refused() -> None:
    with pytest.raises(DatasetError, match="amc23 has no split 'train' \\(it has test\\)"):
        source_name("amc23", "train")


def test_word_problems_are_made_to_order() -> None:
    options = {"family": "shop", "rows": "4", "seed": "1"}
    records = word_problem_records("shop", "train", options)
    assert len(records) == 4
    assert records == word_problem_records("shop", "train", options)
    assert {record["problem_source"] for record in records} == {"shop"}
    with pytest.raises(DatasetError, match="needs the options family, rows and seed; given: rows"):
        word_problem_records("shop", "train", {"rows": "4"})
    with pytest.raises(DatasetError, match="cannot follow its options"):
        word_problem_records("shop", "train", {**options, "rows": "many"})
