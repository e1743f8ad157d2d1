"""The params file of a study, `params.yaml`, read whole or in part.

    dataset = part(Dataset, "datasets", "utkface")     # one stanza of ./params.yaml

A stage reads the part that it uses, so that it depends on the settings of its own packages alone; of which
model or dataset, its command line says. All YAML is read here, with the checks of `parse`.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from pocketface.core import outs
from pocketface.core.errors import PocketfaceError, shown
from pocketface.core.files import read_text

DEEPEST, MOST = 50, 50_000
"""How deep the content of a file is nested, and how many nodes it has, each alias as what it stands for."""
T = TypeVar("T")


def argument(name: str, help: str, about: str | None, raw: bool = False) -> str:
    """The only argument of this process; `raw`: its help shows the lines of `about` as they are."""
    look = argparse.RawTextHelpFormatter if raw else argparse.HelpFormatter
    parser = argparse.ArgumentParser(description=about, formatter_class=look)
    parser.add_argument(name, help=help)
    return str(getattr(parser.parse_args(), name))


def part(kind: type[T], *keys: str, path: Path = outs.PARAMS, remedy: str | None = None) -> T:
    """What stands under `keys` of a params file, all of it without any, as a `kind`; `remedy` as in `read`.

    Raises:
        PocketfaceError: the file is missing or is not YAML, there is no such key, or a value is impossible.
    """
    found = read(path, remedy)
    for depth, key in enumerate(keys):
        if not isinstance(found, Mapping) or key not in found:
            there = f"; there are {', '.join(map(str, found))}" if isinstance(found, Mapping) else ""
            where = f" under `{'.'.join(keys[:depth])}`" if depth else ""
            raise PocketfaceError(f"{path}: no {key!r}{where}{there}")
        found = found[key]
    try:
        return TypeAdapter(kind).validate_python(found)
    except ValidationError as error:
        raise PocketfaceError(f"{path}: {explained(error, *keys)}") from None


def read(path: Path = outs.PARAMS, remedy: str | None = None) -> Any:
    """The content of a YAML file, unchecked; `remedy`: what to do where there is none.

    Raises:
        PocketfaceError: the file is missing or is not YAML, see `parse`.
    """
    try:
        return parse(read_text(path))
    except (FileNotFoundError, NotADirectoryError):
        remedy = remedy or "`pocketface study use starter` makes a params.yaml"
        raise PocketfaceError(f"{path}: no such file; {remedy}") from None
    except ValueError as error:
        raise PocketfaceError(f"{path}: not valid YAML: {error}") from None


def parse(text: str) -> Any:
    """What YAML says: plain values, lists and dicts.

    Raises:
        ValueError: it is not YAML, a key stands twice, a value contains itself or is not what its tag says,
            it is nested deeper than `DEEPEST` or larger than `MOST`.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(error) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


class _Loader(yaml.SafeLoader):
    composed = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        self.composed += 1
        if self.composed > MOST:  # before the rest is read, which takes minutes
            raise yaml.YAMLError(f"larger than {MOST:,} values")
        return super().compose_node(parent, index)

    def get_single_data(self) -> Any:
        node = self.get_single_node()
        if node is None:
            return None
        self._check(node, {})
        return self.construct_document(node)

    def _check(self, node: yaml.Node, known: dict[yaml.Node, tuple[int, int] | None]) -> tuple[int, int]:
        """The depth and number of the nodes of a node; `known` has None for those that it is in."""
        if node in known:
            if (found := known[node]) is None:
                raise _wrong("a value contains itself", node)
            return found
        known[node] = None
        if isinstance(node, yaml.ScalarNode):
            implied = {self.resolve(yaml.ScalarNode, node.value, (True, False)), "tag:yaml.org,2002:str"}
        else:
            implied = {self.resolve(type(node), None, True)}
        if node.tag not in implied:
            raise _wrong(f"{node.tag!r} is no kind of value here", node)
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            self._check_keys([key for key, _ in node.value])
            parts = [part for pair in node.value for part in pair]
        inner = [self._check(part, known) for part in parts]
        depth, size = 1 + max((depth for depth, _ in inner), default=0), 1 + sum(size for _, size in inner)
        if depth > DEEPEST or size > MOST:
            raise _wrong(f"nested deeper than {DEEPEST}, or larger than {MOST:,} values", node)
        known[node] = depth, size
        return depth, size

    def _check_keys(self, keys: list[yaml.Node]) -> None:
        said = set()
        for key in keys:
            if not isinstance(key, yaml.ScalarNode):
                raise _wrong("a key is a list or a mapping", key)
            name = key.value if key.tag == "tag:yaml.org,2002:merge" else self.construct_object(key)
            if name in said:
                raise _wrong(f"the key {name!r} stands twice", key)
            said.add(name)


def _wrong(what: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)


def explained(error: ValidationError, *keys: str) -> str:
    """One line per wrong field, named as it stands in the file, below `keys`."""
    lines = []
    for detail in error.errors():
        field = ".".join(str(part) for part in (*keys, *detail["loc"]))
        lines.append(shown(f"{field}: {detail['msg']}" if field else detail["msg"]))
    return "\n  ".join(lines)
