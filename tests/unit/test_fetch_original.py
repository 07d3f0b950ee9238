"""Originals of the paper: fetched by their sums, converted to the letter, never run. All wording here is our own."""

import hashlib
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import fetch_original
from openmath.originals import EXAMPLE_SETS, PROMPTS, OriginalError, dump_yaml, rename_placeholders
from openmath.prompts import Prompt
from openmath.sources import COLUMNS, read_registry

BASE = r"""
# A remark of the original.
system: ""
few_shot_examples:
  prefix: "Look at these. The result stands in \\boxed{}.\n\n"
  template: "Task:\n{problem}\n\nWay:\n{solution}\n\n\n\n\n\n"
  suffix: "Task:\n"
  examples_type: null
user: "{examples}{problem}\n\nWay:\n"
"""

# Sets are assigned to names or stand in the map; texts are joined, raw or stripped; statements may follow.
MODULE = r'''
import os

short: list[dict[str, str]] = [{"problem": "p", "solution": "s"}]
hats = "Ada has 3 {red} hats " "and buys 4. How many hats?"
detailed = [
    {
        "problem": hats,
        "solution": r"$3 + 4 = \boxed{7}$",
    },
    {
        'problem': """
Two lines,
  the second is set in.
""".strip(),
        'solution': "Ünit \u2212 and a tab\t\\end\n",
    },
]

examples_map: dict[str, list[dict[str, str]]] = {
    "with_code": [{"problem": f"{os.name}", "solution": str(1)}],
    "gsm8k_text_detailed": detailed,
    "math_text_detailed": [{"problem": "p", "solution": "s"}],
}

for number in range(3):
    examples_map[f"short_{number}"] = short[:number]
open("run.txt", "w").write("run")
'''
EXAMPLES = [
    {"problem": "Ada has 3 {red} hats and buys 4. How many hats?", "solution": r"$3 + 4 = \boxed{7}$"},
    {"problem": "Two lines,\n  the second is set in.", "solution": "Ünit \N{MINUS SIGN} and a tab\t\\end\n"},
]
SET = "few_shot/gsm8k_text_detailed"


