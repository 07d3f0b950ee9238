"""Manifests: what is true of a whole file or folder, beside it.

A manifest names where its artefact came from (model, prompt, sampling, source, hashes, versions). It holds no clock and
no host, so the same inputs give the same manifest. A model folder is declared to Snakemake by its manifest, which is
written last: a folder without one is unfinished, and a folder rebuilt with equal bytes has an equal manifest.
"""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from openmath.records import file_sha256, write_json

MANIFEST = "manifest.json"

_PACKAGES = ("openmathinstruct2-workflow", "openai", "sentence-transformers", "tokenizers", "torch", "transformers")


def write_folder_manifest(folder: Path, **facts: Any) -> None:
    """Write ``folder/manifest.json``: the facts given, then the sha256 of each file below it but hidden ones."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    names = sorted(
        file.as_posix()
        for file in files
        if file.name != MANIFEST and not any(part.startswith(".") for part in file.parts)
    )
    write_json(folder / MANIFEST, {**facts, "files": {name: file_sha256(folder / name) for name in names}})


def run_facts() -> dict[str, Any]:
    """The code that ran: the git commit (null outside a checkout) and the versions of what shapes a result."""
    return {"git_commit": _git_commit(), "versions": {"python": platform.python_version(), **_versions()}}


def _git_commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
