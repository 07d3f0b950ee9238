"""Records on disk: JSON Lines in, JSON Lines out, and the names that randomness is derived from.

Every stage reads whole files of records and writes whole files of its own; no stage edits another's file. A file
appears under its name only when it is complete: it is written beside its place under a name of its own and renamed.
What a stage adds to a record of another stage stands in a narrow file with its rows in the same order, so that a
join is a zip with the ids checked (``zip_records``) and never a dictionary of millions of keys.

A file whose name ends in ``.zst`` is compressed (openmath/compressed.py), whoever reads or writes it here.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from openmath.compressed import DamagedError, compressing, is_compressed, open_compressed

Record = dict[str, Any]

SUFFIXES = (".jsonl", ".jsonl.zst")
"""How the names of files of records end."""

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class RecordError(ValueError):
    """A line that cannot be used; the message names the file and the line."""


def read_jsonl(path: str | Path, require: Iterable[str] = ()) -> Iterator[Record]:
    """Yield the records of a JSON Lines file, one at a time.

    Args:
        path: the file; empty lines are an error, as in every file that we write.
        require: keys that each record must hold.

    Raises:
        RecordError: a line is no JSON object, lacks a required key, or the last line was cut; a compressed file was
            cut or changed.
    """
    required = tuple(require)
    for number, line in read_lines(path):
        record = decode_record(line, f"{path}, line {number}")
        for key in required:
            if key not in record:
                raise RecordError(f"{path}, line {number}: no key '{key}'")
        yield record


def decode_record(line: bytes, place: str) -> Record:
    """The record of a line; ``place`` says where it stands.

    Raises:
        RecordError: it is no JSON object.
    """
    try:
        record = _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise RecordError(f"{place}: not JSON ({error})") from None
    if not isinstance(record, dict):
        raise RecordError(f"{place}: not a JSON object")
    return record


def read_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers, from 1, for those who decode them elsewhere.

    Raises:
        RecordError: the last line was cut, or the file is compressed and was cut or changed.
    """
    number = 0
    with open_compressed(path) if is_compressed(path) else open(path, "rb") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    raise RecordError(f"{path}, line {number}: the file ends in the middle of a line")
                yield number, line
        except DamagedError as error:
            raise RecordError(f"{path}, after line {number}: {error}") from None


def find_records(folder: Path, name: str) -> Path:
    """The file of records with this name in a folder, plain or compressed. Without a file, the plain one.

    Raises:
        RecordError: both are there.
    """
    plain, compressed = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    if not compressed.exists():
        return plain
    if plain.exists():
        raise RecordError(f"{plain} and {compressed} are both there; keep one of them")
    return compressed


def encode_record(record: Mapping[str, Any]) -> bytes:
    """One line of JSON Lines, UTF-8, keys in the order they stand in, with its newline."""
    return _encoder.encode(record) + b"\n"


@contextlib.contextmanager
def atomic_output(path: str | Path) -> Iterator[IO[bytes]]:
    """Open ``path`` for writing bytes; it appears when the block ends well, and not at all when it fails.

    What is written to a ``path`` that ends in ``.zst`` is compressed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            if is_compressed(path):
                with compressing(stream) as lines:
                    yield lines
            else:
                yield stream
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_jsonl(path: str | Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write records, one object a line, and return how many there were."""
    count = 0
    with atomic_output(path) as stream:
        for record in records:
            stream.write(encode_record(record))
            count += 1
    return count


def write_json(path: str | Path, value: Any) -> None:
    """Write one JSON document for people and programs: indented, keys in the order given."""
    with atomic_output(path) as stream:
        stream.write(json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n")


def zip_records(*paths: str | Path, key: str = "id") -> Iterator[tuple[Record, ...]]:
    """Walk files whose rows stand in the same order and check that each row is about the same ``key``.

    Raises:
        RecordError: the files differ in length, or a row's keys differ; both files are named.
    """
    streams = [read_jsonl(path, require=(key,)) for path in paths]
    number = 0
    while True:
        number += 1
        row = [next(stream, None) for stream in streams]
        if all(record is None for record in row):
            return
        for path, record in zip(paths, row, strict=True):
            if record is None:
                raise RecordError(f"{path} ends before line {number}, which {paths[0]} or another file still has")
            if row[0] is not None and record[key] != row[0][key]:
                raise RecordError(
                    f"line {number}: {paths[0]} holds {key} {row[0][key]!r}, {path} holds {record[key]!r}"
                )
        yield tuple(record for record in row if record is not None)


def record_id(source: str, problem: str, occurrence: int = 0) -> str:
    """The stable name of a problem: 16 hexadecimal digits of a hash of its source and text.

    ``occurrence`` tells apart rows of one source that hold the same text (0 for the first).
    """
    text = f"{source}\n{problem}" if occurrence == 0 else f"{source}\n{problem}\n{occurrence}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def derive_seed(*names: str | int) -> int:
    """A seed below 2**31 that follows from names alone (stage, data set, record id, sample number)."""
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def file_error(error: OSError, path: str | Path) -> str:
    """What went wrong with which file; where a write fails, the system names none, so ``path`` stands for it."""
    return f"{error.filename or path}: {error.strerror}" if error.strerror else str(error)


def file_sha256(path: str | Path) -> str:
    """The sha256 of a file as it is stored, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
