"""From graded generations to training rows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import prepare_sft_data
from openmath.records import Record, read_jsonl, write_jsonl
from openmath.sft import preparing

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


def solved(identifier: str, text: str = SOLUTION, **extra: str) -> tuple[Record, Record]:
    """A generation that is right, and its answer."""
    return generation(identifier, text, expected_answer="2", **extra), answer(identifier, "correct")


def ids(rows: list[Record]) -> list[str]:
    return sorted(row["generation"]["id"] for row in rows)


OF_EACH_LABEL = [
    (generation("right"), answer("right", "ungraded")),
    (generation("wrong", "It is \\boxed{3}."), answer("wrong", "ungraded", "3")),
    (generation("unread", "It is \\boxed{\\frac}."), answer("unread", "ungraded", "\\frac")),
    (generation("silent", "It is two."), answer("silent", "no_answer", None)),
    (generation("open"), answer("open", "ungraded")),
    (generation("cut", "It is", finish_reason="length"), answer("cut", "truncated", None)),
]
VOTED = [
    {"id": name, "expected_answer": "2", "majority_votes": 3, "total_votes": 4}
    for name in ("right", "wrong", "unread", "silent", "cut")
]


@pytest.mark.parametrize(
    ("keep", "kept", "reasons"),
    [
        ("correct", ["right"], {"wrong": 1, "unparsed": 1, "no_answer": 1, "no_majority": 1, "truncated": 1}),
        ("incorrect", ["silent", "unread", "wrong"], {"right": 1, "no_majority": 1, "truncated": 1}),
        ("unlabelled", ["open"], {"right": 1, "wrong": 1, "unparsed": 1, "no_answer": 1, "truncated": 1}),
        ("correct incorrect", ["right", "silent", "unread", "wrong"], {"no_majority": 1, "truncated": 1}),
    ],
)
def test_labels_are_kept_by_name(
    tmp_path: Path, prepare: Prepare, keep: str, kept: list[str], reasons: dict[str, int]
) -> None:
    rows, counts = prepare(write_folder(tmp_path / "new", OF_EACH_LABEL, VOTED), extra=("--keep", *keep.split()))
    assert ids(rows) == kept
    assert {step["reason"]: step["dropped"] for step in counts["funnel"] if step["dropped"]} == reasons
    dropped_labels = [step["reason"] for step in counts["funnel"] if step["filter"] == "keep"]
    assert ("right" in dropped_labels) == ("correct" not in keep.split())
    assert "judged_invalid" not in dropped_labels


def test_a_judge_decides_where_that_is_asked_for(tmp_path: Path, prepare: Prepare) -> None:
    names = ("a", "b", "c")
    folder = write_folder(
        tmp_path / "shop", [(generation(n, expected_answer="2"), answer(n, "incorrect")) for n in names]
    )
    judged = [
        {"id": name, "seed": 0, "predicted_answer": "2", "judgement": "", "judge_verdict": verdict}
        for name, verdict in zip(names, ("yes", "no", "invalid"), strict=True)
    ]
    write_jsonl(folder / "judged.jsonl", judged)
    rows, counts = prepare(folder, extra=("--correctness", "judge"))
    assert (ids(rows), counts["wrong"], counts["judged_invalid"]) == (["a"], 1, 1)
    for rows_of, message in (
        ([judged[1], judged[0], judged[2]], r"judged\.jsonl, line 1: holds id 'b'; answers\.jsonl has 'a'"),
        (judged[:2], r"judged\.jsonl, line 3: holds id None; answers\.jsonl has 'c'"),
        ([*judged, {**judged[0], "id": "d"}], r"judged\.jsonl, line 4: holds id 'd'; answers\.jsonl has None"),
        ([{**row, "seed": 1} for row in judged], r"judged\.jsonl: no rows of seed 0, which answers\.jsonl has"),
        ([{**row, "judge_verdict": "maybe"} for row in judged], r"line 1: judge_verdict is 'maybe' \(known: yes, no,"),
    ):
        write_jsonl(folder / "judged.jsonl", rows_of)
        with pytest.raises(SystemExit, match=message):
            prepare(folder, extra=("--correctness", "judge"))


def test_the_first_rows_of_each_file_are_skipped(tmp_path: Path, prepare: Prepare) -> None:
    rows = [
        (generation(name, seed=seed, expected_answer="2"), answer(name, "correct", seed=seed))
        for seed in (0, 1)
        for name in ("a", "b", "c")
    ]
    kept, counts = prepare(write_folder(tmp_path / "shop", rows), extra=("--skip-first", "2"))
    assert ids(kept) == ["c"]
    assert (counts["rows_in"], counts["skipped"], counts["duplicate"]) == (6, 4, 1)
    kept, counts = prepare(write_folder(tmp_path / "shop", rows), extra=("--skip-first", "5"))
    assert (kept, counts["skipped"]) == ([], 6)


def test_training_and_validation_share_no_problem_and_together_have_all(tmp_path: Path, prepare: Prepare) -> None:
    rows = [solved(f"p{number}", f"Way {way}: \\boxed{{2}}") for way in range(2) for number in range(200)]
    folder = write_folder(tmp_path / "shop", rows)
    share = ("--validation-share", "0.25")
    train, counts = prepare(folder, extra=share)
    validation, _ = prepare(folder, extra=(*share, "--part", "validation"))
    assert len(train) + len(validation) == 400
    assert counts["other_part"] == len(validation)
    assert not {*ids(train)} & {*ids(validation)}
    assert 25 <= len({*ids(validation)}) <= 75
    assert {*ids(prepare(folder, extra=(*share, "--shuffle-seed", "2"))[0])} != {*ids(train)}


TEXT_STEPS = {
    "--drop-code-errors": ("code_error", "Timed out, so \\boxed{2}"),
    "--drop-matplotlib": ("matplotlib", "import matplotlib \\boxed{2}"),
    "--drop-no-code": ("no_code", SOLUTION),
    "--drop-no-think": ("no_think", SOLUTION),
    "--drop-verification-code": ("verification_code", "Let's use Python to verify: \\boxed{2}"),
    "--drop-wrong-arithmetic": ("wrong_arithmetic", "1 + 2 = 4, so \\boxed{2}"),
    "--count-code-executions": ("no_count", SOLUTION),
}
GOOD = "<think>1</think><tool_call>2</tool_call> Remaining code executions: 3 \\boxed{2}"


@pytest.mark.parametrize("option", TEXT_STEPS)
def test_a_text_step_drops_what_it_is_for_and_only_where_it_is_on(
    tmp_path: Path, prepare: Prepare, option: str
) -> None:
    reason, text = TEXT_STEPS[option]
    folder = write_folder(tmp_path / "shop", [solved("bad", text), solved("good", GOOD)])
    wide = ("--max-solution-tokens", "99")
    assert ids(prepare(folder, extra=wide)[0]) == ["bad", "good"]
    rows, counts = prepare(folder, extra=(*wide, option))
    assert (ids(rows), counts[reason]) == (["good"], 1)


def test_arithmetic_is_split_before_lengths_are_taken(tmp_path: Path, prepare: Prepare) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a", "So 1 + 1 + 1 = 3, \\boxed{2}.")])
    rows, _ = prepare(folder, extra=("--split-arithmetic", "--max-solution-tokens", "45"))
    assert [row["output"] for row in rows] == ["So 1 + 1 + 1 = 2 + 1 = 3, \\boxed{2}.<|end|>"]
    assert prepare(folder, extra=("--split-arithmetic", "--max-solution-tokens", "30"))[1]["too_long"] == 1
    assert prepare(folder, extra=("--max-solution-tokens", "30"))[1]["too_long"] == 0


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (("--min-majority-votes", "3"), ["right"]),
        (("--min-majority-votes", "4"), []),
        (("--min-majority-share", "0.75"), ["right"]),
        (("--min-majority-share", "0.76"), []),
    ],
)
def test_an_expected_answer_by_majority_needs_votes(
    tmp_path: Path, prepare: Prepare, limits: tuple[str, ...], kept: list[str]
) -> None:
    new = write_folder(tmp_path / "new", [OF_EACH_LABEL[0]], VOTED)
    known = write_folder(tmp_path / "known", [solved("gold")])
    rows, counts = prepare(new, known, extra=limits)
    assert ids(rows) == sorted([*kept, "gold"])
    assert counts["few_votes"] == 1 - len(kept)


@pytest.mark.parametrize(
    ("what", "text"), [("problem", "Problem a?"), ("solution", SOLUTION)], ids=["of the problem", "of the solution"]
)
@pytest.mark.parametrize("unit", ["chars", "tokens"])
def test_a_text_at_a_limit_is_within_it(tmp_path: Path, prepare: Prepare, what: str, text: str, unit: str) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a")])
    for bound, size, reason in (
        ("min", len(text), None),
        ("min", len(text) + 1, "too_short"),
        ("max", len(text), None),
        ("max", len(text) - 1, "too_long"),
    ):
        rows, counts = prepare(folder, extra=(f"--{bound}-{what}-{unit}", str(size)))
        name = reason if reason is None or what == "solution" else f"problem_{reason}"
        assert {step["reason"] for step in counts["funnel"] if step["dropped"]} == ({name} if name else set())
        assert len(rows) == (reason is None)


def test_rows_are_equal_by_their_texts_or_by_their_normalised_texts_or_never(tmp_path: Path, prepare: Prepare) -> None:
    texts = [SOLUTION, SOLUTION, SOLUTION.upper().replace("BOXED", "boxed"), f"{SOLUTION} "]
    folder = write_folder(
        tmp_path / "shop",
        [
            (generation("a", text, seed, expected_answer="2"), answer("a", "correct", seed=seed))
            for seed, text in enumerate(texts)
        ],
    )
    kept = {}
    for how in ("exact", "normalised", "none"):
        rows, counts = prepare(folder, extra=("--deduplicate", how))
        kept[how] = sorted(row["generation"]["seed"] for row in rows)
        assert counts.get("duplicate", 0) == 4 - len(rows)
    assert kept == {"exact": [0, 2, 3], "normalised": [0], "none": [0, 1, 2, 3]}


def test_a_problem_keeps_one_kind_of_solutions(tmp_path: Path, prepare: Prepare) -> None:
    code = "<tool_call>2</tool_call> \\boxed{2}"
    folder = write_folder(tmp_path / "shop", [solved("a", code), solved("a"), solved("b")])
    rows, counts = prepare(folder, extra=("--code-filter", "any_code"))
    assert sorted((row["generation"]["id"], "tool" in row["output"]) for row in rows) == [("a", True), ("b", False)]
    assert counts["other_kind"] == 1
    rows, _ = prepare(folder, extra=("--code-filter", "any_code", "--code-begin", "One and one"))
    assert sorted((row["generation"]["id"], "tool" in row["output"]) for row in rows) == [("a", False), ("b", False)]


def test_rows_may_stay_in_the_order_of_the_input(tmp_path: Path, prepare: Prepare) -> None:
    folders = [
        write_folder(tmp_path / source, [solved(f"{source}{row:02d}") for row in range(20)]) for source in ("b", "a")
    ]
    rows, _ = prepare(*folders, extra=("--no-shuffle",))
    assert [row["generation"]["id"] for row in rows] == [f"{source}{row:02d}" for source in "ba" for row in range(20)]


def test_folders_are_named_by_patterns(tmp_path: Path, prepare: Prepare) -> None:
    for name in ("set-1", "set-0"):
        write_folder(tmp_path / "new" / name, [solved(name)])
    rows, _ = prepare(tmp_path / "new" / "set-*", tmp_path / "new" / "set-1", extra=("--no-shuffle",))
    assert [row["generation"]["id"] for row in rows] == ["set-0", "set-1"]
    with pytest.raises(SystemExit, match=r"prepare_sft_data: --folders .*gone-\*: there is no such folder"):
        prepare(tmp_path / "gone-*")


def test_the_result_depends_on_neither_processes_nor_buckets(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        (
            generation(f"p{row % 7}", f"Way {row} or {seed % 3}: \\boxed{{2}}", seed, expected_answer="2"),
            answer(f"p{row % 7}", "correct", seed=seed),
        )
        for seed in range(4)
        for row in range(30)
    ]
    folder = write_folder(tmp_path / "shop", rows)
    sample = ("--downsample", "fair", "--num-samples", "40")

    def result(*extra: str) -> tuple[bytes, bytes]:
        prepare(folder, extra=(*sample, *extra))
        return (tmp_path / "out/sft_data.jsonl").read_bytes(), (tmp_path / "out/counts.json").read_bytes()

    one = result()
    assert one[0].count(b"\n") == 40
    assert result("--workers", "2") == one
    monkeypatch.setattr(preparing, "BYTES_PER_BUCKET", 999)
    assert result() == one
    in_order = result("--no-shuffle")
    monkeypatch.undo()
    assert result("--no-shuffle", "--workers", "2") == in_order


def test_what_every_step_does_is_shown_for_a_few_rows(
    tmp_path: Path, prepare: Prepare, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"My solution:\n{SOLUTION}\nI hope this helps!"
    folders = [
        write_folder(tmp_path / name, [solved("a", text), ONE_OF_EACH["multi_boxed"], solved("z", "\\boxed{2}" * 9)])
        for name in ("one", "two")
    ]
    with pytest.raises(FileNotFoundError):
        prepare(*folders, extra=("--sample", "4", "--trim-prefix", "--trim-solutions", "--drop-multi-boxed"))
    with pytest.raises(FileNotFoundError):
        prepare(folders[0], extra=("--sample", "1", "--max-solution-tokens", "9"))
    shown = capsys.readouterr().out
    assert f"{folders[0]}/output-rs0.jsonl, line 1\n" in shown
    assert f"{folders[1]}/output-rs0.jsonl, line 2\n" in shown
    assert "line 3" not in shown
    assert "  trim_prefix: 'My solution:\\n' -> ''\n" in shown
    assert "  trim_solutions: '\\nI hope this helps!' -> ''\n" in shown
    assert shown.count("  drop_multi_boxed: falls out (multi_boxed)\n") == 2
    assert shown.count("  solution_length: falls out (too_long)\n") == 1
    assert "of 1 rows:\n       1 too_long\n" in shown
    assert "of 4 rows:\n       2 come through" in shown
    assert "       2 multi_boxed\n" in shown
    assert list((tmp_path / "out").iterdir()) == []


def test_a_known_answer_goes_before_a_majority(tmp_path: Path, prepare: Prepare) -> None:
    vote = {"id": "a", "expected_answer": "3", "majority_votes": 1, "total_votes": 4}
    folder = write_folder(tmp_path / "shop", [solved("a")], majority=[vote])
    assert row_of(prepare, folder, "--min-majority-votes", "2")["expected_answer"] == "2"


def test_a_prompt_may_ask_for_further_keys(tmp_path: Path, prepare: Prepare) -> None:
    (tmp_path / "level.yaml").write_text('user: "{level}: {problem}"\n')
    folder = write_folder(tmp_path / "shop", [solved("a", level="easy")])
    row = row_of(prepare, folder, "--prompt", str(tmp_path / "level.yaml"))
    assert row["input"] == "<|user|>easy: Problem a?<|end|>"


def row_of(prepare: Prepare, folder: Path, *extra: str) -> Record:
    rows, _ = prepare(folder, extra=extra)
    assert len(rows) == 1
    return rows[0]


def test_a_row_ends_with_what_is_asked_for(tmp_path: Path, prepare: Prepare) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a")])
    assert row_of(prepare, folder)["output"] == f"{SOLUTION}<|end|>"
    assert row_of(prepare, folder, "--suffix", "<stop>")["output"] == f"{SOLUTION}<stop>"
    assert row_of(prepare, folder, "--suffix", "")["output"] == SOLUTION


def test_rows_carry_metadata_and_further_keys(tmp_path: Path, prepare: Prepare) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a", level="3", topic="sums")])
    plain = row_of(prepare, folder)
    row = row_of(prepare, folder, "--metadata", "kind=cot", "from=x=y", "--extra-keys", "level")
    assert row == {**plain, "level": "3", "kind": "cot", "from": "x=y"}
    row = row_of(prepare, folder, "--extra-keys", "all")
    assert row == {**plain, "level": "3", "topic": "sums", "num_generated_tokens": 5}
    with pytest.raises(SystemExit, match=r"output-rs0\.jsonl, line 1: no key 'depth', which rows are to carry along"):
        prepare(folder, extra=("--extra-keys", "depth"))
    with pytest.raises(SystemExit, match="--metadata output: a row has a key of that name"):
        prepare(folder, extra=("--metadata", "output=x"))


def test_the_prompt_is_told_how_many_programs_may_run(tmp_path: Path, prepare: Prepare) -> None:
    (tmp_path / "tir.yaml").write_text('user: "{problem} ({total_code_executions})"\n')
    texts = [f"Remaining code executions: {left} \\boxed{{2}}" for left in (1, 3)]
    folder = write_folder(tmp_path / "shop", [solved("a", text) for text in texts])
    rows, _ = prepare(folder, extra=("--prompt", str(tmp_path / "tir.yaml"), "--count-code-executions"))
    assert sorted(row["input"] for row in rows) == [f"<|user|>Problem a? ({total})<|end|>" for total in (2, 4)]


@pytest.mark.parametrize(
    ("form", "asker", "answerer"),
    [
        ("nemotron", "User", "Assistant"),
        ("llama", "<|start_header_id|>user<|end_header_id|>", "<|start_header_id|>assistant<|end_header_id|>"),
    ],
)
def test_a_chat_names_its_turns_and_masks_what_is_asked(
    tmp_path: Path, prepare: Prepare, form: str, asker: str, answerer: str
) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a")])
    (tmp_path / "system.yaml").write_text('system: "Be brief."\nuser: "Solve: {problem}"\n')
    row = row_of(prepare, folder, "--format", form, "--prompt", str(tmp_path / "system.yaml"))
    assert row == {
        "conversations": [
            {"value": "Solve: Problem a?", "from": asker, "canonical_form": ""},
            {"value": SOLUTION, "from": answerer, "canonical_form": ""},
        ],
        "system": "Be brief.",
        "mask": asker,
        "expected_answer": "2",
        "problem_source": "shop",
        "generation": {"file": "../shop/output-rs0.jsonl", "seed": 0, "id": "a"},
    }
    with pytest.raises(SystemExit, match="--suffix: the turns of a chat"):
        prepare(folder, extra=("--format", form, "--suffix", "<stop>"))


def test_a_chat_without_a_prompt_asks_the_problem(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a")])
    output = ("--output", str(tmp_path / "rows.jsonl"), "--counts", str(tmp_path / "counts.json"))
    prepare_sft_data.main(["--folders", str(folder), "--shuffle-seed", "1", "--format", "nemotron", *output])
    [row] = read_jsonl(tmp_path / "rows.jsonl")
    assert ([turn["value"] for turn in row["conversations"]], row["system"]) == (["Problem a?", SOLUTION], "")


def test_without_a_prompt_the_input_is_the_problem(tmp_path: Path, byte_tokenizer: Path) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a")])
    (tmp_path / "template.yaml").write_text('user_begin: "<|user|>"\nuser_end: "<|end|>"\nassistant_end: "<|end|>"\n')
    options = ["--folders", str(folder), "--shuffle-seed", "1", "--counts", str(tmp_path / "counts.json")]
    options += ["--output", str(tmp_path / "rows.jsonl")]
    texts = []
    for more in ([], ["--template", str(tmp_path / "template.yaml")]):
        prepare_sft_data.main([*options, *more])
        [row] = read_jsonl(tmp_path / "rows.jsonl")
        texts.append((row["input"], row["output"]))
    assert texts == [("Problem a?", SOLUTION), ("<|user|>Problem a?<|end|>", f"{SOLUTION}<|end|>")]
    (tmp_path / "prompt.yaml").write_text('user: "{problem}"\n')
    with pytest.raises(SystemExit, match="--prompt: plain rows need --template too"):
        prepare_sft_data.main([*options, "--prompt", str(tmp_path / "prompt.yaml")])
    with pytest.raises(SystemExit, match="--tokenizer: limits in tokens need it"):
        prepare_sft_data.main([*options, "--max-solution-tokens", "9"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, r"output-rs0\.jsonl, line 1: no generation \(Expected `str`, got `null` - at `\$\.id`\)"),
        ({"id": ...}, r"output-rs0\.jsonl, line 1: no generation \(Object missing required field `id`\)"),
        ({"problem": ...}, r"line 1: no generation \(Object missing required field `problem`\)"),
        ({"generation": ...}, r"line 1: no generation \(Object missing required field `generation`\)"),
        (
            {"expected_answer": 2},
            r"line 1: no generation \(Expected `str \| null`, got `int` - at `\$\.expected_",
        ),
    ],
)
def test_a_generation_that_lacks_something_is_named_with_file_line_and_key(
    tmp_path: Path, prepare: Prepare, change: dict[str, Any], message: str
) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a")])
    record = {**solved("a")[0], **change}
    write_jsonl(folder / "output-rs0.jsonl", [{key: value for key, value in record.items() if value is not ...}])
    with pytest.raises(SystemExit, match=f"^prepare_sft_data: .*{message}"):
        prepare(folder)
    assert not list((tmp_path / "out").iterdir())


def test_one_id_for_two_problems_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    rows = [solved("a"), (generation("a", seed=1, expected_answer="2"), answer("a", "correct", seed=1))]
    rows[1][0]["problem"] = "Another?"
    with pytest.raises(
        SystemExit, match=r"output-rs1\.jsonl, line 1: problem 'a' has another text than in an earlier row"
    ):
        prepare(write_folder(tmp_path / "shop", rows))


def test_an_answer_without_a_verdict_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a")])
    write_jsonl(folder / "answers.jsonl", [{"id": "a", "seed": 0, "predicted_answer": "2"}])
    with pytest.raises(SystemExit, match=r"answers\.jsonl, line 1: no key 'verdict'"):
        prepare(folder)


def test_a_missing_generation_file_is_named_before_anything_is_read(tmp_path: Path, prepare: Prepare) -> None:
    rows = [(generation("a", seed=s, expected_answer="2"), answer("a", "correct", seed=s)) for s in (0, 1)]
    folder = write_folder(tmp_path / "shop", rows)
    (folder / "output-rs0.jsonl").write_text("no JSON\n")
    (folder / "output-rs1.jsonl").unlink()
    with pytest.raises(SystemExit, match=r"output-rs1\.jsonl: No such file or directory"):
        prepare(folder)


def test_a_prompt_that_asks_for_a_missing_key_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a")])
    (tmp_path / "hint.yaml").write_text('user: "{problem} {hint}"\n')
    with pytest.raises(SystemExit, match=r"output-rs0\.jsonl, line 1: no key 'hint', which the prompt asks for"):
        prepare(folder, extra=("--prompt", str(tmp_path / "hint.yaml")))


def test_a_failure_leaves_the_old_output_untouched(tmp_path: Path, prepare: Prepare) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a")])
    prepare(folder)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with open(folder / "output-rs0.jsonl", "ab") as stream:
        stream.write(b'{"id": "b"')
    with pytest.raises(SystemExit, match=r"output-rs0\.jsonl, line 2: the file ends in the middle of a line"):
        prepare(folder)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_what_a_killed_attempt_left_is_cleared_away(tmp_path: Path, prepare: Prepare) -> None:
    folder = write_folder(tmp_path / "shop", [solved("a")])
    left = tmp_path / "out/.sft_data.jsonl.work/spool/bucket-00000.1"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a block")
    rows, _ = prepare(folder)
    assert ids(rows) == ["a"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["counts.json", "sft_data.jsonl"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--source", "path", "--path", "x"), "either --folders or --source is needed"),
        (("--num-samples", "3"), "--num-samples goes with --downsample"),
        (("--balance-sources",), "--balance-sources goes with --downsample"),
        (("--metadata", "novalue"), "'novalue' is not KEY=VALUE"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    prepare: Prepare, extra: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        prepare(write_folder(tmp_path / "shop", [solved("a")]), extra=extra)
    assert message in capsys.readouterr().err
