"""The answer of a solution, found in its text."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openmath.answers.extraction import (
    METHODS,
    Extractor,
    answer_state,
    compile_regex,
    ends_in_open_box,
    extract_after_hashes,
    extract_answer,
    extract_by_regex,
    extractor,
)

LABELLED = Path(__file__).resolve().parent.parent / "data" / "answers" / "extraction.jsonl"


def load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def extractor_of(row: dict[str, Any]) -> Extractor:
    method = row.get("method", "boxed")
    return extractor("regex", method["regex"]) if isinstance(method, dict) else extractor(method)


ROWS = load(LABELLED)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['kind']}: {row['why']}" for row in ROWS])
def test_labelled_solution(row: dict[str, Any]) -> None:
    assert extractor_of(row)(row["text"]) == row["answer"]


def test_the_labelled_set_is_whole() -> None:
    assert len(ROWS) >= 320
    assert len({row["kind"] for row in ROWS}) >= 30
    assert len({(row["text"], str(row.get("method"))) for row in ROWS}) == len(ROWS)


# Texts made of the pieces that solutions are made of, so that every branch is met.
PIECES = st.sampled_from(
    [
        *(
            "{",
            "}",
            r"\{",
            r"\}",
            "\\",
            r"\\",
            "$",
            " ",
            "\n",
            ",",
            ".",
            ";",
            "and",
            "or",
            "so",
            "1",
            "-",
            "x",
            "½",
            "中",
        ),
        *(r"\boxed", r"\boxed{", r"\fbox{", r"\boxed ", r"\framebox[2cm]{", r"\boxed{5}", r"\boxed{}", r"\box", "####"),
        *(
            r"\frac",
            r"\sqrt[3]",
            r"\text{and}",
            r"\quad",
            r"\(",
            r"\)",
            r"\[",
            r"\]",
            "(",
            ")",
            "[",
            "]",
            "**",
            "&",
            "~",
        ),
        *("\n#### 7", "\n####", "\n#### a:", "\r\n", "\u00a0", "\ud800"),
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)

# What may stand in a box, braces balanced: escaped braces and row ends are no braces.
LEAVES = st.sampled_from(
    ["1", "x", "+", ",", " ", "\n", "$", "√", "中", r"\{", r"\}", r"\\", r"\pi", r"\,", "[", ")", "%"]
)
CONTENTS = st.recursive(
    st.lists(LEAVES, max_size=4).map("".join),
    lambda inner: st.lists(inner | inner.map(lambda content: f"{{{content}}}"), max_size=4).map("".join),
    max_leaves=12,
).filter(lambda content: re.search("[1x√中]", content))


@given(TEXTS, CONTENTS, TEXTS.filter(lambda text: not re.search(r"box|\\$", text)))
@settings(max_examples=300, deadline=None)
@example("", r"\\{1}", "")
@example(r"\boxed(", "1", "}")
def test_what_is_boxed_last_comes_back_whatever_stands_before_and_after(before: str, content: str, after: str) -> None:
    assert extract_answer(rf"{before} so that \boxed{{{content}}}{after}") == content.strip()


@given(st.lists(CONTENTS, min_size=1, max_size=5), st.data())
@settings(max_examples=200, deadline=None)
def test_boxes_with_separators_between_are_one_answer(contents: list[str], data: st.DataObject) -> None:
    separators = st.sampled_from(
        [", ", "$, $", r"\) and \(", " or\n", r"\text{ or }", "; ", ", and ", r" \quad ", "、", " "]
    )
    text = rf"\boxed{{{contents[0]}}}"
    for content in contents[1:]:
        text += data.draw(separators) + rf"\boxed{{{content}}}"
    answer = extract_answer(f"The answers are ${text}$.")
    assert answer == ", ".join(dict.fromkeys(content.strip() for content in contents))


@given(CONTENTS, CONTENTS, st.sampled_from([" hence ", " = ", ". ", r" \Rightarrow ", "\n\n", r" \\ ", " and x = "]))
@settings(max_examples=100, deadline=None)
def test_boxes_with_anything_else_between_are_steps_and_a_result(one: str, other: str, between: str) -> None:
    assert extract_answer(rf"\boxed{{{one}}}{between}\boxed{{{other}}}") == other.strip()


@given(TEXTS | st.text())
@settings(max_examples=500, deadline=None)
def test_every_text_gives_none_or_a_stripped_answer(text: str) -> None:
    for method in METHODS:
        answer = extractor(method, r"[xX]|(\d*)" if method == "regex" else None)(text)
        assert answer is None or (answer and answer == answer.strip())
        assert (answer_state(text, "stop", answer) == "answer") is (answer is not None)
    if ends_in_open_box(text):
        assert extract_answer(text) is None


@given(TEXTS.map(lambda text: f"{text} so "), CONTENTS, st.sampled_from([r"\boxed", r"\fbox", r"\framebox"]), st.data())
@settings(max_examples=300, deadline=None)
def test_a_generation_that_ends_inside_of_its_box_is_truncated(
    before: str, content: str, command: str, data: st.DataObject
) -> None:
    whole = f"{before}{command}{{{content}}}"
    assert answer_state(whole, "length", extract_answer(whole)) == "answer"
    cut = whole[: data.draw(st.integers(len(before) + len(command) - 1, len(whole) - 1))]
    assert extract_answer(cut) is None
    assert answer_state(cut, "stop", None) == "truncated"


@pytest.mark.parametrize(
    ("text", "finish_reason", "state"),
    [
        pytest.param(r"\boxed{5}", "stop", "answer", id="a boxed answer"),
        pytest.param(r"\boxed{5}. To verify, we", "length", "answer", id="cut off after the answer"),
        pytest.param("so we add 3 and", "length", "truncated", id="cut off before any box"),
        pytest.param(r"\boxed{3}, then \boxed{7", "length", "truncated", id="cut off in the last box"),
        pytest.param(r"\boxed{3}, then \boxed{7", "stop", "truncated", id="the last box is open, though it stopped"),
        pytest.param(r"\boxed{3}, then \boxed{7", None, "truncated", id="the last box is open, the reason unknown"),
        pytest.param(r"in a \boxe", "stop", "truncated", id="cut off in the command"),
        pytest.param(r"\boxed\frac{1}{", "stop", "truncated", id="cut off in a box without braces"),
        pytest.param("The answer is 5.", "stop", "no_answer", id="an answer without its box"),
        pytest.param("The answer is 5.", None, "no_answer", id="no box, the reason unknown"),
        pytest.param(r"Put it in \boxed{}.", "stop", "no_answer", id="an empty box"),
        pytest.param(r"Put it in \boxed.", "stop", "no_answer", id="a mention of the command"),
        pytest.param("", "stop", "no_answer", id="nothing"),
    ],
)
def test_truncated_generations_are_told_apart(text: str, finish_reason: str | None, state: str) -> None:
    assert answer_state(text, finish_reason, extract_answer(text)) == state


@given(TEXTS, st.text(alphabet="0123456789,-$ x", min_size=1).map(str.strip).filter(bool))
@settings(max_examples=200, deadline=None)
def test_what_follows_the_last_hashes_comes_back(before: str, answer: str) -> None:
    assert extract_after_hashes(f"{before}\n#### {answer}.\nwords") == answer


# Each is repeated to a megabyte: a walk that started again at each piece would take hours.
HOSTILE = [
    *(
        r"\boxed{",
        "{",
        "}",
        r"\boxed",
        r"\boxed ",
        r"\boxed(",
        r"\boxed\frac{",
        r"\boxed{1}",
        r"\boxed{1} and ",
        r"\boxed 1",
    ),
    *(
        r"\boxed.",
        r"\boxed{}",
        r"\fbox{\{",
        r"\framebox[",
        r"\boxed{1}$ $",
        "\\",
        " ",
        "\n",
        "\n    ",
        "####",
        "#### 1\n",
    ),
]


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_a_megabyte_of_one_piece_takes_one_walk(piece: str) -> None:
    text = piece * (10**6 // len(piece))
    for end in ("", " " * 300, "x" * 300):
        extract_answer(rf"\boxed {text}{end}")
        extract_after_hashes(text + end)
        ends_in_open_box(text + end)
        assert extract_answer(rf"{text}{end} so that \boxed{{5}}") == "5"


def test_a_megabyte_of_nested_boxes_has_its_innermost_answer() -> None:
    assert extract_answer(r"\boxed{" * 120_000 + "7" + "}" * 120_000) == "7"


def test_a_gap_of_a_megabyte_is_walked_once_and_separates() -> None:
    assert extract_answer(rf"\boxed{{1}}{' ' * 10**6},\boxed{{2}}") == "2"


def test_a_box_without_braces_ends_within_its_bound() -> None:
    assert extract_answer(r"\boxed" + "7" * 200) == "7" * 200
    assert extract_answer(r"\boxed" + "7" * 201 + " and more") is None


def test_only_the_end_of_a_text_is_searched_by_an_expression() -> None:
    assert extract_by_regex("answer 1\n" + "x" * 10**6, r"answer (\d)") is None
    assert extract_by_regex("x" * 10**6 + "\nanswer 1", r"answer (\d)") == "1"


@pytest.mark.parametrize("method", METHODS)
def test_an_extractor_can_be_sent_to_another_process(method: str) -> None:
    find = pickle.loads(pickle.dumps(extractor(method, r"is (\d+)" if method == "regex" else None)))
    assert find(" \\boxed{5} is 5\n#### 5") == "5"


@pytest.mark.parametrize(
    ("method", "regex", "message"),
    [
        ("box", None, "'box' is no way to find answers; there are boxed, hashes, regex, boxed_or_hashes"),
        ("regex", None, "answers by 'regex' need a regular expression"),
        ("regex", "", "the regular expression for answers is empty"),
        ("regex", "(.+", r"'\(\.\+', cannot be used: missing \), unterminated subpattern"),
        ("regex", "a{99999999999999999999}", "cannot be used: the repetition number is too large"),
        ("boxed", "(.+)", "goes with the method 'regex', not with 'boxed'"),
    ],
    ids=["unknown method", "no expression", "empty expression", "open group", "huge repetition", "not its method"],
)
def test_a_wrong_method_is_refused_in_plain_words(method: str, regex: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        extractor(method, regex)


def test_an_expression_with_too_many_nested_groups_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        compile_regex("(" * 100_000 + ")" * 100_000)


def spelling(text: str) -> str:
    """An answer as the grader of the Qwen data writes it: without layout, units and blanks."""
    return re.sub(r"\s|\\[!,;]|\\left(?![a-z])|\\right(?![a-z])|\\text\{.*?\}|\$", "", text).replace("dfrac", "frac")


class TestRealTexts:
    """Agreement with what others found in real texts; every difference is listed with its reason."""

    def test_nemo_skills(self, shared_data: Path) -> None:
        differences = {}
        for seed in range(3):
            for row, record in enumerate(load(shared_data / f"generations/nemo_math_output-rs{seed}.jsonl")):
                theirs, ours = record["predicted_answer"], extract_answer(record["generation"])
                if ours != (theirs.strip() if theirs is not None else None):
                    differences[seed, row] = (theirs, ours)
        assert differences == {
            (1, 48): (None, "958"),  # in \fbox, which upstream cannot see
            (2, 6): ("", None),  # the last box is empty
            (2, 40): ("", None),  # the last box is empty
        }

    def test_released_solutions(self, shared_data: Path) -> None:
        for record in load(shared_data / "generations/openmathinstruct2_sample100.jsonl"):
            assert extract_answer(record["generated_solution"]) == record["expected_answer"]

    def test_qwen(self, shared_data: Path) -> None:
        differences = {}
        for row, record in enumerate(load(shared_data / "generations/qwen_math_cot_100x8.jsonl")):
            for sample, (generation, theirs) in enumerate(zip(record["code"], record["pred"], strict=True)):
                ours = extract_answer(generation)
                if ours is None or spelling(ours) != spelling(theirs):
                    differences[row, sample] = (theirs, ours)
        # Two spellings of one value, with "or" between their boxes.
        assert differences == {(72, 6): (r"9999\frac{6}{7}", r"9999.857142857143, 9999 \frac{6}{7}")}

    def test_reference_solutions_of_math(self, shared_data: Path) -> None:
        differences = {}
        for row, record in enumerate(load(shared_data / "benchmarks/math500.jsonl")):
            if (ours := extract_answer(record["solution"])) != record["answer"]:
                differences[row] = (record["answer"], ours)
        # Two spellings of one value, with "or" between their boxes.
        assert differences == {451: (r"\frac{639}{40}", r"15\frac{39}{40}, \frac{639}{40}")}
        assert all(extract_answer(row["solution"]) for row in load(shared_data / "benchmarks/math_test_5000.jsonl"))

    @pytest.mark.parametrize("half", ["gsm8k_test", "gsm8k_train"])
    def test_reference_solutions_of_gsm8k(self, half: str, shared_data: Path) -> None:
        for record in load(shared_data / f"benchmarks/{half}.jsonl"):
            assert extract_after_hashes(record["answer"]) == record["answer"].split("#### ")[1]
            assert extract_answer(record["answer"]) is None
