"""Checkouts of real repositories on this machine."""

import json
import subprocess

import pytest

import fetch_checkout


def git(folder, *words):
    identity = ("-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository of three commits, each with its number in the file `number`, and their names."""
    folder = tmp_path / "served" / "Skills.git"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commits = []
    for number in range(3):
        (folder / "number").write_text(f"{number}\n")
        git(folder, "add", "number")
        git(folder, "commit", "--quiet", "--message", f"commit {number}")
        commits.append(git(folder, "rev-parse", "HEAD"))
    return folder, commits


@pytest.fixture(autouse=True)
def no_sources(monkeypatch):
    monkeypatch.delenv("OPENMATH_SOURCES", raising=False)


def fetch(folder, repository, revision):
    fetch_checkout.main(["--repository", repository, "--revision", revision, "--manifest", f"{folder}/manifest.json"])
    return folder / "checkout"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_files_of_any_commit_are_fetched_alone(tmp_path, repository, number):
    served, commits = repository
    checkout = fetch(tmp_path / "to", f"file://{served}", commits[number])
    assert (checkout / "number").read_text() == f"{number}\n"
    assert git(checkout, "rev-parse", "HEAD") == commits[number]
    assert git(checkout, "rev-list", "--count", "HEAD") == "1"
    assert json.loads((tmp_path / "to/manifest.json").read_text()) == {
        "repository": f"file://{served}",
        "revision": commits[number],
    }
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [".lock", "checkout", "manifest.json"]


def test_a_server_that_gives_no_bare_commit_is_asked_for_all(tmp_path, repository, monkeypatch):
    served, commits = repository
    for name, value in {"COUNT": "1", "KEY_0": "protocol.version", "VALUE_0": "0"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)  # the old protocol refuses what is no branch's tip
    (tmp_path / "probe").mkdir()
    fetch_checkout.git(tmp_path / "probe", "init", "--quiet")
    with pytest.raises(fetch_checkout.GitError):
        fetch_checkout.git(tmp_path / "probe", "fetch", "--depth", "1", "--", f"file://{served}", commits[0])
    checkout = fetch(tmp_path / "to", f"file://{served}", commits[0])
    assert (checkout / "number").read_text() == "0\n"
    assert git(checkout, "rev-parse", "HEAD") == commits[0]


def test_a_clone_that_was_brought_along_is_enough(tmp_path, repository, monkeypatch):
    served, commits = repository
    subprocess.run(["git", "clone", "--quiet", str(served), str(tmp_path / "sources/Skills")], check=True)
    monkeypatch.setenv("OPENMATH_SOURCES", str(tmp_path / "sources"))
    checkout = fetch(tmp_path / "to", "https://nowhere.invalid/A/Skills.git", commits[1])
    assert (checkout / "number").read_text() == "1\n"
    assert json.loads((tmp_path / "to/manifest.json").read_text())["repository"].startswith("https://nowhere")


def test_a_clone_without_the_commit_is_passed_over(tmp_path, repository, monkeypatch):
    served, _ = repository
    subprocess.run(["git", "clone", "--quiet", str(served), str(tmp_path / "sources/Skills")], check=True)
    (served / "number").write_text("3\n")
    git(served, "commit", "--quiet", "--all", "--message", "commit 3")
    monkeypatch.setenv("OPENMATH_SOURCES", str(tmp_path / "sources"))
    checkout = fetch(tmp_path / "to", f"file://{served}", git(served, "rev-parse", "HEAD"))
    assert (checkout / "number").read_text() == "3\n"


def test_a_commit_that_is_nowhere_leaves_no_checkout_and_says_what_helps(tmp_path, repository):
    served, commits = repository
    fetch(tmp_path / "to", f"file://{served}", commits[0])
    with pytest.raises(SystemExit, match=r"fetch_checkout: .* cannot be had at 0{40} .*OPENMATH_SOURCES as Skills"):
        fetch(tmp_path / "to", f"file://{served}", "0" * 40)
    assert not (tmp_path / "to/manifest.json").exists()


def test_what_an_earlier_try_left_is_replaced(tmp_path, repository):
    served, commits = repository
    (tmp_path / "to/.checkout.x.part/checkout").mkdir(parents=True)
    (tmp_path / "to/checkout").mkdir()
    (tmp_path / "to/checkout/stale").touch()
    checkout = fetch(tmp_path / "to", f"file://{served}", commits[2])
    assert sorted(path.name for path in checkout.iterdir()) == [".git", "number"]
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [".lock", "checkout", "manifest.json"]


@pytest.mark.parametrize("revision", ["main", "e718d39", "E718D393E7B82D671E78D9474C514D1F90B6EA11"])
def test_a_revision_that_can_move_is_refused(tmp_path, revision, capsys):
    with pytest.raises(SystemExit):
        fetch(tmp_path, "https://nowhere.invalid/A/B", revision)
    assert "must be all 40 hexadecimal digits" in capsys.readouterr().err


def test_a_missing_git_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="fetch_checkout: the program 'git' is not found"):
        fetch(tmp_path / "to", "https://nowhere.invalid/A/B", "0" * 40)


@pytest.mark.parametrize("address", ["https://h/N/Skills", "https://h/N/Skills.git/", "git@h:N/Skills.git", "h:Skills"])
def test_the_name_of_a_clone_is_the_last_part_of_the_address(address):
    assert fetch_checkout.repository_name(address) == "Skills"
