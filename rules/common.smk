"""What all stages share: the checked configuration and the wildcards."""

import fcntl
import glob
import json
import os
import re
import shlex
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from huggingface_hub import get_token
from huggingface_hub.constants import HF_HUB_OFFLINE
from openmath.config import check_config
from openmath.config_checks import data_parallel_size, padding_multiple
from openmath.dependencies import imported_modules
from openmath.engines import parallel_options
from openmath.records import write_json
from openmath.snakemake_fixes import look_behind_ancient_inputs
from openmath.sources import read_registry
from snakemake.logging import logger


include: "functions.smk"
include: "placement.smk"


check_config(config, ROOT)
look_behind_ancient_inputs()

# Jobs run the Python that runs Snakemake, also where its environment was not activated.
os.environ |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])}


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    benchmark=one_of(config["datasets"]),
    split=r"train|train_full|validation|test",
    model=one_of([*config["models"], *config["training"]]),
    other=one_of([*config["models"], *config["training"]]),
    run=one_of(config["training"]),
    data=one_of([*config["sft"]["sets"], *config["sft"]["merged"]]),
    seed=r"\d+",
    i=r"\d+",
    leg=r"\d+",
    capacity=r"\d+",
    cp=r"(_cp\d+)?",
    tp=r"\d+",
    pp=r"\d+",
