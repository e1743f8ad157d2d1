"""A full disk and work without end, for tests; it imports nothing that starts slowly."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """For a while, no file of this process grows beyond `size` bytes: a write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def endless(*_: object) -> None:
    """Waits for ever."""
    time.sleep(1e6)
