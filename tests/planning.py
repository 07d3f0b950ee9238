"""Dry runs, and what they say: how many jobs of which rule, in which groups, with which resources."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def snakemake(
    *arguments: str, root: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the Snakemake of this environment in the repository."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=root,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Plan:
    """What a dry run printed."""

    output: str

    @property
    def jobs(self) -> dict[str, int]:
        """Jobs by rule, as Snakemake counts them; nothing where nothing is to be done."""
        if "Job stats:" not in self.output:
            return {}
        lines = self.output.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
        return {line.split()[0]: int(line.split()[1]) for line in lines if not line.startswith("total")}

    @property
    def groups(self) -> Counter[str]:
        """Jobs by the name of the group in which they are submitted."""
        return Counter(group for group, _, _ in self._jobs() if group)

    @property
    def resources(self) -> dict[str, list[dict[str, str]]]:
        """The different resources of each rule's jobs."""
        found: dict[str, list[dict[str, str]]] = {}
        for _, rule, resources in self._jobs():
            if resources not in found.setdefault(rule, []):
                found[rule].append(resources)
        return found

    def _jobs(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        group = rule = ""
        for line in self.output.splitlines():
            if named := re.search(r"Group job (\S+)", line):
                group = named[1]
            elif named := re.match(r"( *)(?:localrule|rule|checkpoint) (\w+):", line):
                group, rule = group if named[1] else "", named[2]
            elif line.lstrip().startswith("resources: "):
                words = line.partition("resources: ")[2].split(", ")
                yield group, rule, dict(word.partition("=")[::2] for word in words)


def plan(*arguments: str, root: Path) -> Plan:
    """A dry run that succeeds."""
    done = snakemake("-n", *arguments, root=root)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    planned = Plan(done.stdout)
    assert planned.jobs or "Nothing to be done" in done.stdout + done.stderr, done.stdout[-3000:]
    return planned
