"""A full disk, told in words."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pocketface.core.errors import PocketfaceError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space left, quota exceeded, file larger than the file system or the process may write."""


@contextmanager
def told_when_full(path: Path) -> Iterator[None]:
    """Turns a full disk, met while writing `path`, into a `PocketfaceError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        raise PocketfaceError(
            f"{path}: no room to write it ({error.strerror}; {free / 1e6:.0f} MB are free in {path.parent}); "
            "make room and run again"
        ) from None
