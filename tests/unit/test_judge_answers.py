"""The step that asks a model about answers: with a function for the model, and with a real one that is served."""

import json
import logging
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import judge_answers
from openmath.generation import Completion, Request
from openmath.records import Record, RecordError, read_jsonl, write_jsonl

PROBLEMS = [
    {"id": "a", "problem": "p", "expected_answer": "1/2"},
    {"id": "b", "problem": "q", "expected_answer": "3"},
    {"id": "c", "problem": "r", "expected_answer": "4"},
    {"id": "d", "problem": "p", "expected_answer": "1/2"},
    {"id": "e", "problem": "s", "expected_answer": "5"},
]
PREDICTIONS = ["0.5", None, " 4", "0.5", "7"]
VERDICTS = ["incorrect", "no_answer", "correct", "incorrect", "incorrect"]
HOSTED = ("--engine", "openai", "--address", "http://localhost:1/v1")


def files_of(folder: Path, kind: str = "majority") -> list[str]:
    """The arguments that name the files of a folder, and how the model is asked."""
    return [
        *("--problems", str(folder / "problems.jsonl"), "--candidates", str(folder / "candidates.jsonl")),
        *("--kind", kind, "--output", str(folder / "judged.jsonl"), "--counts", str(folder / "judged.counts.json")),
        *("--manifest", str(folder / "judged.manifest.json"), "--work", str(folder / "work")),
        *("--prompt", str(folder / "judge.yaml"), "--model", "checker"),
        *("--temperature", "0", "--top-p", "0.95", "--max-tokens", "9"),
    ]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What was asked of a judge that takes 0.5 for right, and rambles about the rest."""
    requests: list[Request] = []

    def answer(given: Sequence[Request], *_: Any, **__: Any) -> list[Completion]:
        requests.extend(given)
        texts = ["Judgement: Yes" if "0.5" in str(request.prompt) else "Hm." for request in given]
        return [Completion(request.key, text, "stop", 3, 20) for request, text in zip(given, texts, strict=True)]

    monkeypatch.setattr("openmath.asking.complete", answer)
    return requests


def run(folder: Path, candidates: list[Record], kind: str = "greedy") -> list[Record]:
    write_jsonl(folder / "problems.jsonl", PROBLEMS)
    write_jsonl(folder / "candidates.jsonl", candidates)
    (folder / "judge.yaml").write_text('user: "{problem}: {expected_answer} or {predicted_answer}?"\n')
    judge_answers.main([*files_of(folder, kind), *HOSTED])
    return list(read_jsonl(folder / "judged.jsonl"))


def greedy_rows(seeds: Sequence[int | None] = (None,)) -> list[Record]:
    return [
        {"id": problem["id"], "seed": seed, "predicted_answer": answer, "verdict": verdict}
        for seed in seeds
        for problem, answer, verdict in zip(PROBLEMS, PREDICTIONS, VERDICTS, strict=True)
    ]


def test_rows_are_judged_with_few_calls(tmp_path: Path, asked: list[Request]) -> None:
    rows = run(tmp_path, greedy_rows(seeds=(None, 0, 1)))
    assert [row["judge_verdict"] for row in rows] == ["yes", "no", "yes", "yes", "invalid"]
    assert [row["id"] for row in rows] == list("abcde")
    assert list(rows[0]) == ["id", "seed", "predicted_answer", "judgement", "judge_verdict"]
    assert rows[1]["judgement"] == "There is no predicted answer.\nJudgement: No"
    assert [request.prompt for request in asked] == [
        [{"role": "user", "content": "p: 1/2 or 0.5?"}],
        [{"role": "user", "content": "s: 5 or 7?"}],
    ]
    manifest = json.loads((tmp_path / "judged.manifest.json").read_text())
    assert (manifest["model"], manifest["engine"], manifest["rows"]) == ("checker", "openai", 5)


@pytest.mark.usefixtures("asked")
def test_rows_verdicts_and_tokens_are_counted_and_the_grader_is_compared_with(tmp_path: Path) -> None:
    run(tmp_path, greedy_rows())
    counts = json.loads((tmp_path / "judged.counts.json").read_text())
    symbolic = counts.pop("symbolic")
    assert counts == {
        "no_prediction": 1, "equal_text": 1, "by_model": 3, "yes": 3, "no": 1, "invalid": 1,
        "calls": 2, "prompt_tokens": 40, "completion_tokens": 6, "rows_in": 5, "rows_out": 5,
    }  # fmt: skip
    none = {"yes": 0, "no": 0, "invalid": 0}
    assert symbolic == {
        "by_model": {"correct": none, "not_correct": {"yes": 2, "no": 0, "invalid": 1}},
        "equal_text": {"correct": {**none, "yes": 1}, "not_correct": none},
        "share_agreed": 0.0,
        "disagreements": {
            "judge_only": [
                {
                    "id": name, "expected_answer": "1/2", "predicted_answer": "0.5",
                    "verdict": "incorrect", "judge_verdict": "yes",
                }
                for name in ("a", "d")
            ],
            "symbolic_only": [],
        },
    }  # fmt: skip


@pytest.mark.usefixtures("asked")
def test_majority_winners_are_judged_like_greedy_answers(tmp_path: Path) -> None:
    winners = [
        {**problem, "predicted_answer": answer, "majority_votes": 1, "total_votes": 4, "verdict": "incorrect"}
        for problem, answer in zip(PROBLEMS, PREDICTIONS, strict=True)
    ]
    rows = run(tmp_path, winners, kind="majority")
    assert [(row["seed"], row["judge_verdict"]) for row in rows] == [
        (None, verdict) for verdict in ("yes", "no", "yes", "yes", "invalid")
    ]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        pytest.param(greedy_rows()[:-1], "line 5: .* ends before this problem", id="fewer rows"),
        pytest.param(greedy_rows()[::-1], "line 1: 'a', where .* has id 'e'", id="another order"),
        pytest.param(greedy_rows(seeds=(0,)), "no greedy rows", id="only samples"),
        pytest.param([{"id": "a", "seed": None}], "line 1: no key 'predicted_answer'", id="no prediction"),
    ],
)
def test_candidates_about_other_problems_are_refused(tmp_path: Path, candidates: list[Record], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        run(tmp_path, candidates)
    assert not (tmp_path / "judged.jsonl").exists()


def test_a_work_folder_outside_the_cache_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        judge_answers.main([*files_of(tmp_path), *HOSTED, "--cache", str(tmp_path / "cache")])
    assert "must lie in --cache" in capsys.readouterr().err


# Jobs that share what they have asked. The model is real and served, and has nothing to say: its weights are random.

ROWS = 12
SLOW = ("--max-tokens", "300", "--concurrency", "1")


@pytest.fixture(scope="module")
def leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One allocation for the tests of this module, which share a server; it ends soon after them."""
    pytest.importorskip("torch")
    pytest.importorskip("uvicorn")
    folder = tmp_path_factory.mktemp("leases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENMATH_LEASES", str(folder))
        yield folder


