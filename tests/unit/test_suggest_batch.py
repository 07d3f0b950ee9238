"""The global batch of packed rows, from their manifest to the script that trains."""

import argparse
import json
from pathlib import Path

import pytest

import suggest_batch
from openmath.legs import add_leg_arguments, parse_leg_args


def suggest(folder: Path, manifest: object, *options: str) -> dict[str, object]:
    (folder / "packed.json").write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    suggest_batch.main(
        [
            *("--manifest", str(folder / "packed.json"), "--samples", "512", "--data-parallel", "16"),
            *("--micro-batch-size", "1", "--output", str(folder / "out/batch.json"), *options),
        ]
    )
    batch: dict[str, object] = json.loads((folder / "out/batch.json").read_text())
    return batch


def test_a_suggestion_is_a_whole_multiple(tmp_path: Path) -> None:
    assert suggest(tmp_path, {"rows": 10, "sequences": 37}) == {
        "samples_per_batch": 512,
        "sequences_per_row": 3.7,
        "data_parallel_size": 16,
        "micro_batch_size": 1,
        "global_batch_size": 144,
    }
    assert suggest(tmp_path, {"rows": 10, "sequences": 37}, "--micro-batch-size", "4")["global_batch_size"] == 128


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ("{", "packed.json: "),
        ([], "'sequences' is no whole number above 0"),
        ({"rows": 3}, "'sequences' is no whole number above 0"),
        ({"rows": 0, "sequences": 3}, "'rows' is no whole number above 0"),
        ({"rows": 1.5, "sequences": 3}, "'rows' is no whole number above 0"),
    ],
)
def test_what_is_no_manifest_of_packed_rows_is_refused_by_name(tmp_path: Path, manifest: object, reason: str) -> None:
    with pytest.raises(SystemExit, match=reason) as error:
        suggest(tmp_path, manifest)
    assert "packed.json" in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--samples", "--data-parallel", "--micro-batch-size"])
def test_what_cannot_be_a_size_is_refused(tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        suggest(tmp_path, {"rows": 1, "sequences": 1}, option, "0")
    assert f"{option} 0: at least 1" in capsys.readouterr().err


LEG = [
    *("--run", "r", "--leg", "1", "--base-model", "m", "--data", "d", "--packed", "--work", "w", "--output", "o"),
    *("--checkpoints", "c", "--steps", "1", "--save-steps", "1", "--micro-batch-size", "1", "--learning-rate", "1"),
    *("--min-learning-rate", "1", "--schedule", "constant", "--warmup-steps", "0", "--optimizer", "adamw"),
    *("--weight-decay", "0", "--seed", "0"),
]


def leg_args(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_leg_arguments(parser, optimizers=("adamw",))
    return parse_leg_args(parser, [*LEG, *options])


def test_a_leg_takes_its_batch_from_the_file(tmp_path: Path) -> None:
    suggest(tmp_path, {"rows": 10, "sequences": 37})
    assert leg_args("--batch-file", str(tmp_path / "out/batch.json")).global_batch_size == 144
    assert leg_args("--global-batch-size", "7").global_batch_size == 7


@pytest.mark.parametrize("options", [(), ("--batch-file", "batch.json", "--global-batch-size", "4")])
def test_a_leg_wants_one_of_the_two(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        leg_args(*options)
    assert "--global-batch-size" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [None, "{", "[]", "{}", '{"global_batch_size": 138.0}', '{"global_batch_size": 0}', '{"global_batch_size": true}'],
)
def test_a_batch_file_that_says_no_size_is_refused_by_name(
    tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "batch.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit):
        leg_args("--batch-file", str(path))
    assert f"--batch-file {path}: " in capsys.readouterr().err
