"""Which rows of a spool are written: the first of equal ones, one kind of a problem's solutions, a sample.

De-duplication needs the rows of one bucket, since equal rows share it. What is decided problem by problem needs the
rows of each problem together: their keys are dealt out once more, by the hash of the problem.

    turn 0   one row of each problem, by chance      A sample of N rows is those with the smallest (turn, chance), where
    turn 1   another row of each that has one        chance is a hash of the row. A fair sample takes turns; in a random
    ...                                              one every row is of turn 0. The last turn is taken in part.

Balanced over sources, each source has a sample of its own; N is shared out evenly, and what a small source cannot fill
goes to the others.

Memory: one bucket's keys at a time (41 bytes a row), a byte for each row, and 8 for each row of the last turn.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openmath.orders import mix
from openmath.records import derive_seed
from openmath.sft.spool import Keys, bucket_of, read_keys

Flags = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

DEDUPLICATIONS = ("exact", "normalised", "none")
CODE_FILTERS = ("all", "majority_code", "majority_text", "any_code")
SAMPLES = ("none", "random", "fair")

_DEALT = np.dtype(
    [("problem", "<u8"), ("source", "<u8"), ("chance", "<u8"), ("bucket", "<u4"), ("row", "<u4"), ("has_code", "?")]
)
_TURNS = np.dtype([("source", "<u8"), ("chance", "<u8"), ("turn", "<u4"), ("bucket", "<u4"), ("row", "<u4")])


@dataclass(frozen=True)
class Choice:
    """What is asked of the rows together.

    Attributes:
        deduplicate: whether only the first of rows with equal keys stays.
        code_filter: one of ``CODE_FILTERS``, or None: solutions with and without code stay side by side.
        sample: one of ``SAMPLES``.
        num_samples: rows to take; all where there are not more. None with the sample "none".
        balance_sources: whether each source gives as many.
        seed: of the sample.
    """

    deduplicate: bool = True
    code_filter: str | None = None
    sample: str = "none"
    num_samples: int | None = None
    balance_sources: bool = False
    seed: int = 0


@dataclass
class Chosen:
    """Which rows are written.

    Attributes:
        flags: for each bucket, (rows,) whether each of its rows is, in the order of ``read_rows``.
        dropped: rows that fell out, by reason.
        by_source: rows that are written, by the hash of their source.
    """

    flags: list[Flags] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    by_source: Counter[int] = field(default_factory=Counter)


def choose(folder: Path, buckets: int, choice: Choice) -> Chosen:
    """Decide about all rows of a spool; files that it needs are made in ``folder`` and deleted."""
    chosen = Chosen()
    together = choice.code_filter is not None or choice.sample != "none"
    for bucket in range(buckets):
        keys = read_keys(folder, bucket)
        first = first_of_equals(keys) if choice.deduplicate else np.ones(len(keys), dtype=bool)
        chosen.flags.append(first)
        chosen.dropped["duplicate"] += int(len(keys) - first.sum())
        if together:
            _deal(folder, buckets, bucket, keys, first, choice)
        else:
            chosen.by_source.update(_counts(keys["source"][first]))
    if together:
        _choose_together(folder, buckets, choice, chosen)
    return chosen


def first_of_equals(keys: Keys) -> Flags:
    """Whether each row is, of those with its ``row`` key, the first of the input."""
    order = np.lexsort((keys["position"], keys["row"]))
    rows = keys["row"][order]
    first = np.ones(len(keys), dtype=bool)
    first[order[1:]] = rows[1:] != rows[:-1]
    return first


def _counts(values: npt.NDArray[Any]) -> dict[int, int]:
    distinct, counts = np.unique(values, return_counts=True)
    return dict(zip(distinct.tolist(), counts.tolist(), strict=True))


def _deal(folder: Path, parts: int, bucket: int, keys: Keys, kept: Flags, choice: Choice) -> None:
    """Append what the choice needs to know of the rows of a bucket to the part of each one's problem."""
    rows = np.flatnonzero(kept)
    dealt = np.empty(len(rows), dtype=_DEALT)
    for name in ("problem", "source", "has_code"):
        dealt[name] = keys[name][rows]
    dealt["bucket"], dealt["row"] = bucket, rows
    seed = derive_seed("sft", "sample", choice.seed)
    # Equal rows have equal hashes: where they may both be there, their positions part them.
    dealt["chance"] = mix(
        keys["row"][rows] if choice.deduplicate else keys["row"][rows] + mix(keys["position"][rows], seed), seed
    )
    part = bucket_of(mix(dealt["problem"], 0), parts)
    order = np.argsort(part, kind="stable")
    bounds = np.searchsorted(part[order], np.arange(parts + 1))
    for number in np.unique(part).tolist():
        with open(_part(folder, number), "ab") as stream:
            dealt[order[bounds[number] : bounds[number + 1]]].tofile(stream)


def _part(folder: Path, number: int) -> Path:
    return folder / f"problems-{number:05d}"


def _choose_together(folder: Path, parts: int, choice: Choice, chosen: Chosen) -> None:
    for flags in chosen.flags:
        flags[:] = False
    available: Counter[tuple[int, int]] = Counter()
    for number in range(parts):
        available.update(_take_turns(_part(folder, number), choice, chosen))
    limits = _limits(folder, parts, choice, available)
    for rows in _all_turns(folder, parts):
        taken = rows[_within(rows, limits, choice)]
        for bucket in np.unique(taken["bucket"]).tolist():
            chosen.flags[bucket][taken["row"][taken["bucket"] == bucket]] = True
        chosen.by_source.update(_counts(taken["source"]))
        chosen.dropped["not_sampled"] += len(rows) - len(taken)
    for number in range(parts):
        _part(folder, number).unlink(missing_ok=True)


