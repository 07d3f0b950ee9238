"""Killed at any moment and called again, the workflow ends with the same bytes and asks for no finished row again."""

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from running import ROOT, Overlay, Workflow, digests, finished_rows, kill, wait_until

from openmath import word_problems
from openmath.records import write_jsonl
from openmath.training import saved_steps

pytestmark = pytest.mark.slow

SEEDS, ROWS = 4, 60
ANSWERS = "solution-augmentation/shop/answers.jsonl"
GENERATION: Overlay = {
    "datasets": {"shop": {"options": {"rows": {"train": ROWS, "test": 10}}, "solution_seeds": SEEDS}},
    "models": {
        # Untrained, so that no answer ends early, and slow enough to be killed on its way.
        "teacher": {"training": {"steps": 0}, "server": {"concurrency": 2, "options": {"max-batch-size": 4}}}
    },
}

LEG_STEPS, STEPS = 40, 60
LAST_LEG = "training/student/legs/2.json"


def training(reference: Path) -> Overlay:
    """A run of two legs on packed rows, which are made from the problems beside the reference."""
    student = yaml.safe_load((ROOT / "config/demo.yaml").read_text())["training"]["student-packed"]
    steps = {"steps": STEPS, "save_steps": 10, "average_steps": [STEPS], "leg_steps": LEG_STEPS}
    released = {
        "source": "path",
        "path": str(reference / "problems.jsonl"),
        "split": "train",
        "problem_key": "problem",
        "solution_key": "reference_solution",
        "answer_key": "expected_answer",
    }
    return {
        "sft": {"sets": {"word_problems": {"downsample": "none", "released": released}}},
        "training": {"student": {**student, **steps, "data": "word_problems"}},
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same generations and training, made in one go."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_jsonl(folder / "problems.jsonl", word_problems.rows("shop", "train", count=ROWS, seed=1))
    run = Workflow(folder, {**GENERATION, **training(folder)}, [ANSWERS, LAST_LEG])
    try:
        run.run()
    finally:
        run.end_processes()
    return folder


@pytest.fixture
def workflow(tmp_path: Path) -> Iterator[Callable[[Overlay, list[str]], Workflow]]:
    """Make a workflow in ``tmp_path``; what is left of its calls, orphans too, ends with the test."""
    yield lambda overlay, targets: Workflow(tmp_path, overlay, targets)
    Workflow(tmp_path).end_processes()


def has_rows(run: Workflow, count: int) -> Callable[[], bool]:
    return lambda: finished_rows(run.results).total() >= count


def has_step(run: Workflow, step: int) -> Callable[[], bool]:
    return lambda: max(saved_steps(run.results / "training/student/work/state"), default=0) >= step


def kill_main(run: Workflow, moment: Callable[[], bool], after: float) -> bool:
    """Call the workflow and kill its main process, alone, so long after a moment; false if it ended well before."""
    call = run.start()
    if wait_until(moment, call):
        time.sleep(after)
        call.kill()
    status = call.wait()
    assert status in (0, -signal.SIGKILL), run.last_words()
    return status != 0


def assert_every_row_was_finished_once(run: Workflow) -> None:
    rows = finished_rows(run.results)
    assert len(rows) == SEEDS * ROWS
    assert set(rows.values()) == {1}


def test_generations_of_a_workflow_that_was_killed_again_and_again(undisturbed, workflow, tmp_path):
    rng = random.Random(1)
    run = workflow(GENERATION, [ANSWERS])
    # Two seeds run at a time, and no other starts without a main process: each call finds something to do.
    moments = [(run.folder / "logs/make_model").exists, has_rows(run, 20), has_rows(run, 2 * ROWS + 20)]
    for moment in moments:
        assert kill_main(run, moment, after=rng.uniform(0, 0.5)), run.last_words()
    run.run()
    run.end_processes()
    expected = digests(undisturbed / "results/solution-augmentation")
    assert len(expected) == 2 * SEEDS + 2
    assert digests(tmp_path / "results/solution-augmentation") == expected
    assert digests(tmp_path / "resources/models/teacher") == digests(undisturbed / "resources/models/teacher")
    assert_every_row_was_finished_once(run)


def test_generations_whose_jobs_and_server_were_killed(undisturbed, workflow, tmp_path):
    rng = random.Random(2)
    run = workflow({**GENERATION, "pathvars": {"resources": str(undisturbed / "resources")}}, [ANSWERS])

    def job() -> int:
        return rng.choice(run.processes_of("generate.py"))

    def engine() -> int:
        return run.processes_of("serve_transformers.py")[0]

    def supervisor() -> int:
        (state,) = run.leases.glob("*/server.json")
        return int(json.loads(state.read_bytes())["supervisor"])

    for victims in ((job, engine), (supervisor,)):
        call = run.start()
        for victim in victims:
            assert wait_until(has_rows(run, finished_rows(run.results).total() + 20), call), run.last_words()
            time.sleep(rng.uniform(0, 0.3))
            kill(victim())
        assert wait_until(lambda: not run.processes_of("serve_transformers.py"), call), run.last_words()
        # Without their server the jobs would try for half a minute before they fail.
        for left in run.processes_of("generate.py"):
            kill(left)
        assert call.wait() == 1
    run.run()
    run.end_processes()
    assert digests(tmp_path / "results/solution-augmentation") == digests(undisturbed / "results/solution-augmentation")
    assert_every_row_was_finished_once(run)


def test_training_that_was_killed_again_and_again(undisturbed, workflow, tmp_path):
    rng = random.Random(3)
    overlay = {**training(undisturbed), "pathvars": {"resources": str(undisturbed / "resources")}}
    run = workflow(overlay, [LAST_LEG])
    assert kill_main(run, has_step(run, 10), after=rng.uniform(0, 0.3))
    orphans = run.processes_of("train_leg.py")
    call = run.start()
    assert wait_until(lambda: set(run.processes_of("train_leg.py")) - set(orphans), call), run.last_words()
    time.sleep(rng.uniform(0, 1))
    for orphan in orphans:
        kill(orphan)  # the job of the second call, which waits for it, takes its place
    assert wait_until(lambda: has_step(run, 30)() and run.processes_of("train_leg.py"), call), run.last_words()
    for job in run.processes_of("train_leg.py"):
        kill(job)
    assert call.wait() == 1
    assert kill_main(run, has_step(run, LEG_STEPS), after=rng.uniform(0, 2))
    kill_main(run, has_step(run, LEG_STEPS + 10), after=rng.uniform(0, 1))
    run.run()
    run.end_processes()
    legs = [json.loads((run.results / f"training/student/legs/{leg}.json").read_text()) for leg in (1, 2)]
    assert [(leg["step"], leg["finished"]) for leg in legs] == [(LEG_STEPS, False), (STEPS, True)]
    expected = digests(undisturbed / "results/training/student")
    assert f"checkpoints/step={STEPS}/model.safetensors" in expected
    assert digests(run.results / "training/student") == expected
