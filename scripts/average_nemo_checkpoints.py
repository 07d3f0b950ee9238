"""Average NeMo checkpoints of a run into one model, as NeMo-Skills does (OpenMathInstruct-2, section 4: six of them).

Reads   the folders step={n} below --checkpoints, exactly those of --steps
        --base-model   the NeMo checkpoint that training began with: configuration and tokenizer
        --checkout     NeMo-Skills, whose script averages (scripts/fetch_checkout.py)
Writes  a NeMo checkpoint and, last, its manifest: what was averaged, and the sum of every file

NeMo-Skills' script takes every checkpoint whose name contains `step=1000`, that of step 10000 too, and counts it as
often as it is meant. So it sees a folder that holds exactly the checkpoints that are asked for, and is told no steps:
then it takes each of them once.
"""

import argparse
import logging
import os
import re
from pathlib import Path

from openmath.averaging import AveragingError, checkpoint_folders
from openmath.folder_steps import FolderError, already_made, finished_step, hold_target, move_contents, remove_steps
from openmath.manifests import MANIFEST, run_facts, write_folder_manifest
from openmath.programs import (
    NEMO_ADVICE,
    Checkout,
    Launcher,
    ProgramError,
    in_checkout,
    parse_launcher,
    read_checkout,
    require_packages,
    run_program,
)
from openmath.records import file_sha256

log = logging.getLogger("average_nemo_checkpoints")

SCRIPT = "nemo_skills/training/average_checkpoints.py"
PACKAGES = ("zarr", "tensorstore")


def base_model_option(checkout: Checkout) -> str:
    """What the script calls the base model: two names have been in use.

    Raises:
        ProgramError: the script knows neither.
    """
    script = checkout.file(SCRIPT)
    found = re.search(r"--untarred_nemo_(dir|folder)\b", script.read_text("utf-8"))
    if found is None:
        raise ProgramError(f"{script} has no option --untarred_nemo_dir or --untarred_nemo_folder")
    return found[0]


def averaging_words(checkout: Checkout, base_model: Path, checkpoints: Path) -> list[str]:
    """The command that averages all checkpoints in a folder, into a folder in it whose name ends in -averaged."""
    module = ".".join(Path(SCRIPT).with_suffix("").parts)
    words = ["python", "-m", module, base_model_option(checkout), os.path.abspath(base_model)]
    return [*words, "--name_prefix=model", f"--checkpoint_dir={os.path.abspath(checkpoints)}"]


def averaged_folder(folder: Path) -> Path:
    """The one folder that the script made.

    Raises:
        AveragingError: it made none or several, or one without configuration or weights.
    """
    made = sorted(path for path in folder.glob("*-averaged") if path.is_dir())
    if len(made) != 1:
        raise AveragingError(f"the script made {len(made)} folders *-averaged in {folder}, and not one")
    for name in ("model_config.yaml", "model_weights"):
        if not (made[0] / name).exists():
            raise AveragingError(f"the average has no {name}")
    return made[0]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder of step={n}")
    parser.add_argument("--steps", type=int, nargs="+", required=True)
    parser.add_argument("--base-model", type=Path, required=True, help="a folder in NeMo's form")
    parser.add_argument("--checkout", type=Path, required=True, help="the folder of NeMo-Skills' checkout/")
    parser.add_argument("--launcher", type=parse_launcher, default=[], metavar="JSON", help="words before the command")
    parser.add_argument("--num-gpus", type=int, default=1, help="{gpus} of the launcher")
    parser.add_argument("--output-folder", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json in that folder, written last")
    args = parser.parse_args(argv)
    if args.manifest != args.output_folder / MANIFEST:
        parser.error(f"--manifest must be {MANIFEST} in --output-folder")
    return args


def average(args: argparse.Namespace) -> None:
    """Average, and write the manifest."""
    launcher = Launcher(args.launcher, nodes=1, gpus=args.num_gpus, tasks=1)
    folders = checkpoint_folders(args.checkpoints, args.steps)
    if not (args.base_model / MANIFEST).is_file():
        raise AveragingError(f"{args.base_model} is no finished model folder: it has no {MANIFEST}")
    checkout = read_checkout(args.checkout)
    base_model_option(checkout)
    require_packages(launcher, checkout, PACKAGES, NEMO_ADVICE)

    def make(result: Path) -> None:
        links = result.with_name("checkpoints")
        links.mkdir()
        for folder in folders:
            (links / folder.name).symlink_to(folder.resolve())
        words = averaging_words(checkout, args.base_model, links)
        run_program("NeMo-Skills' averaging", in_checkout(launcher, checkout, words))
        averaged_folder(links).rename(result)

    target: Path = args.output_folder
    facts = {
        "source": "average of NeMo checkpoints",
        "steps": args.steps,
        "averaged": {folder.name: folder.resolve().name for folder in folders},
        "base_model_manifest_sha256": file_sha256(args.base_model / MANIFEST),
        "checkout": checkout.facts,
    }
    with hold_target(target):
        if already_made(target, facts):
            return
        move_contents(finished_step(target, "averaged", facts, make), target)
        write_folder_manifest(target, **facts)
        remove_steps(target, "averaged")
    log.info("averaged %d checkpoints into %s", len(folders), target)


def main(argv: list[str] | None = None) -> None:
    """Average checkpoints of one run."""
    args = parse_args(argv)
    log.info("arguments: %s; %s", vars(args), run_facts())
    try:
        average(args)
    except (AveragingError, FolderError, ProgramError) as error:
        raise SystemExit(f"average_nemo_checkpoints: {error}") from None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
