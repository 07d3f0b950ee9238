"""Ready-made data sets, such as the released OpenMathInstruct-2: which files hold them.

A split is one file or several, parquet or JSON Lines (compressed or not), named as the hub names them:

    FOLDER/{split}.parquet    FOLDER/{split}-00000-of-00032.parquet    FOLDER/data/{split}-00000-of-00032.parquet

with at most one of these forms for a split; ``train`` is not ``train_5M``.
"""

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openmath.records import SUFFIXES, file_sha256

FORMS = (".parquet", *SUFFIXES)


class DataSetError(ValueError):
    """A data set that cannot be used; the message names the folder, or the file and its row."""


@dataclass(frozen=True)
class Source:
    """The files of a split, in order.

    Attributes:
        name: how messages call the data set.
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
        DataSetError: the hub has no such data set or split, or it cannot be reached and the cache lacks a file.
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
        raise DataSetError(f"{repository}, revision {revision}: cannot be fetched ({reason})") from None
    return Source(
        name=f"{repository}, split {split}",
        base=snapshot,
        files=split_files(snapshot, split),
        facts={"source": "hub", "repository": repository, "commit": snapshot.name, "split": split},
    )


def path_source(patterns: Sequence[str], split: str | None) -> Source:
    """The files of this machine that patterns name: files, or folders of which the ``split`` is taken.

    Raises:
        DataSetError: a pattern matches nothing or something else, or the split of a folder is not whole.
    """
    files: list[Path] = []
    folders = []
    for pattern in patterns:
        found = [Path(path) for path in sorted(glob.glob(pattern, recursive=True))]
        if not found:
            raise DataSetError(f"{pattern}: there is no such file or folder")
        for path in found:
            files += [file for file in _files_of(path, split) if file not in files]
            folders.append(path if path.is_dir() else path.parent)
    base = Path(os.path.commonpath(folders))
    facts = {"source": "path"} if split is None else {"source": "path", "split": split}
    return Source(" ".join(patterns), base, files, facts)


def _files_of(path: Path, split: str | None) -> list[Path]:
    if path.is_file() and path.name.endswith(FORMS):
        return [path]
    if not path.is_dir():
        raise DataSetError(f"{path}: neither a folder nor a file that ends in {', '.join(FORMS)}")
    if split is None:
        raise DataSetError(f"{path}: of a folder a split is needed")
    return split_files(path, split)


def split_files(folder: Path, split: str) -> list[Path]:
    """The files of a split below ``folder``, sorted by name; the module says how they are named.

    Raises:
        DataSetError: there are none, there are some in two forms, or a numbered file is not there.
    """
    pattern = re.compile(rf"{re.escape(split)}(?:-(?P<number>\d+)(?:-of-(?P<total>\d+)(?:-[0-9a-f]+)?)?)?")
    forms = {
        (part, suffix): [
            (file, match)
            for file in sorted((folder / part).glob(f"*{suffix}"))
            if (match := pattern.fullmatch(file.name.removesuffix(suffix)))
        ]
        for part in ("", "data")
        for suffix in FORMS
    }
    found = [files for files in forms.values() if files]
    if not found:
        raise DataSetError(
            f"{folder}: no files of split '{split}', such as {split}.parquet or data/{split}-00000-of-00001.parquet"
        )
    if len(found) > 1:
        names = " and ".join(files[0][0].relative_to(folder).as_posix() for files in found)
        raise DataSetError(f"{folder}: split '{split}' is there in two forms, {names}; name one file, or remove one")
    [files] = found
    totals = {int(match["total"]) for _, match in files if match["total"]}
    if totals:
        numbers = sorted(int(match["number"] or -1) for _, match in files)
        if len(totals) > 1 or numbers != list(range(max(totals))):
            held = ", ".join(file.name for file, _ in files)
            raise DataSetError(f"{folder}: split '{split}' is not there from its first file to its last; found {held}")
    return [file for file, _ in files]
