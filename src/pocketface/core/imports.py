"""What a script imports of this package, read from the sources; nothing is run."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def closure(script: Path, source: Path) -> list[Path]:
    """The files that decide what a script does: itself, all modules of the package in the folder `source`
    that it imports or that these import, within functions too, and the other files of their packages, as
    templates.

    A module that is imported by a name made at run time is not among them.
    """
    done: set[Path] = set()
    todo = [script]
    while todo:
        file = todo.pop()
        if file not in done:
            done.add(file)
            todo += [found for name in _imported(file.read_bytes()) for found in _files(name, source)]
    packages = {file.parent for file in done} - {script.parent, source}
    beside = {file for package in packages for file in package.rglob("*") if file.is_file()}
    return sorted(done | {file for file in beside if file.suffix not in (".py", ".pyc")})


@cache
def _imported(code: bytes) -> list[str]:
    """The dotted names that a file imports, not those for type checkers alone."""
    names: list[str] = []
    nodes: list[ast.AST] = [ast.parse(code)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            nodes += node.orelse
            continue
        nodes += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
        if isinstance(node, ast.Import):
            names += (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            names += (f"{node.module}.{name.name}" for name in node.names)
    return names


def _files(name: str, source: Path) -> Iterator[Path]:
    """What importing a dotted name runs: the packages above it, and it if it is a module."""
    top, *parts = name.split(".")
    if top != source.name:
        return
    path = source
    for part in ["", *parts]:
        path = path / part
        if path.with_suffix(".py").is_file():
            yield path.with_suffix(".py")
        elif (path / "__init__.py").is_file():
            yield path / "__init__.py"
