"""Runs commands as in an install without extras: `python without_extras.py '[["explain", "--help"], ...]'`.

Prints a JSON list: exit status, stdout and stderr of each; a traceback is in stderr.
"""

import json
import re
import sys
import traceback
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, packages_distributions, requires


def hidden() -> set[str]:
    """Top-level modules that only extras and the development group bring."""

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    kept, todo = set(), ["pocketface"]
    while todo:
        if (package := plain(todo.pop())) not in kept:
            kept.add(package)
            try:
                needed = requires(package) or []
            except PackageNotFoundError:  # of another platform
                continue
            todo += [re.split(r"[^\w.-]", line)[0] for line in needed if "extra ==" not in line]
    packages = packages_distributions()
    return {module for module, brought_by in packages.items() if kept.isdisjoint(map(plain, brought_by))}


class Bare(PathFinder):
    """Finds what the path has, but for the hidden."""

    hidden = hidden()

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        return None if fullname.partition(".")[0] in cls.hidden else super().find_spec(fullname, path, target)


if __name__ == "__main__":
    sys.meta_path[sys.meta_path.index(PathFinder)] = Bare
    from typer.testing import CliRunner

    from pocketface.cli import app

    told = []
    for command in json.loads(sys.argv[1]):
        result = CliRunner().invoke(app, command)
        failed = "" if isinstance(result.exception, SystemExit | None) else result.exception
        trace = "".join(traceback.format_exception(failed)) if failed else ""
        told.append([result.exit_code, result.stdout, result.stderr + trace])
    print(json.dumps(told))
