"""One function over many items in processes that may die: results in order, whatever single items do.

    items                 a b c d e f g h
    batches               [a b c d] [e f g h]       each goes to a worker that is free
    c kills its worker    [a] [b] [c] [d]           the rest of its batch is tried alone, in workers that live
    c kills another       a b Lost d e f g h        lost twice: given up

A worker is lost when it ends (killed for memory, crashed) or is not done with a batch in time; it is then killed with
every process that it started, and a fresh one takes its place. The time is that of a whole batch, as a late batch is
only done again item by item. Which worker did what, and when, leaves no trace in the results. A timer of CPU time ends
a hanging worker even where this process was killed and cannot do so.

Cost: a worker starts in the time of a Python and the function's imports; a batch costs about 0.1 ms, an item what it
takes to pickle it and its result.
"""

import logging
import math
import multiprocessing
import os
import resource
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Generic, TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

START_SECONDS = 120.0
_CPU_SECONDS_OVER = 1


class WorkerError(RuntimeError):
    """The function raised, or workers cannot start: nothing that another attempt would mend."""


@dataclass(frozen=True)
class Lost:
    """In place of a result: the item was lost with its worker as often as allowed, for the last time by ``cause``."""

    cause: str


@dataclass(frozen=True)
class _Task:
    """Items that one worker does at a time: their positions, and how often they were lost before."""

    positions: range
    losses: int = 0


@dataclass(frozen=True)
class _Raised:
    """What a worker answers when the function raised: the place in its batch, and the traceback."""

    place: int
    text: str


class _Worker:
    """A process, the pipe to it, and what it is at: starting, idle (no deadline), or busy with ``task``."""

    def __init__(self, function: Callable[[Any], Any], seconds: float, *others: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function, seconds, *others))
        self.process.start()
        theirs.close()
        self.seconds = seconds
        self.started = False
        self.task: _Task | None = None
        self.deadline: float | None = time.monotonic() + START_SECONDS

    def begin(self, task: _Task, batch: list[Any]) -> None:
        """Hand out a batch. A worker that has died meanwhile is found out by whoever waits for its answer."""
        self.task = task
        self.deadline = time.monotonic() + self.seconds
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(batch)

    def kill(self) -> None:
        """End it and the processes that it started."""
        assert self.process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.connection.close()


class WorkerPool(Generic[Item, Result]):
    """Applies ``function`` to items in at most ``workers`` processes, which start when there is work.

    Args:
        function: takes an item; it is pickled, and so are items and results. It should raise nothing.
        workers: number of processes, from 1.
        seconds: wall time that a batch may take before its worker is killed.
        batch_size: most items a batch has.
        losses: a lost item is given up at this number; before, it is tried again.
        memory_mb: address space of a worker; None: any.
        prepare: called once in each worker before it gets work, within ``START_SECONDS``: for slow imports.
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        workers: int,
        seconds: float,
        batch_size: int = 64,
        losses: int = 2,
        memory_mb: int | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.function = function
        self.limit = workers
        self.seconds = seconds
        self.batch_size = batch_size
        self.losses = losses
        self.memory_mb = memory_mb
        self.prepare = prepare
        self._workers: list[_Worker] = []

    def __enter__(self) -> "WorkerPool[Item, Result]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        while self._workers:
            self._workers.pop().kill()

    def map(self, items: Sequence[Item]) -> list[Result | Lost]:
        """The result of each item, in their order.

        Raises:
            WorkerError: the function raised (the item is named), or a worker ended before its first batch.
        """
        results: dict[int, Result | Lost] = {}
        size = max(1, min(self.batch_size, math.ceil(len(items) / (4 * self.limit))))
        waiting = deque(_Task(range(len(items))[start : start + size]) for start in range(0, len(items), size))
        try:
            while len(results) < len(items):
                self._hand_out(items, waiting)
                for worker, answer in self._next_answers():
                    task, worker.task, worker.deadline = worker.task, None, None
                    if isinstance(answer, Lost):
                        self._workers.remove(worker)
                        worker.kill()
                        again = self._again(task, answer)
                        waiting.extend(again)
                        if task is not None and not again:
                            logger.warning("given up (%s): %.300r", answer.cause, items[task.positions[0]])
                            results[task.positions[0]] = answer
                    elif task is None:
                        worker.started = True
                    elif isinstance(answer, _Raised):
                        raise WorkerError(f"{items[task.positions[answer.place]]!r:.300}: {answer.text}")
                    else:
                        results.update(zip(task.positions, answer, strict=True))
        except BaseException:
            self.close()
            raise
        return [results[position] for position in range(len(items))]

    def _hand_out(self, items: Sequence[Item], waiting: deque[_Task]) -> None:
        for worker in self._workers:
            if waiting and worker.started and worker.task is None:
                task = waiting.popleft()
                worker.begin(task, [items[position] for position in task.positions])
        starting = sum(not worker.started for worker in self._workers)
        for _ in range(min(len(waiting) - starting, self.limit - len(self._workers))):
            self._workers.append(_Worker(self.function, self.seconds, self.memory_mb, self.prepare))

    def _next_answers(self) -> list[tuple[_Worker, Any]]:
        """What workers said since last asked, or that they are lost; waits for at least one answer or deadline."""
        asked = {worker.connection: worker for worker in self._workers if worker.deadline is not None}
        now = time.monotonic()
        first = min(worker.deadline or 0.0 for worker in asked.values())
        ready = wait(list(asked), timeout=max(0.0, first - now))
        answers: list[tuple[_Worker, Any]] = []
        for connection, worker in asked.items():
            if connection in ready:
                answers.append((worker, _receive(worker)))
            elif (worker.deadline or 0.0) <= time.monotonic():
                answers.append((worker, Lost(f"not done within {worker.seconds:g} s")))
        return answers

    def _again(self, task: _Task | None, lost: Lost) -> list[_Task]:
        """What is tried again of the batch of a lost worker: nothing of a single item that was lost too often."""
        if task is None:
            raise WorkerError(f"a worker could not start: {lost.cause}")
        losses = task.losses + 1
        if len(task.positions) == 1:
            return [_Task(task.positions, losses)] if losses < self.losses else []
        logger.warning("a worker is lost (%s); its %d items are tried alone", lost.cause, len(task.positions))
        return [_Task(range(place, place + 1), losses) for place in task.positions]


def _receive(worker: _Worker) -> Any:
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join(1.0)
        code = worker.process.exitcode or 0
        return Lost(f"its worker was killed by signal {-code}" if code < 0 else f"its worker ended with status {code}")


def _serve(
    connection: Connection,
    function: Callable[[Any], Any],
    seconds: float,
    memory_mb: int | None,
    prepare: Callable[[], None] | None,
) -> None:
    """The main function of a worker: say that it is there, then answer batches until the pipe is closed."""
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 2**20, memory_mb * 2**20))
    if prepare is not None:
        prepare()
    with suppress(EOFError, BrokenPipeError):
        connection.send(None)
        while True:
            batch = connection.recv()
            # Of this process alone, where a limit on resources would be its children's too. The signal ends it.
            signal.setitimer(signal.ITIMER_PROF, seconds + _CPU_SECONDS_OVER)
            connection.send(_results(function, batch))


def _results(function: Callable[[Any], Any], batch: list[Any]) -> list[Any] | _Raised:
    results: list[Any] = []
    for item in batch:
        try:
            results.append(function(item))
        except Exception:
            return _Raised(len(results), traceback.format_exc())
    return results
