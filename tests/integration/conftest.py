"""Running the workflow for real, in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import Run

Overlay = dict[str, Any]


@pytest.fixture(scope="session")
def run_workflow(root: Path) -> Callable[..., Run]:
    """Call Snakemake on two cores with the miniature's configuration, an overlay, and results below ``folder``."""

    def run(folder: Path, overlay: Overlay | None = None, target: str = "openmath2_metrics.tsv") -> Run:
        results = folder / "results"
        paths = {
            "results": results,
            "resources": folder / "resources",
            "logs": folder / "logs",
            "benchmarks": folder / "benchmarks",
        }
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "overlay.yaml"
        config.write_text(
            yaml.safe_dump({**(overlay or {}), "pathvars": {key: str(value) for key, value in paths.items()}})
        )
        overlays = ["--configfile", "config/demo.yaml", str(config)]
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", str(results / target), *overlays],
            cwd=root,
            env={**os.environ, "OPENMATH_LEASES": str(folder / "leases")},
            capture_output=True,
            text=True,
            check=False,
        )
        logs = "".join(
            f"\n== {log}\n{log.read_text()[-2000:]}" for log in sorted((folder / "logs").rglob("*.log"))[-5:]
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:] + logs
        return Run(results, done.stdout + done.stderr)

    return run


@pytest.fixture(scope="session")
def miniature(run_workflow: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The miniature, from nothing to its final table."""
    return run_workflow(tmp_path_factory.mktemp("miniature"))
