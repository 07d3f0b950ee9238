"""The table of disagreements with Math-Verify. Where it is installed it is asked for real."""

import importlib.util
import logging
from collections import Counter
from pathlib import Path

import pytest

import audit_grading
from openmath.auditing import (
    Audited,
    Seen,
    count_table,
    examples,
    math_verify_verdict,
    math_verify_verdicts,
    pairs_of_answers,
    pairs_of_file,
    summary,
)
from openmath.records import Record, RecordError, read_jsonl, write_jsonl

INSTALLED = importlib.util.find_spec("math_verify") is not None
needs_math_verify = pytest.mark.skipif(not INSTALLED, reason='needs Math-Verify: pip install -e ".[audit]"')

PROBLEMS = [{"id": "a", "expected_answer": "1/2"}, {"id": "b", "expected_answer": "(1,2]"}]


def answer(identifier: str, seed: int | None, predicted: str | None, verdict: str) -> Record:
    return {"id": identifier, "seed": seed, "predicted_answer": predicted, "verdict": verdict}


ANSWERS = [
    answer("a", None, "0.5", "correct"), answer("b", None, "(1,2)", "incorrect"),
    answer("a", 0, "0.5", "correct"), answer("b", 0, None, "no_answer"),
    answer("a", 1, "2", "incorrect"), answer("b", 1, "(1,2]", "correct"),
    answer("a", 2, r"\frac{", "unparsed"), answer("b", 2, "(1,2)", "incorrect"),
]  # fmt: skip


def write_folder(folder: Path, answers: list[Record] = ANSWERS) -> list[str]:
    """The files of a graded folder, and the options that name them."""
    write_jsonl(folder / "problems.jsonl", PROBLEMS)
    write_jsonl(folder / "answers.jsonl", answers)
    return ["--answers", str(folder / "answers.jsonl"), "--problems", str(folder / "problems.jsonl")]


def run(folder: Path, *options: str) -> tuple[list[list[str]], list[Record]]:
    table, shown = folder / "audit.tsv", folder / "audit.examples.jsonl"
    audit_grading.main([*options, "--table", str(table), "--examples", str(shown)])
    return [line.split("\t") for line in table.read_text().splitlines()], list(read_jsonl(shown))


def audited(kind: str, ours: str, theirs: str, name: str, rows: int = 1) -> Audited:
    return Audited((name, "p"), Seen(ours, rows, {"id": name, "seed": 0}), kind, ours, theirs)


SOME = [
    audited("number", "incorrect", "unparsed", "a"),
    audited("number", "correct", "correct", "g", 5),
    audited("list", "incorrect", "correct", "b", 2),
    audited("list", "incorrect", "correct", "c"),
    audited("list", "incorrect", "correct", "d"),
    audited("number", "correct", "timeout", "e"),
    audited("number", "correct", "correct", "f"),
]


def test_the_pairs_of_a_folder_come_once_with_verdict_rows_and_first_row(tmp_path: Path) -> None:
    write_folder(tmp_path)
    pairs = pairs_of_answers(tmp_path / "answers.jsonl", tmp_path / "problems.jsonl")
    assert list(pairs.items()) == [
        (("1/2", "0.5"), Seen("correct", 2, {"id": "a", "seed": None})),
        (("(1,2]", "(1,2)"), Seen("incorrect", 2, {"id": "b", "seed": None})),
        (("1/2", "2"), Seen("incorrect", 1, {"id": "a", "seed": 1})),
        (("(1,2]", "(1,2]"), Seen("correct", 1, {"id": "b", "seed": 1})),
        (("1/2", r"\frac{"), Seen("unparsed", 1, {"id": "a", "seed": 2})),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param(answer("c", 0, "1", "correct"), r"line 2: .*problems\.jsonl has no problem 'c'", id="problem"),
        pytest.param(answer("b", 0, "1", "ungraded"), "line 2: the answer was not graded", id="not graded"),
    ],
)
def test_rows_that_cannot_be_audited_are_named(tmp_path: Path, row: Record, message: str) -> None:
    write_folder(tmp_path, [answer("a", 0, "1", "correct"), row])
    with pytest.raises(RecordError, match=rf"answers\.jsonl, {message}"):
        pairs_of_answers(tmp_path / "answers.jsonl", tmp_path / "problems.jsonl")


def test_pairs_are_read_from_tables_and_from_records(tmp_path: Path) -> None:
    pairs = [("1/2", "0.5"), (r"\text{a " '"b}', ""), ("1/2", "0.5")]
    table, records = tmp_path / "pairs.tsv", tmp_path / "pairs.jsonl"
    table.write_text("kind\texpected\tpredicted\n" + "".join(f"k\t{one}\t{other}\n" for one, other in pairs))
    write_jsonl(records, [{"expected": one, "predicted": other} for one, other in pairs])
    for path, first in ((table, 2), (records, 1)):
        assert pairs_of_file(path) == {
            pairs[0]: Seen(None, 2, {"line": first}),
            pairs[1]: Seen(None, 1, {"line": first + 1}),
        }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("pairs.tsv", "expected\tpredicted\n1\t2\n1\n", id="a short line"),
        pytest.param("pairs.jsonl", '{"expected": "1", "predicted": "1"}\n\n', id="an empty line"),
        pytest.param(
            "pairs.jsonl", '{"expected": "", "predicted": ""}\n{"expected": "", "predicted": 2}\n', id="number"
        ),
    ],
)
def test_a_line_that_holds_no_pair_is_named(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RecordError, match=rf"{name}, line {3 if name.endswith('tsv') else 2}: "):
        pairs_of_file(tmp_path / name)


