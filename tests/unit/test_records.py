"""Files of records are whole or not there, and what cannot be read is named."""

import os
import resource
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmath.records import RecordError, derive_seed, read_jsonl, read_lines, record_id, write_jsonl, zip_records

records = st.lists(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.zst"])
@given(records)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, name: str, rows: list) -> None:
    path = tmp_path_factory.mktemp("records") / name
    assert write_jsonl(path, rows) == len(rows)
    assert list(read_jsonl(path)) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id":1}\n{"id":2', "line 2: the file ends in the middle of a line"),
        (b'{"id":1}\n{"id":\n', "line 2: not JSON"),
        (b'{"id":1}\n[2]\n', "line 2: not a JSON object"),
        (b'{"id":1}\n{"no":2}\n', "line 2: no key 'id'"),
        (b'{"id":1}\n\n', "line 2: not JSON"),
    ],
    ids=["a cut last line", "broken JSON", "a list", "a missing key", "an empty line"],
)
def test_it_names_file_and_line_of(content: bytes, message: str, tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=message) as raised:
        list(read_jsonl(path, require=["id"]))
    assert str(path) in str(raised.value)


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"id": 1}])

    def rows() -> Iterator[dict[str, int]]:
        yield {"id": 2}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_jsonl(path, rows())
    assert list(read_jsonl(path)) == [{"id": 1}]
    assert os.listdir(tmp_path) == ["rows.jsonl"]


def test_lines_are_read_with_their_numbers_and_not_looked_at(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"{\r}\n\n\xff\n{")
    lines = read_lines(path)
    assert [next(lines) for _ in range(3)] == [(1, b"{\r}\n"), (2, b"\n"), (3, b"\xff\n")]
    with pytest.raises(RecordError, match="line 4: the file ends in the middle of a line"):
        next(lines)


@pytest.mark.parametrize("end", ["jsonl", "jsonl.zst"])
def test_a_disk_that_is_full_leaves_what_was_there_and_nothing_else(tmp_path, end: str) -> None:
    path = tmp_path / f"rows.{end}"
    write_jsonl(path, [{"id": 1}])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_jsonl(path, ({"id": os.urandom(500).hex()} for _ in range(1000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(read_jsonl(path)) == [{"id": 1}]
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("end", ["jsonl", "jsonl.zst"])
def test_rows_are_joined_only_when_they_are_about_the_same(tmp_path, end: str) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / f"other.{end}"
    write_jsonl(one, [{"id": "a", "x": 1}, {"id": "b", "x": 2}])
    write_jsonl(other, [{"id": "a", "y": 3}, {"id": "b", "y": 4}])
    assert [(left["x"], right["y"]) for left, right in zip_records(one, other)] == [(1, 3), (2, 4)]
    write_jsonl(other, [{"id": "a"}, {"id": "c"}])
    with pytest.raises(RecordError, match=r"line 2: .*'b'.*'c'"):
        list(zip_records(one, other))
    write_jsonl(other, [{"id": "a"}])
    with pytest.raises(RecordError, match=rf"other\.{end} ends before line 2"):
        list(zip_records(one, other))


def test_names_that_differ_anywhere_give_other_ids_and_seeds() -> None:
    names = [("gsm8k", "1+1?"), ("math", "1+1?"), ("gsm8k", "1+2?")]
    assert len({record_id(*name) for name in names} | {record_id(*names[0], occurrence=1)}) == 4
    assert len({derive_seed("a", 1), derive_seed("a", 2), derive_seed("a1"), derive_seed("b", 1)}) == 4
    assert 0 <= derive_seed("a") < 2**31


def test_ids_and_seeds_never_change() -> None:
    assert record_id("gsm8k", "1+1?") == "38fb58cf104e6f0a"
    assert derive_seed("solve", "gsm8k", 0) == 973041840
