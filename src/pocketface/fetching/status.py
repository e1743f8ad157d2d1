"""What `pocketface data list` shows: every dataset, its terms, and what of it is already here."""

from dataclasses import dataclass
from pathlib import Path

from pocketface.core import outs
from pocketface.core.addresses import address_in
from pocketface.fetching.obtain import MIRROR, held, is_address, present
from pocketface.fetching.sources import Source, load_sources

PACKED = "files.zip"


@dataclass(frozen=True)
class Row:
    """One dataset.

    Attributes:
        pictures: how many upstream has; None if nobody says.
        origin: where it would come from if it were fetched now: `archives`, `mirror`, or the kinds of
            upstream in the order tried, e.g. `google-drive, manual`; `rendered` if it is made here.
        archives: wanted files in the archives folder, e.g. `2 of 3`, or `faces.zip instead of 3`.
        raw: size of the unpacked zip in bytes; None if there is none.
    """

    dataset: str
    title: str
    pictures: int | None
    labels: tuple[str, ...]
    licence: str
    origin: str
    archives: str
    raw: int | None


def status(sources: Path = outs.SOURCES, archives: Path = outs.ARCHIVES, raw: Path = outs.RAW) -> list[Row]:
    """One row per dataset, in the order of the sources file. Reads no archive and asks no server.

    Raises:
        PocketfaceError: the sources file is missing or wrong.
    """
    return [_row(name, source, archives, raw) for name, source in load_sources(sources).datasets.items()]


def _row(name: str, source: Source, archives: Path, raw: Path) -> Row:
    parts = [part for file in source.files for part in file.parts()]
    here = sum(present(part, archives) is not None for part in parts)
    instead = ", ".join(archive.name for archive in held(name, source, archives))
    packed = raw / name / PACKED
    return Row(
        dataset=name,
        title=source.title,
        pictures=source.pictures,
        labels=source.labels,
        licence=source.licence,
        origin="archives" if instead or (parts and here == len(parts)) else _origin(name, source),
        archives=f"{instead} instead of {len(parts)}" if instead else f"{here} of {len(parts)}",
        raw=packed.stat().st_size if packed.is_file() else None,
    )


def _origin(name: str, source: Source) -> str:
    if source.rendered:
        return "rendered"
    mirror = address_in(MIRROR)
    parts = [part for file in source.files for part in file.parts()]
    if is_address(mirror):
        return "mirror"
    if mirror and (held(name, source, Path(mirror)) or all(present(part, Path(mirror)) for part in parts)):
        return "mirror"
    kinds = [place.kind for part in parts for place in part.upstream]
    return ", ".join(dict.fromkeys(kinds)) or "nowhere"
