"""Own one engine process for the clients that lease it; end it when nobody has held it for a while.

Started by openmath/lease.py, which documents the slot. Goes to the background at once, with the lock `supervisor`.

Reads   --slot (a folder), --key, --server (JSON: model, engine, folder, options)
Writes  server.json in the slot: {"key", "model", "status": "starting" | "ready", "supervisor", "base_url"}
"""

import argparse
import ctypes
import fcntl
import json
import logging
import os
import signal
import socket
import subprocess
import time
import types
import urllib.error
import urllib.request
from pathlib import Path

from openmath.engines import HOST, EngineError, Server, engine_command
from openmath.lease import Slot
from openmath.records import write_json

log = logging.getLogger(Path(__file__).stem)

_POLL_SECONDS = 0.2
_KILL_AFTER_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1


class EndedError(Exception):
    """Somebody asked this process to end."""


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def start_engine(server: Server, port: int) -> subprocess.Popen[bytes]:
    """Start the engine in a process group of its own; it gets TERM from the kernel when this process dies."""
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def die_with_parent() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    command = engine_command(server, port)
    log.info("engine: %s", " ".join(command))
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)


def stop_engine(engine: subprocess.Popen[bytes]) -> None:
    """End the engine and what it started: ask, then kill."""
    for signal_number, patience in ((signal.SIGTERM, _KILL_AFTER_SECONDS), (signal.SIGKILL, None)):
        try:
            os.killpg(engine.pid, signal_number)
        except ProcessLookupError:
            return
        try:
            engine.wait(patience)
        except subprocess.TimeoutExpired:
            log.warning("the engine did not end within %.0f s", _KILL_AFTER_SECONDS)


def answers(port: int) -> bool:
    """Whether the server at the port says that it is well."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy does not lead to this machine
    try:
        with opener.open(f"http://{HOST}:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def wait_until_healthy(engine: subprocess.Popen[bytes], port: int, seconds: float) -> None:
    """Return when the server answers.

    Raises:
        EngineError: the engine ended, or did not answer in time.
    """
    deadline = time.monotonic() + seconds
    while not answers(port):
        if engine.poll() is not None:
            raise EngineError(f"the engine ended with status {engine.returncode} before it answered")
        if time.monotonic() > deadline:
            raise EngineError(f"the engine did not answer within start_timeout = {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def watch(slot: Slot, engine: subprocess.Popen[bytes], idle_timeout: float) -> None:
    """Return, with the state gone, when nobody has held the server for so long.

    Raises:
        EngineError: the engine ended by itself.
    """
    idle_since = time.time()
    while True:
        if engine.poll() is not None:
            raise EngineError(f"the engine ended by itself with status {engine.returncode}")
        if slot.held():
            idle_since = time.time()
        idle_since = max(idle_since, (slot.folder / "holders").stat().st_mtime)
        if time.time() - idle_since > idle_timeout:
            with slot.mutex():
                if not slot.held():
                    log.info("nobody has held the server for %.0f s", idle_timeout)
                    slot.state_path.unlink(missing_ok=True)
                    stop_engine(engine)
                    return
        time.sleep(_POLL_SECONDS)


def supervise(slot: Slot, key: str, server: Server) -> None:
    """Start the engine, say where it is, and watch it to its end."""
    port = free_port()
    state = {"key": key, "model": server.model, "status": "starting", "supervisor": os.getpid()}
    write_json(slot.state_path, state)
    engine = start_engine(server, port)
    try:
        started = time.monotonic()
        wait_until_healthy(engine, port, server.start_timeout)
        log.info("%s is ready after %.1f s", server.model, time.monotonic() - started)
        write_json(slot.state_path, {**state, "status": "ready", "base_url": f"http://{HOST}:{port}/v1"})
        watch(slot, engine, server.idle_timeout)
    except EngineError as error:
        log.error("%s", error)
    except EndedError:
        log.info("asked to end")
    finally:
        slot.state_path.unlink(missing_ok=True)
        stop_engine(engine)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slot", type=Path, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--server", type=json.loads, required=True)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    asked = args.server
    server = Server(asked["model"], asked["engine"], asked["folder"] and Path(asked["folder"]), asked["options"])
    slot = Slot(args.slot)
    with slot.open("supervisor") as lock:
        # The caller has the mutex and has seen that there is no supervisor; at most somebody looks at this moment.
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The child has the lock when the parent, for which the client waits, is gone.
        if os.fork():
            os._exit(0)

        def end(number: int, frame: types.FrameType | None) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise EndedError

        signal.signal(signal.SIGTERM, end)
        supervise(slot, args.key, server)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
