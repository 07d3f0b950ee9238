import json
import logging
import os
import subprocess
import sys
import time

import pytest

import train_leg
from openmath.records import file_sha256, write_jsonl
from openmath.training import saved_steps
from openmath.work_folders import DeadlineError, hold


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "sft_data.jsonl"
    write_jsonl(
        path,
        [
            {
                "input": f"<|bos|><|user|>{a} + {b}?<|end|><|assistant|>",
                "output": f"{a}+{b}={a + b}. Answer \\boxed{{{a + b}}}<|end|>",
                "expected_answer": str(a + b),
            }
            for a in range(5)
            for b in range(4)
        ],
    )
    return path


def arguments(folder, data, base_model, number):
    previous = ["--previous", str(folder / f"legs/{number - 1}.json")] if number > 1 else []
    return [
        *("--run", "student", "--leg", str(number), *previous, "--output", str(folder / f"legs/{number}.json")),
        *("--base-model", str(base_model), "--data", str(data), "--unpacked"),
        *("--work", str(folder / "work"), "--checkpoints", str(folder / "checkpoints")),
        *("--steps", "6", "--save-steps", "2", "--micro-batch-size", "2", "--global-batch-size", "4"),
        *("--learning-rate", "1e-3", "--min-learning-rate", "1e-4", "--schedule", "cosine"),
        *("--warmup-steps", "1", "--optimizer", "adamw", "--weight-decay", "0.01", "--seed", "1"),
    ]


@pytest.fixture
def leg(tmp_path, data, tiny_model):
    """Run a leg in ``tmp_path`` and return what it wrote."""

    def run(number, *options):
        train_leg.main([*arguments(tmp_path, data, tiny_model, number), *options])
        return json.loads((tmp_path / f"legs/{number}.json").read_text())

    return run


def test_two_legs_end_with_the_weights_of_one(leg, tmp_path):
    assert leg(1, "--leg-steps", "3") == {"leg": 1, "step": 3, "finished": False, "checkpoints": [2]}
    assert leg(2) == {"leg": 2, "step": 6, "finished": True, "checkpoints": [2, 4, 6]}
    in_two = file_sha256(tmp_path / "checkpoints/step=6/model.safetensors")
    one = ("--work", str(tmp_path / "work1"), "--checkpoints", str(tmp_path / "checkpoints1"))
    assert leg(1, *one)["finished"]
    assert file_sha256(tmp_path / "checkpoints1/step=6/model.safetensors") == in_two


def test_the_last_step_is_saved_though_it_is_no_multiple(leg):
    assert leg(1, "--steps", "5") == {"leg": 1, "step": 5, "finished": True, "checkpoints": [2, 4, 5]}


def test_a_leg_saves_and_ends_at_its_deadline(leg, tmp_path):
    assert leg(1, "--deadline-minutes", "0") == {"leg": 1, "step": 1, "finished": False, "checkpoints": []}
    assert saved_steps(tmp_path / "work/state") == [1]


def test_a_run_that_is_finished_is_not_trained_again(leg, tmp_path, monkeypatch):
    leg(1)
    (tmp_path / "legs/1.json").unlink()
    monkeypatch.setattr(train_leg, "run_leg", lambda *args: pytest.fail("trained again"))
    assert leg(1) == {"leg": 1, "step": 6, "finished": True, "checkpoints": [2, 4, 6]}
    assert leg(2) == {"leg": 2, "step": 6, "finished": True, "checkpoints": [2, 4, 6]}


def test_a_leg_that_came_to_its_end_is_not_trained_further(leg, tmp_path, monkeypatch):
    first = leg(1, "--leg-steps", "3")
    (tmp_path / "legs/1.json").unlink()
    monkeypatch.setattr(train_leg, "run_leg", lambda *args: pytest.fail("trained again"))
    assert leg(1, "--leg-steps", "3") == first


def held(folder):
    """Whether an attempt is at work in a work folder."""
    try:
        with hold(folder, time.monotonic()):
            return False
    except DeadlineError:
        return True


