"""The rows of all generations of a folder, read block by block and problem by problem, plain and compressed."""

import os
import tempfile
from pathlib import Path

import pytest

from openmath.answer_rows import (
    Block,
    answers_by_problem,
    generation_path,
    read_block,
    read_blocks,
    rows_by_problem,
)
from openmath.records import RecordError, write_jsonl

SEEDS = (None, 0, 1, 2)
IDS = [f"p{number}" for number in range(1000)]
ROWS = [
    {"id": identifier, "seed": seed, "predicted_answer": f"{identifier} of {seed}", "verdict": "correct"}
    for seed in SEEDS
    for identifier in IDS
]
NAMES = ("answers.jsonl", "answers.jsonl.zst")


@pytest.fixture(params=NAMES)
def answers(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    write_jsonl(path, ROWS)
    return path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_blocks_are_found_at_the_bytes_of_their_lines(answers: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "plain.jsonl", ROWS)
    text = (tmp_path / "plain.jsonl").read_bytes()
    blocks = read_blocks(answers)
    assert [(block.seed, block.first_line, block.rows) for block in blocks] == [
        (seed, 1000 * position, 1000) for position, seed in enumerate(SEEDS)
    ]
    for block, seed in zip(blocks, SEEDS, strict=True):
        begin = b'{"id":"p0","seed":' + (b"null" if seed is None else b"%d" % seed)
        assert text[block.offset :].startswith(begin)


def test_the_rows_of_one_block_are_read(answers: Path) -> None:
    for block in read_blocks(answers):
        assert list(read_block(answers, block)) == [row for row in ROWS if row["seed"] == block.seed]


@pytest.mark.usefixtures("temporary")
def test_the_rows_of_a_problem_stand_together(answers: Path) -> None:
    blocks = read_blocks(answers)
    chosen = [blocks[3], blocks[0]]
    assert list(rows_by_problem(answers, chosen)) == [[ROWS[3000 + place], ROWS[place]] for place in range(1000)]
    assert list(answers_by_problem(answers, blocks)) == [
        (identifier, [f"{identifier} of {seed}" for seed in SEEDS]) for identifier in IDS
    ]


def test_nothing_is_left_where_compressed_rows_were_unpacked(answers: Path, temporary: Path) -> None:
    """Nor is anything to be seen there meanwhile, so that a killed process leaves nothing either."""
    before = len(os.listdir("/proc/self/fd"))
    rows = rows_by_problem(answers, read_blocks(answers))
    assert next(rows)[1]["predicted_answer"] == "p0 of 0"
    assert len(os.listdir("/proc/self/fd")) == before + 1
    assert os.listdir(temporary) == []
    assert len(list(rows)) == 999
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_id_in_another_place_is_named_with_its_line(temporary: Path, tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    rows[2500]["id"] = "another"
    for name in NAMES:
        write_jsonl(tmp_path / name, rows)
        with pytest.raises(RecordError, match=rf"{name}, line 2501: id 'another' of seed 1, where line 501 has 'p500'"):
            list(rows_by_problem(tmp_path / name, read_blocks(tmp_path / name)))


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    for name, message in zip(NAMES, ("line 4000: ", "after line 4000: "), strict=True):
        write_jsonl(tmp_path / name, ROWS)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
        with pytest.raises(RecordError, match=f"{name}, {message}the file ends in the middle"):
            read_blocks(tmp_path / name)


@pytest.mark.parametrize(("seed", "name"), [(None, "output"), (0, "output-rs0"), (12, "output-rs12")])
def test_a_generation_file_is_found_plain_or_compressed_but_not_both(
    seed: int | None, name: str, tmp_path: Path
) -> None:
    plain, compressed = tmp_path / f"{name}.jsonl", tmp_path / f"{name}.jsonl.zst"
    assert generation_path(tmp_path, seed) == plain, "the name that the message of opening it tells"
    plain.touch()
    assert generation_path(tmp_path, seed) == plain
    compressed.touch()
    with pytest.raises(RecordError, match=rf"{name}\.jsonl and .*{name}\.jsonl\.zst are both there"):
        generation_path(tmp_path, seed)
    plain.unlink()
    assert generation_path(tmp_path, seed) == compressed


def test_a_file_without_rows_has_no_blocks(tmp_path: Path) -> None:
    for name in NAMES:
        write_jsonl(tmp_path / name, [])
        assert read_blocks(tmp_path / name) == []
        assert list(rows_by_problem(tmp_path / name, [Block(0, 0, 0, 0)])) == []
