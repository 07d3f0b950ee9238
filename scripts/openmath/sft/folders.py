"""Solutions out of folders of graded generations: what was generated, its verdict, and its majority, side by side.

    output-rs0.jsonl     {"id": "a", "problem", "generation", "finish_reason", "seed": 0, ...}
    answers.jsonl        {"id": "a", "seed": 0, "predicted_answer", "verdict"}                   rows in the same order
    judged.jsonl         {"id": "a", "seed": 0, "judge_verdict"}                      the same, where a judge decides
    majority.jsonl       {"id": "a", "expected_answer", "majority_votes", "total_votes"}      one row a problem, or none

A shard is one generation file with its rows of the others. The problems of a folder are in memory, never its rows.
"""

import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from openmath.answer_rows import Block, generation_path, read_block, read_blocks
from openmath.answers import Conventions, grade
from openmath.records import Record, RecordError, find_records, read_lines
from openmath.sft.filters import Filters, Problem, Solution
from openmath.sft.reading import Problems, extra_values

_JUDGED = {"yes": "correct", "no": "wrong", "invalid": "judged_invalid"}
_KNOWN_ALREADY = ("truncated", "no_answer")
_USED_KEYS = ("id", "problem", "problem_source", "generation", "finish_reason", "seed", "expected_answer")


class _Generation(msgspec.Struct, gc=False):
    id: str
    problem: str
    problem_source: str
    generation: str
    finish_reason: str
    seed: int | None
    expected_answer: str | None = None


class _Winner(msgspec.Struct, gc=False):
    id: str
    expected_answer: str
    majority_votes: int
    total_votes: int


@dataclass(frozen=True)
class FolderShard:
    """One generation file of a folder, with the blocks of its rows in ``answers.jsonl`` and ``judged.jsonl``."""

    folder: Path
    answers: Block
    judged: Block | None

    @property
    def path(self) -> Path:
        """The generation file."""
        return generation_path(self.folder, self.answers.seed)

    @property
    def size(self) -> int:
        """Bytes of the generation file."""
        return self.path.stat().st_size

    def place(self, number: int) -> str:
        """How messages call a row."""
        return f"{self.path}, line {number}"


def folder_shards(folder: Path, filters: Filters) -> list[FolderShard]:
    """The shards of a folder, in the order of ``answers.jsonl``.

    Raises:
        FileNotFoundError: a file of the folder is missing.
        RecordError: a file cannot be read, or ``judged.jsonl`` is not about the same files.
    """
    answers = read_blocks(find_records(folder, "answers"))
    if filters.correctness != "judge":
        return [FolderShard(folder, block, None) for block in answers]
    judged = {block.seed: block for block in read_blocks(find_records(folder, "judged"))}
    for block in answers:
        if block.seed not in judged:
            raise RecordError(f"{folder / 'judged.jsonl'}: no rows of seed {block.seed}, which answers.jsonl has")
    return [FolderShard(folder, block, judged[block.seed]) for block in answers]


