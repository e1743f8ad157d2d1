"""The params file of a study, `params.yaml`, read whole or in part.

    dataset = part(Dataset, "datasets", "utkface")     # one stanza of ./params.yaml

A stage reads the part that it uses, so that it depends on the settings of its own packages alone; who needs
all of it asks `pocketface.study`. An unknown name or an impossible value is a `PocketfaceError` that names
the file and the field.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from pocketface.core.errors import PocketfaceError

PARAMS = Path("params.yaml")
T = TypeVar("T")


def part(kind: type[T], *keys: str, path: Path = PARAMS) -> T:
    """What stands under `keys` of a params file, all of it without any, as a `kind`.

    Raises:
        PocketfaceError: the file is missing or is not YAML, there is no such key, or a value is impossible.
    """
    found = read(path)
    for depth, key in enumerate(keys):
        if not isinstance(found, Mapping) or key not in found:
            there = f"; there are {', '.join(map(str, found))}" if isinstance(found, Mapping) else ""
            where = f" under `{'.'.join(keys[:depth])}`" if depth else ""
            raise PocketfaceError(f"{path}: no {key!r}{where}{there}")
        found = found[key]
    try:
        return TypeAdapter(kind).validate_python(found)
    except ValidationError as error:
        raise PocketfaceError(f"{path}: {_explain(error, keys)}") from None


def read(path: Path = PARAMS) -> Any:
    """The content of a params file, unchecked.

    Raises:
        PocketfaceError: the file is missing or is not YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = f"`{shlex.join(['cp', 'studies/starter.yaml', str(path)])}`"
        raise PocketfaceError(f"{path}: no such file; start with {remedy}") from None
    except yaml.YAMLError as error:
        raise PocketfaceError(f"{path}: not valid YAML: {error}") from None


def _explain(error: ValidationError, keys: tuple[str, ...]) -> str:
    """One line per wrong field, named as it stands in the file."""
    lines = []
    for detail in error.errors():
        field = ".".join(str(part) for part in (*keys, *detail["loc"]))
        lines.append(f"{field}: {detail['msg']}" if field else detail["msg"])
    return "\n  ".join(lines)
