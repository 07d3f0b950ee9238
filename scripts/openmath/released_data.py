"""A ready-made data set of problems with solutions: its files, its rows, and the training rows made from them.

A split is one file or several, parquet or JSON Lines, named as the hub names them:

    FOLDER/{split}.parquet    FOLDER/{split}-00000-of-00032.parquet    FOLDER/data/{split}-00000-of-00032.parquet

with at most one of these forms for a split; ``train`` is not ``train_5M``. A row falls out at the first of these
filters that it fails, and is counted there:

    filter       reason        falls out when
    problem      no_problem    its problem is missing or nothing but white space
    solution     no_solution   so is its solution
    deduplicate  duplicate     problem and solution are those of another row
    downsample   not_sampled   others were taken (where asked for)

The released data were graded, cleaned and cut when they were made, and the recipes that train on them switch all other
filters off (NeMo-Skills e718d393, "Model training" 2). Texts are taken as they are.
"""

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openmath.prompts import Prompt
from openmath.records import Record, file_sha256, read_jsonl
from openmath.sft import Candidate, Order, Words, order_rows, text_key

FILTERS: tuple[tuple[str, str], ...] = (
    ("problem", "no_problem"),
    ("solution", "no_solution"),
    ("deduplicate", "duplicate"),
    ("downsample", "not_sampled"),
)

_ROWS_PER_BATCH = 1000


class ReleasedDataError(ValueError):
    """A data set that cannot be used; the message names the folder, or the file and its row."""


@dataclass(frozen=True)
class Source:
    """The files of a split, in order.

    Attributes:
        name: how messages call the split.
        base: the folder that file names are relative to.
        files: the files, sorted by name.
        facts: where they come from.
    """

    name: str
    base: Path
    files: list[Path]
    facts: dict[str, str]

    def described(self) -> dict[str, Any]:
        """The facts, and the sha256 of every file by its name below ``base``."""
        return {
            **self.facts,
            "files": {file.relative_to(self.base).as_posix(): file_sha256(file) for file in self.files},
        }


