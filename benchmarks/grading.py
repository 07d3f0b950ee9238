r"""How right and how fast answers are graded: ours, equality of texts, and Math-Verify, in one run.

    python benchmarks/grading.py [LABELLED ...] [--stream FILE ...] [--math-verify] [--by-kind] [--show-wrong]

Labelled pairs are tables (.tsv with a header, no quoting) or JSON Lines with "expected", "predicted", "equal" ("yes" or
"no") and, where there are, "kind" and "why"; without arguments those of tests/data/answers. Generations are JSON Lines:
an expected answer ("expected_answer", "gt" or "answer") and "predicted_answer" or "pred", a text or a list of texts, or
the solution that its answer is extracted from ("generation", "generated_solution"). Rows without an answer are passed
over.

    stream      the answers of --stream, file by file and line by line, as they come
    repeated    the same again and again, up to --pairs: most pairs were seen before, as with many samples of a problem
    distinct    its distinct pairs, each once: every one is new
    hard        of the labelled pairs those that our grader settles exactly or at points, not by text or structure
    symbolic    and those that it asks sympy about, each once
    labelled    all labelled pairs, each once

Without --stream one is drawn from the labelled pairs of the kinds "real_...": 32 samples of each expected answer, seed
by seed, 70 % with its own text, the others with the predictions that it has in the file, the first most often. These
are the odd ones among real answers, so it is the harder stream.

Every measurement has a process of its own, with empty caches. Rates are pairs by CPU second, that of worker processes
included; what is loaded only once (modules, sympy's worker) is loaded before and stands in "load s". What took less
than 5 s is the median of three; what takes a minute is cut there, all labelled pairs excepted. "slowest" is the wall
time of one pair, labelled or of the stream. Peak memory is that of the dearest of these processes, and of the workers
that it had. A pair is given up after 10 s.
"""

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import multiprocessing
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

LABELLED = ROOT / "tests" / "data" / "answers"
OURS, TEXTS, MATH_VERIFY = "openmath.answers", "equal texts", "Math-Verify"
MODULES = {OURS: "openmath.answers", MATH_VERIFY: "math_verify"}
MEASURES = ("stream", "repeated", "distinct", "hard", "symbolic", "labelled")
EXPECTED_KEYS = ("expected_answer", "gt", "answer")
PREDICTED_KEYS = ("predicted_answer", "pred")
SOLUTION_KEYS = ("generation", "generated_solution")
HARD = ("exact", "points")
PAIR_SECONDS = 10
SECONDS = 60
REPEATED_BELOW = 5.0
SAMPLES, OWN_TEXT = 32, 0.7

# Through the dearer tiers, so that their modules are loaded and the worker runs; of no use to a pair measured later.
WARMING = (("7", "7"), (r"\sqrt{q^4}+\sqrt[3]{9}", r"q^2+\sqrt[3]{9}"), (r"\sum_{q=1}^{5} q", "15"))

Pair = tuple[str, str]
Grader = Callable[[str, str], tuple[str, str]]


class Labelled(NamedTuple):
    """A labelled pair and where it stands."""

    place: str
    kind: str
    pair: Pair
    equal: bool
    why: str


class Measured(NamedTuple):
    """What one process measured: verdicts and wall seconds by pair, CPU seconds, and peak memory in MB."""

    verdicts: list[tuple[str, str]]
    pair_seconds: list[float]
    seconds: float
    load_seconds: float
    peak: float
    workers_peak: float


class Inputs(NamedTuple):
    """What a process reads its pairs from."""

    labelled: tuple[Path, ...]
    stream: tuple[Path, ...]
    repeated_to: int


# Pairs


