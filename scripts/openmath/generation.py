"""Completions of many requests, resumed by row.

Every finished row is appended at once to a segment of this attempt, `rows.<attempt>.jsonl` in a work folder that is no
output of any rule:

    work/<settings>/settings.json              what the rows depend on beside their own request; the folder is its hash
    work/<settings>/rows.0.jsonl               {"key", "seed", "text", "finish_reason", "num_tokens",
                                                "num_prompt_tokens"} a line
    work/<settings>/rows.1.jsonl               the next attempt, and so on

Rows of another model, prompt or sampling stand in another folder: they are never mixed, and never lost.
An attempt reads all segments and asks only for what is missing; when nothing is, no server is needed. Of two attempts
at the same time, as after a crash of what started them, the second waits for the first to end. Where files cannot be
locked they write segments of their own and cannot harm each other; of a row that stands in two segments the one of the
earlier attempt counts.

Jobs whose requests overlap share a cache: a folder that all their work folders lie in.

    cache/a/<settings>/rows.0.jsonl            held and written by job a, read by b
    cache/b/<settings>/rows.0.jsonl            {..., "taken_from": "a"}: what b did not have and a had

Only what is missing in its own folder is looked for in those of others, once and before anything is asked, and nobody
waits for anybody: jobs that run side by side may ask the same. What is taken is copied, so that a job's own folder
restores its output whatever becomes of the others.
"""

import hashlib
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from tqdm import tqdm

from openmath.client import Completion, Request, ask
from openmath.engines import Sampling, Server
from openmath.lease import lease
from openmath.records import Record, RecordError, encode_record, write_json
from openmath.work_folders import hold

__all__ = ["Completion", "Request", "complete"]

log = logging.getLogger(__name__)

_LOG_SECONDS = 30.0
_ROW_KEYS = ("key", "seed", "text", "finish_reason", "num_tokens")

_Name = tuple[str, int | None]  # key and seed of a row


def complete(
    requests: Sequence[Request],
    server: Server,
    sampling: Sampling,
    stop: Sequence[str],
    work: Path,
    concurrency: int,
    settings: dict[str, str],
    deadline: float | None = None,
    cache: Path | None = None,
) -> list[Completion]:
    """Complete all requests, in their order, taking from `work` what was finished before.

    Args:
        work: the folder of the segments; it stays, so that a lost output is restored without a server.
        settings: what the rows depend on (hashes of model and prompt, sampling); rows of other settings are not taken.
        deadline: time (of `time.monotonic`) after which nothing new is asked.
        cache: a folder above `work`; what is missing is taken from other work folders below it, where they have it.

    Raises:
        ValueError: two requests have the same key.
        openmath.client.RequestError: requests failed for good; the others are saved.
        openmath.client.DeadlineError: the time was up; the rows so far are saved.
        openmath.engines.EngineError: the server could not be started.
    """
    wanted = {(request.key, request.seed) for request in requests}
    if len({request.key for request in requests}) != len(requests):
        raise ValueError("two requests have the same key")
    work = _settings_folder(work, settings)
    with hold(work, deadline):
        done = {name: row for name, row in _read_segments(work).items() if name in wanted}
        missing = [request for request in requests if (request.key, request.seed) not in done]
        log.info("%d rows asked for, %d finished before", len(requests), len(done))
        if missing and cache is not None:
            done |= _take(missing, work, cache)
            missing = [request for request in missing if (request.key, request.seed) not in done]
        if missing:
            with lease(server) as base_url, _new_segment(work) as segment, _Progress(len(missing)) as progress:

                def save(request: Request, completion: Completion) -> None:
                    done[request.key, request.seed] = completion
                    _append(segment, request, completion)
                    progress.add(completion.num_tokens)

                ask(missing, server, base_url, sampling, stop, concurrency, save, deadline)
    return [done[request.key, request.seed] for request in requests]


def _segments(work: Path) -> list[Path]:
    """The segments of a work folder, by attempt."""
    return sorted(work.glob("rows.*.jsonl"), key=lambda path: int(path.name.split(".")[1]))