def _take_turns(path: Path, choice: Choice, chosen: Chosen) -> Counter[tuple[int, int]]:
    """Filter the rows of some problems by kind and give them turns; return how many each source has in each turn."""
    if not path.exists():
        return Counter()
    dealt = np.fromfile(path, dtype=_DEALT)
    if choice.code_filter is not None:
        kept = right_kind(dealt["problem"], dealt["has_code"], choice.code_filter)
        chosen.dropped["other_kind"] += int(len(dealt) - kept.sum())
        dealt = dealt[kept]
    rows = np.empty(len(dealt), dtype=_TURNS)
    for name in ("source", "chance", "bucket", "row"):
        rows[name] = dealt[name]
    rows["turn"] = rank_within(dealt["problem"], dealt["chance"]) if choice.sample == "fair" else 0
    rows.tofile(path)
    counts: Counter[tuple[int, int]] = Counter()
    for source in np.unique(rows["source"]).tolist():
        group = source if choice.balance_sources else 0
        for turn, count in _counts(rows["turn"][rows["source"] == source]).items():
            counts[group, turn] += count
    return counts


def right_kind(problems: Words, has_code: Flags, code_filter: str) -> Flags:
    """Whether each row is of the kind that its problem keeps.

    Args:
        problems: (n,) hash of the problem.
        has_code: (n,) whether the solution has code.
        code_filter: "all": only code is kept; "any_code": only code where a problem has some; "majority_code": only
            code where more than half of a problem's solutions have some; "majority_text": the same, and only text
            elsewhere.
    """
    if code_filter not in CODE_FILTERS:
        raise ValueError(f"no code filter '{code_filter}' (known: {', '.join(CODE_FILTERS)})")
    if code_filter == "all":
        return has_code.copy()
    _, group = np.unique(problems, return_inverse=True)
    total = np.bincount(group)
    code = np.bincount(group, weights=has_code).astype(np.int64)
    mostly_code = (code * 2 > total)[group]
    if code_filter == "any_code":
        return has_code | (code == 0)[group]
    if code_filter == "majority_code":
        return has_code | ~mostly_code
    return ~(has_code ^ mostly_code)


def rank_within(groups: Words, chance: Words) -> Ints:
    """Per row: how many rows of its group have a smaller ``chance``."""
    order = np.lexsort((chance, groups))
    sorted_groups = groups[order]
    new_group = np.ones(len(order), dtype=bool)
    new_group[1:] = sorted_groups[1:] != sorted_groups[:-1]
    starts = np.flatnonzero(new_group)
    ranks: Ints = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return ranks


def share_out(available: Mapping[int, int], wanted: int) -> dict[int, int]:
    """How many rows each source gives: as many as the others, or all that it has.

    >>> share_out({1: 100, 2: 10, 3: 100}, 71)
    {2: 10, 1: 30, 3: 31}
    """
    shares = {}
    left = min(wanted, sum(available.values()))
    for place, source in enumerate(sorted(available, key=lambda source: (available[source], source))):
        shares[source] = min(available[source], left // (len(available) - place))
        left -= shares[source]
    return shares


@dataclass(frozen=True)
class _Limit:
    """Rows of earlier turns are taken, and of this turn those with at most this chance."""

    turn: int
    chance: int


def _limits(folder: Path, parts: int, choice: Choice, available: Counter[tuple[int, int]]) -> dict[int, _Limit]:
    """The limit of each source that gives rows; one for all, under 0, where sources are not balanced."""
    totals: Counter[int] = Counter()
    for (source, _), count in available.items():
        totals[source] += count
    wanted = totals.total() if choice.num_samples is None else choice.num_samples
    limits = {}
    for source, share in share_out(totals, wanted).items():
        turn = 0
        while share > available[source, turn]:
            share -= available[source, turn]
            turn += 1
        if share:
            limits[source] = _Limit(turn, _smallest(folder, parts, choice, source, turn, share))
    return limits


def _smallest(folder: Path, parts: int, choice: Choice, source: int, turn: int, count: int) -> int:
    """The ``count``-th smallest chance of the rows of a turn."""
    chances = np.concatenate(
        [
            rows["chance"][_of_source(rows, source, choice) & (rows["turn"] == turn)]
            for rows in _all_turns(folder, parts)
        ]
    )
    chances.partition(count - 1)
    return int(chances[count - 1])


def _within(rows: npt.NDArray[Any], limits: Mapping[int, _Limit], choice: Choice) -> Flags:
    within = np.zeros(len(rows), dtype=bool)
    for source, limit in limits.items():
        early = (rows["turn"] < limit.turn) | ((rows["turn"] == limit.turn) & (rows["chance"] <= limit.chance))
        within |= early & _of_source(rows, source, choice)
    return within


def _of_source(rows: npt.NDArray[Any], source: int, choice: Choice) -> Flags:
    return np.equal(rows["source"], source) if choice.balance_sources else np.ones(len(rows), dtype=bool)


def _all_turns(folder: Path, parts: int) -> Iterator[npt.NDArray[Any]]:
    for number in range(parts):
        if _part(folder, number).exists():
            yield np.fromfile(_part(folder, number), dtype=_TURNS)
