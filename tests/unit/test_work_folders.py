"""One attempt at a time works in a folder."""

import errno
import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openmath.work_folders import DeadlineError, hold

HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from openmath.work_folders import hold
with hold(Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(root: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds ``tmp_path`` until it is killed."""
    command = [sys.executable, "-c", HOLDER, str(root / "scripts"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def entered(folder: Path) -> threading.Event:
    """An event that is set once a thread of ours holds the folder."""
    event = threading.Event()

    def enter() -> None:
        with hold(folder):
            event.set()

    threading.Thread(target=enter, daemon=True).start()
    return event


def test_a_second_attempt_waits_until_the_first_is_killed_and_says_so_once(holder, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        second = entered(tmp_path)
        assert not second.wait(1)
        holder.kill()
        assert second.wait(5)
    assert caplog.messages == [f"waiting for another attempt to end, which is at work in {tmp_path}"]


def test_a_child_of_a_killed_holder_does_not_hold(tmp_path):
    with hold(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert entered(tmp_path).wait(5)
    finally:
        child.kill()
        child.wait()


def test_at_the_deadline_the_waiting_ends(holder, tmp_path):
    started = time.monotonic()
    with pytest.raises(DeadlineError) as raised, hold(tmp_path, started + 0.5):
        pytest.fail("entered")
    assert 0.5 <= time.monotonic() - started < 5
    assert str(raised.value) == f"the time is up; another attempt is still at work in {tmp_path}"


def test_a_free_folder_is_held_also_after_the_deadline(tmp_path):
    with hold(tmp_path, time.monotonic() - 1):
        pass


def test_a_failure_inside_lets_go(tmp_path):
    with pytest.raises(KeyError), hold(tmp_path):
        raise KeyError
    assert entered(tmp_path).wait(5)


def refusing(number: int) -> Callable[..., None]:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("name", ["ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_told_once_and_gone_on_with(tmp_path, monkeypatch, caplog, name):
    number = getattr(errno, name)
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with hold(tmp_path):
        (warning,) = caplog.messages
    assert warning.startswith(f"{tmp_path} cannot be locked ({os.strerror(number)})")


def test_another_failure_of_the_lock_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), hold(tmp_path):
        pytest.fail("entered")
