"""Packing sequences into rows of one capacity."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pack_sequences
from openmath import packing
from openmath.orders import shuffled
from openmath.packing import ALGORITHMS, Sequences, pack, read_packed, write_packed
from openmath.records import Record, derive_seed, write_jsonl
from openmath.tokenization import encode, load_tokenizer

algorithms = st.sampled_from(ALGORITHMS)
lengths_of_rows = st.integers(1, 40).flatmap(
    lambda capacity: st.tuples(st.just(capacity), st.lists(st.integers(1, capacity), max_size=80))
)


def scan(sizes: list[int], capacity: int) -> list[int]:
    """First fit as its definition says: look at the rows from the first."""
    filled: list[int] = []
    rows = []
    for size in sizes:
        row = next((row for row, fill in enumerate(filled) if fill + size <= capacity), len(filled))
        if row == len(filled):
            filled.append(0)
        filled[row] += size
        rows.append(row)
    return rows


@given(lengths_of_rows, algorithms, st.integers(0, 3))
def test_no_row_is_over_capacity_and_none_is_empty(case: tuple[int, list[int]], algorithm: str, seed: int) -> None:
    capacity, lengths = case
    rows = pack(lengths, capacity, algorithm, seed)
    filled = np.bincount(rows, weights=lengths)
    assert len(rows) == len(lengths)
    assert all(1 <= fill <= capacity for fill in filled)
    assert pack(lengths, capacity, algorithm, seed).tolist() == rows.tolist()


@given(lengths_of_rows, st.integers(0, 3))
def test_every_sequence_goes_into_the_first_row_with_room(case: tuple[int, list[int]], seed: int) -> None:
    capacity, lengths = case
    order = shuffled(len(lengths), derive_seed("pack", seed)).tolist()
    shuffle = pack(lengths, capacity, "first_fit_shuffle", seed)
    assert shuffle[order].tolist() == scan([lengths[item] for item in order], capacity)
    order.sort(key=lambda item: -lengths[item])
    decreasing = pack(lengths, capacity, "first_fit_decreasing", seed)
    assert decreasing[order].tolist() == scan([lengths[item] for item in order], capacity)


def test_the_compiled_tree_decides_as_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.random.default_rng(0).integers(1, 700, 3000)
    plain = pack(lengths, 1000, "first_fit_shuffle", 0)
    monkeypatch.setattr(packing, "_COMPILE_FROM", 0)
    assert pack(lengths, 1000, "first_fit_shuffle", 0).tolist() == plain.tolist()


def test_another_seed_packs_otherwise() -> None:
    lengths = np.random.default_rng(0).integers(1, 9, 100)
    one, other = (pack(lengths, 20, "first_fit_shuffle", seed).tolist() for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize("lengths", [[3, 11], [0, 3]])
def test_a_length_that_no_row_takes_is_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"lengths are \d+ to \d+, a row takes 1 to 10"):
        pack(lengths, 10, "first_fit_shuffle", 0)


def test_the_arrays_are_those_that_are_drawn(tmp_path: Path) -> None:
    a, b, c, d, e, f, g, h, i = range(9)
    sequences = Sequences(
        tokens=np.array([a, b, c, f, g, h, i, d, e], dtype=np.int32),
        lengths=np.array([3, 4, 2]),
        input_lengths=np.array([2, 1, 1]),
    )
    facts = write_packed(sequences, np.array([0, 1, 0]), str(tmp_path / "packed"))
    ids, mask, starts = (
        np.load(f"{tmp_path}/packed.{name}.npy") for name in ("input_ids", "loss_mask", "seq_start_id")
    )
    assert (ids.dtype, mask.dtype, starts.dtype) == (np.int32, np.bool_, np.int32)
    assert ids.tolist() == [[a, b, c, d, e], [f, g, h, i, -1]]
    assert mask.tolist() == [[False, True, True, True, True], [True] * 5]
    assert starts.tolist() == [[0, 3], [0, -1]]
    assert facts == {
        "rows": 2,
        "sequences": 3,
        "tokens": 9,
        "target_tokens": 5,
        "row_width": 5,
        "most_sequences_in_a_row": 2,
    }


samples_strategy = st.lists(
    st.tuples(st.lists(st.integers(0, 99), max_size=6), st.lists(st.integers(0, 99), min_size=1, max_size=6)).filter(
        lambda sample: len(sample[0]) + len(sample[1]) > 1
    ),
    min_size=1,
    max_size=40,
)


@given(samples_strategy, st.integers(11, 30), algorithms)
def test_every_sample_is_given_back_once(
    samples: list[tuple[list[int], list[int]]], capacity: int, algorithm: str
) -> None:
    import tempfile

    sequences = Sequences(
        tokens=np.array([token for question, reply in samples for token in question + reply], dtype=np.int32),
        lengths=np.array([len(question) + len(reply) for question, reply in samples]),
        input_lengths=np.array([len(question) for question, _ in samples]),
    )
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_ROWS_PER_BLOCK", 3)
        prefix = f"{folder}/packed"
        facts = write_packed(sequences, pack(sequences.lengths - 1, capacity, algorithm, 0), prefix)
        rows = list(read_packed(prefix))
    assert len(rows) == facts["rows"]
    given_back = []
    for row in rows:
        assert sum(len(tokens) - 1 for tokens, _ in row) <= capacity
        for tokens, mask in row:
            asked = [token for token, is_asked in zip(tokens[1:].tolist(), mask[:-1].tolist(), strict=True) if is_asked]
            given_back.append((tokens.tolist(), asked))
    expected = [(question + reply, reply if question else reply[1:]) for question, reply in samples]
    assert sorted(given_back) == sorted(expected)
    assert facts["target_tokens"] == sum(len(asked) for _, asked in expected)


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
