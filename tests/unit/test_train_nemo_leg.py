"""Legs with NeMo-Aligner, through a stand-in of the trainer that saves as NeMo does (stand_ins.py)."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_ins import LATER_REVISION, environment, read_calls, write_checkout, write_programs

import train_nemo_leg


class Place:
    """A run of 10 steps that saves every 4, with a checkout and the programs of a job."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.checkout = write_checkout(folder / "nemo-skills")
        self.programs = write_programs(folder / "bin", self.checkout)
        self.calls_file = folder / "calls.jsonl"
        self.variables = environment(self.programs, self.calls_file)
        (folder / "nemo").mkdir()
        (folder / "nemo/manifest.json").write_text("{}")
        (folder / "sft_data.jsonl").write_text('{"input": "a", "output": "b"}\n')
        self.states = folder / "work/training/checkpoints"

    def words(self, number: int, *more: str) -> list[str]:
        previous = ["--previous", f"{self.folder}/legs/{number - 1}.json"] if number > 1 else []
        data = [] if "--packed" in more else ["--unpacked", "--data", f"{self.folder}/sft_data.jsonl"]
        return [
            *("--run", "student", "--leg", str(number), *previous, "--output", f"{self.folder}/legs/{number}.json"),
            *("--base-model", f"{self.folder}/nemo", *data, "--checkout", str(self.checkout)),
            *("--work", f"{self.folder}/work", "--checkpoints", f"{self.folder}/checkpoints"),
            *("--steps", "10", "--save-steps", "4", "--micro-batch-size", "1", "--global-batch-size", "4"),
            *("--learning-rate", "2e-5", "--min-learning-rate", "0", "--schedule", "constant", "--warmup-steps", "0"),
            *("--optimizer", "adamw", "--weight-decay", "0.01", "--seed", "1", "--precision", "bf16"),
            *("--num-nodes", "1", "--num-gpus", "2", "--tensor-parallel", "1", "--pipeline-parallel", "1"),
            *("--context-parallel", "1", "--max-seq-length", "4096", *more),
        ]

    def leg(self, number: int, *more: str) -> dict:
        train_nemo_leg.main(self.words(number, *more))
        return json.loads((self.folder / f"legs/{number}.json").read_text())

    def links(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "checkpoints").iterdir())


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Place(tmp_path)
    for name, value in place.variables.items():
        monkeypatch.setenv(name, value)
    for name in ("WANDB_API_KEY", "CUDA_DEVICE_MAX_CONNECTIONS", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    return place


def test_a_run_in_one_leg_saves_its_multiples_and_its_last_step(place):
    assert place.leg(1) == {"leg": 1, "step": 10, "finished": True, "checkpoints": [4, 8, 10]}
    assert place.links() == ["step=10", "step=4", "step=8"]
    assert (place.folder / "checkpoints/step=8/model_weights/w/0").read_text() == "8"


def test_a_leg_goes_on_where_the_last_one_ended(place, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEPS", "5")
    assert place.leg(1) == {"leg": 1, "step": 5, "finished": False, "checkpoints": [4, 5]}
    assert place.leg(2) == {"leg": 2, "step": 10, "finished": True, "checkpoints": [4, 5, 8, 10]}


def test_the_trainer_is_started_from_the_checkout_with_its_environment(place):
    place.leg(1, "--deadline-minutes", "90", "--overrides", '{"model.sequence_parallel": true, "model.extra": 1}')
    (call,) = read_calls(place.calls_file)
    assert call["cwd"] == str(place.checkout / "checkout")
    assert call["environment"] == {
        "PYTHONPATH": str(place.checkout / "checkout"),
        "CUDA_DEVICE_MAX_CONNECTIONS": "1",
        "HYDRA_FULL_ERROR": "1",
    }
    given = dict(word.split("=", 1) for word in call["argv"])
    assert given["model.restore_from_path"] == f"'{place.folder}/nemo'"
    assert given["model.data.train_ds.file_path"] == f"'{place.folder}/sft_data.jsonl'"
    assert given["trainer.devices"] == "2"
    assert given["model.sequence_parallel"] == "True"
    assert given["++model.extra"] == "1"
    assert given["++exp_manager.max_time_per_run"] in ("'00:01:30:00'", "'00:01:29:59'", "'00:01:29:58'")
    assert given["exp_manager.create_wandb_logger"] == "False"


def test_a_later_leg_must_find_its_checkpoint_and_the_first_need_not(place, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEPS", "5")
    place.leg(1)
    place.leg(2)
    ignored = [word for call in read_calls(place.calls_file) for word in call["argv"] if "resume_ignore" in word]
    assert [word.partition("=")[2] for word in ignored] == ["True", "False"]


def test_weights_and_biases_gets_the_logs_where_there_is_a_key_which_is_never_written(place, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setenv("WANDB_API_KEY", "secret-of-somebody")
    place.leg(1)
    (call,) = read_calls(place.calls_file)
    assert "exp_manager.create_wandb_logger=True" in call["argv"]
    assert "running: sh -c" in caplog.text
    assert "secret-of-somebody" not in caplog.text + json.dumps(call)


def test_the_launcher_starts_a_process_on_every_gpu(place, capfd):
    words = ["--num-nodes", "2", "--num-gpus", "8", "--tensor-parallel", "4"]
    launcher = json.dumps([str(place.programs / "launch"), "n{nodes}-g{gpus}", "t{tasks}"])
    place.leg(1, *words, "--launcher", launcher)
    assert "launched n2-g8 t16" in capfd.readouterr().err
    (call,) = read_calls(place.calls_file)
    assert call["cwd"] == str(place.checkout / "checkout")


def test_packed_rows_are_trained_from_a_later_checkout(place):
    for part in ("input_ids", "loss_mask", "seq_start_id"):
        (place.folder / f"packed_4096_seed0.{part}.npy").touch()
    words = ["--packed", "--data", f"{place.folder}/packed_4096_seed0"]
    with pytest.raises(SystemExit, match=r"train_nemo_leg: .* no key model\.data\.train_ds\.packed_sequence"):
        place.leg(1, *words)
    later = write_checkout(place.folder / "later", LATER_REVISION)
    place.leg(1, *words, "--checkout", str(later))
    (call,) = read_calls(place.calls_file)
    assert f"model.data.train_ds.file_path='{place.folder}/packed_4096_seed0.npy'" in call["argv"]
    assert "model.data.train_ds.packed_sequence=True" in call["argv"]


def test_a_failure_ends_with_the_last_lines_of_the_trainer(place, monkeypatch):
    monkeypatch.setenv("STAND_IN_FAIL", "start_sft")
    with pytest.raises(SystemExit, match="NeMo-Aligner ended with status 3") as caught:
        place.leg(1)
    assert "CUDA out of memory" in str(caught.value).splitlines()
    assert not (place.folder / "legs/1.json").exists()
    monkeypatch.delenv("STAND_IN_FAIL")
    assert place.leg(1)["step"] == 10  # what was half written is gone
    assert [path.name for path in place.states.iterdir() if path.name.endswith("-unfinished")] == []


def test_a_trainer_that_ends_without_a_checkpoint_made_no_progress(place, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEPS", "0")
    with pytest.raises(SystemExit, match="train_nemo_leg: leg 1 made no progress: it ended at step 0"):
        place.leg(1)
    monkeypatch.setenv("STAND_IN_STEPS", "5")
    place.leg(1)
    monkeypatch.setenv("STAND_IN_STEPS", "0")
    with pytest.raises(SystemExit, match="leg 2 made no progress: it ended at step 5, where it began"):
        place.leg(2)
    assert not (place.folder / "legs/2.json").exists()


def test_a_run_that_is_finished_is_not_trained_again_and_needs_no_nemo(place):
    place.leg(1)
    (place.folder / "legs/1.json").unlink()
    shutil.rmtree(place.checkout / "checkout/nemo_aligner")
    assert place.leg(1) == {"leg": 1, "step": 10, "finished": True, "checkpoints": [4, 8, 10]}
    assert place.leg(2)["finished"]
    assert len(read_calls(place.calls_file)) == 1


def test_a_leg_whose_state_is_gone_fails(place, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEPS", "5")
    place.leg(1)
    with pytest.raises(SystemExit, match="holds the state of step 0, but leg 1 came to step 5"):
        place.leg(2, "--work", f"{place.folder}/elsewhere")


def has_ended(process: int) -> bool:
    """Whether a process is gone, or waits as a zombie for its parent."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_leg_that_is_killed_while_it_saves_goes_on_from_the_state_before(place, monkeypatch, number):
    monkeypatch.setenv("STAND_IN_STEPS", "5")
    place.leg(1)
    job = subprocess.Popen(
        [sys.executable, train_nemo_leg.__file__, *place.words(2)],
        env={**os.environ, "STAND_IN_HANG": "start_sft"},
    )
    deadline = time.monotonic() + 20
    while not read_calls(place.calls_file)[-1].get("hanging"):
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    trainer = read_calls(place.calls_file)[-1]["pid"]
    job.send_signal(number)
    job.wait(20)
    while not has_ended(trainer):
        assert time.monotonic() < deadline, "the trainer outlived the leg"
        time.sleep(0.02)
    assert not (place.folder / "legs/2.json").exists()
    assert [path.name for path in place.states.iterdir() if path.name.endswith("-unfinished")] != []
    assert place.leg(2) == {"leg": 2, "step": 10, "finished": True, "checkpoints": [4, 5, 8, 10]}


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("bin/python", "the program 'python' is not found in this job: NeMo is missing"),
        ("nemo-skills/checkout/nemo_aligner", "python has no package 'nemo_aligner': NeMo is missing"),
        ("nemo-skills/manifest.json", "nemo-skills is no finished checkout"),
        ("nemo-skills/checkout/nemo_skills/training/sft_config.yaml", "has no nemo_skills/training/sft_config.yaml"),
        ("nemo/manifest.json", "nemo: no finished model folder"),
        ("sft_data.jsonl", "there is no file .*sft_data.jsonl"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_started(place, removed, message):
    path = place.folder / removed
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(SystemExit, match=f"^train_nemo_leg: .*{message}"):
        place.leg(1)
    assert read_calls(place.calls_file) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num-nodes", "2"], "--num-nodes 2: several nodes need a launcher"),
        (["--tensor-parallel", "4"], "2 GPUs are no multiple of --tensor-parallel 4"),
        (["--launcher", '["srun"]'], "the launcher 'srun' is not found in this job"),
        (["--deadline-minutes", "-5"], "--deadline-minutes -5: no time is left to train"),
        (["--overrides", '{"a": {}}'], "an override must be a text, a number"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(place, words, message):
    with pytest.raises(SystemExit, match=f"^train_nemo_leg: {message}"):
        place.leg(1, *words)
    assert read_calls(place.calls_file) == []


def test_an_epoch_that_is_too_short_is_seen_by_the_counts_beside_the_rows(place):
    (place.folder / "sft_data.counts.json").write_text('{"rows_in": 9, "rows_out": 3}')
    with pytest.raises(SystemExit, match=r"--steps 10: .* has 3 rows, 0 steps of 4 an epoch"):
        place.leg(1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--leg-steps", "5"], "--leg-steps: NeMo ends a leg by its time alone"),
        (["--previous", "legs/0.json"], "--previous belongs to every leg but the first"),
        (["--optimizer", "muon"], "invalid choice: 'muon'"),
        (["--overrides", "[]"], "must be a JSON object"),
        (["--launcher", '"srun"'], "must be a JSON list of words"),
    ],
)
def test_options_that_nemo_does_not_have_are_refused(place, words, message, capsys):
    with pytest.raises(SystemExit):
        train_nemo_leg.parse_args(place.words(1, *words))
    assert message in capsys.readouterr().err


def test_the_options_are_those_of_the_other_back_end_and_more(place):
    """What the rule says to both is understood by both."""
    import train_leg

    shared = place.words(1)
    shared = shared[: shared.index("--num-nodes")]
    index = shared.index("--checkout")
    other = vars(train_leg.parse_args(shared[:index] + shared[index + 2 :]))
    ours = vars(train_nemo_leg.parse_args(place.words(1)))
    assert set(other) - set(ours) == {"clip"}
    assert {key: ours[key] for key in other if key != "clip"} == {key: other[key] for key in other if key != "clip"}
