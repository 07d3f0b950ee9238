"""Compressed files of records: whole or refused, and the same results as plain ones from the prompt to the metrics."""

import contextlib
import io
import random
import re
import subprocess
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import compute_metrics
import generate
import grade_answers
import judge_answers
import vote_answers
from openmath.compressed import compressing, open_compressed
from openmath.generation import Completion, Request
from openmath.nemo_aligner import NemoError, check_files
from openmath.records import RecordError, atomic_output, read_jsonl, read_lines, write_jsonl

ROWS = [{"id": f"{number:03}", "text": f"{number}\u00e9\u2028 \n {number % 7}"} for number in range(300)]
LINES = [f'{{"n":{number}}}\n'.encode() for number in range(50)]


def compressed(content: bytes) -> bytes:
    """By the library's own function, which writes the size into the file and no checksum."""
    return zstandard.ZstdCompressor().compress(content)


def plain(path: Path) -> bytes:
    """What a file holds, by the library's own reader."""
    if path.suffix != ".zst":
        return path.read_bytes()
    with zstandard.open(path, "rb") as stream:
        return bytes(stream.read())


def lines_of(path: Path) -> list[bytes]:
    return [line for _, line in read_lines(path)]


# Writing.


def test_one_frame_with_a_checksum_is_written_and_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.zst"
    assert write_jsonl(path, ROWS) == len(ROWS)
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    assert zstandard.get_frame_parameters(path.read_bytes()).has_checksum
    assert zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes()) == plain(tmp_path / "rows.jsonl")
    assert path.stat().st_size < (tmp_path / "rows.jsonl").stat().st_size / 3


@given(st.randoms(use_true_random=False), st.integers(0, 400_000))
def test_the_bytes_do_not_depend_on_the_pieces_that_are_written(rng: random.Random, size: int) -> None:
    content = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)
    whole, parts = io.BytesIO(), io.BytesIO()
    with compressing(whole) as stream:
        stream.write(content)
    with compressing(parts) as stream:
        start = 0
        while start < size:
            end = start + rng.choice((1, 100, 5000, 200_000)) * rng.randint(1, 50)
            stream.write(content[start:end])
            start = end
    assert parts.getvalue() == whole.getvalue()


def test_the_bytes_never_change(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl.zst", [{"id": "a", "n": 1}])
    header, block, checksum = (
        "28b52ffd0458",
        f"{17 << 3 | 1:02x}0000",
        "76d559fb",
    )  # one raw block of 17 bytes, the last
    written = header + block + b'{"id":"a","n":1}\n'.hex() + checksum
    assert (tmp_path / "rows.jsonl.zst").read_bytes().hex() == written


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.zst"
    write_jsonl(path, ROWS[:1])
    with pytest.raises(RuntimeError), atomic_output(path) as stream:  # noqa: PT012
        stream.write(LINES[0])
        raise RuntimeError
    assert list(read_jsonl(path)) == ROWS[:1]
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl.zst"]


# Reading.


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS], ids=["no rows", "a row", "many rows"])
def test_what_is_written_is_read(rows: list[Any], tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl.zst", rows)
    assert list(read_jsonl(tmp_path / "rows.jsonl.zst")) == rows


def test_files_of_other_writers_are_read(tmp_path: Path) -> None:
    """Several frames, with one that only holds padding, and a line that begins in one frame and ends in the next."""
    path = tmp_path / "rows.jsonl.zst"
    text = b"".join(LINES)
    padding = b"\x53\x2a\x4d\x18" + (5000).to_bytes(4, "little") + bytes(5000)
    path.write_bytes(padding + compressed(text[:77]) + compressed(b"") + padding + compressed(text[77:]) + padding)
    assert lines_of(path) == LINES


def test_every_cut_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.zst"
    with atomic_output(path) as stream:
        for line in LINES:
            stream.write(line)
            if line in LINES[::20]:
                stream.flush()  # a block ends here, so that some lines come before the cut
    whole = path.read_bytes()
    told = set()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        read: list[bytes] = []
        with pytest.raises(RecordError, match=r"the file ends in the middle of its compressed text") as raised:
            read.extend(line for _, line in read_lines(path))
        assert str(raised.value).startswith(f"{path}, after line {len(read)}: ")
        assert read == LINES[: len(read)]
        told.add(len(read))
    assert {0, 1, 21, 41, 50} == told


@pytest.mark.parametrize("behind", [b"\n", b"more", b"not zstd at all", compressed(b"x" * 99)[:9]])
def test_what_stands_behind_the_end_is_told(behind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(compressed(b"".join(LINES)) + behind)
    with pytest.raises(RecordError, match=rf"^{re.escape(str(path))}, after line 50: "):
        lines_of(path)


def test_a_changed_bit_is_told_or_changes_nothing(tmp_path: Path) -> None:
    """A few bits do not matter, as those that say how large a window is asked for."""
    path = tmp_path / "rows.jsonl.zst"
    with atomic_output(path) as stream:
        stream.write(b"".join(LINES))
    whole = path.read_bytes()
    harmless = 0
    for place in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        with contextlib.suppress(RecordError):
            assert lines_of(path) == LINES
            harmless += 1
    assert harmless < len(whole) / 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "after line 0: the file ends in the middle of its compressed text"),
        (b'{"id": 1}\n', "after line 0: no whole zstd"),
        (compressed(b'{"id":1}\n{"id":2}'), "line 2: the file ends in the middle of a line"),
        (compressed(b'{"id":1}\n[2]\n'), "line 2: not a JSON object"),
    ],
    ids=["an empty file", "a plain file", "a cut line", "a list"],
)
def test_it_names_file_and_line_of(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=message) as raised:
        list(read_jsonl(path))
    assert str(raised.value).startswith(f"{path}, ")


