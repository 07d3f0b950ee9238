"""The code that a stage depends on is found by reading imports."""

from pathlib import Path

from openmath.dependencies import imported_modules


def test_modules_are_found_through_modules_and_inside_functions(tmp_path: Path) -> None:
    package = tmp_path / "openmath"
    package.mkdir()
    (package / "direct.py").write_text("from openmath.indirect import x\n")
    (package / "indirect.py").write_text("import openmath.direct\n")
    (package / "late.py").write_text("import json\n")
    (package / "unused.py").write_text("")
    entry = tmp_path / "entry.py"
    entry.write_text("from openmath import direct\n\ndef f():\n    from openmath.late import y\n")
    found = [Path(name).relative_to(tmp_path).as_posix() for name in imported_modules(entry)]
    assert found == ["entry.py", "openmath/direct.py", "openmath/indirect.py", "openmath/late.py"]


def test_grading_depends_on_the_grader_and_not_on_the_trainer(root: Path) -> None:
    names = {Path(name).name for name in imported_modules(root / "scripts/grade_answers.py")}
    assert {"grade_answers.py", "answers.py", "records.py"} <= names
    assert not {"training.py", "client.py"} & names
