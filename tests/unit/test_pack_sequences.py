"""From training rows to packed rows."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pack_sequences
from openmath import sample_reading
from openmath.packed_rows import LAYOUTS, read_flat, read_packed
from openmath.records import Record, RecordError, write_jsonl
from openmath.tokenization import encode, load_tokenizer

READERS = {"nemo": read_packed, "flat": read_flat}


def training_rows(count: int) -> list[Record]:
    return [
        {
            "input": f"<|user|>What is {n} plus {n}?<|end|><|assistant|>",
            "output": f"It is {'so ' * (n % 7)}{2 * n}.<|end|>",
        }
        for n in range(count)
    ]


def words(folder: Path, tokenizer: Path, *options: str, capacity: int = 120, seed: int = 0) -> list[str]:
    return [
        *("--data", str(folder / "sft_data.jsonl"), "--tokenizer", str(tokenizer), "--capacity", str(capacity)),
        *("--algorithm", "first_fit_shuffle", "--seed", str(seed)),
        *("--output-prefix", str(folder / f"packed/packed_{capacity}_seed{seed}"), *options),
    ]


def pack_file(
    folder: Path, rows: list[Record], tokenizer: Path, *options: str, capacity: int = 120, layout: str = "nemo"
) -> Record:
    write_jsonl(folder / "sft_data.jsonl", rows)
    pack_sequences.main(words(folder, tokenizer, "--layout", layout, *options, capacity=capacity))
    name = f"packed_{capacity}_seed0{'.flat' if layout == 'flat' else ''}.json"
    manifest: Record = json.loads((folder / "packed" / name).read_text())
    return manifest


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.parametrize(("layout", "options"), [("nemo", ()), ("flat", ()), ("nemo", ("--multiple", "16"))])
def test_a_file_is_packed_and_its_samples_are_given_back(
    tmp_path: Path, byte_tokenizer: Path, layout: str, options: tuple[str, ...]
) -> None:
    rows = training_rows(30)
    options = (*options, "--pad-token", "<|pad|>") if options else ()
    manifest = pack_file(tmp_path, rows, byte_tokenizer, *options, capacity=160, layout=layout)
    tokenizer = load_tokenizer(byte_tokenizer)
    packed = [sample for row in READERS[layout](tmp_path / "packed/packed_160_seed0") for sample in row]
    texts = sorted(tokenizer.decode(tokens.tolist(), skip_special_tokens=False) for tokens, _ in packed)
    assert texts == sorted(row["input"] + row["output"] for row in rows)
    outputs = sorted(
        tokenizer.decode(tokens[1:][mask[:-1]].tolist(), skip_special_tokens=False) for tokens, mask in packed
    )
    assert outputs == sorted(row["output"] for row in rows)
    places = sum(len(ids) - 1 for ids in encode(tokenizer, texts))
    assert manifest["counts"] == {"rows_in": 30, "too_short": 0, "too_long": 0, "cut": 0, "rows_out": 30}
    assert manifest["efficiency"] == places / (160 * manifest["rows"])
    assert manifest["sequences_per_row"] == 30 / manifest["rows"]
    assert manifest["target_tokens"] == sum(map(len, encode(tokenizer, outputs)))
    wanted = (layout, 16, "<|pad|>", tokenizer.token_to_id("<|pad|>")) if options else (layout, 1, None, None)
    assert tuple(manifest[key] for key in ("layout", "multiple", "pad_token", "pad_id")) == wanted
    assert (manifest["pad_tokens"] > 0) == bool(options)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_seed_gives_the_same_bytes_and_nothing_is_left_behind(
    tmp_path: Path, byte_tokenizer: Path, layout: str
) -> None:
    for name in ("one", "two"):
        pack_file(tmp_path / name, training_rows(30), byte_tokenizer, layout=layout)
    one, two = (contents(tmp_path / name / "packed") for name in ("one", "two"))
    manifest = "json" if layout == "nemo" else "flat.json"
    assert sorted(one) == sorted(
        f"packed_120_seed0.{name}" for name in (manifest, *(f"{n}.npy" for n in LAYOUTS[layout]))
    )
    assert one == two


def test_the_number_of_workers_changes_no_byte(
    tmp_path: Path, byte_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_reading, "_BATCH_BYTES", 500)
    for workers in ("1", "2"):
        pack_file(tmp_path / workers, training_rows(60), byte_tokenizer, "--workers", workers)
    monkeypatch.undo()
    pack_file(tmp_path / "whole", training_rows(60), byte_tokenizer)
    one, two, whole = (contents(tmp_path / name / "packed") for name in ("1", "2", "whole"))
    assert one == two == whole


LONG = [
    {"input": "abc", "output": "d" * 8},
    {"input": "abc", "output": "e" * 9},
    {"input": "abc", "output": ""},
    {"input": "", "output": "d"},
    {"input": "a" * 10, "output": "fgh"},
    {"input": "a" * 11, "output": "fgh"},
]


def test_what_is_too_long_or_asks_for_nothing_is_dropped_and_counted(tmp_path: Path, byte_tokenizer: Path) -> None:
    manifest = pack_file(tmp_path, LONG, byte_tokenizer, capacity=10)
    assert manifest["counts"] == {"rows_in": 6, "too_short": 2, "too_long": 3, "cut": 0, "rows_out": 1}
    assert (manifest["efficiency"], manifest["tokens"], manifest["target_tokens"]) == (1.0, 11, 8)


def test_of_an_answer_that_is_too_long_the_end_is_cut_and_never_the_prompt(
    tmp_path: Path, byte_tokenizer: Path
) -> None:
    manifest = pack_file(tmp_path, LONG, byte_tokenizer, "--too-long", "cut", capacity=10)
    assert manifest["counts"] == {"rows_in": 6, "too_short": 2, "too_long": 1, "cut": 2, "rows_out": 3}
    assert manifest["too_long"] == "cut"
    tokenizer = load_tokenizer(byte_tokenizer)
    rows = read_packed(tmp_path / "packed/packed_10_seed0")
    assert sorted(tokenizer.decode(tokens.tolist()) for row in rows for tokens, _ in row) == [
        "a" * 10 + "f",
        "abc" + "d" * 8,
        "abc" + "e" * 8,
    ]


def test_data_without_a_row_that_fits_is_refused_by_name(tmp_path: Path, byte_tokenizer: Path) -> None:
    with pytest.raises(SystemExit, match=r"sft_data\.jsonl: no row of it can be packed \(3 are too long\)"):
        pack_file(tmp_path, training_rows(3), byte_tokenizer, capacity=5)
    assert contents(tmp_path / "packed") == {}


def test_lines_go_to_the_workers_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_reading, "_BATCH_BYTES", 8)
    (tmp_path / "lines").write_text("12345\n12\n345678901\n1\n")
    assert list(sample_reading.line_batches(tmp_path / "lines")) == [
        (1, [b"12345\n", b"12\n"]),
        (3, [b"345678901\n"]),
        (4, [b"1\n"]),
    ]
    (tmp_path / "lines").write_text("12345678\n")
    assert len(list(sample_reading.line_batches(tmp_path / "lines"))) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_line_in_a_later_batch_is_named(
    tmp_path: Path, byte_tokenizer: Path, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_reading, "_BATCH_BYTES", 100)
    rows = [*training_rows(10), {"input": "a", "output": 5}]
    with pytest.raises(RecordError, match=r"sft_data\.jsonl, line 11: 'output' is no text, but int"):
        pack_file(tmp_path, rows, byte_tokenizer, "--workers", workers)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"input": "a"}', "no key 'output'$"),
        ('{"output": "a"}', "no key 'input'$"),
        ('{"input": null, "output": "a"}', "'input' is no text, but NoneType"),
        ('{"conversations": [], "output": "a"}', "no key 'input'; 'conversations' is of a chat format"),
        ('{"messages": []}', "no key 'input'; 'messages' is of a chat format"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
    ],
)
def test_what_is_no_row_to_pack_is_refused_by_line(
    tmp_path: Path, byte_tokenizer: Path, line: str, reason: str
) -> None:
    (tmp_path / "sft_data.jsonl").write_text(f'{{"input": "a", "output": "b"}}\n{line}\n')
    with pytest.raises(RecordError, match=rf"sft_data\.jsonl, line 2: {reason}"):
        pack_sequences.main(words(tmp_path, byte_tokenizer))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--multiple", "16", "--pad-token", "<|pad|>"], "--capacity 120 is no multiple of --multiple 16"),
        (["--multiple", "8"], "--pad-token belongs to a --multiple above 1"),
        (["--pad-token", "<|pad|>"], "--pad-token belongs to a --multiple above 1"),
        (["--multiple", "8", "--pad-token", "<|pad|>", "--layout", "flat"], "context parallelism"),
        (["--multiple", "0"], "--multiple 0: at least 1"),
        (["--workers", "0"], "--workers 0: at least 1"),
        (["--capacity", "0"], "--capacity 0: at least 1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    tmp_path: Path, byte_tokenizer: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        pack_sequences.main(words(tmp_path, byte_tokenizer, *options))
    assert reason in capsys.readouterr().err


def test_a_pad_token_that_the_tokenizer_does_not_know_is_refused(tmp_path: Path, byte_tokenizer: Path) -> None:
    with pytest.raises(SystemExit, match=r"--pad-token '<\|no\|>' is no token of .*tokenizer\.json"):
        pack_file(tmp_path, training_rows(3), byte_tokenizer, "--multiple", "8", "--pad-token", "<|no|>")


def test_a_file_that_is_not_there_is_named(tmp_path: Path, byte_tokenizer: Path) -> None:
    with pytest.raises(SystemExit, match=r"pack_sequences: .*sft_data\.jsonl: No such file or directory"):
        pack_sequences.main(words(tmp_path, byte_tokenizer))
    with pytest.raises(SystemExit, match=r"pack_sequences: .*: no tokenizer\.json in this model folder"):
        pack_file(tmp_path, training_rows(3), tmp_path)


def test_killed_and_run_again_it_gives_the_same_bytes(tmp_path: Path, byte_tokenizer: Path, root: Path) -> None:
    pack_file(tmp_path / "undisturbed", training_rows(30), byte_tokenizer)
    pack_file(tmp_path, training_rows(5), byte_tokenizer)
    before = contents(tmp_path / "packed")
    (tmp_path / "sft_data.jsonl").unlink()
    os.mkfifo(tmp_path / "sft_data.jsonl")  # it waits for lines that never come
    command = [sys.executable, str(root / "scripts/pack_sequences.py"), *words(tmp_path, byte_tokenizer)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (spool := tmp_path / "packed/.packed_120_seed0.json.work/spool").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert spool.exists()
    assert contents(tmp_path / "packed") == before
    (tmp_path / "sft_data.jsonl").unlink()
    pack_file(tmp_path, training_rows(30), byte_tokenizer)
    assert contents(tmp_path / "packed") == contents(tmp_path / "undisturbed/packed")


FILLS_UP = """
import subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import pack_sequences
words, disk = sys.argv[3:], Path(sys.argv[2])
contents = lambda: {path.name: path.read_bytes() for path in disk.iterdir()}
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
pack_sequences.main(words)
whole = contents()
refused = set()
for path in disk.iterdir():
    path.write_bytes(b"old")
for blocks in range(6, 400, 2):
    subprocess.run(["mount", "-o", f"remount,size={4 * blocks}k", disk], check=True)
    try:
        pack_sequences.main(words)
    except SystemExit as error:
        assert str(error).startswith(f"pack_sequences: {disk}/") and "No space left on device" in str(error), error
        assert set(contents().values()) == {b"old"} and len(contents()) == len(whole)
        refused.add(blocks)
    else:
        assert contents() == whole
        break
print(len(refused))
"""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_on_a_disk_of_any_size_the_outputs_are_whole_or_untouched(
    tmp_path: Path, byte_tokenizer: Path, root: Path, layout: str
) -> None:
    (tmp_path / "packed").mkdir()
    write_jsonl(tmp_path / "sft_data.jsonl", training_rows(600))
    private = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    try:
        subprocess.run(
            [*private, "mount", "-t", "tmpfs", "tmpfs", tmp_path / "packed"], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a file system of its own, which this machine does not let it mount")
    options = words(tmp_path, byte_tokenizer, "--layout", layout)
    command = [*private, sys.executable, "-c", FILLS_UP, str(root / "scripts"), str(tmp_path / "packed"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
