"""Source files: where the problems come from, and the check that they are the bytes that were meant.

The registry (``resources/datasets.tsv``) names every file: the data set half that it holds, the form of its rows, its
name on disk, its address and other addresses of the same bytes, its sum, size, rows, licence and revision. A data set
half can stand in the registry more than once; the first line is the source of the paper's run, the others are forms of
the same problems from elsewhere, taken in order when the first cannot be had.

A file is looked for in a folder of the user's (``OPENMATH_SOURCES``: clusters without a network, tests), then in the
folder of earlier downloads, then at its addresses. Whatever is found counts only when its sum is right.
"""

import csv
import hashlib
import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openmath.records import atomic_output

logger = logging.getLogger(__name__)

COLUMNS = ("name", "form", "file", "url", "alternates", "sum", "bytes", "rows", "licence", "revision")
GIT_BLOB = "git-blob-sha1:"
RETRY_PAUSES_S = (1.0, 4.0)  # before the second and the third try of one address
TIMEOUT_S = 60.0


class SourceError(RuntimeError):
    """A source file that is missing, unreachable or not the file that was meant; the message says which."""


@dataclass(frozen=True)
class SourceFile:
    """One line of the registry."""

    name: str  # the half of a data set that it holds, such as gsm8k-train
    form: str  # how its rows look (openmath.datasets reads them by it)
    file: str  # its name in OPENMATH_SOURCES and among the downloads
    addresses: tuple[str, ...]  # the main one first; none: the file can only be brought along
    sum: str  # sha256 in hexadecimal, or git-blob-sha1:<hexadecimal> where only that was published
    bytes: int | None
    rows: int | None  # of this half of the data set; None where nobody has counted
    licence: str
    revision: str


@dataclass(frozen=True)
class FoundSource:
    """A source file on disk whose sum was checked."""

    entry: SourceFile
    path: Path
    sum: str


def read_registry(path: str | Path) -> dict[str, tuple[SourceFile, ...]]:
    """The registry by name, lines in the order of the file.

    Raises:
        SourceError: a column is missing, or a line lacks its name, form, file or sum.
    """
    registry: dict[str, tuple[SourceFile, ...]] = {}
    with open(path, encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise SourceError(f"{path}: the columns are {rows.fieldnames}, expected {', '.join(COLUMNS)}")
        for number, row in enumerate(rows, start=2):
            for column in ("name", "form", "file", "sum"):
                if not row[column]:
                    raise SourceError(f"{path}, line {number}: no {column}")
            entry = SourceFile(
                name=row["name"],
                form=row["form"],
                file=row["file"],
                addresses=(*filter(None, [row["url"]]), *(row["alternates"] or "").split()),
                sum=row["sum"],
                bytes=int(row["bytes"]) if row["bytes"] else None,
                rows=int(row["rows"]) if row["rows"] else None,
                licence=row["licence"],
                revision=row["revision"],
            )
            registry[entry.name] = (*registry.get(entry.name, ()), entry)
    return registry


def content_sum(content: bytes, like: str) -> str:
    """The sum of a file's bytes in the notation of ``like``: sha256, or ``git-blob-sha1:`` and git's name for the blob.

    >>> content_sum(b"", like="git-blob-sha1:")
    'git-blob-sha1:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    if like.startswith(GIT_BLOB):
        return GIT_BLOB + hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return hashlib.sha256(content).hexdigest()


def find_source(
    entries: Sequence[SourceFile],
    cache: str | Path,
    folder: str | Path | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> FoundSource:
    """The first form of a data set half that can be had, with its sum checked.

    Args:
        entries: the registry's lines of one name, in order of preference.
        cache: the folder of downloads; what lies there with the right sum is used again.
        folder: the user's own files (``OPENMATH_SOURCES``), looked in first. A file there under the name of one form
            that holds the bytes of another is taken as that other form.
        pause: how to wait between two tries (for tests).

    Raises:
        SourceError: a file in ``folder`` has an unknown sum, or no address gave the file.
    """
    if folder is not None:
        found = _find_in_folder(entries, Path(folder))
        if found is not None:
            return found
    failures: list[str] = []
    for entry in entries:
        path = Path(cache) / entry.file
        if path.is_file():
            actual = content_sum(path.read_bytes(), entry.sum)
            if actual == entry.sum:
                return FoundSource(entry, path, actual)
            logger.warning("%s has sum %s instead of %s and is fetched again", path, actual, entry.sum)
        for address in entry.addresses:
            try:
                _download(address, path, entry, pause)
            except SourceError as error:
                logger.warning("%s", error)
                failures.append(str(error))
            else:
                return FoundSource(entry, path, entry.sum)
    names = " or ".join(entry.file for entry in entries)
    raise SourceError(
        f"the source of {entries[0].name} could not be had: {'; '.join(failures) or 'it has no address'}. "
        f"Put {names} in a folder and name the folder in OPENMATH_SOURCES"
        + (f" (it is now {folder}, without such a file)" if folder is not None else "")
    )


def _find_in_folder(entries: Sequence[SourceFile], folder: Path) -> FoundSource | None:
    if not folder.is_dir():
        raise SourceError(f"OPENMATH_SOURCES is {folder}, which is no folder")
    for named in entries:
        path = folder / named.file
        if not path.is_file():
            continue
        content = path.read_bytes()
        # Another form under this name is as good, as long as we know it.
        for entry in (named, *entries):
            actual = content_sum(content, entry.sum)
            if actual == entry.sum:
                return FoundSource(entry, path, actual)
        actual = content_sum(content, named.sum)
        raise SourceError(f"{path} has the sum {actual}, but {named.name} is the file with the sum {named.sum}")
    return None


def _download(address: str, path: Path, entry: SourceFile, pause: Callable[[float], None]) -> None:
    """Fetch one address to ``path``, which appears only with the right sum. Proxies of the environment are honoured."""
    for pause_s in (*RETRY_PAUSES_S, None):
        logger.info("fetching %s", address)
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "openmath-workflow"})
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            problem = f"{address} answered {error.code} {error.reason}"
            if error.code < 500 and error.code not in (408, 429):
                raise SourceError(problem) from None
        except (OSError, http.client.HTTPException) as error:
            problem = f"{address} is out of reach ({getattr(error, 'reason', None) or error})"
        else:
            actual = content_sum(content, entry.sum)
            if actual != entry.sum:
                size = "" if entry.bytes is None else f" ({entry.bytes} bytes)"
                raise SourceError(
                    f"{address} gave {len(content)} bytes with the sum {actual}, expected {entry.sum}{size}"
                )
            with atomic_output(path) as stream:
                stream.write(content)
            return
        if pause_s is None:
            raise SourceError(problem)
        pause(pause_s)
