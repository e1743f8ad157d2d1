"""Processes that end with the one that started them."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

PR_SET_PDEATHSIG = 1
LOOK_SECONDS = 0.2
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with(parent: int) -> None:
    """Has this process killed when its parent ends, however that ends: on Linux by the kernel, elsewhere by a
    thread that looks.

    Args:
        parent: the parent's number, which is not this process's parent any more if it has ended already.
    """
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
    else:
        look_after(parent)


def look_after(parent: int) -> None:
    """As `end_with`, by a thread: the kernel would end it with the thread that started it, too."""
    if hasattr(os, "fork"):
        threading.Thread(target=_look, args=(parent,), daemon=True).start()


def ends_with_this() -> Callable[[], None] | None:
    """The `preexec_fn` of a `subprocess.run` whose process ends with this one, on Linux."""
    return partial(end_with, os.getpid()) if LIBC is not None else None


def _look(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def alive(process: int) -> bool:
    """Whether there is a process of this number."""
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
