"""Source files: the registry, the user's own folder, downloads and their sums."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from openmath.sources import SourceError, SourceFile, content_sum, find_source, read_registry

CONTENT = b'{"problem": "1+1?", "answer": 2}\n'
ENTRY = SourceFile(
    name="tiny",
    form="answers",
    file="tiny.jsonl",
    addresses=(),
    sum=hashlib.sha256(CONTENT).hexdigest(),
    bytes=len(CONTENT),
    rows=1,
    licence="MIT",
    revision="1",
)


class Server:
    """Answers each path by a list of (status, body), one a request, the last one for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, bytes]]] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                answers = outer.answers.get(self.path, [(404, b"")])
                status, body = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}{path}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


def no_pause(_: float) -> None:
    """Tries follow each other at once."""


def test_the_registry_of_the_repository_is_pinned(root: Path) -> None:
    registry = read_registry(root / "resources/datasets.tsv")
    assert {"gsm8k-train", "gsm8k-test", "math-train", "math-test", "amc23", "aime24", "math-500", "omni-math"} == set(
        registry
    )
    for entries in registry.values():
        assert entries[0].addresses, f"{entries[0].name} has no address"
        for entry in entries:
            assert entry.licence
            assert len(entry.sum.rpartition(":")[2]) == (40 if entry.sum.startswith("git-blob-sha1:") else 64)
            for address in entry.addresses:
                assert entry.revision in address or entry.file == "MATH.tar", f"{address} can change under its name"


def test_a_registry_with_a_missing_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "registry.tsv").write_text("name\turl\n")
    with pytest.raises(SourceError, match="the columns are"):
        read_registry(tmp_path / "registry.tsv")


def test_the_sum_of_git_is_that_of_its_blobs() -> None:
    # `printf 'hello\n' | git hash-object --stdin`
    assert content_sum(b"hello\n", like="git-blob-sha1:") == "git-blob-sha1:ce013625030ba8dba906f756967f9e9ca394464a"


def test_the_users_folder_comes_first(tmp_path: Path) -> None:
    (tmp_path / "tiny.jsonl").write_bytes(CONTENT)
    found = find_source([ENTRY], tmp_path / "cache", folder=tmp_path)
    assert found.path == tmp_path / "tiny.jsonl"
    assert not (tmp_path / "cache").exists()


def test_another_file_in_the_users_folder_is_named_with_both_sums(tmp_path: Path) -> None:
    (tmp_path / "tiny.jsonl").write_bytes(b"other\n")
    with pytest.raises(SourceError) as error:
        find_source([ENTRY], tmp_path / "cache", folder=tmp_path)
    for part in ("tiny.jsonl", ENTRY.sum, hashlib.sha256(b"other\n").hexdigest()):
        assert part in str(error.value)


def test_another_form_is_taken_as_what_it_is(tmp_path: Path) -> None:
    other = replace(ENTRY, form="math-rows", file="other.json", sum=content_sum(b"[]\n", like="git-blob-sha1:"))
    (tmp_path / "tiny.jsonl").write_bytes(b"[]\n")
    assert find_source([ENTRY, other], tmp_path / "cache", folder=tmp_path).entry.form == "math-rows"


def test_a_file_is_fetched_once(tmp_path: Path, server: Server) -> None:
    server.answers["/a"] = [(200, CONTENT)]
    entry = replace(ENTRY, addresses=(server.address("/a"),))
    first = find_source([entry], tmp_path / "cache", pause=no_pause)
    assert first.path.read_bytes() == CONTENT
    find_source([entry], tmp_path / "cache", pause=no_pause)
    assert server.asked == ["/a"]


def test_a_failing_server_is_asked_again_and_a_missing_file_is_not(tmp_path: Path, server: Server) -> None:
    server.answers["/b"] = [(503, b""), (200, CONTENT)]
    entry = replace(ENTRY, addresses=(server.address("/gone"), server.address("/b")))
    find_source([entry], tmp_path / "cache", pause=no_pause)
    assert server.asked == ["/gone", "/b", "/b"]


def test_a_wrong_download_is_not_kept(tmp_path: Path, server: Server) -> None:
    server.answers["/a"] = [(200, b"a page of a login\n")]
    entry = replace(ENTRY, addresses=(server.address("/a"),))
    with pytest.raises(SourceError, match=rf"expected {ENTRY.sum}.*OPENMATH_SOURCES"):
        find_source([entry], tmp_path / "cache", pause=no_pause)
    assert not list(tmp_path.rglob("*.jsonl*"))


def test_a_spoilt_download_is_fetched_again(tmp_path: Path, server: Server) -> None:
    server.answers["/a"] = [(200, CONTENT)]
    (tmp_path / "tiny.jsonl").write_bytes(b"spoilt")
    entry = replace(ENTRY, addresses=(server.address("/a"),))
    assert find_source([entry], tmp_path, pause=no_pause).path.read_bytes() == CONTENT


def test_an_address_out_of_reach_is_named_after_three_tries(tmp_path: Path, server: Server) -> None:
    server.http.shutdown()
    server.http.server_close()
    address, pauses = server.address("/a"), []
    with pytest.raises(SourceError) as error:
        find_source([replace(ENTRY, addresses=(address,))], tmp_path, pause=pauses.append)
    assert address in str(error.value)
    assert "tiny.jsonl in a folder and name the folder in OPENMATH_SOURCES" in str(error.value)
    assert len(pauses) == 2