def labelled_pairs(paths: Sequence[Path]) -> list[Labelled]:
    """The pairs of all files, in their order.

    Raises:
        SystemExit: a row lacks a field, or its label is neither "yes" nor "no"; file and line are named.
    """
    rows: list[Labelled] = []
    for path in paths:
        for number, row in _rows(path):
            expected, predicted, label = (row.get(key) for key in ("expected", "predicted", "equal"))
            if not isinstance(expected, str) or not isinstance(predicted, str):
                raise SystemExit(f"grading: {path}, line {number}: no texts 'expected' and 'predicted'")
            if label not in ("yes", "no", True, False):
                raise SystemExit(f"grading: {path}, line {number}: 'equal' is {label!r}, neither yes nor no")
            kind, why = str(row.get("kind", "")), str(row.get("why", ""))
            rows.append(Labelled(f"{path.name}:{number}", kind, (expected, predicted), label in ("yes", True), why))
    return rows


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a table or of JSON Lines, with the numbers of their lines."""
    with open(path, encoding="utf-8", newline="\n") as lines:
        header = lines.readline().rstrip("\n").split("\t") if path.suffix == ".tsv" else None
        for number, line in enumerate(lines, start=2 if header else 1):
            if header:
                yield number, dict(zip(header, line.rstrip("\n").split("\t"), strict=False))
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SystemExit(f"grading: {path}, line {number}: not JSON ({error})") from None
            if not isinstance(row, dict):
                raise SystemExit(f"grading: {path}, line {number}: not a JSON object")
            yield number, row


def stream_pairs(inputs: Inputs) -> list[Pair]:
    """The pairs of real generations, or drawn ones where there is no file."""
    if not inputs.stream:
        return drawn_pairs(labelled_pairs(inputs.labelled))
    return [pair for path in inputs.stream for number, row in _rows(path) for pair in _answers(path, number, row)]


def _answers(path: Path, number: int, row: dict[str, Any]) -> Iterator[Pair]:
    from openmath.answers import extract_answer

    expected = next((row[key] for key in EXPECTED_KEYS if isinstance(row.get(key), str)), None)
    predicted = next((row[key] for key in PREDICTED_KEYS if key in row), None)
    solution = next((row[key] for key in SOLUTION_KEYS if isinstance(row.get(key), str)), None)
    if expected is None or (not any(key in row for key in PREDICTED_KEYS) and solution is None):
        raise SystemExit(f"grading: {path}, line {number}: no expected answer, or no predicted one")
    if not any(key in row for key in PREDICTED_KEYS):
        predicted = extract_answer(solution or "")
    for answer in predicted if isinstance(predicted, list) else [predicted]:
        if answer:
            yield expected, answer


def drawn_pairs(rows: Sequence[Labelled]) -> list[Pair]:
    """A stream of 32 samples a problem, seed by seed, as the module says."""
    answers: dict[str, list[str]] = {}
    for row in rows:
        if row.kind.startswith("real"):
            answers.setdefault(row.pair[0], []).append(row.pair[1])
    pairs: list[Pair] = []
    for seed in range(SAMPLES):
        draw = random.Random(seed)
        for expected, others in answers.items():
            own = draw.random() < OWN_TEXT
            other = others[min(int(draw.expovariate(0.7)), len(others) - 1)]
            pairs.append((expected, expected if own else other))
    return pairs


def pairs_of(measure: str, inputs: Inputs) -> list[Pair]:
    """The pairs of a measurement, in the order in which they are graded."""
    if measure == "labelled":
        return [row.pair for row in labelled_pairs(inputs.labelled)]
    if measure in ("hard", "symbolic"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_pairs_of_tiers, (inputs, HARD if measure == "hard" else ("symbolic",)))
    pairs = stream_pairs(inputs)
    if measure == "distinct":
        return list(dict.fromkeys(pairs))
    times = max(1, -(-inputs.repeated_to // max(1, len(pairs)))) if measure == "repeated" else 1
    return pairs * times


def _pairs_of_tiers(inputs: Inputs, tiers: Sequence[str]) -> list[Pair]:
    grade = _ours()
    pairs = dict.fromkeys(row.pair for row in labelled_pairs(inputs.labelled))
    return [pair for pair in pairs if grade(*pair)[1] in tiers]


# Graders


def _ours() -> Grader:
    from openmath.answers import grade

    return grade


def _texts() -> Grader:
    return lambda expected, predicted: ("correct" if expected == predicted else "incorrect", "text")


def _math_verify() -> Grader:
    from openmath.auditing import load_math_verify, math_verify_verdict

    load_math_verify()
    return lambda expected, predicted: (math_verify_verdict((expected, predicted)), "")


GRADERS = {OURS: _ours, TEXTS: _texts, MATH_VERIFY: _math_verify}


# Measuring


class PairTimeoutError(BaseException):
    """A pair took too long. No Exception, which graders would catch."""


class EnoughError(BaseException):
    """The time of the measurement is over."""


def graded(
    grade: Grader, pairs: Sequence[Pair], timed: bool, most_seconds: float
) -> tuple[list[tuple[str, str]], list[float]]:
    """Verdicts of the pairs, of the first of them where the time does not suffice, and the wall seconds of each.

    A clock looks every second whether there is a new verdict; it cannot interrupt C code.
    """
    verdicts: list[tuple[str, str]] = []
    times: list[float] = []
    seen, stuck, end = 0, 0, time.monotonic() + most_seconds

    def look(*_: object) -> None:
        nonlocal seen, stuck
        stuck = stuck + 1 if len(verdicts) == seen else 0
        seen = len(verdicts)
        if stuck >= PAIR_SECONDS:
            stuck = 0
            raise PairTimeoutError
        if time.monotonic() > end:
            raise EnoughError

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        while len(verdicts) < len(pairs):
            try:
                rest = itertools.islice(pairs, len(verdicts), None)
                if timed:
                    _grade_timed(grade, rest, verdicts, times)
                else:
                    for expected, predicted in rest:
                        verdicts.append(grade(expected, predicted))
            except PairTimeoutError:
                verdicts.append(("timeout", "given up"))
                times[len(verdicts) - 1 :] = [float(PAIR_SECONDS)]
    except EnoughError:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return verdicts, times


def _grade_timed(grade: Grader, pairs: Iterator[Pair], verdicts: list[tuple[str, str]], times: list[float]) -> None:
    start = time.perf_counter()
    for expected, predicted in pairs:
        verdicts.append(grade(expected, predicted))
        end = time.perf_counter()
        times.append(end - start)
        start = end


def workers() -> dict[int, float]:
    """The children that live: process ids, and CPU seconds, those of their own ended children included."""
    children: dict[int, float] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # Behind the name: state, parent, ...; then (11 to 14) user and system time, own and of children.
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            children[int(status.parent.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return children


def worker_seconds() -> float:
    """CPU time of the children of this process, the ended ones and those that live."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + sum(workers().values())