class FolderReader:
    """Reads shards of folders.

    Args:
        filters: says who decides what is right, and how many rows are skipped.
        problems: makes the problems.
        conventions: those under which answers are held against a majority's.
        prompt_keys: further keys of the generations, which the prompt is filled from.
        base: the folder that names of files are relative to.
        extra_keys: keys of the generations that rows carry along.

    Attributes:
        skipped: rows that were skipped.
    """

    def __init__(
        self,
        filters: Filters,
        problems: Problems,
        conventions: Conventions,
        prompt_keys: tuple[str, ...],
        base: Path,
        extra_keys: tuple[str, ...],
    ) -> None:
        self.filters = filters
        self.problems = problems
        self.conventions = conventions
        self.prompt_keys = prompt_keys
        self.base = base
        self.extra_keys = extra_keys
        self.skipped = 0
        self._folder: Path | None = None
        self._known: dict[str, Problem] = {}
        self._winners: dict[str, _Winner] | None = None

    def solutions(self, shard: FolderShard) -> Iterator[Solution]:
        """Yield the solutions of a shard, without those that are skipped.

        Raises:
            RecordError: files do not hold the same rows in the same order, a record lacks a key, or an expected answer
                is no text.
            ValueError: verdicts and expected answers do not fit together.
        """
        if shard.folder != self._folder:
            self._open(shard.folder)
        file = os.path.relpath(shard.path, self.base)
        rows = self._rows(shard)
        self.skipped += sum(1 for _ in itertools.islice(rows, self.filters.skip_first))
        for number, line, record, answer in rows:
            problem = self._known.get(record.id)
            if problem is None:
                problem = self._known[record.id] = self._problem(line, record)
            elif problem.text != record.problem:
                raise RecordError(
                    f"{shard.place(number)}: problem {record.id!r} has another text than in an earlier row"
                )
            origin: dict[str, Any] = {"generation": {"file": file, "seed": record.seed, "id": record.id}}
            if self.extra_keys:
                origin |= extra_values(msgspec.json.decode(line), self.extra_keys, _USED_KEYS, shard, number)
            yield Solution(
                problem=problem,
                text=record.generation,
                label=self._label(shard, answer, problem),
                was_cut=record.finish_reason == "length",
                record=origin,
                shard=shard,
                number=number,
            )

    def _rows(self, shard: FolderShard) -> Iterator[tuple[int, bytes, _Generation, Record]]:
        """The rows of a generation file, each with its line and what was said about it."""
        answers = read_block(find_records(shard.folder, "answers"), shard.answers)
        if shard.judged is not None:
            answers = _with_judgements(shard, answers)
        decode = msgspec.json.Decoder(_Generation).decode
        path, seed = shard.path, shard.answers.seed
        lines = read_lines(path)
        for place, answer in enumerate(answers, start=1):
            for key in ("id", "predicted_answer", "verdict"):
                if key not in answer:
                    answers_path = find_records(shard.folder, "answers")
                    raise RecordError(f"{answers_path}, line {shard.answers.first_line + place}: no key '{key}'")
            number, line = next(lines, (place, b""))
            if not line:
                raise RecordError(
                    f"{path}, line {place}: holds nothing; answers.jsonl has {answer['id']!r} of seed {seed}"
                )
            try:
                record = decode(line)
            except msgspec.DecodeError as error:
                raise RecordError(f"{path}, line {number}: no generation ({error})") from None
            if (record.id, record.seed) != (answer["id"], seed):
                raise RecordError(
                    f"{path}, line {number}: holds id {record.id!r} of seed {record.seed}; "
                    f"answers.jsonl has {answer['id']!r} of seed {seed}"
                )
            yield number, line, record, answer
        if next(lines, None) is not None:
            raise RecordError(f"{path}: longer than its rows in answers.jsonl")

    def _open(self, folder: Path) -> None:
        self._folder, self._known, self._winners = folder, {}, None
        path = find_records(folder, "majority")
        if path.is_file():
            self._winners = {}
            decode = msgspec.json.Decoder(_Winner).decode
            for number, line in read_lines(path):
                try:
                    winner = decode(line)
                except msgspec.DecodeError as error:
                    raise RecordError(f"{path}, line {number}: no winner of a vote ({error})") from None
                self._winners[winner.id] = winner

    def _problem(self, line: bytes, record: _Generation) -> Problem:
        winner = None if record.expected_answer is not None else (self._winners or {}).pop(record.id, None)
        whole = msgspec.json.decode(line) if self.prompt_keys else {}
        return self.problems.make(
            record.problem,
            {key: whole[key] for key in self.prompt_keys if key in whole},
            sys.intern(record.problem_source),
            record.expected_answer if winner is None else winner.expected_answer,
            None if winner is None else (winner.majority_votes, winner.total_votes),
        )

    def _label(self, shard: FolderShard, row: Record, problem: Problem) -> str:
        if shard.judged is not None:
            return _JUDGED[row["judge_verdict"]]
        verdict = row["verdict"]
        if verdict in _KNOWN_ALREADY:
            return str(verdict)
        has_gold = problem.expected_answer is not None and problem.votes is None
        if (verdict != "ungraded") != has_gold:
            raise ValueError(
                f"{shard.folder}: the answer of {row['id']} is '{verdict}', but its problem has "
                f"{'a' if has_gold else 'no'} known answer; grade the folder again"
            )
        if has_gold:
            return _as_label(verdict)
        if self._winners is None:
            raise ValueError(
                f"{shard.folder}: its problems have no known answer and there is no majority.jsonl to take one from"
            )
        if problem.expected_answer is None:
            return "no_majority"
        predicted = row["predicted_answer"]
        if predicted not in problem.labels:
            verdict = grade(problem.expected_answer, predicted, self.conventions).verdict
            problem.labels[predicted] = _as_label(verdict)
        return problem.labels[predicted]


def _as_label(verdict: str) -> str:
    return "wrong" if verdict == "incorrect" else verdict


def _with_judgements(shard: FolderShard, answers: Iterator[Record]) -> Iterator[Record]:
    assert shard.judged is not None
    path = find_records(shard.folder, "judged")
    for number, (answer, judgement) in enumerate(itertools.zip_longest(answers, read_block(path, shard.judged)), 1):
        if answer is None or judgement is None or answer["id"] != judgement["id"]:
            held = None if judgement is None else judgement["id"]
            wanted = None if answer is None else answer["id"]
            line = shard.judged.first_line + number
            raise RecordError(f"{path}, line {line}: holds id {held!r}; answers.jsonl has {wanted!r}")
        if judgement.get("judge_verdict") not in _JUDGED:
            raise RecordError(
                f"{path}, line {shard.judged.first_line + number}: judge_verdict is "
                f"{judgement.get('judge_verdict')!r} (known: {', '.join(_JUDGED)})"
            )
        yield {**answer, "judge_verdict": judgement["judge_verdict"]}
