"""What counting and cutting into tokens costs, and whether every way gives the tokens of the model's own tokenizer.

    python benchmarks/tokenization.py --tokenizer FOLDER... --texts FILE.jsonl... [--most N] [--rounds N]

CPU microseconds a text and MB a CPU second, on one thread, for each folder with a tokenizer.json:

    tokenizers, one by one    what a filter does that looks at one row after the other
    tokenizers, in batches    openmath.tokenization.encode
    ModelTokenizer            encode_flat: fastokens, or tokenizers where that differs; once loaded
    within N                  its decision on "at most N tokens": by size first
    gigatoken                 if it is installed

Differ: texts whose tokens (or decisions) are not those of tokenizers, with special tokens put into one text in four.

Texts are the strings of at least 40 characters in the records (of lists too). As encoders remember words or whole
texts, every round has other numbers in them and a tenth of the long words replaced, the same in every run; the first
round is not timed. Loading, with its check, stands apart.
"""

import argparse
import itertools
import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["FASTOKENS_BPE_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import numpy as np

from openmath.records import read_jsonl
from openmath.tokenization import ModelTokenizer, encode, tokenizer_file

SHORTEST = 40
Tokens = list[list[int]]


def strings(value: Any) -> Iterator[str]:
    """The long strings of a value from JSON."""
    if isinstance(value, str):
        if len(value) >= SHORTEST:
            yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def read_texts(paths: Sequence[Path], most: int) -> list[str]:
    """The first texts of some files."""
    found = (text for path in paths for record in read_jsonl(path) for text in strings(record))
    return list(itertools.islice(found, most))


def rewritten(texts: Sequence[str], special: Sequence[str], draw: random.Random) -> list[str]:
    """The texts with other numbers and words; a special token in one of four."""
    words = sorted(set(re.findall("[A-Za-z]{5,}", " ".join(texts))))

    def rewrite(text: str) -> str:
        text = re.sub(r"\d+", lambda found: str(draw.randrange(10 ** len(found[0]))), text)
        text = re.sub("[A-Za-z]{5,}", lambda found: found[0] if draw.random() < 0.9 else draw.choice(words), text)
        if special and draw.random() < 0.25:
            place = draw.randrange(len(text) + 1)
            text = text[:place] + draw.choice(special) + text[place:]
        return text

    return [rewrite(text) for text in texts]


def cut(tokens: np.ndarray, lengths: np.ndarray) -> Tokens:
    """The tokens of each text."""
    return [part.tolist() for part in np.split(tokens, np.cumsum(lengths))[:-1]]


def ways(tokenizer: ModelTokenizer) -> dict[str, tuple[Callable[[list[str]], Any], Callable[[Any], Tokens]]]:
    """Each way to cut texts, and how what it gives becomes lists."""
    plain = tokenizer.tokenizer
    found: dict[str, tuple[Callable[[list[str]], Any], Callable[[Any], Tokens]]] = {
        "tokenizers, one by one": (
            lambda texts: [plain.encode(text, add_special_tokens=False) for text in texts],
            lambda encodings: [encoding.ids for encoding in encodings],
        ),
        "tokenizers, in batches": (lambda texts: encode(plain, texts), lambda ids: ids),
        "ModelTokenizer": (tokenizer.encode_flat, lambda flat: cut(*flat)),
    }
    try:
        import gigatoken

        other = gigatoken.Tokenizer(str(tokenizer.file))
        found["gigatoken"] = (lambda texts: other.encode_batch(texts, parallel=False), lambda array: array.to_list())
    except ImportError:
        pass
    except RuntimeError as error:
        print(f"{'gigatoken':24} cannot load it: {str(error).splitlines()[0][:80]}")
    return found


def row(name: str, seconds: float, texts: int, size: int, differ: int) -> None:
    """Print a line of the table."""
    print(f"{name:24} {seconds / texts * 1e6:10.1f} {size / seconds / 1e6:8.1f} {differ:8}")


def measure(folder: Path, texts: Sequence[str], rounds: int, most: int) -> None:
    """Print the table of one tokenizer."""
    begun = time.process_time()
    tokenizer = ModelTokenizer(folder)
    loaded = time.process_time()
    tokenizer.lengths(["x"])
    print(f"\n{folder}: loaded in {loaded - begun:.2f} s, its encoder in {time.process_time() - loaded:.2f} s")
    print(f"{'':24} {'us a text':>10} {'MB/s':>8} {'differ':>8}")
    special = sorted(token.content for token in tokenizer.tokenizer.get_added_tokens_decoder().values())
    drawn = [rewritten(texts, special, random.Random(number)) for number in range(rounds + 1)]
    size = sum(len(text.encode()) for batch in drawn[1:] for text in batch)
    expected = [encode(tokenizer.tokenizer, batch) for batch in drawn]
    for name, (way, listed) in ways(tokenizer).items():
        seconds, differ = 0.0, 0
        for number, batch in enumerate(drawn):
            begun = time.process_time()
            got = way(batch)
            seconds += (time.process_time() - begun) * (number > 0)
            differ += sum(one != other for one, other in zip(listed(got), expected[number], strict=True))
        row(name, seconds, rounds * len(texts), size, differ)
    begun = time.process_time()
    verdicts = [tokenizer.within(batch, most=most) for batch in drawn[1:]]
    seconds = time.process_time() - begun
    right = [int(len(ids) > most) for batch in expected[1:] for ids in batch]
    differ = sum(one != other for one, other in zip(itertools.chain(*verdicts), right, strict=True))
    row(f"within {most}", seconds, rounds * len(texts), size, differ)


def main() -> None:
    """Measure every tokenizer that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, nargs="+", required=True, help="folders with a tokenizer.json")
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="JSON Lines with texts")
    parser.add_argument("--most", type=int, default=1024, help="the limit that is decided")
    parser.add_argument("--most-texts", type=int, default=1000, help="how many texts of the files are taken")
    parser.add_argument("--rounds", type=int, default=3, help="how often they are rewritten and measured")
    args = parser.parse_args()
    for folder in args.tokenizer:
        tokenizer_file(folder)
    texts = read_texts(args.texts, args.most_texts)
    if not texts:
        raise SystemExit(f"tokenization: no text of {SHORTEST} characters or more in the files")
    mean = sum(map(len, texts)) / len(texts)
    print(f"{len(texts)} texts of {mean:.0f} characters, {args.rounds} rounds")
    for folder in args.tokenizer:
        measure(folder, texts, args.rounds, args.most)


if __name__ == "__main__":
    main()
