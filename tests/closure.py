"""Which files of the project a script imports, directly or through others, read from the source alone."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "ecg_temporal"


def import_closure(script: Path) -> set[str]:
    """Return the script and all modules of the package that it imports, as paths below the project's root.

    Without `__init__.py`: there is nothing in them but a docstring.
    """
    found: set[Path] = set()
    queue = [script]
    while queue:
        path = queue.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            queue.extend(file for name in names for file in _files(name))
    return {str(path.relative_to(ROOT)) for path in found if path.name != "__init__.py"}


def with_whole_folders(modules: set[str], taken: set[str]) -> set[str]:
    """Return `modules` with a folder of the package in place of its modules.

    Where all of them are there, or some and the folder is among those that are `taken` already.
    """
    for folder in (path for path in PACKAGE.iterdir() if path.is_dir()):
        name = str(folder.relative_to(ROOT))
        inside = {str(path.relative_to(ROOT)) for path in folder.glob("*.py") if path.name != "__init__.py"}
        if inside and (inside <= modules or (name in taken and inside & modules)):
            modules = modules - inside | {name}
    return modules


def _files(name: str) -> list[Path]:
    top, *rest = name.split(".")
    if top != PACKAGE.name:
        return []
    packages = [PACKAGE.joinpath(*rest[:k]) / "__init__.py" for k in range(len(rest) + 1)]
    return [file for file in (PACKAGE.joinpath(*rest).with_suffix(".py"), *packages) if file.is_file()]