class Originals:
    """A registry of the test's own; its files lie in OPENMATH_SOURCES."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "sources").mkdir()
        self.lines = ["\t".join(COLUMNS)]
        monkeypatch.setenv("OPENMATH_SOURCES", str(folder / "sources"))

    def add(self, name: str, content: str, form: str | None = None) -> Path:
        """One line of the registry, and its file."""
        file = self.folder / "sources" / name.replace("/", "-")
        file.write_text(content, "utf-8")
        url, checksum = f"https://example.invalid/owner/c0ffee/{name}", hashlib.sha256(content.encode()).hexdigest()
        form = form or ("few-shot" if name.startswith("few_shot/") else "prompt")
        self.lines.append("\t".join([name, form, file.name, url, "", checksum, "", "", "Apache-2.0", "c0ffee"]))
        return file

    def fetch(self, name: str) -> Path:
        """Run the step for one name."""
        registry, output = self.folder / "originals.tsv", self.folder / f"out/{name}.yaml"
        registry.write_text("\n".join(self.lines) + "\n")
        arguments = ("--name", name, "--registry", str(registry), "--cache", str(self.folder / "cache"))
        fetch_original.main([*arguments, "--output", str(output)])
        return output

    def convert(self, name: str, content: str, form: str | None = None) -> Path:
        """Bring one original into our form."""
        self.add(name, content, form)
        return self.fetch(name)


@pytest.fixture
def originals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Originals:
    return Originals(tmp_path, monkeypatch)


def prompt_file(user: str, **others: object) -> str:
    """An original prompt file."""
    return yaml.safe_dump({"user": user, **others}, allow_unicode=True)


def load(path: Path) -> object:
    return yaml.safe_load(path.read_text("utf-8"))


def test_a_base_prompt_with_two_examples_is_assembled_to_the_letter(root: Path, originals: Originals) -> None:
    prompt, examples = originals.convert("generic/math-base", BASE), originals.convert(SET, MODULE)
    rendered = Prompt.load(prompt, root / "resources/templates/llama3-base.yaml", examples).render(
        {"problem": "1 {+} 1?"}
    )
    assert rendered == (
        "<|begin_of_text|>"
        "Look at these. The result stands in \\boxed{}.\n\n"
        "Task:\nAda has 3 {red} hats and buys 4. How many hats?\n\nWay:\n$3 + 4 = \\boxed{7}$\n\n\n\n\n\n"
        "Task:\nTwo lines,\n  the second is set in.\n\nWay:\nÜnit − and a tab\t\\end\n\n\n\n\n\n\n"
        "Task:\n1 {+} 1?\n\nWay:\n"
    )


def test_without_examples_an_instruct_prompt_keeps_its_empty_system_block(root: Path, originals: Originals) -> None:
    prompt = originals.convert("generic/math", BASE.replace("{examples}", "Box it: \\\\boxed{{}}.\\n\\n{examples}"))
    rendered = Prompt.load(prompt, root / "resources/templates/llama3-instruct.yaml").render({"problem": "1+1?"})
    assert rendered == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nBox it: \\boxed{}.\n\n1+1?\n\nWay:\n<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_a_prompt_has_our_keys_and_says_where_it_comes_from(originals: Originals) -> None:
    output = originals.convert("generic/math-base", BASE)
    assert load(output) == {
        "system": "",
        "user": "{examples}{problem}\n\nWay:\n",
        "few_shot": {
            "prefix": "Look at these. The result stands in \\boxed{}.\n\n",
            "example": "Task:\n{problem}\n\nWay:\n{solution}\n\n\n\n\n\n",
            "suffix": "Task:\n",
        },
    }
    first = output.read_text("utf-8").splitlines()[0]
    assert first == ("# Converted from https://example.invalid/owner/c0ffee/generic/math-base; licence: Apache-2.0.")


def test_what_is_null_is_left_out(originals: Originals) -> None:
    output = originals.convert("judge/math", prompt_file("{problem}", system=None, few_shot_examples=None, more=None))
    assert load(output) == {"system": "", "user": "{problem}"}


def test_the_same_original_gives_the_same_bytes(originals: Originals) -> None:
    first = originals.convert(SET, MODULE).read_bytes()
    assert originals.fetch(SET).read_bytes() == first


def test_one_set_of_a_module_is_read_and_the_module_is_not_run(
    originals: Originals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = originals.convert(SET, MODULE)
    assert load(output) == EXAMPLES
    assert not list(tmp_path.rglob("run.txt"))


def test_several_sets_may_stand_in_one_file(originals: Originals) -> None:
    originals.add(SET, MODULE)
    originals.lines.append(originals.lines[1].replace(SET, "few_shot/math_text_detailed", 1))
    assert load(originals.fetch(SET)) == EXAMPLES
    assert load(originals.fetch("few_shot/math_text_detailed")) == [{"problem": "p", "solution": "s"}]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        pytest.param("[{'problem': 'p', 'solution': f'{x}'}]", "an f-string", id="f-string"),
        pytest.param("[{'problem': 'p', 'solution': other}]", "an unknown name", id="unknown name"),
        pytest.param("itself", "an unknown name", id="a name that stands for itself"),
        pytest.param("[{'problem': 'p', 'solution': open('run.txt', 'w').write('')}]", "code", id="call"),
        pytest.param("[{'problem': 'p', 'solution': 's'.strip('s')}]", "code", id="strip of other characters"),
        pytest.param("[{'problem': 'p', 'solution': 's'.upper()}]", "code", id="another method"),
        pytest.param("[{'problem': 'p', **{'solution': 's'}}]", "code", id="unpacking"),
        pytest.param("[{'problem': 'p', 'solution': 's'}] * 2", "code", id="operator"),
    ],
)
def test_code_in_a_set_is_told_with_its_line(
    originals: Originals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    content = f"itself = [\nitself]\nexamples_map = {{'gsm8k_text_detailed':\n{value}}}\n"
    line = 2 if value == "itself" else 4
    with pytest.raises(SystemExit, match=rf"^fetch_original: .*: gsm8k_text_detailed: {what} in line {line}, "):
        originals.convert(SET, content)
    assert not list(tmp_path.rglob("run.txt"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param("examples_map = {'math': []}", "no set 'gsm8k_text_detailed'", id="another set"),
        pytest.param("examples_map = dict()", "no mapping is assigned to examples_map", id="no literal"),
        pytest.param("examples = {}", "no mapping is assigned to examples_map", id="another name"),
        pytest.param("examples_map = {", "is no Python module", id="no Python"),
        pytest.param("examples_map = {'gsm8k_text_detailed': []}", "is no list of examples", id="empty set"),
        pytest.param("examples_map = {'gsm8k_text_detailed': ['p']}", "example 1 is no mapping", id="no mapping"),
        pytest.param(
            "examples_map = {'gsm8k_text_detailed': [{'problem': 'p', 'solution': 's'}, {'problem': 'p'}]}",
            "example 2: solution is missing",
            id="an example without solution",
        ),
        pytest.param(
            "examples_map = {'gsm8k_text_detailed': [{'problem': 'p', 'solution': 's', 'level': 3}]}",
            "example 1: level is no text",
            id="a number",
        ),
        pytest.param("examples_map = {'gsm8k_text_detailed': [{[]: 'p'}]}", "a key is no text", id="a list as key"),
    ],
)
def test_a_module_of_another_shape_is_told(originals: Originals, content: str, sentence: str) -> None:
    with pytest.raises(SystemExit, match=rf"fetch_original: .*few_shot-gsm8k_text_detailed.*{sentence}"):
        originals.convert(SET, content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("examples_map = {'gsm8k_text_detailed': first, 'gsm8k_text_detailed': last}", id="keys"),
        pytest.param("first = last\nexamples_map = {'gsm8k_text_detailed': first}", id="names"),
        pytest.param("examples_map = {}\nexamples_map = {'gsm8k_text_detailed': last}", id="maps"),
    ],
)
def test_of_two_values_the_last_counts_as_in_python(originals: Originals, content: str) -> None:
    sets = "".join(f"{name} = [{{'problem': '{name}', 'solution': 's'}}]\n" for name in ("first", "last"))
    assert load(originals.convert(SET, sets + content)) == [{"problem": "last", "solution": "s"}]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        pytest.param("judge/math", prompt_file("{problem} {answer}"), r"\{answer\}", id="unknown placeholder"),
        pytest.param("judge/math", prompt_file("{problem!r}"), r"\{problem!r\}", id="conversion"),
        pytest.param("judge/math", prompt_file("{problem:>9}"), r"\{problem:>9\}", id="format"),
        pytest.param("judge/math", prompt_file("{problem[0]}"), r"\{problem\[0\]\}", id="part of a value"),
        pytest.param("judge/math", prompt_file("{}"), r"\{\}", id="placeholder without a name"),
        pytest.param("generic/math", prompt_file("{problem1}"), r"\{problem1\}", id="renamed only where it is known"),
        pytest.param(
            "generic/math",
            prompt_file("{problem}", few_shot_examples={"template": "{problem} {augmented_problem}"}),
            r"few_shot_examples\.template has the unknown placeholder \{augmented_problem\}",
            id="unknown placeholder of an example",
        ),
        pytest.param("judge/math", prompt_file(r"\boxed{"), "user: ", id="single brace"),
        pytest.param("judge/check-contamination", prompt_file("{problem} {problem1}"), "both", id="two for one"),
        pytest.param("judge/math", prompt_file("x", system="{problem}"), "system has braces", id="filled system text"),
        pytest.param("judge/math", prompt_file("x", tools="y"), "the key 'tools'", id="unknown key"),
        pytest.param(
            "generic/math",
            prompt_file("{problem}", few_shot_examples={"template": "{problem}", "examples_type": "some_set"}),
            "few_shot_examples has the key 'examples_type'",
            id="unknown key of the examples",
        ),
        pytest.param("judge/math", "system: x", "user is missing", id="no user text"),
        pytest.param("judge/math", "user: 3", "user is no text", id="a number"),
        pytest.param("judge/math", "- user", "is no mapping", id="no mapping"),
        pytest.param("judge/math", "user: 'x", "is no YAML", id="no YAML"),
    ],
)
def test_a_prompt_that_we_cannot_fill_is_told(originals: Originals, name: str, content: str, sentence: str) -> None:
    file = re.escape(name.replace("/", "-"))
    with pytest.raises(SystemExit, match=rf"^fetch_original: .*{file}.*{sentence}"):
        originals.convert(name, content)
    assert not (originals.folder / "out").exists()


@pytest.mark.parametrize("user", ["A: {problem1}\nB: {problem2}\n{{}}", "A: {problem}\nB: {candidate}\n{{}}"])
def test_the_two_problems_of_the_contamination_check_get_our_names(originals: Originals, user: str) -> None:
    output = originals.convert("judge/check-contamination", prompt_file(user))
    messages = Prompt.load(output).render({"problem": "first", "candidate": "second"})
    assert messages == [{"role": "user", "content": "A: first\nB: second\n{}"}]


def test_a_wrong_sum_is_told_with_both_sums_and_the_file(originals: Originals) -> None:
    file = originals.add("judge/math", prompt_file("{problem}"))
    meant = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_text("spoilt\n")
    with pytest.raises(SystemExit) as error:
        originals.fetch("judge/math")
    for part in ("fetch_original: ", str(file), meant, hashlib.sha256(b"spoilt\n").hexdigest()):
        assert part in str(error.value)
    assert not (originals.folder / "out").exists()


def test_a_name_or_form_that_nobody_knows_is_told(originals: Originals) -> None:
    with pytest.raises(SystemExit, match="no line named generic/math"):
        originals.fetch("generic/math")
    with pytest.raises(SystemExit, match="generic/other is no prompt that our stages use"):
        originals.convert("generic/other", prompt_file("{problem}"))
    with pytest.raises(SystemExit, match="the form of judge/math is 'template'"):
        originals.convert("judge/math", prompt_file("{problem}"), form="template")


AWKWARD = [
    "  leading spaces\nand\ttabs",
    "trailing spaces   \nand newlines\n\n\n\n\n\n",
    "\n\n  newlines first",
    "\\frac{1}{2} \\\\ \\n {{x}} {y}",
    "quotes \" and ' and # and : and - and | and >",
    "Ünïcode √2 𝔸 \x85 \u2028 \u2029 \ufeff \r\n \x7f \x00",
    " ",
    "\n",
    "",
    "yes",
    "null",
    "12:30",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_an_awkward_text_stays_byte_for_byte(text: str) -> None:
    prompt = {"system": text, "user": text + "{problem}", "few_shot": {"prefix": text, "example": text, "suffix": text}}
    assert yaml.safe_load(dump_yaml(prompt).encode()) == prompt
    examples = [{"problem": text, "solution": text}, {"problem": text, "solution": ""}]
    assert yaml.safe_load(dump_yaml(examples).encode()) == examples


# Half of the characters are those that YAML gives a meaning.
TEXTS = st.text(st.sampled_from(" \n\t\r#:-|>'\"\\{}[]&*!%@`,?x\x85\u2028\u2029\ufeff") | st.characters(codec="utf-8"))


@given(st.lists(st.dictionaries(st.sampled_from(["problem", "solution", "y"]), TEXTS), min_size=1))
def test_any_text_stays_as_it_is(examples: list[dict[str, str]]) -> None:
    assert yaml.safe_load(dump_yaml(examples).encode()) == examples


def test_ordinary_lines_are_written_as_they_are_read() -> None:
    assert dump_yaml({"user": "First line: {x}\n\n  Second \\boxed{{}}.\n\n\n", "suffix": "Task:\n"}) == (
        "user: |+\n  First line: {x}\n\n    Second \\boxed{{}}.\n\n\nsuffix: |\n  Task:\n"
    )


@given(st.lists(st.sampled_from(["{{", "}}", "{problem}", "{examples}", " ", "\n", "\\", "x", "é"])).map("".join))
def test_a_text_with_our_placeholders_stays_as_it_is(text: str) -> None:
    assert rename_placeholders(text, ("problem", "examples"), {}, "x.yaml") == text


def test_a_brace_alone_is_told_with_its_place() -> None:
    with pytest.raises(OriginalError, match=r"^x\.yaml: user: "):
        rename_placeholders("}", ("problem",), {}, "x.yaml: user")


SUMS = {
    "generic/math-base": "81da6ce0cc5b31c9c3f55be655b93d7b890db5711a04f250eb543bd90e14d2e4",
    "generic/math": "c5d264496bde7e60675c0343fb73e47b31820b2dd98c3d4227725db0a4814ab8",
    "generic/problem-augmentation": "5a71824fd6f5f99a4d2711e1d12b4ab99475368cfc1789c93069938ad1e4360d",
    "generic/problem-augmentation-similar": "39796ab87813ef0338e685bdf38f34b5955ced7b3b215bb7bdf9122a76f26f96",
    "judge/math": "98a6f501d69f0c916490c29af5e8beb1c98fb9fe51123344b9d7b1f10f8cd8a8",
    "judge/check-contamination": "60ffd955ea87398afbd421aebf28532c5a5cdc0bdc1935f59372001e2499ebbe",
    "few_shot/math_text_detailed": "534495970165f2ae78e4f9c53f3fb26b46bd6bb5428881e4cf9d9a8e7aca4cac",
    "few_shot/math_problem_augmentation": "534495970165f2ae78e4f9c53f3fb26b46bd6bb5428881e4cf9d9a8e7aca4cac",
    "few_shot/gsm8k_text_detailed": "17015cdc1aee117ff8ad35d5041aa3d82adbd3fe6fb2dda84d8ff197e04a85e1",
    "few_shot/gsm8k_problem_augmentation": "17015cdc1aee117ff8ad35d5041aa3d82adbd3fe6fb2dda84d8ff197e04a85e1",
    "openmath/tir": "921ccd7e390f5f183de781cc5d9c53aaa0638310361574ab10e4f4ee2f636c08",
    "openmath/genselect": "ccd78bc22d8ab0d4384b957c1805a7d50f5a2821800f5908cf0cb19f9f787ef1",
}
COMMITS = {
    "openmath/tir": "a5436fdf284f1d5ff0d0e18d6505147d34e79e92",
    "openmath/genselect": "cb3f35bc0bf024ab3923aa5025ae64fadb0518eb",
}


def path_of(name: str) -> str:
    """Where NeMo-Skills keeps an original."""
    if name.startswith("few_shot/"):
        return f"few_shot_examples/{'math' if 'math_' in name else 'gsm8k'}.py"
    return f"config/{name}.yaml"


def test_the_registry_of_the_repository_is_pinned(root: Path) -> None:
    registry = read_registry(root / "resources/originals.tsv")
    assert {name: entry.sum for name, (entry,) in registry.items()} == SUMS
    for name, (entry,) in registry.items():
        commit = COMMITS.get(name, "e718d393e7b82d671e78d9474c514d1f90b6ea11")
        path = f"nemo_skills/prompt/{path_of(name)}"
        assert entry.addresses == (f"https://raw.githubusercontent.com/NVIDIA/NeMo-Skills/{commit}/{path}",)
        assert entry.file == f"nemo-skills-{path.replace('/', '-')}"
        assert (entry.form, entry.licence, entry.revision) == (
            "few-shot" if name in EXAMPLE_SETS else "prompt",
            "Apache-2.0",
            commit,
        )
    assert {*PROMPTS, *EXAMPLE_SETS} == set(registry)


def test_a_file_name_stands_for_one_content_in_all_registries(root: Path) -> None:
    sums: dict[str, set[str]] = {}
    for registry in ("datasets", "originals"):
        for entries in read_registry(root / f"resources/{registry}.tsv").values():
            for entry in entries:
                sums.setdefault(entry.file, set()).add(entry.sum)
    assert [file for file, found in sums.items() if len(found) != 1] == []
