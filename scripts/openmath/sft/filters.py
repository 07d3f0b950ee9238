"""The steps that look at one solution alone: each keeps it, changes it, or says why it falls out."""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from openmath.arithmetic import has_wrong_arithmetic, split_arithmetic
from openmath.sft import texts

KEEPABLE = ("correct", "incorrect", "unlabelled")

# Labels that "incorrect" stands for. A solution that was cut off, or that nobody could hold against the expected answer
# in time, is neither right nor wrong.
_INCORRECT = ("wrong", "no_answer", "unparsed")


@dataclass(frozen=True)
class Lengths:
    """Limits of a text, in characters and in tokens; None: any. A text at a limit is within it."""

    min_chars: int | None = None
    max_chars: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None

    @property
    def in_tokens(self) -> bool:
        """Whether a tokenizer is needed."""
        return self.min_tokens is not None or self.max_tokens is not None

    def chars_reason(self, text: str) -> str | None:
        """Whether a text has too few or too many characters."""
        if self.min_chars is not None and len(text) < self.min_chars:
            return "too_short"
        if self.max_chars is not None and len(text) > self.max_chars:
            return "too_long"
        return None


@dataclass(frozen=True)
class Filters:
    """Which steps are on; ``openmath.sft`` lists them.

    Attributes:
        keep: the labels that are kept, of ``KEEPABLE``.
        correctness: "symbolic" (``answers.jsonl``) or "judge" (``judged.jsonl``) says what is right.
        skip_first: rows that are left out at the beginning of each file.
        validation_share: share of the problems that are kept for validation, 0 to 1.
        part: "train" or "validation"; which of the two is made.
        min_majority_votes, min_majority_share: of an expected answer that is a majority's; the share is 0 to 1.
        problem, solution: limits of their lengths.
        contaminated: ``problem_key`` of the problems to leave out; None: the step is off.
        seed: of the choice of the problems for validation.
    """

    keep: tuple[str, ...] = ("correct",)
    correctness: str = "symbolic"
    skip_first: int = 0
    validation_share: float = 0.0
    part: str = "train"
    drop_multi_boxed: bool = False
    drop_code_errors: bool = False
    drop_matplotlib: bool = False
    drop_no_code: bool = False
    drop_no_think: bool = False
    drop_verification_code: bool = False
    min_majority_votes: int = 0
    min_majority_share: float = 0.0
    trim_prefix: bool = False
    trim_solutions: bool = False
    drop_wrong_arithmetic: bool = False
    split_arithmetic: bool = False
    count_code_executions: bool = False
    problem: Lengths = Lengths()
    solution: Lengths = Lengths()
    contaminated: frozenset[bytes] | None = None
    seed: int = 0


@dataclass(slots=True)
class Problem:
    """What all solutions of a problem in one shard share.

    Attributes:
        text: the problem.
        key: ``problem_key`` of its text.
        expected_answer: the known answer, or the majority's, or None.
        source: where the problem comes from, if anybody knows.
        votes: votes for the expected answer, and all votes, where it is a majority's.
        filled: what else the prompt is filled from, by key.
        in_validation: whether the problem is one of those kept for validation.
        length_reason: whether it is too short or too long.
        labels: the label of each answer, for problems whose expected answer is a majority's.
    """

    text: str
    key: bytes
    expected_answer: str | None
    source: str | None
    votes: tuple[int, int] | None
    filled: dict[str, Any]
    in_validation: bool
    length_reason: str | None
    labels: dict[str, str] = field(default_factory=dict)


class Shard(Protocol):
    """A part of the input that one worker reads."""

    @property
    def size(self) -> int:
        """Bytes."""

    def place(self, number: int) -> str:
        """How messages call a row, by its number in the shard, from 1."""


@dataclass(slots=True)
class Solution:
    """A solution on its way to a training row.

    Attributes:
        problem: what it solves.
        text: the solution, as far as it is trimmed.
        label: "correct", or a reason of the step ``keep``; None where the data are taken as they are.
        was_cut: the model was cut off, and the cut end is still there.
        record: what of its own record goes into the row, by key.
        shard, number: the shard that it stands in, and its row there.
        executions: programs that it was allowed to run.
    """

    problem: Problem
    text: str
    label: str | None
    was_cut: bool
    record: dict[str, Any]
    shard: Shard
    number: int
    executions: int | None = None


@dataclass(frozen=True)
class Step:
    """A step: its name, the reasons that it may give, whether it is on, and what it does.

    ``run`` says why a solution falls out, or None; it may change the text of the solution.
    """

    name: str
    reasons: tuple[str, ...]
    is_on: Callable[[Filters], bool]
    run: Callable[[Filters, Solution], str | None]


@functools.cache
def kept_labels(keep: tuple[str, ...]) -> frozenset[str]:
    """The labels of solutions that are kept."""
    labels = {"correct": ("correct",), "incorrect": _INCORRECT, "unlabelled": ("no_majority",)}
    return frozenset(label for kind in keep for label in labels[kind])


