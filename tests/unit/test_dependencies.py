"""The code that a stage depends on is found by reading imports."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from openmath.dependencies import imported_modules


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with a package ``openmath`` that has modules and a subpackage; the file ``entry.py`` is for the test."""
    files = {
        "__init__.py": '"""A library."""\n',
        "direct.py": "from openmath.indirect import x\n",
        "indirect.py": "import openmath.direct\nx = 1\n",
        "late.py": "import json\ny = 1\n",
        "unused.py": "z = 1\n",
        "marks/__init__.py": "from openmath.marks.first import grade\n",
        "marks/first.py": "from . import second\nfrom ..late import y\n\ndef grade(): ...\n",
        "marks/second.py": "number = 1\n",
        "marks/third.py": "from .second import number\n",
        "marks/inner/__init__.py": "",
        "marks/inner/deep.py": "from ...unused import z\n",
    }
    for name, text in files.items():
        path = tmp_path / "openmath" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


MARKS = ["__init__.py", "late.py", "marks/__init__.py", "marks/first.py", "marks/second.py"]
IMPORTS = {
    "modules, through modules and inside functions": (
        "from openmath import direct\n\ndef f():\n    from openmath.late import y\n",
        ["__init__.py", "direct.py", "indirect.py", "late.py"],
    ),
    "a name that a package takes from its module": ("from openmath.marks import grade", MARKS),
    "a package": ("import openmath.marks", MARKS),
    "a package of the library": ("from openmath import marks", MARKS),
    "a name of a module of a package": ("from openmath.marks.third import number", [*MARKS, "marks/third.py"]),
    "a module of a package": ("import openmath.marks.third as third", [*MARKS, "marks/third.py"]),
    "a module of a package, from the package": ("from openmath.marks import third", [*MARKS, "marks/third.py"]),
    "a module two packages down": (
        "import openmath.marks.inner.deep",
        [*MARKS, "marks/inner/__init__.py", "marks/inner/deep.py", "unused.py"],
    ),
    "the library alone": ("import openmath", ["__init__.py"]),
    "others": ("import json, openmathematics, os.path\nfrom late import y", []),
}


@pytest.mark.parametrize(("text", "expected"), IMPORTS.values(), ids=IMPORTS.keys())
def test_files_behind_an_import(library: Path, text: str, expected: list[str]) -> None:
    entry = library / "entry.py"
    entry.write_text(text)
    found = [Path(name).relative_to(library).as_posix() for name in imported_modules(entry)]
    assert found == ["entry.py", *sorted(f"openmath/{name}" for name in expected)]


@pytest.mark.parametrize(("text", "expected"), IMPORTS.values(), ids=IMPORTS.keys())
def test_python_runs_these_files(library: Path, text: str, expected: list[str]) -> None:
    late = "\nif 'f' in globals():\n    f()\n" if "def f" in text else ""
    known = "\nimport sys\nprint(*[m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'openmath'])\n"
    text = text.replace("openmathematics, ", "").replace("from late import y", "")
    program = f"import sys\nsys.path.insert(0, {str(library)!r})\n{text}\n{late}{known}"
    command = [sys.executable, "-I", "-c", program]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    files = {Path(name).relative_to(library / "openmath").as_posix() for name in loaded}
    assert files == set(expected)


def test_grading_depends_on_the_whole_grader_and_not_on_the_trainer(root: Path) -> None:
    found = {
        Path(name).relative_to(root / "scripts").as_posix()
        for name in imported_modules(root / "scripts/grade_answers.py")
    }
    grader = {
        path.relative_to(root / "scripts").as_posix() for path in (root / "scripts/openmath/answers").glob("*.py")
    }
    assert len(grader) > 10
    assert grader <= found
    assert {"grade_answers.py", "openmath/records.py"} <= found
    assert not {"openmath/training.py", "openmath/client.py"} & found


def test_what_is_installed_has_every_folder_of_the_library(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["setuptools"]["packages"]["find"] == {"where": ["scripts"]}
    # Setuptools finds a package by its __init__.py and looks no further where there is none.
    folders = {path.parent for path in (root / "scripts/openmath").rglob("*.py")}
    assert root / "scripts/openmath/answers" in folders
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
