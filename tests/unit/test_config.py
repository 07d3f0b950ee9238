"""A configuration is refused in sentences that name the key."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from openmath.config import ConfigError, check_config


@pytest.fixture
def schema(root: Path) -> Path:
    return root / "config/schemas/config.schema.yaml"


def merged(root: Path) -> dict[str, Any]:
    config = yaml.safe_load((root / "config/config.yaml").read_text())
    update_config(config, yaml.safe_load((root / "config/demo.yaml").read_text()))
    return copy.deepcopy(config)


def test_the_paper_and_the_miniature_are_accepted(root: Path, schema: Path) -> None:
    check_config(yaml.safe_load((root / "config/config.yaml").read_text()), schema)
    check_config(merged(root), schema)


def descriptions(schema: dict[str, Any], key: str = "") -> list[str]:
    """The keys of a schema that say nothing about themselves."""
    silent = []
    for name, value in schema.get("properties", {}).items():
        if "description" not in value and "$ref" not in value:
            silent.append(f"{key}.{name}")
        silent += descriptions(value, f"{key}.{name}")
        if isinstance(value.get("additionalProperties"), dict):
            silent += descriptions(value["additionalProperties"], f"{key}.{name}.*")
    return silent


def test_every_key_says_what_it_is(schema: Path) -> None:
    assert descriptions(yaml.safe_load(schema.read_text())) == []


BROKEN = {
    "an unknown key": (("judge", "modle"), "x", "judge: unknown key 'modle'"),
    "an unknown key at the top": (("judgement",), {}, "unknown key 'judgement'"),
    "a seed count of zero": (("datasets", "shop", "solution_seeds"), 0, "datasets.shop.solution_seeds"),
    "an unknown model": (("judge", "model"), "gpt-5", "judge.model: no model or training run 'gpt-5'"),
    "a model that is not served": (("judge", "model"), "minilm", "judge.model: model 'minilm' has no key 'server'"),
    "an unknown data set": (("synthesis", "datasets"), ["shops"], "synthesis.datasets: no data set 'shops'"),
    "an unknown benchmark": (("evaluation", "benchmarks"), ["aime"], "evaluation.benchmarks: no data set 'aime'"),
    "a step that is not saved": (
        ("training", "student-packed", "average_steps"),
        [81],
        "training.student-packed.average_steps: step 81 is not saved",
    ),
    "a batch that cannot be split": (
        ("training", "student-packed", "global_batch_size"),
        3,
        "training.student-packed.global_batch_size: 3 is not a multiple",
    ),
    "unknown training data": (
        ("training", "student-packed", "data"),
        "sft",
        "training.student-packed.data: no set 'sft'",
    ),
    "too few legs": (
        ("training", "student-packed", "num_training_jobs"),
        1,
        "training.student-packed.num_training_jobs:",
    ),
    "a hosted base model": (("training", "student-packed", "base_model"), "gpt-4o", "model 'gpt-4o' is hosted"),
    "a model without its repository": (("models", "llama3.1-8b"), {"source": "hub"}, "needs the key 'repository'"),
}


@pytest.mark.parametrize(("keys", "value", "message"), BROKEN.values(), ids=BROKEN)
def test_it_refuses(keys: tuple[str, ...], value: Any, message: str, root: Path, schema: Path) -> None:
    config = merged(root)
    section = config
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    with pytest.raises(ConfigError) as refused:
        check_config(config, schema)
    assert message in str(refused.value)
