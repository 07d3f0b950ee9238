"""Counting and cutting text into tokens, with the tokenizer file of a model and nothing else of it.

Special tokens stand in our texts already (the prompt template writes them): each counts as the one token that it is,
and none is ever added.

What decides whether a text is short enough, the cheapest first (``ModelTokenizer.within``):

    1  its size in bytes   bytes / longest token <= tokens <= bytes     0.2 us, where the tokenizer allows it (Bounds)
    2  what is remembered  for texts that come back, as problems do     0.5 us
    3  a fast encoder      fastokens: the same tokens                   5 us for 1 KB with the vocabulary of Llama 3
    4  tokenizers itself   what all others must agree with              350 us

The fast encoder is used only for a tokenizer with which it gives the same tokens for all of 25,000 probes: every text
of three characters out of one of each kind, every character up to U+2FFF in a context, every added token, a sample of
the vocabulary with a character of each kind before and behind, long runs. With 128,000 entries that takes 0.7 s, its
loading 1 s and 100 MB beside the 0.4 s and 75 MB of tokenizers; what it keeps of words grows by no more than 60 MB.
"""

import itertools
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

FlatTokens = tuple[NDArray[np.int32], NDArray[np.int32]]
"""The tokens of several texts one after the other, and how many each has."""
Encoder = Callable[[Sequence[str]], FlatTokens]

_BATCH = 2048
_REMEMBERED_CHARACTERS = 1 << 24


def tokenizer_file(folder: str | Path) -> Path:
    """The tokenizer file of a model folder.

    Raises:
        FileNotFoundError: the folder has none (the models that we use all have).
    """
    path = Path(folder) / "tokenizer.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no tokenizer.json in this model folder")
    return path


def load_tokenizer(folder: str | Path) -> "Tokenizer":
    """Load the tokenizer of a model folder; it neither cuts nor pads."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file(folder)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def encode(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[list[int]]:
    """The token ids of each text; special tokens written in the text are recognised, none is added."""
    ids: list[list[int]] = []
    for start in range(0, len(texts), _BATCH):
        batch = tokenizer.encode_batch_fast(list(texts[start : start + _BATCH]), add_special_tokens=False)
        ids.extend(encoding.ids for encoding in batch)
    return ids


class ModelTokenizer:
    """The tokenizer of a model folder: counts and cuts many texts exactly as the model's own does, but faster.

    Attributes:
        tokenizer: the model's own, as the library ``tokenizers`` loads it.
        bounds: what the size of a text says about its tokens.
    """

    def __init__(self, folder: str | Path, remembered_characters: int = _REMEMBERED_CHARACTERS) -> None:
        """Load what is needed to count by size; the fast encoder is loaded when it is first needed.

        Args:
            folder: the model; only its ``tokenizer.json`` is read.
            remembered_characters: how much text may be held for ``repeated`` texts.

        Raises:
            FileNotFoundError: the folder has no ``tokenizer.json``.
        """
        self.file = tokenizer_file(folder)
        self.tokenizer = load_tokenizer(folder)
        self.bounds = Bounds.of(self.tokenizer)
        self._remembered = _RememberedLengths(remembered_characters)

    @cached_property
    def _encode(self) -> Encoder:
        fast = _fast_encoder(self.file, self.tokenizer)
        return partial(_plain, self.tokenizer) if fast is None else fast

    def encode_flat(self, texts: Sequence[str]) -> FlatTokens:
        """The tokens of all texts one after the other, and how many each has; both are int32 and read-only.

        Special tokens written in a text are recognised, none is added. Memory is that of the tokens, so call it for
        some thousand texts at a time.
        """
        return self._encode(texts)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, without any that a model would add at its ends."""
        return self.encode_flat(texts)[1].tolist()

    def within(
        self, texts: Iterable[str], fewest: int = 0, most: int | None = None, repeated: bool = False
    ) -> list[int]:
        """Whether each text has fewer than ``fewest`` tokens (-1), more than ``most`` (1) or neither (0).

        Args:
            texts: some thousand texts at a time.
            fewest: the least number of tokens that is enough.
            most: the greatest number that is not too much; None: no number is.
            repeated: the texts come back in other calls (problems do): remember how long they are.
        """
        ceiling = sys.maxsize if most is None else most
        texts = list(texts)
        verdicts = [0] * len(texts)
        undecided = []
        for index, text in enumerate(texts):
            least, greatest = self.bounds.tokens(text)
            if least >= fewest and greatest <= ceiling:
                continue
            if greatest < fewest or least > ceiling:
                verdicts[index] = -1 if greatest < fewest else 1
            else:
                undecided.append(index)
        if not undecided:
            return verdicts
        count = self._repeated_lengths if repeated else self.lengths
        for index, length in zip(undecided, count([texts[index] for index in undecided]), strict=True):
            verdicts[index] = (length > ceiling) - (length < fewest)
        return verdicts

    def _repeated_lengths(self, texts: Sequence[str]) -> list[int]:
        known = {text: length for text in texts if (length := self._remembered.get(text)) is not None}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        for text, length in zip(new, self.lengths(new), strict=True):
            known[text] = length
            self._remembered.add(text, length)
        return [known[text] for text in texts]


