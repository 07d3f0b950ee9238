"""Which rows are written: de-duplication, kinds of solutions, samples."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmath.orders import mix
from openmath.sft.choosing import CODE_FILTERS, Choice, Chosen, choose, right_kind, share_out
from openmath.sft.spool import KEYS, SpoolWriter, read_keys


@dataclass(frozen=True)
class Row:
    """A row by the keys that matter; its position in the input is its place in the list."""

    text: int
    problem: int
    source: int = 0
    has_code: bool = False


def chosen_rows(rows: Sequence[Row], choice: Choice, buckets: int = 3) -> tuple[list[int], Chosen]:
    """The positions of the rows that are chosen, and what else is known of the choice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = np.zeros(len(rows), dtype=KEYS)
        keys["row"] = [row.text * 1000 + row.problem for row in rows]
        keys["problem"] = [row.problem for row in rows]
        keys["source"] = [row.source for row in rows]
        keys["has_code"] = [row.has_code for row in rows]
        keys["position"] = np.arange(len(rows))
        keys["place"] = mix(keys["row"], 1)
        writer = SpoolWriter(folder, buckets, "1")
        writer.add(keys, [b"\n"] * len(rows))
        writer.flush()
        chosen = choose(folder, buckets, choice)
        taken = [read_keys(folder, bucket)["position"][chosen.flags[bucket]] for bucket in range(buckets)]
        assert not list(folder.glob("problems-*"))
    return sorted(position for part in taken for position in part.tolist()), chosen


rows_strategy = st.lists(
    st.builds(
        Row, text=st.integers(0, 20), problem=st.integers(0, 4), source=st.integers(0, 2), has_code=st.booleans()
    ),
    max_size=60,
)
samples = st.sampled_from(["none", "random", "fair"])


def first_of_equals(rows: Sequence[Row]) -> list[int]:
    """The positions of the first of rows with equal problem and text."""
    seen: dict[tuple[int, int], int] = {}
    for position, row in enumerate(rows):
        seen.setdefault((row.text, row.problem), position)
    return sorted(seen.values())


@given(rows_strategy, samples, st.integers(1, 70), st.integers(0, 3), st.integers(1, 5), st.booleans())
def test_a_sample_holds_distinct_rows_in_the_number_asked_for(
    rows: list[Row], sample: str, count: int, seed: int, buckets: int, balance: bool
) -> None:
    number = None if sample == "none" else count
    balance = balance and number is not None
    choice = Choice(sample=sample, num_samples=number, seed=seed, balance_sources=balance)
    taken, chosen = chosen_rows(rows, choice, buckets)
    distinct = first_of_equals(rows)
    kept = len(distinct) if number is None else min(number, len(distinct))
    assert len(taken) == kept
    assert set(taken) <= set(distinct)
    assert chosen.dropped["duplicate"] == len(rows) - len(distinct)
    assert chosen.dropped["not_sampled"] == len(distinct) - kept
    assert chosen.by_source == Counter(rows[position].source for position in taken)
    assert taken == chosen_rows(rows, choice, buckets + 2)[0]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 60), st.integers(0, 3))
def test_a_fair_sample_takes_turns(sizes: list[int], count: int, seed: int) -> None:
    rows = [Row(text, problem) for problem, size in enumerate(sizes) for text in range(size)]
    positions, _ = chosen_rows(rows, Choice(sample="fair", num_samples=count, seed=seed))
    taken = Counter(rows[position].problem for position in positions)
    # Whoever has fewer than another, by more than the last turn, has none left.
    assert all(taken[one] == size for one, size in enumerate(sizes) if taken[one] < max(taken.values()) - 1)


def test_inside_a_problem_chance_decides_and_in_the_last_turn_too() -> None:
    rows = [Row(text, problem) for problem in range(40) for text in range(10)]
    seeds = [chosen_rows(rows, Choice(sample="fair", num_samples=60, seed=seed))[0] for seed in range(30)]
    texts = Counter(rows[position].text for positions in seeds for position in positions)
    problems = Counter(rows[position].problem for positions in seeds for position in positions)
    assert all(120 <= texts[text] <= 240 for text in range(10))  # 180 on average, 13 the deviation
    assert all(30 <= problems[problem] <= 60 for problem in range(40))
    assert len({problems[problem] for problem in range(40)}) > 1


