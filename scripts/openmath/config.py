"""The configuration, checked before anything is planned.

``check_config`` holds a merged configuration against the schema (``config/schemas/config.schema.yaml``) and against
itself: every name that a stage selects is defined, every number fits its neighbours. What is wrong is told in
sentences that name the key, all of them at once.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from openmath.config_checks import Config, contradictions, missing_files


class ConfigError(ValueError):
    """The configuration cannot be used; each line of the message names a key."""


# How the keys of services begin: OpenAI, Hugging Face, NVIDIA, GitHub, Weights & Biases, Amazon, Slack.
_SECRET = re.compile(r"(sk-|hf_|nvapi-|gh[pousr]_|github_pat_|wandb_v1_|AKIA|xox[abprs]-)[A-Za-z0-9_-]{12,}")


def check_config(config: Config, root: str | Path) -> None:
    """Raise ConfigError if the merged configuration is not one that every stage can run with.

    Args:
        config: the configuration and its overlays, merged.
        root: the folder of the workflow, which holds the schema, the registries and the prompts.
    """
    schema = yaml.safe_load((Path(root) / "config/schemas/config.schema.yaml").read_text("utf-8"))
    problems = [f"{key}: looks like a secret; put it in an environment variable" for key in _secrets(config)]
    problems = problems or list(_schema_problems(config, schema))
    problems = problems or [*contradictions(config), *missing_files(config, Path(root))]
    if problems:
        raise ConfigError("the configuration cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))


def _secrets(value: Any, key: str = "") -> Iterator[str]:
    """The keys whose values look like secrets; the values are never shown."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _secrets(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _secrets(item, f"{key}[{number}]")
    elif isinstance(value, str) and _SECRET.search(value):
        yield key


def _schema_problems(config: Config, schema: Mapping[str, Any]) -> Iterator[str]:
    for error in sorted(Draft202012Validator(schema).iter_errors(config), key=lambda error: error.json_path):
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
        if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
            known = error.schema.get("properties", {})
            for name in error.instance:
                if name not in known:
                    yield f"{key}: unknown key '{name}' (known: {', '.join(known)})".removeprefix(": ")
        else:
            yield f"{key}: {error.message}".removeprefix(": ")
