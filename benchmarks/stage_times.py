"""Where the time of a finished run went: jobs, wall and CPU seconds and peak memory of every rule.

    python benchmarks/stage_times.py results/demo/benchmarks

Reads the files that Snakemake's ``benchmark:`` directive wrote. CPU seconds are those that Snakemake sampled, so jobs
of less than its sampling interval show none; a server that jobs share is not counted.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path


def main(folder: Path) -> None:
    rules = defaultdict(list)
    for file in sorted(folder.rglob("*.jsonl")):
        rules[file.relative_to(folder).parts[0].removesuffix(".jsonl")].append(json.loads(file.read_text()))
    print(f"{'rule':24} {'jobs':>5} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}")
    for rule, jobs in sorted(rules.items(), key=lambda item: -sum(job["s"] for job in item[1])):
        wall, cpu = sum(job["s"] for job in jobs), sum(job["cpu_time"] or 0 for job in jobs)
        peak = max(job["max_rss"] or 0 for job in jobs)
        print(f"{rule:24} {len(jobs):5} {wall:8.1f} {cpu:8.1f} {peak:8.0f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
