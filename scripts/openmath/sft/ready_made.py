"""Solutions out of the files of a ready-made data set, parquet or JSON Lines.

Texts are taken as they are, and their answers as right: the released data were graded when they were made, and the
recipes that train on them check nothing again (NeMo-Skills e718d393, "Model training" 2).

A shard is a file, or a piece of a large file of plain JSON Lines:

    line line li|ne line line l|ine line        a piece begins with the first line that starts in it
"""

import functools
import glob
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from openmath.records import Record, RecordError, read_lines
from openmath.sft.data_sets import DataSetError
from openmath.sft.filters import Filters, Problem, Solution
from openmath.sft.reading import ALL_KEYS, Problems, extra_values

BYTES_PER_SHARD = 32 * 2**20

_decoder = msgspec.json.Decoder(dict)

_ROWS_PER_BATCH = 1000
_PROBLEMS_KNOWN = 10_000


@dataclass(frozen=True)
class Columns:
    """How the data set calls its columns; without ``source`` it does not say where a problem comes from."""

    problem: str = "problem"
    solution: str = "generated_solution"
    answer: str = "expected_answer"
    source: str | None = None

    @property
    def names(self) -> list[str]:
        """The columns that are read."""
        return [name for name in (self.problem, self.solution, self.answer, self.source) if name is not None]


@dataclass(frozen=True)
class FileShard:
    """A file, or of plain JSON Lines the lines that start at the bytes ``start`` to ``end``."""

    path: Path
    start: int = 0
    end: int | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return (self.path.stat().st_size if self.end is None else self.end) - self.start

    def place(self, number: int) -> str:
        """How messages call a row, by its number in the shard."""
        before = _count_lines(self.path, self.start - 1) if self.start else 0
        return f"{self.path}, {'row' if self.path.suffix == '.parquet' else 'line'} {before + number}"


def file_shards(path: Path, filters: Filters, columns: Sequence[str]) -> list[FileShard]:
    """The shards of a file, in order; a file whose first rows are skipped is one shard.

    Raises:
        DataSetError: a file of parquet cannot be read, or has not all ``columns``.
    """
    if path.suffix == ".parquet":
        _check_columns(path, columns)
    if path.suffix != ".jsonl" or filters.skip_first:
        return [FileShard(path)]
    size = path.stat().st_size
    return [
        FileShard(path, start, min(start + BYTES_PER_SHARD, size)) for start in range(0, max(size, 1), BYTES_PER_SHARD)
    ]


