"""The rows of an ``answers.jsonl``: every generation of one folder, file after file.

    {"id": "a", "seed": null, ...}    greedy: output.jsonl      (if the folder has one)
    {"id": "b", "seed": null, ...}
    {"id": "a", "seed": 0, ...}       sampled: output-rs0.jsonl
    {"id": "b", "seed": 0, ...}
    {"id": "a", "seed": 1, ...}       output-rs1.jsonl, and so on

Each file is a block of rows, and all blocks hold the same ids in the same order. Votes and metrics need the rows
of one problem together: ``rows_by_problem`` reads all blocks side by side, each at an offset of its own, so that memory
does not grow with the number of generations. A compressed file (``answers.jsonl.zst``) has no such offsets: for that
reading it is unpacked into a temporary file without a name, in ``TMPDIR``, which goes with the process. It takes the
disk space of the plain file, and a second for each GB or so.
"""

import contextlib
import io
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from openmath.compressed import is_compressed, open_compressed
from openmath.records import Record, RecordError, find_records, read_lines

_Row = TypeVar("_Row")

_BUFFER = 2**14
_COPIED = 2**18

VERDICTS = ("correct", "incorrect", "no_answer", "truncated", "unparsed", "timeout", "ungraded")


@dataclass(frozen=True)
class Block:
    """The rows of one generation file: where the first begins (in bytes and in lines, from 0), and their number.

    Bytes are those of the lines, also where the file is compressed.
    """

    seed: int | None
    offset: int
    first_line: int
    rows: int


class _Seed(msgspec.Struct):
    seed: int | None


class _Answer(msgspec.Struct, gc=False):
    id: str
    predicted_answer: str | None


def generation_path(folder: Path, seed: int | None) -> Path:
    """The generation file of a seed, plain or compressed; None is the greedy one. Without a file, the plain name.

    Raises:
        RecordError: both are there.
    """
    return find_records(folder, "output" if seed is None else f"output-rs{seed}")


def read_blocks(path: Path) -> list[Block]:
    """Find the blocks of an answers file in one pass.

    Raises:
        RecordError: a line is no row, a seed comes twice, or the blocks differ in length.
    """
    blocks: list[Block] = []
    decoder = msgspec.json.Decoder(_Seed)
    offset = first_line = rows = number = begin = 0
    seed: int | None = None
    for number, line in read_lines(path):
        try:
            row = decoder.decode(line)
        except msgspec.DecodeError as error:
            raise RecordError(f"{path}, line {number}: no row of answers ({error})") from None
        if number > 1 and row.seed != seed:
            blocks.append(Block(seed, begin, first_line, rows))
            begin, first_line, rows = offset, number - 1, 0
        seed = row.seed
        rows += 1
        offset += len(line)
    if number:
        blocks.append(Block(seed, begin, first_line, rows))
    seen: set[int | None] = set()
    for block in blocks:
        if block.seed in seen or block.rows != blocks[0].rows:
            raise RecordError(
                f"{path}, line {block.first_line + 1}: seed {block.seed} has {block.rows} rows here, "
                f"the first seed has {blocks[0].rows}; every seed must stand in one piece, with as many rows"
            )
        seen.add(block.seed)
    return blocks


def read_block(path: Path, block: Block) -> Iterator[Record]:
    """Yield the rows of one block; in a compressed file the lines before it are read too, and passed over."""
    if not is_compressed(path):
        with open(path, "rb") as file:
            yield from _read_rows(file, path, block, dict)
        return
    decode = msgspec.json.Decoder(dict).decode
    for number, line in itertools.islice(read_lines(path), block.first_line, block.first_line + block.rows):
        yield _decoded(decode, line, path, number)


def _decoded(decode: Callable[[bytes], _Row], line: bytes, path: Path, number: int) -> _Row:
    try:
        return decode(line)
    except msgspec.DecodeError as error:
        raise RecordError(f"{path}, line {number}: no row of answers ({error})") from None


def sampled_blocks(path: Path, num_seeds: int) -> list[Block]:
    """The blocks of the sampled files, seeds 0 to ``num_seeds - 1``; none where there were no problems.

    Raises:
        RecordError: another set of seeds stands in the file.
    """
    blocks = [block for block in read_blocks(path) if block.seed is not None]
    if blocks and [block.seed for block in blocks] != list(range(num_seeds)):
        raise RecordError(
            f"{path} holds the seeds {[block.seed for block in blocks]}; asked for are 0 to {num_seeds - 1}, in order"
        )
    return blocks


def rows_by_problem(path: Path, blocks: Sequence[Block]) -> Iterator[list[Record]]:
    """Yield, problem after problem, the rows of all ``blocks`` (one of each, in their order).

    Raises:
        RecordError: the blocks hold different ids in some row.
    """
    for position, rows in enumerate(_side_by_side(path, blocks, dict)):
        _check_ids([row["id"] for row in rows], path, blocks, position)
        yield list(rows)


def answers_by_problem(path: Path, blocks: Sequence[Block]) -> Iterator[tuple[str, list[str | None]]]:
    """Yield, problem after problem, its id and its answer in each of ``blocks``, in their order.

    Nothing else of the rows is decoded, which takes half of the time of ``rows_by_problem``.

    Raises:
        RecordError: the blocks hold different ids in some row, or it has no id or no answer of the right type.
    """
    for position, rows in enumerate(_side_by_side(path, blocks, _Answer)):
        _check_ids([row.id for row in rows], path, blocks, position)
        yield rows[0].id, [row.predicted_answer for row in rows]


def _side_by_side(path: Path, blocks: Sequence[Block], row_type: type[_Row]) -> Iterator[tuple[_Row, ...]]:
    with _plain(path) as file:
        yield from zip(*(_read_rows(file, path, block, row_type) for block in blocks), strict=True)


@contextlib.contextmanager
def _plain(path: Path) -> Iterator[IO[bytes]]:
    """Open the file, or what it holds where it is compressed."""
    if not is_compressed(path):
        with open(path, "rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as unpacked:
        with open_compressed(path) as lines:  # whole: the blocks were found in it
            shutil.copyfileobj(lines, unpacked, _COPIED)
        unpacked.flush()
        yield unpacked


def _read_rows(file: IO[bytes], path: Path, block: Block, row_type: type[_Row]) -> Iterator[_Row]:
    decode = msgspec.json.Decoder(row_type).decode
    lines = io.BufferedReader(_From(file.fileno(), block.offset), _BUFFER)
    for number in range(block.first_line + 1, block.first_line + block.rows + 1):
        yield _decoded(decode, lines.readline(), path, number)


class _From(io.RawIOBase):
    """What an open file holds from an offset on; others may read it elsewhere at the same time."""

    def __init__(self, file: int, offset: int) -> None:
        self._file = file
        self._offset = offset

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = os.preadv(self._file, [buffer], self._offset)
        self._offset += size
        return size


def _check_ids(ids: Sequence[str], path: Path, blocks: Sequence[Block], position: int) -> None:
    if ids.count(ids[0]) == len(ids):
        return
    for block, identifier in zip(blocks, ids, strict=True):
        if identifier != ids[0]:
            raise RecordError(
                f"{path}, line {block.first_line + position + 1}: id {identifier!r} of seed {block.seed}, where "
                f"line {blocks[0].first_line + position + 1} has {ids[0]!r}"
            )
