"""Datasets: one module each, by its name in `params.yaml` and `data/sources.yaml`.

A module has `LABELS`, the label columns it can fill; `read(archive)`, a `Record` for every picture, sorted by
`image`; optionally `NAMES`, the file names that it reads, for messages, and, where pictures are not members
of the archive, `picture(archive, image)`. A name without a module is one that `labelled` reads.
"""

import csv
import hashlib
import importlib
import os
import pkgutil
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import BinaryIO, NamedTuple, cast

from pocketface.core.errors import PocketfaceError
from pocketface.core.hashing import hashed_split, unit_hash

LABELLED = "labelled"
PICTURE_SUFFIXES = tuple(
    ".jpg .jpeg .jpe .jif .jfif .mpo .png .apng .gif .webp .avif .avifs .heic .heif .hif .bmp .tif .tiff "
    ".pbm .pgm .ppm .pnm .pfm".split()
)
"""How names of picture files end. Whether one can be read is judged by its content."""
OLDEST = 122
"""Years. No older person is known; a label beyond it is a mistake."""
Readers = Mapping[str, Callable[[str], float | str | None]]
"""Label -> its value, from the part of a path that says it; None where that cannot be."""
LOCAL_HEADER = struct.Struct("<26x2H")
"""Before a file in a zip; its last two numbers are the lengths of a name and of more that follow."""
ENCRYPTED = 1
LONGEST_LINE = 1_000_000
"""Bytes of a line of a list; one of FER2013's csv has about 9,000."""
UNREADABLE = OSError, EOFError, zipfile.BadZipFile, zlib.error, csv.Error


@dataclass(frozen=True)
class Record:
    """One source picture, before anyone has looked inside it.

    Attributes:
        image: its name in the dataset's archive, with forward slashes.
        labels: column name -> value, see `pocketface.core.labels`; a label that is missing is left out.
        split: `train`, `val` or `test`; None where the dataset names none, and the split goes by a hash of
            the picture's content.
        problem: why the picture cannot be used, known before opening it: `bad_name` (the labels cannot be
            read from it), `bad_label` (a value that cannot be), `no_label`, `no_split`.
    """

    image: str
    labels: Mapping[str, float | int | str] = field(default_factory=dict)
    split: str | None = None
    problem: str | None = None


