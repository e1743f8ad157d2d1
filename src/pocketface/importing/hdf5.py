"""The weights in an HDF5 file of Keras 2, `save_weights` or `save`, with models nested in it or not.

`layer_names` of the file, or of its group `model_weights`, lists a group per layer (a nested model is one),
`weight_names` of that its datasets. Nothing else is read: code could hide in `model_config`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from pocketface.core.errors import PocketfaceError, located, refusing
from pocketface.importing.layers import Learned

MOST_NAMES = 10_000
"""Layers, or weights of a layer. The largest networks have a few thousand."""
MOST_DIMENSIONS = 4
UNREADABLE = OSError, KeyError, RuntimeError, ValueError, TypeError
"""What h5py raises on damaged files."""


@contextmanager
def open_layers(path: Path) -> Iterator[list[Learned]]:
    """The layers with weights, in the file's order; their arrays are read from the file while it is open.

    Raises:
        PocketfaceError: it is not HDF5, not in that layout, or not to be trusted.
    """
    damaged = refusing("not readable as HDF5 weights of Keras", *UNREADABLE)
    with located(path), damaged, h5py.File(path, "r") as file:
        check_links(file)
        root = _member(file, "model_weights", h5py.Group) if "model_weights" in file else file
        yield _layers(root)


def _layers(root: h5py.Group) -> list[Learned]:
    layers: dict[str, dict[str, h5py.Dataset]] = {}
    for group in _names(root, "layer_names"):
        inside = _member(root, group, h5py.Group)
        for weight in _names(inside, "weight_names"):
            layer, _, name = f"{group}/{weight}".rpartition("/")
            layers.setdefault(layer, {})[name.removesuffix(":0")] = _array(inside, weight)
    return [Learned(name, weights) for name, weights in layers.items()]


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names; Keras cuts one that is too long for an attribute: `layer_names0`, `layer_names1`, …"""
    pieces = [attribute] if attribute in group.attrs else []
    while not (pieces and pieces[0] == attribute) and f"{attribute}{len(pieces)}" in group.attrs:
        pieces.append(f"{attribute}{len(pieces)}")
    if not pieces:
        raise PocketfaceError(f"{group.name} has no {attribute}: not the weights of a Keras 2 model")
    names: list[str] = []
    for piece in pieces:
        shape = group.attrs.get_id(piece).shape
        if len(shape) != 1 or len(names) + shape[0] > MOST_NAMES:
            raise PocketfaceError(f"{group.name}: {piece} is no list of at most {MOST_NAMES} names")
        names += [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs[piece]]
    return names


def _member(group: h5py.Group, path: str, kind: type) -> h5py.Group | h5py.Dataset:
    found = group.get(path)
    if not isinstance(found, kind):
        raise PocketfaceError(f"{group.name} has no {kind.__name__.lower()} {path}")
    return found


def _array(group: h5py.Group, path: str) -> h5py.Dataset:
    data = _member(group, path, h5py.Dataset)
    if data.dtype.kind != "f" or data.shape is None or len(data.shape) > MOST_DIMENSIONS:
        raise PocketfaceError(f"{data.name} is not an array of floats: {data.dtype} {data.shape}")
    return data


def check_links(file: h5py.File) -> None:
    """Checks that all of a file is in the file.

    Raises:
        PocketfaceError: a link, or an array, leads elsewhere; or it has too many members.
        ValueError, KeyError, RuntimeError: it is damaged.
    """
    names: list[bytes] = []
    file.id.links.visit(names.append)
    if len(names) > MOST_NAMES * 10:
        raise PocketfaceError(f"more than {MOST_NAMES * 10} members")
    for name in (name.decode() for name in names):
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise PocketfaceError(f"/{name} is a link to elsewhere, which is refused")
        member = file[name]
        if isinstance(member, h5py.Dataset) and (member.external or member.is_virtual):
            raise PocketfaceError(f"/{name} keeps its numbers in another file, which is refused")
