"""Calls of the workflow for real: started, watched, and what they made."""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.02

_COMMIT = re.compile(rb'"git_commit": "[0-9a-f]{40}"')

Overlay = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A finished call of Snakemake: where its results are, and what it said."""

    results: Path
    output: str


@dataclass(frozen=True)
class Workflow:
    """One command of the miniature that can be called again: an overlay, targets, and a folder for all that it makes.

    What the calls said stands in ``output.txt`` of the folder.
    """

    folder: Path
    overlay: Overlay = field(default_factory=dict)
    targets: Sequence[str] = ("openmath2_metrics.tsv",)

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def leases(self) -> Path:
        return self.folder / "leases"

    @property
    def output(self) -> Path:
        return self.folder / "output.txt"

    def start(self) -> subprocess.Popen[bytes]:
        """Call Snakemake on two cores. Its output is a file: orphans of a call that is killed keep it open."""
        self.folder.mkdir(parents=True, exist_ok=True)
        names = ("results", "resources", "logs", "benchmarks")
        pathvars = {name: str(self.folder / name) for name in names} | self.overlay.get("pathvars", {})
        config = self.folder / "overlay.yaml"
        config.write_text(yaml.safe_dump({**self.overlay, "pathvars": pathvars}))
        targets = [str(self.results / target) for target in self.targets]
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *targets]
        with open(self.output, "ab") as output:
            return subprocess.Popen(
                [*command, "--configfile", "config/demo.yaml", str(config)],
                cwd=ROOT,
                env={**os.environ, "OPENMATH_LEASES": str(self.leases)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def run(self) -> Run:
        """Call it until its end, which must be a good one."""
        before = self.output.stat().st_size if self.output.exists() else 0
        status = self.start().wait()
        said = self.output.read_bytes()[before:].decode("utf-8", "replace")
        assert status == 0, self.last_words()
        return Run(self.results, said)

    def last_words(self) -> str:
        """The ends of what the calls said and of the latest logs of jobs."""
        logs = sorted((self.folder / "logs").rglob("*.log"), key=lambda log: log.stat().st_mtime)[-5:]
        ends = [(self.output, 8000), *((log, 2000) for log in logs)]
        return "".join(f"\n== {path}\n{path.read_bytes()[-size:].decode('utf-8', 'replace')}" for path, size in ends)

    def processes(self) -> dict[int, list[str]]:
        """The living processes that its calls have started, orphans and servers too, and their command lines."""
        mark = f"OPENMATH_LEASES={self.leases}".encode()
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_bytes().decode().split("\0")[:-1]
            except OSError:  # it has ended, or is not ours
                continue
        return found

    def processes_of(self, script: str) -> list[int]:
        """Those of its processes that are Python at work on a script."""
        return [pid for pid, words in self.processes().items() if words[1:2] and Path(words[1]).name == script]

    def end_processes(self) -> None:
        """Kill what is left of its calls, and return when it is gone."""
        while left := self.processes():
            for pid in left:
                kill(pid)
            time.sleep(POLL_SECONDS)


def kill(pid: int) -> None:
    """Send SIGKILL to a process, if it is there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_until(moment: Callable[[], object], process: subprocess.Popen[bytes], seconds: float = 120) -> bool:
    """Wait for a moment in the life of a process; false if that ends before."""
    deadline = time.monotonic() + seconds
    while not moment():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, "the moment does not come"
        time.sleep(POLL_SECONDS)
    return process.poll() is None


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every artefact, which must repeat to the byte.

    No artefacts are hidden files, what work folders hold, and the configuration of the run, which names its folders.
    The commit that a manifest names does not count: somebody may commit while the tests run.
    """
    found = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if file.is_file() and not hidden and "work" not in name.parts and str(name) != "config.json":
            content = _COMMIT.sub(b"", file.read_bytes()) if file.suffix == ".json" else file.read_bytes()
            found[str(name)] = hashlib.sha256(content).hexdigest()
    return found


def finished_rows(results: Path) -> Counter[tuple[str, str, int | None]]:
    """How often each row stands in the segments, by their folder, its key and seed; a line that was cut is none."""
    rows: Counter[tuple[str, str, int | None]] = Counter()
    for segment in (results / "work").rglob("rows.*.jsonl"):
        for line in segment.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                row = json.loads(line)
                rows[str(segment.parent), row["key"], row["seed"]] += 1
    return rows
