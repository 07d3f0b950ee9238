import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import average_checkpoints
from openmath.averaging import AveragingError
from openmath.records import file_sha256


def save(folder, tensors, shards=None):
    """Write a checkpoint: in one file, or in the shards given as lists of names."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    if shards is None:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    places = {}
    for number, names in enumerate(shards, start=1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file({name: tensors[name] for name in names}, folder / file, metadata={"format": "pt"})
        places.update(dict.fromkeys(names, file))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def average(tmp_path, *steps):
    output = tmp_path / "model-averaged-hf"
    average_checkpoints.main(
        [
            *("--checkpoints", str(tmp_path / "checkpoints"), "--steps", *map(str, steps)),
            *("--output-folder", str(output), "--manifest", str(output / "manifest.json")),
        ]
    )
    return output


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("count", [2, 3, 6, 7])
def test_the_average_of_equal_checkpoints_is_the_checkpoint(tmp_path, dtype, count):
    generator = torch.Generator().manual_seed(0)
    tensors = {"w": torch.randn(50, 70, generator=generator).to(dtype), "b": torch.randn(9, generator=generator)}
    for step in range(1, count + 1):
        save(tmp_path / f"checkpoints/step={step}", tensors)
    output = average(tmp_path, *range(1, count + 1))
    assert file_sha256(output / "model.safetensors") == file_sha256(tmp_path / "checkpoints/step=1/model.safetensors")


def test_the_mean_is_rounded_once(tmp_path):
    # 1 + 2**-9 + 2**-9 is 1 when each sum is rounded to bf16; the mean of the exact sum is the bf16 next to 1/3.
    for step, value in enumerate((1.0, 2**-9, 2**-9), start=1):
        save(tmp_path / f"checkpoints/step={step}", {"w": torch.tensor([value], dtype=torch.bfloat16)})
    (mean,) = load_file(average(tmp_path, 1, 2, 3) / "model.safetensors").values()
    assert mean.dtype == torch.bfloat16
    assert mean.item() == torch.tensor((1 + 2**-8) / 3).to(torch.bfloat16).item()


def test_steps_are_matched_as_numbers_and_not_as_text(tmp_path):
    for step, value in ((10, 1.0), (1000, 3.0), (100, 99.0)):
        save(tmp_path / f"checkpoints/step={step}", {"w": torch.tensor([value])})
    assert load_file(average(tmp_path, 10, 1000) / "model.safetensors")["w"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("steps", "message"),
    [((10, 30, 50), "no checkpoint of step 30, 50"), ((10, 20, 10), "named twice"), ((1,), "no checkpoint of step 1$")],
)
def test_steps_that_cannot_be_averaged_are_named(tmp_path, steps, message):
    for step in (10, 20):
        save(tmp_path / f"checkpoints/step={step}", {"w": torch.ones(1)})
    with pytest.raises(AveragingError, match=message):
        average(tmp_path, *steps)
    assert not (tmp_path / "model-averaged-hf/manifest.json").exists()


def test_sharded_weights_keep_the_shards_of_the_first_checkpoint(tmp_path):
    first = {"a": torch.tensor([1.0]), "b": torch.tensor([2.0]), "c": torch.tensor([3.0])}
    second = {name: tensor + 2 for name, tensor in first.items()}
    save(tmp_path / "checkpoints/step=1", first, shards=[["a", "b"], ["c"]])
    save(tmp_path / "checkpoints/step=2", second, shards=[["a"], ["b"], ["c"]])
    output = average(tmp_path, 1, 2)
    assert {name: tensor.item() for name, tensor in load_file(output / "model-00001-of-00002.safetensors").items()} == {
        "a": 2.0,
        "b": 3.0,
    }
    assert load_file(output / "model-00002-of-00002.safetensors")["c"].tolist() == [4.0]
    assert json.loads((output / "model.safetensors.index.json").read_text())["weight_map"]["c"].startswith(
        "model-00002"
    )


def test_weights_left_by_an_earlier_average_are_removed(tmp_path):
    save(tmp_path / "checkpoints/step=1", {"w": torch.ones(1)})
    save(tmp_path / "model-averaged-hf", {"w": torch.ones(1)}, shards=[["w"]])
    output = average(tmp_path, 1)
    assert sorted(path.name for path in output.glob("[!.]*")) == ["config.json", "manifest.json", "model.safetensors"]


def test_the_manifest_names_what_was_averaged(tmp_path):
    for step in (1, 2):
        save(tmp_path / f"checkpoints/step={step}", {"w": torch.ones(step)[:1].clone() * step})
    manifest = json.loads((average(tmp_path, 1, 2) / "manifest.json").read_text())
    assert manifest["steps"] == [1, 2]
    source = tmp_path / "checkpoints/step=2/model.safetensors"
    assert manifest["averaged"]["step=2"] == {"model.safetensors": file_sha256(source)}
    assert set(manifest["files"]) == {"config.json", "model.safetensors"}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"w": torch.ones(2), "n": torch.tensor([8])}, "n holds whole numbers that differ"),
        ({"w": torch.ones(3), "n": torch.tensor([7])}, "w: .* other in"),
        ({"w": torch.ones(2).half(), "n": torch.tensor([7])}, "w: .* other in"),
        ({"w": torch.ones(2)}, "do not hold the same tensors: n"),
    ],
    ids=["a counter differs", "a shape differs", "a type differs", "a tensor is missing"],
)
def test_checkpoints_that_do_not_fit_are_refused(tmp_path, other, message):
    save(tmp_path / "checkpoints/step=1", {"w": torch.ones(2), "n": torch.tensor([7])})
    save(tmp_path / "checkpoints/step=2", other)
    with pytest.raises(AveragingError, match=message):
        average(tmp_path, 1, 2)
