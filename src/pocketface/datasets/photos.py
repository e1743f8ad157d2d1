"""A few uncropped photographs of one person each, of no dataset.

Labels stand in the file name, `elderly_woman_happy_1.jpg`. They are coarse: young or elderly (from about 65
on), and happy or sad only. All of them are `test`; nothing is trained or calibrated on them.
"""

import re
from functools import partial

from pocketface.datasets import Readers, from_names

LABELS: Readers = {"age_group": str, "gender": {"man": "male", "woman": "female"}.get, "expression": str}
NAMES = "{young,elderly}_{man,woman}_{happy,sad}_NUMBER.jpg, e.g. elderly_woman_happy_1.jpg"
NAME = re.compile(
    r"(.*/)?(?P<age_group>young|elderly)_(?P<gender>man|woman)_(?P<expression>happy|sad)_\d+\.jpe?g"
)

read = partial(from_names, pattern=NAME, labels=LABELS, split=lambda path: "test")
