"""Synthetic photographs, rendered around synthetic faces, see `pocketface.synthetic`.

Labels stand in the file name, `00017_single_34_female_happy.jpg`: what the face was drawn to look like. A
`cut` face has them too; a photograph that shows `none` or `two` has no one to label. The split goes by a hash
of the file name, because the bytes of a rendered picture depend on the processor.
"""

import re
from functools import partial
from pathlib import PurePosixPath

from pocketface.core.hashing import hashed_split
from pocketface.core.labels import EXPRESSIONS, GENDERS
from pocketface.datasets import Readers, from_names

LABELS: Readers = {"age": float, "gender": str, "expression": str}
NAMES = "NUMBER_KIND_AGE_GENDER_EXPRESSION.jpg, e.g. 00017_single_34_female_happy.jpg"
NAME = re.compile(
    r"(.*/)?\d+_((none|two)|(single|cut)_(?P<age>\d{1,3})"
    rf"_(?P<gender>{'|'.join(GENDERS)})_(?P<expression>{'|'.join(EXPRESSIONS)}))\.jpg"
)

read = partial(
    from_names, pattern=NAME, labels=LABELS, split=lambda path: hashed_split(PurePosixPath(path).name)
)