def names() -> list[str]:
    """The datasets there are, sorted; those that `labelled` reads have names of their own."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != LABELLED)


def labels(name: str) -> tuple[str, ...]:
    """The label columns of dataset `name`."""
    return tuple(_module(name).LABELS)


def expected_names(name: str) -> str:
    """The names of pictures that dataset `name` reads, in a line for messages; empty if it does not say."""
    return str(getattr(_module(name), "NAMES", ""))


def read(name: str, archive: Path) -> Iterator[Record]:
    """The records of a dataset in its zip, sorted by image; a wrong zip is a `PocketfaceError`."""
    module = _module(name)
    empty = True
    try:
        with zipfile.ZipFile(archive) as opened:
            for record in module.read(opened):
                empty = False
                yield record
            if empty:
                others = listed(PurePosixPath(member).name for member in opened.namelist())
                raise PocketfaceError(
                    f"{archive}: holds no pictures of {name}, but {others}; {_remedy(name)}"
                )
    except UNREADABLE as error:
        raise PocketfaceError(f"{archive}: {error}; {_remedy(name)}") from None


def open_picture(name: str, archive: zipfile.ZipFile, image: str) -> bytes:
    """The picture file behind a record of dataset `name`; none, or a damaged one, is a `PocketfaceError`."""
    picture = getattr(_module(name), "picture", zipfile.ZipFile.read)
    try:
        return cast(bytes, picture(archive, image))
    except KeyError:
        raise PocketfaceError(f"{archive.filename}: has no {image!r}; {_remedy(name)}") from None
    except UNREADABLE as error:
        raise PocketfaceError(f"{archive.filename}: {image}: {error}; {_remedy(name)}") from None


class Place(NamedTuple):
    """Where a file that is stored as it is stands in a zip: its header, its bytes and their checksum."""

    offset: int
    size: int
    crc: int


def places(archive: Path) -> dict[str, Place]:
    """Name -> place of the files that a zip stores as they are."""
    with zipfile.ZipFile(archive) as opened:
        return {
            member.filename: Place(member.header_offset, member.file_size, member.CRC)
            for member in opened.infolist()
            if member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & ENCRYPTED
        }


def read_at(name: str, archive: BinaryIO, image: str, place: Place) -> bytes:
    """As `open_picture`, of an archive of `places`, and without its list, which takes 0.6 kB a picture."""
    archive.seek(place.offset)
    header = archive.read(LOCAL_HEADER.size)
    if len(header) == LOCAL_HEADER.size:
        archive.seek(sum(LOCAL_HEADER.unpack(header)), os.SEEK_CUR)
    data = archive.read(place.size)
    if zlib.crc32(data) != place.crc:
        raise PocketfaceError(f"{archive.name}: {image}: bad CRC-32; {_remedy(name)}")
    return data


def read_pictures(name: str, archive: Path, records: Iterable[Record]) -> Iterator[tuple[Record, bytes]]:
    """Records of a dataset, each with its picture file, which tells the split where the record names none."""
    with zipfile.ZipFile(archive) as opened:
        for record in records:
            data = open_picture(name, opened, record.image)
            yield replace(record, split=record.split or hashed_split(hashlib.sha256(data).hexdigest())), data


def pictures(archive: zipfile.ZipFile) -> list[str]:
    """The names of the picture files in an archive, sorted, without hidden ones (`._name.jpg` of a Mac)."""
    named = [name for name in archive.namelist() if name.lower().endswith(PICTURE_SUFFIXES)]
    return sorted(name for name in named if not PurePosixPath(name).name.startswith("."))


def from_names(
    archive: zipfile.ZipFile,
    pattern: re.Pattern[str],
    labels: Readers,
    split: Callable[[str], str] | None = None,
) -> Iterator[Record]:
    """Records of a dataset whose labels stand in the paths of its pictures.

    Args:
        archive: the dataset's.
        pattern: of a whole path; a picture that it does not match is `bad_name`. It has a group for every
            label; one that takes no part is no label.
        labels: a value that is None, or an age that cannot be, makes the record `bad_label`.
        split: of a path; by default it goes by the `identity`, where there is one.
    """
    for image in pictures(archive):
        name = pattern.fullmatch(image)
        said = name.groupdict() if name else {}
        given = {label: value(said[label]) for label, value in labels.items() if said.get(label) is not None}
        found = {label: value for label, value in given.items() if value is not None}
        own = None
        if split:
            own = split(image)
        elif "identity" in found:
            own = hashed_split(str(found["identity"]))
        if name is None:
            yield Record(image, split=own, problem="bad_name")
        elif len(found) < len(given) or float(found.get("age", 0)) > OLDEST:
            yield Record(image, split=own, problem="bad_label")
        else:
            yield Record(image, found, own)


def lines(archive: zipfile.ZipFile, *filenames: str) -> Iterator[str]:
    """The lines of `path_of(archive, *filenames)`; none is a `PocketfaceError`."""
    if (path := path_of(archive, *filenames)) is None:
        raise PocketfaceError(
            f"{archive.filename}: has no {' or '.join(filenames)}; fetch it again, with all its files"
        )
    with archive.open(path) as file:
        while line := file.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                told = f"a line of more than {LONGEST_LINE:,} bytes"
                raise PocketfaceError(f"{archive.filename}: {path}: {told}")
            yield line.decode("utf-8-sig", errors="replace").rstrip("\r\n")


def path_of(archive: zipfile.ZipFile, *filenames: str) -> str | None:
    """The path of the first of `filenames` that the archive has, in any folder."""
    paths = {PurePosixPath(path).name: path for path in reversed(archive.namelist())}
    return next((paths[filename] for filename in filenames if filename in paths), None)


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names for a message, each once: the first `most` of them and how many more there are."""
    once = list(dict.fromkeys(names))
    more = [f"{len(once) - most} more"] if len(once) > most else []
    return ", ".join(once[:most] + more) or "nothing"


def in_sample(image: str, fraction: float) -> bool:
    """Whether a picture is in the fixed `fraction` of its dataset; a larger fraction holds a smaller one."""
    return unit_hash(image, "sample") < fraction


def _module(name: str) -> ModuleType:
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise PocketfaceError(f"no dataset {name!r}; there are {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name if name in names() else LABELLED}")


def _remedy(name: str) -> str:
    return f"make it again with `dvc repro -f fetch_data@{name}`"