@dataclass(frozen=True)
class Bounds:
    """What the size of a text says about the number of its tokens, without cutting it.

        size / longest <= tokens <= size        size in bytes of UTF-8

    Holds for byte-level BPE, where a token stands for one byte or more and no byte is lost: a vocabulary with all 256
    bytes, pre-tokenisers that only split, no mark put in front, no prefix or suffix of words. A normaliser that
    composes or decomposes characters may change the size, of all texts but ASCII. For every other tokenizer nothing is
    said: ``longest`` is None and so is the upper bound.

    Attributes:
        holds: whether there are any bounds.
        longest: bytes of the longest token; None: a token may swallow any number of them (spaces beside it).
        ascii_only: whether they hold for ASCII only.
    """

    holds: bool = False
    longest: int | None = None
    ascii_only: bool = False

    @classmethod
    def of(cls, tokenizer: "Tokenizer") -> "Bounds":
        """The bounds that hold for a tokenizer."""
        from tokenizers import models, pre_tokenizers

        normalisers = {step["type"] for step in _steps(tokenizer.normalizer, "normalizers")}
        vocabulary = tokenizer.get_vocab(with_added_tokens=False)
        model = tokenizer.model
        if not (
            normalisers <= {"NFC", "NFD", "NFKC", "NFKD"}
            and _cuts_bytes(_steps(tokenizer.pre_tokenizer, "pretokenizers"))
            and isinstance(model, models.BPE)
            and not model.continuing_subword_prefix
            and not model.end_of_word_suffix
            and vocabulary.keys() >= set(pre_tokenizers.ByteLevel.alphabet())
        ):
            return cls()
        added = tokenizer.get_added_tokens_decoder().values()
        sizes = itertools.chain(map(len, vocabulary), (len(token.content.encode()) for token in added))
        swallows = any(token.lstrip or token.rstrip for token in added)
        return cls(holds=True, longest=None if swallows else max(sizes), ascii_only=bool(normalisers))

    def tokens(self, text: str) -> tuple[int, int]:
        """The least and the greatest number of tokens that a text can have."""
        if not self.holds:
            return 0, sys.maxsize
        if text.isascii():
            size = len(text)
        elif self.ascii_only:
            return 0, sys.maxsize
        else:
            size = len(text.encode())
        return (0 if self.longest is None else -(-size // self.longest)), size


def _steps(component: Any, nested: str) -> list[dict[str, Any]]:
    """The settings of a normaliser or pre-tokeniser, those of a sequence one by one."""
    if component is None:
        return []

    def flat(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if state["type"] == "Sequence":
            for step in state[nested]:
                yield from flat(step)
        else:
            yield state

    return list(flat(json.loads(component.__getstate__())))


def _cuts_bytes(steps: list[dict[str, Any]]) -> bool:
    """Whether pre-tokenisers give the bytes of a text, each once, in pieces."""
    return (
        bool(steps)
        and steps[-1]["type"] == "ByteLevel"
        and not steps[-1]["add_prefix_space"]
        and all(step["type"] in ("Split", "Digits") and step.get("behavior") != "Removed" for step in steps[:-1])
    )


class _RememberedLengths:
    """Lengths of the texts seen last, as many as have so many characters together; the oldest are dropped first."""

    def __init__(self, characters: int) -> None:
        self.room = characters
        self._lengths: dict[str, int] = {}

    def get(self, text: str) -> int | None:
        return self._lengths.get(text)

    def add(self, text: str, length: int) -> None:
        """Remember a text that is not remembered yet."""
        self._lengths[text] = length
        self.room -= len(text)
        while self.room < 0:
            oldest = next(iter(self._lengths))
            del self._lengths[oldest]
            self.room += len(oldest)


def _plain(tokenizer: "Tokenizer", texts: Sequence[str]) -> FlatTokens:
    ids = encode(tokenizer, texts)
    lengths = np.fromiter(map(len, ids), dtype=np.int32, count=len(ids))
    return np.fromiter(itertools.chain.from_iterable(ids), dtype=np.int32, count=int(lengths.sum())), lengths


def _fast_encoder(file: Path, tokenizer: "Tokenizer") -> Encoder | None:
    """An encoder that gives what ``tokenizer`` gives, or None if there is none; which one it is, is logged."""
    # Our processes share the work; threads in each of them would only be in the way. Read at the first text.
    os.environ.setdefault("FASTOKENS_BPE_THREADS", "1")
    from fastokens import Tokenizer as FastTokenizer

    try:
        fast = FastTokenizer.from_file(str(file))
    except (ValueError, OSError) as error:
        logger.info("%s: encoded with tokenizers, as fastokens cannot load it (%s)", file, error)
        return None
    fast.no_truncation()
    fast.no_padding()

    def encoder(texts: Sequence[str]) -> FlatTokens:
        try:
            return _flat(fast, texts)
        except ValueError as error:  # The search for pieces ran out of stack: rare patterns, texts of 100 KB.
            if len(texts) == 1:
                logger.debug("%s: a text encoded with tokenizers, as fastokens cannot (%s)", file, error)
                return _plain(tokenizer, texts)
            return _joined(encoder([text]) for text in texts)

    probes = list(_probes(tokenizer))
    different = _first_difference(probes, encoder(probes), _plain(tokenizer, probes))
    if different is not None:
        logger.warning("%s: encoded with tokenizers, as fastokens gives other tokens for %r", file, different)
        return None
    logger.info("%s: encoded with fastokens, the same tokens for %d probes", file, len(probes))
    return encoder


def _flat(fast: Any, texts: Sequence[str]) -> FlatTokens:
    tokens, offsets = fast.encode_batch_flat(list(texts))
    lengths = np.diff(np.frombuffer(offsets, dtype=np.uint64).astype(np.int64))
    return np.frombuffer(tokens, dtype=np.int32), lengths.astype(np.int32)


def cut_up(tokens: NDArray[np.int32], lengths: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """The tokens of each text, from those of all and their numbers."""
    return np.split(tokens, np.cumsum(lengths)[:-1]) if len(lengths) else []


def _joined(parts: Iterable[FlatTokens]) -> FlatTokens:
    tokens, lengths = zip(*parts, strict=True)
    return np.concatenate(tokens), np.concatenate(lengths)


def _first_difference(texts: list[str], one: FlatTokens, other: FlatTokens) -> str | None:
    """The first of the texts whose tokens differ."""
    if np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1]):
        return None
    pairs = zip(texts, cut_up(*one), cut_up(*other), strict=True)
    return next(text for text, left, right in pairs if not np.array_equal(left, right))


_KINDS = "aBs7 \n\r\t\u00a0.'_<+é\u0301\u4e2d\U0001f600\u200d\u00b2"


def _probes(tokenizer: "Tokenizer") -> Iterator[str]:
    """Texts that show the pieces, the merges and the added tokens of a tokenizer."""
    kinds = ["".join(kind) for kind in itertools.product(_KINDS, repeat=3)]
    yield from kinds
    yield "".join(kinds)
    yield from (kind * times for kind in _KINDS for times in (4, 5, 8, 17, 100, 2000))
    characters = [*range(0x3000), *range(0x3000, 0xD800, 61), *range(0xE000, 0x20000, 61)]
    yield from (f"a{chr(code)}1 {chr(code)} {chr(code)}{chr(code)}" for code in characters)
    for text in sorted(token.content for token in tokenizer.get_added_tokens_decoder().values()):
        yield from (
            text,
            f"a{text}b",
            f" {text} ",
            f"\n{text}\n{text}{text}",
            text[:-1],
            text[1:],
            f"{text[:-1]}{text}",
        )
    size = tokenizer.get_vocab_size()
    for token in range(0, size, 1 + size // 1500):
        word = tokenizer.decode([token])
        yield word
        yield "".join(word + kind for kind in _KINDS)
    yield "So $\\frac{1}{2} + 3.14 = \\boxed{3640}$, which isn't what we've got:\n\n**Step 2**  Let's take 1,000,000%."