class Jobs:
    """Jobs that judge with the served model, each with a folder of its own and, unless alone, a cache with others."""

    def __init__(self, folder: Path, model: Path, root: Path, leases: Path) -> None:
        self.folder, self.leases, self.cache = folder, leases, folder / "cache"
        self._server = [
            *("--engine", "transformers", "--model-folder", str(model)),
            *("--template", str(root / "resources/templates/brief.yaml")),
            *("--engine-options", json.dumps({"idle_timeout": 5})),
        ]

    def arguments(self, name: str, answers: Sequence[str], *more: str) -> list[str]:
        """Write the files of a job and return its arguments; the predictions are ``answers``, none of them right."""
        folder = self.folder / name
        problems = [{"id": f"p{n}", "problem": f"q{n}", "expected_answer": str(n)} for n in range(len(answers))]
        write_jsonl(folder / "problems.jsonl", problems)
        write_jsonl(
            folder / "candidates.jsonl",
            [
                {**problem, "predicted_answer": answer, "verdict": "incorrect"}
                for problem, answer in zip(problems, answers, strict=True)
            ],
        )
        (folder / "judge.yaml").write_text('user: "{problem} {expected_answer} {predicted_answer}"\n')
        return [*files_of(folder), *self._server, *more]

    def alone(self, answers: Sequence[str], *more: str) -> dict[str, bytes]:
        """Judge without a cache; returns the bytes of what was written."""
        judge_answers.main(self.arguments("alone", answers, *more))
        return self.written("alone")

    def judge(self, name: str, answers: Sequence[str], *more: str) -> dict[str, bytes]:
        """Judge with the cache; returns the bytes of what was written."""
        judge_answers.main(self.arguments(name, answers, *more, *self.shared(name)))
        return self.written(name)

    def start(self, name: str, answers: Sequence[str], *more: str) -> subprocess.Popen[bytes]:
        """Start a job with the cache as a process of its own."""
        words = self.arguments(name, answers, *more, *self.shared(name))
        return subprocess.Popen([sys.executable, judge_answers.__file__, *words], stderr=subprocess.DEVNULL)

    def shared(self, name: str) -> list[str]:
        return ["--work", str(self.cache / name), "--cache", str(self.cache)]

    def written(self, name: str) -> dict[str, bytes]:
        names = ("judged.jsonl", "judged.counts.json", "judged.manifest.json")
        return {file: (self.folder / name / file).read_bytes() for file in names}

    def calls(self, name: str) -> dict[str, int]:
        return dict(json.loads((self.cache / name / "calls.json").read_text()))

    def segments(self, name: str) -> list[Path]:
        return sorted((self.cache / name).glob("*/rows.*.jsonl"))

    def finished(self, name: str) -> list[str]:
        """The keys of the whole lines of a job's segments."""
        lines = [line for path in self.segments(name) for line in path.read_bytes().splitlines(True)]
        return [json.loads(line)["key"] for line in lines if line.endswith(b"\n")]

    def requests(self) -> int:
        """What the server was asked so far."""
        (state,) = [json.loads(path.read_bytes()) for path in self.leases.glob("*/server.json")]
        with urllib.request.urlopen(state["base_url"].replace("/v1", "/health")) as answer:
            return int(json.loads(answer.read())["requests"])