def test_the_table_counts_pairs_and_rows_of_each_cell_in_order() -> None:
    assert count_table(SOME) == (
        "kind\tours\tmath_verify\tpairs\trows\n"
        "list\tincorrect\tcorrect\t3\t4\n"
        "number\tcorrect\tcorrect\t2\t6\n"
        "number\tcorrect\ttimeout\t1\t1\n"
        "number\tincorrect\tunparsed\t1\t1\n"
    )


def test_examples_are_the_first_of_each_cell_where_the_verdicts_differ() -> None:
    shown = examples(SOME, 2)
    assert [(one["kind"], one["ours"], one["math_verify"], one["expected_answer"]) for one in shown] == [
        ("list", "incorrect", "correct", "b"),
        ("list", "incorrect", "correct", "c"),
        ("number", "correct", "timeout", "e"),
        ("number", "incorrect", "unparsed", "a"),
    ]
    assert shown[0] == {
        **{"kind": "list", "ours": "incorrect", "math_verify": "correct", "expected_answer": "b"},
        **{"predicted_answer": "p", "rows": 2, "id": "b", "seed": 0},
    }


def test_the_summary_counts_who_accepts_what_the_other_does_not() -> None:
    assert summary(SOME) == (
        "7 pairs of 12 rows: agreement on 42.86 %; correct for both 2, for us only 1, for Math-Verify only 3, "
        "for neither 1; Math-Verify: 1 unparsed, 1 timeout, 0 error"
    )
    assert summary([]).startswith("0 pairs of 0 rows: agreement on 100.00 %")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="nothing to read"),
        pytest.param(["--answers", "a"], id="no problems"),
        pytest.param(["--answers", "a", "--problems", "b", "--pairs", "c"], id="both"),
        pytest.param(["--answers", "a", "--problems", "b", "--convention", "c=d"], id="verdicts are there already"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        run(tmp_path, *options)
    assert error.value.code == 2


@pytest.mark.skipif(INSTALLED, reason="is about Math-Verify missing")
def test_without_math_verify_it_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r'^audit_grading: Math-Verify is not installed: .* "\.\[audit\]"$'):
        run(tmp_path, *write_folder(tmp_path))


@needs_math_verify
@pytest.mark.parametrize(
    ("expected", "predicted", "verdict"),
    [
        ("1/2", "0.5", "correct"),
        (r"\frac{1}{2}", r"$\frac{2}{4}$", "correct"),
        (r"\$5", "5", "correct"),
        (r"\[\frac{1}{2}\]", "x = $0.5$", "correct"),
        ("2", "3", "incorrect"),
        ("2", r"\frac{", "unparsed"),
        (r"\frac{1}{", r"\frac{1}{", "correct"),
        ("", "3", "unparsed"),
    ],
)
def test_what_math_verify_says_of_a_pair(expected: str, predicted: str, verdict: str) -> None:
    assert math_verify_verdict((expected, predicted)) == verdict


@needs_math_verify
def test_a_pair_that_math_verify_never_finishes_is_a_time_out_and_the_next_is_graded() -> None:
    pairs = [("1/2", "0.5"), ("2", "9^{9^{9^{9}}}"), ("2", "3"), ("x+1", "1+x")]
    assert math_verify_verdicts(pairs, workers=1, seconds=3) == ["correct", "timeout", "incorrect", "correct"]


@needs_math_verify
def test_a_folder_is_audited_with_its_own_verdicts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    table, shown = run(tmp_path, *write_folder(tmp_path), "--workers", "2")
    assert table[0] == ["kind", "ours", "math_verify", "pairs", "rows"]
    rows: Counter[tuple[str, str]] = Counter()
    for _, ours, theirs, _, number in table[1:]:
        rows[ours, theirs] += int(number)
    assert rows == {("correct", "correct"): 3, ("incorrect", "incorrect"): 3, ("unparsed", "unparsed"): 1}
    assert shown == []
    assert "5 pairs of 7 rows: agreement on 100.00 %" in caplog.text


@needs_math_verify
def test_pairs_are_graded_by_both_and_disagreements_shown(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("expected\tpredicted\n1/2\t0.5\n2\t3\n1/3\t0.333333\n52_8\t52_9\n")
    written = []
    for workers in ("1", "2"):
        table, shown = run(tmp_path, "--pairs", str(pairs), "--workers", workers)
        written.append([(tmp_path / name).read_bytes() for name in ("audit.tsv", "audit.examples.jsonl")])
    assert written[0] == written[1]
    assert sum(int(line[3]) for line in table[1:]) == 4
    assert sorted((one["line"], one["ours"], one["math_verify"], one["predicted_answer"]) for one in shown) == [
        (4, "incorrect", "correct", "0.333333"),
        (5, "incorrect", "correct", "52_9"),
    ]
