"""The configuration of a run with NeMo-Aligner, held against the real one; NeMo's checkpoints."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from stand_ins import LATER_REVISION, REVISION, sft_keys, write_checkout

from openmath import nemo_aligner
from openmath.nemo_aligner import ADDED, NemoError, Run
from openmath.programs import read_checkout

PAPER = Run(
    name="openmath2-llama3.1-8b",
    base_model=Path("/models/nemo"),
    data=Path("/results/sft_data.jsonl"),
    packed=False,
    work=Path("/results/work"),
    steps=60000,
    save_steps=10000,
    global_batch_size=512,
    micro_batch_size=4,
    learning_rate=2e-5,
    min_learning_rate=0.0,
    schedule="constant",
    warmup_steps=0,
    weight_decay=0.01,
    precision="bf16",
    seed=1234,
    num_nodes=8,
    num_gpus=8,
    tensor_parallel=4,
    pipeline_parallel=1,
    context_parallel=1,
    max_seq_length=4096,
    max_minutes=200.0,
)
PACKED = dataclasses.replace(PAPER, packed=True, data=Path("/results/packed_4096_seed0"), micro_batch_size=1)
WITHOUT_A_PART = ("model.peft.restore_from_path", "model.peft.lora_tuning.", "model.data.system_token")
WITHOUT_A_PART += ("model.data.chat_prompt_tokens.",)


def config(run: Run = PAPER, resumed: bool = False, wandb: bool = False) -> dict:
    return nemo_aligner.sft_config(run, resumed, wandb)


@pytest.mark.parametrize("wandb", [True, False])
def test_every_key_is_written_out_and_is_one_of_the_real_ones(wandb):
    real = {key for key in sft_keys(REVISION) if not key.startswith(WITHOUT_A_PART)}
    assert set(config(wandb=wandb)) - set(ADDED) == real


@pytest.mark.parametrize("run", [PACKED, dataclasses.replace(PACKED, context_parallel=2)])
def test_every_key_of_a_packed_run_is_one_of_a_later_checkout(run):
    keys = set(config(run)) - set(ADDED)
    assert keys <= set(sft_keys(LATER_REVISION))
    assert keys - set(sft_keys(REVISION)) == {
        "model.data.train_ds.packed_sequence",
        "model.data.validation_ds.packed_sequence",
    }


def test_what_the_paper_does_not_say_has_the_value_of_the_pinned_commit():
    """All values that differ from the defaults are those of the run, and the three that the module explains."""
    written = {key: nemo_aligner.hydra_value(value).strip("'") for key, value in config().items()}
    references = {
        "${.save_interval}": "10000",
        "${.sft.max_epochs}": "100",
        "${.sft.max_steps}": "60000",
        "${name}": written["exp_manager.name"],
        "${model.tensor_model_parallel_size}": "4",
        "${model.optim.lr}": "2e-05",
    }
    references |= {f"${{model.data.train_ds.{key}}}": written[f"model.data.train_ds.{key}"] for key in (
        "global_batch_size", "micro_batch_size", "memmap_workers", "max_seq_length", "label_key", "add_eos", "add_sep",
        "add_bos", "truncation_field", "prompt_template",
    )}  # fmt: skip
    defaults = {key: references.get(value, value).replace(", ", ",") for key, value in sft_keys(REVISION).items()}
    name = "exp_manager.checkpoint_callback_params."
    defaults[f"{name}filename"] = defaults[f"{name}filename"].replace(f"${{{name}monitor}}", "val_loss")
    differing = {key for key, value in written.items() if key in defaults and defaults[key] != value}
    assert differing == {
        *("trainer.num_nodes", "trainer.devices", "trainer.sft.max_epochs", "trainer.sft.max_steps"),
        *("trainer.sft.save_interval", "exp_manager.explicit_log_dir", "exp_manager.exp_dir", f"{name}save_top_k"),
        *("model.tensor_model_parallel_size", "model.restore_from_path", "model.optim.lr"),
        *(
            f"model.data.{half}_ds.{key}"
            for half in ("train", "validation")
            for key in ("file_path", "index_mapping_dir")
        ),
        "model.data.train_ds.micro_batch_size",
    }


def test_the_steps_end_a_run_and_not_the_epochs():
    written = config()
    assert (written["trainer.sft.max_steps"], written["trainer.sft.max_epochs"]) == (60000, 100)
    assert written["trainer.sft.save_interval"] % written["trainer.sft.val_check_interval"] == 0
    saved = written["trainer.sft.max_steps"] // written["trainer.sft.save_interval"]
    assert written["exp_manager.checkpoint_callback_params.save_top_k"] >= saved + 50


@pytest.mark.parametrize(("schedule", "lowest"), [("constant", 2e-5), ("cosine", 0.0)])
def test_a_constant_rate_is_a_cosine_that_ends_where_it_begins(schedule, lowest):
    written = config(dataclasses.replace(PAPER, schedule=schedule))
    assert written["model.optim.sched.name"] == "CosineAnnealing"
    assert (written["model.optim.lr"], written["model.optim.sched.min_lr"]) == (2e-5, lowest)


def test_nothing_is_written_beside_the_data():
    written = config()
    assert written["model.data.train_ds.index_mapping_dir"] == "/results/work/index"
    assert written["exp_manager.exp_dir"] == "/results/work/training"


def test_packed_rows_are_told_by_a_file_that_need_not_exist():
    written = config(PACKED)
    assert written["model.data.train_ds.file_path"] == "/results/packed_4096_seed0.npy"
    assert written["model.data.train_ds.packed_sequence"] is True


def test_fp32_is_not_trained_in_half_precision():
    written = config(dataclasses.replace(PAPER, precision="fp32"))
    assert (written["trainer.precision"], written["model.megatron_amp_O2"]) == (32, False)


def test_a_resumed_run_does_not_begin_anew_without_its_checkpoint():
    assert config(resumed=False)["exp_manager.resume_ignore_no_checkpoint"] is True
    assert config(resumed=True)["exp_manager.resume_ignore_no_checkpoint"] is False


def test_the_logs_go_to_one_place():
    with_key, without = config(wandb=True), config(wandb=False)
    assert with_key["exp_manager.create_wandb_logger"] is not with_key["exp_manager.create_tensorboard_logger"]
    assert with_key["exp_manager.wandb_logger_kwargs.id"] == PAPER.name
    assert without["exp_manager.create_wandb_logger"] is False
    assert without["exp_manager.create_tensorboard_logger"] is True


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (None, "10000:00:00:00"),
        (14, "00:00:14:00"),
        (200, "00:03:20:00"),
        (2880.5, "02:00:00:30"),
        (0.99, "00:00:00:59"),
    ],
)
def test_a_time_has_the_four_parts_that_nemo_reads(minutes, text):
    assert nemo_aligner.duration(minutes) == text


# The command line.


@pytest.fixture
def checkout(tmp_path):
    return read_checkout(write_checkout(tmp_path / "nemo-skills"))


def test_keys_that_the_configuration_lacks_are_added(checkout):
    words = nemo_aligner.training_words(checkout, config(), {})
    assert words[:3] == ["python", "-m", "nemo_skills.training.start_sft"]
    assert words[3:5] == ["--config-name=sft_config", f"--config-path={checkout.folder}/nemo_skills/training"]
    added = {word.removeprefix("++").partition("=")[0] for word in words if word.startswith("++")}
    assert added == {"exp_manager.max_time_per_run", "exp_manager.create_tensorboard_logger"}
    assert "++exp_manager.max_time_per_run='00:03:20:00'" in words
    assert "model.optim.lr=2e-05" in words
    assert "model.data.train_ds.prompt_template='{input}{output}'" in words


def test_an_override_takes_the_place_of_ours(checkout):
    words = nemo_aligner.training_words(checkout, config(), {"model.seed": 7, "model.new_key": ["a", None]})
    assert [word for word in words if "model.seed" in word] == ["model.seed=7"]
    assert words[-1] == "++model.new_key=['a',null]"


def test_a_checkout_that_would_ignore_a_value_is_refused(checkout, tmp_path):
    with pytest.raises(NemoError, match=r"no key model\.data\.train_ds\.packed_sequence, .*: packed rows came with"):
        nemo_aligner.training_words(checkout, config(PACKED), {})
    later = read_checkout(write_checkout(tmp_path / "later", LATER_REVISION))
    assert "model.data.train_ds.packed_sequence=True" in nemo_aligner.training_words(later, config(PACKED), {})


def test_a_trainer_that_does_not_know_context_parallelism_is_refused(checkout):
    run = dataclasses.replace(PAPER, context_parallel=2)
    with pytest.raises(NemoError, match=r"--context-parallel 2: .*start_sft\.py does not read context_parallel_size"):
        nemo_aligner.check_context_parallel(run, checkout)
    trainer = checkout.folder / "nemo_skills/training/start_sft.py"
    trainer.write_text("gpt_cfg.context_parallel_size = 1\n")
    nemo_aligner.check_context_parallel(run, checkout)
    assert "++model.context_parallel_size=2" in nemo_aligner.training_words(checkout, config(run), {})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", "''"),
        ("a=b,{c}", "'a=b,{c}'"),
        ("it's", r"'it\'s'"),
        ("a\\", "'a\\\\'"),
        (r"a\b", r"'a\b'"),
        (1e-7, "1e-07"),
    ],
)
def test_text_is_quoted_in_hydras_way(value, text):
    assert nemo_aligner.hydra_value(value) == text


def test_an_override_that_is_a_map_is_refused():
    with pytest.raises(NemoError, match="must be a text, a number"):
        nemo_aligner.hydra_value({"a": 1})


# What is refused before anything is started.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_gpus": 0}, "--num-gpus 0: NeMo trains on GPUs"),
        ({"tensor_parallel": 3}, "64 GPUs are no multiple of --tensor-parallel 3 x"),
        ({"pipeline_parallel": 32}, "64 GPUs are no multiple of --tensor-parallel 4 x --pipeline-parallel 32"),
        (
            {"global_batch_size": 500},
            "--global-batch-size 500 is no multiple of --micro-batch-size 4 x 16 data-parallel",
        ),
        ({"packed": True}, "--micro-batch-size 4: packed rows are taken one at a time"),
        ({"max_minutes": 0.0}, "--deadline-minutes 0: no time is left to train"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(changes, message):
    nemo_aligner.check_run(PAPER, launched=True)
    with pytest.raises(NemoError, match=message):
        nemo_aligner.check_run(dataclasses.replace(PAPER, **changes), launched=True)


def test_several_nodes_need_a_launcher():
    with pytest.raises(NemoError, match="--num-nodes 8: several nodes need a launcher"):
        nemo_aligner.check_run(PAPER, launched=False)
    nemo_aligner.check_run(dataclasses.replace(PAPER, num_nodes=1), launched=False)


@pytest.mark.parametrize("rows", [None, 511, 307199, 307200, 14_000_000])
@pytest.mark.parametrize("packed", [True, False])
def test_a_run_that_would_end_before_its_steps_is_refused(tmp_path, packed, rows):
    """60,000 steps in 100 epochs are 600 steps in each, which are 307,200 rows."""
    run = dataclasses.replace(PACKED if packed else PAPER, data=tmp_path / ("packed" if packed else "sft_data.jsonl"))
    if rows is not None:
        file, key = ("packed.json", "rows") if packed else ("sft_data.counts.json", "rows_out")
        (tmp_path / file).write_text(json.dumps({key: rows}))
    if rows is None or rows >= 307200:
        nemo_aligner.check_run(run, launched=True)
    else:
        with pytest.raises(NemoError, match=f"--steps 60000: .* has {rows} rows"):
            nemo_aligner.check_run(run, launched=True)


def test_files_that_are_missing_are_named(tmp_path):
    run = dataclasses.replace(PAPER, data=tmp_path / "sft_data.jsonl", base_model=tmp_path)
    with pytest.raises(NemoError, match=r"--data: there is no file .*sft_data\.jsonl"):
        nemo_aligner.check_files(run)
    run.data.touch()
    with pytest.raises(NemoError, match=r"--base-model .*: no finished model folder"):
        nemo_aligner.check_files(run)
    (tmp_path / "manifest.json").touch()
    nemo_aligner.check_files(run)
    with pytest.raises(NemoError, match=r"sft_data\.jsonl\.input_ids\.npy"):
        nemo_aligner.check_files(dataclasses.replace(run, packed=True))


# Checkpoints.


def saved(folder: Path, step: int, loss: str = "0.345", ending: str = "", whole: bool = True) -> Path:
    path = folder / f"megatron_gpt_sft--val_loss={loss}-step={step}-consumed_samples={512 * step}-epoch=0{ending}"
    path.mkdir(parents=True)
    if not whole:
        path.with_name(f"{path.name}-unfinished").touch()
    return path


def test_half_written_checkpoints_do_not_count(tmp_path):
    saved(tmp_path, 1000)
    saved(tmp_path, 2000, whole=False)
    saved(tmp_path, 1500, ending="-last")
    saved(tmp_path, 3000, ending="-last", whole=False)
    (tmp_path / "megatron_gpt_sft--val_loss=0.1-step=9000-consumed_samples=1-epoch=0.ckpt").touch()
    (tmp_path / "not-a-checkpoint").mkdir()
    states = nemo_aligner.saved_states(tmp_path)
    assert [(state.step, state.last) for state in states] == [(1000, False), (1500, True)]
    assert nemo_aligner.reached_step(states) == 1500
    assert nemo_aligner.reached_step(nemo_aligner.saved_states(tmp_path / "nowhere")) == 0


def test_links_name_the_exact_steps_of_what_is_kept(tmp_path):
    folder, links = tmp_path / "work/training/checkpoints", tmp_path / "checkpoints"
    for step in (1000, 10000, 100):
        (saved(folder, step) / "step").write_text(str(step))
    saved(folder, 10001, ending="-last")
    saved(folder, 10001, ending="-last-v1")
    assert nemo_aligner.link_checkpoints(nemo_aligner.saved_states(folder), links) == [100, 1000, 10000]
    assert sorted(link.name for link in links.iterdir()) == ["step=100", "step=1000", "step=10000"]
    assert (links / "step=1000/step").read_text() == "1000"
    (tmp_path / "elsewhere").mkdir()
    for name in ("work", "checkpoints"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    assert (tmp_path / "elsewhere/checkpoints/step=1000/step").read_text() == "1000"  # links can be moved along


def test_links_hold_where_the_folder_of_links_is_itself_a_link(tmp_path):
    (tmp_path / "another/disk").mkdir(parents=True)
    (tmp_path / "checkpoints").symlink_to("another/disk")
    (saved(tmp_path / "work", 7) / "step").write_text("7")
    nemo_aligner.link_checkpoints(nemo_aligner.saved_states(tmp_path / "work"), tmp_path / "checkpoints")
    assert (tmp_path / "checkpoints/step=7/step").read_text() == "7"


def test_links_to_what_is_gone_are_removed(tmp_path):
    folder, links = tmp_path / "nemo", tmp_path / "links"
    first = saved(folder, 10)
    saved(folder, 20)
    nemo_aligner.link_checkpoints(nemo_aligner.saved_states(folder), links)
    first.rmdir()
    assert nemo_aligner.link_checkpoints(nemo_aligner.saved_states(folder), links) == [20]
    assert [link.name for link in links.iterdir()] == ["step=20"]


@pytest.mark.parametrize("younger", ["0.300", "0.400"])
def test_of_two_checkpoints_of_a_step_the_younger_is_taken(tmp_path, younger):
    paths = {loss: saved(tmp_path / "nemo", 10, loss) for loss in ("0.300", "0.400")}
    for loss, path in paths.items():
        os.utime(path, (2, 2) if loss == younger else (1, 1))
    nemo_aligner.link_checkpoints(nemo_aligner.saved_states(tmp_path / "nemo"), tmp_path / "links")
    assert (tmp_path / "links/step=10").resolve() == paths[younger]


def test_checkpoints_of_another_back_end_are_not_replaced(tmp_path):
    (tmp_path / "links/step=10").mkdir(parents=True)
    with pytest.raises(NemoError, match="step=10 is no link: another back end has trained here"):
        nemo_aligner.link_checkpoints([], tmp_path / "links")


def test_an_index_of_older_data_is_not_read(tmp_path):
    run = dataclasses.replace(PAPER, data=tmp_path / "sft_data.jsonl", work=tmp_path / "work")
    run.data.touch()
    nemo_aligner.prepare_index(run)
    (run.index / "sft_data.jsonl.idx.npy").touch()
    nemo_aligner.prepare_index(run)
    assert len(list(run.index.iterdir())) == 1
    later = run.index.stat().st_mtime + 10
    os.utime(run.data, (later, later))
    nemo_aligner.prepare_index(run)
    assert list(run.index.iterdir()) == []
