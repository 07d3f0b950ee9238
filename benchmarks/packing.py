"""What packing costs, how full it makes the rows, and what it does to the order of the samples.

    python benchmarks/packing.py assign [--sequences N] [--data instruct reasoning] [--upstream N]

Lengths are drawn, the same in every run: log-normal, as measured on released samples.

    instruct    OpenMathInstruct-2: solutions of 300 tokens on average, 1024 at most, and prompts of about 100
    reasoning   OpenMathReasoning: 6,000 on average; what is longer than a row is left out

Every line of the first table is a process of its own, on one core: seconds of ``pack`` with the loading of the compiler
(compiled before, into an empty cache), and the most memory that the process had, lengths included. Then what became of
the order, for which "chance" stands for the shuffled order cut wherever a row's number of tokens is reached:

    mean      spread (standard deviation) over rows of the mean length of a row's sequences
    count     spread over rows of the number of sequences
    trend     correlation of a row's number with that mean length: -1 where long ones come first
    moved     places between a sequence's position in the shuffled order and in the rows: median, 95th percentile

The second table has the algorithm of NeMo-Skills beside ours, both in plain Python: chunks of 100,000 sequences, in
each a scan over all rows whose lengths are added up again for every sequence.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import numpy as np
import numpy.typing as npt

from openmath.orders import shuffled
from openmath.packing import ALGORITHMS, pack
from openmath.records import derive_seed

SEED = 0
UPSTREAM_CHUNK = 100_000
# Enough to make the compiler work.
WARM_UP = 60_000

Ints = npt.NDArray[np.int32]


def instruct_lengths(count: int) -> Ints:
    random = np.random.default_rng(1)
    solutions = np.minimum(random.lognormal(np.log(255), 0.6, count), 1024)
    problems = np.minimum(random.lognormal(np.log(55), 0.65, count), 600)
    return (solutions + problems + 35).astype(np.int32)


def reasoning_lengths(count: int) -> Ints:
    random = np.random.default_rng(2)
    return (random.lognormal(np.log(4300), 0.8, count) + 100).astype(np.int32)


DATA: dict[str, tuple[Callable[[int], Ints], tuple[int, ...]]] = {
    "instruct": (instruct_lengths, (4096, 16384, 32768)),
    "reasoning": (reasoning_lengths, (16384, 32768)),
}


def apart(function: Callable[..., Any], *args: Any) -> Any:
    """What a function returns that runs in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args)


def write_lengths(path: Path, data: str, count: int, capacity: int) -> None:
    lengths = DATA[data][0](count)
    np.save(path, lengths[lengths <= capacity])


# Assignment


def row_statistics(lengths: Ints, order: npt.NDArray[np.int64], rows: npt.NDArray[Any]) -> dict[str, float]:
    """What grouping into rows does to an order; a row number may be missing."""
    counts = np.bincount(rows)
    numbers = np.flatnonzero(counts)
    means = np.bincount(rows, weights=lengths)[numbers] / counts[numbers]
    places = np.argsort(rows[order], kind="stable")
    moved = np.empty(len(rows), dtype=np.int64)
    moved[places] = np.arange(len(rows))
    median, most = np.quantile(np.abs(moved - np.arange(len(rows))), (0.5, 0.95))
    trend = float(np.corrcoef(np.arange(len(numbers)), means)[0, 1])
    return {"mean": means.std(), "count": counts[numbers].std(), "trend": trend, "moved": median, "moved_most": most}


def assign(path: Path, capacity: int, algorithm: str) -> dict[str, float]:
    """Pack the lengths of a file; what it cost and what it gave."""
    lengths = np.load(path)
    wall, cpu = time.perf_counter(), time.process_time()
    rows = pack(lengths, capacity, algorithm, SEED)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = int(rows.max()) + 1
    return {
        "wall": wall,
        "cpu": cpu,
        "megabytes": megabytes,
        "full": 100 * int(lengths.sum(dtype=np.int64)) / (count * capacity),
        "per_row": len(lengths) / count,
        **row_statistics(lengths, shuffled(len(lengths), derive_seed("pack", SEED)), rows),
    }


