"""What the plan of the paper costs: CPU seconds and peak memory of a dry run.

    python benchmarks/plan.py

Without pyarrow, as a core installation is, and with it, which the Slurm plugin's pandas loads where it is installed.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = "results/openmath2_metrics.tsv"
WITHOUT = "import sys; sys.modules['pyarrow'] = None; "
RUN = "import sys; from snakemake.cli import main; main(sys.argv[1:])"


def dry_run(code: str) -> tuple[float, float]:
    """CPU seconds and peak memory (MB) of one dry run."""
    command = [sys.executable, "-c", code, "-n", TARGET, "--profile", "slurm"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit("the dry run failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


for name, code in (("without pyarrow", WITHOUT + RUN), ("with pyarrow", RUN)):
    seconds, megabytes = dry_run(code)
    print(f"{name}: {seconds:.1f} CPU-s, {megabytes:.0f} MB")