def hub_source(repository: str, revision: str, split: str) -> Source:
    """The parquet files of a split of a data set of the hub, downloaded into the hub's cache where they are not there.

    Cache, token, endpoint and offline settings of the hub are honoured.

    Raises:
        ReleasedDataError: the hub has no such data set or split, or it cannot be reached and the cache lacks a file.
    """
    from huggingface_hub import snapshot_download

    try:
        snapshot = Path(
            snapshot_download(
                repository, repo_type="dataset", revision=revision, allow_patterns=[f"data/{split}-*.parquet"]
            )
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ReleasedDataError(f"{repository}, revision {revision}: cannot be fetched ({reason})") from None
    return Source(
        name=f"{repository}, split {split}",
        base=snapshot,
        files=split_files(snapshot, split),
        facts={"source": "hub", "repository": repository, "commit": snapshot.name, "split": split},
    )


def path_source(path: Path, split: str) -> Source:
    """The files of a split in a folder of this machine, or the one file that holds it.

    Raises:
        ReleasedDataError: there is no such file or folder, or the split is not whole.
    """
    if path.is_dir():
        base, files = path, split_files(path, split)
    elif path.suffix not in (".parquet", ".jsonl"):
        raise ReleasedDataError(f"{path}: neither a folder nor a .parquet or .jsonl file")
    elif not path.is_file():
        raise ReleasedDataError(f"{path}: there is no such file")
    else:
        base, files = path.parent, [path]
    return Source(name=f"{path}, split {split}", base=base, files=files, facts={"source": "path", "split": split})


def split_files(folder: Path, split: str) -> list[Path]:
    """The files of a split below ``folder``, sorted by name; the module says how they are named.

    Raises:
        ReleasedDataError: there are none, there are some in two forms, or a numbered file is not there.
    """
    pattern = re.compile(rf"{re.escape(split)}(?:-(?P<number>\d+)(?:-of-(?P<total>\d+)(?:-[0-9a-f]+)?)?)?")
    forms = {
        (part, suffix): [
            (file, match)
            for file in sorted((folder / part).glob(f"*{suffix}"))
            if (match := pattern.fullmatch(file.name.removesuffix(suffix)))
        ]
        for part in ("", "data")
        for suffix in (".parquet", ".jsonl")
    }
    found = [files for files in forms.values() if files]
    if not found:
        raise ReleasedDataError(
            f"{folder}: no files of split '{split}', such as {split}.parquet or data/{split}-00000-of-00001.parquet"
        )
    if len(found) > 1:
        names = " and ".join(files[0][0].relative_to(folder).as_posix() for files in found)
        raise ReleasedDataError(
            f"{folder}: split '{split}' is there in two forms, {names}; name one file, or remove one"
        )
    [files] = found
    totals = {int(match["total"]) for _, match in files if match["total"]}
    if totals:
        numbers = sorted(int(match["number"] or -1) for _, match in files)
        if len(totals) > 1 or numbers != list(range(max(totals))):
            held = ", ".join(file.name for file, _ in files)
            raise ReleasedDataError(
                f"{folder}: split '{split}' is not there from its first file to its last; found {held}"
            )
    return [file for file, _ in files]


@dataclass(frozen=True)
class Columns:
    """How the data set calls its columns; without ``source`` it does not say where a problem comes from."""

    problem: str
    solution: str
    answer: str
    source: str | None = None

    @property
    def names(self) -> list[str]:
        """The columns that are read."""
        return [name for name in (self.problem, self.solution, self.answer, self.source) if name is not None]


def open_rows(file: Path, columns: Columns, cache: Path) -> Iterator[Record]:
    """The rows of one file as a stream, with the columns asked for (JSON Lines: with all).

    A parquet file is opened at once, so that a missing column is known before the first row of any file is read.

    Args:
        file: a ``.parquet`` file, or a file of JSON Lines.
        columns: what each row must have.
        cache: a folder for lock files of the library; no data are written to it.

    Raises:
        ReleasedDataError: the file cannot be read, or a column of it is missing.
        RecordError: a line of JSON Lines cannot be read, or lacks a key.
    """
    if file.suffix == ".jsonl":
        return read_jsonl(file, require=columns.names)
    try:
        from datasets import IterableDataset
    except ImportError:
        raise ReleasedDataError(
            f"{file}: parquet is read with the Python package 'datasets', which is not installed"
        ) from None
    try:
        stream = IterableDataset.from_parquet(
            glob.escape(str(file)), columns=columns.names, batch_size=_ROWS_PER_BATCH, cache_dir=str(cache)
        )
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from None
    for name in columns.names:
        if name not in stream.column_names:
            raise ReleasedDataError(f"{file}: no column '{name}'")
    return _stream_rows(file, stream)


def _stream_rows(file: Path, stream: Any) -> Iterator[Record]:
    try:
        for table in stream.with_format("arrow").iter(batch_size=_ROWS_PER_BATCH):
            yield from table.to_pylist()
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> ReleasedDataError:
    return ReleasedDataError(f"{file}: cannot be read as parquet ({' '.join(str(error).split())})")


@dataclass(frozen=True)
class ReleasedCandidate(Candidate):
    """A row with a problem and a solution; ``variant_key`` is the ``text_key`` of what else is written of it."""

    variant_key: int


class ReleasedReader:
    """Walks the files of a split and makes training rows.

    Attributes:
        dropped: rows that fell out, by reason.
        rows_in: rows seen.
    """

    def __init__(self, columns: Columns, prompt: Prompt) -> None:
        """``prompt`` has a template: its text is the input, its ``assistant_end`` closes the output."""
        if prompt.template is None:
            raise ValueError("training rows need a prompt with a template")
        self.columns = columns
        self.prompt = prompt
        self.ending = prompt.template.assistant_end
        self.dropped = {reason: 0 for _, reason in FILTERS}
        self.rows_in = 0

    def read(self, files: list[Path], cache: Path) -> Iterator[ReleasedCandidate]:
        """Yield the rows that have a problem and a solution, file after file; ``cache`` as in ``open_rows``."""
        for file, rows in [(file, open_rows(file, self.columns, cache)) for file in files]:
            for number, row in enumerate(rows, start=1):
                self.rows_in += 1
                problem = _text_or_nothing(row, self.columns.problem, file, number)
                solution = _text_or_nothing(row, self.columns.solution, file, number)
                if not problem:
                    self.dropped["no_problem"] += 1
                elif not solution:
                    self.dropped["no_solution"] += 1
                else:
                    yield self._candidate(row, problem, solution)

    def _candidate(self, row: Record, problem: str, solution: str) -> ReleasedCandidate:
        known = {"expected_answer": _as_text(row[self.columns.answer])}
        if self.columns.source is not None:
            known["problem_source"] = _as_text(row[self.columns.source])
        return ReleasedCandidate(
            row={"input": self.prompt.render({"problem": problem}), "output": solution + self.ending, **known},
            row_key=text_key(problem, solution),
            problem_key=text_key(problem),
            variant_key=text_key(*("" if text is None else f"={text}" for text in known.values())),
        )


def _text_or_nothing(row: Record, key: str, file: Path, number: int) -> str:
    text = row[key]
    if text is None:
        return ""
    if not isinstance(text, str):
        raise ReleasedDataError(f"{file}, row {number}: '{key}' is no text but {type(text).__name__}")
    return text if text.strip() else ""


def _as_text(value: object) -> str | None:
    return None if value is None else str(value)


def order_variants(
    row_keys: Words, problem_keys: Words, variant_keys: Words, seed: int, downsample: str, num_samples: int | None
) -> Order:
    """De-duplicate, sample and shuffle as ``openmath.sft.order_rows`` does, whatever the order of the rows.

    Of rows with equal problem and solution the one with the smallest ``variant_keys`` stays, not the first: so the
    result does not depend on how the rows are spread over files. Memory is about 100 bytes a row, 150 with a fair
    sample.
    """
    sorted_rows = np.lexsort((variant_keys, row_keys))
    order = order_rows(row_keys[sorted_rows], problem_keys[sorted_rows], seed, downsample, num_samples)
    places = np.empty_like(order.places)
    places[sorted_rows] = order.places
    return Order(places, order.duplicates, order.not_sampled)
