"""A few uncropped photographs of one person each, of no dataset.

Labels stand in the file name, `elderly_woman_happy_1.jpg`. They are coarse: young or elderly (from about 65
on), and happy or sad only. All of them are `test`; nothing is trained or calibrated on them.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace

from pocketface.datasets import Readers, Record, from_names

LABELS: Readers = {"age_group": str, "gender": {"man": "male", "woman": "female"}.get, "expression": str}
NAMES = "{young,elderly}_{man,woman}_{happy,sad}_NUMBER.jpg, e.g. elderly_woman_happy_1.jpg"
NAME = re.compile(
    r"(.*/)?(?P<age_group>young|elderly)_(?P<gender>man|woman)_(?P<expression>happy|sad)_\d+\.jpe?g"
)


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with `age_group`, `gender` and `expression`."""
    return (replace(record, split="test") for record in from_names(archive, NAME, LABELS))