@pytest.fixture
def jobs(tmp_path: Path, tiny_model: Path, root: Path, leases: Path) -> Jobs:
    return Jobs(tmp_path, tiny_model, root, leases)


def answers_of(*common: int) -> list[str]:
    """A prediction for every problem: in some rows the one that other jobs have too, else one of another value."""
    return [f"{row}.0" if row in common else f"{row}.5" for row in range(ROWS)]


@pytest.mark.parametrize("sampling", [(), ("--temperature", "1")], ids=["greedy", "sampled"])
@pytest.mark.parametrize("common", [range(0), range(5), range(ROWS)], ids=["nothing", "some", "all"])
def test_the_cache_saves_calls_and_changes_no_byte(jobs: Jobs, common: range, sampling: tuple[str, ...]) -> None:
    alone = jobs.alone(answers_of(*common), *sampling)
    jobs.judge("other", answers_of(*range(ROWS)), *sampling)
    before = jobs.requests()
    assert jobs.judge("one", answers_of(*common), *sampling) == alone
    assert jobs.requests() - before == ROWS - len(common)
    calls = jobs.calls("one")
    assert (calls["asked"], calls["from_cache"]) == (ROWS - len(common), len(common))


def test_tokens_are_of_all_questions_in_the_counts_and_of_the_own_calls_in_the_work_folder(jobs: Jobs) -> None:
    jobs.judge("other", answers_of(0, 1))
    counts = json.loads(jobs.judge("one", answers_of(0, 1))["judged.counts.json"])
    # The tokens of the tiny model are bytes; the template adds four special ones.
    asked = [f"q{row} {row} {answer}" for row, answer in enumerate(answers_of(0, 1))]
    assert counts["prompt_tokens"] == sum(map(len, asked)) + 4 * ROWS
    assert jobs.calls("one") == {"asked": 0, "from_cache": ROWS, "prompt_tokens": 0, "completion_tokens": 0}
    assert jobs.calls("other") == {
        "asked": ROWS,
        "from_cache": 0,
        "prompt_tokens": counts["prompt_tokens"],
        "completion_tokens": counts["completion_tokens"],
    }
    assert counts["completion_tokens"] == sum(row["num_tokens"] for row in read_jsonl(jobs.segments("other")[0]))


