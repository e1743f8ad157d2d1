"""FER2013: 35,887 grey faces of 48x48 pixels with one of seven expressions, in either of two layouts:

- folders of expressions (`WORDS`); the official split is in Kaggle's file names
  (`train/happy/Training_10019449.jpg`) or in a folder (`FOLDERS`), else part of train is `val`, by content;
- `fer2013.csv` or `icml_face_data.csv`: `emotion` (0 to 6, as in `EXPRESSIONS`), `pixels` (2,304 numbers) and
  `Usage`; records are named `fer2013.csv:00042`, by row, counted from 0.

Training is `train`, PublicTest `val`, PrivateTest `test`. An expression without any picture is an error.
Goodfellow et al.: Challenges in Representation Learning, ICONIP 2013.
"""

import functools
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import EXPRESSIONS
from pocketface.datasets import LOCAL_HEADER, Record, lines, listed, path_of, pictures

LABELS = ("expression",)
NAMES = (
    "train/EXPRESSION/NAME.jpg, or validation or test, e.g. train/happy/Training_10019449.jpg, or a csv with "
    "emotion, pixels, Usage"
)
CSVS = ("fer2013.csv", "icml_face_data.csv")
SIDE = 48
CODES = {str(code): expression for code, expression in enumerate(EXPRESSIONS)}
SPLITS = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
NAME = re.compile(r"(?P<usage>Training|PublicTest|PrivateTest)_\d+\.(jpg|png)")
FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "publictest"), "val"),
    **dict.fromkeys(("test", "testing", "privatetest"), "test"),
}
_OTHERS = ("anger", "disgusted", "fearful", "happiness", "sadness", "surprised")
WORDS = {**dict(zip(EXPRESSIONS, EXPRESSIONS, strict=True)), **dict(zip(_OTHERS, EXPRESSIONS, strict=False))}


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with `expression`."""
    csv = path_of(archive, *CSVS)
    yield from _from_pictures(archive) if csv is None else _from_csv(archive, csv)


def picture(archive: zipfile.ZipFile, image: str) -> bytes:
    """A picture file of the archive, or a row of the csv as a PGM file; a bad row is returned as it is."""
    member, _, row = image.rpartition(":")
    if PurePosixPath(member).name not in CSVS:
        return archive.read(image)
    line = _line(archive, member, int(row) + 1)
    header = _line(archive, member, 0).decode("utf-8-sig").split(",")
    pixels = line.split(b",")[_columns(header, member)["pixels"]]
    try:
        values = bytes(map(int, pixels.split()))
    except ValueError:
        return pixels
    return b"P5 %d %d 255\n" % (SIDE, SIDE) + values if len(values) == SIDE * SIDE else pixels


def _from_pictures(archive: zipfile.ZipFile) -> Iterator[Record]:
    images = pictures(archive)
    folders = [PurePosixPath(image).parent.name for image in images]
    expressions = [WORDS.get(folder.lower()) for folder in folders]
    splits = [_split(image) for image in images]
    if images:
        _check_classes(archive, expressions, f"its folders are {listed(sorted(folders))}")
    for image, expression, split in zip(images, expressions, splits, strict=True):
        own = None if split == "train" and "val" not in splits else split  # None: by content
        yield _record(image, expression, own, "no_split" if split is None else None)


def _record(image: str, expression: str | None, split: str | None, problem: str | None) -> Record:
    if problem or expression is None:
        return Record(image, split=split, problem=problem or "bad_label")
    return Record(image, {"expression": expression}, split)


def _split(image: str) -> str | None:
    """By a picture's name, or by the nearest folder that says it (`test.zip` counts as one)."""
    path = PurePosixPath(image)
    if name := NAME.fullmatch(path.name):
        return SPLITS[name["usage"]]
    folders = (parent.name.lower().partition(".")[0] for parent in path.parents)
    return next((FOLDERS[folder] for folder in folders if folder in FOLDERS), None)


def _check_classes(archive: zipfile.ZipFile, found: Iterable[object], seen: str) -> None:
    missing = [expression for expression in EXPRESSIONS if expression not in found]
    if missing:
        raise PocketfaceError(
            f"{archive.filename}: no picture shows {', '.join(missing)}; {seen}. FER2013 has all of "
            f"{', '.join(EXPRESSIONS)}: rename the folders, or get the rest"
        )


def _from_csv(archive: zipfile.ZipFile, csv: str) -> Iterator[Record]:
    rows = lines(archive, PurePosixPath(csv).name)
    columns = _columns(next(rows, "").split(","), csv)
    records = [_from_row(f"{csv}:{number:05d}", row, columns) for number, row in enumerate(rows)]
    found = {str(record.labels["expression"]) for record in records if record.labels}
    if found:
        _check_classes(archive, found, f"{csv} has {listed(sorted(found))}")
    yield from records


def _from_row(image: str, row: str, columns: Mapping[str, int]) -> Record:
    fields = row.split(",")
    if len(fields) != len(columns):
        return Record(image, problem="no_label")
    split = SPLITS.get(fields[columns["Usage"]].strip())
    expression = CODES.get(fields[columns["emotion"]].strip())
    return _record(image, expression, split, "no_split" if split is None else None)


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

    One pass over the 300 MB a process; then any row is one seek away. `modified` is part of the cache's key.
    """
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        info = archive.getinfo(member)
        if info.compress_type != zipfile.ZIP_STORED:
            raise zipfile.BadZipFile(f"{member} is compressed; rows are read from a stored member only")
        lengths = [len(line) for line in file]
    with path.open("rb") as raw:
        raw.seek(info.header_offset)
        names = sum(LOCAL_HEADER.unpack(raw.read(LOCAL_HEADER.size)))
    return info.header_offset + LOCAL_HEADER.size + names + np.cumsum([0, *lengths])
