"""APPA-REAL: 7,591 pictures with the age in years, real and as about 38 people guessed it.

For every `000042.jpg` there is a `000042.jpg_face.jpg`: the labelled face, upright, with a margin of 40%.
The crop is the record, because a full picture may show several people; where there is no crop, the full
picture is. `gt_avg_train.csv`, `gt_avg_valid.csv` and `gt_avg_test.csv` have the columns `file_name,
num_ratings, apparent_age_avg, apparent_age_std, real_age`. The official split is the folders `train`,
`valid` (our `val`) and `test`.

`age` is the real age, so that it means the same as in every other dataset.

Agustsson, Timofte, Escalera, Baro, Guyon, Rothe: Apparent and Real Age Estimation in Still Images with
Deep Residual Regressors on APPA-REAL Database, FG 2017.
"""

import csv
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from pocketface.datasets import OLDEST, Record, lines, pictures

LABELS = ("age", "age_real", "age_apparent")
FOLDERS = {"train": "train", "valid": "val", "test": "test"}
COLUMNS = {"age": "real_age", "age_real": "real_age", "age_apparent": "apparent_age_avg"}
CROP = "_face.jpg"


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with `age` and `age_real` (the same) and `age_apparent`, in years."""
    truth = {folder: _truth(archive, folder) for folder in FOLDERS}
    images = pictures(archive)
    crops = {image for image in images if image.endswith(CROP)}
    for image in images:
        if image + CROP in crops:
            continue
        path = PurePosixPath(image)
        folder = path.parent.name
        if folder not in FOLDERS:
            yield Record(image, problem="no_split")
            continue
        row = truth[folder].get(path.name.removesuffix(CROP))
        yield _record(image, FOLDERS[folder], row)


def _truth(archive: zipfile.ZipFile, folder: str) -> dict[str, Mapping[str, str]]:
    rows = csv.DictReader(lines(archive, f"gt_avg_{folder}.csv"))
    return {row.get("file_name", ""): row for row in rows}


def _record(image: str, split: str, row: Mapping[str, str] | None) -> Record:
    given = {label: row.get(column) for label, column in COLUMNS.items()} if row else {}
    try:
        labels = {label: float(text) for label, text in given.items() if text}
    except ValueError:
        return Record(image, split=split, problem="bad_label")
    if not labels:
        return Record(image, split=split, problem="no_label")
    if not all(0 <= years <= OLDEST for years in labels.values()):
        return Record(image, split=split, problem="bad_label")
    return Record(image, labels, split)
