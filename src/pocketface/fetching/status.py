"""What `pocketface data list` shows: every dataset, its terms, and what of it is already here."""

from pathlib import Path
from typing import NamedTuple

from pocketface.core import outs
from pocketface.core.addresses import address_in
from pocketface.fetching.obtain import MIRROR, held, is_address, present
from pocketface.fetching.sources import Source, load_sources


class Row(NamedTuple):
    """One dataset.

    Attributes:
        pictures: how many upstream has; None if unknown.
        origin: where it would come from if it were fetched now: `archives`, `mirror`, or the kinds of
            upstream in the order tried, e.g. `google-drive, manual`; `rendered` if it is made here.
        here: what of it is: `32 MB` packed in data/raw, else `2 of 3` wanted files in the archives folder, or
            `faces.zip instead of 3`; empty if nothing is.
    """

    dataset: str
    pictures: int | None
    labels: tuple[str, ...]
    licence: str
    origin: str
    here: str


def status() -> list[Row]:
    """One row per dataset, in the order of the sources file. Reads no archive and asks no server.

    Raises:
        PocketfaceError: the sources file is missing or wrong.
    """
    return [_row(name, source) for name, source in load_sources().datasets.items()]


def _row(name: str, source: Source) -> Row:
    parts, packed = source.parts(), outs.RAW / name / "files.zip"
    count = sum(present(part) is not None for part in parts)
    instead = ", ".join(archive.name for archive in held(name, source, outs.ARCHIVES))
    origin = "archives" if instead or (parts and count == len(parts)) else _origin(name, source)
    if packed.is_file():
        here = f"{packed.stat().st_size / 1e6:.0f} MB"
    elif instead:
        here = f"{instead} instead of {len(parts)}"
    else:
        here = f"{count} of {len(parts)}" if count else ""
    return Row(name, source.pictures, source.labels, source.licence, origin, here)


def _origin(name: str, source: Source) -> str:
    if source.rendered:
        return "rendered"
    mirror, parts = address_in(MIRROR), source.parts()
    there = mirror and (
        held(name, source, Path(mirror)) or all(present(part, Path(mirror)) for part in parts)
    )
    if is_address(mirror) or there:
        return "mirror"
    return ", ".join(dict.fromkeys(place.kind for part in parts for place in part.upstream)) or "nowhere"
