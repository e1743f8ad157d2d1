"""APPA-REAL: 7,591 pictures with the real age in years, and as about 38 people guessed it.

The record is `000042.jpg_face.jpg`, the labelled face, upright, with a margin of 40%, or else `000042.jpg`.
Real ages are in the first of: `gt_avg_train.csv`, `gt_avg_valid.csv`, `gt_avg_test.csv` (a row a picture:
`file_name, real_age, ...`); `gt_train.csv`, ... (a row a guess, of which the mean is taken); `labels.csv` of
Kaggle's cropped faces (`final_files/000042.jpg`, without a split). The official split is the folders `train`,
`valid` (our `val`) and `test`, or the csv that lists a picture.

Agustsson et al.: Apparent and Real Age Estimation in Still Images with Deep Residual Regressors, FG 2017.
"""

import csv
import statistics
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from pocketface.datasets import OLDEST, Record, lines, path_of, pictures

LABELS = {
    "age": ("real_age",),
    "age_real": ("real_age",),
    "age_apparent": ("apparent_age_avg", "apparent_age"),
}
"""Label -> the columns of which one says it."""
NAMES = (
    "NUMBER.jpg or NUMBER.jpg_face.jpg as the csv has it, e.g. appa-real-release/train/000042.jpg_face.jpg"
)
FOLDERS = {"train": "train", "valid": "val", "test": "test"}
LISTS = {split: (f"gt_avg_{folder}.csv", f"gt_{folder}.csv") for folder, split in FOLDERS.items()}
WITHOUT_SPLIT = "labels.csv"
CROP = "_face.jpg"

Rows = Mapping[str, Sequence[Mapping[str, str]]]
"""File name -> its rows in a csv."""


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with `age` and `age_real` (the same) and `age_apparent`, in years."""
    truth = _truth(archive)
    images = pictures(archive)
    crops = {image for image in images if image.endswith(CROP)}
    for image in images:
        if image + CROP in crops:
            continue
        path = PurePosixPath(image)
        name = path.name.removesuffix(CROP)
        folder = FOLDERS.get(path.parent.name)
        found = [split for split in ([folder] if folder in truth else truth) if name in truth[split]]
        if found:
            yield _record(image, found[0], truth[found[0]][name])
        else:
            yield Record(image, split=folder, problem="no_label")


def _truth(archive: zipfile.ZipFile) -> dict[str | None, Rows]:
    """Split -> what is said of its pictures; the split is None where the archive knows none."""
    if path_of(archive, WITHOUT_SPLIT) and not any(path_of(archive, *lists) for lists in LISTS.values()):
        return {None: _rows(archive, WITHOUT_SPLIT)}
    return {split: _rows(archive, *lists) for split, lists in LISTS.items()}


def _rows(archive: zipfile.ZipFile, *filenames: str) -> Rows:
    rows = defaultdict(list)
    for row in csv.DictReader(lines(archive, *filenames), skipinitialspace=True):
        rows[row.get("file_name", "")].append(row)
    return rows


def _record(image: str, split: str | None, rows: Sequence[Mapping[str, str]]) -> Record:
    given = {
        label: [row[column] for row in rows for column in columns if row.get(column)]
        for label, columns in LABELS.items()
    }
    if not any(given.values()):
        return Record(image, split=split, problem="no_label")
    try:
        labels = {label: statistics.fmean(map(float, texts)) for label, texts in given.items() if texts}
    except ValueError:
        labels = {"age": -1.0}
    good = all(0 <= years <= OLDEST for years in labels.values())
    return Record(image, labels, split) if good else Record(image, split=split, problem="bad_label")
