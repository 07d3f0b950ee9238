"""From training rows to packed rows."""

import json
from pathlib import Path

import pytest

import pack_sequences
from openmath.packed_rows import read_packed
from openmath.records import Record, write_jsonl
from openmath.tokenization import encode, load_tokenizer


def training_rows(count: int) -> list[Record]:
    return [
        {
            "input": f"<|user|>What is {n} plus {n}?<|end|><|assistant|>",
            "output": f"It is {'so ' * (n % 7)}{2 * n}.<|end|>",
        }
        for n in range(count)
    ]


def pack_file(
    folder: Path, rows: list[Record], tokenizer: Path, capacity: int = 120, seed: int = 0
) -> dict[str, object]:
    write_jsonl(folder / "sft_data.jsonl", rows)
    prefix = folder / "packed" / f"packed_{capacity}_seed{seed}"
    pack_sequences.main(
        [
            *("--data", str(folder / "sft_data.jsonl"), "--tokenizer", str(tokenizer), "--capacity", str(capacity)),
            *("--algorithm", "first_fit_shuffle", "--seed", str(seed), "--output-prefix", str(prefix)),
        ]
    )
    manifest: dict[str, object] = json.loads(prefix.with_name(prefix.name + ".json").read_text())
    return manifest


def test_a_file_is_packed_and_its_samples_are_given_back(tmp_path: Path, byte_tokenizer: Path) -> None:
    rows = training_rows(30)
    manifest = pack_file(tmp_path, rows, byte_tokenizer)
    tokenizer = load_tokenizer(byte_tokenizer)
    packed = [sample for row in read_packed(tmp_path / "packed/packed_120_seed0") for sample in row]
    texts = sorted(tokenizer.decode(tokens.tolist(), skip_special_tokens=False) for tokens, _ in packed)
    assert texts == sorted(row["input"] + row["output"] for row in rows)
    outputs = sorted(
        tokenizer.decode(tokens[1:][mask[:-1]].tolist(), skip_special_tokens=False) for tokens, mask in packed
    )
    assert outputs == sorted(row["output"] for row in rows)
    places = sum(len(ids) - 1 for ids in encode(tokenizer, texts))
    assert manifest["counts"] == {"rows_in": 30, "too_short": 0, "too_long": 0, "rows_out": 30}
    assert manifest["efficiency"] == places / (120 * manifest["rows"])  # type: ignore[operator]
    assert manifest["sequences_per_row"] == 30 / manifest["rows"]  # type: ignore[operator]


def test_the_same_seed_gives_the_same_bytes_and_nothing_is_left_behind(tmp_path: Path, byte_tokenizer: Path) -> None:
    for name in ("one", "two"):
        pack_file(tmp_path / name, training_rows(30), byte_tokenizer)
    files = sorted(path.name for path in (tmp_path / "one/packed").iterdir())
    assert files == [
        f"packed_120_seed0.{name}" for name in ("input_ids.npy", "json", "loss_mask.npy", "seq_start_id.npy")
    ]
    assert all(
        (tmp_path / f"one/packed/{name}").read_bytes() == (tmp_path / f"two/packed/{name}").read_bytes()
        for name in files
    )


def test_what_is_too_long_or_asks_for_nothing_is_dropped_and_counted(tmp_path: Path, byte_tokenizer: Path) -> None:
    rows = [
        {"input": "abc", "output": "d" * 8},
        {"input": "abc", "output": "d" * 9},
        {"input": "abc", "output": ""},
        {"input": "", "output": "d"},
    ]
    manifest = pack_file(tmp_path, rows, byte_tokenizer, capacity=10)
    assert manifest["counts"] == {"rows_in": 4, "too_short": 2, "too_long": 1, "rows_out": 1}
    assert (manifest["efficiency"], manifest["tokens"], manifest["target_tokens"]) == (1.0, 11, 8)


def test_data_without_a_row_that_fits_is_refused_by_name(tmp_path: Path, byte_tokenizer: Path) -> None:
    with pytest.raises(ValueError, match=r"sft_data\.jsonl: no row of it can be packed \(3 are too long\)"):
        pack_file(tmp_path, training_rows(3), byte_tokenizer, capacity=5)
