"""The rows of an ``answers.jsonl``: every generation of one folder, file after file.

    {"id": "a", "seed": null, ...}    greedy: output.jsonl      (if the folder has one)
    {"id": "b", "seed": null, ...}
    {"id": "a", "seed": 0, ...}       sampled: output-rs0.jsonl
    {"id": "b", "seed": 0, ...}
    {"id": "a", "seed": 1, ...}       output-rs1.jsonl, and so on

Each file is a block of rows, and all blocks hold the same ids in the same order. Votes and metrics need the rows
of one problem together: ``rows_by_problem`` reads all blocks side by side, each at an offset of its own, so that memory
does not grow with the number of generations.
"""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from openmath.records import Record, RecordError

_Row = TypeVar("_Row")

VERDICTS = ("correct", "incorrect", "no_answer", "truncated", "unparsed", "timeout", "ungraded")


@dataclass(frozen=True)
class Block:
    """The rows of one generation file: where the first begins (in bytes and in lines, from 0), and their number."""

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
    """The generation file of a seed; None is the greedy one."""
    return folder / ("output.jsonl" if seed is None else f"output-rs{seed}.jsonl")


def read_blocks(path: Path) -> list[Block]:
    """Find the blocks of an answers file in one pass.

    Raises:
        RecordError: a line is no row, a seed comes twice, or the blocks differ in length.
    """
    blocks: list[Block] = []
    decoder = msgspec.json.Decoder(_Seed)
    offset = first_line = rows = number = begin = 0
    seed: int | None = None
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
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


def read_block(path: Path, block: Block) -> Generator[Record, None, None]:
    """Yield the rows of one block."""
    return _read_rows(path, block, dict)


def _read_rows(path: Path, block: Block, row_type: type[_Row]) -> Generator[_Row, None, None]:
    decode = msgspec.json.Decoder(row_type).decode
    with open(path, "rb") as stream:
        stream.seek(block.offset)
        for number in range(block.first_line + 1, block.first_line + block.rows + 1):
            try:
                row = decode(stream.readline())
            except msgspec.DecodeError as error:
                raise RecordError(f"{path}, line {number}: no row of answers ({error})") from None
            yield row


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
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(contextlib.closing(_read_rows(path, block, row_type))) for block in blocks]
        yield from zip(*streams, strict=True)


def _check_ids(ids: Sequence[str], path: Path, blocks: Sequence[Block], position: int) -> None:
    if ids.count(ids[0]) == len(ids):
        return
    for block, identifier in zip(blocks, ids, strict=True):
        if identifier != ids[0]:
            raise RecordError(
                f"{path}, line {block.first_line + position + 1}: id {identifier!r} of seed {block.seed}, where "
                f"line {blocks[0].first_line + position + 1} has {ids[0]!r}"
            )
