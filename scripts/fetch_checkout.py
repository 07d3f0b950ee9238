"""Fetch a git repository at one commit.

Reads   `$OPENMATH_SOURCES/<name>`, a clone that was brought along, if it has the commit; else the repository
Writes  checkout/ in the folder of the manifest: the files, with .git; then the manifest: repository and revision
"""

import argparse
import logging
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from openmath.folder_steps import already_made
from openmath.manifests import MANIFEST
from openmath.records import write_json
from openmath.work_folders import hold

log = logging.getLogger("fetch_checkout")

SOURCES = "OPENMATH_SOURCES"
_ALL_COMMITS = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
_OTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")


class GitError(RuntimeError):
    """A git command failed; the message is the last line that it said."""


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, never asking for a password, and return what it says.

    Raises:
        GitError: it failed.
    """
    variables = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    variables |= {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise GitError((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1])
    return done.stdout.strip()


def repository_name(repository: str) -> str:
    """The last part of a repository's address.

    >>> repository_name("https://github.com/NVIDIA/NeMo-Skills.git/")
    'NeMo-Skills'
    """
    return re.split(r"[/:]", repository.rstrip("/"))[-1].removesuffix(".git")


def local_source(repository: str, revision: str) -> Path | None:
    """The clone that was brought along, if it has the commit."""
    if not os.environ.get(SOURCES):
        return None
    clone = Path(os.path.abspath(os.environ[SOURCES])) / repository_name(repository)
    if not clone.is_dir():
        return None
    try:
        git(clone, "cat-file", "-e", f"{revision}^{{commit}}")
    except GitError as error:
        log.warning("%s does not have the commit %s: %s", clone, revision, error)
        return None
    return clone


def fetch_commit(source: str, revision: str, folder: Path) -> None:
    """Check out a commit into an empty folder; a server that gives no bare commit is asked for all of them.

    Raises:
        GitError: the commit cannot be had.
    """
    git(folder, "init", "--quiet")
    try:
        git(folder, "fetch", "--quiet", "--depth", "1", "--", source, revision)
    except GitError as error:
        log.info("%s does not give the commit alone (%s): fetching all commits", source, error)
        git(folder, "fetch", "--quiet", "--", source, *_ALL_COMMITS)
    git(folder, "checkout", "--quiet", "--detach", revision)
    if (head := git(folder, "rev-parse", "HEAD")) != revision:
        raise GitError(f"the checkout is at {head}")


def make_checkout(repository: str, revision: str, folder: Path) -> None:
    """Make checkout/ in a held folder; what earlier attempts left is removed.

    Raises:
        GitError: the commit cannot be had.
    """
    for old in folder.glob(".checkout.*.part"):
        shutil.rmtree(old)
    source = local_source(repository, revision)
    with tempfile.TemporaryDirectory(prefix=".checkout.", suffix=".part", dir=folder) as part:
        place = Path(part) / "checkout"
        place.mkdir()
        fetch_commit(repository if source is None else str(source), revision, place)
        shutil.rmtree(folder / "checkout", ignore_errors=True)
        place.rename(folder / "checkout")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", required=True, help="address of the repository, as git knows it")
    parser.add_argument("--revision", required=True, help="the commit: all 40 hexadecimal digits")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json, beside which checkout/ stands")
    args = parser.parse_args(argv)
    if not re.fullmatch(r"[0-9a-f]{40}", args.revision):
        parser.error(f"--revision {args.revision}: must be all 40 hexadecimal digits of a commit")
    if args.manifest.name != MANIFEST:
        parser.error(f"--manifest must be named {MANIFEST}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Fetch one commit."""
    args = parse_args(argv)
    log.info("arguments: %s", vars(args))
    if shutil.which("git") is None:
        raise SystemExit("fetch_checkout: the program 'git' is not found in this job")
    folder: Path = args.manifest.parent
    facts = {"repository": args.repository, "revision": args.revision}
    with hold(folder):
        if already_made(folder, facts):
            return
        try:
            make_checkout(args.repository, args.revision, folder)
        except GitError as error:
            raise SystemExit(
                f"fetch_checkout: {args.repository} cannot be had at {args.revision} ({error}); without a network, "
                f"put a clone that has the commit into ${SOURCES} as {repository_name(args.repository)}"
            ) from None
        write_json(args.manifest, facts)
    log.info("%s is at %s", folder / "checkout", args.revision)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
