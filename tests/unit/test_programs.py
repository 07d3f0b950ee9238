"""Programs of other environments: how they are started and watched. What they make is tested with the scripts."""

import os
import sys
import time

import pytest
from stand_ins import write_checkout

from openmath import programs
from openmath.programs import Launcher, ProgramError, in_checkout, read_checkout, run_program


def test_numbers_are_filled_into_every_word_and_other_braces_are_left():
    launcher = Launcher(["srun", "--ntasks={tasks}", "--gres=gpu:{gpus}x{nodes}", "{home}", "{}"], 2, 8, 16)
    assert launcher.before(["p", "{tasks}"]) == [
        *("srun", "--ntasks=16", "--gres=gpu:8x2", "{home}", "{}"),
        *("p", "{tasks}"),
    ]


def test_a_command_runs_in_the_checkout_whatever_the_launcher_did(tmp_path, monkeypatch, capfd):
    checkout = read_checkout(write_checkout(tmp_path / "a folder"))
    monkeypatch.setenv("PYTHONPATH", "/image")
    show = ["sh", "-c", 'echo "$PWD|$PYTHONPATH|$MORE|$1"', "_", "it's = one"]
    run_program("show", in_checkout(Launcher(["env", "--chdir=/"]), checkout, show, MORE="x y"))
    folder = str(checkout.folder)
    assert capfd.readouterr().err == f"{folder}|{folder}:/image|x y|it's = one\n"


def test_a_failure_has_the_last_lines_of_both_streams(capfd):
    text = "import sys; print('a\\rb'); sys.stdout.flush(); print('c', file=sys.stderr); sys.exit(9)"
    with pytest.raises(ProgramError, match=r"^the program ended with status 9; the end of its log:\na\nb\nc$"):
        run_program("the program", [sys.executable, "-c", text])
    assert capfd.readouterr().err == "a\rb\nc\n"


def test_a_program_that_was_killed_is_told_from_one_that_failed():
    with pytest.raises(ProgramError, match="ended with signal 9"):
        run_program("the program", ["sh", "-c", "kill -9 $$"])


def test_what_a_program_left_behind_is_not_waited_for():
    started = time.monotonic()
    run_program("the program", ["sh", "-c", "sleep 30 & echo done"])
    assert time.monotonic() - started < 15


def test_a_program_has_no_input():
    run_program("the program", ["sh", "-c", 'test "$(cat)" = ""'])


def test_the_handler_of_signals_is_put_back():
    import signal

    before = signal.getsignal(signal.SIGTERM)
    run_program("the program", ["true"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_python_that_cannot_be_asked_is_named(tmp_path, monkeypatch):
    checkout = read_checkout(write_checkout(tmp_path / "c"))
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{python.parent}{os.pathsep}{os.defpath}")
    with pytest.raises(ProgramError, match="'python' of this job cannot look for nemo: broken"):
        programs.require_packages(Launcher(), checkout, ["nemo"], "advice")


def test_an_unfinished_checkout_is_refused(tmp_path):
    (tmp_path / "checkout").mkdir()
    with pytest.raises(ProgramError, match="is no finished checkout"):
        read_checkout(tmp_path)
