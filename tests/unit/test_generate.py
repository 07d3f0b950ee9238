"""The command line of the generation step on the embedded server."""

import json
import logging
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import generate
from openmath.records import RecordError, read_jsonl, write_jsonl

pytest.importorskip("torch")
pytest.importorskip("uvicorn")

PROBLEMS = [
    {"id": f"p{row}", "problem": f"What is {row} + {row}?", "expected_answer": str(2 * row)} for row in range(20)
]


@pytest.fixture(scope="module")
def leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One allocation for the tests of this module, which share a server; it ends soon after them."""
    folder = tmp_path_factory.mktemp("leases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENMATH_LEASES", str(folder))
        yield folder


@pytest.fixture
def arguments(root: Path, tiny_model: Path, tmp_path: Path, leases: Path) -> list[str]:
    write_jsonl(tmp_path / "in.jsonl", PROBLEMS)
    options = {
        "input": tmp_path / "in.jsonl",
        "output": tmp_path / "out.jsonl",
        "manifest": tmp_path / "out.manifest.json",
        "work": tmp_path / "work",
        "prompt": root / "resources/prompts/brief/solve.yaml",
        "template": root / "resources/templates/brief.yaml",
        "model": "tiny",
        "engine": "transformers",
        "model-folder": tiny_model,
        "engine-options": json.dumps({"idle_timeout": 5}),
        "top-p": "0.95",
        "max-tokens": "12",
    }
    return [word for key, value in options.items() for word in (f"--{key}", str(value))]


def sampled(arguments: list[str], *more: str) -> list[str]:
    return [*arguments, "--temperature", "1", "--seed", "3", *more]


def requests_so_far(leases: Path) -> int:
    states = [json.loads(path.read_bytes()) for path in leases.glob("*/server.json")]
    with urllib.request.urlopen(states[0]["base_url"].replace("/v1", "/health")) as answer:
        return int(json.loads(answer.read())["requests"])


def test_a_generation_is_written_for_every_record_in_order(arguments, tmp_path):
    generate.main(sampled(arguments))
    rows = list(read_jsonl(tmp_path / "out.jsonl"))
    assert [{key: row[key] for key in PROBLEMS[0]} for row in rows] == PROBLEMS
    assert list(rows[0]) == [*PROBLEMS[0], "generation", "finish_reason", "num_generated_tokens", "seed"]
    assert {row["seed"] for row in rows} == {3}
    assert all(row["finish_reason"] in ("stop", "length") for row in rows)
    assert all(row["num_generated_tokens"] == 12 for row in rows if row["finish_reason"] == "length")
    manifest = json.loads((tmp_path / "out.manifest.json").read_text())
    assert manifest["sampling"] == {"temperature": 1.0, "top_p": 0.95, "max_tokens": 12}
    assert manifest["seed"] == 3
    assert (manifest["rows"], manifest["model"], manifest["engine"]) == (20, "tiny", "transformers")
    assert len(manifest["model_manifest_sha256"]) == len(manifest["input_sha256"]) == 64


def test_the_same_sample_comes_again_in_another_order_and_company(arguments, tmp_path):
    generate.main(sampled(arguments))
    first = (tmp_path / "out.jsonl").read_bytes()
    some = [PROBLEMS[row] for row in (9, 4, 17)]
    write_jsonl(tmp_path / "in.jsonl", some)
    generate.main(sampled(arguments, "--work", str(tmp_path / "other"), "--concurrency", "1"))
    by_id = {row["id"]: row for row in map(json.loads, first.splitlines())}
    assert list(read_jsonl(tmp_path / "out.jsonl")) == [by_id[row["id"]] for row in some]


def test_a_killed_attempt_is_resumed_by_row_with_the_same_bytes(arguments, tmp_path, leases):
    generate.main(sampled(arguments))
    whole = (tmp_path / "out.jsonl").read_bytes()
    (segment,) = (tmp_path / "work").glob("*/rows.0.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:12]) + lines[12][:20])
    (tmp_path / "out.jsonl").unlink()
    before = requests_so_far(leases)
    generate.main(sampled(arguments))
    assert requests_so_far(leases) - before == 8
    assert (tmp_path / "out.jsonl").read_bytes() == whole


def test_a_lost_output_is_restored_without_a_request(arguments, tmp_path, leases):
    generate.main(sampled(arguments))
    whole, before = (tmp_path / "out.jsonl").read_bytes(), requests_so_far(leases)
    (tmp_path / "out.jsonl").unlink()
    generate.main(sampled(arguments))
    assert (tmp_path / "out.jsonl").read_bytes() == whole
    assert requests_so_far(leases) == before


def test_the_proxy_of_a_site_is_not_asked_for_a_server_of_this_machine(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    generate.main(sampled(arguments))
    assert len(list(read_jsonl(tmp_path / "out.jsonl"))) == 20


def test_greedy_rows_have_no_seed(arguments, tmp_path):
    generate.main([*arguments, "--temperature", "0"])
    assert {row["seed"] for row in read_jsonl(tmp_path / "out.jsonl")} == {None}


def test_another_sample_seed_gives_other_samples(arguments, tmp_path):
    generations = []
    for seed in ("1", "2"):
        generate.main([*arguments, "--temperature", "1", "--seed", seed, "--work", str(tmp_path / seed)])
        generations.append([row["generation"] for row in read_jsonl(tmp_path / "out.jsonl")])
    assert generations[0] != generations[1]


def test_an_id_that_occurs_twice_has_a_row_for_each(arguments, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", [PROBLEMS[0], PROBLEMS[0]])
    generate.main(sampled(arguments))
    assert [row["id"] for row in read_jsonl(tmp_path / "out.jsonl")] == ["p0", "p0"]


def test_an_empty_file_gives_an_empty_file(arguments, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", [])
    generate.main(sampled(arguments))
    assert (tmp_path / "out.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"id": "a", "problem": "b", "generation": "c"}, "line 2: the record holds 'generation' already"),
        ({"id": "a"}, "line 2: no key 'problem', which the prompt asks for"),
        ({"problem": "a"}, "line 2: no key 'id'"),
    ],
)
def test_a_record_that_cannot_be_asked_is_named(arguments, tmp_path, record, message):
    write_jsonl(tmp_path / "in.jsonl", [PROBLEMS[0], record])
    with pytest.raises(RecordError, match=message):
        generate.main(sampled(arguments))


@pytest.mark.parametrize("words", [["--temperature", "1"], ["--temperature", "0", "--seed", "1"]])
def test_greedy_and_sampled_are_not_mixed_up(arguments, words, capsys):
    with pytest.raises(SystemExit):
        generate.main([*arguments, *words])
    assert "--temperature" in capsys.readouterr().err


def test_show_prompt_shows_it_and_writes_nothing(arguments, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        generate.main(sampled(arguments, "--show-prompt"))
    assert "<|bos|><|user|>What is 0 + 0?<|end|><|assistant|>" in caplog.text
    assert not (tmp_path / "out.jsonl").exists()
