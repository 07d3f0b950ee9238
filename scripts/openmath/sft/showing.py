"""What each step does to a few rows, for people to read before millions go through."""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from openmath.sft.filters import Solution
from openmath.sft.preparing import Shard, Worker

_SHOWN = 160


def show(worker: Worker, shards: Sequence[Shard], rows: int) -> Iterator[str]:
    """Yield the lines of a report on about ``rows`` solutions, as many from each of up to so many shards.

    Shards are taken at equal distances, so that the sample is not of one seed; of each the first solutions are.
    """
    taken = min(rows, len(shards))
    ended: Counter[str] = Counter()
    for place in range(taken):
        shard = shards[place * len(shards) // taken]
        share = (place + 1) * rows // taken - place * rows // taken
        for solution in worker.first_solutions(shard, share):
            yield f"{solution.shard.place(solution.number)}"
            end = yield from _steps(worker, solution)
            ended[end] += 1
            yield ""
    yield f"of {ended.total()} rows:"
    yield from (f"  {count:6d} {end}" for end, count in sorted(ended.items(), key=lambda item: (-item[1], item[0])))


def _steps(worker: Worker, solution: Solution) -> Any:
    yield f"  problem   {_short(solution.problem.text)}"
    yield f"  solution  {_short(solution.text)}"
    for step in worker.steps:
        before = solution.text
        reason = step.run(worker.plan.filters, solution)
        if reason is not None:
            yield f"  {step.name}: falls out ({reason})"
            return reason
        if solution.text != before:
            yield from (f"  {step.name}: {line}" for line in _changes(before, solution.text))
    (reason,) = worker.token_reasons([solution.text])
    if reason is not None:
        yield f"  solution_length: falls out ({reason})"
        return reason
    yield f"  row       {_short(worker.line(solution).decode().rstrip())}"
    return "come through (before equal ones are found and a sample is taken)"


def _changes(before: str, after: str) -> Iterator[str]:
    """What was taken away and what was put in its place."""
    for kind, i, j, m, n in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            yield f"{_short(before[i:j])} -> {_short(after[m:n])}"


def _short(text: str) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} ... {text[-_SHOWN // 2 :]}"
    return repr(shown)
