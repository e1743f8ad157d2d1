"""CelebA, aligned and cropped: 202,599 pictures of 10,177 celebrities, 178x218 JPEG, 40 yes/no attributes.

Beside the pictures the archive holds, as txt (the authors' release) or as csv (Kaggle's),

- `list_attr_celeba`: the attributes of every picture, -1 or 1;
- `list_eval_partition`: 0 `train`, 1 `val`, 2 `test`; this official split keeps identities apart;
- `identity_CelebA.txt`, optional: a number for each celebrity.

A listed picture that is not there is no record. Liu, Luo, Wang, Tang: Deep Learning Face Attributes in the
Wild, ICCV 2015.
"""

import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import CELEBA_ATTRIBUTES
from pocketface.datasets import Record, lines, path_of, pictures

LABELS = (*CELEBA_ATTRIBUTES, "gender", "identity")
IDENTITIES = "identity_CelebA.txt"
NAMES = "NUMBER.jpg as list_attr_celeba has it, e.g. img_align_celeba/000001.jpg"
SPLITS = {"0": "train", "1": "val", "2": "test"}
VALUES = {"-1": 0, "1": 1}


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with the 40 attributes, 0 or 1, `gender` (`Male` in others' words) and `identity`."""
    images = pictures(archive)
    wanted = {PurePosixPath(image).name for image in images}
    attributes = _attributes(archive, wanted)
    partition = _table(lines(archive, "list_eval_partition.txt", "list_eval_partition.csv"), wanted)
    identities = _table(lines(archive, IDENTITIES), wanted) if path_of(archive, IDENTITIES) else {}
    for image in images:
        filename = PurePosixPath(image).name
        split = SPLITS.get(" ".join(partition.get(filename, ())))
        values = attributes.get(filename)
        if split is None:
            yield Record(image, problem="no_split")
        elif values is None:
            yield Record(image, split=split, problem="no_label")
        elif len(values) != len(CELEBA_ATTRIBUTES) or not set(values) <= set(VALUES):
            yield Record(image, split=split, problem="bad_label")
        else:
            labels = {name: VALUES[value] for name, value in zip(CELEBA_ATTRIBUTES, values, strict=True)}
            gender = "male" if labels["Male"] else "female"
            known = {"identity": " ".join(identities[filename])} if filename in identities else {}
            yield Record(image, {**labels, "gender": gender, **known}, split)


def _attributes(archive: zipfile.ZipFile, wanted: set[str]) -> dict[str, list[str]]:
    table = lines(archive, "list_attr_celeba.txt", "list_attr_celeba.csv")
    header = next(table, "")
    if header.strip().isdigit():  # how many pictures follow
        header = next(table, "")
    names = _fields(header.removeprefix("image_id"))
    if tuple(names) != CELEBA_ATTRIBUTES:
        raise PocketfaceError(
            f"{archive.filename}: list_attr_celeba does not name the 40 attributes of CelebA in their order; "
            "fetch the file of the official release"
        )
    return _table(table, wanted)


def _table(rows: Iterator[str], wanted: set[str]) -> dict[str, list[str]]:
    """First field -> the other fields, of the rows about a wanted picture."""
    fields = (_fields(row) for row in rows)
    return {row[0]: row[1:] for row in fields if row and row[0] in wanted}


def _fields(row: str) -> list[str]:
    return row.replace(",", " ").split()
