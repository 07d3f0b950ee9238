"""Which modules of this library an entry script runs: found by reading its imports, without running it."""

import ast
from pathlib import Path


def imported_modules(entry: Path) -> list[str]:
    """The entry script, then every module of ``openmath`` that it imports, directly or not, sorted.

    Imports inside functions count. Modules are looked for in ``openmath/`` beside the entry script.
    """
    package = entry.parent / "openmath"
    found: set[Path] = set()
    pending = [entry]
    while pending:
        for name in _imports(pending.pop()):
            module = package / f"{name}.py"
            if module.is_file() and module not in found:
                found.add(module)
                pending.append(module)
    return [str(entry), *sorted(str(module) for module in found)]


def _imports(source: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"), filename=str(source))):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, module = node.module.partition(".")
            if package == "openmath":
                names.update([module] if module else [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            names.update(alias.name.removeprefix("openmath.") for alias in node.names if "." in alias.name)
    return names
