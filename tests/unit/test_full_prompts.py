"""The prompts and examples of the paper's run, in our own wording: they load, and they are put together as stated."""

import re
from pathlib import Path

import pytest
import yaml

from openmath.prompts import Prompt

SETS = {
    "math_text_detailed": (4, {"problem", "solution"}),
    "gsm8k_text_detailed": (5, {"problem", "solution"}),
    "math_problem_augmentation": (4, {"problem", "augmented_problem"}),
    "gsm8k_problem_augmentation": (8, {"problem", "augmented_problem"}),
}
USES = [
    ("solve_base", "llama3-base", "math_text_detailed"),
    ("solve_base", "llama3-base", "gsm8k_text_detailed"),
    ("solve", "llama3-instruct", "math_text_detailed"),
    ("invent", "llama3-instruct", "math_problem_augmentation"),
    ("invent_similar", "llama3-instruct", "gsm8k_problem_augmentation"),
]
RECORD = {"problem": "What is {x}?", "candidate": "OTHER", "expected_answer": "GOLD", "predicted_answer": "GUESS"}


def load(root: Path, prompt: str, template: str | None = None, examples: str | None = None) -> Prompt:
    return Prompt.load(
        root / f"resources/prompts/full/{prompt}.yaml",
        root / f"resources/templates/{template}.yaml" if template else None,
        root / f"resources/few_shot/{examples}.yaml" if examples else None,
    )


def examples_of(root: Path, name: str) -> list[dict[str, str]]:
    return list(yaml.safe_load((root / f"resources/few_shot/{name}.yaml").read_text("utf-8")))


@pytest.mark.parametrize(("name", "size", "fields"), [(name, *shape) for name, shape in SETS.items()])
def test_example_sets_have_their_size_and_fields(root: Path, name: str, size: int, fields: set[str]) -> None:
    examples = examples_of(root, name)
    assert len(examples) == size
    for example in examples:
        assert set(example) == fields
        assert all(text == text.strip() != "" for text in example.values())


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("math_text_detailed", ["-48", r"\text{odd}", r"49 \pi", r"\begin{pmatrix} 3 \\ 1 \\ 2 \end{pmatrix}"]),
        ("gsm8k_text_detailed", ["36", "49", "18:55", "36", "90"]),
    ],
)
def test_every_worked_example_boxes_its_answer_once_in_the_last_lines(
    root: Path, name: str, answers: list[str]
) -> None:
    from openmath.reference_answers import boxed_entries

    for example, answer in zip(examples_of(root, name), answers, strict=True):
        assert boxed_entries(example["solution"]) == [answer]
        assert "\\boxed" in "\n".join(example["solution"].splitlines()[-2:])


def test_no_arithmetic_of_the_word_problems_is_wrong(root: Path) -> None:
    """Every ``$a op b = c$`` of the examples for grade-school problems holds."""
    checked = 0
    for example in examples_of(root, "gsm8k_text_detailed"):
        for left, operator, right, result in re.findall(
            r"\$([\d.]+) (\\cdot|[-+/]) ([\d.]+) = ([\d.]+)\$", example["solution"]
        ):
            a, b = float(left), float(right)
            value = {"\\cdot": a * b, "/": a / b, "+": a + b, "-": a - b}[operator]
            assert value == float(result)
            checked += 1
    assert checked >= 10


def test_no_example_is_a_benchmark_problem(root: Path, shared_data: Path) -> None:
    def words(text: str) -> str:
        return " ".join(re.findall(r"[a-z0-9]+", text.lower()))

    known = words(" ".join(path.read_text("utf-8") for path in sorted((shared_data / "benchmarks").iterdir())))
    for name in SETS:
        for example in examples_of(root, name):
            for field in ("problem", "augmented_problem"):
                assert words(example.get(field, "no such problem")) not in known


@pytest.mark.parametrize(("prompt", "template", "examples"), USES)
def test_prompts_show_all_examples_and_then_the_problem(root: Path, prompt: str, template: str, examples: str) -> None:
    text = load(root, prompt, template, examples).render(RECORD)
    assert isinstance(text, str)
    position = 0
    for example in examples_of(root, examples):
        for field in SETS[examples][1] - {"problem"}:
            # Six newlines end every example: the stop text of a base model.
            position = text.index(example[field] + "\n" * 6, position)
            assert text[position + len(example[field]) + 6] != "\n"
    assert text.index("What is {x}?") > position


def test_a_base_model_goes_on_with_the_solution(root: Path) -> None:
    prompt = load(root, "solve_base", "llama3-base", "gsm8k_text_detailed")
    text = prompt.render(RECORD)
    assert isinstance(text, str)
    assert text.startswith("<|begin_of_text|>Here are problems")
    assert text.endswith("\n\n\n\n\n\nProblem:\nWhat is {x}?\n\nSolution:\n")
    assert text.count("Problem:\n") == 6
    assert "\\boxed{}" in text
    assert prompt.stop == ["\n" * 6]


def test_the_prompt_of_training_and_evaluation_keeps_its_empty_system_block(root: Path) -> None:
    text = load(root, "solve", "llama3-instruct").render(RECORD)
    assert isinstance(text, str)
    system = "<|start_header_id|>system<|end_header_id|>\n\n<|eot_id|>"
    assert text.startswith(f"<|begin_of_text|>{system}<|start_header_id|>user<|end_header_id|>\n\n")
    assert text.endswith("inside \\boxed{}.\n\nWhat is {x}?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("judge", ["What is {x}?", "Predicted answer: GUESS\nExpected answer: GOLD", "$2\\sqrt{714}$"]),
        ("contamination", ["Problem 1:\nWhat is {x}?\n\nProblem 2:\nOTHER"]),
    ],
)
def test_checks_ask_for_their_verdict_as_chat_messages(root: Path, prompt: str, parts: list[str]) -> None:
    (message,) = load(root, prompt).render(RECORD)
    assert isinstance(message, dict)
    assert message["role"] == "user"
    for part in parts:
        assert part in message["content"]


def test_the_judge_sees_six_examples_with_both_verdicts(root: Path) -> None:
    (message,) = load(root, "judge").render(RECORD)
    assert isinstance(message, dict)
    assert re.findall(r"^Judgement: (\w+)$", message["content"], re.MULTILINE) == [
        "Yes",
        "Yes",
        "No",
        "Yes",
        "Yes",
        "No",
    ]
