"""Folders that other programs make, in steps that are not repeated and of which nothing half made is seen.

    target/.lock             held by the attempt that is at work
    target/.{step}.x1y.part  what a step writes; a name of its own for each attempt
    target/.{step}           a finished step, renamed to this ...
    target/.{step}.json      ... and what it was made from, written when it is in its place
    target/...               the files of the last step, moved here
    target/manifest.json     written when all is here: a folder without it is unfinished

An attempt that was killed leaves parts, which the next one removes, and finished steps, which it uses if they were made
from the same things.
"""

import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from openmath.manifests import MANIFEST
from openmath.records import write_json
from openmath.work_folders import LOCK, hold

log = logging.getLogger(__name__)


class FolderError(RuntimeError):
    """A folder cannot be written; the message names it."""


@contextlib.contextmanager
def hold_target(folder: Path) -> Iterator[None]:
    """Hold a folder that is made anew, when no other attempt does.

    Raises:
        FolderError: it holds files that were not made in this way, and that would be removed.
    """
    if not (folder / LOCK).exists() and (strangers := _visible(folder)):
        raise FolderError(f"{folder} holds {strangers[0].name}, which was made in another way: move its files away")
    with hold(folder):
        yield


def already_made(folder: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a held folder was finished from the same things, by the attempt that was waited for; else it is not."""
    manifest = folder / MANIFEST
    if manifest.is_file():
        known = json.loads(manifest.read_text("utf-8"))
        if all(known.get(key) == value for key, value in facts.items()):
            log.info("%s: finished by another attempt", folder)
            return True
    manifest.unlink(missing_ok=True)
    return False


def finished_step(folder: Path, step: str, facts: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
    """Make a step, unless an earlier attempt finished it from the same things.

    Args:
        folder: the target, which is held.
        step: the name of the step.
        facts: all that the result depends on.
        make: makes the result under the path that it is given, which does not exist; raises when the result is not
            right.

    Returns:
        the folder of the finished step.
    """
    place, stamp = folder / f".{step}", folder / f".{step}.json"
    if place.is_dir() and stamp.is_file() and json.loads(stamp.read_bytes()) == facts:
        log.info("%s: finished by an earlier attempt", place)
        return place
    stamp.unlink(missing_ok=True)
    for old in (place, *folder.glob(f".{step}.*.part"), *_visible(folder)):
        remove(old)
    part = Path(tempfile.mkdtemp(prefix=f".{step}.", suffix=".part", dir=folder))
    make(part / "result")
    (part / "result").rename(place)
    remove(part)
    write_json(stamp, facts)
    return place


def move_contents(place: Path, folder: Path) -> None:
    """Move what is in a finished step to its target; what a killed attempt has moved is there already.

    A manifest among it is another folder's: the target is not finished by it.
    """
    for path in sorted(place.iterdir()):
        if path.name == MANIFEST:
            path.unlink()
        else:
            path.rename(folder / path.name)


def remove_steps(folder: Path, *steps: str) -> None:
    """Remove the finished steps of a target that is finished."""
    for step in steps:
        remove(folder / f".{step}.json")
        remove(folder / f".{step}")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder; it is no error if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _visible(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != MANIFEST)
