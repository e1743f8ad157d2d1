"""CACD: 163,446 pictures of 2,000 celebrities, 250x250 JPEG, found by name and year.

Labels stand in the file name, `14_Aaron_Johnson_0001.jpg`: the age (year of the picture minus year of birth,
so noisy), the celebrity, a number. The split is ours, by celebrity.

Chen, Chen, Hsu: Cross-Age Reference Coding for Age-Invariant Face Recognition and Retrieval, ECCV 2014.
"""

import re
import unicodedata
from functools import partial

from pocketface.datasets import Readers, from_names

# An accent is one character or two, depending on the system that packed the archive.
LABELS: Readers = {"age": float, "identity": partial(unicodedata.normalize, "NFC")}
NAMES = "AGE_CELEBRITY_NUMBER.jpg, e.g. 14_Aaron_Johnson_0001.jpg"
NAME = re.compile(r"(.*/)?(?P<age>\d{1,3})_(?P<identity>[^/]+)_\d+\.jpg")

read = partial(from_names, pattern=NAME, labels=LABELS)
