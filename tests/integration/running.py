"""What a finished run of the workflow is to a test."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """A finished call of Snakemake: where its results are, and what it said."""

    results: Path
    output: str
