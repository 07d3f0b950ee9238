"""The paper's own prompts and few-shot examples: the files of NeMo-Skills, brought into the form of openmath.prompts.

A prompt there is YAML with ``system``, ``user`` (with ``{placeholders}``) and ``few_shot_examples: {prefix, template,
suffix}``. Ours differs in the names of the keys, and a stage of ours fills certain placeholders and no others, so every
placeholder of an original is looked up here before a job meets it.

The few-shot sets there are Python modules,

    math_text_detailed = [{"problem": "...", "solution": "...".strip()}, ...]
    examples_map = {"math_text_detailed": math_text_detailed, ...}

which are parsed and never run: texts, lists, mappings, names that the module assigns and ``.strip()`` are understood,
and anything else in a set is an error.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from openmath.records import Record
from openmath.sources import FoundSource


class OriginalError(ValueError):
    """An original that cannot be brought into our form; the message names the file and what is wrong in it."""


@dataclass(frozen=True)
class Filled:
    """What our stages fill into a prompt: in ``user`` (beside ``examples``), and in each of its examples."""

    user: tuple[str, ...]
    example: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)  # an original's placeholder: ours


SOLUTION = ("problem", "solution")
NEW_PROBLEM = ("problem", "augmented_problem")

PROMPTS = {
    "generic/math-base": Filled(("problem",), SOLUTION),
    "generic/math": Filled(("problem",), SOLUTION),
    "generic/problem-augmentation": Filled(("problem",), NEW_PROBLEM),
    "generic/problem-augmentation-similar": Filled(("problem",), NEW_PROBLEM),
    "judge/math": Filled(("problem", "predicted_answer", "expected_answer")),
    "judge/check-contamination": Filled(
        ("problem", "candidate"), renamed={"problem1": "problem", "problem2": "candidate"}
    ),
    "openmath/tir": Filled(("problem", "total_code_executions"), SOLUTION),
    "openmath/genselect": Filled(("problem", "solutions", "num_solutions", "max_idx")),
}
"""By its name in the registry."""

EXAMPLE_SETS = {
    "few_shot/math_text_detailed": SOLUTION,
    "few_shot/gsm8k_text_detailed": SOLUTION,
    "few_shot/math_problem_augmentation": NEW_PROBLEM,
    "few_shot/gsm8k_problem_augmentation": NEW_PROBLEM,
}
"""By their names in the registry: the keys that every example of the set has."""


def convert_original(source: FoundSource) -> str:
    """A checked original as a YAML file of ours: one line of origin and licence, then the prompt or the examples.

    Raises:
        OriginalError: the file does not look as expected, or a prompt wants what no stage of ours fills in.
    """
    entry = source.entry
    known = {"prompt": set(PROMPTS), "few-shot": set(EXAMPLE_SETS)}.get(entry.form)
    if known is None:
        raise OriginalError(f"the form of {entry.name} is '{entry.form}', neither prompt nor few-shot")
    if entry.name not in known:
        raise OriginalError(f"{entry.name} is no {entry.form} that our stages use (known: {', '.join(sorted(known))})")
    read = read_prompt if entry.form == "prompt" else read_examples
    origin = entry.addresses[0] if entry.addresses else f"{entry.file}, {entry.revision}"
    return f"# Converted from {origin}; licence: {entry.licence}.\n{dump_yaml(read(source.path, entry.name))}"


def read_prompt(path: Path, name: str) -> Record:
    """An original prompt file as a mapping in our form.

    Raises:
        OriginalError: no YAML mapping, a key that is not known and not null, or a placeholder that is not filled.
    """
    try:
        values = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise OriginalError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    config = _known_values(values, ("system", "user", "few_shot_examples"), str(path))
    filled = PROMPTS[name]
    system = _text(config.get("system", ""), f"{path}: system")
    if "{" in system or "}" in system:
        raise OriginalError(f"{path}: system has braces, and a system text of ours is not filled")
    user = _text(config.get("user"), f"{path}: user")
    prompt: Record = {
        "system": system,
        "user": rename_placeholders(user, (*filled.user, "examples"), filled.renamed, f"{path}: user"),
    }
    where = f"{path}: few_shot_examples"
    block = _known_values(config.get("few_shot_examples", {}), ("prefix", "template", "suffix"), where)
    if block.get("template"):
        template = _text(block["template"], f"{where}.template")
        prompt["few_shot"] = {
            "prefix": _text(block.get("prefix", ""), f"{where}.prefix"),
            "example": rename_placeholders(template, filled.example, {}, f"{where}.template"),
            "suffix": _text(block.get("suffix", ""), f"{where}.suffix"),
        }
    return prompt


def rename_placeholders(text: str, known: tuple[str, ...], renamed: Mapping[str, str], where: str) -> str:
    """The text with its placeholders under our names; everything else, doubled braces too, stays as it is.

    >>> rename_placeholders("{problem1} in {{}}", ("problem",), {"problem1": "problem"}, "x.yaml: user")
    '{problem} in {{}}'

    Raises:
        OriginalError: a placeholder is not among ``known``, two would become one, or a brace stands alone.
    """
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise OriginalError(f"{where}: {error}") from None
    ours: dict[str, str] = {}
    result = ""
    for literal, name, form, conversion in parts:
        result += literal.replace("{", "{{").replace("}", "}}")
        if name is None:
            continue
        placeholder = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
        new = renamed.get(placeholder, placeholder)
        if new not in known:
            raise OriginalError(f"{where} has the unknown placeholder {{{placeholder}}} (known: {', '.join(known)})")
        if ours.setdefault(new, placeholder) != placeholder:
            raise OriginalError(f"{where} has both {{{ours[new]}}} and {{{placeholder}}}, which are one for us")
        result += f"{{{new}}}"
    return result


def read_examples(path: Path, name: str) -> list[Record]:
    """One few-shot set of an original module, its examples in their order with all their keys.

    Raises:
        OriginalError: no such set, something in it that only running it would tell, or an example that lacks a key.
    """
    key = name.removeprefix("few_shot/")
    values = _assigned_values(path)
    sets = values.get("examples_map")
    if not isinstance(sets, ast.Dict):
        raise OriginalError(f"{path}: no mapping is assigned to examples_map")
    named = zip(sets.keys, sets.values, strict=True)
    found = [value for node, value in named if isinstance(node, ast.Constant) and node.value == key]
    if not found:
        raise OriginalError(f"{path}: examples_map has no set '{key}'")
    examples = _plain_value(found[-1], values, f"{path}: {key}")
    if not examples or not isinstance(examples, list):
        raise OriginalError(f"{path}: {key} is no list of examples")
    for number, example in enumerate(examples, start=1):
        where = f"{path}: {key}, example {number}"
        if not isinstance(example, dict):
            raise OriginalError(f"{where} is no mapping")
        for text_key in (*EXAMPLE_SETS[name], *example):
            _text(example.get(text_key), f"{where}: {text_key}")
    return examples


def dump_yaml(value: Record | list[Record]) -> str:
    """YAML that loads as the very same texts: several lines as they are read, where YAML can, otherwise in quotes."""
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=float("inf"))
    return text


class _Dumper(yaml.SafeDumper):
    """Writes texts as literal blocks or in double quotes, the two styles that keep every character."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # YAML reads NEL, LS and PS in a block as line breaks, and writes them only in quotes as what they are.
    block = "\n" in text and not re.search("[\x85\u2028\u2029]", text)
    plain = re.fullmatch(r"[a-z_]+", text) is not None  # keys
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if block else None if plain else '"')


