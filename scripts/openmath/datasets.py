"""Data sets: problem records made from source files, as OpenMathInstruct-2 made them (NeMo-Skills e718d393).

A recipe turns the rows of a source file into records; a split takes its part of them:

    source file  --recipe-->  all records of one half, in the file's order
    test                      the test half as it is
    train_full                the train half, shuffled with seed 42
    validation, train         its first 1,000 and the rest

A record holds ``id``, ``problem``, ``expected_answer`` (text), ``problem_source`` (the data set's name) and, where the
source has them, ``source_id``, ``level``, ``subject``, ``reference_solution`` and what else it says of a problem.
"""

import hashlib
import json
import random
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from openmath.records import Record, record_id
from openmath.reference_answers import boxed_entries, canonical_number, choose_entry, normalise_entry, right_side
from openmath.sources import FoundSource

SHUFFLE_SEED = 42
VALIDATION_ROWS = 1000
TRAIN_SPLITS = ("train_full", "validation", "train")
SPLITS = {
    "gsm8k": ("test", *TRAIN_SPLITS),
    "math": ("test", *TRAIN_SPLITS),
    "amc23": ("test",),
    "aime24": ("test",),
    "math-500": ("test",),
    "omni-math": ("test",),
    "word_problems": ("train", "test"),
}

_RENAMED = ("id", "unique_id", "idx", "problem", "question", "answer", "expected_answer", "solution", "type", "subject")


class DatasetError(ValueError):
    """Rows that cannot be used, or a split or option that a recipe does not have; the message says which."""


@dataclass
class RepairTally:
    """What became of the repairs of one half of a data set; names are ids of the source or the start of a sum."""

    applied: list[str] = field(default_factory=list)
    not_needed: list[str] = field(default_factory=list)  # the row is there and right without the repair
    not_found: list[str] = field(default_factory=list)  # the source has no such row, or no ids to find it by


def source_name(recipe: str, split: str) -> str:
    """The registry's name of the file that a split is made from."""
    if split not in SPLITS[recipe]:
        raise DatasetError(f"the recipe {recipe} has no split '{split}' (it has {', '.join(SPLITS[recipe])})")
    if len(SPLITS[recipe]) == 1:
        return recipe
    return f"{recipe}-{'test' if split == 'test' else 'train'}"


def prepare_records(
    recipe: str, dataset: str, split: str, source: FoundSource, repairs: Mapping[str, Sequence[Record]]
) -> tuple[list[Record], RepairTally]:
    """The records of one split, and what became of the repairs of the half that it is a part of.

    Args:
        recipe: a key of ``SPLITS`` other than ``word_problems``.
        dataset: the data set's name, which becomes ``problem_source`` and part of every id.
        split: one of ``SPLITS[recipe]``.
        source: the file, as ``openmath.sources.find_source`` gives it.
        repairs: ``read_repairs``.

    Raises:
        DatasetError: a row cannot be used, or the file has another number of rows than the registry says.
    """
    half = "test" if split == "test" else "train"
    rows = list(read_rows(source, half))
    if source.entry.rows is not None and len(rows) != source.entry.rows:
        raise DatasetError(f"{source.path} holds {len(rows)} rows of {source.entry.name}, expected {source.entry.rows}")
    tally = RepairTally()
    if recipe == "gsm8k":
        problems = _each(rows, source.path, _gsm8k_problem)
        _repair_gsm8k(problems, repairs["gsm8k"] if half == "train" else (), tally)
    elif recipe == "math":
        problems = _math_problems(rows, source.path, half, repairs["math"], tally)
    else:
        problems = _each(rows, source.path, _benchmark_problem)
    return take_split(with_ids(problems, dataset), split), tally


def word_problem_records(dataset: str, split: str, options: Mapping[str, str]) -> list[Record]:
    """Generated word problems; ``options`` holds family, rows and seed."""
    from openmath import word_problems

    source_name("word_problems", split)
    if set(options) != {"family", "rows", "seed"}:
        given = ", ".join(options) or "none"
        raise DatasetError(f"the recipe word_problems needs the options family, rows and seed; given: {given}")
    try:
        count, seed = int(options["rows"]), int(options["seed"])
        return with_ids(word_problems.rows(options["family"], split, count, seed), dataset)
    except ValueError as error:
        raise DatasetError(f"the recipe word_problems cannot follow its options: {error}") from None


