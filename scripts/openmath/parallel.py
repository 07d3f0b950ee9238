"""A function over a stream of items, in several processes, with the results in order and memory bounded.

    items      a b c d e f ...
    worker 1   a   c   f          whoever is free takes the next
    worker 2   b d   e
    results    a b c d e f        in the order of the items: nothing shows which worker did what

At most ``AHEAD`` items a worker are in flight, so a fast reader does not run away from slow workers. Unlike
``openmath.worker_pool`` this is for functions that neither hang nor die by what the items hold: an exception in a
worker is raised here, a worker that is killed ends the whole. Workers end with this process even where it is killed.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 3


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    prepare: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Yield ``function(item)`` for each item, in order.

    Args:
        function: a function of a module (it is pickled, as are items and results).
        items: read as a stream, in this process.
        workers: number of processes; with 1 everything runs in this one.
        prepare: called once in each worker before its first item.

    Raises:
        RuntimeError: a worker was killed.
    """
    if workers == 1:
        if prepare is not None:
            prepare()
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(prepare,))
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise RuntimeError("a worker process was killed, perhaps for want of memory") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(prepare: Callable[[], None] | None) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
