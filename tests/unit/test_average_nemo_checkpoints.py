"""The average of NeMo checkpoints, through a stand-in of NeMo-Skills' script (stand_ins.py)."""

import json
from pathlib import Path

import pytest
from stand_ins import environment, read_calls, write_checkout, write_programs

import average_nemo_checkpoints


class Place:
    """Checkpoints whose one weight is a number, a checkout and the programs of a job."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.checkout = write_checkout(folder / "nemo-skills")
        self.programs = write_programs(folder / "bin", self.checkout)
        self.calls_file = folder / "calls.jsonl"
        self.base = folder / "nemo"
        self.base.mkdir()
        for name in ("model_config.yaml", "manifest.json", "tokenizer.json"):
            (self.base / name).write_text('{"source": "the base model"}')
        self.output = folder / "model-averaged-nemo"

    def save(self, step: int, weight: float) -> None:
        name = f"megatron_gpt_sft--val_loss=0.345-step={step}-consumed_samples=1-epoch=0"
        weights = self.folder / "work" / name / "model_weights/w"
        weights.mkdir(parents=True)
        (weights / "0").write_text(str(weight))
        (self.folder / "checkpoints").mkdir(exist_ok=True)
        (self.folder / f"checkpoints/step={step}").symlink_to(f"../work/{name}")

    def average(self, *steps: int, more: tuple[str, ...] = ()) -> dict:
        average_nemo_checkpoints.main(
            [
                *("--checkpoints", f"{self.folder}/checkpoints", "--steps", *map(str, steps)),
                *("--base-model", str(self.base), "--checkout", str(self.checkout)),
                *("--output-folder", str(self.output), "--manifest", f"{self.output}/manifest.json", *more),
            ]
        )
        return json.loads((self.output / "manifest.json").read_text())

    def mean(self) -> float:
        return float((self.output / "model_weights/w/0").read_text())


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Place(tmp_path)
    for name, value in environment(place.programs, place.calls_file).items():
        monkeypatch.setenv(name, value)
    return place


def test_each_checkpoint_counts_once_though_its_name_begins_another(place):
    for step, weight in ((1000, 1.0), (10000, 4.0), (100, 100.0), (10, 1000.0)):
        place.save(step, weight)
    manifest = place.average(1000, 10000)
    assert place.mean() == 2.5
    assert manifest["steps"] == [1000, 10000]
    assert manifest["averaged"] == {
        f"step={step}": f"megatron_gpt_sft--val_loss=0.345-step={step}-consumed_samples=1-epoch=0"
        for step in (1000, 10000)
    }


def test_the_average_is_a_model_folder_with_its_own_manifest(place):
    place.save(1, 1.0)
    manifest = place.average(1)
    assert set(manifest["files"]) == {"model_config.yaml", "tokenizer.json", "model_weights/w/0"}
    assert manifest["source"] == "average of NeMo checkpoints"  # and not the base model's, which the script copies
    assert sorted(path.name for path in place.output.glob(".*")) == [".lock"]
    assert not (place.folder / "work/model-averaged").exists()
    (call,) = read_calls(place.calls_file)
    assert call["argv"][:3] == ["--untarred_nemo_dir", str(place.base), "--name_prefix=model"]


def test_the_option_of_the_base_model_is_the_one_that_the_checkout_has(place):
    script = place.checkout / "checkout/nemo_skills/training/average_checkpoints.py"
    script.write_text(script.read_text().replace("untarred_nemo_dir", "untarred_nemo_folder"))
    place.save(1, 1.0)
    place.average(1)
    assert "--untarred_nemo_folder" in read_calls(place.calls_file)[0]["argv"]
    script.write_text("import sys")
    with pytest.raises(SystemExit, match="has no option --untarred_nemo_dir or --untarred_nemo_folder"):
        place.average(1)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((10, 30, 50), "no checkpoint of step 30, 50$"),
        ((10, 20, 10), "named twice"),
        ((1,), "no checkpoint of step 1$"),
    ],
)
def test_steps_that_cannot_be_averaged_are_named(place, steps, message):
    for step in (10, 20):
        place.save(step, 1.0)
    with pytest.raises(SystemExit, match=f"average_nemo_checkpoints: .*{message}"):
        place.average(*steps)
    assert not place.output.exists()


def test_a_link_to_a_checkpoint_that_nemo_deleted_is_no_checkpoint(place):
    place.save(10, 1.0)
    (place.folder / "work").rename(place.folder / "gone")
    with pytest.raises(SystemExit, match="holds no checkpoint of step 10"):
        place.average(10)


def test_a_failure_leaves_no_finished_folder_and_is_made_good(place, monkeypatch):
    place.save(1, 1.0)
    place.save(2, 2.0)
    monkeypatch.setenv("STAND_IN_FAIL", "average_checkpoints")
    with pytest.raises(SystemExit, match=r"averaging ended with status 3; the end of its log:\n(.*\n)*line 39"):
        place.average(1, 2)
    assert list(place.output.glob("[!.]*")) == []
    monkeypatch.delenv("STAND_IN_FAIL")
    place.average(1, 2)
    assert place.mean() == 1.5
    assert list(place.output.glob(".*.part")) == []


def test_the_base_models_manifest_does_not_finish_the_average(place, monkeypatch):
    """The script copies it; the job ends before it has written its own."""
    place.save(1, 1.0)

    def killed(folder, **facts):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(average_nemo_checkpoints, "write_folder_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            place.average(1)
    assert place.mean() == 1.0
    assert not (place.output / "manifest.json").exists()
    assert place.average(1)["steps"] == [1]
    assert len(read_calls(place.calls_file)) == 1


def test_other_steps_replace_the_average_and_the_same_steps_do_not(place):
    for step in (1, 2, 4):
        place.save(step, float(step))
    assert place.average(1, 2) == place.average(1, 2)
    assert len(read_calls(place.calls_file)) == 1
    place.average(2, 4)
    assert place.mean() == 3.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pass", "the script made 0 folders"),
        (
            "for name in 'ab': (folder / f'model{name}-averaged').mkdir()",
            "the script made 2 folders",
        ),
        ("(folder / 'model-averaged').mkdir()", "the average has no model_config.yaml"),
    ],
)
def test_a_script_that_makes_something_else_is_not_believed(place, text, message):
    head = (
        "# --untarred_nemo_dir\nimport sys\nfrom pathlib import Path\nfolder = Path(sys.argv[-1].partition('=')[2])\n"
    )
    (place.checkout / "checkout/nemo_skills/training/average_checkpoints.py").write_text(head + text)
    place.save(1, 1.0)
    with pytest.raises(SystemExit, match=message):
        place.average(1)
    assert not (place.output / "manifest.json").exists()


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("nemo/manifest.json", "nemo is no finished model folder"),
        ("bin/python", "the program 'python' is not found in this job: NeMo is missing"),
        ("nemo-skills/checkout/nemo_skills/training/average_checkpoints.py", "has no nemo_skills/training/average_ch"),
    ],
)
def test_what_is_missing_is_named(place, removed, message):
    place.save(1, 1.0)
    (place.folder / removed).unlink()
    with pytest.raises(SystemExit, match=f"^average_nemo_checkpoints: .*{message}"):
        place.average(1)
    assert not place.output.exists()


def test_the_launcher_stands_before_the_command(place, capfd):
    place.save(1, 1.0)
    launcher = json.dumps([str(place.programs / "launch"), "g{gpus}", "t{tasks}"])
    place.average(1, more=("--launcher", launcher, "--num-gpus", "8"))
    assert "launched g8 t1" in capfd.readouterr().err
