"""Running the workflow for real, in a folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from running import Overlay, Run, Workflow


@pytest.fixture(scope="session")
def run_workflow() -> Callable[..., Run]:
    """Call Snakemake on two cores with the miniature's configuration, an overlay, and results below ``folder``."""

    def run(folder: Path, overlay: Overlay | None = None, target: str = "openmath2_metrics.tsv") -> Run:
        return Workflow(folder, overlay or {}, [target]).run()

    return run


@pytest.fixture(scope="session")
def miniature(run_workflow: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The miniature, from nothing to its final table."""
    return run_workflow(tmp_path_factory.mktemp("miniature"))
