"""What the small models are taught: rows of prompt and answer, made from word problems.

``tutor``    solves problems and invents new ones: the teacher of the miniature
``checker``  says whether two answers are the same, and whether two problems are: judge and contamination check. It
             compares piece by piece before it says so, as a model of this size learns to compare only when each step
             is written out: 800 steps then reach what direct answers did not reach in many more.

A row is {"input", "output", "task"}: the rendered prompt as the workflow will send it, and the answer with the token
that ends a turn. All problems come from the train universe, so no text of a test split is ever learnt from.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from openmath.prompts import Prompt
from openmath.records import Record
from openmath.word_problems import KINDS, Problem, draw, state, universe

TASKS = ("solve", "invent", "judge", "contamination")

# The chain needs solutions of different lengths and forms: most are terse, a few are long enough to be cut.
_STYLE_SHARES = {"terse": 70, "plain": 20, "checked": 10}
_SOLVE_SHARE = 0.7
_CONTAMINATION_SHARE = 0.7

# Kinds whose numbers have the same ranges, so that only the story tells them apart.
_TWINS = {"stock": "bus", "bus": "stock"}


def load_prompts(folder: Path, template: Path) -> dict[str, Prompt]:
    """The prompts of the four tasks: ``<task>.yaml`` in one folder, all with the same template."""
    return {task: Prompt.load(folder / f"{task}.yaml", template) for task in TASKS}


def tutor(rng: Random, prompts: dict[str, Prompt]) -> Iterator[Record]:
    """Yield rows without end: solutions, and new problems of the kind of a given one."""
    while True:
        given = _problem(rng)
        if rng.random() < _SOLVE_SHARE:
            (style,) = rng.choices(list(_STYLE_SHARES), weights=list(_STYLE_SHARES.values()))
            yield _row(prompts, "solve", given.solution(style), problem=given.text)
        else:
            yield _row(prompts, "invent", draw(rng, given.kind, "train").text, problem=given.text)


def checker(rng: Random, prompts: dict[str, Prompt]) -> Iterator[Record]:
    """Yield rows without end: judgements of answers, and of whether two problems are the same; half and half true."""
    while True:
        given = _problem(rng)
        same = rng.random() < 0.5
        if rng.random() < _CONTAMINATION_SHARE:
            other = _restated(rng, given) if same else _different(rng, given)
            first, second = (given, other) if rng.random() < 0.5 else (other, given)
            pairs = zip((first.kind, *first.numbers), (second.kind, *second.numbers), strict=True)
            verdict = f"{_compared(*pairs)} {same}"
            yield _row(prompts, "contamination", verdict, problem=first.text, candidate=second.text)
        else:
            value = given.answer if same else _near(rng, given.answer)
            values = {"expected_answer": str(given.answer), "predicted_answer": _written(rng, value)}
            judgement = f"{_compared((given.answer, value))} Judgement: {'Yes' if same else 'No'}"
            yield _row(prompts, "judge", judgement, problem=given.text, **values)


CORPORA: dict[str, Callable[[Random, dict[str, Prompt]], Iterator[Record]]] = {"tutor": tutor, "checker": checker}


def _problem(rng: Random) -> Problem:
    return draw(rng, rng.choice(list(KINDS)), "train")


def _row(prompts: dict[str, Prompt], task: str, answer: str, **values: str) -> Record:
    prompt = prompts[task]
    if prompt.template is None:
        raise ValueError(f"the prompt of the task '{task}' has no template")
    return {"input": prompt.render(values), "output": answer + prompt.template.assistant_end, "task": task}


def _compared(*pairs: tuple[object, object]) -> str:
    """Pairs side by side, each with its own verdict.

    >>> _compared(("bus", "bus"), (18, 12))
    'bus bus Yes, 18 12 No.'
    """
    return ", ".join(f"{one} {other} {'Yes' if one == other else 'No'}" for one, other in pairs) + "."


def _restated(rng: Random, given: Problem) -> Problem:
    """The same facts, told again: mostly in other words, now and then in the same."""
    return _told(rng, given.kind, given.numbers)


def _different(rng: Random, given: Problem) -> Problem:
    """Other facts: one number changed, the numbers in another story, or nothing kept but the kind."""
    choice = rng.random()
    if choice < 0.3:
        place = rng.randrange(len(given.numbers))
        low, high = KINDS[given.kind].ranges[place]
        changed = rng.choice([n for n in range(low, high + 1) if n != given.numbers[place]])
        return _told(rng, given.kind, (*given.numbers[:place], changed, *given.numbers[place + 1 :]))
    if choice < 0.4 and given.kind in _TWINS:
        return _told(rng, _TWINS[given.kind], given.numbers)
    while True:
        other = draw(rng, given.kind if choice < 0.85 else rng.choice(list(KINDS)), "train")
        if (other.kind, other.numbers) != (given.kind, given.numbers):
            return other


def _told(rng: Random, kind: str, numbers: tuple[int, ...]) -> Problem:
    """State these facts until the text is one of the train universe."""
    while True:
        told = state(rng, kind, numbers, rng.randrange(len(KINDS[kind].wordings)))
        if universe(told.text) == "train":
            return told


def _near(rng: Random, value: int) -> int:
    """Another whole number above zero: a near one, its digits turned round, or any."""
    turned = int(str(value)[::-1])
    candidates = [value + rng.choice((-10, -2, -1, 1, 2, 10)), turned, rng.randint(1, 110)]
    rng.shuffle(candidates)
    return next((other for other in candidates if other > 0 and other != value), value + 1)


def _written(rng: Random, value: int) -> str:
    """The number in one of the forms that answers come in."""
    form = rng.choices(("{}", "{}.0", "x={}", "\\text{{{}}}", "{} coins", "{} km"), weights=(5, 1, 1, 1, 1, 1))[0]
    return form.format(value)
