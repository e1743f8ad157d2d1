"""UTKFace: about 23,700 faces of 0 to 116 years, aligned and cropped to 200x200 JPEG, or whole pictures.

Labels stand in the file name: `age_gender_race_datetime.jpg.chip.jpg`; the whole pictures ("in the wild", in
three parts) end in `.jpg`. Gender 0 is male, 1 female; race is White, Black, Asian, Indian, Other. A handful
of upstream names lack a field or have a space or a missing dot: they become `bad_name`. There is no official
split; ours goes by the content of the picture.

Zhang, Song, Qi: Age Progression/Regression by Conditional Adversarial Autoencoder, CVPR 2017.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from pocketface.core.labels import GENDERS, RACES
from pocketface.datasets import OLDEST, Record, pictures

LABELS = ("age", "gender", "race")
NAMES = "AGE_GENDER_RACE_TIME.jpg.chip.jpg, or .jpg in the wild, e.g. 26_1_3_20170104023102422.jpg.chip.jpg"
NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+\.jpg(\.chip\.jpg)?")


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with `age` in years, `gender` and `race`."""
    for image in pictures(archive):
        filename = PurePosixPath(image).name
        name = NAME.fullmatch(filename)
        if name is None:
            yield Record(image, problem="bad_name")
        elif int(name["age"]) > OLDEST:
            yield Record(image, problem="bad_label")
        else:
            labels: dict[str, float | str] = {
                "age": float(name["age"]),
                "gender": GENDERS[int(name["gender"])],
                "race": RACES[int(name["race"])],
            }
            yield Record(image, labels)
