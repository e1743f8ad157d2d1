"""UTKFace, aligned and cropped: about 23,700 faces of 0 to 116 years, 200x200 JPEG.

Labels stand in the file name: `age_gender_race_datetime.jpg.chip.jpg`. Gender 0 is male, 1 female; race is
White, Black, Asian, Indian, Other. A handful of upstream names lack a field: they become `bad_name`.
There is no official split; ours goes by a hash of the file name.

Zhang, Song, Qi: Age Progression/Regression by Conditional Adversarial Autoencoder, CVPR 2017.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pocketface.datasets import Record, hashed_split
from pocketface.labels import GENDERS, RACES

NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+\.jpg(\.chip)?\.jpg")
OLDEST = 116


def read(folder: Path) -> Iterator[Record]:
    """Records with `age` in years, `gender` and `race`."""
    for path in sorted(folder.rglob("*.jpg")):
        image = path.relative_to(folder).as_posix()
        name = NAME.fullmatch(path.name)
        if name is None or int(name["age"]) > OLDEST:
            yield Record(image, problem="bad_name")
            continue
        labels = {
            "age": float(name["age"]),
            "gender": GENDERS[int(name["gender"])],
            "race": RACES[int(name["race"])],
        }
        yield Record(image, labels, hashed_split(path.name))
