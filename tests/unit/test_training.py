import json
from pathlib import Path

import numpy as np
import pytest

from openmath import training
from openmath.packed_rows import publish, write_flat
from openmath.sample_spool import open_spool, records_of
from openmath.training import (
    IGNORED,
    AnswerRows,
    Checkpoints,
    PackedRows,
    Recipe,
    collate,
    join_examples,
    latest_state,
    learning_rate_factor,
    row_order,
    saved_steps,
    sequence_example,
    train,
)
from openmath.work_folders import scratch

VOCABULARY = 40


def new_model(seed=0):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config)


def some_pairs(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (rng.integers(1, VOCABULARY, rng.integers(2, 7)).tolist(), rng.integers(1, VOCABULARY, 3 + n % 4).tolist())
        for n in range(count)
    ]


def recipe(**changes):
    values = {
        "steps": 12,
        "micro_batch_size": 2,
        "global_batch_size": 4,
        "learning_rate": 1e-2,
        "min_learning_rate": 1e-3,
        "schedule": "cosine",
        "warmup_steps": 2,
        "optimizer": "muon",
        "weight_decay": 0.01,
        "seed": 3,
        "log_steps": 1,
    }
    return Recipe(**{**values, **changes})


def losses(log):
    return [entry["loss"] for entry in log]


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def equal(first, second):
    return all(first[name].equal(second[name]) for name in first)


# Rows


def write_packed(pairs, row_of, prefix):
    with scratch(prefix) as work:
        with open_spool(work) as spool:
            spool.append(*records_of(pairs))
            facts = write_flat(spool, np.array(row_of), work)
        publish(work, prefix, "flat", facts)


def test_a_sequence_reads_all_but_its_last_token_and_is_asked_for_its_answer():
    (row,) = AnswerRows([([5, 6, 7], [8, 9])])
    assert row.input_ids.tolist() == [5, 6, 7, 8]
    assert row.labels.tolist() == [IGNORED, IGNORED, 8, 9]


def test_packed_rows_hold_the_same_examples_as_the_samples_they_were_packed_from(tmp_path):
    pairs = some_pairs(9)
    samples = AnswerRows(pairs)
    row_of = np.array([0, 1, 0, 2, 1, 0, 2, 2, 1])
    write_packed(pairs, row_of, tmp_path / "packed")
    packed = PackedRows(tmp_path / "packed")
    assert len(packed) == 3
    for number in range(3):
        together = join_examples([samples[item] for item in np.flatnonzero(row_of == number)])
        for field in ("input_ids", "labels", "position_ids"):
            assert getattr(packed[number], field).tolist() == getattr(together, field).tolist()


def test_the_end_of_a_padded_row_is_a_document_of_its_own():
    two = join_examples([sequence_example([5, 6, 7], [True] * 3), sequence_example([8, 9], [True] * 2)])
    batch = collate([two, sequence_example([4, 4, 4, 4, 4, 4], [True] * 6)], packed=True)
    assert batch["position_ids"][0].tolist() == [0, 1, 0, 0, 1]
    assert batch["labels"][0].tolist() == [6, 7, 9, IGNORED, IGNORED]


# Packing and attention


@pytest.fixture(scope="module")
def packed_and_separate():
    """A packed row, and the logits of its three sequences computed one by one."""
    import torch

    model = new_model().eval()
    sequences = [np.arange(1, 8), np.arange(20, 32), np.array([9, 3, 9, 3, 30])]
    row = join_examples([sequence_example([*ids, 0], [True] * (len(ids) + 1)) for ids in sequences])
    with torch.no_grad():
        separate = torch.cat([model(input_ids=torch.tensor(ids)[None]).logits[0] for ids in sequences])
    longer = sequence_example([7] * 31, [True] * 31)
    return model, collate([row, longer], packed=True), separate


def test_a_packed_row_gives_the_logits_of_its_sequences_alone(packed_and_separate):
    import torch

    model, batch, separate = packed_and_separate
    with torch.no_grad():
        packed = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
    assert (packed[0, : len(separate)] - separate).abs().max() < 1e-5


def test_with_the_default_cache_the_sequences_of_a_row_would_read_each_other(packed_and_separate):
    import torch

    model, batch, separate = packed_and_separate
    with torch.no_grad():
        packed = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"]).logits
    assert (packed[0, : len(separate)] - separate).abs().max() > 0.1


def test_packed_and_unpacked_rows_train_to_the_same_loss(tmp_path):
    pairs = some_pairs(4)
    write_packed(pairs, [0, 1, 1, 0], tmp_path / "packed")
    plain = recipe(steps=3, optimizer="adamw", micro_batch_size=1)
    _, unpacked = train(new_model(), AnswerRows(pairs), plain, tmp_path / "scratch")
    two_rows = recipe(steps=3, optimizer="adamw", micro_batch_size=1, global_batch_size=2)
    _, packed = train(new_model(), PackedRows(tmp_path / "packed"), two_rows, tmp_path / "scratch")
    assert losses(packed) == pytest.approx(losses(unpacked), abs=1e-4)


# Loss and order


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_loss_does_not_depend_on_how_a_batch_is_cut_into_micro_batches(tmp_path, optimizer):
    rows = AnswerRows(some_pairs(20))
    logs = []
    for micro in (1, 2, 4):
        one = recipe(steps=5, micro_batch_size=micro, optimizer=optimizer)
        logs.append(losses(train(new_model(), rows, one, tmp_path / "scratch")[1]))
    assert logs[1] == pytest.approx(logs[0], abs=2e-3)
    assert logs[2] == pytest.approx(logs[0], abs=2e-3)


