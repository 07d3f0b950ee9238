"""The documents: links lead somewhere, commands ask for what there is, messages are those of the code."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.api import ConfigSettings, ResourceSettings, SnakemakeApi, StorageSettings, WorkflowSettings
from snakemake.utils import update_config

from openmath.config import check_config

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").rglob("*.md")])

FENCE = re.compile(r"^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\((?P<target>[^)\s]+)\)|^\[[^\]\n]+\]: (?P<reference>\S+)$", re.MULTILINE)
OVERLAY = re.compile(r"# (?P<name>[\w.-]+\.yaml)\n(?P<text>.*)", re.DOTALL)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(document: Path) -> str:
    """A document without its blocks of code."""
    return FENCE.sub("", document.read_text("utf-8"))


def blocks(document: Path, language: str) -> list[str]:
    """The blocks of code in a language."""
    return [match["text"] for match in FENCE.finditer(document.read_text("utf-8")) if match["language"] == language]


def anchors(document: Path) -> set[str]:
    """The names of a document's headings, as they stand in addresses."""
    headings = re.findall(r"^#+ (.+)$", prose(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# Links.


def test_the_documents_are_found() -> None:
    assert {"README.md", "config/README.md", "docs/cluster.md"} <= {named(document) for document in DOCUMENTS}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for match in LINK.finditer(prose(document)):
        target, _, heading = (match["target"] or match["reference"]).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = document.parent / target if target else document
        assert file.exists(), f"{target} is no file"
        if heading:
            assert heading in anchors(file), f"{target or document.name} has no heading #{heading}"


# Commands and overlays.


def commands(document: Path) -> Iterator[list[str]]:
    """The words of the Snakemake calls of a document, from `snakemake` on, in blocks and in lines."""
    spans = re.findall(r"`(snakemake [^`]+)`", prose(document))
    for text in [*blocks(document, "bash"), *spans]:
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while "snakemake" in words:
                words = words[words.index("snakemake") :]
                end = words.index("&&") if "&&" in words else len(words)
                yield words[:end]
                words = words[end:]


def expanded(word: str) -> list[str]:
    """What a shell makes of the braces of a word."""
    match = re.search(r"\{([^{}]*,[^{}]*)\}", word)
    if match is None:
        return [word]
    return [
        name
        for choice in match[1].split(",")
        for name in expanded(word[: match.start()] + choice + word[match.end() :])
    ]


def values_of(option: str, words: list[str]) -> list[str]:
    """The values that stand behind an option: one, or as many as there are before the next option."""
    found = []
    for number, word in enumerate(words):
        if word == option:
            for value in words[number + 1 :]:
                if value.startswith("-") or (option == "--profile" and found):
                    break
                found.append(value)
    return found


def overlays() -> dict[str, Any]:
    """The overlays that documents show whole: blocks that begin with the name of a file."""
    found = {}
    for document in DOCUMENTS:
        for block in blocks(document, "yaml"):
            if match := OVERLAY.match(block):
                assert match["name"] not in found, f"two overlays are named {match['name']}"
                found[match["name"]] = yaml.safe_load(match["text"])
    return found


OVERLAYS = overlays()
COMMANDS = [(named(document), words) for document in DOCUMENTS for words in commands(document)]


def paper() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    return config


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_that_is_shown_is_accepted(name: str) -> None:
    config = paper()
    update_config(config, OVERLAYS[name])
    check_config(config, ROOT)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The rules under a configuration that knows the names of all overlays, with the paths of the paper."""
    shown = tmp_path_factory.mktemp("shown")
    for name, overlay in OVERLAYS.items():
        (shown / name).write_text(yaml.safe_dump(overlay))
    shipped = sorted((ROOT / "config").glob("*.yaml"))
    # The paper at last: what is defined stays, and what is selected is the paper's again.
    last = [ROOT / "config/config.yaml"]
    with SnakemakeApi() as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[*shipped, *sorted(shown.iterdir()), *last]),
            storage_settings=StorageSettings(),
            workflow_settings=WorkflowSettings(),
            snakefile=ROOT / "Snakefile",
            workdir=ROOT,
        )
        return list(workflow._workflow.rules)


def pathvars(words: list[str]) -> dict[str, str]:
    """Where a command writes: the pathvars of the paper and of the overlays that it names."""
    found = paper()["pathvars"]
    files = values_of("--configfile", words)
    for profile in values_of("--profile", words):
        settings = yaml.safe_load((ROOT / profile / "config.yaml").read_text("utf-8"))
        files = files or settings.get("configfile", [])
    for file in files:
        overlay = OVERLAYS[file] if file in OVERLAYS else yaml.safe_load((ROOT / file).read_text("utf-8"))
        found |= overlay.get("pathvars", {})
    return found


def as_in_the_paper(target: str, places: dict[str, str]) -> str:
    """A target with the folders of the paper; the longest folder first, as one may stand in another."""
    for name in sorted(("results", "resources"), key=lambda name: -len(places[name])):
        if target.startswith(f"{places[name]}/"):
            return f"{name}{target.removeprefix(places[name])}"
    return f"{target} (which is neither below {places['results']} nor below {places['resources']})"


def test_commands_are_found() -> None:
    assert len(COMMANDS) > 30
    assert {"README.md", "docs/cluster.md", "docs/extending.md", "docs/from_nemo_skills.md"} <= dict(COMMANDS).keys()


@pytest.mark.parametrize(("document", "words"), COMMANDS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_command_asks_for_what_a_rule_makes(document: str, words: list[str], rules: list[Any]) -> None:
    for file in values_of("--configfile", words):
        assert file in OVERLAYS or (ROOT / file).is_file(), f"there is no overlay {file}"
    for profile in values_of("--profile", words):
        assert (ROOT / profile / "config.yaml").is_file(), f"there is no profile {profile}"
    for rule in [*values_of("--until", words), *values_of("--forcerun", words)]:
        assert rule in {each.name for each in rules}, f"there is no rule {rule}"
    for size in values_of("--group-components", words):
        assert size.partition("=")[0] in {each.name for each in rules}, f"there is no rule of {size}"
    for word in words:
        for target in expanded(word) if word.startswith(("results/", "resources/")) else []:
            wanted = as_in_the_paper(target, pathvars(words))
            assert any(rule.is_producer(wanted) for rule in rules), f"no rule makes {wanted}"


# Keys of the configuration.


def schema_has(schema: dict[str, Any], key: str) -> bool:
    """Whether a key, with its dots, is one of the schema; `*` is any name."""
    definitions = schema["$defs"]
    for part in key.split("."):
        if "$ref" in schema:
            schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
        known = schema.get("properties", {})
        further = schema.get("additionalProperties")
        if part in known:
            schema = known[part]
        elif isinstance(further, dict) and (part == "*" or not known):
            schema = further
        else:
            return False
    return True


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "config/schemas/config.schema.yaml").read_text("utf-8"))
    return found


@pytest.mark.parametrize("document", ["config/README.md", "docs/cluster.md", "docs/extending.md"])
def test_every_key_that_is_named_is_in_the_schema(document: str, schema: dict[str, Any]) -> None:
    sections = "|".join(schema["properties"])
    named_keys = set(re.findall(rf"`((?:{sections})(?:\.[\w*-]+)+)`", prose(ROOT / document)))
    assert named_keys, "no key is named"
    assert [key for key in sorted(named_keys) if not schema_has(schema, key)] == []


def test_every_key_is_explained(schema: dict[str, Any]) -> None:
    """A table of config/README.md has every key that a person sets, but those of sampling and of small models."""
    text = prose(ROOT / "config/README.md")
    for section, settings in schema["properties"].items():
        for key in settings.get("properties", {}):
            shared = key in ("model", "prompt", "template", "sampling")
            assert shared or f"`{section}.{key}" in text, f"{section}.{key} is not explained"
        further = settings.get("additionalProperties")
        for key in further["properties"] if isinstance(further, dict) else {}:
            assert f"`{section}.*.{key}" in text, f"{section}.*.{key} is not explained"
    for key in schema["$defs"]["server"]["properties"]:
        assert f"`models.*.server.{key}" in text, f"server.{key} is not explained"


def test_a_key_that_the_schema_lacks_is_found(schema: dict[str, Any]) -> None:
    assert schema_has(schema, "training.*.packing.capacity")
    assert schema_has(schema, "datasets.math.solution_seeds")
    assert not schema_has(schema, "training.*.packing.length")
    assert not schema_has(schema, "judge.*")


# Messages.


def source_text() -> str:
    """The code, with texts that are written in several pieces put together."""
    files = [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "rules").glob("*.smk")]
    text = "\n".join(file.read_text("utf-8") for file in sorted(files))
    return re.sub(r'"\s*\n\s*f?"', "", text)


def messages() -> list[str]:
    """The messages of docs/troubleshooting.md that are ours: the first column of the tables that are headed so."""
    found, ours = [], False
    for line in prose(ROOT / "docs/troubleshooting.md").splitlines():
        if not line.startswith("|"):
            ours = False
        elif line.startswith("| message |"):
            ours = True
        elif ours and not line.startswith("|---"):
            found += re.findall(r"`([^`]+)`", line.split(" | ")[0])
    return found


def test_messages_are_found() -> None:
    assert len(messages()) >= 40


@pytest.mark.parametrize("message", messages())
def test_a_message_is_one_of_the_code(message: str) -> None:
    text = source_text()
    for piece in message.split("..."):
        assert piece in text, f"{piece!r} stands nowhere in the code"


# Metadata.


def test_the_citation_names_this_version_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    (article,) = citation["references"]
    assert len(article["authors"]) == 6
    assert article["url"] == "https://arxiv.org/abs/2410.01560"


def test_the_catalogue_is_told_how_the_workflow_is_called() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text("utf-8"))["usage"]
    assert usage["software-stack-deployment"] == {
        "conda": True,
        "apptainer": False,
        "apptainer+conda": False,
        "report": True,
    }
    (profile,) = values_of("--profile", usage["mandatory-flags"]["flags"].split())
    assert (ROOT / profile / "config.yaml").is_file()
    assert usage["mandatory-flags"]["desc"]