def by_chance(path: Path, capacity: int) -> dict[str, float]:
    lengths = np.load(path)
    order = shuffled(len(lengths), derive_seed("pack", SEED))
    rows = np.empty(len(lengths), dtype=np.int64)
    rows[order] = np.cumsum(lengths[order], dtype=np.int64) // capacity
    return row_statistics(lengths, order, rows)


def upstream_rows(sizes: list[int], capacity: int) -> Iterator[int]:
    """Row of each size by a scan over the rows, as NeMo-Skills places them."""
    chunks = -(-len(sizes) // UPSTREAM_CHUNK)
    first = 0
    for chunk in np.array_split(np.array(sizes), chunks):
        rows: list[list[int]] = []
        for size in chunk.tolist():
            number = next((number for number, row in enumerate(rows) if sum(row) + size <= capacity), len(rows))
            if number == len(rows):
                rows.append([])
            rows[number].append(size)
            yield first + number
        first += len(rows)


def beside_upstream(path: Path, capacity: int) -> tuple[float, float, float, bool]:
    """CPU seconds of upstream and of ours for the same shuffled order, how full, and whether the rows are the same."""
    lengths = np.load(path)
    order = shuffled(len(lengths), derive_seed("pack", SEED))
    start = time.process_time()
    theirs = list(upstream_rows(lengths[order].tolist(), capacity))
    between = time.process_time()
    ours = pack(lengths, capacity, "first_fit_shuffle", SEED)
    end = time.process_time()
    full = 100 * int(lengths.sum(dtype=np.int64)) / ((max(theirs) + 1) * capacity)
    return between - start, end - between, full, ours[order].tolist() == theirs


def print_order(statistics: dict[str, float]) -> None:
    print(
        "{mean:8.1f} {count:6.2f} {trend:+6.2f} {moved:10,.0f} {moved_most:10,.0f}".format(**statistics),
        flush=True,
    )


def assign_all(sequences: int, names: list[str], upstream: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = folder
        path = Path(folder) / "lengths.npy"
        apart(write_lengths, path, "instruct", WARM_UP, 4096)
        compiling = [apart(assign, path, 4096, algorithm)["cpu"] for algorithm in ALGORITHMS]
        print(f"compiled in {sum(compiling):.1f} CPU-s")
        print(
            f"{'data':10} {'rows of':>7} {'algorithm':21} {'full %':>8} {'a row':>6} {'wall s':>6}"
            f" {'CPU s':>6} {'MB':>5} {'mean':>8} {'count':>6} {'trend':>6} {'moved':>10} {'95 %':>10}"
        )
        for name in names:
            for capacity in DATA[name][1]:
                apart(write_lengths, path, name, sequences, capacity)
                start = f"{name:10} {capacity:7}"
                for algorithm in ALGORITHMS:
                    found = apart(assign, path, capacity, algorithm)
                    cost = "{full:8.3f} {per_row:6.2f} {wall:6.2f} {cpu:6.2f} {megabytes:5.0f}".format(**found)
                    print(f"{start} {algorithm:21} {cost} ", end="")
                    print_order(found)
                print(f"{start} {'chance':21} {'':35} ", end="")
                print_order(apart(by_chance, path, capacity))
        if not upstream:
            return
        print(f"\n{upstream:,} sequences drawn, plain Python, first fit shuffled")
        print(f"{'data':10} {'rows of':>7} {'full %':>8} {'upstream CPU s':>15} {'ours CPU s':>11} same rows")
        for name in names:
            for capacity in DATA[name][1]:
                apart(write_lengths, path, name, upstream, capacity)
                theirs, ours, full, same = apart(beside_upstream, path, capacity)
                print(f"{name:10} {capacity:7} {full:8.3f} {theirs:15.2f} {ours:11.3f} {same}", flush=True)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("assign", help="which row each sequence goes to")
    part.add_argument("--sequences", type=int, default=1_000_000, help="how many are drawn (default: %(default)s)")
    part.add_argument("--data", nargs="+", choices=DATA, default=list(DATA), help="whose lengths")
    part.add_argument("--upstream", type=int, default=20_000, help="for the second table; 0: none")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.part == "assign":
        assign_all(args.sequences, args.data, args.upstream)


if __name__ == "__main__":
    main()