def test_the_first_loss_is_the_mean_over_the_answer_tokens_of_the_global_batch(tmp_path):
    import torch

    pairs = some_pairs(4)
    model = new_model()
    total, count = 0.0, 0
    with torch.no_grad():
        for prompt, answer in pairs:
            logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
            total += torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum").item()
            count += len(answer)
    _, log = train(model, AnswerRows(pairs), recipe(steps=1), tmp_path / "scratch")
    assert losses(log) == pytest.approx([total / count], abs=1e-4)


def test_in_bf16_the_losses_are_about_the_same_and_the_weights_stay_fp32(tmp_path):
    import torch

    rows, model = AnswerRows(some_pairs(20)), new_model()
    _, fine = train(new_model(), rows, recipe(steps=3), tmp_path / "scratch")
    _, coarse = train(model, rows, recipe(steps=3, precision="bf16"), tmp_path / "scratch")
    assert losses(coarse) != losses(fine)
    assert losses(coarse) == pytest.approx(losses(fine), rel=0.05)
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}


def test_every_row_comes_once_before_any_comes_again():
    order = row_order(10, None, batch_size=4, steps=5, seed=1)
    assert sorted(order[:10]) == list(range(10))
    assert sorted(order[10:]) == list(range(10))
    assert order[:10].tolist() != order[10:].tolist()


def test_rows_of_one_batch_are_of_about_one_length():
    lengths = np.random.default_rng(0).integers(1, 100, 640)
    order = row_order(640, lengths, batch_size=8, steps=80, seed=1)
    assert sorted(order) == list(range(640))
    spread = np.ptp(lengths[order].reshape(-1, 8), axis=1)
    assert spread.mean() < 15


def test_no_row_is_an_error():
    with pytest.raises(ValueError, match="no row to train on"):
        row_order(0, None, batch_size=4, steps=5, seed=1)


def test_a_global_batch_must_be_a_multiple_of_the_micro_batch(tmp_path):
    with pytest.raises(ValueError, match="no multiple"):
        train(new_model(), AnswerRows(some_pairs(4)), recipe(global_batch_size=5), tmp_path / "scratch")


def test_the_learning_rate_warms_up_and_falls_to_the_lowest():
    rates = [learning_rate_factor(recipe(steps=100, warmup_steps=10), step) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 11)
    assert max(rates) == rates[10] == 1
    assert rates[100] == pytest.approx(0.1)
    assert learning_rate_factor(recipe(schedule="constant"), 11) == 1


# Resuming


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    new_model().save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "manifest.json").write_text("{}")
    return folder


def kept(folder: Path, base: Path) -> Checkpoints:
    return Checkpoints(folder / "work", folder / "checkpoints", save_steps=4, side_files=base)


def run(folder, base, stop=lambda step: False, **changes):
    model = new_model()
    step, log = train(
        model, AnswerRows(some_pairs(20)), recipe(**changes), folder / "scratch", kept(folder, base), stop
    )
    return step, losses(log), weights(model)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, base):
    return run(tmp_path_factory.mktemp("undisturbed"), base)


def test_a_resumed_run_has_the_losses_and_weights_of_an_undisturbed_one(tmp_path, base, undisturbed):
    step, first, _ = run(tmp_path, base, stop=lambda step: step >= 5)
    assert step == 5
    assert saved_steps(tmp_path / "checkpoints") == [4]
    step, whole, resumed = run(tmp_path, base)
    assert step == 12
    assert first == undisturbed[1][:5]
    assert whole == undisturbed[1]
    assert equal(resumed, undisturbed[2])


def test_only_the_latest_state_is_kept_and_every_checkpoint(tmp_path, base):
    run(tmp_path, base)
    assert saved_steps(tmp_path / "checkpoints") == [4, 8, 12]
    assert saved_steps(tmp_path / "work/state") == [12]
    assert not (tmp_path / "scratch").exists()


def test_a_checkpoint_is_a_model_folder_with_the_side_files_of_its_base(tmp_path, base):
    from transformers import AutoModelForCausalLM

    _, _, last = run(tmp_path, base)
    folder = tmp_path / "checkpoints/step=12"
    assert equal(weights(AutoModelForCausalLM.from_pretrained(folder)), last)
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("lost", ["checkpoints/step=8", "work/state/step=8"])
def test_killed_between_save_and_rename_the_last_state_is_still_good(tmp_path, base, undisturbed, monkeypatch, lost):
    rename = training.replace_folder

    def killed(finished, place):
        if place == tmp_path / lost:
            raise KeyboardInterrupt
        rename(finished, place)

    with monkeypatch.context() as patch:
        patch.setattr(training, "replace_folder", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, base)
    assert latest_state(tmp_path / "work") == tmp_path / "work/state/step=4"
    step, whole, resumed = run(tmp_path, base)
    assert (step, whole) == (12, undisturbed[1])
    assert equal(resumed, undisturbed[2])
    assert saved_steps(tmp_path / "checkpoints") == [4, 8, 12]


def test_a_folder_is_replaced_whole(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.json").write_text(json.dumps(name))
    training.replace_folder(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["new.json"]
