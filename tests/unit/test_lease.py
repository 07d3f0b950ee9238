"""The lease, with a stand-in for the engine that starts at once."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from openmath.engines import EngineError, Server
from openmath.lease import Slot, allocation_folder, lease, server_key

ENGINE = """
import http.server, json, os, sys, time
if "fail" in sys.argv[1]:
    sys.exit("the weights are broken")
if "hang" in sys.argv[1]:
    time.sleep(60)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"pid": os.getpid()}).encode())

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture(autouse=True)
def leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "leases"
    monkeypatch.setenv("OPENMATH_LEASES", str(folder))
    yield folder
    for state in folder.glob("*/server.json"):
        pid = json.loads(state.read_text()).get("supervisor")
        if pid:
            os.kill(pid, signal.SIGTERM)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Server]:
    """Make a server whose engine is the stand-in; `how` is its first word."""
    program = tmp_path / "engine.py"
    program.write_text(ENGINE)

    def make_server(model: str = "m", how: str = "well", idle: float = 30, **options) -> Server:
        folder = tmp_path / model
        folder.mkdir(exist_ok=True)
        if not (folder / "manifest.json").exists():
            (folder / "manifest.json").write_text("{}")
        launcher = [sys.executable, str(program), how]
        options = {"exclusive": False, "idle_timeout": idle, "start_timeout": 20, "launcher": launcher, **options}
        return Server(model, "vllm", folder, options)

    return make_server


def engine_pid(base_url: str) -> int:
    with urllib.request.urlopen(base_url, timeout=5) as answer:
        return json.loads(answer.read())["pid"]


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def until(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


CLIENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from openmath.engines import Server
from openmath.lease import lease
import json
model, engine, folder, options = json.loads(sys.argv[2])
with lease(Server(model, engine, Path(folder), options)) as url:
    print(url, flush=True)
    time.sleep(float(sys.argv[3]))
"""


def client_process(root: Path, server: Server, seconds: float) -> subprocess.Popen:
    asked = json.dumps([server.model, server.engine, str(server.folder), server.options])
    command = [sys.executable, "-c", CLIENT, str(root / "scripts"), asked, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_later_clients_find_the_server_of_the_first(make):
    with lease(make()) as first:
        pid = engine_pid(first)
        with lease(make()) as second:
            assert second == first
    with lease(make()) as third:
        assert engine_pid(third) == pid


def test_clients_that_come_at_once_start_one_server(make):
    urls, server = [], make()

    def client() -> None:
        with lease(server) as url:
            urls.append(url)

    threads = [threading.Thread(target=client) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(urls) == 6
    assert len(set(urls)) == 1


def test_a_server_that_nobody_holds_ends_after_its_idle_time(make, leases):
    with lease(make(idle=0.5)) as url:
        pid = engine_pid(url)
        time.sleep(1.2)
        assert alive(pid), "it ended while it was held"
    assert until(lambda: not alive(pid))
    assert until(lambda: not list(leases.glob("*/server.json")))


def test_a_client_that_is_killed_lets_go(make, root):
    client = client_process(root, make(idle=0.5), 60)
    pid = engine_pid(client.stdout.readline().strip())
    time.sleep(1)
    assert alive(pid), "it ended while it was held"
    client.kill()
    client.wait()
    client.stdout.close()
    assert until(lambda: not alive(pid))


def test_the_server_does_not_hold_the_output_of_its_client_open(make, root):
    client = client_process(root, make(), 0)
    started = time.monotonic()
    url = client.communicate(timeout=20)[0].strip()
    assert time.monotonic() - started < 15
    assert alive(engine_pid(url))


def test_another_model_replaces_an_exclusive_server_when_its_holders_are_gone(make):
    order = []

    def second() -> None:
        with lease(make("b", exclusive=True)) as url:
            order.append("b has it")
            order.append(engine_pid(url))

    with lease(make("a", exclusive=True)) as url:
        pid = engine_pid(url)
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(1)
        assert alive(pid)
        order.append("a lets go")
    waiting.join()
    assert order[:2] == ["a lets go", "b has it"]
    assert not alive(pid)
    assert alive(order[2])


def test_servers_that_are_not_exclusive_run_side_by_side(make):
    with lease(make("a")) as one, lease(make("b")) as other:
        assert engine_pid(one) != engine_pid(other)


def test_a_retrained_model_is_another_server(make):
    server = make()
    before = server_key(server)
    (server.folder / "manifest.json").write_text('{"steps": 2}')
    assert server_key(server) != before


def test_an_engine_that_dies_at_its_start_is_reported_with_the_end_of_its_log(make):
    with (
        pytest.raises(EngineError, match=r"(?s)did not start.*the weights are broken.*status 1"),
        lease(make(how="fail")),
    ):
        pass


def test_an_engine_that_does_not_answer_in_time_is_given_up(make):
    with (
        pytest.raises(EngineError, match="did not answer within start_timeout = 1 s"),
        lease(make(how="hang", start_timeout=1)),
    ):
        pass


def test_the_engine_dies_with_its_supervisor_and_the_next_client_starts_another(make):
    server = make()
    with lease(server) as url:
        pid = engine_pid(url)
        slot = Slot(allocation_folder() / server_key(server))
        os.kill(slot.state()["supervisor"], signal.SIGKILL)
        assert until(lambda: not alive(pid))
    with lease(server) as url:
        assert engine_pid(url) != pid


def test_an_engine_that_ends_by_itself_is_started_anew_by_the_next_client(make):
    with lease(make()) as url:
        pid = engine_pid(url)
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: not any(allocation_folder().glob("*/server.json")))
    with lease(make()) as url:
        assert engine_pid(url) != pid


def test_an_address_is_used_as_it_is():
    with lease(Server("m", "openai", None, address="https://example.org/v1")) as url:
        assert url == "https://example.org/v1"


def test_the_leases_of_two_jobs_are_apart(monkeypatch, tmp_path):
    monkeypatch.delenv("OPENMATH_LEASES")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folders = set()
    for job in ("1", "2"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        folders.add(allocation_folder())
    monkeypatch.delenv("SLURM_JOB_ID")
    folders.add(allocation_folder())
    assert len(folders) == 3
    assert all(folder.parent.stat().st_mode & 0o077 == 0 for folder in folders)
