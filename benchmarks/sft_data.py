r"""What preparing training rows costs, beside the algorithm of NeMo-Skills on the same data.

    python benchmarks/sft_data.py [rows] [--seed N] [--folder FOLDER] [--subjects ours-1 ours-2 peer]

Writes a folder of graded generations (100,000 rows, the same bytes in every run) and prepares it with the filters of
the OpenMathInstruct-2 recipe, without a tokenizer: lengths are limited in characters. What is drawn:

    problem    230 characters; 16 solutions, one in each output-rs{seed}.jsonl; 1 % contaminated, 3 % without majority
    solution   log-normal, 1,100 characters on average, with LaTeX, two plain equations and a box at the end
    answer     25 % are not the majority's, 1 % of solutions have none, 1.5 % are cut off at the limit of tokens
    flaws      5 % repeat the solution before, 2 % have two boxes, 3 % a wrong equation, 1 % "My solution:" in front,
               10 % go on after the answer, 1 % are three times as long

The peer is the algorithm, in our words: all rows in memory as dictionaries, de-duplicated, then filter after filter
over the list, grouped by problem, shuffled, de-duplicated again, written with the json module. It is spared two things
that cost the original more than all of this: the temporary file between any two filters, and a tokenizer. What is done
to one text (trimming, arithmetic) is the same code in both.

    us a row    CPU of the process and of those that it started
    wall s      on a machine that may be shared
    process MB  peak memory of the largest process
    all MB      peak of all processes together (pages that they share counted once; sampled)
    digest      of the rows that were written, whatever their order: alike if the rows are
"""

import argparse
import contextlib
import glob
import hashlib
import json
import logging
import math
import multiprocessing
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from openmath.arithmetic import has_wrong_arithmetic, split_arithmetic
from openmath.prompts import Prompt
from openmath.records import Record, atomic_output, encode_record, read_jsonl
from openmath.sft.texts import trim_prefix, trim_solution

PROMPT = ROOT / "resources" / "prompts" / "full" / "solve.yaml"
TEMPLATE = ROOT / "resources" / "templates" / "llama3-instruct.yaml"
SEEDS = 16
MEAN_CHARS, SPREAD = 1100, 0.5
MIN_CHARS, MAX_CHARS, MAX_PROBLEM_CHARS = 200, int(1024 * 3.5), int(1024 * 3.5)
SECONDS_BETWEEN_SAMPLES = 0.1

OPENINGS = (
    "To solve this problem, we first write down what is given and what is asked for",
    "Let us denote the number that we are looking for by $x$ and express everything else with it",
    "We can simplify the expression step by step, beginning with the innermost parentheses",
    "Notice that the triangle is isosceles, so the altitude from its vertex halves the base",
    "By the Pythagorean theorem, the square of the hypotenuse is the sum of the squares of the legs",
    "Since the two events are independent, the probability of both is the product of their probabilities",
    "Combining like terms and moving the constants to the right-hand side of the equation",
    "Using the quadratic formula and keeping only the root that is positive",
)
FLAW = "Adding these up, we find that 17 + 25 = 43 of them are left in the end."


# What is drawn


def sentences(draw: random.Random, count: int = 3000) -> list[str]:
    """Sentences of about 100 characters, with LaTeX and right arithmetic."""
    made = []
    for _ in range(count):
        a, b, c = draw.randint(2, 60), draw.randint(2, 60), draw.randint(2, 12)
        formulas = {
            f"\\[ {a}x + {b} = {a * c + b} \\]": 20,
            f"$\\frac{{{a}}}{{{b}}} \\cdot {c} = \\frac{{{a * c}}}{{{b}}}$": 20,
            f"$x^2 - {a + b}x + {a * b} = (x - {a})(x - {b})$": 20,
            f"\\begin{{align*}}\n{a}(x - {b}) &= {a}x - {a * b} \\\\\n&= {c}\n\\end{{align*}}": 20,
            f"{a} + {b} = {a + b}": 10,
            f"{a} * {c} + {b} = {a * c + b}": 5,
            f"$\\sqrt{{{a * a}}} + {b} = {a} + {b} = {a + b}$": 5,
        }
        (formula,) = draw.choices(list(formulas), list(formulas.values()))
        made.append(f"{draw.choice(OPENINGS)}: {formula}.{draw.choice((' ', ' ', chr(10) * 2))}")
    return made