def dropped_labels(filters: Filters) -> list[str]:
    """The reasons that the step ``keep`` may give."""
    kept = kept_labels(filters.keep)
    reasons = [label for label in LABELS if label not in kept]
    if "correct" in kept:
        reasons.remove("right")
    if filters.correctness != "judge":
        reasons.remove("judged_invalid")
    return reasons


def _keep(filters: Filters, solution: Solution) -> str | None:
    label = solution.label
    if label is None or label in kept_labels(filters.keep):
        return None
    return "right" if label == "correct" else label


def _no_text(filters: Filters, solution: Solution) -> str | None:
    if not solution.problem.text or solution.problem.text.isspace():
        return "no_problem"
    return "no_solution" if not solution.text or solution.text.isspace() else None


def _validation(filters: Filters, solution: Solution) -> str | None:
    return None if solution.problem.in_validation == (filters.part == "validation") else "other_part"


def _contamination(filters: Filters, solution: Solution) -> str | None:
    assert filters.contaminated is not None
    return "contaminated" if solution.problem.key in filters.contaminated else None


def _majority(filters: Filters, solution: Solution) -> str | None:
    if solution.problem.votes is None:
        return None
    votes, total = solution.problem.votes
    enough = votes >= filters.min_majority_votes and votes >= filters.min_majority_share * total
    return None if enough else "few_votes"


def _trim_prefix(filters: Filters, solution: Solution) -> None:
    solution.text = texts.trim_prefix(solution.text)


def _trim_solutions(filters: Filters, solution: Solution) -> None:
    trimmed = texts.trim_solution(solution.text)
    if trimmed != solution.text:
        solution.text, solution.was_cut = trimmed, False


def _cut_end(filters: Filters, solution: Solution) -> str | None:
    return "cut_end" if solution.was_cut else None


def _split_arithmetic(filters: Filters, solution: Solution) -> None:
    solution.text = split_arithmetic(solution.text)


def _count_code_executions(filters: Filters, solution: Solution) -> str | None:
    solution.executions = texts.count_code_executions(solution.text)
    return "no_count" if solution.executions is None else None


def _problem_length(filters: Filters, solution: Solution) -> str | None:
    reason = solution.problem.length_reason
    return None if reason is None else f"problem_{reason}"


def _solution_length(filters: Filters, solution: Solution) -> str | None:
    return filters.solution.chars_reason(solution.text)


def _drop(name: str, reason: str, falls_out: Callable[[str], bool]) -> Step:
    """A step that is on by its name, and looks at the text alone."""
    return Step(
        name,
        (reason,),
        operator.attrgetter(name),
        lambda filters, solution: reason if falls_out(solution.text) else None,
    )


LABELS = ("truncated", "no_answer", "no_majority", "wrong", "unparsed", "timeout", "judged_invalid", "right")

STEPS = (
    Step("keep", LABELS, lambda filters: True, _keep),
    Step("no_text", ("no_problem", "no_solution"), lambda filters: True, _no_text),
    Step("validation", ("other_part",), lambda filters: filters.validation_share > 0, _validation),
    _drop("drop_multi_boxed", "multi_boxed", texts.has_several_boxes),
    Step("contamination", ("contaminated",), lambda filters: filters.contaminated is not None, _contamination),
    _drop("drop_code_errors", "code_error", texts.has_code_error),
    _drop("drop_matplotlib", "matplotlib", texts.has_matplotlib),
    _drop("drop_no_code", "no_code", lambda text: not texts.has_pair(text, "tool_call")),
    _drop("drop_no_think", "no_think", lambda text: not texts.has_pair(text, "think")),
    _drop("drop_verification_code", "verification_code", texts.has_verification_code),
    Step(
        "majority",
        ("few_votes",),
        lambda filters: filters.min_majority_votes > 0 or filters.min_majority_share > 0,
        _majority,
    ),
    Step("trim_prefix", (), operator.attrgetter("trim_prefix"), _trim_prefix),
    Step("trim_solutions", (), operator.attrgetter("trim_solutions"), _trim_solutions),
    Step("cut_end", ("cut_end",), lambda filters: True, _cut_end),
    _drop("drop_wrong_arithmetic", "wrong_arithmetic", has_wrong_arithmetic),
    Step("split_arithmetic", (), operator.attrgetter("split_arithmetic"), _split_arithmetic),
    Step("count_code_executions", ("no_count",), operator.attrgetter("count_code_executions"), _count_code_executions),
    Step(
        "problem_length",
        ("problem_too_short", "problem_too_long"),
        lambda filters: filters.problem != Lengths(),
        _problem_length,
    ),
    Step("solution_length", ("too_short", "too_long"), lambda filters: filters.solution != Lengths(), _solution_length),
)


def steps_that_are_on(filters: Filters) -> tuple[Step, ...]:
    """The steps that are on, in order. Limits in tokens are left to whoever holds the tokenizer."""
    return tuple(step for step in STEPS if step.is_on(filters))
