"""One's own pictures as a dataset: packed with their labels, and an entry in `data/sources.yaml`.

Splits: a column `split`, where there is one; by person, where a column `person` or `identity` names them;
else by the content of the picture.
"""

import csv
import io
import re
import zipfile
from collections.abc import Hashable, Mapping
from pathlib import Path

import pandas as pd
import yaml

from pocketface import datasets
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256, written_whole
from pocketface.core.hashing import SPLITS, hashed_split
from pocketface.core.labels import CELEBA_ATTRIBUTES, NO_YES, TAKEN
from pocketface.core.outs import ARCHIVES, SOURCES
from pocketface.core.settings import Name, fits
from pocketface.datasets.labelled import LIST
from pocketface.evaluation.label_csv import COLUMNS, PATH, Value, read_labels, value_of
from pocketface.evaluation.labelled import MOST_GROUPS
from pocketface.evaluation.predict import files_in
from pocketface.faces.settings import Crop
from pocketface.fetching.sources import load_sources

LABEL = re.compile(r"[A-Za-z]\w{0,63}", re.ASCII)
PERSON = ("person", "identity")
SPLIT = "split"
CLASS = "label"
"""The column of a dataset that is a folder a class, unless another is named."""


def labelled(source: Path, column: str = CLASS) -> tuple[pd.DataFrame, Path]:
    """The pictures of a csv, or of a folder with a folder a class, and what their paths are relative to;
    `column`: what the classes of folders answer, e.g. `mask`.

    Raises:
        PocketfaceError: it is neither, or there is no picture.
    """
    if not source.is_dir():
        return read_labels(source), source.parent
    files = [file.relative_to(source) for file in files_in([source])[0]]
    if loose := [file for file in files if len(file.parts) < 2]:
        raise PocketfaceError(f"{source / loose[0]}: in no class's folder; give a folder for each class")
    classes = [_class(source / file.parts[0], column) for file in files]
    return pd.DataFrame({PATH: [file.as_posix() for file in files], column: classes}), source


def _class(folder: Path, column: str) -> Value:
    word = NO_YES.index(folder.name) if column in CELEBA_ATTRIBUTES and folder.name in NO_YES else folder.name
    try:
        return value_of(column, str(word))
    except ValueError as error:
        raise PocketfaceError(f"{folder}: {error}") from None


def label_columns(table: pd.DataFrame) -> list[str]:
    """The columns that are labels: ours, and somebody's own classes.

    Raises:
        PocketfaceError: there is none, or one has a name that is taken.
    """
    ours = [column for column in table if column in COLUMNS and column != PATH]
    own = [
        str(column)
        for column in table
        if column not in (*COLUMNS, *PERSON, SPLIT) and table[column].nunique() <= MOST_GROUPS
    ]
    if wrong := [column for column in own if not LABEL.fullmatch(column) or column.startswith("age")]:
        raise PocketfaceError(f"column {wrong[0]!r}: name a label with letters, digits and _, not `age...`")
    if taken := [column for column in own if column in TAKEN]:
        raise PocketfaceError(f"column {taken[0]!r}: faces have a column of that name; rename it, or drop it")
    if not ours + own:
        raise PocketfaceError(f"no column is a label; besides `{PATH}` name some, such as gender or mask")
    return [str(column) for column in table if column in (*ours, *own)]


def check_name(name: str, root: Path) -> None:
    """Raises a `PocketfaceError` unless a new dataset may have this name."""
    if not fits(name, Name):
        raise PocketfaceError(f"{name!r}: a dataset is named in lower case, with letters, digits and _")
    if name in load_sources(root / SOURCES).datasets or name in datasets.names():
        raise PocketfaceError(
            f"{name}: there is a dataset of that name; give it another, or remove that entry"
        )


def add(
    name: str, table: pd.DataFrame, folder: Path, root: Path, licence: str = "yours"
) -> tuple[list[str], str]:
    """Adds a dataset; its label columns, and the stanza of params that uses it.

    Args:
        name: in lower case, of no dataset that there is.
        table: a row a picture, see `labelled`.
        folder: what its paths are relative to.
        root: of the repository.
        licence: the pictures' terms.

    Raises:
        PocketfaceError: the name is taken, a picture is missing, or something cannot be written.
    """
    check_name(name, root)
    labels = label_columns(table)
    archive = Path(name, "files.zip")
    with written_whole(root / ARCHIVES / archive) as partial:
        partial.parent.mkdir(parents=True, exist_ok=True)
        pack(table, labels, folder, partial)
    entry = {
        name: {
            "title": name,
            "about": f"{len(table)} pictures, packed by `pocketface data add`.",
            "licence": licence,
            "labels": labels,
            "pictures": len(table),
            "files": [{"mirror": archive.as_posix(), "sha256": sha256(root / ARCHIVES / archive)}],
        }
    }
    _insert(root / SOURCES, yaml.safe_dump(entry, sort_keys=False, allow_unicode=True))
    crop = Crop(policy="largest", margin=0.4, size=160, channels=3)
    return labels, yaml.safe_dump({"datasets": {name: stanza(crop)}}, sort_keys=False)


def stanza(crop: Crop) -> dict[str, object]:
    """What stands under `datasets.NAME` of a study."""
    return {"reader": datasets.LABELLED, "crop": crop.model_dump(exclude_unset=True)}


def pack(table: pd.DataFrame, labels: list[str], folder: Path, target: Path) -> None:
    """Writes the zip: the pictures, numbered, and their list.

    Raises:
        PocketfaceError: a picture cannot be read.
    """
    person = next((column for column in PERSON if column in table), None)
    rows = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number, row in enumerate(table.to_dict("records")):
            file = folder / str(row[PATH])
            try:
                content = file.read_bytes()
            except OSError as error:
                raise PocketfaceError(f"{file}: cannot be read ({error.strerror}); mend its line") from None
            member = f"pictures/{number:06d}{file.suffix.lower()}"
            archive.writestr(zipfile.ZipInfo(member), content)  # without a date: its bytes repeat
            who = [str(row[person] or "")] if person else []
            rows.append([member, _split(row, person), *(_word(label, row[label]) for label in labels), *who])
        text = io.StringIO(newline="")
        header = [PATH, SPLIT, *labels, *(PERSON[-1:] if person else [])]
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        archive.writestr(zipfile.ZipInfo(LIST), text.getvalue())


def _split(row: Mapping[Hashable, object], person: str | None) -> str:
    """Of a picture; empty where it goes by its content."""
    said = str(row.get(SPLIT) or "").lower()
    if said and said not in SPLITS:
        raise PocketfaceError(f"{row[PATH]}: {said!r} is no split; there are {', '.join(SPLITS)}")
    if said or person is None or not row[person]:
        return said
    return hashed_split(str(row[person]))


def _word(label: str, value: object) -> str:
    if value is None or value != value:
        return ""
    return str(int(str(value).partition(".")[0])) if label in CELEBA_ATTRIBUTES else str(value)


def _insert(path: Path, entry: str) -> None:
    """Puts an entry at the head of `datasets:`, and leaves the rest of the file as it is."""
    text = path.read_text(encoding="utf-8")
    before, found, after = text.partition("datasets:\n")
    if not found or (before and not before.endswith("\n")):
        raise PocketfaceError(f"{path}: has no line `datasets:` to put the entry below")
    indented = "".join(f"  {line}\n" for line in entry.splitlines())
    with written_whole(path) as partial:
        partial.write_text(f"{before}{found}{indented}\n{after}", encoding="utf-8")
        load_sources(partial)
