"""What all stages share: the checked configuration and the wildcards."""

import fcntl
import json
import os
import re
import shlex
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from openmath.config import check_config
from openmath.dependencies import imported_modules
from openmath.records import write_json


include: "functions.smk"


check_config(config, ROOT / "config/schemas/config.schema.yaml")

# Jobs run the Python that runs Snakemake, also where its environment was not activated.
os.environ |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])}


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    benchmark=one_of(config["datasets"]),
    split=r"train|train_full|validation|test",
    model=one_of([*config["models"], *config["training"]]),
    run=one_of(config["training"]),
    data=one_of(config["sft"]["sets"]),
    seed=r"\d+",
    i=r"\d+",
    leg=r"\d+",
    capacity=r"\d+",
