"""A full disk and work without end, for tests; it imports nothing that starts slowly."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def here(function: Callable[..., Any], *arguments: object) -> Any:
    """What the function answers in this process."""
    return function(*arguments)


@contextmanager
def largest_file(size: int, calls: Callable[..., Any] = here) -> Iterator[None]:
    """For a while, no file of this process, or of the one in which `calls` calls functions, grows beyond
    `size` bytes: a write fails as on a full disk.
    """
    before = calls(resource.getrlimit, resource.RLIMIT_FSIZE)
    calls(resource.setrlimit, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        calls(resource.setrlimit, resource.RLIMIT_FSIZE, before)


def endless(*_: object) -> None:
    """Waits for ever."""
    time.sleep(1e6)
