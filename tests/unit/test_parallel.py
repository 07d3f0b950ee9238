"""A function over a stream in several processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openmath.parallel import AHEAD, map_in_order


def slower_for_small(number: int) -> tuple[int, int]:
    time.sleep(0.002 * (10 - number % 10))
    return number, os.getpid()


def refuse_seven(number: int) -> int:
    if number == 7:
        raise ValueError("seven")
    return number


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_the_order_of_the_items_whoever_is_done_first() -> None:
    results = list(map_in_order(slower_for_small, range(40), workers=2))
    assert [number for number, _ in results] == list(range(40))
    assert len({process for _, process in results}) == 2


def test_one_worker_is_this_process() -> None:
    assert list(map_in_order(slower_for_small, [9], workers=1)) == [(9, os.getpid())]


def test_the_stream_is_read_only_so_far_ahead() -> None:
    read = []

    def items() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    results = map_in_order(refuse_seven, items(), workers=2)
    next(results)
    assert len(read) == 2 * AHEAD
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_of_the_function_is_raised(workers: int) -> None:
    with pytest.raises(ValueError, match="seven"):
        list(map_in_order(refuse_seven, range(20), workers=workers))


def test_a_killed_worker_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="a worker process was killed"):
        list(map_in_order(die, range(3), workers=2))


STARTS_WORKERS = """
import sys
sys.path[:0] = sys.argv[1:]
from openmath.parallel import map_in_order
from test_parallel import report_and_wait
if __name__ == "__main__":
    list(map_in_order(report_and_wait, range(2), workers=2))
"""


def report_and_wait(number: int) -> None:
    print(os.getpid(), flush=True)
    time.sleep(60)


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(STARTS_WORKERS)
    folders = [str(Path(__file__).parents[2] / "scripts"), str(Path(__file__).parent)]
    parent = subprocess.Popen([sys.executable, str(tmp_path / "start.py"), *folders], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))


def is_alive(process: int) -> bool:
    """Whether it runs; one that has ended and waits to be reaped has no command line."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except OSError:
        return False
