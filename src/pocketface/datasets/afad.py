"""AFAD: about 165,000 faces from a Chinese social network, 15 to 75 years, small JPEGs.

Labels are folders, `AFAD-Full/25/111/638660-1.jpg`: the age, then 111 for male or 112 for female. The
number before the dash is the member whose picture it is; the split is ours, by member, so that nobody is
in two of them. Its release is a `tar.xz` cut in pieces, which also holds lists and `Thumbs.db` files.
AFAD-Lite, a part of it with 18 to 39 years, is laid out alike.

Niu, Zhou, Wang, Gao, Hua: Ordinal Regression with Multiple Output CNN for Age Estimation, CVPR 2016.
"""

import re
import zipfile
from collections.abc import Iterator

from pocketface.core.hashing import hashed_split
from pocketface.datasets import OLDEST, Record, pictures

LABELS = ("age", "gender", "identity")
NAMES = "AGE/111 (male) or 112 (female)/MEMBER-NUMBER.jpg, e.g. AFAD-Full/25/111/638660-1.jpg"
GENDERS = {"111": "male", "112": "female"}
PATH = re.compile(
    r"(.*/)?(?P<age>\d{1,3})/(?P<gender>\d+)/(?P<identity>[^/-]+)(-[^/]*)?\.(jpe?g|png)", re.IGNORECASE
)


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with `age` in years, `gender`, and `identity`, the member's number."""
    for image in pictures(archive):
        path = PATH.fullmatch(image)
        if path is None:
            yield Record(image, problem="bad_name")
            continue
        split = hashed_split(path["identity"])
        if path["gender"] not in GENDERS or int(path["age"]) > OLDEST:
            yield Record(image, split=split, problem="bad_label")
            continue
        labels: dict[str, float | str] = {
            "age": float(path["age"]),
            "gender": GENDERS[path["gender"]],
            "identity": path["identity"],
        }
        yield Record(image, labels, split)
