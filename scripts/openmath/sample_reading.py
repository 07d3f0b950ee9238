"""Training rows as tokenised samples, in several processes.

    lines (this process)     1 2 3 4 | 5 6 7 | 8 9 ...     batches of about a megabyte, not decoded
    samples (the workers)    1 2   4 | 5 6   | 8 9 ...     without those that cannot be packed, which are counted

Input and output are tokenised one by one and joined. The batches come back in order, so nothing shows how many workers
there were.
"""

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from openmath.parallel import map_in_order
from openmath.records import RecordError, decode_record, read_lines
from openmath.sample_spool import records_of
from openmath.tokenization import ModelTokenizer, cut_up

CHAT_KEYS = ("conversations", "messages")
"""What rows for a chat template hold in place of an input."""

Tokens = npt.NDArray[np.int32]

_BATCH_BYTES = 1 << 20
_tokenizer: ModelTokenizer | None = None  # of a process, once it is prepared


@dataclass(frozen=True)
class Samples:
    """The samples of some lines, as ``records_of`` returns them, and how many lines were read, dropped or cut."""

    records: bytes
    lengths: bytes
    counts: dict[str, int]


def read_samples(data: Path, tokenizer_folder: Path, capacity: int, cut: bool, workers: int) -> Iterator[Samples]:
    """Yield the samples of a file, some lines at a time; their sizes do not depend on the number of workers.

    Args:
        data: rows of {"input", "output"}, and any other keys.
        tokenizer_folder: folder of the model whose tokenizer it is.
        capacity: places in a row; a sample fills its tokens less one.
        cut: cut the end of an answer that is too long, and drop only where no token of it would be left.
        workers: processes that tokenise, each on one core.

    Raises:
        RecordError: a line is no JSON object, or input or output are missing or no text.
        RuntimeError: a worker was killed.
    """
    global _tokenizer
    function = functools.partial(tokenise_lines, data=data, capacity=capacity, cut=cut)
    yield from map_in_order(function, line_batches(data), workers, functools.partial(prepare_worker, tokenizer_folder))
    _tokenizer = None  # of no use any more, and large, where it was loaded in this process


def line_batches(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """The number of the first line, and consecutive lines of about a megabyte together."""
    lines: list[bytes] = []
    first, size = 1, 0
    for number, line in read_lines(path):
        lines.append(line)
        size += len(line)
        if size >= _BATCH_BYTES:
            yield first, lines
            lines, first, size = [], number + 1, 0
    if lines:
        yield first, lines


def read_texts(path: Path, number: int, line: bytes) -> tuple[str, str]:
    """Input and output of a line.

    Raises:
        RecordError: it is no JSON object, or one of them is missing or no text.
    """
    record = decode_record(line, f"{path}, line {number}")
    for key in ("input", "output"):
        if key not in record:
            chat = next((name for name in CHAT_KEYS if name in record), None)
            advice = "" if chat is None else f"; '{chat}' is of a chat format, rows to pack are plain text"
            raise RecordError(f"{path}, line {number}: no key '{key}'{advice}")
        if not isinstance(record[key], str):
            raise RecordError(f"{path}, line {number}: '{key}' is no text, but {type(record[key]).__name__}")
    return record["input"], record["output"]


def prepare_worker(tokenizer_folder: Path) -> None:
    """Load the tokenizer of a process, which uses one core."""
    global _tokenizer
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _tokenizer = ModelTokenizer(tokenizer_folder)


def tokenise_lines(batch: tuple[int, list[bytes]], data: Path, capacity: int, cut: bool) -> Samples:
    """Tokenise the lines of a batch (the number of the first, and the lines); leave out what cannot be packed."""
    texts = [read_texts(data, number, line) for number, line in enumerate(batch[1], start=batch[0])]
    counts = {"rows_in": len(texts), "too_short": 0, "too_long": 0, "cut": 0}
    assert _tokenizer is not None
    inputs = cut_up(*_tokenizer.encode_flat([prompt for prompt, _ in texts]))
    outputs = cut_up(*_tokenizer.encode_flat([answer for _, answer in texts]))

    def samples() -> Iterator[tuple[Tokens, Tokens]]:
        for input_ids, output_ids in zip(inputs, outputs, strict=True):
            over = len(input_ids) + len(output_ids) - 1 - capacity
            if over > 0 and not (cut and over < len(output_ids)):
                counts["too_long"] += 1
            elif not len(output_ids) or len(input_ids) + len(output_ids) < 2:
                counts["too_short"] += 1
            elif over > 0:
                counts["cut"] += 1
                yield input_ids, output_ids[:-over]
            else:
                yield input_ids, output_ids

    records, lengths = records_of(samples())
    return Samples(records, lengths, counts)