def test_an_output_is_restored_from_its_own_folder_when_the_others_are_gone(jobs: Jobs) -> None:
    jobs.judge("other", answers_of(*range(ROWS)))
    first, calls, before = jobs.judge("one", answers_of(1, 2, 3)), jobs.calls("one"), jobs.requests()
    shutil.rmtree(jobs.cache / "other")
    (jobs.folder / "one/judged.jsonl").unlink()
    assert jobs.judge("one", answers_of(1, 2, 3)) == first
    assert (jobs.calls("one"), jobs.requests()) == (calls, before)


def test_what_is_copied_names_who_asked(jobs: Jobs) -> None:
    jobs.judge("b/greedy", answers_of(1, 2))
    jobs.judge("a/greedy", answers_of(1))
    jobs.judge("c/greedy", answers_of(1))
    assert sorted({row["taken_from"] for row in read_jsonl(jobs.segments("c/greedy")[0])}) == ["a/greedy", "b/greedy"]
    assert sum("taken_from" not in row for row in read_jsonl(jobs.segments("a/greedy")[-1])) == 1


@pytest.mark.parametrize("change", [("--max-tokens", "8"), ("--temperature", "1"), ("--top-p", "0.9")])
def test_verdicts_of_other_settings_are_not_taken(jobs: Jobs, change: tuple[str, str]) -> None:
    jobs.judge("other", answers_of())
    jobs.judge("one", answers_of(), *change)
    assert jobs.calls("one")["asked"] == ROWS


def test_a_damaged_folder_of_another_is_passed_over(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    jobs.judge("other", answers_of())
    (segment,) = jobs.segments("other")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-20])
    jobs.judge("one", answers_of())
    assert jobs.calls("one")["from_cache"] == ROWS - 1
    segment.write_bytes(b"{}\n" + whole)
    shutil.rmtree(jobs.cache / "one")
    with caplog.at_level(logging.WARNING):
        jobs.judge("one", answers_of())
    assert jobs.calls("one")["from_cache"] == 0
    assert f"nothing is taken from {segment.parent.resolve()}: " in caplog.text


def test_a_judge_that_is_killed_midway_loses_no_verdict(jobs: Jobs) -> None:
    answers = answers_of()
    alone, before = jobs.alone(answers, *SLOW), jobs.requests()
    with jobs.start("one", answers, *SLOW) as process:
        while len(jobs.finished("one")) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    kept = len(jobs.finished("one"))
    assert 3 <= kept < ROWS
    assert jobs.judge("one", answers, *SLOW) == alone
    assert sorted(jobs.finished("one")) == sorted(set(jobs.finished("one")))
    assert jobs.calls("one")["asked"] == ROWS
    assert jobs.requests() - before <= ROWS + 1  # the one that was on its way is asked again


def test_jobs_at_the_same_time_do_not_wait_for_each_other_and_write_the_same(jobs: Jobs) -> None:
    alone = jobs.alone(answers_of(), *SLOW)
    with jobs.start("a", answers_of(), *SLOW) as first, jobs.start("b", answers_of(), *SLOW) as second:
        while not (jobs.finished("a") and jobs.finished("b")):
            assert first.poll() is None or second.poll() is None
            time.sleep(0.01)
        both_at_work = first.poll() is None and second.poll() is None
        assert (first.wait(120), second.wait(120)) == (0, 0)
    assert both_at_work
    assert jobs.written("a") == jobs.written("b") == alone
    assert jobs.judge("late", answers_of(), *SLOW) == alone
    assert (jobs.calls("late")["asked"], jobs.calls("late")["from_cache"]) == (0, ROWS)
