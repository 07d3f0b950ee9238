"""Requests against a scripted server: retries, failures, and the rows that an attempt leaves for the next."""

import http.server
import json
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openmath import client as client_module
from openmath.client import DeadlineError, RequestError
from openmath.engines import Sampling, Server
from openmath.generation import Completion, Request, complete
from openmath.records import RecordError

Answer = tuple[int, dict]


def good(text: str, finish_reason: str | None = "stop") -> Answer:
    choice = {
        "index": 0,
        "text": text,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish_reason,
    }
    usage = {"prompt_tokens": 1, "completion_tokens": len(text), "total_tokens": 1 + len(text)}
    return 200, {"id": "x", "object": "o", "created": 0, "model": "m", "choices": [choice], "usage": usage}


def bad(status: int, message: str) -> Answer:
    return status, {"error": {"message": message, "type": "t", "param": None, "code": None}}


class Script:
    """A server that answers by a function of the request's body, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.paths: list[str] = []
        self.keys: set[str] = set()
        self.answer: Callable[[dict], Answer] = lambda body: good(f"to {body['prompt']}")
        script, lock = self, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    script.asked.append(body)
                    script.paths.append(self.path)
                    script.keys.add(self.headers["Authorization"])
                    status, answer = script.answer(body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.02)
    made = Script()
    yield made
    made.server.shutdown()
    made.server.server_close()


def requests(count: int) -> list[Request]:
    return [Request(f"row{number}", 100 + number, f"p{number}") for number in range(count)]


def segments(work: Path) -> Path:
    """The folder of the only settings that a work folder has rows of."""
    (settings,) = work.glob("*/settings.json")
    return settings.parent


def run(script: Script, asked: list[Request], work: Path, settings: dict | None = None, **changes) -> list[Completion]:
    server = Server("m", "openai", None, address=script.address, **changes.pop("server", {}))
    values = {"stop": [], "concurrency": 4, "settings": settings or {"model": "1"}, **changes}
    return complete(asked, server, Sampling(0.5, 0.9, 7), work=work, **values)


def test_completions_come_in_the_order_of_the_requests(script, tmp_path):
    answers = run(script, requests(20), tmp_path)
    assert answers == [Completion(f"row{n}", f"to p{n}", "stop", len(f"to p{n}")) for n in range(20)]
    assert set(script.paths) == {"/v1/completions"}
    assert sorted(body["seed"] for body in script.asked) == list(range(100, 120))
    assert {(body["model"], body["temperature"], body["top_p"], body["max_tokens"]) for body in script.asked} == {
        ("m", 0.5, 0.9, 7)
    }


def test_messages_go_to_the_chat_endpoint_and_a_greedy_request_has_no_seed(script, tmp_path):
    messages = [{"role": "user", "content": "hello"}]
    script.answer = lambda body: good(body["messages"][0]["content"])
    assert run(script, [Request("a", None, messages)], tmp_path)[0].text == "hello"
    assert script.paths == ["/v1/chat/completions"]
    assert "seed" not in script.asked[0]


def test_a_stop_text_is_sent_and_cut_off_where_a_server_leaves_it(script, tmp_path):
    script.answer = lambda body: good("4<|end|>")
    assert run(script, requests(1), tmp_path, stop=["<|end|>"])[0].text == "4"
    assert script.asked[0]["stop"] == ["<|end|>"]


@pytest.mark.parametrize("engine", ["vllm", "trtllm"])
def test_engines_that_add_special_tokens_are_told_not_to(script, tmp_path, engine):
    server = Server("m", engine, None, address=script.address)
    complete(requests(1), server, Sampling(1, 1, 9), [], tmp_path, 4, {})
    assert (script.asked[0]["add_special_tokens"], script.asked[0]["skip_special_tokens"]) == (False, False)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(script, tmp_path, status):
    script.answer = lambda body: bad(status, "busy") if len(script.asked) <= 3 else good("yes")
    assert [answer.text for answer in run(script, requests(2), tmp_path)] == ["yes", "yes"]


def test_a_request_that_fails_for_good_is_named_after_all_others_were_saved(script, tmp_path):
    script.answer = lambda body: bad(400, "too long") if body["prompt"] == "p3" else good("yes")
    with pytest.raises(RequestError, match=r"1 of 10 requests failed; the first, row3: status 400.*too long"):
        run(script, requests(10), tmp_path)
    script.answer = lambda body: good("late")
    script.asked.clear()
    assert [answer.text for answer in run(script, requests(10), tmp_path)] == ["yes"] * 3 + ["late"] + ["yes"] * 6
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (good("", None), "finish_reason None"),
        (good("", "content_filter"), "finish_reason 'content_filter'"),
        ((200, {**good("a")[1], "usage": None}), "how many tokens"),
    ],
)
def test_an_answer_that_is_no_text_is_a_failure_and_no_generation(script, tmp_path, answer, reason):
    script.answer = lambda body: answer
    with pytest.raises(RequestError, match=reason):
        run(script, requests(1), tmp_path)
    assert not (segments(tmp_path) / "rows.0.jsonl").read_bytes()


def test_a_server_that_is_gone_is_not_asked_for_every_row(script, tmp_path, monkeypatch):
    monkeypatch.setattr(client_module, "_RETRIES", 1)
    script.server.shutdown()
    script.server.server_close()
    started = time.monotonic()
    with pytest.raises(RequestError, match=r"4 of 5000 requests failed; the first, row0: APIConnectionError"):
        run(script, requests(5000), tmp_path)
    assert time.monotonic() - started < 20


def test_a_refused_key_ends_the_asking_and_is_not_told(script, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MY_KEY", "secret-123")
    script.answer = lambda body: bad(401, "no such key: secret-123")
    with caplog.at_level(logging.DEBUG), pytest.raises(RequestError, match=r"no such key: \*\*\*") as failure:
        run(script, requests(100), tmp_path, server={"api_key_env": "MY_KEY"})
    assert script.keys == {"Bearer secret-123"}
    assert len(script.asked) <= 8
    assert "secret-123" not in caplog.text + str(failure.value)


def test_a_key_that_is_not_set_is_named(script, tmp_path, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(RequestError, match="MY_KEY is not set"):
        run(script, requests(1), tmp_path, server={"api_key_env": "MY_KEY"})


def test_a_second_attempt_asks_only_for_what_is_missing(script, tmp_path):
    run(script, requests(6), tmp_path)
    script.asked.clear()
    answers = run(script, requests(10), tmp_path)
    assert sorted(body["prompt"] for body in script.asked) == ["p6", "p7", "p8", "p9"]
    assert [answer.text for answer in answers] == [f"to p{n}" for n in range(10)]
    assert {path.name for path in segments(tmp_path).glob("[!.]*")} == {"settings.json", "rows.0.jsonl", "rows.1.jsonl"}


def test_what_is_finished_needs_no_server(script, tmp_path):
    first = run(script, requests(6), tmp_path)
    script.server.shutdown()
    script.server.server_close()
    assert run(script, requests(6), tmp_path) == first


def test_a_row_with_another_seed_is_another_row(script, tmp_path):
    run(script, [Request("a", 1, "p")], tmp_path)
    run(script, [Request("a", 2, "p")], tmp_path)
    assert [body["seed"] for body in script.asked] == [1, 2]


def test_a_cut_last_line_is_asked_for_again_and_logged(script, tmp_path, caplog):
    first = run(script, requests(5), tmp_path, concurrency=1)
    segment = segments(tmp_path) / "rows.0.jsonl"
    segment.write_bytes(segment.read_bytes()[:-9])
    script.asked.clear()
    assert run(script, requests(5), tmp_path) == first
    assert [body["prompt"] for body in script.asked] == ["p4"]
    assert "ends in the middle of a line" in caplog.text
    script.asked.clear()
    assert run(script, requests(5), tmp_path) == first
    assert not script.asked


def test_a_line_that_cannot_be_read_elsewhere_is_an_error(script, tmp_path):
    run(script, requests(3), tmp_path)
    segment = segments(tmp_path) / "rows.0.jsonl"
    segment.write_bytes(b"{}\n" + segment.read_bytes())
    with pytest.raises(RecordError, match=r"rows.0.jsonl, line 1: not a finished row"):
        run(script, requests(3), tmp_path)


def test_rows_of_other_settings_are_neither_mixed_nor_lost(script, tmp_path, caplog):
    run(script, requests(3), tmp_path, {"model": "1", "prompt": "1"})
    run(script, requests(3), tmp_path, {"model": "1", "prompt": "2"})
    assert "made with another prompt and are not used" in caplog.text
    assert len(script.asked) == 6
    run(script, requests(3), tmp_path, {"model": "1", "prompt": "1"})
    assert len(script.asked) == 6


def test_of_a_row_in_two_segments_the_earlier_attempt_counts(script, tmp_path):
    run(script, requests(1), tmp_path)
    row = {"key": "row0", "seed": 100, "text": "second", "finish_reason": "stop", "num_tokens": 1}
    (segments(tmp_path) / "rows.10.jsonl").write_text(json.dumps(row) + "\n")
    (segments(tmp_path) / "rows.2.jsonl").write_text(json.dumps({**row, "text": "third"}) + "\n")
    assert run(script, requests(1), tmp_path)[0].text == "to p0"
    (segments(tmp_path) / "rows.0.jsonl").unlink()
    assert run(script, requests(1), tmp_path)[0].text == "third"


def test_two_requests_of_one_key_are_refused(script, tmp_path):
    with pytest.raises(ValueError, match="same key"):
        run(script, [Request("a", 1, "p"), Request("a", 2, "p")], tmp_path)


def test_at_the_deadline_nothing_new_is_asked_and_what_came_is_saved(script, tmp_path):
    def slow(body: dict) -> Answer:
        time.sleep(0.05)
        return good("yes")

    script.answer = slow
    with pytest.raises(DeadlineError, match=r"the time is up; \d+ of 200 requests were not asked"):
        run(script, requests(200), tmp_path, deadline=time.monotonic() + 1)
    assert 0 < len((segments(tmp_path) / "rows.0.jsonl").read_text().splitlines()) == len(script.asked) < 200


# Two attempts at the same time, as after a crash of what started the first

ATTEMPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from openmath.engines import Sampling, Server
from openmath.generation import Request, complete
requests = [Request(f"row{number}", 100 + number, f"p{number}") for number in range(int(sys.argv[4]))]
server = Server("m", "openai", None, address=sys.argv[2])
complete(requests, server, Sampling(0.5, 0.9, 7), [], Path(sys.argv[3]), 4, {"model": "1"})
"""
ROWS = 80