def read_repairs(path: str | Path) -> dict[str, list[Record]]:
    """The known errors of the sources (``resources/repairs.yaml``), by recipe."""
    return dict(yaml.safe_load(Path(path).read_text("utf-8")))


def read_rows(source: FoundSource, half: str) -> Iterator[Record]:
    """The rows of a source file that belong to ``half`` (train or test), in the file's order.

    Raises:
        DatasetError: a row is no JSON object; file and line, or member of the archive, are named.
    """
    path = source.path
    if source.entry.form == "math-tar":
        yield from _archive_rows(path, half)
    elif source.entry.form == "math-prm800k":
        yield from (row for row in _lines(path) if row["unique_id"].startswith(f"{half}/"))
    elif path.suffix == ".json":
        for number, row in enumerate(_parse(path.read_bytes(), str(path)), start=1):
            yield _mapping(row, f"{path}, row {number}")
    else:
        yield from _lines(path)


def take_split(records: Sequence[Record], split: str) -> list[Record]:
    """The records of a split, from all records of its half.

    >>> [record["id"] for record in take_split([{"id": n} for n in range(6)], "train_full")]
    [3, 1, 2, 4, 0, 5]
    """
    if split == "test":
        return list(records)
    shuffled = list(records)
    random.Random(SHUFFLE_SEED).shuffle(shuffled)
    if split == "train_full":
        return shuffled
    return shuffled[:VALIDATION_ROWS] if split == "validation" else shuffled[VALIDATION_ROWS:]


def with_ids(problems: Iterable[Record], dataset: str) -> list[Record]:
    """Give every problem its id and source; a text that comes again is told apart by its number."""
    seen: Counter[str] = Counter()
    records: list[Record] = []
    for problem in problems:
        text = problem["problem"]
        identity = record_id(dataset, text, seen[text])
        seen[text] += 1
        solution: Record = {key: problem[key] for key in ("reference_solution",) if key in problem}
        head: Record = {key: problem[key] for key in ("source_id", "problem", "expected_answer") if key in problem}
        known = {"id", "problem_source", *head, *solution}
        rest = {key: value for key, value in problem.items() if key not in known}
        records.append({"id": identity, **head, **rest, "problem_source": dataset, **solution})
    return records


def _gsm8k_problem(row: Record) -> Record:
    """A worked answer such as ``48/2 = <<48/2=24>>24 clips\\n#### 24``, split at its marker."""
    solution, answer = row["answer"].split("####")
    number = float(answer.replace(",", ""))
    return {
        "problem": row["question"],
        "expected_answer": str(int(number)) if number.is_integer() else repr(number),
        "reference_solution": re.sub(r"<<.*?>>", "", solution),
    }


def _repair_gsm8k(problems: Sequence[Record], repairs: Sequence[Record], tally: RepairTally) -> None:
    by_question = {problem["problem"]: problem for problem in problems}
    for repair in repairs:
        name = repair["question"][:40]
        problem = by_question.get(repair["question"])
        if problem is None:
            tally.not_found.append(name)
        elif problem["expected_answer"] == repair["answer"]:
            tally.not_needed.append(name)
        else:
            problem["expected_answer"] = repair["answer"]
            tally.applied.append(name)


def _math_problems(
    rows: Sequence[Record], path: Path, half: str, repairs: Sequence[Record], tally: RepairTally
) -> list[Record]:
    by_name = {name: repair for repair in repairs for name in _repair_names(repair)}
    met: dict[str, bool] = {}

    def problem(row: Record) -> Record:
        names = (row.get("unique_id", ""), hashlib.sha256(row["problem"].encode()).hexdigest())
        # The two names of a row can stand in two repairs: one by id, one for sources that hold less.
        found = {id(by_name[name]): by_name[name] for name in names if name in by_name}
        repair = {key: value for part in found.values() for key, value in part.items()}
        record, used = _math_problem(row, repair)
        met.update(dict.fromkeys((_repair_names(part)[0] for part in found.values()), used))
        return record

    problems = _each(rows, path, problem)
    for repair in repairs:
        name = _repair_names(repair)[0]
        if repair.get("set", name.split("/")[0]) != half:
            continue
        if name not in met:
            tally.not_found.append(name)
        else:
            (tally.applied if met[name] else tally.not_needed).append(name)
    return problems


