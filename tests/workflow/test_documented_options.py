"""Every option of the source documents has a place here, or is an exception with a reason.

tests/data/options/ns_commands.tsv   the options of the documents, with their values
docs/from_nemo_skills.md             where each of them stands here
docs/deviations.md                   which have no place, and why; how the documents' contradictions were decided
"""

import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.api import ConfigSettings, ResourceSettings, SnakemakeApi, StorageSettings, WorkflowSettings
from snakemake.utils import update_config

from openmath.dependencies import imported_modules

PAGE = "docs/from_nemo_skills.md"
DEVIATIONS = "docs/deviations.md"
NO_PLACE = "Options of the source documents that have no place here"
IN_TEXT = "-"
WITHOUT_LIST = ("eval-model.py", "by hand")
"""Sections of the page about scripts and steps, which the list of commands does not have."""


# The documents' options.


@dataclass(frozen=True)
class Option:
    """An option of a document; the name without dashes, plus signs and the number of a position."""

    file: str
    ordinal: str
    command: str
    name: str
    value: str
    line: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.command} {self.name}={self.value}"


def option_name(text: str) -> str:
    """One spelling for `--server-type`, `--server_type` and `server_type`, and for all positions."""
    return re.sub(r"\(positional \d+\)", "(positional)", text.lstrip("-+").replace("-", "_"))


def command_name(text: str) -> str:
    """One spelling for a command, its Python call, a part of it, and what passes it on."""
    return re.sub(r"^api ", "ns ", text.split(" > ")[-1].removesuffix(" (part)"))


def read_options(lines: list[str]) -> list[Option]:
    """The rows of ns_commands.tsv."""
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert rows[0] == ["file", "ordinal", "kind", "command", "option", "value", "line"]
    return [
        Option(file[:3], ordinal, command_name(command), option_name(name), value, line)
        for file, ordinal, _, command, name, value, line in rows[1:]
    ]


# The tables of the pages.


