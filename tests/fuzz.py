"""Throw damaged answers and solutions at the reader, the grader and the extractor, and count what goes wrong.

    python tests/fuzz.py [--pairs N] [--seed S]

Run by hand. Every pair holds labelled answers (tests/data/answers), at least one of them damaged: characters dropped,
doubled, swapped, pieces of LaTeX put in, the end cut off, another answer glued on. It is graded in both orders, each
answer also against itself; a solution around it is searched for its box. Wrong is: an exception, a grade by the tier
"error", another verdict in the other order, an answer that differs from itself, a grade of more than a second, a box
that is not found. 60,000 pairs take about fifteen seconds on one core. Ends with 1 if anything was wrong.
"""

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from openmath.answers import extract_answer, grade  # noqa: E402

# fmt: off
PIECES = [
    "\\frac12", "\\frac", "\\sqrt{2}", "\\sqrt", "{", "}", "{2}", "(", ")", "(1,2)", "[", "]", "\\{", "\\}",
    "|", ",", ";", ".", ":", "+", "-", "*", "/", "^", "^2", "_", "_1", "=", "<", ">", "\\le", "\\in", "\\cup",
    "\\pm", "\\pi", "\\infty", "i", "e", "x", "0", "1", "2", "9", "\\text{cm}", "\\text{ and }", "\\left",
    "\\right", "\\begin{pmatrix}", "&", "\\\\", "\\sin", "\\log_2", "!", "~", "%", "\\%", "^\\circ", "\\$", "$",
    "\\sum_{k=1}^3", "\\int_0^1", "\\boxed{", "'", "½", "√", " ",
]
# fmt: on


def answers() -> list[str]:
    """All answers of the labelled pairs, each once."""
    found: dict[str, None] = {}
    for path in sorted((ROOT / "tests/data/answers").glob("*.tsv")):
        for line in path.read_text("utf-8").split("\n")[1:]:
            if line:
                found.update(dict.fromkeys(line.split("\t")[1:3]))
    return list(found)


def damaged(text: str, others: list[str], generator: random.Random) -> str:
    """A copy of an answer with one damage, or two."""
    for _ in range(generator.choice((1, 1, 1, 2))):
        place = generator.randint(0, len(text))
        kind = generator.choice((0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 5))
        if kind == 0:
            text = text[:place] + text[place + 1 :]
        elif kind == 1:
            text = text[: place + 1] + text[place:]
        elif kind == 2:
            text = text[:place] + text[place + 1 : place + 2] + text[place : place + 1] + text[place + 2 :]
        elif kind == 3:
            text = text[:place] + generator.choice(PIECES) + text[place:]
        elif kind == 4:
            text = text[:place]
        else:
            text = text[:place] + generator.choice(others)
    return text


def faults(one: str, other: str) -> list[str]:
    """What is wrong with the grades of a pair, and with finding its answers in solutions."""
    wrong = []
    start = time.perf_counter()
    grades = [grade(one, other), grade(other, one)]
    if time.perf_counter() - start > 2:
        wrong.append("slow")
    if "error" in (grades[0].tier, grades[1].tier):
        wrong.append("error")
    if grades[0].verdict != grades[1].verdict:
        wrong.append("another verdict in the other order")
    wrong.extend(
        "differs from itself" for text in (one, other) if text.strip() and grade(text, f" {text}").verdict != "correct"
    )
    extract_answer(one)
    plain = one.strip()
    if plain and not set(plain) & set("{}\\$&~*"):
        found = extract_answer(rf"so it is \boxed{{{plain}}}.")
        wrong.extend(["box not found"] if found != plain else [])
    return wrong


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    generator = random.Random(args.seed)
    known = answers()
    counts: Counter[str] = Counter()
    begin = time.process_time()
    for _ in range(args.pairs):
        first = generator.choice(known)
        one = damaged(first, known, generator)
        other = generator.choice((first, damaged(first, known, generator), generator.choice(known)))
        counts[grade(one, other).verdict] += 1
        for fault in faults(one, other):
            counts[fault] += 1
            print(f"{fault}: {one!r} | {other!r}")
    verdicts = ("correct", "incorrect", "unparsed", "timeout")
    print(f"{args.pairs} pairs, {time.process_time() - begin:.0f} CPU-s:", {name: counts[name] for name in verdicts})
    sys.exit(1 if set(counts) - set(verdicts) else 0)


if __name__ == "__main__":
    main()