def test_an_attempt_beside_an_orphan_waits_for_it_and_trains_nothing_again(
    leg, tmp_path, data, tiny_model, root, monkeypatch, caplog
):
    command = [sys.executable, str(root / "scripts/train_leg.py"), *arguments(tmp_path, data, tiny_model, 1)]
    with subprocess.Popen([*command, "--leg-steps", "3"]) as orphan:
        while not held(tmp_path / "work"):
            assert orphan.poll() is None
            time.sleep(0.05)
        monkeypatch.setattr(train_leg, "run_leg", lambda *args: pytest.fail("trained again"))
        with caplog.at_level(logging.INFO):
            assert leg(1, "--leg-steps", "3") == {"leg": 1, "step": 3, "finished": False, "checkpoints": [2]}
    assert orphan.returncode == 0
    assert sum("waiting for another attempt" in message for message in caplog.messages) == 1


def test_an_attempt_that_waits_gives_up_at_its_deadline(leg, tmp_path):
    with (
        hold(tmp_path / "work"),
        pytest.raises(SystemExit, match="train_leg: the time is up; another attempt is still at work in"),
    ):
        leg(1, "--deadline-minutes", "0")
    assert not (tmp_path / "legs/1.json").exists()


def test_a_leg_without_progress_fails(leg, tmp_path, monkeypatch):
    leg(1, "--leg-steps", "2")
    monkeypatch.setattr(train_leg, "run_leg", lambda args, last_step, deadline: train_leg.state_step(args.work))
    with pytest.raises(SystemExit, match="leg 2 made no progress: it ended at step 2"):
        leg(2)
    assert not (tmp_path / "legs/2.json").exists()


def test_a_leg_whose_state_is_gone_fails(leg, tmp_path):
    leg(1, "--leg-steps", "2")
    with pytest.raises(SystemExit, match="holds the state of step 0, but leg 1 came to step 2"):
        leg(2, "--work", str(tmp_path / "elsewhere"))


def test_rows_longer_than_the_model_reads_are_left_out(data, tiny_model):
    from openmath.tokenization import load_tokenizer
    from openmath.training import read_answer_rows

    tokenizer = load_tokenizer(tiny_model)
    lengths = read_answer_rows(data, tokenizer, 1000).lengths
    longest = int(lengths.max())
    assert len(read_answer_rows(data, tokenizer, longest - 1)) == 20
    assert len(read_answer_rows(data, tokenizer, longest - 2)) == int((lengths < longest).sum())


@pytest.mark.slow
def test_two_processes_share_a_batch_and_end_with_the_weights_of_one(leg, tmp_path, data, tiny_model, root):
    import torch
    from safetensors.torch import load_file

    leg(1)
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--", str(root / "scripts/train_leg.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(
        [sys.executable, *command, *arguments(tmp_path / "two", data, tiny_model, 1)], env=environment, check=True
    )
    one, two = (load_file(folder / "checkpoints/step=6/model.safetensors") for folder in (tmp_path, tmp_path / "two"))
    assert json.loads((tmp_path / "two/legs/1.json").read_text())["checkpoints"] == [2, 4, 6]
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("number", "previous"), [("1", ["--previous", "legs/0.json"]), ("2", [])])
def test_only_the_first_leg_has_no_leg_before_it(number, previous, capsys):
    with pytest.raises(SystemExit):
        train_leg.main(
            [
                *("--run", "r", "--leg", number, *previous, "--base-model", "m", "--data", "d", "--packed"),
                *("--work", "w", "--output", "o", "--checkpoints", "c", "--steps", "1", "--save-steps", "1"),
                *("--micro-batch-size", "1", "--global-batch-size", "1", "--learning-rate", "1"),
                *("--min-learning-rate", "1", "--schedule", "constant", "--warmup-steps", "0"),
                *("--optimizer", "adamw", "--weight-decay", "0", "--seed", "0"),
            ]
        )
    assert "--previous belongs to every leg but the first" in capsys.readouterr().err
