"""The arrays of packed rows, in both layouts."""

import itertools
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmath import packed_rows, sample_spool
from openmath.packed_rows import (
    LAYOUTS,
    Mask,
    Tokens,
    places_of,
    publish,
    read_flat,
    read_packed,
    suggested_batch,
    write_flat,
    write_nemo,
)
from openmath.packing import ALGORITHMS, pack
from openmath.sample_spool import open_spool, records_of
from openmath.work_folders import scratch

Sample = tuple[list[int], list[int]]

algorithms = st.sampled_from(ALGORITHMS)
A, B, C, D, E, F, G, H, J = range(1, 10)
DRAWN: list[Sample] = [([A, B], [C]), ([F], [G, H, J]), ([D], [E])]


def write(samples: list[Sample], rows: list[int], folder: Path, layout: str, multiple: int = 1) -> dict[str, int]:
    """Write samples to ``folder/packed``, and return the facts; the pad token is 0."""
    with scratch(folder / "packed") as work:
        with open_spool(work) as spool:
            spool.append(*records_of(samples))
            row_of = np.array(rows)
            facts = (
                write_nemo(spool, row_of, work, multiple, pad_id=0)
                if layout == "nemo"
                else write_flat(spool, row_of, work)
            )
        publish(work, folder / "packed", layout, dict(facts))
    return facts


def arrays(folder: Path, layout: str) -> dict[str, np.ndarray]:
    return {name: np.load(f"{folder}/packed.{name}.npy") for name in LAYOUTS[layout]}


def given_back(rows: Iterator[list[tuple[Tokens, Mask]]]) -> list[list[tuple[list[int], list[int]]]]:
    """The tokens of each sample of each row, and those of them that are asked for."""
    return [[(tokens.tolist(), tokens[1:][mask[:-1]].tolist()) for tokens, mask in row] for row in rows]


def test_the_arrays_are_those_that_are_drawn(tmp_path: Path) -> None:
    facts = write(DRAWN, [0, 1, 0], tmp_path, "nemo")
    found = arrays(tmp_path, "nemo")
    assert [array.dtype for array in found.values()] == [np.int32, np.bool_, np.int32]
    assert found["input_ids"].tolist() == [[A, B, C, D, E], [F, G, H, J, -1]]
    assert found["loss_mask"].tolist() == [[False, True, True, True, True], [True] * 5]
    assert found["seq_start_id"].tolist() == [[0, 3], [0, -1]]
    assert facts == {
        "rows": 2,
        "sequences": 3,
        "tokens": 9,
        "target_tokens": 5,
        "pad_tokens": 0,
        "row_width": 5,
        "most_sequences_in_a_row": 2,
    }


def test_the_flat_arrays_are_those_that_are_drawn(tmp_path: Path) -> None:
    facts = write(DRAWN, [0, 1, 0], tmp_path, "flat")
    found = arrays(tmp_path, "flat")
    assert [array.dtype for array in found.values()] == [np.int32, np.int64, np.int32, np.int64]
    assert found["tokens"].tolist() == [A, B, C, D, E, F, G, H, J]
    assert found["sequences"].tolist() == [0, 3, 5, 9]
    assert found["answers"].tolist() == [2, 1, 1]
    assert found["rows"].tolist() == [0, 2, 3]
    assert facts == write(DRAWN, [0, 1, 0], tmp_path, "nemo")


def test_behind_a_sample_that_is_filled_up_nothing_is_asked_for(tmp_path: Path) -> None:
    facts = write(DRAWN, [0, 1, 0], tmp_path, "nemo", multiple=2)
    found = arrays(tmp_path, "nemo")
    assert found["input_ids"].tolist() == [[A, B, C, D, E, 0], [F, G, H, J, 0, -1]]
    assert found["loss_mask"].tolist() == [
        [False, True, True, True, False, False],
        [True, True, True, False, False, True],
    ]
    assert found["seq_start_id"].tolist() == [[0, 3], [0, -1]]
    assert (facts["pad_tokens"], facts["target_tokens"], facts["tokens"]) == (2, 5, 9)
    assert given_back(read_packed(tmp_path / "packed")) == [
        [([A, B, C], [C]), ([D, E], [E])],
        [([F, G, H, J], [G, H, J])],
    ]


def test_a_sample_that_nothing_is_asked_of_is_given_back_whole(tmp_path: Path) -> None:
    for name, array in (
        ("input_ids", np.array([[A, B, C, D]], dtype=np.int32)),
        ("loss_mask", np.array([[False, False, True, True]])),
        ("seq_start_id", np.array([[0, 2]], dtype=np.int32)),
    ):
        np.save(tmp_path / f"packed.{name}.npy", array)
    assert given_back(read_packed(tmp_path / "packed")) == [[([A, B], []), ([C, D], [D])]]


