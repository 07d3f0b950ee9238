"""Preparing training rows where the disk is full, or the process is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from openmath.records import write_jsonl

Command = Callable[[Path], list[str]]


@pytest.fixture
def command(root: Path, tmp_path: Path) -> Command:
    """The command that prepares `data.jsonl` of this test into a folder."""

    def words(out: Path) -> list[str]:
        return [
            *(sys.executable, str(root / "scripts/prepare_sft_data.py")),
            *("--source", "path", "--path", str(tmp_path / "data.jsonl"), "--shuffle-seed", "1", "--workers", "2"),
            *("--output", str(out / "rows.jsonl"), "--counts", str(out / "counts.json")),
        ]

    return words


def write_data(folder: Path, rows: int) -> None:
    write_jsonl(
        folder / "data.jsonl",
        (
            {"problem": f"Problem {row % 97}?", "generated_solution": f"{row} " * 150, "expected_answer": "2"}
            for row in range(rows)
        ),
    )


def test_a_disk_that_fills_up_is_named_and_the_old_output_stays(tmp_path: Path, command: Command) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=2m tmpfs {disk}"
    if subprocess.run(["unshare", "-Urm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    write_data(tmp_path, 300)
    small = tmp_path / "small.jsonl"
    (tmp_path / "data.jsonl").rename(small)
    write_data(tmp_path, 6000)
    again = " ".join(command(disk))
    script = f"""
        {mount}
        {again.replace("data.jsonl", "small.jsonl")} 2>/dev/null || exit 3
        sha256sum {disk}/* >before
        {again} 2>errors && exit 4
        sha256sum {disk}/* | diff before - || exit 5
        ls -A {disk}
    """
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["counts.json", "rows.jsonl"])
    assert (tmp_path / "errors").read_text().splitlines()[-1].endswith("No space left on device")


def test_a_killed_attempt_leaves_no_output_and_the_next_one_writes_the_same_bytes(
    tmp_path: Path, command: Command
) -> None:
    write_data(tmp_path, 60_000)
    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    out = tmp_path / "killed"
    started = subprocess.Popen(command(out), start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob(".rows.jsonl.work/spool/bucket-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    started.kill()
    assert started.wait() == -signal.SIGKILL
    assert list(out.glob(".rows.jsonl.work/spool/bucket-*"))
    assert os.listdir(out) == [".rows.jsonl.work"]
    subprocess.run(command(out), check=True, capture_output=True)
    assert sorted(os.listdir(out)) == ["counts.json", "rows.jsonl"]
    for name in ("counts.json", "rows.jsonl"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
