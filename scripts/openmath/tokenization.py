"""Counting and cutting text into tokens, with the tokenizer file of a model and nothing else of it.

Special tokens stand in our texts already (the prompt template writes them), so none is ever added here.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH = 2048


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


def token_lengths(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[int]:
    """How many tokens each text has, without any that a model would add at its ends."""
    lengths: list[int] = []
    for start in range(0, len(texts), _BATCH):
        batch = tokenizer.encode_batch_fast(list(texts[start : start + _BATCH]), add_special_tokens=False)
        lengths.extend(len(encoding) for encoding in batch)
    return lengths


def within_tokens(tokenizer: "Tokenizer", texts: Iterable[str], limit: int) -> list[bool]:
    """Whether each text has at most ``limit`` tokens.

    Most texts need no tokenizer: a token stands for at least one byte, and a tokenizer may put one mark in front, so
    an ASCII text shorter than the limit is within it. (Other texts may grow when a tokenizer normalises them.)
    """
    texts = list(texts)
    surely = [text.isascii() and len(text) < limit for text in texts]
    lengths = iter(token_lengths(tokenizer, [text for text, sure in zip(texts, surely, strict=True) if not sure]))
    return [sure or next(lengths) <= limit for sure in surely]
