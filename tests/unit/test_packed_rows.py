"""The arrays of packed rows."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmath import packed_rows
from openmath.packed_rows import Sequences, read_packed, write_packed
from openmath.packing import ALGORITHMS, pack

algorithms = st.sampled_from(ALGORITHMS)


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
    sequences = Sequences(
        tokens=np.array([token for question, reply in samples for token in question + reply], dtype=np.int32),
        lengths=np.array([len(question) + len(reply) for question, reply in samples]),
        input_lengths=np.array([len(question) for question, _ in samples]),
    )
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_rows, "_ROWS_PER_BLOCK", 3)
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
