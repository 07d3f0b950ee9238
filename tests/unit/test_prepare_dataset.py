"""The step that makes one split of a data set."""

import hashlib
import json
from pathlib import Path

import pytest

import prepare_dataset
from openmath.records import read_jsonl
from openmath.sources import COLUMNS

QUESTION = '{"question": "1+1?", "answer": "One and one is <<1+1=2>>2.\\n#### 1,002"}\n'


@pytest.fixture
def arguments(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments with a registry of one own source, which lies in OPENMATH_SOURCES."""
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "tiny.jsonl").write_text(QUESTION)
    row = ("gsm8k-test", "gsm8k", "tiny.jsonl", "https://example.invalid/tiny.jsonl", "")
    checksum = hashlib.sha256(QUESTION.encode()).hexdigest()
    registry = tmp_path / "datasets.tsv"
    registry.write_text("\t".join(COLUMNS) + "\n" + "\t".join((*row, checksum, "", "1", "MIT", "r1")) + "\n")
    monkeypatch.setenv("OPENMATH_SOURCES", str(sources))
    return [
        *("--dataset", "gsm8k", "--recipe", "gsm8k", "--registry", str(registry)),
        *("--repairs", str(root / "resources/repairs.yaml"), "--cache", str(tmp_path / "cache")),
        *("--output", str(tmp_path / "out/test.jsonl"), "--manifest", str(tmp_path / "out/test.manifest.json")),
    ]


def test_records_and_manifest_are_written(tmp_path: Path, arguments: list[str]) -> None:
    prepare_dataset.main([*arguments, "--split", "test"])
    (record,) = read_jsonl(tmp_path / "out/test.jsonl")
    assert list(record) == ["id", "problem", "expected_answer", "problem_source", "reference_solution"]
    assert record["expected_answer"] == "1002"
    assert record["reference_solution"] == "One and one is 2.\n"
    manifest = json.loads((tmp_path / "out/test.manifest.json").read_text())
    assert manifest["rows"] == 1
    assert manifest["source"]["sum"] == hashlib.sha256(QUESTION.encode()).hexdigest()
    assert manifest["source"]["url"] == "https://example.invalid/tiny.jsonl"
    assert manifest["source"]["licence"] == "MIT"
    assert manifest["repairs"]["counts"] == {"applied": 0, "not_needed": 0, "not_found": 0}
    assert str(tmp_path) not in json.dumps(manifest), "a manifest does not say where the user keeps the files"


def test_the_same_source_gives_the_same_bytes(tmp_path: Path, arguments: list[str]) -> None:
    outputs = []
    for _ in range(2):
        prepare_dataset.main([*arguments, "--split", "test"])
        outputs.append([path.read_bytes() for path in sorted((tmp_path / "out").iterdir())])
    assert outputs[0] == outputs[1]


def test_a_wrong_source_leaves_no_output_and_one_sentence(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "sources/tiny.jsonl").write_text("spoilt\n")
    with pytest.raises(SystemExit, match=r"prepare_dataset: .*tiny\.jsonl has the sum"):
        prepare_dataset.main([*arguments, "--split", "test"])
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_name_is_no_folder(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMATH_SOURCES", "")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/tiny.jsonl").write_text(QUESTION)
    prepare_dataset.main([*arguments, "--split", "test"])
    assert len(list(read_jsonl(tmp_path / "out/test.jsonl"))) == 1


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        pytest.param(["--split", "dev"], "has no split 'dev'", id="unknown split"),
        pytest.param(["--split", "train"], "no line named gsm8k-train", id="a source that the registry lacks"),
        pytest.param(["--split", "test", "--option", "rows=3"], "takes no options; given: rows", id="useless option"),
    ],
)
def test_what_cannot_be_made_is_told(arguments: list[str], extra: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence):
        prepare_dataset.main([*arguments, *extra])


def test_word_problems_need_no_source(tmp_path: Path, arguments: list[str]) -> None:
    made_to_order = ["--option", "family=trips", "--option", "rows=5", "--option", "seed=1"]
    own = ["--dataset", "trips", "--recipe", "word_problems", "--split", "test"]
    prepare_dataset.main([*arguments, *own, *made_to_order])
    assert len(list(read_jsonl(tmp_path / "out/test.jsonl", require=("id", "expected_answer")))) == 5
    manifest = json.loads((tmp_path / "out/test.manifest.json").read_text())
    assert manifest["options"] == {"family": "trips", "rows": "5", "seed": "1"}
