"""The checks of form: one test for each tool, so that one command runs them all."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = {
    "ruff finds nothing": ["ruff", "check", "."],
    "ruff would format nothing": ["ruff", "format", "--check", "."],
    "mypy finds nothing": ["mypy"],
    "snakefmt would format nothing": ["snakefmt", "--check", "Snakefile", "rules"],
    "snakemake lints nothing": ["snakemake", "--lint", "--configfile", "config/demo.yaml"],
}


@pytest.mark.parametrize("command", TOOLS.values(), ids=TOOLS)
def test_that(command: list[str], root: Path) -> None:
    program = shutil.which(command[0], path=str(Path(sys.executable).parent)) or command[0]
    done = subprocess.run([program, *command[1:]], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
