"""From a ready-made data set to training rows."""

import glob
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import prepare_sft_data
from openmath.orders import mix
from openmath.records import Record, derive_seed, encode_record, read_jsonl, write_jsonl
from openmath.sft import ready_made
from openmath.sft.preparing import text_key

COMMIT = "0123456789abcdef0123456789abcdef01234567"
KEYS = ("problem", "generated_solution", "expected_answer", "problem_source")
COLUMN_OPTIONS = [
    *("--problem-key", "problem", "--solution-key", "generated_solution"),
    *("--answer-key", "expected_answer", "--source-key", "problem_source"),
]


def released(number: int, **changed: object) -> Record:
    """A row as the released data have them."""
    row = {
        "problem": f"What is {number} + 1?",
        "generated_solution": f"It is $\\boxed{{{number + 1}}}$.\n",
        "expected_answer": str(number + 1),
        "problem_source": "augmented_gsm8k",
    }
    return {**row, **changed}


def write_parquet(path: Path, rows: list[Record], row_group_size: int = 3) -> Path:
    """Write rows as text columns, in row groups smaller than the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {key: pa.array([row[key] for row in rows], pa.string()) for key in rows[0]}
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


Prepare = Callable[..., tuple[list[Record], dict[str, Any]]]


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """The options of the form and of the outputs, with a short prompt and template."""
    (tmp_path / "prompt.yaml").write_text('user: "Solve: {problem}"\n')
    (tmp_path / "template.yaml").write_text('user_begin: "<|user|>"\nuser_end: "<|end|>"\nassistant_end: "<|end|>"\n')
    return [
        *("--prompt", str(tmp_path / "prompt.yaml"), "--template", str(tmp_path / "template.yaml")),
        *("--shuffle-seed", "42"),
        *("--output", str(tmp_path / "out/data.jsonl"), "--counts", str(tmp_path / "out/data.counts.json")),
    ]


@pytest.fixture
def prepare(tmp_path: Path, options: list[str]) -> Prepare:
    """Prepare the split `train` of a path; return the rows and the counts. Later options replace earlier ones."""

    def run(path: Path, *extra: str, columns: list[str] = COLUMN_OPTIONS) -> tuple[list[Record], dict[str, Any]]:
        source = ["--source", "path", "--path", glob.escape(str(path)), "--split", "train"]
        prepare_sft_data.main([*source, *columns, *options, *extra])
        counts = json.loads((tmp_path / "out/data.counts.json").read_text())
        return list(read_jsonl(tmp_path / "out/data.jsonl")), counts

    return run


def test_a_row_is_the_prompt_the_closed_solution_the_answer_and_its_source(tmp_path: Path, prepare: Prepare) -> None:
    rows, _ = prepare(write_parquet(tmp_path / "any.parquet", [released(1)]))
    assert rows == [
        {
            "input": "<|user|>Solve: What is 1 + 1?<|end|>",
            "output": "It is $\\boxed{2}$.\n<|end|>",
            "expected_answer": "2",
            "problem_source": "augmented_gsm8k",
        }
    ]


def test_a_row_has_the_text_that_the_released_models_saw(root: Path, tmp_path: Path, prepare: Prepare) -> None:
    rows, _ = prepare(
        write_parquet(tmp_path / "any.parquet", [released(1, problem="Is {x} in $\\{1\\}$?")]),
        *("--prompt", str(root / "resources/prompts/full/solve.yaml")),
        *("--template", str(root / "resources/templates/llama3-instruct.yaml")),
    )
    assert [(row["input"], row["output"]) for row in rows] == [
        (
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\n"
            "Work out the math problem below step by step, and write its final answer, and only that, inside \\boxed{}."
            "\n\nIs {x} in $\\{1\\}$?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            "It is $\\boxed{2}$.\n<|eot_id|>",
        )
    ]


def test_columns_may_have_other_names_and_numbers_become_text(tmp_path: Path, prepare: Prepare) -> None:
    table = pa.table({"q": ["One and one?"], "a": ["Two."], "gold": [2], "unused": [[1.5]]})
    pq.write_table(table, tmp_path / "train.parquet")
    columns = ["--problem-key", "q", "--solution-key", "a", "--answer-key", "gold"]
    rows, _ = prepare(tmp_path / "train.parquet", columns=columns)
    assert rows == [{"input": "<|user|>Solve: One and one?<|end|>", "output": "Two.<|end|>", "expected_answer": "2"}]


ROWS = [released(number) for number in range(25)]


@pytest.fixture
def expected_bytes() -> bytes:
    """The rows of ROWS in the order of the hashes that the rows of generations are shuffled by, too."""
    keys = [text_key(row["problem"], row["generated_solution"]) for row in ROWS]
    chance = mix(np.array(keys, dtype=np.uint64), derive_seed("sft", "shuffle", 42))
    return b"".join(
        encode_record(
            {
                "input": f"<|user|>Solve: {ROWS[place]['problem']}<|end|>",
                "output": f"{ROWS[place]['generated_solution']}<|end|>",
                "expected_answer": ROWS[place]["expected_answer"],
                "problem_source": ROWS[place]["problem_source"],
            }
        )
        for place in np.argsort(chance)
    )


def one_parquet(folder: Path) -> Path:
    return write_parquet(folder / "train.parquet", ROWS)


def shards(folder: Path) -> Path:
    for number, part in enumerate([ROWS[20:], ROWS[:7], ROWS[7:20]]):
        write_parquet(folder / f"train-0000{number}-of-00003.parquet", part[::-1])
    return folder


def hub_layout(folder: Path) -> Path:
    shards(folder / "data")
    write_parquet(folder / "data/train_5M-00000-of-00001.parquet", [released(99)])
    return folder


def lines(folder: Path) -> Path:
    write_jsonl(folder / "train-1.jsonl", ROWS[5:])
    write_jsonl(folder / "train-0.jsonl", ROWS[:5])
    return folder


@pytest.mark.parametrize("layout", [one_parquet, shards, hub_layout, lines])
@pytest.mark.parametrize("parent", ["plain", "a [x] * {y} folder"])
def test_the_bytes_do_not_depend_on_how_the_rows_are_spread_over_files(
    layout: Callable[[Path], Path], parent: str, tmp_path: Path, prepare: Prepare, expected_bytes: bytes
) -> None:
    _, counts = prepare(layout(tmp_path / parent))
    assert (tmp_path / "out/data.jsonl").read_bytes() == expected_bytes
    assert (counts["rows_in"], counts["rows_out"]) == (25, 25)


def test_another_seed_gives_the_same_rows_in_another_order(tmp_path: Path, prepare: Prepare) -> None:
    path = one_parquet(tmp_path)
    first, _ = prepare(path)
    other, _ = prepare(path, "--shuffle-seed", "43")
    assert other != first
    assert sorted(map(str, other)) == sorted(map(str, first))
    assert [row["expected_answer"] for row in first] != [row["expected_answer"] for row in ROWS]


@pytest.mark.parametrize("reverse", [False, True])
def test_of_equal_pairs_the_first_stays(reverse: bool, tmp_path: Path, prepare: Prepare) -> None:
    pair = released(1)
    spread = [
        [{**pair, "problem_source": "gsm8k"}, released(2), pair],
        [{**pair, "generated_solution": "Two."}, {**pair, "problem": "One and one?"}],
        [{**pair, "expected_answer": "two"}, pair, {**pair, "expected_answer": None}],
    ]
    for number, rows in enumerate(reversed(spread) if reverse else spread):
        write_parquet(tmp_path / f"train-{number}.parquet", rows)
    rows, counts = prepare(tmp_path)
    texts = [(row["input"].removeprefix("<|user|>Solve: "), row["output"]) for row in rows]
    assert sorted(texts) == [
        ("One and one?<|end|>", "It is $\\boxed{2}$.\n<|end|>"),
        ("What is 1 + 1?<|end|>", "It is $\\boxed{2}$.\n<|end|>"),
        ("What is 1 + 1?<|end|>", "Two.<|end|>"),
        ("What is 2 + 1?<|end|>", "It is $\\boxed{3}$.\n<|end|>"),
    ]
    assert (counts["rows_in"], counts["duplicate"], counts["rows_out"]) == (8, 4, 4)
    [kept] = [row for row, text in zip(rows, texts, strict=True) if text == sorted(texts)[1]]
    first = (spread[2] if reverse else spread[0])[0]
    assert (kept["expected_answer"], kept["problem_source"]) == (first["expected_answer"], first["problem_source"])


def test_rows_without_a_problem_or_a_solution_fall_out_and_are_counted(tmp_path: Path, prepare: Prepare) -> None:
    rows = [
        *(released(1), released(1), released(2), released(3, expected_answer=None)),
        *(released(4, problem=None), released(5, problem=" \n"), released(6, problem="", generated_solution="")),
        *(released(7, generated_solution=None), released(8, generated_solution="\t")),
    ]
    written, counts = prepare(write_parquet(tmp_path / "train.parquet", rows))
    assert sorted(row["expected_answer"] or "" for row in written) == ["", "2", "3"]
    assert counts["funnel"] == [
        {"filter": "no_text", "reason": "no_problem", "dropped": 3, "kept": 6},
        {"filter": "no_text", "reason": "no_solution", "dropped": 2, "kept": 4},
        {"filter": "deduplicate", "reason": "duplicate", "dropped": 1, "kept": 3},
    ]
    reasons = {step["reason"]: step["dropped"] for step in counts["funnel"]}
    assert counts | reasons == counts
    assert (counts["rows_in"], counts["rows_out"]) == (9, 3)


def test_a_fair_sample_has_a_row_of_every_problem(tmp_path: Path, prepare: Prepare) -> None:
    many = [released(1, generated_solution=f"Way {way}") for way in range(30)]
    path = write_parquet(tmp_path / "train.parquet", [*many, released(2), released(3)])
    rows, counts = prepare(path, "--downsample", "fair", "--num-samples", "5")
    assert {row["expected_answer"] for row in rows} == {"2", "3", "4"}
    assert (len(rows), counts["rows_out"], counts["not_sampled"]) == (5, 5, 27)


def test_the_counts_name_the_files_by_their_sums(tmp_path: Path, prepare: Prepare) -> None:
    folder = hub_layout(tmp_path / "set")
    _, counts = prepare(folder)
    names = [f"data/train-0000{number}-of-00003.parquet" for number in range(3)]
    assert counts["source"] == {
        "source": "path",
        "split": "train",
        "files": {name: sha256(folder / name) for name in names},
    }


def test_nothing_is_left_behind_beside_the_output(tmp_path: Path, prepare: Prepare) -> None:
    prepare(one_parquet(tmp_path))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["data.counts.json", "data.jsonl"]


def train_only_as_5m(folder: Path) -> Path:
    write_parquet(folder / "train_5M-00000-of-00001.parquet", ROWS)
    write_parquet(folder / "data/train_5M-00000-of-00001.parquet", ROWS)
    return folder


def two_forms(folder: Path) -> Path:
    write_jsonl(folder / "train.jsonl", ROWS)
    return one_parquet(folder).parent


def a_shard_gone(folder: Path) -> Path:
    (shards(folder) / "train-00002-of-00003.parquet").unlink()
    return folder


def without_a_column(folder: Path) -> Path:
    """The first file would be refused for its type, if it were read before the second is opened."""
    pq.write_table(pa.table({key: [1] for key in KEYS}), one_parquet(folder).with_name("train-0.parquet"))
    (folder / "train.parquet").unlink()
    write_parquet(folder / "train-1.parquet", [{key: text for key, text in released(1).items() if key != KEYS[1]}])
    return folder


def without_a_key(folder: Path) -> Path:
    write_jsonl(
        folder / "train.jsonl", [released(1), {key: text for key, text in released(2).items() if key != KEYS[2]}]
    )
    return folder


def a_problem_that_is_no_text(folder: Path) -> Path:
    write_jsonl(folder / "train.jsonl", [released(1), released(2, problem=["a"])])
    return folder


def no_parquet(folder: Path) -> Path:
    folder.mkdir()
    (folder / "train.parquet").write_bytes(b"PAR1 and then nothing that is parquet")
    return folder


def cut_parquet(folder: Path) -> Path:
    """The footer is whole, and the pages of the problems are not."""
    path = one_parquet(folder)
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    return folder


def other_file(folder: Path) -> Path:
    folder.mkdir()
    (folder / "train.csv").write_text("problem\n")
    return folder / "train.csv"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (train_only_as_5m, r"set: no files of split 'train', such as train\.parquet"),
        (two_forms, r"set: split 'train' is there in two forms, train\.parquet and train\.jsonl"),
        (a_shard_gone, r"set: split 'train' is not there from its first file to its last; found train-00000-of-00003"),
        (without_a_column, r"set/train-1\.parquet: no column 'generated_solution'"),
        (without_a_key, r"set/train\.jsonl, line 2: no key 'expected_answer'"),
        (a_problem_that_is_no_text, r"set/train\.jsonl, line 2: 'problem' is no text but list"),
        (no_parquet, r"set/train\.parquet: cannot be read as parquet"),
        (cut_parquet, r"set/train\.parquet: cannot be read as parquet"),
        (other_file, r"set/train\.csv: neither a folder nor a file that ends in \.parquet, \.jsonl, \.jsonl\.zst"),
        (lambda folder: folder / "train.parquet", r"set/train\.parquet: there is no such file or folder"),
    ],
    ids=[
        "train does not take train_5M",
        "a split in two forms",
        "a file of several is missing",
        "a missing column, before anything is read",
        "a missing key",
        "a problem that is no text",
        "a file that is no parquet",
        "a damaged parquet file",
        "a file of another kind",
        "no file",
    ],
)
def test_it_refuses(make: Callable[[Path], Path], message: str, tmp_path: Path, prepare: Prepare) -> None:
    path = make(tmp_path / "set")
    with pytest.raises(SystemExit, match=f"^prepare_sft_data: .*{message}"):
        prepare(path)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_without_the_library_json_lines_are_read_and_parquet_is_refused(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(SystemExit, match=r"train\.parquet: .* package 'datasets', which is not installed"):
        prepare(one_parquet(tmp_path / "parquet"))
    assert len(prepare(lines(tmp_path / "lines"))[0]) == 25


def test_another_number_of_rows_than_expected_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    path = write_parquet(tmp_path / "train.parquet", [*ROWS, ROWS[0]])
    with pytest.raises(SystemExit, match="26 rows came in, but 25 were expected"):
        prepare(path, "--expected-rows", "25")
    assert list((tmp_path / "out").iterdir()) == []
    assert prepare(path, "--expected-rows", "26")[1]["rows_out"] == 25


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--source", "hub"], "--source hub needs --repository and --split"),
        (["--source", "path"], "--source path needs --path"),
        (["--source", "path", "--path", "x", "--split", "tr*"], r"'tr\*' is not the name of a split"),
        (["--source", "path", "--path", "x", "--downsample", "fair"], "--num-samples goes with --downsample"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    extra: list[str], message: str, options: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        prepare_sft_data.main([*COLUMN_OPTIONS, *options, "--split", "train", *extra])
    assert re.search(message, capfd.readouterr().err)


def run_as_a_job(
    root: Path, home: Path, options: list[str], *words: str, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the script on `org/name` in a process of its own: the hub's client reads its settings when it is loaded."""
    return subprocess.run(
        [
            *(sys.executable, "scripts/prepare_sft_data.py", "--source", "hub", "--repository", "org/name"),
            *(*COLUMN_OPTIONS, *options, *words),
        ],
        cwd=root,
        env={**os.environ, "HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), **environment},
        check=check,
        capture_output=True,
        text=True,
    )


def hub_cache(cache: Path) -> Path:
    """A data set in the hub's cache as the hub's client leaves it: a ref, blobs, and links to them by commit."""
    repository = cache / "datasets--org--name"
    for source in sorted(hub_layout(repository / "source").rglob("*.parquet")):
        blob = repository / "blobs" / sha256(source)
        blob.parent.mkdir(exist_ok=True)
        source.rename(blob)
        link = repository / "snapshots" / COMMIT / "data" / source.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    return repository / "snapshots" / COMMIT


def test_a_data_set_in_the_cache_of_the_hub_is_used_without_network_and_not_copied(
    root: Path, tmp_path: Path, options: list[str], expected_bytes: bytes
) -> None:
    snapshot = hub_cache(tmp_path / "home/hub")
    files = sorted(path for path in (tmp_path / "home").rglob("*") if path.is_file())
    run_as_a_job(root, tmp_path / "home", options, "--split", "train", HF_HUB_OFFLINE="1")
    assert (tmp_path / "out/data.jsonl").read_bytes() == expected_bytes
    names = [f"data/train-0000{number}-of-00003.parquet" for number in range(3)]
    assert json.loads((tmp_path / "out/data.counts.json").read_text())["source"] == {
        "source": "hub",
        "repository": "org/name",
        "commit": COMMIT,
        "split": "train",
        "files": {name: sha256(snapshot / name) for name in names},
    }
    assert sorted(path for path in (tmp_path / "home").rglob("*") if path.is_file()) == files


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A server with the hub's paths for `org/name`: its address, and (path, token) of what was asked."""
    folder = hub_layout(tmp_path / "served")
    (folder / "README.md").write_text("A data set.\n")
    files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    asked: list[tuple[str, str | None]] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            path = self.path.partition("?")[0]
            if path == "/api/datasets/org/name/revision/main":
                self.answer(json.dumps({"id": "org/name", "sha": COMMIT, "siblings": []}).encode())
            elif path == f"/api/datasets/org/name/tree/{COMMIT}":
                tree = [
                    {"type": "file", "path": name, "size": file.stat().st_size, "oid": sha256(file)}
                    for name, file in files.items()
                ]
                self.answer(json.dumps(tree).encode())
            elif (name := path.removeprefix(f"/datasets/org/name/resolve/{COMMIT}/")) in files:
                self.answer(files[name].read_bytes(), sha256(files[name]))
            else:
                self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def answer(self, body: bytes, tag: str = "") -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{tag}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_the_files_of_the_split_and_no_others_are_downloaded_from_the_endpoint_with_the_token(
    hub: tuple[str, list[tuple[str, str | None]]],
    root: Path,
    tmp_path: Path,
    options: list[str],
    expected_bytes: bytes,
) -> None:
    address, asked = hub
    settings = {"HF_ENDPOINT": address, "HF_TOKEN": "hf_secret", "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    run_as_a_job(root, tmp_path / "home", options, "--split", "train", **settings)
    assert (tmp_path / "out/data.jsonl").read_bytes() == expected_bytes
    counts = json.loads((tmp_path / "out/data.counts.json").read_text())
    assert counts["source"]["commit"] == COMMIT
    names = {path.partition("/resolve/")[2] for path, _ in asked} - {""}
    assert names == {f"{COMMIT}/data/train-0000{number}-of-00003.parquet" for number in range(3)}
    assert {token for path, token in asked if "org/name" in path} == {"Bearer hf_secret"}


def test_a_data_set_that_is_not_in_the_cache_ends_in_one_sentence(
    root: Path, tmp_path: Path, options: list[str]
) -> None:
    words = ["--split", "train", "--revision", "v2"]
    done = run_as_a_job(root, tmp_path / "home", options, *words, check=False, HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("prepare_sft_data: org/name, revision v2: cannot be fetched (")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("size", [1, 37, 150, 400, 10_000])
def test_a_file_in_pieces_gives_the_rows_of_the_whole(
    size: int, tmp_path: Path, prepare: Prepare, expected_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready_made, "BYTES_PER_SHARD", size)
    path = tmp_path / "train.jsonl"
    write_jsonl(path, ROWS)
    assert prepare(path)[1]["rows_in"] == 25
    assert (tmp_path / "out/data.jsonl").read_bytes() == expected_bytes
    in_order, _ = prepare(path, "--no-shuffle")
    assert [row["expected_answer"] for row in in_order] == [row["expected_answer"] for row in ROWS]


@pytest.mark.parametrize("size", [1, 37, 150, 10_000])
def test_a_bad_row_of_a_piece_is_named_by_its_line_in_the_file(
    size: int, tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready_made, "BYTES_PER_SHARD", size)
    path = tmp_path / "train.jsonl"
    write_jsonl(path, [*ROWS[:7], {"problem": "x"}, *ROWS[7:]])
    with pytest.raises(SystemExit, match=r"train\.jsonl, line 8: no key 'generated_solution'"):
        prepare(path)
    path.write_bytes(b"".join(encode_record(row) for row in ROWS)[:-5])
    with pytest.raises(SystemExit, match=r"train\.jsonl, line 25: the file ends in the middle of a line"):
        prepare(path)


def test_compressed_lines_are_read(tmp_path: Path, prepare: Prepare, expected_bytes: bytes) -> None:
    write_jsonl(tmp_path / "train.jsonl.zst", ROWS)
    prepare(tmp_path)
    assert (tmp_path / "out/data.jsonl").read_bytes() == expected_bytes


def test_several_patterns_of_files_are_read_in_their_order_and_none_twice(
    tmp_path: Path, options: list[str], expected_bytes: bytes
) -> None:
    write_parquet(tmp_path / "a/x.parquet", ROWS[:10])
    write_jsonl(tmp_path / "b/part-1.jsonl", ROWS[10:20])
    write_jsonl(tmp_path / "b/part-2.jsonl.zst", ROWS[20:])
    patterns = [str(tmp_path / "a/*.parquet"), str(tmp_path / "b/part-*"), str(tmp_path / "b/part-1.jsonl")]
    prepare_sft_data.main(["--source", "path", "--path", *patterns, *COLUMN_OPTIONS, *options])
    assert (tmp_path / "out/data.jsonl").read_bytes() == expected_bytes
    counts = json.loads((tmp_path / "out/data.counts.json").read_text())
    assert list(counts["source"]["files"]) == ["a/x.parquet", "b/part-1.jsonl", "b/part-2.jsonl.zst"]
    assert counts["source"].keys() == {"source", "files"}
    with pytest.raises(SystemExit, match=r"/b: of a folder a split is needed"):
        prepare_sft_data.main(["--source", "path", "--path", str(tmp_path / "b"), *COLUMN_OPTIONS, *options])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [released(1), released(2, expected_answer=3)],
            r"line 2: 'expected_answer' is a number, and text in ano",
        ),
        (
            [released(1, expected_answer=2), released(2)],
            r"line 2: 'expected_answer' is text, and a number in ano",
        ),
        ([released(1, expected_answer=True)], r"line 1: 'expected_answer' is neither text nor number but bool"),
        ([released(1, expected_answer=["2"])], r"line 1: 'expected_answer' is neither text nor number but list"),
        ([released(1, problem_source=7)], r"line 1: 'problem_source' is no text but int"),
    ],
)
def test_values_of_another_type_are_refused(rows: list[Record], message: str, tmp_path: Path, prepare: Prepare) -> None:
    write_jsonl(tmp_path / "train.jsonl", rows)
    with pytest.raises(SystemExit, match=rf"train\.jsonl, {message}"):
        prepare(tmp_path / "train.jsonl")


