"""Reading a person's `LABELS.csv`, strictly: a label that is not understood is an error, not a missing one.

    table = read_labels(Path("labels.csv"))        # columns: path, the labels, and further ones

| column | values |
|---|---|
| `path` or `file` (needed) | a picture file, relative to the csv's folder |
| `age` | years, 0 to 120; or bands in every line, which are then the `age_band` |
| `age_group` | young, elderly (65 and over) |
| `age_band` | 0-2, 3-9, 10-19, 20-29, ... 60-69, more than 70 |
| `gender` | male, female |
| `race` | any words: white, black, asian, indian, other, or those of another dataset |
| `expression` | angry, disgust, fear, happy, sad, surprise, neutral |
| any of CelebA's 40 attributes | 0 or 1 (-1, as CelebA writes it, is 0) |
| any other name | any words, kept as they are: groups to measure by |

Names of columns and labels are in any case; blanks around both are dropped, and so is a column without a
name. An empty cell is a missing label. Columns are separated by commas, semicolons or tabs: what the header
line has most of. FairFace's own csv is read as it is.
"""

import csv
import difflib
import io
import math
from collections import Counter
from pathlib import Path

import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import read_bytes
from pocketface.core.labels import AGE_BANDS, CELEBA_ATTRIBUTES, CLASSES
from pocketface.metrics.answers import AGE_RANGE

PATH = "path"
COLUMNS = (PATH, "age", *CLASSES, *CELEBA_ATTRIBUTES)
SEPARATORS = ",;\t"
LARGEST = 200_000_000
"""Bytes; a line of such a file has about 50."""
_FOLDED = {column.lower(): column for column in COLUMNS}

Value = float | int | str | None


def read_labels(path: Path) -> pd.DataFrame:
    """The labelled pictures of a csv file (UTF-8, header line).

    Returns:
        One row a picture, in the file's order: `path` as written, then the file's other columns: `age` as
        float, attributes as 0 or 1, words as in `pocketface.core.labels`, other races in lower case, further
        columns as written; null where missing.

    Raises:
        PocketfaceError: naming line and column, for a file that is empty, not UTF-8 or not csv; a column
            that is twice there or missing; a label outside the vocabulary; a path given twice.
    """
    lines, separator = _lines(path)
    if not lines:
        raise PocketfaceError(f"{path}: empty; it needs a header line with a column `path`")
    (_, header), *lines = lines
    if not lines:
        raise PocketfaceError(f"{path}: a header line and no pictures below it")
    for number, cells in lines:
        if len(cells) != len(header):
            raise PocketfaceError(
                f"{path}, line {number}: {len(cells)} cells under {len(header)} columns; "
                f"quote cells that contain {separator!r}"
            )
    columns = _columns(path, header, [cells for _, cells in lines])
    first: dict[Value, int] = {}
    rows = []
    for number, cells in lines:
        row = _row(path, number, columns, cells)
        if (earlier := first.setdefault(row[PATH], number)) != number:
            raise PocketfaceError(
                f"{path}, line {number}: {row[PATH]} is already in line {earlier}; "
                f"put all labels of a picture into one line"
            )
        rows.append(row)
    table = pd.DataFrame(rows, dtype=object)
    return table.astype(dict.fromkeys(table.columns.intersection(["age", *CELEBA_ATTRIBUTES]), float))


def hint(column: str) -> str | None:
    """The label that a further column may have been meant for."""
    near = difflib.get_close_matches(column.lower(), _FOLDED, n=1, cutoff=0.8)
    return _FOLDED[near[0]] if near else None


def _lines(path: Path) -> tuple[list[tuple[int, list[str]]], str]:
    """`(line number, stripped cells)` of every line that is not blank, and what separates the cells."""
    try:
        content = read_bytes(path, LARGEST).decode("utf-8-sig")
        separator = max(SEPARATORS, key=content.lstrip().partition("\n")[0].count)
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
        stripped = ((reader.line_num, [cell.strip() for cell in cells]) for cells in reader)
        return [(number, cells) for number, cells in stripped if any(cells)], separator
    except OSError as error:
        raise PocketfaceError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise PocketfaceError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except csv.Error as error:
        raise PocketfaceError(f"{path}, line {reader.line_num}: not csv ({error})") from None


def _columns(path: Path, header: list[str], lines: list[list[str]]) -> list[str]:
    """What the columns are: a label's name in its own spelling, a further column's as written."""
    columns = [_FOLDED.get(name.lower(), name) for name in header]
    if PATH not in columns:
        columns = [PATH if name.lower() == "file" else name for name in columns]
    if "age" in columns and "age_band" not in columns:
        at = columns.index("age")
        if next((cells[at].lower() for cells in lines if cells[at]), None) in AGE_BANDS:
            columns[at] = "age_band"
    if twice := next((column for column, times in Counter(columns).items() if column and times > 1), None):
        raise PocketfaceError(f"{path}, line 1: column {twice!r} is there twice")
    if PATH not in columns:
        raise PocketfaceError(
            f"{path}, line 1: no column `path`, which names the pictures; there are {', '.join(columns)}"
        )
    return columns


def _row(path: Path, number: int, columns: list[str], cells: list[str]) -> dict[str, Value]:
    row = {}
    for column, cell in zip(columns, cells, strict=True):
        try:
            if column:
                row[column] = value_of(column, cell)
        except ValueError as error:
            raise PocketfaceError(f"{path}, line {number}, column {column}: {error}") from None
    return row


def value_of(column: str, cell: str) -> Value:
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
    if column == "race":
        return cell.lower()
    if column in CLASSES:
        if cell.lower() not in CLASSES[column]:
            raise ValueError(f"{cell!r} is none of {', '.join(CLASSES[column])}")
        return cell.lower()
    if column not in CELEBA_ATTRIBUTES:
        return cell
    if cell not in ("0", "1", "-1"):
        raise ValueError(f"{cell!r} is neither 0 nor 1")
    return int(cell == "1")


def _age(cell: str) -> float:
    try:
        age = float(cell.replace(",", "."))
    except ValueError:
        age = math.nan
    if not AGE_RANGE[0] <= age <= AGE_RANGE[1]:
        raise ValueError(f"{cell!r} is not an age in years, 0 to 120")
    return age