def tables(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Every table of a Markdown text: the heading above it, and its rows of cells without the first."""
    heading, block = "", []
    for line in [*re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL).splitlines(), ""]:
        if line.startswith("|"):
            block.append([cell.strip() for cell in line.strip("|").split("|")])
        elif block:
            assert set("".join(block[1])) == {"-"}, f"the table under '{heading}' has no head"
            yield heading, block[2:]
            block = []
        if line.startswith("#"):
            heading = line.lstrip("# ")


def table_under(text: str, heading: str) -> list[list[str]]:
    (rows,) = [rows for found, rows in tables(text) if found == heading]
    return rows


def code(cell: str) -> list[str]:
    """What stands between backquotes."""
    return re.findall(r"`([^`]+)`", cell)


@dataclass(frozen=True)
class Place:
    """What the page says of one option; `value` is a pattern, and empty where any value is meant."""

    commands: tuple[str, ...]
    name: str
    value: str
    here: str

    def covers(self, option: Option) -> bool:
        of_command = option.command == IN_TEXT or any(is_command(option.command, name) for name in self.commands)
        return of_command and option.name == self.name and fnmatchcase(option.value, self.value or "*")

    @property
    def key(self) -> tuple[str, str, str]:
        return self.commands[0], self.name, self.value


def is_command(command: str, name: str) -> bool:
    """Whether a command of a document is the one that a heading names: `ns` is every `ns ...`."""
    return command == name or command.startswith(f"{name} ") or command.endswith((f".{name}", f"/{name}"))


def split_option(text: str) -> tuple[str, str]:
    """Name and value of `--name=value`."""
    name, _, value = text.partition("=")
    return option_name(name), value


def read_places(text: str) -> list[Place]:
    """All places of the page."""
    places = []
    for heading, rows in tables(text):
        commands = tuple(code(heading))
        for cells in rows:
            assert len(cells) == 3, f"under '{heading}': {cells}"
            places += [Place(commands, *split_option(option), cells[1]) for option in code(cells[0])]
    return places


def place_of(option: Option, places: list[Place]) -> Place | None:
    """The place of an option: one for its value before one for all, its own command before every command."""
    fitting = [place for place in places if place.covers(option)]
    return max(fitting, key=lambda place: (place.value != "", max(map(len, place.commands))), default=None)


def without_place(options: list[Option], places: list[Place]) -> list[str]:
    return [str(option) for option in options if place_of(option, places) is None]


def is_exception(place: Place) -> bool:
    return place.here == "[exception]"


def read_exceptions(text: str) -> dict[tuple[str, str, str], str]:
    """The reasons in docs/deviations.md, by command, option and value."""
    reasons: dict[tuple[str, str, str], str] = {}
    for cell, reason in table_under(text, NO_PLACE):
        command, *options = code(cell)
        reasons |= {(command, *split_option(option)): reason for option in options}
    return reasons


@pytest.fixture(scope="module")
def options(root: Path) -> list[Option]:
    return read_options((root / "tests/data/options/ns_commands.tsv").read_text("utf-8").splitlines())


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / PAGE).read_text("utf-8")


@pytest.fixture(scope="module")
def deviations(root: Path) -> str:
    return (root / DEVIATIONS).read_text("utf-8")


@pytest.fixture(scope="module")
def places(page: str) -> list[Place]:
    return read_places(page)


@pytest.fixture(scope="module")
def rules(root: Path) -> dict[str, Any]:
    with SnakemakeApi() as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(),
            storage_settings=StorageSettings(),
            workflow_settings=WorkflowSettings(),
            snakefile=root / "Snakefile",
            workdir=root,
        )
        return {rule.name: rule for rule in workflow._workflow.rules}


# Every option has a place.


def test_every_option_of_the_documents_has_a_place(options: list[Option], places: list[Place]) -> None:
    assert len(options) == 376
    assert without_place(options, places) == []


INVENTED = {
    "an option that the command does not have": "000_x.txt\t99\tshell\tns train\t--num_llamas\t3\t1",
    "an option of another command": "000_x.txt\t99\tshell\tns convert\t--average_steps\t3\t1",
    "a command that the page does not have": "000_x.txt\t99\tshell\tpython -m nemo_skills.grpo\t++top_k\t3\t1",
    "a command whose name ends like another": "000_x.txt\t99\tshell\tns evil\t--benchmarks\tmath:0\t1",
    "an option in running text": "000_x.txt\t-\tinline text\t-\t--num_llamas\tN\t1",
}


@pytest.mark.parametrize("row", INVENTED.values(), ids=INVENTED)
def test_an_option_without_a_place_is_found(row: str, options: list[Option], places: list[Place], root: Path) -> None:
    lines = (root / "tests/data/options/ns_commands.tsv").read_text("utf-8").splitlines()
    (found,) = without_place(read_options([*lines, row]), places)
    assert found.startswith("000, line 1: ")


def test_every_row_of_the_page_is_about_an_option_that_a_document_has(
    options: list[Option], places: list[Place]
) -> None:
    used = {place_of(option, places) for option in options}
    assert [place.key for place in places if place not in used and place.commands[0] not in WITHOUT_LIST] == []


def test_the_exceptions_of_the_page_are_those_with_a_reason(places: list[Place], deviations: str) -> None:
    exceptions = {place.key for place in places if is_exception(place)}
    reasons = read_exceptions(deviations)
    assert exceptions == set(reasons)
    for reason in reasons.values():
        assert re.match(r"(Not needed|Not built yet): [\w`]", reason), reason


def test_the_link_of_an_exception_leads_to_the_reasons(page: str, deviations: str) -> None:
    (target,) = re.findall(r"^\[exception\]: (.+)$", page, flags=re.MULTILINE)
    assert target == f"{Path(DEVIATIONS).name}#{NO_PLACE.lower().replace(' ', '-')}"
    assert f"\n## {NO_PLACE}\n" in deviations


# What the page names is there.


def in_schema(schema: dict[str, Any], key: str) -> bool:
    """Whether the configuration can hold a key; `*` is a name that somebody gives."""

    def walk(node: dict[str, Any], rest: str) -> bool:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        first, _, after = rest.partition(".")
        below = node.get("additionalProperties") if first == "*" else node.get("properties", {}).get(first)
        return not rest or (isinstance(below, dict) and walk(below, after))

    return walk(schema, key)


def written_paths(output: str) -> str:
    """A regular expression for an output of a rule and the folders above it; a wildcard may stand or have a value."""
    first, *rest = re.split(r"\{(\w+),([^{}]*)\}", output)
    pattern = re.escape(first).replace("/", "/(?:")
    for name, values, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        pattern += rf"(?:\{{{name}\}}|{values})" + re.escape(text).replace("/", "/(?:")
    return pattern + ")?" * "".join([first, *rest[2::3]]).count("/")


def value_of(values: Any, key: str) -> Any:
    """A value by its key with dots, where names hold dots too.

    Raises:
        KeyError: there is none.
    """
    if not key:
        return values
    for name in values if isinstance(values, dict) else ():
        if key == name or key.startswith(f"{name}."):
            return value_of(values[name], key[len(name) + 1 :])
    raise KeyError(key)


def is_there(item: str, root: Path, rules: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether what the column `here` names exists: a key, a path, a rule, or a word of a profile or script."""
    file, _, word = item.partition(": ")
    if word and file.startswith("scripts/"):
        return any(word in Path(module).read_text("utf-8") for module in imported_modules(root / file))
    if word:
        try:
            return value_of(yaml.safe_load((root / file / "config.yaml").read_text("utf-8")), word) is not None
        except KeyError:
            return False
    if "/" in item:
        outputs = [str(output) for rule in rules.values() for output in rule.output]
        return (root / item).is_file() or any(re.fullmatch(written_paths(output), item) for output in outputs)
    return item in rules or in_schema(schema, item)


@pytest.fixture(scope="module")
def schema(root: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((root / "config/schemas/config.schema.yaml").read_text("utf-8"))
    return loaded


def test_everything_that_the_page_names_is_there(
    places: list[Place], root: Path, rules: dict[str, Any], schema: dict[str, Any]
) -> None:
    named = {item: place for place in places if not is_exception(place) for item in code(place.here)}
    missing = [f"{named[item].key}: {item}" for item in named if not is_there(item, root, rules, schema)]
    assert missing == []
    assert [place.key for place in places if not is_exception(place) and not code(place.here)] == []


NOT_THERE = [
    "training.*.num_llamas",
    "training.openmath2-llama3.1-8b.step",
    "evaluation.greedy.max_tokens.more",
    "convert_hf_to_llama",
    "results/solution-augmentation/{data}/",
    "results/solution-augmentation/imagenet/output-rs0.jsonl",
    "results/solution-augmentation/math/output-rsx.jsonl",
    "results/solution",
    "profiles/slurm: set-resources.train_llama",
    "scripts/train_nemo_leg.py: trainer.sft.max_llamas",
    "docs/llama.md",
]


@pytest.mark.parametrize("item", NOT_THERE)
def test_what_is_not_there_is_found(item: str, root: Path, rules: dict[str, Any], schema: dict[str, Any]) -> None:
    assert not is_there(item, root, rules, schema)


# The documents' values are those of the configuration.


RELEASED = "models.openmath2-llama3.1-8b-released.server"
TEACHER = "models.{solution_augmentation.model}"
RUN_8B, RUN_70B = "training.openmath2-llama3.1-8b", "training.openmath2-llama3.1-70b"
GENERATE = {
    "server_type": f"{TEACHER}.server.engine",
    "server_gpus": f"{TEACHER}.server.gpus",
    "server_nodes": f"{TEACHER}.server.nodes",
}
EVALUATE = {
    "server_type": f"{RELEASED}.engine",
    "server_gpus": f"{RELEASED}.gpus",
    "prompt_template": "evaluation.template",
    "batch_size": f"{RELEASED}.concurrency",
}
JUDGE = {
    "model": "judge.model",
    "server_type": "models.{judge.model}.server.engine",
    "server_address": "models.{judge.model}.server.address",
}
ROWS = {"prompt_template": "sft.template", "prompt_config": "sft.prompt"}
RELEASED_ROWS = {**ROWS, "output_key": "sft.sets.{training.openmath2-llama3.1-8b.data}.released.solution_key"}


def solve(dataset: str, stage: str, seeds: str) -> dict[str, str]:
    return {
        **{name: key.replace("solution_augmentation", stage) for name, key in GENERATE.items()},
        "num_random_seeds": f"datasets.{dataset}.{seeds}",
        "prompt_config": f"{stage}.prompt",
        "prompt_template": f"{stage}.template",
        "examples_type": f"datasets.{dataset}.solution_examples",
    }


def invent(dataset: str) -> dict[str, str]:
    return {
        **{name: key.replace("solution_augmentation", "problem_augmentation") for name, key in GENERATE.items()},
        "num_random_seeds": f"datasets.{dataset}.problem_seeds",
        "prompt_config": f"datasets.{dataset}.problem_prompt",
        "prompt_template": "problem_augmentation.template",
        "examples_type": f"datasets.{dataset}.problem_examples",
    }


def of_dataset(dataset: str) -> dict[str, str]:
    return {"dataset": f"datasets.{dataset}.recipe", "split": f"datasets.{dataset}.train_split"}


def train(run: str) -> dict[str, str]:
    return {
        "num_nodes": f"{run}.num_nodes",
        "num_gpus": f"{run}.num_gpus",
        "average_steps": f"{run}.average_steps",
        "model.data.train_ds.micro_batch_size": f"{run}.micro_batch_size",
        "model.tensor_model_parallel_size": f"{run}.tensor_parallel",
        "model.pipeline_model_parallel_size": f"{run}.pipeline_parallel",
        "model.optim.lr": f"{run}.learning_rate",
        "trainer.sft.save_interval": f"{run}.save_steps",
        "trainer.sft.max_steps": f"{run}.steps",
    }


BASE_MODEL = "models.{training.openmath2-llama3.1-8b.base_model}.repository"
SIZE = {name: train(RUN_8B)[name] for name in ("num_nodes", "num_gpus")}
NEW_SOLUTIONS = "new_problems_solution_augmentation"
PREPARE, PREPARE_LATER = (
    "python -m nemo_skills.training.prepare_sft_data",
    "python -m nemo_skills.training.prepare_data",
)
VALUES: dict[tuple[str, str, str], dict[str, str]] = {
    ("000", "1", "ns convert"): {"num_gpus": f"{RELEASED}.gpus", "hf_model_name": RELEASED[:-7] + ".repository"},
    ("000", "3", "ns eval"): {**EVALUATE, "inference.tokens_to_generate": "evaluation.greedy.max_tokens"},
    ("000", "4", "ns llm_math_judge"): JUDGE,
    ("000", "6", "ns eval"): {**EVALUATE, "inference.tokens_to_generate": "evaluation.sampling.max_tokens"},
    ("000", "8", "ns llm_math_judge"): JUDGE,
    ("000", "11", "ns generate"): solve("math", "solution_augmentation", "solution_seeds") | of_dataset("math"),
    ("000", "12", "ns generate"): solve("gsm8k", "solution_augmentation", "solution_seeds") | of_dataset("gsm8k"),
    ("000", "13", "ns generate"): invent("math") | of_dataset("math"),
    ("000", "14", "ns generate"): invent("gsm8k") | of_dataset("gsm8k"),
    ("000", "15", "ns generate"): solve("math", NEW_SOLUTIONS, "new_solution_seeds"),
    ("000", "16", "ns generate"): solve("gsm8k", NEW_SOLUTIONS, "new_solution_seeds"),
    ("000", "18", "python -m nemo_skills.inference.retrieve_similar"): {
        "retrieve_from": "contamination.benchmarks",
        "top_k": "contamination.top_k",
    },
    ("000", "19", "ns check_contamination"): {
        "model": "models.{contamination.model}.server.served_name",
        "server_type": "models.{contamination.model}.server.engine",
        "server_address": "models.{contamination.model}.server.address",
        "check_both_ways": "contamination.both_ways",
    },
    ("000", "20", PREPARE): {
        **ROWS,
        "min_solution_length": "sft.filters.min_solution_chars",
        "max_solution_length": "sft.filters.max_solution_tokens",
        "hf_model_name": "models.{sft.tokenizer}.repository",
    },
    ("000", "21", PREPARE): RELEASED_ROWS,
    ("000", "22", "ns convert"): {"hf_model_name": BASE_MODEL},
    ("000", "23", "ns train"): train(RUN_8B),
    ("000", "24", "ns train"): train(RUN_70B),
    ("001", "1", PREPARE_LATER): {**RELEASED_ROWS, "hf_model_name": "models.{sft.tokenizer}.repository"},
    ("001", "4", "ns eval"): {"prompt_template": "evaluation.template", "server_type": f"{RELEASED}.engine"},
    ("004", "1", PREPARE_LATER): ROWS,
    ("004", "2", "ns train"): SIZE,
    ("004", "3", "ns train"): {
        name: train(RUN_8B)[name]
        for name in ("model.data.train_ds.micro_batch_size", "model.tensor_model_parallel_size")
    },
    ("004", "5", "ns eval"): {"prompt_template": "evaluation.template"},
    ("004", "6", "ns train"): SIZE,
    ("004", "6", "ns convert"): {"hf_model_name": BASE_MODEL},
    ("004", "6", "ns eval"): {"prompt_template": "evaluation.template", "server_type": f"{RUN_8B}.server.engine"},
    ("004", "7", "ns train"): SIZE,
}
"""By document, block and command: which key holds the value of which option."""

OVERLAYS = {
    ("000", "19"): "hosted",
    ("000", "21"): "released_data",
    ("001", "1"): "released_data",
    ("001", "4"): "evaluate",
}
"""The overlay that does as a block says, where it is not the paper's configuration."""

ELSEWHERE = {
    ("000", "22", "num_gpus"): "a resource of convert_hf_to_nemo",
    ("000", "23", "trainer.sft.max_epochs"): "-1 trains nothing: docs/deviations.md",
    ("000", "24", "trainer.sft.max_epochs"): "-1 trains nothing: docs/deviations.md",
}
"""Numbers of document 000 that no key holds."""


@functools.cache
def merged(root: Path, overlay: str | None = None) -> dict[str, Any]:
    """The paper's configuration, under an overlay."""
    config: dict[str, Any] = yaml.safe_load((root / "config/config.yaml").read_text("utf-8"))
    if overlay is not None:
        update_config(config, yaml.safe_load((root / f"config/{overlay}.yaml").read_text("utf-8")))
    return config


def documented(value: str) -> Any:
    """A document's value as YAML would have it: a number, a boolean, a list of names or numbers, or a text."""
    if names := re.findall(r"dataset/([\w-]+)/test\.jsonl", value):
        return names
    words = value.split()
    if len(words) > 1:
        return [documented(word) for word in words]
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    if re.fullmatch(r"-?[\d.]+(e-?\d+)?", value):
        return float(value)
    return value.replace("Meta-Llama-3.1", "Llama-3.1")  # the hub renamed these repositories


def configured(value: Any) -> Any:
    """A value of ours as the documents would have it: a prompt, template or example file by its name."""
    if isinstance(value, str) and value.endswith(".yaml"):
        return re.sub(r"^(<resources>/originals/(few_shot/)?|resources/templates/)", "", value.removesuffix(".yaml"))
    return value


def the_value(options: list[Option], block: tuple[str, str, str], name: str) -> str:
    """The one value that an option has in a block of a document."""
    (value,) = {o.value for o in options if (o.file, o.ordinal, o.command, o.name) == (*block, name)}
    return value


MAPPED = [(block, name) for block, keys in VALUES.items() for name in keys]


@pytest.mark.parametrize(("block", "name"), MAPPED, ids=[f"{'-'.join(block)} {name}" for block, name in MAPPED])
def test_a_value_of_the_documents_is_the_configured_one(
    block: tuple[str, str, str], name: str, options: list[Option], root: Path
) -> None:
    config = merged(root, OVERLAYS.get(block[:2]))
    key = re.sub(r"\{([^}]+)\}", lambda found: value_of(config, found[1]), VALUES[block][name])
    assert configured(value_of(config, key)) == documented(the_value(options, block, name))


def test_every_number_and_prompt_of_the_paper_is_compared(options: list[Option], places: list[Place]) -> None:
    mapped = {(file, ordinal, name) for (file, ordinal, _), keys in VALUES.items() for name in keys}
    prompts = {"prompt_config", "prompt_template", "examples_type"}
    wanted = [o for o in options if o.file == "000" and (o.name in prompts or re.fullmatch(r"[-\d.e ]+", o.value))]
    exceptions = [option for option in wanted if (place := place_of(option, places)) and is_exception(place)]
    known = mapped | set(ELSEWHERE) | {(o.file, o.ordinal, o.name) for o in exceptions}
    assert len(wanted) == 75
    assert [str(o) for o in wanted if (o.file, o.ordinal, o.name) not in known] == []


def test_nemo_converts_on_one_gpu(rules: dict[str, Any], options: list[Option]) -> None:
    gpus = the_value(options, ("000", "22", "ns convert"), "num_gpus")
    assert rules["convert_hf_to_nemo"].resources["gres"].value == f"gpu:{gpus}"


@pytest.mark.parametrize(("ordinal", "samples"), [("3", 0), ("6", 256)])
def test_the_benchmarks_and_samples_are_those_of_the_document(
    ordinal: str, samples: int, options: list[Option], root: Path
) -> None:
    config = merged(root)["evaluation"]
    value = the_value(options, ("000", ordinal, "ns eval"), "benchmarks")
    asked = dict(word.split(":") for word in value.split(","))
    assert set(asked) == set(config["benchmarks"])
    assert set(asked.values()) == {str(samples)}
    assert config["samples"].get("openmath2-llama3.1-8b" if samples else "llama3.1-8b-instruct", 0) == samples


def test_every_data_set_that_is_prepared_is_defined(options: list[Option], root: Path) -> None:
    names = {option.value for option in options if option.command.endswith("dataset.prepare")}
    datasets = merged(root)["datasets"]
    assert {name: datasets[name]["recipe"] for name in names} == {name: name for name in names}
    assert len(names) == 5


def test_the_suffix_of_a_generation_is_the_end_in_the_template(options: list[Option], root: Path) -> None:
    template = yaml.safe_load((root / merged(root)["sft"]["template"]).read_text("utf-8"))
    suffixes = [option.value.strip('"') for option in options if option.name == "generation_suffix"]
    assert suffixes == [template["assistant_end"]] * 2


def test_released_data_have_none_of_the_filters_that_the_documents_switch_off(
    options: list[Option], root: Path
) -> None:
    switched_off = {
        o.name.removeprefix("filters.") for o in options if o.name.startswith("filters.") if o.value == "false"
    }
    assert {"drop_multi_boxed", "trim_prefix", "trim_solutions", "remove_contaminated"} <= switched_off
    of_generations = {key for key, value in merged(root)["sft"]["filters"].items() if value is True}
    renamed = {"drop_wrong_arithmetic": "drop_incorrect_arithmetic"}
    assert switched_off == {renamed.get(key, key) for key in of_generations} | {"remove_contaminated"}
    released = merged(root, "released_data")["sft"]["sets"]["openmathinstruct2"]
    assert "filters" not in released


def test_a_leg_saves_as_long_before_its_end_as_the_document_says(options: list[Option], root: Path) -> None:
    (value,) = [option.value for option in options if option.name == "exp_manager.max_time_per_run"]
    days, hours, minutes, seconds = map(int, value.split(":"))
    profile = yaml.safe_load((root / "profiles/slurm/config.yaml").read_text("utf-8"))
    time = profile["set-resources"]["train_leg"]["runtime"] - merged(root)["margins"]["training"]
    assert time == days * 1440 + hours * 60 + minutes + seconds / 60


# The translations.


def translations(text: str) -> list[tuple[dict[str, Any], str]]:
    """What the page says of the configuration, and the command after it."""
    blocks = re.findall(r"^```yaml\n(.*?)^```.*?^```bash\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [(yaml.safe_load(settings), command) for settings, command in blocks]


def differences(part: Any, whole: Any, key: str = "") -> list[str]:
    """The keys of a configuration that another lacks or has another value for."""
    if not isinstance(part, dict):
        return [] if part == whole else [f"{key}: {part!r} is {whole!r}"]
    return [
        line for name in part for line in differences(part[name], (whole or {}).get(name), f"{key}.{name}".lstrip("."))
    ]


def test_the_translations_are_what_the_configuration_says(page: str, root: Path) -> None:
    found = translations(page)
    assert len(found) == 3
    for settings, command in found:
        overlay = re.search(r"--configfile config/(\w+)\.yaml", command)
        assert differences(settings, merged(root, overlay and overlay[1])) == []


JOBS = [
    {"augment_solutions": 512, "convert_hf_to_trtllm": 1, "grade_solutions": 1},
    {"prepare_released_data": 1, "convert_hf_to_nemo": 1, "train_leg": 1, "convert_nemo_to_hf": 1},
    {"convert_hf_to_trtllm": 1, "evaluate_greedy": 5, "judge_answers": 5, "compute_metrics": 5},
]


@pytest.mark.parametrize("number", range(3))
def test_the_command_of_a_translation_plans_what_the_document_runs(number: int, page: str, root: Path) -> None:
    _, command = translations(page)[number]
    words = command.replace("snakemake", f"{sys.executable} -m snakemake -n", 1)
    done = subprocess.run(["bash", "-c", words], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, flags=re.MULTILINE))
    assert {rule: int(jobs.get(rule, 0)) for rule in JOBS[number]} == JOBS[number]
    assert "solve_new_problems" not in jobs


# The contradictions.

CONTRADICTIONS = [
    "solution-augmentation/<dataset>/generation/output-rs{i}",
    "the key `problem`",
    "`predicted_answer`",
    "max_epochs=-1",
    "--average_steps 10000 20000",
    "15 minutes",
    "lacks its imports",
    "512 // 3.7",
    "sft_openmath_instruct.yaml",
    "filters.remove_contaminated",
    "Remaining code executions",
    "<dir>/generation/output-rs*.jsonl",
]


@pytest.mark.parametrize("text", CONTRADICTIONS)
def test_a_contradiction_of_the_documents_is_decided_in_one_place(text: str, deviations: str) -> None:
    (row,) = [cells for cells in table_under(deviations, "Contradictions of the documents") if text in cells[0]]
    assert row[1]
    assert [heading for heading, rows in tables(deviations) for cells in rows if text in cells[0]] == [
        "Contradictions of the documents"
    ]
