"""Processes that end with the one that started them."""

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress

PR_SET_PDEATHSIG = 1
LOOK_SECONDS = 0.2


def end_with(parent: int) -> None:
    """Has this process killed when its parent ends, however that ends: on Linux by the kernel, elsewhere by a
    thread that looks.

    Args:
        parent: the parent's number, which is not this process's parent any more if it has ended already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
    elif hasattr(os, "fork"):
        threading.Thread(target=_look, args=(parent,), daemon=True).start()


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
