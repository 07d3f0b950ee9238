"""From generated texts to problem records."""

import json
from pathlib import Path

import pytest

import clean_problems
from openmath.problems import REASONS, ProblemFilter, normalise_problem
from openmath.records import Record, RecordError, read_jsonl, record_id, write_jsonl

SEED_PROBLEM = "Ann has 3 pens. How many has she?"
NEW = "Bob buys 5 hats and loses one. How many are left?"


def raw(text: str, seed: int = 0, finish_reason: str = "stop") -> Record:
    return {
        "id": "seed-id",
        "problem": SEED_PROBLEM,
        "expected_answer": "3",
        "reference_solution": "3",
        "problem_source": "shop",
        "generation": text,
        "finish_reason": finish_reason,
        "num_generated_tokens": 7,
        "seed": seed,
    }


@pytest.fixture
def clean(tmp_path: Path, byte_tokenizer: Path):
    """Clean the last of several raw files with a limit of 80 tokens; return its problems and its counts."""

    def run(*files: list[Record]) -> tuple[list[Record], dict[str, int]]:
        write_jsonl(tmp_path / "train.jsonl", [{"id": "seed-id", "problem": SEED_PROBLEM}])
        paths = [tmp_path / f"output-rs{seed}.jsonl" for seed in range(len(files))]
        for path, rows in zip(paths, files, strict=True):
            write_jsonl(path, rows)
        clean_problems.main(
            [
                *("--dataset", "shop", "--seed", str(len(files) - 1), "--raw", *map(str, paths)),
                *("--seed-problems", str(tmp_path / "train.jsonl")),
                *("--tokenizer", str(byte_tokenizer), "--max-problem-tokens", "80"),
                *("--output", str(tmp_path / "problem-set.jsonl"), "--counts", str(tmp_path / "counts.json")),
            ]
        )
        return list(read_jsonl(tmp_path / "problem-set.jsonl")), json.loads((tmp_path / "counts.json").read_text())

    return run


def test_a_new_problem_keeps_where_it_came_from_and_no_answer_of_the_seed(clean) -> None:
    problems, counts = clean([raw(f"  {NEW}\n")])
    assert problems == [
        {
            "id": record_id("augmented_shop", NEW),
            "problem": NEW,
            "problem_source": "augmented_shop",
            "seed_id": "seed-id",
            "seed_problem": SEED_PROBLEM,
            "problem_seed": 0,
        }
    ]
    assert counts == {"rows_in": 1, **dict.fromkeys(REASONS, 0), "rows_out": 1}


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason"),
    [
        (" \n", "stop", "empty"),
        (" \n", "length", "empty"),
        (NEW, "length", "truncated"),
        (" ann has 3 pens.\nHow many has SHE?", "stop", "same_as_seed"),
        ("What is $1+1$? It is $\\boxed{2}$.", "stop", "holds_solution"),
        ("What is 1+1?\n\n**Solution:**\nIt is 2.", "stop", "holds_solution"),
        ("What is 1+1?\nThe final answer: 2", "stop", "holds_solution"),
        ("Here is a new problem inspired by it: what is 1+1?", "stop", "boilerplate"),
        ("New problem:\nWhat is 1+1?", "stop", "boilerplate"),
        ("Sure! What is 1+1?", "stop", "boilerplate"),
        ("12 + 5 = ?", "stop", "not_a_problem"),
        ("Bob buys 5 hats.", "stop", "not_a_problem"),
        (NEW + " Bob counts them twice and is sure that it is right.", "stop", "too_long"),
    ],
)
def test_a_text_is_rejected_for_its_first_reason(clean, text: str, finish_reason: str, reason: str) -> None:
    problems, counts = clean([raw(text, finish_reason=finish_reason)])
    assert problems == []
    assert counts == {"rows_in": 1, **dict.fromkeys(REASONS, 0), reason: 1, "rows_out": 0}


@pytest.mark.parametrize(
    "text",
    [
        "Find all solutions: $x^2 = 4$.",
        "Is the answer positive? Give a reason.",
        "Sure-footed Bob walks 5 km. How far is that in m?",
        "Then $CD=$ (A) 3 (B) 5",
    ],
)
def test_a_problem_that_mentions_such_words_is_kept(clean, text: str) -> None:
    assert [row["problem"] for row in clean([raw(text)])[0]] == [text]


def test_a_problem_is_kept_once_over_all_seeds(clean) -> None:
    other = "Eve has 9 nuts. How many has she?"
    problems, counts = clean([raw(NEW)], [raw(NEW.upper(), 1), raw(other, 1), raw(f"{other} ", 1)])
    assert [(row["problem"], row["problem_seed"]) for row in problems] == [(other, 1)]
    assert counts["duplicate"] == 2


def test_what_an_earlier_seed_rejected_does_not_count_as_a_duplicate(clean) -> None:
    problems, _ = clean([raw(NEW, finish_reason="length")], [raw(NEW, 1)])
    assert [row["problem"] for row in problems] == [NEW]


def test_files_in_the_wrong_order_are_refused(clean) -> None:
    with pytest.raises(RecordError, match="its rows are of seed 1, but it stands in the place of seed 0"):
        clean([raw(NEW, 1)], [raw(NEW, 0)])


def test_too_few_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seed 2 needs the 3 files of seeds 0 to 2, not 1"):
        clean_problems.clean_problems(
            "shop", 2, [tmp_path / "a"], ProblemFilter(frozenset(), lambda text: True), tmp_path / "b"
        )


def test_nearly_every_problem_of_math_and_gsm8k_would_be_kept(shared_data: Path) -> None:
    folder = shared_data / "benchmarks"
    texts = [row["question"] for row in read_jsonl(folder / "gsm8k_train.jsonl")]
    texts += [row["problem"] for row in json.loads((folder / "math_train_deepscaler_7474.json").read_text())]
    counts = dict.fromkeys(REASONS, 0)
    kept = list(ProblemFilter(frozenset(), lambda text: True).clean((raw(text) for text in texts), counts))
    repeated = len(texts) - len(set(map(normalise_problem, texts)))
    assert {reason: count for reason, count in counts.items() if count} == {"duplicate": repeated, "not_a_problem": 1}
    assert len(kept) == len(texts) - repeated - 1
