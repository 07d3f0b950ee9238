"""The form of a training row: prompt and answer as two texts, or as the turns of a chat.

    plain       {"input": the whole prompt, "output": the solution and what ends its turn}
    nemotron    {"conversations": [{"value", "from": "User", "canonical_form": ""}, {... "from": "Assistant" ...}],
                 "system": "", "mask": "User"}
    llama       the same, where the turns are named by Llama's headers

The chat forms are those that NeMo-Aligner's chat data set reads; it writes the special tokens itself.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openmath.prompts import Prompt, Template
from openmath.records import Record
from openmath.sft.filters import Problem, Solution

_ROLES = {
    "nemotron": ("User", "Assistant"),
    "llama": ("<|start_header_id|>user<|end_header_id|>", "<|start_header_id|>assistant<|end_header_id|>"),
}
FORMATS = ("plain", *_ROLES)

_GIVEN_KEYS = {"problem", "examples", "total_code_executions"}
_OWN_KEYS = ("input", "output", "conversations", "system", "mask", "expected_answer", "problem_source", "generation")


class MissingKeyError(ValueError):
    """A record lacks a key that the prompt or the row asks for."""


@dataclass(frozen=True)
class RowFormat:
    """How a row is written.

    Attributes:
        prompt: what the problem stands in; None: the problem is the whole prompt.
        form: one of ``FORMATS``.
        suffix: what ends the output of a plain row; empty for a chat.
        metadata: keys and values that are written into every row.
        with_source: whether rows say where their problem comes from.
    """

    prompt: Prompt | None
    form: str = "plain"
    suffix: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    with_source: bool = True

    @classmethod
    def load(
        cls,
        prompt: Path | None,
        template: Path | None,
        form: str,
        suffix: str | None,
        metadata: Mapping[str, str],
        with_source: bool,
    ) -> "RowFormat":
        """Read the prompt; without a ``suffix`` a plain row ends as the template ends the assistant's turn.

        Raises:
            ValueError: what is asked for does not go together; the message names the options.
        """
        for key in metadata:
            if key in _OWN_KEYS:
                raise ValueError(f"--metadata {key}: a row has a key of that name")
        if form != "plain":
            if suffix:
                raise ValueError(f"--suffix: the turns of a chat ({form}) are ended by whoever reads them")
            return cls(None if prompt is None else Prompt.load(prompt), form, "", metadata, with_source)
        loaded = None
        if prompt is not None:
            loaded = Prompt.load(prompt, template=template)
        elif template is not None:
            loaded = Prompt(system="", user="{problem}", template=Template.load(template))
        if loaded is not None and loaded.template is None:
            raise ValueError("--prompt: plain rows need --template too")
        if suffix is None:
            suffix = "" if loaded is None or loaded.template is None else loaded.template.assistant_end
        return cls(loaded, form, suffix, metadata, with_source)

    @property
    def prompt_keys(self) -> tuple[str, ...]:
        """The keys of a record that the prompt is filled from, beside the problem."""
        if self.prompt is None:
            return ()
        names = {name for _, name, _, _ in string.Formatter().parse(self.prompt.user) if name is not None}
        return tuple(sorted(names - _GIVEN_KEYS))

    def row(self, solution: Solution) -> Record:
        """The training row of a solution.

        Raises:
            MissingKeyError: the prompt asks for a key that the record lacks.
        """
        problem = solution.problem
        user = self._user_text(problem, solution.executions)
        if self.form == "plain":
            row: Record = {"input": user, "output": solution.text + self.suffix}
        else:
            asker, answerer = _ROLES[self.form]
            row = {
                "conversations": [
                    {"value": user, "from": asker, "canonical_form": ""},
                    {"value": solution.text, "from": answerer, "canonical_form": ""},
                ],
                "system": "" if self.prompt is None else self.prompt.system,
                "mask": asker,
            }
        row["expected_answer"] = problem.expected_answer
        if self.with_source:
            row["problem_source"] = problem.source
        row.update(solution.record)
        row.update(self.metadata)
        return row

    def _user_text(self, problem: Problem, executions: int | None) -> str:
        """The prompt of a plain row, or what the user says in a chat."""
        if self.prompt is None:
            return problem.text
        record: dict[str, Any] = {**problem.filled, "problem": problem.text}
        if executions is not None:
            record["total_code_executions"] = executions
        try:
            rendered = self.prompt.render(record)
        except KeyError as error:
            raise MissingKeyError(f"no key {error}, which the prompt asks for") from None
        return rendered if isinstance(rendered, str) else rendered[-1]["content"]