@pytest.fixture
def orphan(script, root, tmp_path) -> Iterator[subprocess.Popen]:
    """A process that asks for ROWS rows, slowly, and has some of them already."""

    def slow(body: dict) -> Answer:
        time.sleep(0.02)
        return good(f"to {body['prompt']}")

    script.answer = slow
    command = [sys.executable, "-c", ATTEMPT, str(root / "scripts"), script.address, str(tmp_path), str(ROWS)]
    with subprocess.Popen(command) as process:
        while len(finished(tmp_path)) < 10:
            assert process.poll() is None
            time.sleep(0.01)
        yield process
        process.kill()


def finished(work: Path) -> list[tuple[str, int]]:
    """The key and seed of every whole line of every segment."""
    lines = [line for path in sorted(work.glob("*/rows.*.jsonl")) for line in path.read_bytes().splitlines(True)]
    rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return [(row["key"], row["seed"]) for row in rows]


def test_an_attempt_beside_an_orphan_waits_for_it_and_asks_for_nothing_again(script, tmp_path, orphan):
    answers = run(script, requests(ROWS), tmp_path)
    assert orphan.wait() == 0
    assert [answer.text for answer in answers] == [f"to p{number}" for number in range(ROWS)]
    assert len(script.asked) == ROWS
    assert [path.name for path in segments(tmp_path).glob("rows.*")] == ["rows.0.jsonl"]