_Dumper.add_representer(str, _represent_text)


def _known_values(values: Any, known: tuple[str, ...], where: str) -> Record:
    """The values of a mapping that are not null.

    Raises:
        OriginalError: no mapping, or an unknown key with a value.
    """
    if not isinstance(values, dict):
        raise OriginalError(f"{where} is no mapping")
    given = {key: value for key, value in values.items() if value is not None}
    for key in given:
        if key not in known:
            raise OriginalError(f"{where} has the key '{key}', which we cannot take over (known: {', '.join(known)})")
    return given


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise OriginalError(f"{where} is {'missing' if value is None else 'no text'}")
    return value


def _assigned_values(path: Path) -> dict[str, ast.expr]:
    """What a module assigns to each name at its top level; the last assignment counts."""
    try:
        body = ast.parse(path.read_bytes(), filename=str(path)).body
    except (SyntaxError, ValueError) as error:
        raise OriginalError(f"{path} is no Python module: {error}") from None
    values = {}
    for node in body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    values[target.id] = node.value
    return values


def _plain_value(node: ast.expr, values: Mapping[str, ast.expr], where: str) -> Any:
    """The constants, lists and mappings (of texts as keys) that an expression spells out.

    Args:
        node: the expression.
        values: what a name stands for.
        where: the file and the set, for errors.
    """
    match node:
        case ast.Constant():
            return node.value
        case ast.List():
            return [_plain_value(item, values, where) for item in node.elts]
        case ast.Dict() if None not in node.keys:  # None stands for **
            keys = [_text(_plain_value(key, values, where), f"{where}: a key") for key in node.keys if key]
            return dict(zip(keys, (_plain_value(value, values, where) for value in node.values), strict=True))
        case ast.Name(id=name) if name in values:
            others = {other: value for other, value in values.items() if other != name}
            return _plain_value(values[name], others, where)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="strip"), args=[], keywords=[]):
            return text.strip()
        case _:
            what = {ast.JoinedStr: "an f-string", ast.Name: "an unknown name"}.get(type(node), "code")
            raise OriginalError(f"{where}: {what} in line {node.lineno}, and originals are read, not run")
