"""Verdicts on pairs of answers: labelled ones, those of the documentation, real benchmarks, real generations."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, get_args, get_type_hints

import pytest

from openmath.answers import DEFAULT, VERDICTS, Conventions, answers_equal, class_key, extract_answer, grade, kind_of
from openmath.answers.extraction import extract_after_hashes
from openmath.answers.reading import read
from openmath.answers.trees import Raw

ROOT = Path(__file__).resolve().parents[2]
LABELLED = sorted((ROOT / "tests/data/answers").glob("*.tsv"))
GUIDE = ROOT / "docs/grading.md"


class Pair(NamedTuple):
    """A labelled pair of answers."""

    kind: str
    expected: str
    predicted: str
    equal: str
    why: str


def labelled(path: Path) -> list[Pair]:
    """The pairs of a file, read as they stand: nothing in them is escaped."""
    lines = path.read_bytes().decode("utf-8").split("\n")
    return [Pair(*line.split("\t")) for line in lines[1:] if line]


def wrong_verdicts(pairs: list[Pair]) -> list[tuple[object, ...]]:
    """The pairs whose verdict is not their label, in either order."""
    wrong: list[tuple[object, ...]] = []
    for pair in pairs:
        for order in ((pair.expected, pair.predicted), (pair.predicted, pair.expected)):
            found = grade(*order)
            if (found.verdict == "correct") != (pair.equal == "yes"):
                wrong.append((pair.kind, *order, f"label: {pair.equal}", *found))
    return wrong


TIERS = ("text", "structure", "exact", "points", "symbolic")


class TestLabelledPairs:
    # Kinds that must not be without enough pairs, of either label.
    KINDS: ClassVar = {
        "integer", "fraction", "decimal", "repeating", "no_tolerance", "mixed_number", "grouping", "scientific",
        "large_number_word", "number_word", "percent", "units", "counted_noun", "degrees", "currency", "base",
        "ratio", "time_of_day", "date", "constant", "complex", "root", "log_trig", "name", "text",
        "multiple_choice", "no_solution", "layout", "plain_unicode", "polynomial", "rational_function", "radical",
        "equation", "inequality", "binomial_factorial", "abs_floor", "function", "power_exponential", "family",
        "subscript_greek", "assignments", "list", "set", "tuple", "interval", "union", "vector", "matrix",
        "congruence", "plus_minus", "system", "solutions",
    }  # fmt: skip

    @pytest.mark.parametrize("path", LABELLED, ids=[path.stem for path in LABELLED])
    def test_every_verdict_is_the_label_in_both_orders(self, path: Path) -> None:
        wrong = wrong_verdicts(labelled(path))
        assert not wrong, "\n".join(map(repr, wrong))

    @pytest.mark.parametrize("path", LABELLED, ids=[path.stem for path in LABELLED])
    def test_every_row_is_whole(self, path: Path) -> None:
        lines = path.read_bytes().decode("utf-8").split("\n")
        assert lines[0].split("\t") == [*Pair._fields]
        assert lines[-1] == ""
        broken = [line for line in lines[1:-1] if len(line.split("\t")) != 5 or not all(line.split("\t"))]
        assert broken == []
        pairs = labelled(path)
        assert {pair.equal for pair in pairs} == {"yes", "no"}
        counts = Counter((pair.expected, pair.predicted) for pair in pairs)
        assert [pair for pair, count in counts.items() if count > 1] == []

    def test_the_origin_of_every_file_is_told(self) -> None:
        folder = LABELLED[0].parent
        told = set(
            re.findall(r"^\| `([a-z_]+\.(?:tsv|jsonl))` \|", (folder / "README.md").read_text("utf-8"), re.MULTILINE)
        )
        assert told == {path.name for path in folder.iterdir()} - {"README.md"}

    def test_there_are_enough_of_each_kind_and_no_pair_has_two_labels(self) -> None:
        pairs = [pair for path in LABELLED for pair in labelled(path)]
        labels_of: dict[frozenset[str], set[str]] = {}
        for pair in pairs:
            labels_of.setdefault(frozenset((pair.expected, pair.predicted)), set()).add(pair.equal)
        assert len(labels_of) >= 2_000
        assert [pair for pair, found in labels_of.items() if len(found) > 1] == []
        labels = {kind: Counter(pair.equal for pair in pairs if pair.kind == kind) for kind in self.KINDS}
        assert {kind: label for kind, label in labels.items() if label.total() < 20 or min(label.values()) < 3} == {}

    def test_every_tier_decides_some(self) -> None:
        pairs = [pair for path in LABELLED for pair in labelled(path)]
        decided = {grade(pair.expected, pair.predicted) for pair in pairs}
        assert {found.tier for found in decided} == set(TIERS)
        assert {found.verdict for found in decided} <= set(VERDICTS)

    def test_equal_keys_are_equal_answers(self) -> None:
        by_key: dict[object, list[str]] = {}
        answers = {text for path in LABELLED for pair in labelled(path) for text in (pair.expected, pair.predicted)}
        for answer in sorted(answers):
            by_key.setdefault(class_key(answer), []).append(answer)
        shared = [group for group in by_key.values() if len(group) > 1]
        assert len(shared) > 100
        assert [group for group in shared if not all(answers_equal(group[0], other) for other in group[1:])] == []


# The documentation


def table_of(heading: str, columns: int) -> Iterator[list[str]]:
    """The rows of the first table with that many columns below a heading; code without its ticks."""
    section = GUIDE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    for table in re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        if len(rows[0]) == columns:
            yield from rows[2:]
            return
    raise AssertionError(f"no table of {columns} columns below {heading}")


def plain(cell: str) -> str:
    return cell.strip("`")


EXAMPLES = [[plain(cell) for cell in row] for row in table_of("What counts as equal", 4)]
OPTIONS = {plain(row[0]): [plain(value) for value in row[1].split(", ")] for row in table_of("Options", 3)}
UNDER_OPTIONS = [
    (plain(option), plain(expected), plain(predicted), [plain(value) for value in values.split(", ") if value], equal)
    for option, expected, predicted, *verdicts in table_of("Options", 5)
    for values, equal in zip(verdicts, (True, False), strict=True)
]
MISSED = [(plain(row[0]), plain(row[1])) for row in table_of("What is known to be missed", 3)]


class TestDocumentation:
    @pytest.mark.parametrize(
        ("number", "expected", "predicted", "label"), EXAMPLES, ids=[" ".join(row) for row in EXAMPLES]
    )
    def test_example(self, number: str, expected: str, predicted: str, label: str) -> None:
        assert label in ("yes", "no")
        assert answers_equal(expected, predicted) is (label == "yes")
        assert answers_equal(predicted, expected) is (label == "yes")

    def test_every_convention_has_an_example(self) -> None:
        assert {row[0] for row in EXAMPLES} == {str(number) for number in range(1, 17)}

    def test_options_values_and_defaults_are_those_of_the_code(self) -> None:
        hints = get_type_hints(Conventions)
        known = {field.name: set(get_args(hints[field.name])) for field in fields(Conventions)}
        assert {name: set(values) for name, values in OPTIONS.items()} == known
        assert {name: values[0] for name, values in OPTIONS.items()} == {name: getattr(DEFAULT, name) for name in known}

    @pytest.mark.parametrize(
        ("option", "expected", "predicted", "values", "equal"),
        [row for row in UNDER_OPTIONS if row[3]],
        ids=[f"{row[0]} {row[1]} {row[2]} {row[4]}" for row in UNDER_OPTIONS if row[3]],
    )
    def test_verdict_under_an_option(
        self, option: str, expected: str, predicted: str, values: list[str], equal: bool
    ) -> None:
        for value in values:
            options = Conventions.of({option: value})
            assert answers_equal(expected, predicted, options) is equal, value
            if (option, value) != ("rounding", "expected"):
                assert answers_equal(predicted, expected, options) is equal, value

    def test_each_row_names_all_values_and_some_row_tells_each_two_apart(self) -> None:
        verdicts: dict[tuple[str, ...], dict[str, bool]] = {}
        for option, expected, predicted, values, equal in UNDER_OPTIONS:
            verdicts.setdefault((option, expected, predicted), {}).update(dict.fromkeys(values, equal))
        for (option, *_), found in verdicts.items():
            assert set(found) == set(OPTIONS[option])
        for option, values in OPTIONS.items():
            rows = [found for (name, *_), found in verdicts.items() if name == option]
            told_apart = {
                pair for pair in itertools.combinations(values, 2) for row in rows if row[pair[0]] != row[pair[1]]
            }
            assert told_apart == set(itertools.combinations(values, 2))

    @pytest.mark.parametrize(("expected", "predicted"), MISSED, ids=[" ".join(row) for row in MISSED])
    def test_what_is_said_to_be_missed_is_missed(self, expected: str, predicted: str) -> None:
        assert not answers_equal(expected, predicted)
        assert not answers_equal(predicted, expected)

    def test_verdicts_and_tiers_are_those_of_the_code(self) -> None:
        text = GUIDE.read_text("utf-8")
        assert [plain(row[0]) for row in table_of("Verdicts and tiers", 3)] == [*TIERS]
        for verdict in VERDICTS:
            assert f"`{verdict}`" in text
        assert text.count("\n") < 250


class TestConventions:
    def test_an_unknown_name_is_refused_with_those_that_there_are(self) -> None:
        with pytest.raises(ValueError, match=r"no convention 'unit'; there are percent, units"):
            Conventions.of({"unit": "optional"})

    def test_an_unknown_value_is_refused_with_those_that_there_are(self) -> None:
        with pytest.raises(ValueError, match=r"percent: 'both' is none of either, unit, ratio"):
            Conventions.of({"percent": "both"})

    def test_what_is_not_named_stays(self) -> None:
        assert Conventions.of({}) == DEFAULT
        assert Conventions.of({"percent": "unit"}).units == DEFAULT.units


KINDS = {
    "number": [r"\frac{1}{2}", "5", "1,234", "0.5", r"\sqrt{4}"],
    "constant": [r"\sqrt{2}", r"2\pi", "e^2", "3+4i"],
    "expression": ["x^2 + 1", r"\frac{1}{x}"],
    "equation": ["x = 5", "x + y = 5"],
    "inequality": ["x > 5", r"1 < x \le 3"],
    "list": ["1, 2", r"\pm 3"],
    "set": [r"\{1, 2\}", r"(0,1) \cup (2,3)", r"\emptyset"],
    "tuple": ["(1, 2)", "[1, 2)"],
    "matrix": [r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"],
    "quantity": [r"5 \text{ cm}", r"10\%", r"\$5", r"60^\circ"],
    "numeral": ["52_8"],
    "ratio": ["3:2:1"],
    "time": ["4:30 p.m."],
    "choice": [r"\text{(C)}"],
    "congruence": [r"3 \pmod 7"],
    "text": [r"\text{Even}", "Monday"],
    "unread": ["2 +", r"\frac{1}{"],
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in KINDS.items() for text in texts], ids=lambda word: word
)
def test_kind(kind: str, text: str) -> None:
    assert kind_of(text) == kind


def test_nothing_equals_no_text() -> None:
    for blank in ("", " ", "$", "$$", r"\,", "."):
        assert not answers_equal("0", blank)
        assert not answers_equal(blank, "0")
        assert not answers_equal("{}", blank) or blank == "{}"


# Benchmarks


def load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def golds(benchmarks: Path) -> dict[str, list[str | None]]:
    """The expected answers of every benchmark."""
    found: dict[str, list[str | None]] = {}
    for name in ("gsm8k_train", "gsm8k_test"):
        found[name] = [extract_after_hashes(row["answer"]) for row in load(benchmarks / f"{name}.jsonl")]
    found["math_test"] = [extract_answer(row["solution"]) for row in load(benchmarks / "math_test_5000.jsonl")]
    for name in ("math500", "amc23", "aime24"):
        found[name] = [str(row["answer"]) for row in load(benchmarks / f"{name}.jsonl")]
    rows = json.loads((benchmarks / "math_train_deepscaler_7474.json").read_text("utf-8"))
    found["math_train"] = [str(row["answer"]) for row in rows]
    return found


ROWS = {
    "gsm8k_train": 7_473, "gsm8k_test": 1_319, "math_test": 5_000, "math500": 500, "amc23": 40, "aime24": 30,
    "math_train": 7_474,
}  # fmt: skip
# Rows whose source has no answer.
EMPTY = {("math_train", 5328), ("math_train", 5330)}
LAYOUTS: dict[str, Callable[[str], str]] = {
    "itself": lambda answer: answer,
    "blanks around it": lambda answer: f"\n {answer} \t",
    "in dollars": lambda answer: f"${answer}$",
    "in dollars, with a full stop": lambda answer: f"${answer}$.",
    "with a full stop": lambda answer: f"{answer}.",
    "in a box": lambda answer: rf"\boxed{{{answer}}}",
    "in delimiters": lambda answer: rf"\( {answer} \)",
    "with other fractions": lambda answer: answer.replace(r"\frac", r"\dfrac"),
    "with small fractions": lambda answer: answer.replace(r"\frac", r"\tfrac"),
    "with spaces": lambda answer: answer.replace("+", " + ").replace("-", r" -\,").replace("=", " = "),
    "with sized brackets": lambda answer: answer.replace("(", r"\left(").replace(")", r"\right)"),
}


@pytest.fixture(scope="module")
def answers(shared_data: Path) -> list[tuple[str, int, str]]:
    """(benchmark, row, expected answer) of all rows that have one."""
    found = golds(shared_data / "benchmarks")
    assert {name: len(rows) for name, rows in found.items()} == ROWS
    rows = [(name, row, answer or "") for name, rows in found.items() for row, answer in enumerate(rows)]
    assert {(name, row) for name, row, answer in rows if not answer} == EMPTY
    return [row for row in rows if row[2]]


class TestBenchmarks:
    @pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
    def test_every_expected_answer_equals_itself_in_every_layout(
        self, answers: list[tuple[str, int, str]], layout: Callable[[str], str]
    ) -> None:
        wrong = [(name, row, answer) for name, row, answer in answers if not answers_equal(answer, layout(answer))]
        assert wrong == []

    def test_every_expected_answer_is_read(self, answers: list[tuple[str, int, str]]) -> None:
        assert [(name, row, answer) for name, row, answer in answers if isinstance(read(answer), Raw)] == []

    def test_no_expected_number_equals_its_successor(self, answers: list[tuple[str, int, str]]) -> None:
        numbers = {answer for _, _, answer in answers if kind_of(answer) == "number"}
        assert len(numbers) > 2_000
        assert [answer for answer in sorted(numbers) if answers_equal(answer, f"{answer}+1")] == []


class TestRealGenerations:
    """Agreement with what other graders said of real generations; every difference is listed with its reason."""

    # (file, row): upstream's answer, ours.
    EXTRACTION: ClassVar = {
        (1, 48): (None, "958"),  # in \fbox, which upstream cannot see
        (2, 6): ("", None),  # the last box is empty
        (2, 40): ("", None),  # the last box is empty
    }
    # (file, row): upstream's verdict, ours.
    GRADING: ClassVar = {
        (0, 23): (False, True),  # "1320 km" for 1320: upstream knows no "km"
    }

    def test_nemo_skills(self, shared_data: Path) -> None:
        extraction, grading = {}, {}
        for seed in range(3):
            for row, record in enumerate(load(shared_data / f"generations/nemo_math_output-rs{seed}.jsonl")):
                theirs, ours = record["predicted_answer"], extract_answer(record["generation"])
                if ours != (theirs.strip() if theirs is not None else None):
                    extraction[seed, row] = (theirs, ours)
                elif ours is not None:
                    verdict = answers_equal(record["expected_answer"], ours)
                    if verdict != record["symbolic_correct"]:
                        grading[seed, row] = (record["symbolic_correct"], verdict)
        assert extraction == self.EXTRACTION
        assert grading == self.GRADING

    def test_qwen(self, shared_data: Path) -> None:
        differences = {}
        for row, record in enumerate(load(shared_data / "generations/qwen_math_cot_100x8.jsonl")):
            samples = zip(record["code"], record["pred"], record["score"], strict=True)
            for sample, (generation, theirs, score) in enumerate(samples):
                ours = extract_answer(generation)
                assert ours is not None
                assert answers_equal(theirs, ours)
                if answers_equal(record["gt"], ours) != score:
                    differences[row, sample] = (record["gt"], ours, score)
        assert differences == {
            # A gold with a braced grouping comma, which that grader refuses.
            (72, 7): ("10{,}000", "10000", False),
            # A gold that its preparation has cut short.
            **{(3, sample): ("4:30p..", r"4:30 \text{ p.m.}", False) for sample in range(8)},
        }

    def test_the_released_data_set(self, shared_data: Path) -> None:
        for record in load(shared_data / "generations/openmathinstruct2_sample100.jsonl"):
            answer = extract_answer(record["generated_solution"])
            assert answer is not None
            assert answers_equal(record["expected_answer"], answer)
