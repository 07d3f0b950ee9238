r"""How fast, and in how much memory, training rows become packed rows.

    python benchmarks/packed_rows.py arrays [--samples N] [--layout nemo|flat] [--upstream N]
    python benchmarks/packed_rows.py tokens --tokenizer FOLDER [--data FILE] [--copies N]

``arrays``: N tokenised samples of realistic lengths are generated, put into rows and written. The time is that of
writing alone, and the memory the most that the process ever had. ``--upstream N`` does as many as the source does:
samples are Python lists, the arrays are made in memory.

``tokens``: the script itself is run with one worker and with two on the rows of FILE (or on generated ones), and the
seconds of both are compared. They are of the clock, so nothing else should be at work.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from openmath.packed_rows import places_of, write_flat, write_nemo
from openmath.packing import pack
from openmath.records import write_jsonl
from openmath.sample_spool import open_spool

CAPACITY = 4096
WORDS = ["the", "sum", "of", "all", "positive", "integers", "such", "that", "\\frac{x}{2}", "+", "17", "\\boxed{28}"]


def some_lengths(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of the inputs and of the outputs of OpenMathInstruct-2: about 110 and 230, with a long tail."""
    rng = np.random.default_rng(seed)
    inputs = np.clip(rng.lognormal(4.6, 0.45, count), 20, 1000).astype(np.int32)
    outputs = np.clip(rng.lognormal(5.3, 0.55, count), 5, 1500).astype(np.int32)
    return inputs, outputs


def fill(spool, count: int) -> None:
    """Append generated samples, as the workers would have made them."""
    for first in range(0, count, 10_000):
        inputs, outputs = some_lengths(min(10_000, count - first), seed=first)
        lengths = inputs + outputs
        starts = np.cumsum(lengths + 3) - lengths - 3
        records = np.random.default_rng(first).integers(0, 128_000, int((lengths + 3).sum()), dtype=np.int32)
        records[starts], records[starts + 1], records[starts + 2] = 0, lengths, inputs
        spool.append(records.tobytes(), lengths.tobytes())


def peak_mb() -> float:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_arrays(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=args.folder) as folder, open_spool(Path(folder)) as spool:
        fill(spool, args.samples)
        rows = pack(places_of(spool.lengths), CAPACITY, "first_fit_shuffle", 0)
        before = peak_mb()
        cpu, clock = time.process_time(), time.perf_counter()
        facts = (write_nemo if args.layout == "nemo" else write_flat)(spool, rows, Path(folder))
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    tokens = facts["tokens"]
    print(
        f"{args.layout}: {args.samples} samples, {tokens / 1e6:.0f} M tokens in {facts['rows']} rows: "
        f"{tokens / cpu / 1e6:.1f} M tokens/s of CPU time, {tokens / clock / 1e6:.1f} by the clock; "
        f"most memory {peak_mb():.0f} MB ({before:.0f} MB before)"
    )


def measure_upstream(count: int) -> None:
    """The source's way: a Python list a sample, rows assembled as lists, and padded arrays in memory."""
    inputs, outputs = some_lengths(count, seed=0)
    rng = np.random.default_rng(0)
    samples = [rng.integers(0, 128_000, a + b).tolist() for a, b in zip(inputs, outputs, strict=True)]
    rows = pack(inputs + outputs - 1, CAPACITY, "first_fit_shuffle", 0)
    cpu = time.process_time()
    packs: list[tuple[list[int], list[bool], list[int]]] = [([], [], []) for _ in range(rows.max() + 1)]
    for row, prompt, tokens in zip(rows.tolist(), inputs.tolist(), samples, strict=True):
        ids, mask, starts = packs[row]
        starts.append(len(ids))
        ids.extend(tokens)
        mask.extend([place >= prompt - 1 and token != 128_001 for place, token in enumerate(tokens)])
    width, most = max(len(ids) for ids, _, _ in packs), max(len(starts) for _, _, starts in packs)
    np.array([ids + [-1] * (width - len(ids)) for ids, _, _ in packs], dtype=np.int32)
    np.array([mask + [True] * (width - len(mask)) for _, mask, _ in packs])
    np.array([starts + [-1] * (most - len(starts)) for _, _, starts in packs], dtype=np.int32)
    cpu, total = time.process_time() - cpu, sum(map(len, samples))
    print(
        f"upstream's way: {count} samples, {total / 1e6:.1f} M tokens: {total / cpu / 1e6:.1f} M tokens/s of CPU time"
    )
    print(f"most memory {peak_mb():.0f} MB, {peak_mb() * 2**20 / total:.0f} bytes a token")


def write_rows(path: Path, data: Path | None, copies: int) -> int:
    """The rows of ``data`` so many times over, each time a little different; generated ones without."""
    rng = np.random.default_rng(0)
    if data is None:
        rows = [
            {"input": " ".join(rng.choice(WORDS, 60)), "output": " ".join(rng.choice(WORDS, 120))} for _ in range(1000)
        ]
    else:
        rows = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
    return write_jsonl(path, ({**row, "input": f"{row['input']} {copy}"} for copy in range(copies) for row in rows))


def measure_tokens(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        count = write_rows(Path(folder) / "rows.jsonl", args.data, args.copies)
        seconds, sums = {}, set()
        for workers in (1, 2):
            prefix = Path(folder) / f"{workers}" / "packed"
            words = [
                *(sys.executable, str(ROOT / "scripts" / "pack_sequences.py"), "--data", f"{folder}/rows.jsonl"),
                *("--tokenizer", str(args.tokenizer), "--capacity", str(CAPACITY), "--layout", args.layout),
                *("--algorithm", "first_fit_shuffle", "--seed", "0", "--output-prefix", str(prefix)),
                *("--workers", str(workers)),
            ]
            start = time.perf_counter()
            subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
            seconds[workers] = time.perf_counter() - start
            sums.add(b"".join(path.read_bytes() for path in sorted(prefix.parent.iterdir())))
        manifest = json.loads(next(prefix.parent.glob("*.json")).read_text())
        assert len(sums) == 1, "the number of workers changed the bytes"
    print(
        f"{count} rows, {manifest['tokens'] / 1e6:.1f} M tokens: one worker {seconds[1]:.1f} s, "
        f"two {seconds[2]:.1f} s: {seconds[1] / seconds[2]:.2f} times as fast"
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("arrays", "tokens"))
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--layout", choices=("nemo", "flat"), default="nemo")
    parser.add_argument("--upstream", type=int, metavar="N", help="also N samples in the source's way")
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--data", type=Path, help="rows of {input, output}")
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="where the files go; the system's temporary folder without")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse_args()
    if arguments.what == "arrays":
        measure_arrays(arguments)
        if arguments.upstream:
            measure_upstream(arguments.upstream)
    else:
        measure_tokens(arguments)
