"""Average checkpoints of a run into one model (OpenMathInstruct-2, section 4: six checkpoints, equally weighted).

Reads   the folders step={n} below --checkpoints, exactly those of --steps
Writes  a model folder and, last, its manifest with the hash of every file that went into the average
"""

import argparse
import logging
from pathlib import Path

from openmath.averaging import average_checkpoints, checkpoint_folders
from openmath.manifests import write_folder_manifest
from openmath.records import file_sha256
from openmath.work_folders import hold

logger = logging.getLogger("average_checkpoints")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--steps", type=int, nargs="+", required=True)
    parser.add_argument("--output-folder", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json in that folder, written last")
    args = parser.parse_args(argv)
    if args.manifest != args.output_folder / "manifest.json":
        parser.error("--manifest must be manifest.json in --output-folder")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    folders = checkpoint_folders(args.checkpoints, args.steps)
    with hold(args.output_folder):
        average_checkpoints(folders, args.output_folder)
        write_folder_manifest(
            args.output_folder,
            source="average of checkpoints",
            steps=args.steps,
            averaged={
                folder.name: {path.name: file_sha256(path) for path in sorted(folder.glob("*.safetensors"))}
                for folder in folders
            },
        )
    logger.info("averaged %d checkpoints into %s", len(folders), args.output_folder)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
