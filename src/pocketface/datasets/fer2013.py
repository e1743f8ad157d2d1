"""FER2013: 35,887 grey faces of 48x48 pixels with one of seven expressions.

It comes in two layouts, and either will do:

- pictures, `train/happy/Training_10019449.jpg` or `test/happy/PublicTest_10077120.jpg`, as Kaggle hands out;
- the original `fer2013.csv` with the columns `emotion` (0 to 6, in the order of `EXPRESSIONS`), `pixels`
  (2,304 numbers) and `Usage`. Its records are named `fer2013.csv:00042`, by row, counted from 0.

The official split: Training is `train`, PublicTest `val`, PrivateTest `test`.

Goodfellow et al.: Challenges in Representation Learning: A Report on Three Machine Learning Contests,
ICONIP 2013.
"""

import functools
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from pocketface.datasets import Record, lines, pictures
from pocketface.errors import PocketfaceError
from pocketface.labels import EXPRESSIONS

LABELS = ("expression",)
CSV = "fer2013.csv"
SIDE = 48
SPLITS = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
NAME = re.compile(r"(?P<usage>Training|PublicTest|PrivateTest)_\d+\.(jpg|png)")


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with `expression`."""
    member = _csv(archive)
    if member is None:
        yield from map(_from_name, pictures(archive))
    else:
        yield from _from_csv(archive, member)


def picture(archive: zipfile.ZipFile, image: str) -> bytes:
    """A picture file of the archive, or a row of the csv as a PGM file.

    Pixels that are not 2,304 numbers from 0 to 255 are returned as they stand, which is no picture.
    """
    member, _, row = image.rpartition(":")
    if not member.endswith(CSV):
        return archive.read(image)
    line = _line(archive, member, int(row) + 1)
    header = _line(archive, member, 0).decode("utf-8-sig").split(",")
    pixels = line.split(b",")[_columns(header, member)["pixels"]]
    try:
        values = bytes(map(int, pixels.split()))
    except ValueError:
        return pixels
    return b"P5 %d %d 255\n" % (SIDE, SIDE) + values if len(values) == SIDE * SIDE else pixels


def _from_name(image: str) -> Record:
    path = PurePosixPath(image)
    name = NAME.fullmatch(path.name)
    if name is None:
        return Record(image, problem="bad_name")
    split = SPLITS[name["usage"]]
    expression = path.parent.name
    if expression not in EXPRESSIONS:
        return Record(image, split=split, problem="bad_label")
    return Record(image, {"expression": expression}, split)


def _csv(archive: zipfile.ZipFile) -> str | None:
    return next((name for name in archive.namelist() if PurePosixPath(name).name == CSV), None)


def _from_csv(archive: zipfile.ZipFile, member: str) -> Iterator[Record]:
    rows = lines(archive, CSV)
    columns = _columns(next(rows, "").split(","), member)
    for number, line in enumerate(rows):
        image = f"{member}:{number:05d}"
        fields = line.split(",")
        if len(fields) != len(columns):
            yield Record(image, problem="no_label")
            continue
        split = SPLITS.get(fields[columns["Usage"]].strip())
        emotion = fields[columns["emotion"]].strip()
        if split is None:
            yield Record(image, problem="no_split")
        elif emotion not in [str(n) for n in range(len(EXPRESSIONS))]:
            yield Record(image, split=split, problem="bad_label")
        else:
            yield Record(image, {"expression": EXPRESSIONS[int(emotion)]}, split)


def _columns(header: list[str], member: str) -> dict[str, int]:
    columns = {name.strip(): i for i, name in enumerate(header)}
    if set(columns) != {"emotion", "pixels", "Usage"}:
        raise PocketfaceError(
            f"{member}: its columns are {', '.join(columns)}, not emotion, pixels, Usage; "
            "take the csv of the original challenge"
        )
    return columns


def _line(archive: zipfile.ZipFile, member: str, number: int) -> bytes:
    path = Path(str(archive.filename))
    starts = _line_starts(path, path.stat().st_mtime_ns, member)
    if not 0 <= number < len(starts) - 1:
        raise KeyError(member)
    with path.open("rb") as file:
        file.seek(starts[number])
        return file.read(starts[number + 1] - starts[number])


@functools.lru_cache(maxsize=2)
def _line_starts(path: Path, modified: int, member: str) -> np.ndarray:
    """Where in a zip file each line of a stored member begins, and at last where the last one ends.

    One pass over the 300 MB, once a process; from then on any row is one seek away. (`ZipExtFile.seek`
    reads everything up to the place.) `modified` is there to tell a new file of the same name.
    """
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        info = archive.getinfo(member)
        if info.compress_type != zipfile.ZIP_STORED:
            raise zipfile.BadZipFile(f"{member} is compressed; rows are read from a stored member only")
        lengths = [len(line) for line in file]
    with path.open("rb") as raw:
        raw.seek(info.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", raw.read(4))
    return info.header_offset + 30 + name_length + extra_length + np.cumsum([0, *lengths])