def test_answers_of_one_type_in_each_file_and_two_in_all_are_refused(tmp_path: Path, prepare: Prepare) -> None:
    write_jsonl(tmp_path / "train-0.jsonl", ROWS)
    write_jsonl(tmp_path / "train-1.jsonl", [released(1, expected_answer=2)])
    for workers in ("1", "2"):
        with pytest.raises(SystemExit, match=r"'expected_answer' is (text|a number)(,| in some)"):
            prepare(tmp_path, "--workers", workers)


def test_steps_and_limits_hold_for_ready_made_rows_too(tmp_path: Path, prepare: Prepare, byte_tokenizer: Path) -> None:
    rows = [*ROWS[:3], released(5, generated_solution="Timed out."), released(6, generated_solution="x" * 200)]
    write_jsonl(tmp_path / "checked.jsonl", [{"problem": ROWS[0]["problem"].upper(), "contaminated": True}])
    written, counts = prepare(
        write_parquet(tmp_path / "train.parquet", rows),
        *("--drop-code-errors", "--contamination", str(tmp_path / "checked.jsonl")),
        *("--max-solution-tokens", "100", "--tokenizer", str(byte_tokenizer)),
        *("--skip-first", "1"),
    )
    assert sorted(row["expected_answer"] for row in written) == ["2", "3"]
    dropped = {step["reason"]: step["dropped"] for step in counts["funnel"] if step["dropped"]}
    assert dropped == {"skipped": 1, "code_error": 1, "too_long": 1}
    assert (
        prepare(tmp_path / "train.parquet", "--contamination", str(tmp_path / "checked.jsonl"))[1]["contaminated"] == 1
    )


