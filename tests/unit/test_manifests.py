"""A folder's manifest says what is in it, and nothing that changes by itself."""

import hashlib
import json
from pathlib import Path

from openmath.manifests import run_facts, write_folder_manifest


def test_a_folder_is_described_by_the_sums_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".cache").mkdir()
    for name in ("b.txt", "sub/a.txt", ".cache/c.txt", ".hidden"):
        (tmp_path / name).write_text(name)
    write_folder_manifest(tmp_path, source="here")
    first = (tmp_path / "manifest.json").read_bytes()
    assert json.loads(first) == {
        "source": "here",
        "files": {name: hashlib.sha256(name.encode()).hexdigest() for name in ("b.txt", "sub/a.txt")},
    }
    write_folder_manifest(tmp_path, source="here")
    assert (tmp_path / "manifest.json").read_bytes() == first


def test_a_run_is_described_by_its_code_alone() -> None:
    facts = run_facts()
    assert facts == run_facts()
    assert set(facts) == {"git_commit", "versions"}
    assert {"python", "openai", "tokenizers"} <= set(facts["versions"])
