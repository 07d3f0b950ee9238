"""Which modules of this library an entry script runs: found by reading its imports, without running it.

Python runs the ``__init__`` of every package on the way to a module, so that counts too:

    from openmath.answers.exact import form_of     openmath/__init__.py, openmath/answers/__init__.py,
                                                   openmath/answers/exact.py, and what these three import
"""

import ast
from pathlib import Path

LIBRARY = "openmath"


def imported_modules(entry: Path) -> list[str]:
    """The entry script, then every file of the package ``openmath`` that it imports, directly or not, sorted.

    Imports inside functions count, relative ones too. The package is looked for beside the entry script.
    """
    folder = entry.parent
    found: set[Path] = set()
    pending = [entry]
    while pending:
        for module in _imports(pending.pop(), folder):
            for file in _files(folder, module):
                if file not in found:
                    found.add(file)
                    pending.append(file)
    return [str(entry), *sorted(str(file) for file in found)]


def _files(folder: Path, module: str) -> list[Path]:
    """The files that run where a dotted name is imported; none of them for a name that is no module."""
    files, place = [], folder
    for part in module.split("."):
        place = place / part
        if (place / "__init__.py").is_file():
            files.append(place / "__init__.py")
        elif place.with_suffix(".py").is_file():
            return [*files, place.with_suffix(".py")]
        else:
            return files  # what is imported from the last file, such as a function
    return files


def _imports(source: Path, folder: Path) -> set[str]:
    """Dotted names under ``openmath`` that a file imports; of ``from a import b`` both ``a`` and ``a.b``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"), filename=str(source))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = ".".join([*_package(source, folder, node.level), *([node.module] if node.module else [])])
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return {name for name in names if name.split(".")[0] == LIBRARY}


def _package(source: Path, folder: Path, level: int) -> tuple[str, ...]:
    """The package that an import with ``level`` dots starts from; empty for an absolute one."""
    return source.relative_to(folder).parts[:-level] if level else ()
