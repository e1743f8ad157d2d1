"""Processes that end with the one that started them."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

PR_SET_PDEATHSIG = 1
LOOK_SECONDS = 0.2
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with(parent: int) -> None:
    """Has this process killed when its parent, of that number, ends or has ended already, however that ends:
    on Linux by the kernel, elsewhere by a thread that looks.
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


def run(command: Sequence[str], seconds: float, **options: Any) -> subprocess.CompletedProcess:
    """Runs a program that may crash or hang, and keeps what it prints; on Linux it ends with this process.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was killed.
    """
    with_this = partial(end_with, os.getpid()) if LIBC is not None else None
    return subprocess.run(
        command, capture_output=True, timeout=seconds, check=False, preexec_fn=with_this, **options
    )


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
