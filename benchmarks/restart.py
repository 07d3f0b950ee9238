"""The miniature, killed again and again: does it end with the same bytes?

    python benchmarks/restart.py FOLDER --kills 6 --seed 1

The miniature runs twice, from nothing: once undisturbed, and once so that its main process gets SIGKILL so many times,
each when it has finished up to 30 jobs and at most 5 seconds later, and the same command is called again at once. What
a killed call had started (jobs, servers) goes on. Then every artefact of the two is compared, and finished rows that
stand twice in the work folders are counted; the status is 1 if anything differs. Takes about ten minutes of two cores.
"""

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/integration"))

from running import Workflow, digests, finished_rows, wait_until


def finished_jobs(workflow: Workflow, start: int) -> int:
    """How many jobs the calls have finished since their output was so long."""
    return workflow.output.read_bytes()[start:].count(b"%) done")


def run_with_kills(workflow: Workflow, kills: int, rng: random.Random) -> None:
    """Call the workflow until it ends well, and kill the main processes of the first calls; say what each has left."""
    for number in range(1, kills + 1):
        start = workflow.output.stat().st_size if workflow.output.exists() else 0
        jobs, after = rng.randint(0, 30), rng.uniform(0, 5)
        call = workflow.start()
        if wait_until(lambda start=start, jobs=jobs: finished_jobs(workflow, start) >= jobs, call, seconds=1800):
            time.sleep(after)
            call.kill()
            call.wait()
            words = [word for words in workflow.processes().values() for word in words[1:2] if "scripts/" in word]
            left = ", ".join(sorted(Path(word).name for word in words))
            print(f"kill {number}, {after:.1f} s after job {jobs}: it leaves {left or 'nothing'}", flush=True)
    workflow.run()


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new folder for both runs")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    undisturbed, killed = (Workflow(args.folder.resolve() / name) for name in ("undisturbed", "killed"))
    started = time.monotonic()
    undisturbed.run()
    print(f"undisturbed: {time.monotonic() - started:.0f} s", flush=True)
    started = time.monotonic()
    run_with_kills(killed, args.kills, random.Random(args.seed))
    print(f"killed and called again: {time.monotonic() - started:.0f} s")
    for workflow in (undisturbed, killed):
        workflow.end_processes()
    expected, made = (
        {f"{part}/{name}": digest for part in ("results", "resources") for name, digest in digests(run / part).items()}
        for run in (undisturbed.folder, killed.folder)
    )
    differing = sorted(name for name in {*expected, *made} if expected.get(name) != made.get(name))
    print(f"{len(expected)} artefacts, {len(differing)} differ: {', '.join(differing) or 'none'}")
    rows, wanted = finished_rows(killed.results), len(finished_rows(undisturbed.results))
    twice = sum(count > 1 for count in rows.values())
    print(f"{len(rows)} of {wanted} rows in the work folders, {twice} twice")
    print(f"{len(list(killed.folder.rglob('.*.part')))} files of killed writers are left under hidden names")
    sys.exit(1 if differing or twice else 0)


if __name__ == "__main__":
    main()