def test_a_prompt_may_ask_for_further_columns(tmp_path: Path, prepare: Prepare) -> None:
    (tmp_path / "level.yaml").write_text('user: "{level}: {problem}"\n')
    rows = [released(1, level="easy"), released(1, level="hard", generated_solution="Two.")]
    prompt = ("--prompt", str(tmp_path / "level.yaml"))
    for path in (write_parquet(tmp_path / "a.parquet", rows), tmp_path / "b.jsonl"):
        write_jsonl(tmp_path / "b.jsonl", rows)
        written, _ = prepare(path, *prompt)
        assert sorted(row["input"] for row in written) == [
            f"<|user|>{level}: What is 1 + 1?<|end|>" for level in ("easy", "hard")
        ]
    with pytest.raises(SystemExit, match=r"c\.parquet: no column 'level'"):
        prepare(write_parquet(tmp_path / "c.parquet", ROWS), *prompt)


def test_rows_carry_further_columns(tmp_path: Path, prepare: Prepare) -> None:
    rows = [released(1, level="easy", topic="sums")]
    write_jsonl(tmp_path / "b.jsonl", rows)
    for path in (write_parquet(tmp_path / "a.parquet", rows), tmp_path / "b.jsonl"):
        [plain], [named], [all_of_them] = (
            prepare(path, *extra)[0] for extra in ((), ("--extra-keys", "level"), ("--extra-keys", "all"))
        )
        assert named == {**plain, "level": "easy"}
        assert all_of_them == {**plain, "level": "easy", "topic": "sums"}


def test_a_bad_value_of_parquet_is_named_by_its_row(tmp_path: Path, prepare: Prepare) -> None:
    pq.write_table(
        pa.table({**{key: ["x", "y"] for key in KEYS}, "problem_source": [1, 2]}), tmp_path / "train.parquet"
    )
    with pytest.raises(SystemExit, match=r"train\.parquet, row 1: 'problem_source' is no text but int"):
        prepare(tmp_path / "train.parquet")


def test_the_rows_by_source_are_counted(tmp_path: Path, prepare: Prepare) -> None:
    rows = [*ROWS[:4], released(7, problem_source="math"), released(8, problem_source=None)]
    written, counts = prepare(write_parquet(tmp_path / "train.parquet", rows))
    assert counts["rows_by_source"] == {"": 1, "augmented_gsm8k": 4, "math": 1}
    assert sorted({row["problem_source"] or "" for row in written}) == ["", "augmented_gsm8k", "math"]
    balanced = ("--downsample", "random", "--num-samples", "3", "--balance-sources")
    _, counts = prepare(tmp_path / "train.parquet", *balanced)
    assert counts["rows_by_source"] == {"": 1, "augmented_gsm8k": 1, "math": 1}
