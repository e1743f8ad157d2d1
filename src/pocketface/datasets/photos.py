"""The hold-out photographs: a few uncropped pictures of one person each, of no dataset.

Labels stand in the file name, `elderly_woman_happy_1.jpg`. They are coarse: young or elderly (from about
65 on), and happy or sad only. All of them are `test`; nothing is trained or calibrated on them.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from pocketface.datasets import Record, pictures

LABELS = ("age_group", "gender", "expression")
NAMES = "{young,elderly}_{man,woman}_{happy,sad}_NUMBER.jpg, e.g. elderly_woman_happy_1.jpg"
GENDERS = {"man": "male", "woman": "female"}
NAME = re.compile(r"(?P<age>young|elderly)_(?P<who>man|woman)_(?P<expression>happy|sad)_\d+\.jpe?g")


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with `age_group`, `gender` and `expression`."""
    for image in pictures(archive):
        name = NAME.fullmatch(PurePosixPath(image).name)
        if name is None:
            yield Record(image, split="test", problem="bad_name")
            continue
        labels = {"age_group": name["age"], "gender": GENDERS[name["who"]], "expression": name["expression"]}
        yield Record(image, labels, "test")