class Problem(NamedTuple):
    """A problem and its answers, the majority's first."""

    id: str
    text: str
    answers: tuple[str, ...]


class Maker:
    """Makes problems and solutions, each from its numbers alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.pool = sentences(random.Random(seed))
        self.mean_sentence = sum(map(len, self.pool)) / len(self.pool)

    def problem(self, number: int) -> Problem:
        draw = random.Random(self.seed << 48 | number)
        a, b, c = draw.randint(2, 99), draw.randint(2, 99), draw.randint(2, 9)
        text = (
            f"A shop has {a} boxes with {b} pens each, and sells {c} boxes a day ({draw.choice(OPENINGS).lower()}). "
            f"If $n = {number}$ and $\\frac{{x}}{{{c}}} + {a} = {b}$, how many pens are left after {c} days?"
        )
        answer = draw.choice((f"{a * b}", f"\\frac{{{a}}}{{{a + c}}}", f"{a}.{c}", f"{b}x + {a}"))
        return Problem(f"{number:016x}", text, (answer, f"{a * b + 1}", f"{a + b}", f"\\frac{{{b}}}{{{b + c}}}"))

    def generation(self, problem: Problem, number: int, seed: int) -> tuple[Record, Record]:
        """The row of ``output-rs{seed}.jsonl``, and that of ``answers.jsonl``."""
        draw = random.Random(self.seed << 48 | number << 8 | seed)
        if draw.random() < 0.05 and seed:
            draw = random.Random(self.seed << 48 | number << 8 | seed - 1)
            draw.random()
        answer = problem.answers[0] if draw.random() < 0.75 else draw.choice(problem.answers[1:])
        kind = draw.random()
        text, finish_reason, verdict = self._solution(draw, kind, answer)
        predicted = answer if verdict == "ungraded" else None
        record = {
            "id": problem.id,
            "problem": problem.text,
            "problem_source": "augmented_math",
            "generation": text,
            "finish_reason": finish_reason,
            "num_generated_tokens": len(text) // 3,
            "seed": seed,
        }
        return record, {"id": problem.id, "seed": seed, "predicted_answer": predicted, "verdict": verdict}

    def _solution(self, draw: random.Random, kind: float, answer: str) -> tuple[str, str, str]:
        length = draw.lognormvariate(math.log(MEAN_CHARS) - SPREAD**2 / 2, SPREAD)
        if kind < 0.01:
            length *= 3
        body = "".join(draw.choices(self.pool, k=max(1, round(length / self.mean_sentence))))
        if 0.01 <= kind < 0.02:
            return body, "stop", "no_answer"
        if 0.02 <= kind < 0.035:
            return body[: -draw.randint(1, 40)], "length", "truncated"
        if 0.035 <= kind < 0.065:
            body += FLAW
        elif 0.065 <= kind < 0.085:
            body += f"So one root is $\\boxed{{{answer}}}$. "
        elif 0.085 <= kind < 0.095:
            body = "My solution:\n" + body
        closing = f"Therefore, the answer is $\\boxed{{{answer}}}$."
        if 0.1 <= kind < 0.2:
            closing += "\n\nI hope that this helps! Let me know if you have any more questions."
        return body + closing, "stop", "ungraded"


def make_data(folder: Path, rows: int, seed: int) -> None:
    """Write graded generations: ``output-rs*.jsonl``, ``answers.jsonl``, ``majority.jsonl``, ``checked.jsonl``.

    Args:
        folder: where they go.
        rows: rounded up to whole problems of ``SEEDS`` solutions.
        seed: of all that is drawn.
    """
    maker = Maker(seed)
    problems = -(-rows // SEEDS)
    with atomic_output(folder / "answers.jsonl") as answers:
        for sample in range(SEEDS):
            with atomic_output(folder / f"output-rs{sample}.jsonl") as generations:
                for number in range(problems):
                    record, answer = maker.generation(maker.problem(number), number, sample)
                    generations.write(encode_record(record))
                    answers.write(encode_record(answer))
    votes = {"majority_votes": 12, "total_votes": SEEDS}
    with atomic_output(folder / "majority.jsonl") as majority, atomic_output(folder / "checked.jsonl") as checked:
        for number in range(problems):
            identifier, text, known = maker.problem(number)
            if number % 32 != 7:
                majority.write(encode_record({"id": identifier, "expected_answer": known[0], **votes}))
            verdict = {"contaminated": number % 100 == 0, "matches": [], "calls": 0}
            checked.write(encode_record({"id": identifier, "problem": text, **verdict}))


# The peer


def upstream_prepare(folder: Path, output: Path, seed: int = 42) -> int:
    """Prepare ``folder`` as NeMo-Skills did, all in memory, and return the number of rows written."""
    rows = read_all(folder)
    with open(folder / "checked.jsonl", encoding="utf-8") as lines:
        checked = [json.loads(line) for line in lines]
    contaminated = {row["problem"] for row in checked if row["contaminated"]}
    boxed = re.compile(r"\\boxed\{[^}]*\}")

    def changed(change: Callable[[str], str]) -> list[Record]:
        return [{**row, "generation": change(row["generation"])} for row in rows]

    def kept(keep: Callable[[Record], bool]) -> list[Record]:
        return [row for row in rows if keep(row)]

    rows = kept(lambda row: len(boxed.findall(row["generation"])) <= 1)
    rows = kept(lambda row: row["problem"] not in contaminated)
    rows = changed(trim_prefix)
    rows = changed(trim_solution)
    rows = kept(lambda row: not has_wrong_arithmetic(row["generation"]))
    rows = changed(split_arithmetic)
    rows = kept(lambda row: len(row["problem"]) <= MAX_PROBLEM_CHARS)
    rows = kept(lambda row: MIN_CHARS <= len(row["generation"]) <= MAX_CHARS)
    groups: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        groups[row["problem"]].append(row)
    rows = [row for group in groups.values() for row in group]
    random.Random(seed).shuffle(rows)
    return write_rows(rows, output)


def read_all(folder: Path) -> list[Record]:
    """Every right solution of a folder, without repetitions."""
    with open(folder / "majority.jsonl", encoding="utf-8") as lines:
        majority = {row["id"]: row["expected_answer"] for row in map(json.loads, lines)}
    rows, seen = [], set()
    with open(folder / "answers.jsonl", encoding="utf-8") as answers:
        for sample in range(SEEDS):
            with open(folder / f"output-rs{sample}.jsonl", encoding="utf-8") as lines:
                for line, answer in zip(lines, answers, strict=False):
                    row = json.loads(line)
                    row["expected_answer"] = majority.get(row["id"])
                    row["predicted_answer"] = json.loads(answer)["predicted_answer"]
                    row["is_correct"] = row["predicted_answer"] == row["expected_answer"] is not None
                    pair = row["problem"], row["generation"]
                    if row["is_correct"] and pair not in seen:
                        seen.add(pair)
                        rows.append(row)
    return rows


def write_rows(rows: list[Record], output: Path) -> int:
    """Fill the prompt in, leave repetitions out once more and write."""
    prompt = Prompt.load(PROMPT, template=TEMPLATE)
    assert prompt.template is not None
    seen = set()
    with open(output, "w", encoding="utf-8") as lines:
        for row in rows:
            written = {
                "expected_answer": row["expected_answer"],
                "problem_source": row["problem_source"],
                "input": prompt.render(row),
                "output": row["generation"] + prompt.template.assistant_end,
            }
            pair = written["input"], written["output"]
            if pair not in seen:
                seen.add(pair)
                lines.write(json.dumps(written) + "\n")
    return len(seen)


# What is measured


def our_command(folder: Path, output: Path, workers: int) -> list[str]:
    """The command line of our script with the filters of the recipe."""
    options: dict[str, Any] = {
        "folders": folder,
        "contamination": folder / "checked.jsonl",
        "prompt": PROMPT,
        "template": TEMPLATE,
        "min-solution-chars": MIN_CHARS,
        "max-solution-chars": MAX_CHARS,
        "max-problem-chars": MAX_PROBLEM_CHARS,
        "shuffle-seed": 42,
        "output": output,
        "counts": output.with_suffix(".counts.json"),
        "workers": workers,
    }
    switches = ["drop-multi-boxed", "trim-prefix", "trim-solutions", "drop-wrong-arithmetic", "split-arithmetic"]
    script = str(ROOT / "scripts" / "prepare_sft_data.py")
    return [script, *(f"--{name}={value}" for name, value in options.items()), *(f"--{name}" for name in switches)]


def peer_command(folder: Path, output: Path) -> list[str]:
    return [str(Path(__file__).resolve()), f"--folder={folder}", f"--peer={output}"]


SUBJECTS: dict[str, Callable[[Path, Path], list[str]]] = {
    "ours-1": lambda folder, output: our_command(folder, output, 1),
    "ours-2": lambda folder, output: our_command(folder, output, 2),
    "peer": peer_command,
}


class Measure(NamedTuple):
    """What a process and those that it started took."""

    cpu_seconds: float
    wall_seconds: float
    process_mb: float
    all_mb: float


def measure(code: list[str]) -> Measure:
    """Run a Python process and measure it.

    Raises:
        SystemExit: it failed.
    """
    begin = time.monotonic()
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen([sys.executable, *code], stdout=messages, stderr=messages)
        done = threading.Event()
        peak = [0.0]
        watcher = threading.Thread(target=watch, args=(process.pid, done, peak))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
        done.set()
        watcher.join()
        if status != 0:
            messages.seek(0)
            raise SystemExit(f"sft_data: {code[0]} failed:\n{messages.read().decode()[-4000:]}")
    return Measure(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, peak[0])


def watch(pid: int, done: threading.Event, peak: list[float]) -> None:
    """Keep the largest memory (MB) of a process and its descendants in ``peak``."""
    while not done.wait(SECONDS_BETWEEN_SAMPLES):
        peak[0] = max(peak[0], sum(map(proportional_mb, descendants(pid))))


def descendants(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for path in glob.glob(f"/proc/{parent}/task/*/children"):
            with contextlib.suppress(OSError):
                found += map(int, Path(path).read_text().split())
    return found


def proportional_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def digest(path: Path) -> tuple[int, str]:
    """How many rows a file has, and a sum of the hashes of their inputs and outputs."""
    rows, total = 0, 0
    for row in read_jsonl(path):
        pair = f"{row['input']}\0{row['output']}".encode()
        total += int.from_bytes(hashlib.blake2b(pair, digest_size=8).digest(), "big")
        rows += 1
    return rows, f"{total % 2**32:08x}"


def report(folder: Path, subjects: list[str]) -> None:
    with open(folder / "answers.jsonl", "rb") as lines:
        rows = sum(1 for _ in lines)
    megabytes = sum(path.stat().st_size for path in folder.glob("output-rs*.jsonl")) / 1e6
    print(f"{rows:,} rows, {megabytes:,.0f} MB of generations")
    print(f"{'':8}{'us a row':>9}{'wall s':>9}{'process MB':>12}{'all MB':>9}{'rows out':>12}  digest")
    for subject in subjects:
        with tempfile.TemporaryDirectory(dir=folder) as work:
            output = Path(work) / "sft_data.jsonl"
            took = measure(SUBJECTS[subject](folder, output))
            rows_out, words = digest(output)
        print(
            f"{subject:8}{took.cpu_seconds / rows * 1e6:9.1f}{took.wall_seconds:9.1f}{took.process_mb:12,.0f}"
            f"{took.all_mb:9,.0f}{rows_out:12,}  {words}",
            flush=True,
        )


def in_own_process(function: Callable[..., None], *args: object) -> None:
    """Run a function elsewhere: the peak memory of a process counts from that of the one that started it."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=args)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"sft_data: {function.__name__} failed")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="?", default=100_000, help="generations")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--folder", type=Path, help="keep the data here; what is there already is measured as it is")
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), help="what is measured")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.peer is not None:
        upstream_prepare(args.folder, args.peer)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary) / "data"
        if not (folder / "checked.jsonl").exists():
            begin = time.monotonic()
            in_own_process(make_data, folder, args.rows, args.seed)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"made in {time.monotonic() - begin:.0f} s, {peak:,.0f} MB")
        report(folder, args.subjects)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
