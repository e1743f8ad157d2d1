"""FairFace: 97,698 faces from Flickr as chips of dlib, seven races in about equal parts, nine age bands.

The pictures, `train/1.jpg` and `val/1.jpg`, have a margin of 25% or 125%. Beside them lie
`fairface_label_train.csv` and `fairface_label_val.csv`: `file, age, gender, race, service_test`. A listed
picture that is not there is no record. The official validation part is our `test`; the official train part is
`train` and `val` by content.

Kärkkäinen, Joo: FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age, WACV 2021.
"""

import csv
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from pocketface.core.labels import AGE_BANDS, FAIRFACE_RACES, GENDERS
from pocketface.datasets import Record, lines, path_of, pictures

LABELS = {"age_band": ("age", AGE_BANDS), "gender": ("gender", GENDERS), "race": ("race", FAIRFACE_RACES)}
"""Label -> its column, and the words that may stand there."""
NAMES = "train/NUMBER.jpg or val/NUMBER.jpg as the csv has it, e.g. train/1.jpg"
LISTS = ("fairface_label_train.csv", "fairface_label_val.csv")
SPLITS = {"val": "test"}
"""Folder -> split; what is in no such folder is split by content."""
DATES = {"3-sep": "3-9", "03-sep": "3-9", "9-mar": "3-9", "09-mar": "3-9", "oct-19": "10-19"}
"""What a spreadsheet makes of a band, by the order of day and month -> the band."""


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with `age_band`, `gender` and `race`."""
    lists = [name for name in LISTS if path_of(archive, name)]
    rows = {
        row["file"].strip(): row
        for filename in lists or [LISTS[0]]
        for row in csv.DictReader(lines(archive, filename))
        if row.get("file")
    }
    for image in pictures(archive):
        path = PurePosixPath(image)
        yield _record(image, SPLITS.get(path.parent.name), rows.get(f"{path.parent.name}/{path.name}", {}))


def _record(image: str, split: str | None, row: Mapping[str, str | None]) -> Record:
    given = {label: (row.get(column) or "").strip().lower() for label, (column, _) in LABELS.items()}
    labels = {label: DATES.get(word, word) for label, word in given.items() if word}
    if not labels:
        return Record(image, split=split, problem="no_label")
    if any(word not in LABELS[label][1] for label, word in labels.items()):
        return Record(image, split=split, problem="bad_label")
    return Record(image, labels, split)