def _worker_megabytes() -> float:
    """The sum of the peaks of the children that live."""
    peaks = 0.0
    for pid in workers():
        status = Path(f"/proc/{pid}/status").read_text()
        peaks += float(status.partition("VmHWM:")[2].split()[0]) / 1024 if "VmHWM:" in status else 0.0
    return peaks


def measure_here(name: str, pairs: list[Pair], timed: bool, most_seconds: float) -> Measured:
    """Grade the pairs in this process, whose caches are empty."""
    before, start = worker_seconds(), time.process_time()
    grade = GRADERS[name]()
    for pair in WARMING:
        grade(*pair)
    loaded = time.process_time() - start
    between = worker_seconds()
    start = time.process_time()
    verdicts, times = graded(grade, pairs, timed, most_seconds)
    seconds = time.process_time() - start
    seconds += worker_seconds() - between
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(verdicts, times, seconds, loaded + between - before, peak, _worker_megabytes())


def _child(answer: Connection, name: str, measure: str, inputs: Inputs, timed: bool, most_seconds: float) -> None:
    result = measure_here(name, pairs_of(measure, inputs), timed, most_seconds)
    answer.send(result._replace(verdicts=[(verdict, tier) for verdict, tier in result.verdicts]))


def measured(name: str, measure: str, inputs: Inputs) -> Measured:
    """The median of three measurements by CPU time, each in a fresh process; one alone where it took long."""
    results: list[Measured] = []
    timed = measure not in ("stream", "repeated")
    most_seconds = float("inf") if measure == "labelled" else float(SECONDS)
    context = multiprocessing.get_context("spawn")
    while not results or (len(results) < 3 and results[0].seconds < REPEATED_BELOW):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(theirs, name, measure, inputs, timed, most_seconds))
        process.start()
        theirs.close()
        try:
            results.append(ours.recv())
        except EOFError:
            process.join()
            raise SystemExit(f"grading: measuring {name}, {measure}, ended with status {process.exitcode}") from None
        process.join()
    return sorted(results, key=lambda result: result.seconds)[len(results) // 2]


def import_seconds(module: str) -> tuple[float, list[str]]:
    """CPU seconds of an import, the least of three, and which of sympy and mpmath it loads."""
    code = (
        f"import sys, time; start = time.process_time(); import {module}; "
        "print(time.process_time() - start, *({'sympy', 'mpmath'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    runs = [
        subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True)
        for _ in range(3)
    ]
    return min(float(run.stdout.split()[0]) for run in runs), sorted(runs[0].stdout.split()[1:])


