"""Prompts: what is asked (a prompt file), and the special tokens around it (a template file).

A prompt file (``resources/prompts/**.yaml``) holds ``system``, ``user`` (with ``{placeholders}`` that are filled from
the record; literal braces are doubled) and, where examples can be shown, ``few_shot: {prefix, example, suffix}``. The
filled examples stand where ``user`` says ``{examples}``.

A template file (``resources/templates/*.yaml``) holds the special tokens of a model family: ``text_begin``,
``system_begin``, ``system_end``, ``user_begin``, ``user_end``, ``assistant_begin``, ``assistant_end`` and
``stop`` (a list). The rendered text is

    text_begin system_begin SYSTEM system_end user_begin USER user_end assistant_begin

and the system wrapper is there even where the system text is empty, as the released OpenMath2 checkpoints were trained
(NeMo-Skills e718d393). Without a template the prompt is a list of chat messages, for servers that render it themselves.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from openmath.records import Record

Message = dict[str, str]


@dataclass(frozen=True)
class Template:
    """The special tokens of one model family; all are plain text that the tokenizer knows as tokens."""

    text_begin: str = ""
    system_begin: str = ""
    system_end: str = ""
    user_begin: str = ""
    user_end: str = ""
    assistant_begin: str = ""
    assistant_end: str = ""
    stop: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: str | Path) -> "Template":
        """Read a template file; an unknown key is an error that names file and key."""
        values = _load_mapping(path, allowed=set(cls.__dataclass_fields__))
        return cls(**{**values, "stop": tuple(values.get("stop", ()))})

    def wrap(self, system: str, user: str) -> str:
        """The whole prompt text, up to where the model continues."""
        return (
            f"{self.text_begin}{self.system_begin}{system}{self.system_end}"
            f"{self.user_begin}{user}{self.user_end}{self.assistant_begin}"
        )


@dataclass(frozen=True)
class Prompt:
    """A prompt file, its examples and the template that it is rendered with (None: chat messages)."""

    system: str
    user: str
    few_shot: dict[str, str] = field(default_factory=dict)
    examples: tuple[Record, ...] = ()
    template: Template | None = None

    @classmethod
    def load(cls, path: str | Path, template: str | Path | None = None, examples: str | Path | None = None) -> "Prompt":
        """Read a prompt file and, where given, its template file and a YAML list of examples.

        Raises:
            ValueError: an unknown key, or examples for a prompt that has no place for them.
        """
        values = _load_mapping(path, allowed={"system", "user", "few_shot"})
        if examples is not None and "few_shot" not in values:
            raise ValueError(f"{path}: no key 'few_shot', so the examples of {examples} have no place in it")
        return cls(
            system=values.get("system", ""),
            user=values["user"],
            few_shot=values.get("few_shot", {}),
            examples=() if examples is None else tuple(yaml.safe_load(Path(examples).read_text("utf-8"))),
            template=None if template is None else Template.load(template),
        )

    def render(self, record: Record) -> str | list[Message]:
        """Fill the placeholders from ``record``; values are inserted as they are, braces and all."""
        user = self.user.format_map({**record, "examples": self._example_block()})
        if self.template is not None:
            return self.template.wrap(self.system, user)
        system: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": user}]

    @property
    def stop(self) -> list[str]:
        """The texts at which a generation ends."""
        return list(self.template.stop) if self.template else []

    def _example_block(self) -> str:
        if not self.examples:
            return ""
        filled = "".join(self.few_shot["example"].format_map(example) for example in self.examples)
        return self.few_shot.get("prefix", "") + filled + self.few_shot.get("suffix", "")


def _load_mapping(path: str | Path, allowed: set[str]) -> dict[str, Any]:
    values = yaml.safe_load(Path(path).read_text("utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path}: not a mapping")
    for key in values:
        if key not in allowed:
            raise ValueError(f"{path}: unknown key '{key}' (known: {', '.join(sorted(allowed))})")
    return values