class FileReader:
    """Reads shards of files.

    Args:
        filters: says how many rows are skipped.
        columns: what each row must have.
        problems: makes the problems.
        prompt_keys: further columns, which the prompt is filled from.
        extra_keys: further columns, which rows carry along.
        cache: a folder for lock files of the library that reads parquet; no data are written to it.

    Attributes:
        wanted: names of the columns that are read.
        skipped: rows that were skipped.
        answers_are_text: whether the expected answers of the shard are texts; else they are numbers. None before the
            first.
    """

    def __init__(
        self,
        filters: Filters,
        columns: Columns,
        problems: Problems,
        prompt_keys: tuple[str, ...],
        extra_keys: tuple[str, ...],
        cache: Path,
    ) -> None:
        self.filters = filters
        self.columns = columns
        self.problems = problems
        self.prompt_keys = prompt_keys
        self.extra_keys = extra_keys
        self.cache = cache
        self.wanted = columns_to_read(columns, prompt_keys, extra_keys)
        self.skipped = 0
        self.answers_are_text: bool | None = None
        self._known = functools.lru_cache(_PROBLEMS_KNOWN)(self._problem)

    def solutions(self, shard: FileShard) -> Iterator[Solution]:
        """Yield the solutions of a shard, without those that are skipped.

        Raises:
            DataSetError: a file cannot be read, or a column of it is missing.
            RecordError: a line of JSON Lines cannot be read, or lacks a key; a value is no text.
        """
        self.answers_are_text = None
        columns = None if self.extra_keys == (ALL_KEYS,) else self.wanted
        rows = enumerate(open_rows(shard, columns, self.cache), start=1)
        self.skipped += sum(1 for _ in itertools.islice(rows, self.filters.skip_first))
        for number, row in rows:
            for key in self.wanted:
                if key not in row:
                    raise RecordError(f"{shard.place(number)}: no key '{key}'")
            yield self._solution(shard, number, row)

    def _solution(self, shard: FileShard, number: int, row: Record) -> Solution:
        columns = self.columns
        problem, solution = (_text(row, key, shard, number) for key in (columns.problem, columns.solution))
        answer = self._answer(row[columns.answer], shard, number)
        source = None if columns.source is None else _text(row, columns.source, shard, number)
        filled = tuple(_text(row, key, shard, number) for key in self.prompt_keys)
        return Solution(
            problem=self._known(problem or "", answer, source, filled),
            text=solution or "",
            label=None,
            was_cut=False,
            record=extra_values(row, self.extra_keys, columns.names, shard, number) if self.extra_keys else {},
            shard=shard,
            number=number,
        )

    def _answer(self, value: object, shard: FileShard, number: int) -> str | None:
        """The expected answer as text; a data set holds texts, or numbers, but not both."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise RecordError(
                f"{shard.place(number)}: '{self.columns.answer}' is neither text nor number but {type(value).__name__}"
            )
        is_text = isinstance(value, str)
        if self.answers_are_text is None:
            self.answers_are_text = is_text
        elif self.answers_are_text != is_text:
            kinds = ("a number", "text") if is_text else ("text", "a number")
            raise RecordError(
                f"{shard.place(number)}: '{self.columns.answer}' is {kinds[1]}, and {kinds[0]} in another row"
            )
        return str(value)

    def _problem(self, text: str, answer: str | None, source: str | None, filled: tuple[str | None, ...]) -> Problem:
        return self.problems.make(text, dict(zip(self.prompt_keys, filled, strict=True)), source, answer)


def columns_to_read(columns: Columns, prompt_keys: Sequence[str], extra_keys: Sequence[str]) -> list[str]:
    """The names of all columns that are read."""
    extra = () if tuple(extra_keys) == (ALL_KEYS,) else extra_keys
    return list(dict.fromkeys([*columns.names, *prompt_keys, *extra]))


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    try:
        import datasets  # noqa: F401  (reads the rows)
        from pyarrow.parquet import read_schema
    except ImportError:
        raise DataSetError(
            f"{path}: parquet is read with the Python package 'datasets', which is not installed"
        ) from None
    try:
        names = read_schema(path).names
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    for name in columns:
        if name not in names:
            raise DataSetError(f"{path}: no column '{name}'")


def _unreadable(path: Path, error: Exception) -> DataSetError:
    return DataSetError(f"{path}: cannot be read as parquet ({' '.join(str(error).split())})")


def open_rows(shard: FileShard, columns: list[str] | None, cache: Path) -> Iterator[Record]:
    """The rows of a shard as a stream, with the columns asked for (None, and of JSON Lines: with all).

    Raises:
        DataSetError: the file is no parquet, or has no such column.
        RecordError: a line of JSON Lines cannot be read.
    """
    if shard.path.suffix == ".parquet":
        return _parquet_rows(shard.path, columns, cache)
    return _json_rows(shard)


def _json_rows(shard: FileShard) -> Iterator[Record]:
    lines = read_lines(shard.path) if shard.end is None else enumerate(_lines_of_piece(shard), start=1)
    for number, line in lines:
        if not line.endswith(b"\n"):
            raise RecordError(f"{shard.place(number)}: the file ends in the middle of a line")
        try:
            row = _decoder.decode(line)
        except msgspec.DecodeError as error:
            raise RecordError(f"{shard.place(number)}: not a JSON object ({error})") from None
        yield row


def _lines_of_piece(shard: FileShard) -> Iterator[bytes]:
    with open(shard.path, "rb") as stream:
        if shard.start:
            stream.seek(shard.start - 1)
            stream.readline()  # the rest of a line that starts before, or the newline before the first of this piece
        position = stream.tell()
        while position < (shard.end or 0):
            line = stream.readline()
            position += len(line)
            yield line


def _count_lines(path: Path, end: int) -> int:
    """How many lines start before a byte of a file."""
    count, left = 1, end
    with open(path, "rb") as stream:
        while left and (piece := stream.read(min(left, 2**20))):
            count += piece.count(b"\n")
            left -= len(piece)
    return count


def _parquet_rows(path: Path, columns: list[str] | None, cache: Path) -> Iterator[Record]:
    from datasets import IterableDataset

    try:
        stream = IterableDataset.from_parquet(
            glob.escape(str(path)), columns=columns, batch_size=_ROWS_PER_BATCH, cache_dir=str(cache)
        )
        for table in stream.with_format("arrow").iter(batch_size=_ROWS_PER_BATCH):
            yield from table.to_pylist()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _text(row: Record, key: str, shard: FileShard, number: int) -> str | None:
    value = row[key]
    if value is not None and not isinstance(value, str):
        raise RecordError(f"{shard.place(number)}: '{key}' is no text but {type(value).__name__}")
    return value