def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    """160 MB that shrink to 16 kB: the worst that there is for a reader."""
    path = tmp_path / "rows.jsonl.zst"
    with atomic_output(path) as stream:
        for _ in range(160):
            stream.write(LINES[0] * (1_000_000 // len(LINES[0])))
    tracemalloc.start()
    with open_compressed(path) as lines:
        while lines.read(2**20):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000


def test_nemo_is_given_no_compressed_rows(tmp_path: Path) -> None:
    """Its own reader would take them for lines of text."""
    write_jsonl(tmp_path / "sft_data.jsonl.zst", ROWS)
    (tmp_path / "manifest.json").touch()
    run = SimpleNamespace(data=tmp_path / "sft_data.jsonl.zst", packed=False, base_model=tmp_path)
    with pytest.raises(NemoError, match=r"sft_data\.jsonl\.zst: NeMo reads no compressed rows"):
        check_files(run)


# From the prompt to the metrics.

PROBLEMS = [
    {"id": f"p{number}", "problem": f"What is {number} + 1?", "expected_answer": str(number + 1), "level": number % 3}
    for number in range(40)
]
SEEDS = 3


@pytest.fixture
def _answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose answers follow from the request: right, wrong or none; as a judge it says yes."""

    def answer(requests: Sequence[Request], *_: Any, **__: Any) -> list[Completion]:
        return [Completion(request.key, text_of(request), "stop", 7, 20) for request in requests]

    def text_of(request: Request) -> str:
        if "judge" in str(request.prompt):
            return "Judgement: Yes"
        number = int(re.findall(r"What is (\d+)", str(request.prompt))[-1])
        chosen = random.Random(f"{request.key} {request.seed}").choice((1, 1, 2, None))
        return "I do not know." if chosen is None else rf"So it is \boxed{{{number + chosen}}}."

    monkeypatch.setattr("openmath.asking.complete", answer)


def evaluate(folder: Path, end: str) -> dict[str, bytes]:
    """Go from the problems to the metrics with files whose names end so; return what they hold, by plain names."""
    folder.mkdir()
    names = ("test", "output", "answers", "majority", "judged", "judged-majority")
    test, output, answers, majority, judged, judged_majority = (str(folder / f"{name}.{end}") for name in names)
    write_jsonl(test, PROBLEMS)
    (folder / "solve.yaml").write_text("user: '{problem}'\n")
    (folder / "judge.yaml").write_text("user: 'judge {problem} {expected_answer} {predicted_answer}'\n")
    server = f"--model m --engine openai --address http://localhost:1/v1 --top-p 1 --max-tokens 9 --work {folder}/work"
    for seed in (None, *range(SEEDS)):
        sampling = "--temperature 0" if seed is None else f"--temperature 1 --seed {seed}"
        written = output if seed is None else str(folder / f"output-rs{seed}.{end}")
        generate.main(
            f"--input {test} --output {written} --manifest {folder}/generated.json --prompt {folder}/solve.yaml "
            f"{server} {sampling}".split()
        )
    grade_answers.main(
        f"--folder {folder} --greedy --num-seeds {SEEDS} --answers {answers} --counts {folder}/answers.counts".split()
    )
    vote_answers.main(
        f"--answers {answers} --num-seeds {SEEDS} --reference {test} --majority {majority} "
        f"--counts {folder}/majority.counts".split()
    )
    for kind, candidates, verdicts in (("greedy", answers, judged), ("majority", majority, judged_majority)):
        judge_answers.main(
            f"--problems {test} --candidates {candidates} --kind {kind} --output {verdicts} --counts {folder}/{kind} "
            f"--manifest {folder}/judged.json --prompt {folder}/judge.yaml --temperature 0 {server}".split()
        )
    compute_metrics.main(
        f"--benchmark sums --model m --answers {answers} --num-samples {SEEDS} --majority {majority} --judged {judged} "
        f"--judged-majority {judged_majority} --problems {test} --metrics {folder}/metrics "
        f"--table {folder}/metrics.txt --curves {folder}/curves.tsv".split()
    )
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.suffix != ".json"]
    return {file.name.removesuffix(".zst"): plain(file) for file in files}


@pytest.mark.usefixtures("_answered")
def test_compressed_files_give_the_same_results_from_the_prompt_to_the_metrics(tmp_path: Path) -> None:
    held = evaluate(tmp_path / "plain", "jsonl")
    assert evaluate(tmp_path / "compressed", "jsonl.zst") == held
    assert len([file for file in (tmp_path / "compressed").iterdir() if file.suffix == ".zst"]) == 6 + SEEDS
    assert held["answers.jsonl"].count(b'"verdict":"correct"') > 40
    assert b"pass@3" in held["metrics.txt"]


def test_the_program_zstd_reads_what_we_write(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl.zst", ROWS)
    try:
        shown = subprocess.run(["zstd", "-dc", tmp_path / "rows.jsonl.zst"], capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("there is no program zstd here")
    assert shown == plain(tmp_path / "rows.jsonl.zst")
