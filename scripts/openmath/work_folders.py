"""Work folders: one attempt at a time.

A workflow that is killed leaves its local jobs running; called again it starts a second attempt beside each of them:

    first    ask ask ask ask ... end           an orphan, as the workflow that started it is gone
    second               wait ........ go on   from what the first has left in the folder

A folder is held by a `flock` lock on an open file, so that no crash leaves it behind.
"""

import contextlib
import errno
import fcntl
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

LOCK = ".lock"

_POLL_SECONDS = 0.2
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class DeadlineError(RuntimeError):
    """The time was up before all was done; what was finished is saved."""


def try_lock(handle: IO[bytes], kind: int = fcntl.LOCK_EX) -> bool:
    """Lock a file if no other lock stands in the way; closing the file unlocks it."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def hold(folder: Path, deadline: float | None = None) -> Iterator[None]:
    """Hold a work folder, made if need be, as soon as no other attempt does.

    On a file system without locks nobody is waited for, which is logged.

    Args:
        deadline: time (of `time.monotonic`) after which an attempt that waits gives up.

    Raises:
        DeadlineError: the time was up before the other attempt ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "ab") as handle:
        try:
            _wait_for_lock(handle, folder, deadline)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            log.warning("%s cannot be locked (%s); an attempt beside this one is not noticed", folder, error.strerror)
        yield


def _wait_for_lock(handle: IO[bytes], folder: Path, deadline: float | None) -> None:
    told = False
    while not try_lock(handle):
        if deadline is not None and time.monotonic() > deadline:
            raise DeadlineError(f"the time is up; another attempt is still at work in {folder}")
        if not told:
            log.info("waiting for another attempt to end, which is at work in %s", folder)
            told = True
        time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A folder beside a file that is being made, for what is written on the way; it is empty, and removed at the end.

    An attempt that was killed leaves it behind, and the next one clears it away.
    """
    folder = path.parent / f".{path.name}.work"
    while True:
        with hold(folder):
            if not folder.is_dir():
                continue  # the attempt that was waited for has removed it
            _clear(folder)
            try:
                yield folder
            finally:
                _clear(folder)
                (folder / LOCK).unlink(missing_ok=True)
                folder.rmdir()
            return


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()
