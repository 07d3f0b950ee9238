"""Prompts are assembled to the letter."""

from pathlib import Path

import pytest

from openmath.prompts import Prompt, Template


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_system_wrapper_stays_when_the_system_text_is_empty(root: Path, tmp_path: Path) -> None:
    prompt = write(tmp_path / "solve.yaml", 'user: "Solve {problem}"')
    rendered = Prompt.load(prompt, root / "resources/templates/llama3-instruct.yaml").render({"problem": "1+1?"})
    assert rendered == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nSolve 1+1?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_without_a_template_the_prompt_is_messages(tmp_path: Path) -> None:
    bare = Prompt.load(write(tmp_path / "bare.yaml", 'user: "{problem}"'))
    told = Prompt.load(write(tmp_path / "told.yaml", 'system: Be brief.\nuser: "{problem}"'))
    assert bare.render({"problem": "1+1?"}) == [{"role": "user", "content": "1+1?"}]
    assert told.render({"problem": "1+1?"})[0] == {"role": "system", "content": "Be brief."}
    assert bare.stop == []


def test_braces_of_a_value_stay_and_braces_of_the_prompt_are_doubled(tmp_path: Path) -> None:
    prompt = Prompt.load(write(tmp_path / "p.yaml", r'user: "In \\boxed{{}}: {problem}"'))
    assert prompt.render({"problem": r"\frac{1}{2} {x}"})[0]["content"] == r"In \boxed{}: \frac{1}{2} {x}"


def test_examples_stand_where_the_prompt_says(tmp_path: Path) -> None:
    prompt = write(
        tmp_path / "p.yaml",
        'user: "{examples}Q {problem}"\n'
        'few_shot: {prefix: "Look. ", example: "Q {problem} A {solution} ", suffix: "Now: "}',
    )
    examples = write(tmp_path / "e.yaml", "[{problem: p1, solution: s1}, {problem: p2, solution: s2}]")
    shown = Prompt.load(prompt, examples=examples).render({"problem": "p"})[0]["content"]
    assert shown == "Look. Q p1 A s1 Q p2 A s2 Now: Q p"
    assert Prompt.load(prompt).render({"problem": "p"})[0]["content"] == "Q p"


def test_a_mistake_in_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"p\.yaml: unknown key 'usr'"):
        Prompt.load(write(tmp_path / "p.yaml", "usr: x"))
    with pytest.raises(ValueError, match=r"t\.yaml: unknown key 'end'"):
        Template.load(write(tmp_path / "t.yaml", "end: x"))
    with pytest.raises(ValueError, match=r"q\.yaml: no key 'few_shot'"):
        Prompt.load(write(tmp_path / "q.yaml", "user: x"), examples=write(tmp_path / "e.yaml", "[]"))