def test_an_attempt_beside_one_that_is_killed_asks_only_for_what_that_did_not_finish(script, tmp_path, orphan):
    answers: list[Completion] = []
    second = threading.Thread(target=lambda: answers.extend(run(script, requests(ROWS), tmp_path)))
    second.start()
    while len(finished(tmp_path)) < 30:
        time.sleep(0.01)
    orphan.kill()
    orphan.wait()
    before = {key for key, _ in finished(tmp_path)}
    second.join()
    assert 30 <= len(before) < ROWS
    assert [answer.text for answer in answers] == [f"to p{number}" for number in range(ROWS)]
    assert sorted(finished(tmp_path)) == sorted((request.key, request.seed) for request in requests(ROWS))
    asked = Counter(body["prompt"].replace("p", "row") for body in script.asked)
    assert {asked[key] for key in before} == {1}
    assert max(asked.values()) <= 2
    assert sum(asked.values()) <= ROWS + 4


def test_an_attempt_that_waits_gives_up_at_its_deadline(script, tmp_path, orphan):
    with pytest.raises(DeadlineError, match="the time is up; another attempt is still at work in"):
        run(script, requests(ROWS), tmp_path, deadline=time.monotonic())
    assert orphan.wait() == 0
    assert len(script.asked) == ROWS
