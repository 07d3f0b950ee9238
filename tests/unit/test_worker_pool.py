"""Workers that are killed, crash, hang or eat memory: their items are tried again, and the results stay in order."""

import contextlib
import ctypes
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from openmath.worker_pool import Lost, WorkerError, WorkerPool


def double(item: int) -> int:
    return 2 * item


def process_id(item: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def kill_at_7(item: int) -> int:
    if item == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * item


def crash_at_7(item: int) -> int:
    if item == 7:
        ctypes.string_at(0)
    return 2 * item


def leave_at_7(item: int) -> int:
    if item == 7:
        os._exit(3)
    return 2 * item


def hang_at_7(item: int) -> int:
    while item == 7:
        pass
    return 2 * item


def raise_at_7(item: int) -> int:
    return 2 * item // (item - 7)


def kill_once(item: str) -> str:
    """Kills its worker the first time; the item is the file that remembers it."""
    with contextlib.suppress(FileExistsError):
        Path(item).touch(exist_ok=False)
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def allocate(megabytes: int) -> int:
    try:
        return len(bytearray(megabytes * 2**20)) // 2**20
    except MemoryError:
        return -1


def start_child_and_hang(pid_file: str) -> None:
    """Starts a process of its own, writes its id down, and hangs."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    Path(pid_file).write_text(str(child.pid))
    time.sleep(300)


def hang_visibly(pid_file: str) -> None:
    Path(pid_file).write_text(str(os.getpid()))
    while True:
        pass


def limits_of_a_child(item: int) -> str:
    """What a process that a worker starts may take: CPU time, and how long until it is ended."""
    program = "import resource as r, signal as s; print(r.getrlimit(r.RLIMIT_CPU), s.getitimer(s.ITIMER_PROF))"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def fail_to_start() -> None:
    raise OSError("nothing there")


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_results_stand_in_the_order_of_the_items(batch_size: int) -> None:
    with WorkerPool(double, workers=2, seconds=20, batch_size=batch_size) as pool:
        assert pool.map(range(40)) == [2 * item for item in range(40)]
        assert pool.map([]) == []
        assert pool.map([5]) == [10]


def test_the_work_is_done_by_as_many_other_processes_as_asked_for_and_they_end_with_the_pool() -> None:
    with WorkerPool(process_id, workers=2, seconds=20, batch_size=1) as pool:
        pids = {pid for pid in pool.map(range(20)) if isinstance(pid, int)}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert not any(is_running(pid) for pid in pids)


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        pytest.param(kill_at_7, "its worker was killed by signal 9", id="killed"),
        pytest.param(crash_at_7, "its worker was killed by signal 11", id="crashed"),
        pytest.param(leave_at_7, "its worker ended with status 3", id="left"),
        pytest.param(hang_at_7, "not done within 0.5 s", id="hanging"),
    ],
)
def test_one_item_that_takes_its_worker_along_is_lost_alone(function: Callable[[int], int], cause: str) -> None:
    with WorkerPool(function, workers=2, seconds=0.5, batch_size=4) as pool:
        results = pool.map(range(12))
        assert results == [Lost(cause) if item == 7 else 2 * item for item in range(12)]
        assert pool.map([1, 2, 3]) == [2, 4, 6]


def test_an_item_whose_worker_was_killed_once_gets_its_result(tmp_path: Path) -> None:
    items = [str(tmp_path / name) for name in "ab"]
    with WorkerPool(kill_once, workers=1, seconds=20, batch_size=1) as pool:
        assert pool.map(items) == ["done", "done"]
    with WorkerPool(kill_once, workers=1, seconds=20, batch_size=1, losses=1) as pool:
        assert pool.map([str(tmp_path / "c")]) == [Lost("its worker was killed by signal 9")]


def test_a_worker_that_was_killed_while_idle_is_replaced() -> None:
    with WorkerPool(process_id, workers=1, seconds=20) as pool:
        (first,) = pool.map([0])
        assert isinstance(first, int)
        os.kill(first, signal.SIGKILL)
        assert wait_until(lambda: not is_running(first), 5)
        (second,) = pool.map([0])
        assert isinstance(second, int)
        assert second != first


def test_an_error_of_the_function_names_the_item_and_ends_the_workers() -> None:
    pool = WorkerPool(raise_at_7, workers=2, seconds=20, batch_size=4)
    with pytest.raises(WorkerError, match=r"(?s)^7: Traceback.*ZeroDivisionError"):
        pool.map(range(12))
    assert multiprocessing.active_children() == []
    assert pool.map([8]) == [16]
    pool.close()
    assert multiprocessing.active_children() == []


def test_workers_that_cannot_start_are_an_error_and_not_a_lost_item() -> None:
    with WorkerPool(double, workers=1, seconds=20, prepare=fail_to_start) as pool, pytest.raises(WorkerError):
        pool.map([1])


def test_memory_is_limited_where_asked() -> None:
    with WorkerPool(allocate, workers=1, seconds=20, memory_mb=600) as pool:
        assert pool.map([10, 900]) == [10, -1]


def test_a_killed_worker_takes_the_processes_along_that_it_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with WorkerPool(start_child_and_hang, workers=1, seconds=2, losses=1) as pool:
        assert pool.map([str(pid_file)]) == [Lost("not done within 2 s")]
    assert wait_until(lambda: not is_running(int(pid_file.read_text())), 5)


def test_processes_that_a_worker_starts_have_no_limit_of_the_worker() -> None:
    with WorkerPool(limits_of_a_child, workers=1, seconds=20) as pool:
        assert pool.map([0]) == [f"{resource.getrlimit(resource.RLIMIT_CPU)} (0.0, 0.0)"]


def test_a_hanging_worker_ends_where_the_process_that_would_kill_it_was_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from test_worker_pool import hang_visibly; from openmath.worker_pool import WorkerPool\n"
        "WorkerPool(hang_visibly, workers=1, seconds=1).map([sys.argv[1]])\n"
    )
    paths = [path for path in sys.path if path]
    parent = subprocess.Popen([sys.executable, "-c", program, str(pid_file), *paths])
    try:
        assert wait_until(lambda: pid_file.is_file() and bool(pid_file.read_text()), 20)
    finally:
        parent.kill()
        parent.wait()
    pid = int(pid_file.read_text())
    assert wait_until(lambda: not is_running(pid), 20)