# Tables


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table in Markdown, the first column on the left, the others on the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        cells = (f"{cell:{'<' if column == 0 else '>'}{widths[column]}}" for column, cell in enumerate(row))
        print(f"| {' | '.join(cells)} |")
    print()


def accuracy(rows: Sequence[Labelled], verdicts: Sequence[tuple[str, str]]) -> list[str]:
    """Pairs, right %, equal pairs refused, unequal pairs accepted."""
    found = Counter((row.equal, verdict == "correct") for row, (verdict, _) in zip(rows, verdicts, strict=True))
    right = 100 * (found[True, True] + found[False, False]) / len(rows)
    return [f"{len(rows):,}", f"{right:.2f}", f"{found[True, False]}", f"{found[False, True]}"]


def print_graders(rows: Sequence[Labelled], results: dict[str, dict[str, Measured]]) -> None:
    """One row a grader: how right it is, what it costs."""
    counts = ("labelled", "right %", "equal refused", "unequal accepted")
    lines = []
    for name, measures in results.items():
        found, loaded = import_seconds(MODULES[name]) if name in MODULES else (0.0, [])
        every = measures.values()
        slowest = max(max(result.pair_seconds, default=0.0) for result in every)
        rates = [f"{len(measures[key].verdicts) / measures[key].seconds:,.0f}" for key in MEASURES]
        memory = [f"{max(result.peak for result in every):.0f}", f"{max(result.workers_peak for result in every):.0f}"]
        loads = [f"{found:.2f}{''.join(f' ({name})' for name in loaded)}", f"{measures['labelled'].load_seconds:.2f}"]
        cost = [*rates, *memory, f"{1000 * slowest:,.1f}", *loads]
        lines.append([name, *accuracy(rows, measures["labelled"].verdicts), *cost])
    costs = (*(f"{key}/s" for key in MEASURES), "peak MB", "workers MB", "slowest ms", "import s", "load s")
    print_table(("grader", *counts, *costs), lines)


def print_tiers(result: dict[str, Measured]) -> None:
    """What each tier of our grader decides, and the wall time of a pair, the reading of new texts with it."""
    tiers: dict[str, list[float]] = {}
    for (_, tier), seconds in zip(result["labelled"].verdicts, result["labelled"].pair_seconds, strict=True):
        tiers.setdefault(tier, []).append(seconds)
    lines = [
        [tier, f"{len(times):,}", f"{1e6 * statistics.median(times):,.0f}", f"{1e6 * statistics.mean(times):,.0f}"]
        for tier, times in sorted(tiers.items(), key=lambda item: statistics.median(item[1]))
    ]
    print_table((f"tier of {OURS}", "labelled", "median us", "mean us"), lines)