def _append(segment: IO[bytes], request: Request, completion: Completion) -> None:
    # One write of a whole line: a process that is killed leaves at most one cut line, the last.
    row = {
        "key": request.key,
        "seed": request.seed,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "num_tokens": completion.num_tokens,
        "num_prompt_tokens": completion.num_prompt_tokens,
    }
    segment.write(encode_record(row if completion.taken_from is None else {**row, "taken_from": completion.taken_from}))


def _take(missing: list[Request], work: Path, cache: Path) -> dict[_Name, Completion]:
    """Copy what other work folders of the same settings have into a segment of this one; the first by name counts."""
    cache, own = cache.resolve(), work.resolve()
    wanted = {(request.key, request.seed) for request in missing}
    found: dict[_Name, Completion] = {}
    for settings in sorted(cache.glob(f"**/{own.name}/settings.json")):
        if settings.parent == own:
            continue
        try:
            rows = _read_segments(settings.parent)
        except (RecordError, OSError) as error:
            log.warning("nothing is taken from %s: %s", settings.parent, error)
            continue
        asker = settings.parent.parent.relative_to(cache).as_posix()
        for name in wanted & rows.keys() - found.keys():
            found[name] = replace(rows[name], taken_from=rows[name].taken_from or asker)
    log.info("%d of %d missing rows are taken from other work folders in %s", len(found), len(missing), cache)
    if found:
        with _new_segment(work) as segment:
            for request in missing:
                if (request.key, request.seed) in found:
                    _append(segment, request, found[request.key, request.seed])
    return found


def _read_segments(work: Path) -> dict[_Name, Completion]:
    rows: dict[_Name, Completion] = {}
    for path in _segments(work):
        for row in _read_segment(path):
            completion = Completion(
                row["key"],
                row["text"],
                row["finish_reason"],
                row["num_tokens"],
                row.get("num_prompt_tokens", 0),
                row.get("taken_from"),
            )
            rows.setdefault((row["key"], row["seed"]), completion)
    return rows


def _read_segment(path: Path) -> Iterator[Record]:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        log.warning("%s ends in the middle of a line, which is asked for again", path)
        whole = content[: content.rfind(b"\n") + 1]
    else:
        whole = content
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            row = json.loads(line)
            yield {**row, **{key: row[key] for key in _ROW_KEYS}}
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"{path}, line {number}: not a finished row ({error!r})") from None


def _settings_folder(work: Path, settings: dict[str, str]) -> Path:
    """The folder of these settings' segments; what differs from the other folders' settings is logged."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    folder = work / digest
    for other in sorted(work.glob("*/settings.json")):
        if other.parent != folder:
            earlier = json.loads(other.read_bytes())
            changed = sorted(key for key in {*earlier, *settings} if earlier.get(key) != settings.get(key))
            log.warning("rows in %s were made with another %s and are not used", other.parent, ", ".join(changed))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "settings.json", settings)
    return folder


def _new_segment(work: Path) -> IO[bytes]:
    """Create the segment of this attempt, unbuffered; another attempt that starts now gets another."""
    earlier = _segments(work)
    attempt = int(earlier[-1].name.split(".")[1]) + 1 if earlier else 0
    while True:
        try:
            return open(work / f"rows.{attempt}.jsonl", "xb", buffering=0)
        except FileExistsError:
            attempt += 1


class _Progress:
    """A bar where a person watches, else a line in the log every half minute."""

    def __init__(self, total: int) -> None:
        self._bar = tqdm(total=total, unit="row") if sys.stderr.isatty() else None
        self._total, self._rows, self._tokens = total, 0, 0
        self._started = self._logged = time.monotonic()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        seconds = max(time.monotonic() - self._started, 1e-9)
        log.info(
            "%d of %d rows in %.1f s: %.1f rows/s, %.0f tokens/s",
            self._rows, self._total, seconds, self._rows / seconds, self._tokens / seconds,
        )  # fmt: skip

    def add(self, tokens: int) -> None:
        self._rows += 1
        self._tokens += tokens
        if self._bar is not None:
            self._bar.update()
            return
        now = time.monotonic()
        if now - self._logged >= _LOG_SECONDS:
            rate = self._rows / (now - self._started)
            left = (self._total - self._rows) / rate
            log.info("%d of %d rows, %.1f rows/s, about %.0f s left", self._rows, self._total, rate, left)
            self._logged = now
