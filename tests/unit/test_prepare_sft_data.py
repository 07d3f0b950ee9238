"""From graded generations to training rows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import prepare_sft_data
from openmath.records import Record, read_jsonl, write_jsonl

SOLUTION = "One and one is \\boxed{2}."


def generation(
    identifier: str, text: str = SOLUTION, seed: int = 0, finish_reason: str = "stop", **extra: str
) -> Record:
    """A generation for a problem that is named by its id; ``extra`` may hold the known answer."""
    return {
        "id": identifier,
        "problem": f"Problem {identifier}?",
        "problem_source": "shop",
        **extra,
        "generation": text,
        "finish_reason": finish_reason,
        "num_generated_tokens": 5,
        "seed": seed,
    }


def answer(identifier: str, verdict: str, predicted: str | None = "2", seed: int = 0) -> Record:
    return {"id": identifier, "seed": seed, "predicted_answer": predicted, "verdict": verdict}


def write_folder(folder: Path, rows: list[tuple[Record, Record]], majority: list[Record] | None = None) -> Path:
    """Write pairs of a generation and its answer as the files of a folder."""
    seeds = dict.fromkeys(record["seed"] for record, _ in rows)
    for seed in seeds:
        write_jsonl(folder / f"output-rs{seed}.jsonl", [record for record, _ in rows if record["seed"] == seed])
    write_jsonl(folder / "answers.jsonl", [row for _, row in rows])
    if majority is not None:
        write_jsonl(folder / "majority.jsonl", majority)
    return folder


Prepare = Callable[..., tuple[list[Record], dict[str, Any]]]


@pytest.fixture
def prepare(tmp_path: Path, byte_tokenizer: Path) -> Prepare:
    """Prepare folders with the limits 8 characters and 40 tokens; return the rows and the counts."""
    (tmp_path / "prompt.yaml").write_text('user: "Solve: {problem}"\n')
    (tmp_path / "template.yaml").write_text('user_begin: "<|user|>"\nuser_end: "<|end|>"\nassistant_end: "<|end|>"\n')

    def run(*folders: Path, extra: tuple[str, ...] = ()) -> tuple[list[Record], dict[str, Any]]:
        prepare_sft_data.main(
            [
                *("--folders", *map(str, folders)),
                *("--prompt", str(tmp_path / "prompt.yaml"), "--template", str(tmp_path / "template.yaml")),
                *("--tokenizer", str(byte_tokenizer), "--min-solution-chars", "8", "--max-solution-tokens", "40"),
                *("--max-problem-tokens", "40", "--shuffle-seed", "1", "--downsample", "none"),
                *(
                    "--output",
                    str(tmp_path / "out" / "sft_data.jsonl"),
                    "--counts",
                    str(tmp_path / "out" / "counts.json"),
                ),
                *extra,
            ]
        )
        counts = json.loads((tmp_path / "out" / "counts.json").read_text())
        return list(read_jsonl(tmp_path / "out" / "sft_data.jsonl")), counts

    return run


def test_a_row_is_the_prompt_the_closed_solution_and_the_name_of_its_generation(
    tmp_path: Path, prepare: Prepare
) -> None:
    folder = write_folder(
        tmp_path / "shop", [(generation("a", seed=3, expected_answer="2"), answer("a", "correct", seed=3))]
    )
    rows, _ = prepare(folder)
    assert rows == [
        {
            "input": "<|user|>Solve: Problem a?<|end|>",
            "output": f"{SOLUTION}<|end|>",
            "expected_answer": "2",
            "problem_source": "shop",
            "generation": {"file": f"../{folder.name}/output-rs3.jsonl", "seed": 3, "id": "a"},
        }
    ]


def test_a_problem_without_a_known_answer_takes_the_majority(tmp_path: Path, prepare: Prepare) -> None:
    folder = write_folder(
        tmp_path / "new",
        [
            (generation("a", "It is \\boxed{2}"), answer("a", "ungraded", "2")),
            (generation("b", "It is \\boxed{3}"), answer("b", "ungraded", "3")),
            (generation("a", "It is \\boxed{2.0}", 1), answer("a", "ungraded", "2.0", 1)),
            (generation("b", "It is \\boxed{5}", 1), answer("b", "ungraded", "5", 1)),
            (generation("a", "It is \\boxed{7}", 2), answer("a", "ungraded", "7", 2)),
            (generation("b", "It is unknown.", 2), answer("b", "no_answer", None, 2)),
            (generation("a", "It is \\boxed{\\frac}", 3), answer("a", "ungraded", "\\frac", 3)),
            (generation("b", "It is \\boxed{\\frac}", 3), answer("b", "ungraded", "\\frac", 3)),
        ],
        majority=[{"id": "a", "expected_answer": "2", "majority_votes": 2, "total_votes": 3}],
    )
    rows, counts = prepare(folder)
    assert sorted((row["output"], row["expected_answer"]) for row in rows) == [
        ("It is \\boxed{2.0}<|end|>", "2"),
        ("It is \\boxed{2}<|end|>", "2"),
    ]
    assert (counts["wrong"], counts["no_majority"], counts["no_answer"], counts["unparsed"]) == (1, 3, 1, 1)


@pytest.mark.parametrize(
    ("extra", "wrong"), [((), 0), (("--convention", "percent=unit"), 1)], ids=["as by default", "a percent is a unit"]
)
def test_answers_are_held_against_a_majority_under_the_conventions_that_are_named(
    tmp_path: Path, prepare: Prepare, extra: tuple[str, ...], wrong: int
) -> None:
    folder = write_folder(
        tmp_path / "new",
        [
            (generation("a", "It is \\boxed{0.5}"), answer("a", "ungraded", "0.5")),
            (generation("a", "It is \\boxed{50\\%}", 1), answer("a", "ungraded", "50\\%", 1)),
        ],
        majority=[{"id": "a", "expected_answer": "1/2", "majority_votes": 2, "total_votes": 2}],
    )
    rows, counts = prepare(folder, extra=extra)
    assert (len(rows), counts["wrong"]) == (2 - wrong, wrong)


ONE_OF_EACH = {
    "truncated": (
        generation("a", "One and", finish_reason="length", expected_answer="2"),
        answer("a", "truncated", None),
    ),
    "no_answer": (generation("b", "It is two.", expected_answer="2"), answer("b", "no_answer", None)),
    "no_majority": (generation("c"), answer("c", "ungraded")),
    "wrong": (generation("d", "It is \\boxed{3}", expected_answer="2"), answer("d", "incorrect", "3")),
    "unparsed": (generation("k", "It is \\boxed{\\frac}", expected_answer="2"), answer("k", "unparsed", "\\frac")),
    "timeout": (generation("l", "It is \\boxed{9^9}", expected_answer="2"), answer("l", "timeout", "9^9")),
    "multi_boxed": (generation("e", "\\boxed{1}, \\boxed{2}", expected_answer="2"), answer("e", "correct")),
    "contaminated": (generation("known", expected_answer="2"), answer("known", "correct")),
    "cut_end": (
        generation("g", "So \\boxed{2} and", finish_reason="length", expected_answer="2"),
        answer("g", "correct"),
    ),
    "problem_too_long": (generation("h" * 40, expected_answer="2"), answer("h" * 40, "correct")),
    "too_short": (generation("i", "\\boxed2", expected_answer="2"), answer("i", "correct")),
    "too_long": (generation("j", "x" * 40 + SOLUTION, expected_answer="2"), answer("j", "correct")),
}


@pytest.mark.parametrize("reason", ONE_OF_EACH)
def test_a_row_falls_out_at_one_filter_and_is_counted_there(tmp_path: Path, prepare: Prepare, reason: str) -> None:
    write_jsonl(tmp_path / "checked.jsonl", [{"id": "0", "problem": "problem KNOWN?", "contaminated": True}])
    kept = (generation("z", expected_answer="2"), answer("z", "correct"))
    folder = write_folder(tmp_path / "shop", [ONE_OF_EACH[reason], kept], majority=[])
    rows, counts = prepare(
        folder, extra=("--contamination", str(tmp_path / "checked.jsonl"), "--drop-multi-boxed", "--trim-solutions")
    )
    assert [row["generation"]["id"] for row in rows] == ["z"]
    dropped = {step["reason"]: step["dropped"] for step in counts["funnel"]}
    assert dropped == {**dict.fromkeys(dropped, 0), reason: 1}
    assert (counts["rows_in"], counts["rows_out"]) == (2, 1)


def test_the_funnel_adds_up_with_every_reason_in_it(tmp_path: Path, prepare: Prepare) -> None:
    write_jsonl(tmp_path / "checked.jsonl", [{"id": "0", "problem": "Problem known?", "contaminated": True}])
    more = [(generation(name, expected_answer="2"), answer(name, "correct")) for name in ("x", "x", "y", "z")]
    folder = write_folder(tmp_path / "shop", [*ONE_OF_EACH.values(), *more], majority=[])
    rows, counts = prepare(
        folder,
        extra=(
            *("--contamination", str(tmp_path / "checked.jsonl"), "--drop-multi-boxed", "--trim-solutions"),
            *("--downsample", "fair", "--num-samples", "2"),
        ),
    )
    assert len(rows) == counts["rows_out"] == 2
    expected = dict.fromkeys([*ONE_OF_EACH, "duplicate", "not_sampled"], 1) | {"no_problem": 0, "no_solution": 0}
    expected |= {"problem_too_short": 0}
    assert {step["reason"]: step["dropped"] for step in counts["funnel"]} == expected
    assert {reason: counts[reason] for reason in expected} == expected
    kept = [step["kept"] + step["dropped"] for step in counts["funnel"]]
    assert kept == [counts["rows_in"], *(step["kept"] for step in counts["funnel"][:-1])]
    assert counts["funnel"][-1]["kept"] == 2


def test_filters_that_are_off_drop_nothing(tmp_path: Path, prepare: Prepare) -> None:
    folder = write_folder(tmp_path / "shop", [ONE_OF_EACH["multi_boxed"], ONE_OF_EACH["contaminated"]])
    rows, _ = prepare(folder)
    assert sorted(row["generation"]["id"] for row in rows) == ["e", "known"]


def test_a_generation_that_was_cut_off_stays_where_trimming_takes_the_cut_end_away(
    tmp_path: Path, prepare: Prepare
) -> None:
    text = "So it is \\boxed{2}.\nAnother probl"
    record = generation("a", text, finish_reason="length", expected_answer="2")
    folder = write_folder(tmp_path / "shop", [(record, answer("a", "correct"))])
    assert prepare(folder)[1]["cut_end"] == 1
    rows, _ = prepare(folder, extra=("--trim-solutions",))
    assert [row["output"] for row in rows] == ["So it is \\boxed{2}.<|end|>"]


def test_rows_that_are_equal_after_trimming_are_duplicates_across_folders(tmp_path: Path, prepare: Prepare) -> None:
    texts = [f"My solution:\n{SOLUTION}", f"{SOLUTION}\nThat is it.", SOLUTION]
    folders = [
        write_folder(tmp_path / str(number), [(generation("a", text, expected_answer="2"), answer("a", "correct"))])
        for number, text in enumerate(texts)
    ]
    rows, counts = prepare(*folders, extra=("--trim-solutions", "--trim-prefix"))
    assert [row["generation"]["file"] for row in rows] == [f"../{folders[0].name}/output-rs0.jsonl"]
    assert (counts["duplicate"], counts["rows_in"], counts["rows_out"]) == (2, 3, 1)


def test_the_order_follows_from_the_seed_and_not_from_the_order_of_the_folders(
    tmp_path: Path, prepare: Prepare
) -> None:
    folders = [
        write_folder(
            tmp_path / source,
            [
                (generation(f"{source}{row}", expected_answer="2"), answer(f"{source}{row}", "correct"))
                for row in range(20)
            ],
        )
        for source in ("one", "two")
    ]
    first, _ = prepare(*folders)
    assert prepare(*folders)[0] == first
    assert prepare(*reversed(folders))[0] == first
    other, _ = prepare(*folders, extra=("--shuffle-seed", "2"))
    assert other != first
    assert sorted(map(str, other)) == sorted(map(str, first))
    assert [row["generation"]["id"] for row in first] != sorted(row["generation"]["id"] for row in first)


def test_no_row_left_gives_an_empty_file(tmp_path: Path, prepare: Prepare) -> None:
    rows, counts = prepare(write_folder(tmp_path / "shop", [ONE_OF_EACH["wrong"]]))
    assert (rows, counts["rows_in"], counts["rows_out"]) == ([], 1, 0)


def test_nothing_is_left_behind_beside_the_output(tmp_path: Path, prepare: Prepare) -> None:
    prepare(write_folder(tmp_path / "shop", [(generation("a", expected_answer="2"), answer("a", "correct"))]))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["counts.json", "sft_data.jsonl"]


@pytest.mark.parametrize(
    ("records", "answers", "message"),
    [
        (["a", "b"], ["a"], r"output-rs0\.jsonl: longer than its rows in answers\.jsonl"),
        (["a"], ["a", "b"], r"output-rs0\.jsonl, line 2: holds nothing; answers\.jsonl has 'b' of seed 0"),
        (
            ["a", "b"],
            ["b", "a"],
            r"output-rs0\.jsonl, line 1: holds id 'a' of seed 0; answers\.jsonl has 'b' of seed 0",
        ),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    tmp_path: Path, prepare: Prepare, records: list[str], answers: list[str], message: str
) -> None:
    folder = tmp_path / "shop"
    write_jsonl(folder / "output-rs0.jsonl", [generation(name, expected_answer="2") for name in records])
    write_jsonl(folder / "answers.jsonl", [answer(name, "correct") for name in answers])
    with pytest.raises(SystemExit, match=message):
        prepare(folder)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((generation("a"), answer("a", "ungraded")), r"no known answer and there is no majority\.jsonl"),
        ((generation("a"), answer("a", "correct")), "its problem has no known answer; grade the folder again"),
        ((generation("a", expected_answer="2"), answer("a", "ungraded")), "has a known answer; grade the folder again"),
    ],
)
def test_verdicts_that_do_not_fit_the_problems_are_refused(
    tmp_path: Path, prepare: Prepare, row: tuple[Record, Record], message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        prepare(write_folder(tmp_path / "shop", [row]))