def print_kinds(rows: Sequence[Labelled], results: dict[str, dict[str, Measured]]) -> None:
    """One row for each kind and grader."""
    lines = []
    for kind in sorted({row.kind for row in rows}):
        for name, measures in results.items():
            verdicts = measures["labelled"].verdicts
            chosen = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if row.kind == kind]
            lines.append([kind, name, *accuracy([row for row, _ in chosen], [verdict for _, verdict in chosen])])
    print_table(("kind", "grader", "pairs", "right %", "equal refused", "unequal accepted"), lines)


def print_wrong(rows: Sequence[Labelled], results: dict[str, dict[str, Measured]]) -> None:
    """Every pair on which a grader and its label differ."""
    for name, measures in results.items():
        if name == TEXTS:
            continue
        print(f"Wrong by {name}:")
        for row, (verdict, tier) in zip(rows, measures["labelled"].verdicts, strict=True):
            if row.equal != (verdict == "correct"):
                label = "equal" if row.equal else "unequal"
                print(
                    f"{row.place} [{row.kind}] {row.pair[0]!r} {row.pair[1]!r}: {label} ({row.why}), {verdict} {tier}"
                )
        print()


def print_slowest(rows: Sequence[Labelled], inputs: Inputs, result: dict[str, Measured], most: int) -> None:
    """The slowest pairs of our grader."""
    pairs = {"labelled": [row.pair for row in rows]}
    if any(result["distinct"].pair_seconds):
        pairs["distinct"] = pairs_of("distinct", inputs)
    timed = ((seconds, pair, measure) for measure in pairs for seconds, pair in zip(
        result[measure].pair_seconds, pairs[measure], strict=False))  # fmt: skip
    for seconds, pair, measure in sorted(timed, reverse=True)[:most]:
        print(f"{1000 * seconds:8.2f} ms  {measure:8}  {pair[0]!r}  {pair[1]!r}")
    print()


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", nargs="*", type=Path, help="labelled pairs (tests/data/answers/*.tsv)")
    parser.add_argument("--stream", nargs="+", type=Path, default=[], metavar="FILE", help="generations, JSON Lines")
    parser.add_argument("--pairs", type=int, default=30_000, metavar="N", help="pairs of the repeated stream (30000)")
    parser.add_argument("--math-verify", action="store_true", help="grade with Math-Verify too; minutes")
    parser.add_argument("--by-kind", action="store_true", help="a table of the kinds of the labelled pairs")
    parser.add_argument("--show-wrong", action="store_true", help="list the pairs that are graded wrongly")
    parser.add_argument("--show-slowest", type=int, default=0, metavar="N", help="list our N slowest pairs")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    labelled = tuple(args.labelled) or tuple(sorted(LABELLED.glob("*.tsv")))
    for path in (*labelled, *args.stream):
        if not path.is_file():
            raise SystemExit(f"grading: no file {path}")
    inputs = Inputs(labelled, tuple(args.stream), args.pairs)
    names = [OURS, TEXTS]
    if args.math_verify:
        if importlib.util.find_spec("math_verify") is None:
            raise SystemExit('grading: Math-Verify is not installed: pip install -e ".[audit]"')
        names.append(MATH_VERIFY)
        print(f"Math-Verify {importlib.metadata.version('math-verify')}")
    # Before the pairs are read here: a child's peak memory counts from that of the process that started it.
    results = {name: {measure: measured(name, measure, inputs) for measure in MEASURES} for name in names}
    rows = labelled_pairs(labelled)
    stream = "real generations" if args.stream else "drawn from the labelled pairs"
    counts = ", ".join(f"{len(results[TEXTS][measure].verdicts):,} {measure}" for measure in MEASURES)
    print(f"Pairs: {counts}; the stream: {stream}\n")
    print_graders(rows, results)
    print_tiers(results[OURS])
    if args.by_kind:
        print_kinds(rows, results)
    if args.show_wrong:
        print_wrong(rows, results)
    if args.show_slowest:
        print_slowest(rows, inputs, results[OURS], args.show_slowest)


if __name__ == "__main__":
    main()
