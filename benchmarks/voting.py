r"""What a vote costs: CPU seconds, peak memory and rows a second, by classes of equal answers and by text.

    python benchmarks/voting.py [problems] [seeds]

Writes an answers.jsonl (10,000 problems, 32 seeds, the same bytes in every run) to a temporary folder, and runs
scripts/vote_answers.py on it in a process of its own. What is drawn:

    problem   its kind (integers most, then fractions, radicals, expressions, intervals, ...), and how hard it is
    sample    no answer (4 %), the right one (more often where the problem is easy), or one of a few wrong ones
    answer    one of its spellings, the first most often: \frac{1}{2}, \dfrac{1}{2}, 1/2, 0.5

With 6.5 different texts a problem this is harder than what a good model answers: of 100 problems of MATH with 8 samples
each, 88 had a single one. The vote by text does little beside reading the rows, so the difference is that of equality.
"""

import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from openmath.records import write_jsonl

NO_ANSWER = 0.04
WRONG_ANSWERS = 6


def integer(draw: random.Random) -> list[str]:
    value = draw.choice((draw.randint(0, 20), draw.randint(0, 200), draw.randint(-50, 5000)))
    grouped = f"{value:,}" if value > 999 else f"{value}.0"
    return [str(value), f"${value}$", rf"{value}\text{{ units}}", f"x = {value}", grouped]


def fraction(draw: random.Random) -> list[str]:
    value = Fraction(draw.randint(1, 60), draw.randint(2, 36))
    top, bottom = value.numerator, value.denominator
    return [
        rf"\frac{{{top}}}{{{bottom}}}",
        rf"\dfrac{{{top}}}{{{bottom}}}",
        f"{top}/{bottom}",
        rf"\frac{{{2 * top}}}{{{2 * bottom}}}",
    ]


def decimal(draw: random.Random) -> list[str]:
    value = Fraction(draw.randint(1, 4000), draw.choice((4, 10, 20, 100)))
    return [f"{float(value):.2f}", f"{float(value)}", rf"\${float(value):.2f}", f"{value}"]


def radical(draw: random.Random) -> list[str]:
    factor, root = draw.randint(2, 9), draw.choice((2, 3, 5, 6, 7, 10))
    return [
        rf"{factor}\sqrt{{{root}}}",
        rf"{factor} \sqrt{{{root}}}",
        rf"\sqrt{{{factor * factor * root}}}",
        rf"{factor}\cdot\sqrt{{{root}}}",
    ]


def multiple_of_pi(draw: random.Random) -> list[str]:
    top, bottom = draw.randint(1, 12), draw.randint(2, 6)
    return [rf"\frac{{{top}\pi}}{{{bottom}}}", rf"\frac{{{top}}}{{{bottom}}}\pi", rf"{top}\pi/{bottom}"]


def expression(draw: random.Random) -> list[str]:
    first, second = draw.randint(1, 9), draw.randint(2, 9)
    return [f"{second}x + {first}", f"{second}x+{first}", f"{first}+{second}x", f"f(x) = {second}x + {first}"]


def interval(draw: random.Random) -> list[str]:
    low = draw.randint(-9, 5)
    high = low + draw.randint(1, 9)
    return [f"({low}, {high}]", rf"\left({low},{high}\right]", rf"x \in ({low},{high}]", rf"{low} < x \le {high}"]


def pair(draw: random.Random) -> list[str]:
    first, second = draw.randint(-9, 20), draw.randint(-9, 20)
    return [f"({first},{second})", f"({first}, {second})", rf"\left( {first}, {second} \right)"]


def solutions(draw: random.Random) -> list[str]:
    first, second = draw.randint(-9, 0), draw.randint(1, 20)
    return [
        f"{first}, {second}",
        f"{second}, {first}",
        rf"{first} \text{{ and }} {second}",
        rf"\{{{first}, {second}\}}",
    ]


def choice(draw: random.Random) -> list[str]:
    letter = draw.choice("ABCDE")
    return [rf"\text{{{letter}}}", letter, rf"\text{{({letter})}}"]


KINDS: dict[Callable[[random.Random], list[str]], int] = {
    integer: 52, fraction: 12, decimal: 6, radical: 7, multiple_of_pi: 3, expression: 7, interval: 4, pair: 4,
    solutions: 3, choice: 2,
}  # fmt: skip


def problem_answers(number: int) -> tuple[float, list[list[str]]]:
    """How likely the right answer is, and the spellings of all answers, the right one's first."""
    draw = random.Random(number)
    kind = draw.choices(list(KINDS), list(KINDS.values()))[0]
    return draw.betavariate(1.6, 0.7), [kind(draw) for _ in range(1 + WRONG_ANSWERS)]


def rows(problems: int, seeds: int) -> Iterator[dict[str, object]]:
    """The rows of all blocks, seed by seed."""
    answers = [problem_answers(number) for number in range(problems)]
    for seed in range(seeds):
        draw = random.Random(f"seed {seed}")
        for number, (share, spellings) in enumerate(answers):
            answer = None
            if draw.random() >= NO_ANSWER:
                # Wrong answers are not alike either: a popular one has half of the wrong samples, the next a quarter.
                wrong = min(1 + int(draw.expovariate(0.7)), WRONG_ANSWERS)
                of_answer = spellings[0 if draw.random() < share else wrong]
                answer = of_answer[min(int(draw.expovariate(1.6)), len(of_answer) - 1)]
            verdict = "no_answer" if answer is None else "ungraded"
            yield {"id": f"{number:016x}", "seed": seed, "predicted_answer": answer, "verdict": verdict}


def write_answers(path: Path, problems: int, seeds: int) -> None:
    write_jsonl(path, rows(problems, seeds))


def measure(code: list[str]) -> tuple[float, float]:
    """CPU seconds and peak memory (MB) of a Python process."""
    process = subprocess.Popen([sys.executable, *code], stderr=subprocess.PIPE)
    assert process.stderr is not None
    messages = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"the vote failed:\n{messages}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(problems: int = 10_000, seeds: int = 32) -> None:
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.jsonl"
        # In a process of its own: a child's peak memory counts from that of the process that started it.
        writer = multiprocessing.get_context("spawn").Process(target=write_answers, args=(answers, problems, seeds))
        writer.start()
        writer.join()
        print(f"{problems:,} problems, {seeds} seeds, {answers.stat().st_size / 1e6:.0f} MB")
        for vote_by in ("classes", "text"):
            written = [f"--{name}={folder}/{vote_by}-{name}" for name in ("majority", "counts")]
            options = [f"--answers={answers}", f"--num-seeds={seeds}", f"--vote-by={vote_by}", *written]
            seconds, megabytes = measure([str(ROOT / "scripts" / "vote_answers.py"), *options])
            rate = problems * seeds / seconds
            print(f"by {vote_by}: {seconds:.2f} CPU-s, {megabytes:.0f} MB, {rate:,.0f} rows/s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
