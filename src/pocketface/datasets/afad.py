"""AFAD: about 165,000 faces from a Chinese social network, 15 to 72 years, small JPEGs.

The paper says 15 to 40 years; in the archive about a thousand faces, 0.7%, are older.

Labels are folders, `AFAD-Full/25/111/638660-1.jpg`: the age, then 111 for male or 112 for female. The number
before the dash is the member whose picture it is; the split is ours, by member. Its release is a `tar.xz` cut
in pieces; AFAD-Lite, a part of it with 18 to 39 years, is laid out alike.

Niu, Zhou, Wang, Gao, Hua: Ordinal Regression with Multiple Output CNN for Age Estimation, CVPR 2016.
"""

import re
from functools import partial

from pocketface.datasets import Readers, from_names

LABELS: Readers = {"age": float, "gender": {"111": "male", "112": "female"}.get, "identity": str}
NAMES = "AGE/111 (male) or 112 (female)/MEMBER-NUMBER.jpg, e.g. AFAD-Full/25/111/638660-1.jpg"
PATH = re.compile(
    r"(.*/)?(?P<age>\d{1,3})/(?P<gender>\d+)/(?P<identity>[^/-]+)(-[^/]*)?\.(jpe?g|png)", re.IGNORECASE
)

read = partial(from_names, pattern=PATH, labels=LABELS)