some_tokens = st.integers(0, 99)
samples_strategy = st.lists(
    st.tuples(st.lists(some_tokens, max_size=6), st.lists(some_tokens, min_size=1, max_size=6)).filter(
        lambda sample: len(sample[0]) + len(sample[1]) > 1
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=30)
@given(
    samples_strategy, st.integers(12, 30), algorithms, st.sampled_from([1, 2, 4, 7]), st.sampled_from([1, 40, 10**6])
)
def test_every_sample_is_given_back_once(
    samples: list[Sample], room: int, algorithm: str, multiple: int, block: int
) -> None:
    capacity = -(-room // multiple) * multiple
    lengths = np.array([len(question) + len(reply) for question, reply in samples])
    rows = pack(places_of(lengths, multiple), capacity, algorithm, 0)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setattr(packed_rows, "_BLOCK", 3 * block)
        patch.setattr(sample_spool, "_BLOCK", block)
        patch.setattr(sample_spool, "_STEP", 7)
        facts = write(samples, rows.tolist(), folder, "nemo", multiple)
        found = arrays(folder, "nemo")
        packed = given_back(read_packed(folder / "packed"))
        flat_facts = write(samples, rows.tolist(), folder, "flat")
        flat = given_back(read_flat(folder / "packed"))
    expected: list[list[Sample]] = [[] for _ in range(rows.max() + 1)]
    for row, (question, reply) in zip(rows.tolist(), samples, strict=True):
        expected[row].append((question + reply, reply if question else reply[1:]))
    assert packed == flat == expected
    assert facts["target_tokens"] == flat_facts["target_tokens"] == sum(len(b) for row in expected for _, b in row)
    for starts, ids in zip(found["seq_start_id"], found["input_ids"], strict=True):
        bounds = [*starts[starts != -1].tolist(), int((ids != -1).sum())]
        places = [end - start - 1 for start, end in itertools.pairwise(bounds)]
        assert sum(places) <= capacity
        assert all(size % multiple == 0 for size in places)
    assert facts["tokens"] + facts["pad_tokens"] == int((found["input_ids"] != -1).sum())
    assert found["input_ids"].shape == (facts["rows"], facts["row_width"])
    assert (found["input_ids"] != -1).sum(axis=1).max() == facts["row_width"]


def test_a_spool_is_empty_once_it_is_dealt_out(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        spool.append(*records_of(DRAWN))
        taken = [(row, tokens.tolist(), asked) for row, tokens, asked in spool.by_row(np.array([0, 1, 0]))]
        assert (tmp_path / "spool").stat().st_size == 0
    assert taken == [(0, [A, B, C], 2), (0, [D, E], 1), (1, [F, G, H, J], 1)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_does_not_grow_with_the_tokens(tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_rows, "_BLOCK", 1 << 16)
    monkeypatch.setattr(sample_spool, "_BLOCK", 1 << 16)
    count, length = 4000, 500
    lengths = np.full(count, length, dtype=np.int32)
    records = np.tile(np.arange(length + 3, dtype=np.int32), (count, 1))
    records[:, :3] = 0, length, 100
    with open_spool(tmp_path) as spool:
        spool.append(records.tobytes(), lengths.tobytes())
        rows = np.arange(count) * 7 % 500
        tracemalloc.start()
        facts = (write_nemo if layout == "nemo" else write_flat)(spool, rows, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert facts["tokens"] == 2_000_000
    assert peak < 2_500_000  # of 8 MB of tokens


def test_the_two_layouts_lie_beside_each_other(tmp_path: Path) -> None:
    for layout in LAYOUTS:
        write(DRAWN, [0, 1, 0], tmp_path, layout)
    names = {path.name.removeprefix("packed.") for path in tmp_path.iterdir()}
    assert names == {"json", "flat.json", *(f"{name}.npy" for names in LAYOUTS.values() for name in names)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_killed_between_two_renames_there_is_no_manifest(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(DRAWN, [0, 1, 0], tmp_path, layout)
    rename = packed_rows.os.replace

    def killed(source: Path, target: str) -> None:
        if str(target).endswith(f".{LAYOUTS[layout][1]}.npy"):
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(packed_rows.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write(DRAWN[:1], [0], tmp_path, layout)
    assert not packed_rows.manifest_path(tmp_path / "packed", layout).exists()
    write(DRAWN[:1], [0], tmp_path, layout)
    assert given_back((read_packed if layout == "nemo" else read_flat)(tmp_path / "packed")) == [[([A, B, C], [C])]]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@given(st.integers(1, 2000), st.integers(1, 500), st.integers(1, 500), st.integers(1, 64))
def test_no_other_multiple_is_nearer_to_the_samples_asked_for(samples: int, extra: int, rows: int, unit: int) -> None:
    sequences = rows + extra
    batch = suggested_batch(samples, sequences, rows, unit)
    assert batch > 0
    assert batch % unit == 0
    distances = {other: abs(other * sequences - samples * rows) for other in (batch - unit, batch, batch + unit)}
    assert distances[batch] < distances[batch + unit]
    assert distances[batch] <= distances[batch - unit] or batch == unit


def test_the_documents_512_samples_of_3_7_a_pack_are_144_packs_on_16_copies() -> None:
    assert suggested_batch(512, sequences=37, rows=10, unit=16) == 144
    assert suggested_batch(512, sequences=37, rows=10, unit=1) == 138
    assert suggested_batch(24, sequences=1, rows=1, unit=16) == 32
    assert suggested_batch(3, sequences=1, rows=1, unit=16) == 16