def test_a_random_sample_is_another_with_another_seed() -> None:
    rows = [Row(text, 0) for text in range(100)]
    one, other = (chosen_rows(rows, Choice(sample="random", num_samples=50, seed=seed))[0] for seed in (0, 1))
    assert one != other


@given(rows_strategy, st.integers(1, 60))
def test_a_sample_does_not_depend_on_the_order_of_the_input(rows: list[Row], count: int) -> None:
    distinct = [rows[position] for position in first_of_equals(rows)]
    choice = Choice(sample="fair", num_samples=count)
    forward = {distinct[position] for position in chosen_rows(distinct, choice)[0]}
    backward = distinct[::-1]
    assert forward == {backward[position] for position in chosen_rows(backward, choice)[0]}


@given(rows_strategy, st.sampled_from(["random", "fair"]), st.integers(1, 60))
def test_a_balanced_sample_takes_as_many_of_each_source(rows: list[Row], sample: str, count: int) -> None:
    available = Counter(rows[position].source for position in first_of_equals(rows))
    taken, _ = chosen_rows(rows, Choice(sample=sample, num_samples=count, balance_sources=True))
    given = Counter(rows[position].source for position in taken)
    assert all(given[source] == available[source] for source in given if given[source] < max(given.values()) - 1)


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 50), max_size=6), st.integers(0, 200))
def test_shares_are_even_where_all_have_enough(available: dict[int, int], wanted: int) -> None:
    shares = share_out(available, wanted)
    assert set(shares) == set(available)
    assert sum(shares.values()) == min(wanted, sum(available.values()))
    most = max(shares.values(), default=0)
    assert all(share == available[source] or share >= most - 1 for source, share in shares.items())


def test_without_deduplication_equal_rows_stay_and_a_sample_has_its_size() -> None:
    rows = [Row(0, 0)] * 10 + [Row(1, 1)] * 5
    assert chosen_rows(rows, Choice(deduplicate=False))[0] == list(range(15))
    taken, _ = chosen_rows(rows, Choice(deduplicate=False, sample="fair", num_samples=6))
    assert Counter(rows[position].problem for position in taken) == {0: 3, 1: 3}


PROBLEMS = np.array([1, 1, 1, 2, 2, 3, 3, 4], dtype=np.uint64)
HAS_CODE = np.array([True, True, False, True, False, False, False, True])


@pytest.mark.parametrize(
    ("code_filter", "kept"),
    [
        ("all", [True, True, False, True, False, False, False, True]),
        ("any_code", [True, True, False, True, False, True, True, True]),
        ("majority_code", [True, True, False, True, True, True, True, True]),
        ("majority_text", [True, True, False, False, True, True, True, True]),
    ],
)
def test_a_problem_keeps_solutions_of_a_kind(code_filter: str, kept: list[bool]) -> None:
    assert right_kind(PROBLEMS, HAS_CODE, code_filter).tolist() == kept


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=f"no code filter 'some' .known: {', '.join(CODE_FILTERS)}"):
        right_kind(PROBLEMS, HAS_CODE, "some")


@given(rows_strategy, st.sampled_from(CODE_FILTERS), st.integers(1, 5))
def test_kinds_are_told_after_equal_rows_are_gone_and_before_the_sample(
    rows: list[Row], code_filter: str, buckets: int
) -> None:
    distinct = first_of_equals(rows)
    problems = np.array([rows[position].problem for position in distinct], dtype=np.uint64)
    has_code = np.array([rows[position].has_code for position in distinct], dtype=bool)
    kept = [p for p, keep in zip(distinct, right_kind(problems, has_code, code_filter).tolist(), strict=True) if keep]
    taken, chosen = chosen_rows(rows, Choice(code_filter=code_filter), buckets)
    assert taken == kept
    assert chosen.dropped["other_kind"] == len(distinct) - len(kept)
    sample, chosen = chosen_rows(rows, Choice(code_filter=code_filter, sample="random", num_samples=7), buckets)
    assert set(sample) <= set(kept)
    assert len(sample) == min(7, len(kept))
