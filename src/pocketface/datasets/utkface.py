"""UTKFace: about 23,700 faces of 0 to 116 years, aligned and cropped to 200x200 JPEG, or whole pictures.

Labels stand in the file name: `age_gender_race_datetime.jpg.chip.jpg`; the whole pictures ("in the wild", in
three parts) end in `.jpg`. A handful of upstream names lack a field or have a space or a missing dot: they
become `bad_name`. There is no official split; ours goes by the content of the picture.

Zhang, Song, Qi: Age Progression/Regression by Conditional Adversarial Autoencoder, CVPR 2017.
"""

import re
from functools import partial

from pocketface.core.labels import GENDERS, RACES
from pocketface.datasets import Readers, from_names

LABELS: Readers = {
    "age": float,
    "gender": lambda code: GENDERS[int(code)],
    "race": lambda code: RACES[int(code)],
}
NAMES = "AGE_GENDER_RACE_TIME.jpg.chip.jpg, or .jpg in the wild, e.g. 26_1_3_20170104023102422.jpg.chip.jpg"
NAME = re.compile(r"(.*/)?(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+\.jpg(\.chip\.jpg)?")

read = partial(from_names, pattern=NAME, labels=LABELS)
