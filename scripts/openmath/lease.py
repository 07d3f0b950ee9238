"""The lease: jobs of one allocation share a server, which starts with the first of them and ends by itself.

    with lease(server) as base_url:
        ...

A server belongs to a *slot*, a folder of the allocation. An exclusive server (on GPUs) has the one slot `exclusive`, so
that another model replaces it when nobody holds it; other servers have a slot each, so that they run side by side. In a
slot stand

    mutex        locked for moments: to look, to start, to end
    holders      locked (shared) by every client as long as it uses the server: a client that is killed lets go by dying
    supervisor   locked (exclusive) by the supervisor as long as it lives; it owns the engine, which dies with it
    server.json  written by the starting client and the supervisor: key, status, address, process
    server.log   what supervisor and engine say

All locks are `flock` locks on open files, so that no crash leaves one behind. A client takes its hold, and the
supervisor decides to end, under the mutex: nobody is handed a server that is about to go.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from openmath.engines import EngineError, Server, check_engine
from openmath.records import write_json
from openmath.work_folders import try_lock

log = logging.getLogger(__name__)

_SUPERVISOR = Path(__file__).resolve().parent.parent / "supervise_server.py"
_POLL_SECONDS = 0.1
_LOG_LINES = 30


def server_key(server: Server) -> str:
    """What tells servers apart: engine, options, name, folder and its manifest (a retrained model is another)."""
    manifest = b"" if server.folder is None else (server.folder / "manifest.json").read_bytes()
    asked = json.dumps([server.engine, server.options, server.model, str(server.folder)], sort_keys=True)
    return hashlib.sha256(asked.encode() + b"\0" + manifest).hexdigest()[:16]


def allocation_folder() -> Path:
    """Where the slots of this allocation stand: `$OPENMATH_LEASES`, or a folder of this user, job or working directory.

    Raises:
        EngineError: the folder for temporary files holds one of that name that belongs to somebody else.
    """
    named = os.environ.get("OPENMATH_LEASES")
    if named:
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    place = hashlib.sha256(os.getcwd().encode()).hexdigest()[:12]
    user = Path(tempfile.gettempdir()) / f"openmath-leases-{os.getuid()}"
    user.mkdir(mode=0o700, exist_ok=True)
    if user.stat().st_uid != os.getuid():
        raise EngineError(f"{user} belongs to another user; set OPENMATH_LEASES to a folder of your own.")
    folder = user / os.environ.get("SLURM_JOB_ID", f"local-{place}")
    folder.mkdir(exist_ok=True)
    return folder


@dataclass(frozen=True)
class Slot:
    """A folder with the locks and the state of one server."""

    folder: Path

    @property
    def state_path(self) -> Path:
        return self.folder / "server.json"

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    def open(self, name: str) -> IO[bytes]:
        """Open a lock file; Python opens it so that no child inherits it."""
        return open(self.folder / name, "ab")

    @contextlib.contextmanager
    def mutex(self) -> Iterator[None]:
        with self.open("mutex") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def held(self) -> bool:
        """Whether a client holds the server."""
        with self.open("holders") as handle:
            return not try_lock(handle)

    def supervised(self) -> bool:
        """Whether a supervisor lives."""
        with self.open("supervisor") as handle:
            return not try_lock(handle, fcntl.LOCK_SH)

    def state(self) -> dict[str, Any]:
        """What server.json says, or nothing."""
        try:
            state: dict[str, Any] = json.loads(self.state_path.read_bytes())
        except FileNotFoundError:
            return {}
        return state


@contextlib.contextmanager
def lease(server: Server) -> Iterator[str]:
    """Hold the server, started if need be, and yield its base URL (which ends in `/v1`).

    Raises:
        EngineError: the engine is not here, or did not start; the message ends with the last lines of its log.
    """
    if server.address is not None:
        yield server.address
        return
    check_engine(server)
    key = server_key(server)
    slot = Slot(allocation_folder() / ("exclusive" if server.exclusive else key))
    slot.folder.mkdir(exist_ok=True)
    with contextlib.ExitStack() as holds:
        base_url = _take(slot, server, key, holds)
        try:
            yield base_url
        finally:
            # The supervisor counts the idle time from here.
            with contextlib.suppress(FileNotFoundError):
                os.utime(slot.folder / "holders")


def _take(slot: Slot, server: Server, key: str, holds: contextlib.ExitStack) -> str:
    told = False
    while True:
        with slot.mutex():
            running = slot.supervised()
            if running and slot.state().get("key") != key and not slot.held():
                _end(slot)
                running = False
            if not running:
                _start(slot, server, key)
            if slot.state().get("key") == key:
                holders = holds.enter_context(slot.open("holders"))
                fcntl.flock(holders, fcntl.LOCK_SH)
                output = holds.enter_context(slot.log_path.open("rb"))
                break
        if not told:
            log.info("waiting for the holders of %s, which has the allocation", slot.state().get("model"))
            told = True
        time.sleep(5 * _POLL_SECONDS)
    return _wait_until_ready(slot, server, output)


def _start(slot: Slot, server: Server, key: str) -> None:
    """Start a supervisor; called under the mutex. When it returns, the supervisor lives and has its lock."""
    slot.log_path.unlink(missing_ok=True)
    asked = {
        "model": server.model,
        "engine": server.engine,
        "folder": None if server.folder is None else str(server.folder.resolve()),
        "options": server.options,
    }
    write_json(slot.state_path, {"key": key, "model": server.model, "status": "starting"})
    log.info("starting the engine %s for %s, log %s", server.engine, server.model, slot.log_path)
    with open(slot.log_path, "ab") as output:
        # Its own session, and none of our streams: a caller that waits for our output to end must not wait for it.
        done = subprocess.run(
            [sys.executable, str(_SUPERVISOR), "--slot", str(slot.folder.resolve()), "--key", key,
             "--server", json.dumps(asked)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise EngineError(f"The supervisor of {server.model} did not start.\n{slot.log_path.read_text('utf-8')}")


def _end(slot: Slot) -> None:
    """End the server that nobody holds; called under the mutex, which keeps new holders away."""
    log.info("ending %s, which nobody holds", slot.state().get("model"))
    with slot.open("supervisor") as handle:
        while not try_lock(handle, fcntl.LOCK_SH):
            # As long as the lock is taken, the process in the state is the one that has it.
            process = slot.state().get("supervisor")
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)
            time.sleep(_POLL_SECONDS)


def _wait_until_ready(slot: Slot, server: Server, output: IO[bytes]) -> str:
    while True:
        state = slot.state()
        if state.get("status") == "ready":
            return str(state["base_url"])
        # The supervisor bounds the time that a start may take and ends itself; it is enough to see it end.
        if not slot.supervised():
            break
        time.sleep(_POLL_SECONDS)
    lines = output.read().decode("utf-8", "replace").splitlines()[-_LOG_LINES:]
    raise EngineError(
        f"The engine '{server.engine}' did not start to serve {server.model}; the end of its log:\n" + "\n".join(lines)
    )
