"""The whole way from shards of solutions to a file of training rows; ``openmath.sft`` draws it."""

import functools
import hashlib
import itertools
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from openmath.answers import Conventions
from openmath.compressed import is_compressed
from openmath.orders import mix
from openmath.parallel import map_in_order
from openmath.problems import normalise_problem
from openmath.records import RecordError, derive_seed, encode_record
from openmath.sft.choosing import Choice, Chosen, choose
from openmath.sft.data_sets import DataSetError
from openmath.sft.filters import Filters, Solution, dropped_labels, steps_that_are_on
from openmath.sft.folders import FolderReader, FolderShard
from openmath.sft.lengths import tokens_reasons
from openmath.sft.reading import Problems
from openmath.sft.ready_made import Columns, FileReader, FileShard
from openmath.sft.row_format import MissingKeyError, RowFormat
from openmath.sft.spool import KEYS, SpoolWriter
from openmath.sft.writing import order_by_position, write_by_place
from openmath.tokenization import ModelTokenizer

logger = logging.getLogger(__name__)

Shard = FolderShard | FileShard

# What a bucket holds of the input: it and its index are in memory when it is written.
BYTES_PER_BUCKET = 32 * 2**20
MOST_BUCKETS = 4096

_SOLUTIONS_PER_BATCH = 1000
_SECONDS_BETWEEN_REPORTS = 30
_SHARD_BITS = 40


@dataclass(frozen=True)
class Plan:
    """All that a worker needs to know.

    Attributes:
        filters: the steps that are on.
        row_format: the form of the rows.
        columns: names of the columns of ready-made data.
        conventions: those under which answers are held against a majority's.
        base: the folder that names of generation files are relative to.
        extra_keys: keys of the records that rows carry along.
        tokenizer: folder of the model whose tokenizer counts; None where no limit is in tokens.
        normalise: whether equal rows are found by their normalised texts.
        code_begin: what a solution with code holds.
        shuffle_seed: of the places of the rows.
    """

    filters: Filters
    row_format: RowFormat
    columns: Columns
    conventions: Conventions
    base: Path
    extra_keys: tuple[str, ...]
    tokenizer: Path | None
    normalise: bool
    code_begin: str
    shuffle_seed: int


@dataclass
class Tally:
    """What became of some rows: how many came in, how many fell out by reason, and the sources' names by hash."""

    rows_in: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    sources: dict[int, str] = field(default_factory=dict)
    answers_are_text: set[bool] = field(default_factory=set)

    def add(self, other: "Tally") -> None:
        """Take in what became of others."""
        self.rows_in += other.rows_in
        self.dropped.update(other.dropped)
        self.sources.update(other.sources)
        self.answers_are_text |= other.answers_are_text


