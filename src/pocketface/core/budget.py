"""How much of this machine somebody else's file may take, and a process that can be ended when it takes more.

What a file says of itself is checked before a library works with it. Where a library reads on and on,
`Metered` ends it. Where neither bounds the work, it is done `Apart`.
"""

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, ParamSpec, TypeVar

from pocketface.core.processes import look_after

P = ParamSpec("P")
T = TypeVar("T")

ENDS_ITSELF = hasattr(signal, "setitimer")
"""Whether the process of `Apart` can be ended by a timer of its own."""


@dataclass(frozen=True)
class PictureBudget:
    """Of one picture.

    Attributes:
        seconds: to decode it.
        bytes: of the file.
        pixels: of the picture; it takes about ten bytes a pixel while it is decoded.
        memory: bytes of address space of a process that decodes it apart.
        hog, cnn: pixels that dlib's detectors search, doublings included; so many take a core 4 s, and 27 s
            and 4 GB.
    """

    seconds: float = 60
    bytes: int = 400_000_000
    pixels: int = 100_000_000
    memory: int = 6 * 2**30
    hog: int = 64_000_000
    cnn: int = 4_000_000


@dataclass(frozen=True)
class ModelBudget:
    """Of one model.

    Attributes:
        bytes: of the file.
        parts: letters of names, scales, operands and the like in it; a tensor, operator or buffer counts 100.
        values: numbers in all its tensors.
        picture: numbers in what it sees. LiteRT works the shapes behind it out anew, whatever the file says.
        work: multiplications and numbers moved, for one face; VGG-Face has 15.5 thousand million.
        seconds: to open it and run it once.
        memory: bytes of address space of a process that does so apart.
    """

    bytes: int = 2**30
    parts: int = 5_000_000
    values: int = 300_000_000
    picture: int = 2**23
    work: int = 10**11
    seconds: float = 60
    memory: int = 2**33


PICTURE, MODEL = PictureBudget(), ModelBudget()


class TooMuch(Exception):
    """A file is read again and again; the message names the limit."""


class Metered(io.BytesIO):
    """Bytes that may be read for a time, and a few times over."""

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._until, self._left = time.monotonic() + seconds, 8 * len(data) + 2**20

    def read(self, size: int | None = -1, /) -> bytes:
        """As usual; raises `TimeoutError` or `TooMuch` when the budget is spent."""
        if time.monotonic() > self._until:
            raise TimeoutError
        content = super().read(size)
        self._left -= len(content)
        if self._left < 0:
            raise TooMuch("its parts stand on each other: more than 8 times its bytes were read")
        return content


class Apart:
    """Calls functions in another process, one at a time, which starts at the first call and is kept.

    Args:
        seconds: a call may take; then the process is ended, and the next call starts another.
        memory: bytes of address space, where the system can limit it.
    """

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds, self._memory = seconds, memory
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def __call__(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What the function returns or raises; it and what it is given can be pickled.

        Raises:
            TimeoutError: it took too long.
            ChildProcessError: the process died.
        """
        with self._lock:
            child = self._child()
            assert child.stdin and child.stdout
            timer = threading.Timer(self._seconds, child.kill)
            if not ENDS_ITSELF:
                timer.start()
            began = time.monotonic()
            try:
                pickle.dump((function, arguments, named), child.stdin)
                child.stdin.flush()
                result, error = pickle.load(child.stdout)
            except (EOFError, BrokenPipeError, pickle.UnpicklingError):
                took = time.monotonic() - began
                child.kill()
                code, self._process = child.wait(), None
                if took >= self._seconds:
                    raise TimeoutError from None
                raise ChildProcessError(f"the process that read it ended with status {code}") from None
            except BaseException:  # Ctrl-C, say: its answer must not become that of the next call
                self._process = None
                child.kill()
                raise
            finally:
                timer.cancel()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def _child(self) -> "subprocess.Popen[bytes]":
        """The process; a new one if it died, or this process was forked from the one that started it."""
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
            limits = [str(self._seconds), str(self._memory)]
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what a library says before it crashes
            )
            self._owner = os.getpid()
        return self._process


def serve() -> None:
    """What the process of `Apart` does; it ends with its input or parent, or when a call takes too long."""
    seconds, memory = float(sys.argv[1]), int(sys.argv[2])
    look_after(os.getppid())
    if ENDS_ITSELF:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while True:
        try:
            function, arguments, named = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        _alarm(seconds)
        result = error = None
        try:
            result = function(*arguments, **named)
        except Exception as raised:  # again by who asked
            error = raised
        _alarm(0)
        pickle.dump((result, error), answers)
        answers.flush()


def _alarm(seconds: float) -> None:
    """Has the system end this process in so many seconds; 0 takes that back."""
    if ENDS_ITSELF:
        signal.setitimer(signal.ITIMER_REAL, seconds)
