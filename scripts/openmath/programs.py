"""Programs of other environments: how they are started through a launcher, looked for, watched and ended.

TensorRT-LLM and NeMo have environments or containers of their own, which are started and never imported. A *launcher*
is the list of words that stands before every command, such as a container's:

    ["srun", "--overlap", "--nodes={nodes}", "--ntasks={tasks}", "--gres=gpu:{gpus}", "--container-image=nemo.sqsh"]

NeMo-Skills' own modules are run from its *checkout*, a folder that scripts/fetch_checkout.py makes: the command changes
into it and puts it before PYTHONPATH behind the launcher, where a container would forget both.
"""

import argparse
import contextlib
import ctypes
import json
import logging
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openmath.manifests import MANIFEST

log = logging.getLogger(__name__)

NEMO_ADVICE = (
    "NeMo is missing; name its container in the launcher (nemo.launcher), or install it in the job's environment"
)

_IN_CHECKOUT = 'cd "$0" && export PYTHONPATH="$0${PYTHONPATH:+:$PYTHONPATH}" && exec env "$@"'
_MISSING_PACKAGES = (
    "import importlib.util, sys; print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name) is None])"
)
_TAIL_LINES = 20
_TAIL_BYTES = 16384
_KILL_AFTER_SECONDS = 30.0
_POLL_SECONDS = 0.5
_PR_SET_PDEATHSIG = 1


class ProgramError(RuntimeError):
    """A program is missing or has failed; the message is for a person."""


@dataclass(frozen=True)
class Launcher:
    """Words before a command, and the numbers that are filled into them.

    Attributes:
        words: `{nodes}`, `{gpus}` and `{tasks}` in a word are filled in; none starts the command as it is.
        nodes: nodes that the command runs on.
        gpus: GPUs of each node.
        tasks: processes in all.
    """

    words: Sequence[str] = ()
    nodes: int = 1
    gpus: int = 1
    tasks: int = 1

    def before(self, command: Sequence[str]) -> list[str]:
        """The command behind the words.

        >>> Launcher(["srun", "--ntasks={tasks}"], nodes=2, gpus=8, tasks=16).before(["python"])
        ['srun', '--ntasks=16', 'python']
        """
        numbers = {"{nodes}": self.nodes, "{gpus}": self.gpus, "{tasks}": self.tasks}
        filled = list(self.words)
        for name, number in numbers.items():
            filled = [word.replace(name, str(number)) for word in filled]
        return [*filled, *command]


@dataclass(frozen=True)
class Checkout:
    """A repository at one commit: the folder of its files, and what its manifest says."""

    folder: Path
    facts: dict[str, Any]

    def file(self, *names: str) -> Path:
        """The first of these files, named by their paths in the repository, that there is.

        Raises:
            ProgramError: there is none of them.
        """
        for name in names:
            if (self.folder / name).is_file():
                return self.folder / name
        raise ProgramError(f"{self.folder} has no {' and no '.join(names)}: another revision is needed")


def read_checkout(folder: Path) -> Checkout:
    """Read the folder that scripts/fetch_checkout.py made.

    Raises:
        ProgramError: it is not finished.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file() or not (folder / "checkout").is_dir():
        raise ProgramError(f"{folder} is no finished checkout: it lacks {MANIFEST} or the folder checkout/")
    return Checkout(Path(os.path.abspath(folder / "checkout")), json.loads(manifest.read_text("utf-8")))


def parse_launcher(text: str) -> list[str]:
    """The words of `--launcher`: a JSON list.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        words = json.loads(text)
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise argparse.ArgumentTypeError(f"must be a JSON list of words, not {text!r}")
    return words


def in_checkout(launcher: Launcher, checkout: Checkout, command: Sequence[str], **variables: str) -> list[str]:
    """The command line that runs a command from a checkout, with further environment variables."""
    settings = [f"{name}={value}" for name, value in variables.items()]
    return launcher.before(["sh", "-c", _IN_CHECKOUT, str(checkout.folder), *settings, *command])


def require_program(launcher: Launcher, program: str, advice: str) -> None:
    """Raise ProgramError, in one sentence, when the launcher, or without one the program, is not here."""
    if launcher.words:
        first = launcher.before([])[0]
        if shutil.which(first) is None:
            raise ProgramError(f"the launcher '{first}' is not found in this job")
    elif shutil.which(program) is None:
        raise ProgramError(f"the program '{program}' is not found in this job: {advice}")


def require_packages(launcher: Launcher, checkout: Checkout, packages: Sequence[str], advice: str) -> None:
    """Raise ProgramError, in one sentence, when `python` lacks a package.

    What the Python behind a launcher has is seen only when it runs: to look would take an allocation's step.
    """
    require_program(launcher, "python", advice)
    if launcher.words:
        return
    command = in_checkout(launcher, checkout, ["python", "-c", _MISSING_PACKAGES, *packages])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProgramError(f"'python' of this job cannot look for {', '.join(packages)}: {done.stderr.strip()[-500:]}")
    if missing := done.stdout.split():
        python = shutil.which("python")
        raise ProgramError(f"{python} has no package {', '.join(map(repr, missing))}: {advice}")


def run_program(name: str, command: Sequence[str]) -> None:
    """Run a command to its end; what it says goes to our standard error as it comes.

    The command ends with us: it is asked to when we are, and the kernel asks it when we are killed.

    Args:
        name: what a person calls it.
        command: the words of the command line.

    Raises:
        ProgramError: it ended with another status than 0; the message ends with the last lines that it said.
    """
    log.info("running: %s", shlex.join(command))
    with (
        _ended_by_signal(),
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=_end_with_parent(),
        ) as child,
    ):  # fmt: skip
        try:
            tail = _pass_on(child)
            status = child.wait()
        except BaseException:
            _end(child)
            raise
    if status != 0:
        ended = f"status {status}" if status > 0 else f"signal {-status}"
        raise ProgramError(f"{name} ended with {ended}; the end of its log:\n{tail}")


def _pass_on(child: subprocess.Popen[bytes]) -> str:
    """Copy what the child says, and return the last lines of it.

    The end of the child is enough: a process that it left behind may keep the pipe open.
    """
    assert child.stdout is not None
    said, ended = b"", False
    while True:
        ready, _, _ = select.select([child.stdout], [], [], _POLL_SECONDS)
        if ready:
            chunk = os.read(child.stdout.fileno(), 65536)
            if not chunk:
                break
            sys.stderr.buffer.write(chunk)
            sys.stderr.flush()
            said = (said + chunk)[-_TAIL_BYTES:]
        elif ended:
            break
        ended = child.poll() is not None
    lines = said.decode("utf-8", "replace").replace("\r", "\n").splitlines()
    return "\n".join(lines[-_TAIL_LINES:])


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and what it started: ask, then kill."""
    for number, patience in ((signal.SIGTERM, _KILL_AFTER_SECONDS), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        try:
            child.wait(patience)
            return
        except subprocess.TimeoutExpired:
            log.warning("the command did not end within %.0f s", _KILL_AFTER_SECONDS)


def _end_with_parent() -> Any:
    """A function for the child before it starts: it asks the kernel for TERM when this process dies."""
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask


@contextlib.contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Let TERM end this process by an exception, so that what it started is ended as well."""

    def end(number: int, frame: types.FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