def _repair_names(repair: Record) -> list[str]:
    """What a repair is found by: the source's id of its row, the sum of its problem, or both."""
    by_id = [f"{repair['id']}.json"] if "id" in repair else []
    return [*by_id, *([repair["problem_sha256"]] if "problem_sha256" in repair else [])]


def _math_problem(row: Record, repair: Record) -> tuple[Record, bool]:
    """A row of MATH with its short answer, and whether the repair changed anything."""
    solution = row.get("solution")
    repaired = solution
    for old, new in repair.get("replace", ()):
        repaired = repaired and repaired.replace(old, new)
    answer = _math_answer(repaired, row.get("answer"), row["problem"], repair.get("choose"))
    used = repaired != solution or answer != _math_answer(repaired, row.get("answer"), row["problem"], None)
    if repair.get("answer") not in (None, answer):
        answer, used = repair["answer"], True
    if not answer:
        raise DatasetError("neither a boxed answer in a solution nor an answer")
    record: Record = {
        **({"source_id": row["unique_id"]} if "unique_id" in row else {}),
        "problem": row["problem"],
        "expected_answer": answer,
        "subject": row.get("subject") or row["type"],
        **{key: row[key] for key in ("level", "difficulty") if key in row},
        **({"reference_solution": repaired} if repaired is not None else {}),
    }
    return record, used


def _math_answer(solution: str | None, answer: str | None, problem: str, rule: str | None) -> str:
    """The short answer of a solution, or of a given answer; empty if there is none."""
    entries = boxed_entries(solution) if solution is not None else [] if answer is None else [answer]
    if not entries:
        return ""
    return right_side(choose_entry([normalise_entry(entry) for entry in entries], rule), problem)


def _benchmark_problem(row: Record) -> Record:
    """A row that holds problem and answer; numbers become text without a decimal zero, nothing else is touched."""
    answer = row["expected_answer"] if "expected_answer" in row else row["answer"]
    if isinstance(answer, str):
        text = canonical_number(answer) if re.fullmatch(r"\s*-?\d+(?:\.0*)?\s*", answer) else answer.strip()
    else:
        text = canonical_number(repr(answer))
    solution = row.get("reference_solution", row.get("solution"))
    source_id = row.get("id", row.get("unique_id"))
    return {
        **({"source_id": str(source_id)} if source_id is not None else {}),
        # Where a row holds `problem` and `question`, they are the same problem; the later code reads `problem`.
        "problem": row["problem"] if "problem" in row else row["question"],
        "expected_answer": text,
        **({"subject": row["subject"]} if "subject" in row else {}),
        **{key: value for key, value in row.items() if key not in _RENAMED and key != "reference_solution"},
        **({"reference_solution": solution} if solution is not None else {}),
    }


def _each(rows: Iterable[Record], path: Path, recipe: Callable[[Record], Record]) -> list[Record]:
    """Apply ``recipe`` to every row; what goes wrong names the file and the row."""
    records = []
    for number, row in enumerate(rows, start=1):
        try:
            records.append(recipe(row))
        except KeyError as error:
            raise DatasetError(f"{path}, row {number}: no key {error}") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise DatasetError(f"{path}, row {number}: {error}") from None
    return records


def _archive_rows(path: Path, half: str) -> Iterator[Record]:
    """The problems of one half of the MATH archive, whose members are ``MATH/<half>/<subject>/<number>.json``."""
    with tarfile.open(path) as archive:
        for member in archive:
            *_, folder, subject, name = ("", "", *member.name.split("/"))
            if folder != half or not name.endswith(".json") or name.startswith("."):
                continue
            where = f"{path}, {member.name}"
            content = archive.extractfile(member)
            row = _mapping(_parse(content.read() if content else b"", where), where)
            if str(row.get("type")).lower().replace(" ", "_").replace("&", "and") != subject:
                raise DatasetError(f"{where}: the type {row.get('type')!r} does not belong in this folder")
            yield {**row, "unique_id": f"{half}/{subject}/{name}"}


def _lines(path: Path) -> Iterator[Record]:
    """JSON Lines of others: a missing newline at the end is no error, for the file's sum was checked."""
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}, line {number}"
            yield _mapping(_parse(line, where), where)


def _parse(text: bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DatasetError(f"{where}: not JSON ({error})") from None


def _mapping(row: Any, where: str) -> Record:
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: not a JSON object")
    return row