def prepare(
    shards: Sequence[Shard],
    plan: Plan,
    choice: Choice,
    shuffle: bool,
    expected_rows: int | None,
    work: Path,
    output: Path,
    workers: int,
) -> dict[str, Any]:
    """Write the training rows of ``shards`` to ``output`` and return the counts.

    Args:
        shards: the input, in order.
        plan: what becomes of each row.
        choice: which rows stay of those that come through.
        shuffle: whether rows are shuffled; else they stand as in the input.
        expected_rows: rows that must come in; None: any number.
        work: an empty folder, where as much is written as the output has (without ``shuffle``: twice).
        output: appears when it is complete.
        workers: number of processes; the result does not depend on it.

    Raises:
        DataSetError: there are more or fewer rows than ``expected_rows``.
    """
    spool = work / "spool"
    spool.mkdir()
    size = sum(estimated_size(shard) for shard in shards)
    buckets = min(max(1, -(-size // BYTES_PER_BUCKET)), MOST_BUCKETS)
    tasks = list(grouped(shards, min(BYTES_PER_BUCKET, size // (8 * workers))))
    tally = Tally()
    started = reported = time.monotonic()
    for number, part in enumerate(
        map_in_order(_process, tasks, workers, functools.partial(_begin, plan, spool, buckets)), start=1
    ):
        tally.add(part)
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            rate = tally.rows_in / (reported - started)
            left = (reported - started) * (len(tasks) - number) / number
            logger.info("%d rows in, %.0f a second, about %.0f s left", tally.rows_in, rate, left)
    if expected_rows is not None and tally.rows_in != expected_rows:
        raise DataSetError(f"{tally.rows_in} rows came in, but {expected_rows} were expected")
    if len(tally.answers_are_text) > 1:
        raise DataSetError(f"'{plan.columns.answer}' is text in some of the files, and a number in others")
    chosen = choose(spool, buckets, choice)
    flags = chosen.flags
    if not shuffle:
        (work / "ordered").mkdir()
        flags = order_by_position(spool, flags, work / "ordered", len(shards) << _SHARD_BITS)
        spool = work / "ordered"
    write_by_place(spool, flags, output)
    labelled = any(isinstance(shard, FolderShard) for shard in shards)
    return counts(tally, chosen, reasons(plan.filters, choice, labelled))


def estimated_size(shard: Shard) -> int:
    """Bytes of the text of a shard."""
    packed = isinstance(shard, FileShard) and shard.path.suffix == ".parquet"
    return shard.size * (4 if packed or is_compressed(shard.path) else 1)


def grouped(shards: Sequence[Shard], size: int) -> Iterator[list[tuple[int, Shard]]]:
    """Tasks of about ``size`` bytes: shards that follow each other, with their numbers."""
    task: list[tuple[int, Shard]] = []
    held = 0
    for number, shard in enumerate(shards):
        task.append((number, shard))
        held += estimated_size(shard)
        if held >= size:
            yield task
            task, held = [], 0
    if task:
        yield task


def reasons(filters: Filters, choice: Choice, labelled: bool) -> list[tuple[str, str]]:
    """The reasons for which rows may fall out, each with its step, in order.

    ``labelled``: whether there are verdicts on the rows.
    """
    steps: list[tuple[str, tuple[str, ...]]] = [("skip_first", ("skipped",) if filters.skip_first else ())]
    for step in steps_that_are_on(filters):
        if step.name == "keep":
            steps.append(("keep", tuple(dropped_labels(filters)) if labelled else ()))
        elif step.name == "cut_end" and not labelled:
            continue
        else:
            steps.append((step.name, step.reasons))
    steps.append(("deduplicate", ("duplicate",) if choice.deduplicate else ()))
    steps.append(("code_filter", ("other_kind",) if choice.code_filter is not None else ()))
    steps.append(("downsample", ("not_sampled",) if choice.sample != "none" else ()))
    return [(name, reason) for name, given in steps for reason in given]


def counts(tally: Tally, chosen: Chosen, reasons: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """How many rows came in, fell out by reason and are left, by source too, and the funnel."""
    dropped = tally.dropped + chosen.dropped
    assert set(dropped) <= {reason for _, reason in reasons}, dropped
    kept, funnel = tally.rows_in, []
    for step, reason in reasons:
        kept -= dropped[reason]
        funnel.append({"filter": step, "reason": reason, "dropped": dropped[reason], "kept": kept})
    by_source = {tally.sources[key]: rows for key, rows in chosen.by_source.items()}
    return {
        "rows_in": tally.rows_in,
        **{reason: dropped[reason] for _, reason in reasons},
        "rows_out": kept,
        "rows_by_source": dict(sorted(by_source.items())),
        "funnel": funnel,
    }


def text_key(*texts: str) -> int:
    """A 64-bit hash of one or more texts, and of where they end."""
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return int.from_bytes(digest.digest(), "big")


class Worker:
    """Reads shards and writes rows to a spool."""

    def __init__(self, plan: Plan, spool: Path, buckets: int) -> None:
        self.plan = plan
        self.steps = steps_that_are_on(plan.filters)
        self.tokenizer = None if plan.tokenizer is None else ModelTokenizer(plan.tokenizer)
        problems = Problems(plan.filters, self.tokenizer)
        prompt_keys = plan.row_format.prompt_keys
        self.folders = FolderReader(plan.filters, problems, plan.conventions, prompt_keys, plan.base, plan.extra_keys)
        self.files = FileReader(plan.filters, plan.columns, problems, prompt_keys, plan.extra_keys, spool / "cache")
        self.writer = SpoolWriter(spool, buckets, str(os.getpid()))
        self._source_keys: dict[str, int] = {}

    def process(self, task: Sequence[tuple[int, Shard]]) -> Tally:
        """Write the rows of some shards; their numbers say where they stand in the input."""
        tally = Tally()
        for number, shard in task:
            skipped = self._skipped
            solutions = self._solutions(shard)
            while batch := list(itertools.islice(solutions, _SOLUTIONS_PER_BATCH)):
                tally.rows_in += len(batch)
                self._write(self.filter(batch, tally), number, tally)
            if self.files.answers_are_text is not None:
                tally.answers_are_text.add(self.files.answers_are_text)
            tally.rows_in += self._skipped - skipped
            tally.dropped["skipped"] += self._skipped - skipped
        self.writer.flush()
        return tally

    def first_solutions(self, shard: Shard, count: int) -> list[Solution]:
        """The first solutions of a shard."""
        return list(itertools.islice(self._solutions(shard), count))

    def filter(self, batch: list[Solution], tally: Tally) -> list[Solution]:
        """The solutions that every step keeps; the others are counted."""
        passing = []
        for solution in batch:
            reason = self.first_reason(solution)
            if reason is None:
                passing.append(solution)
            else:
                tally.dropped[reason] += 1
        reasons = self.token_reasons([solution.text for solution in passing])
        tally.dropped.update(reason for reason in reasons if reason is not None)
        return [solution for solution, reason in zip(passing, reasons, strict=True) if reason is None]

    def first_reason(self, solution: Solution) -> str | None:
        """Run the steps, up to the one at which a solution falls out."""
        for step in self.steps:
            if (reason := step.run(self.plan.filters, solution)) is not None:
                return reason
        return None

    def token_reasons(self, texts: Sequence[str]) -> list[str | None]:
        """For each solution whether it has too few or too many tokens; run after all other steps, for many at once."""
        return tokens_reasons(self.tokenizer, self.plan.filters.solution, texts)

    def _write(self, solutions: list[Solution], shard: int, tally: Tally) -> None:
        keys = np.zeros(len(solutions), dtype=KEYS)
        keys["row"] = [self._row_key(solution) for solution in solutions]
        keys["problem"] = [int.from_bytes(solution.problem.key[:8], "big") for solution in solutions]
        keys["source"] = [self._source_key(solution.problem.source or "", tally) for solution in solutions]
        keys["position"] = [(shard << _SHARD_BITS) + solution.number for solution in solutions]
        keys["place"] = mix(keys["row"], derive_seed("sft", "shuffle", self.plan.shuffle_seed))
        keys["has_code"] = [self.plan.code_begin in solution.text for solution in solutions]
        self.writer.add(keys, [self.line(solution) for solution in solutions])

    def line(self, solution: Solution) -> bytes:
        """The training row of a solution.

        Raises:
            RecordError: its record lacks what the prompt asks for.
        """
        try:
            return encode_record(self.plan.row_format.row(solution))
        except MissingKeyError as error:
            raise RecordError(f"{solution.shard.place(solution.number)}: {error}") from None

    def _row_key(self, solution: Solution) -> int:
        problem, text = solution.problem.text, solution.text
        if self.plan.normalise:
            problem, text = normalise_problem(problem), normalise_problem(text)
        return text_key(problem, text)

    def _solutions(self, shard: Shard) -> Iterator[Solution]:
        return self.folders.solutions(shard) if isinstance(shard, FolderShard) else self.files.solutions(shard)

    @property
    def _skipped(self) -> int:
        return self.folders.skipped + self.files.skipped

    def _source_key(self, source: str, tally: Tally) -> int:
        key = self._source_keys.get(source)
        if key is None:
            key = self._source_keys[source] = text_key(source)
        tally.sources[key] = source
        return key


_worker: Worker | None = None


def _begin(plan: Plan, spool: Path, buckets: int) -> None:
    global _worker
    _worker = Worker(plan, spool, buckets)


def _process(task: Sequence[tuple[int, Shard]]) -> Tally:
    assert _worker is not None
    return _worker.process(task)
