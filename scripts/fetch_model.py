"""Fetch a model into a folder in Hugging Face layout.

Reads   a snapshot in the cache of the Hugging Face hub, downloaded first where it is not there (cache, token, endpoint
        and offline settings of the hub are honoured), the files that a Python package carries, or a folder.
Writes  links to the files, in the folder of the manifest, then the manifest: source, revision and every file's sha256.
"""

import argparse
import importlib.metadata
import importlib.util
import logging
from pathlib import Path

from openmath.manifests import MANIFEST, write_folder_manifest

log = logging.getLogger("fetch_model")

FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
"""What of a repository is a model: its weights in one format, its configuration and its tokenizer."""


def snapshot_folder(repository: str, revision: str) -> Path:
    """Download a snapshot into the hub's cache (or find it there); the folder's name is the commit."""
    from huggingface_hub import snapshot_download

    patterns = [*FILES, *(f"*/{pattern}" for pattern in FILES)]
    ignored = ["original/*", "onnx/*", "openvino/*"]
    return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns, ignore_patterns=ignored))


def link_files(source: Path, folder: Path) -> None:
    """Link every file below ``source`` into ``folder``; links of an earlier try are replaced."""
    if not (source / "config.json").is_file():
        raise SystemExit(f"{source} is no model folder: there is no config.json in it")
    for file in sorted(source.rglob("*")):
        if file.is_file() and file.name != MANIFEST:
            link = folder / file.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(file.resolve())


def package_folder(package: str, subfolder: str) -> Path:
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the Python package '{package}', which carries the model, is not installed")
    return Path(spec.submodule_search_locations[0]) / subfolder


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=["hub", "package", "path"], required=True)
    parser.add_argument("--repository", help="hub: owner/name")
    parser.add_argument("--revision", default="main", help="hub: commit, tag or branch")
    parser.add_argument("--package", help="package: name of the Python package")
    parser.add_argument("--subfolder", default="", help="package: folder inside it")
    parser.add_argument("--path", type=Path, help="path: a model folder of this machine")
    parser.add_argument("--manifest", type=Path, required=True, help="written last, into the model's folder")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Fetch one model."""
    args = parse_args(argv)
    folder = args.manifest.parent
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"source": args.source}
    if args.source == "hub":
        snapshot = snapshot_folder(args.repository, args.revision)
        link_files(snapshot, folder)
        facts |= {"repository": args.repository, "revision": snapshot.name}
    elif args.source == "package":
        link_files(package_folder(args.package, args.subfolder), folder)
        facts |= {"package": args.package, "version": importlib.metadata.version(args.package)}
    else:
        link_files(args.path, folder)
    write_folder_manifest(folder, **facts)
    log.info("%s: %s", folder, facts)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
