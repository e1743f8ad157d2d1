"""Reading a person's `LABELS.csv`, strictly: what is not understood is an error, not a missing label.

    table = read_labels(Path("labels.csv"))        # columns: path, file, and the labels

| column | values |
|---|---|
| `path` (needed) | a picture file, relative to the csv's folder |
| `age` | years, 0 to 120 |
| `age_group` | young, elderly (65 and over) |
| `age_band` | 0-2, 3-9, 10-19, 20-29, ... 60-69, more than 70 |
| `gender` | male, female |
| `race` | white, black, asian, indian, other |
| `expression` | angry, disgust, fear, happy, sad, surprise, neutral |
| any of CelebA's 40 attributes | 0 or 1 (-1, as CelebA writes it, is 0) |

Column names are taken exactly (CelebA has an attribute `Male`); words in any case; blanks around both are
dropped. An empty cell is a missing label.
"""

import csv
import difflib
import math
from pathlib import Path

import pandas as pd

from pocketface.errors import PocketfaceError
from pocketface.evaluation.answers import AGE_RANGE
from pocketface.labels import CELEBA_ATTRIBUTES, CLASSES

PATH = "path"
COLUMNS = (PATH, "age", *CLASSES, *CELEBA_ATTRIBUTES)

Value = float | int | str | None


def read_labels(path: Path) -> pd.DataFrame:
    """The labelled pictures of a csv file (UTF-8, comma, header line).

    Returns:
        One row a picture, in the file's order: `path` as written, then the file's label columns: `age` as
        float, attributes as 0 or 1, words as in `pocketface.labels`; null where missing.

    Raises:
        PocketfaceError: naming line and column, for a file that is empty, not UTF-8 or not csv; a column
            that is unknown, twice there or missing; a value outside the vocabulary; a path given twice.
    """
    lines = _lines(path)
    if not lines:
        raise PocketfaceError(f"{path}: empty; it needs a header line with a column `path`")
    _, header = lines[0]
    _check_header(path, header)
    if len(lines) == 1:
        raise PocketfaceError(f"{path}: a header line and no pictures below it")
    rows = [_row(path, number, header, cells) for number, cells in lines[1:]]
    _check_unique(path, lines[1:], [str(row[PATH]) for row in rows])
    return pd.DataFrame({column: _series(column, [row[column] for row in rows]) for column in header})


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """`(line number, stripped cells)` of every line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            return [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except OSError as error:
        raise PocketfaceError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise PocketfaceError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except csv.Error as error:
        raise PocketfaceError(f"{path}, line {reader.line_num}: not csv ({error})") from None


def _check_header(path: Path, header: list[str]) -> None:
    for column in header:
        if column not in COLUMNS:
            raise PocketfaceError(f"{path}, line 1: unknown column {column!r}; {_hint(column)}")
        if header.count(column) > 1:
            raise PocketfaceError(f"{path}, line 1: column {column!r} is there twice")
    if PATH not in header:
        raise PocketfaceError(f"{path}, line 1: no column `path`, which names the pictures")


def _hint(column: str) -> str:
    folded = {known.lower(): known for known in COLUMNS}
    near = difflib.get_close_matches(column.lower(), folded, n=1)
    if near:
        return f"did you mean {folded[near[0]]!r}?"
    return f"there are {PATH}, age, {', '.join(CLASSES)} and the attributes of CelebA"


def _row(path: Path, number: int, header: list[str], cells: list[str]) -> dict[str, Value]:
    if len(cells) != len(header):
        raise PocketfaceError(
            f"{path}, line {number}: {len(cells)} cells under {len(header)} columns; quote cells with commas"
        )
    row = {}
    for column, cell in zip(header, cells, strict=True):
        try:
            row[column] = _value(column, cell)
        except ValueError as error:
            raise PocketfaceError(f"{path}, line {number}, column {column}: {error}") from None
    return row


def _value(column: str, cell: str) -> Value:
    """The meaning of a cell.

    Raises:
        ValueError: it has none; the message says what would.
    """
    if column == PATH:
        if not cell or "\0" in cell:
            raise ValueError(f"{cell!r} names no file")
        return cell
    if not cell:
        return None
    if column == "age":
        return _age(cell)
    if column in CLASSES:
        words = {word.lower(): word for word in CLASSES[column]}
        if cell.lower() not in words:
            raise ValueError(f"{cell!r} is none of {', '.join(CLASSES[column])}")
        return words[cell.lower()]
    if cell not in ("0", "1", "-1"):
        raise ValueError(f"{cell!r} is neither 0 nor 1")
    return int(cell == "1")


def _age(cell: str) -> float:
    try:
        age = float(cell)
    except ValueError:
        age = math.nan
    if not AGE_RANGE[0] <= age <= AGE_RANGE[1]:
        raise ValueError(f"{cell!r} is not an age in years, 0 to 120")
    return age


def _check_unique(path: Path, lines: list[tuple[int, list[str]]], pictures: list[str]) -> None:
    first: dict[str, int] = {}
    for (number, _), picture in zip(lines, pictures, strict=True):
        if picture in first:
            raise PocketfaceError(
                f"{path}, line {number}: {picture} is already in line {first[picture]}; "
                f"put all labels of a picture into one line"
            )
        first[picture] = number


def _series(column: str, values: list[Value]) -> pd.Series:
    number = column == "age" or column in CELEBA_ATTRIBUTES
    return pd.Series(values, dtype="float64" if number else "object")
