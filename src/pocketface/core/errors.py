"""Wrong input is a `PocketfaceError`, which a person reads: what is wrong, with which file, what to do.
Anything else that escapes is a defect of ours and keeps its traceback.
"""

import errno
import functools
import io
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import requires
from typing import ParamSpec, TypeVar

from pocketface.core.addresses import without_secrets
from pocketface.core.processes import end_with

P = ParamSpec("P")
T = TypeVar("T")

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
"""As a shell has it after Ctrl-C."""
FULL = re.compile(
    "|".join(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))) + r"|\d+ requested and \d+ written"
)
"""Texts of a full disk, a spent quota or a file beyond what the process may write; the last by NumPy."""


class PocketfaceError(Exception):
    """Bad input, in one message: what, where, and the remedy. Secrets in addresses are removed from it."""

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


def shown(text: object) -> str:
    """Untrusted text as one line: what is not printable (line breaks, control characters, and the like)
    becomes an escape."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )


def first_line(error: BaseException) -> str:
    """At most 300 letters of what a library says: it may go on for pages, or hand on those of a server."""
    return textwrap.shorten((str(error).strip() or type(error).__name__).splitlines()[0], 300)


@contextmanager
def located(place: object) -> Iterator[None]:
    """Puts a place, such as a file, before the message of a `PocketfaceError` that does not begin with it."""
    try:
        yield
    except PocketfaceError as error:
        text = str(error)
        raise PocketfaceError(text if text.startswith(str(place)) else f"{place}: {text}") from None


@contextmanager
def refusing(what: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turns what a library raises into a `PocketfaceError`: `what`, and its first line in brackets."""
    try:
        yield
    except kinds as error:
        raise PocketfaceError(f"{what} ({shown(first_line(error))})") from None


def exit_cleanly(main: Callable[P, T]) -> Callable[P, T]:
    """Decorates an entry point.

    A `PocketfaceError` becomes a line on stderr and exit status 2; so does a missing package that an extra
    brings, and a full disk, wherever it is met. What the encoding of stdout cannot say, as in a file's name,
    is printed as an escape, and so are control characters in a message. Ctrl-C ends it without a traceback.
    As a stage, it ends with DVC.
    """

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        if "DVC_STAGE" in os.environ:
            end_with(os.getppid())
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            result = main(*args, **kwargs)
            sys.stdout.flush()
            return result
        except PocketfaceError as error:
            message = str(error)
        except OSError as error:
            if FULL.search(str(error)) is None:
                raise
            message = f"no room to write ({error}); make room and run again"
            sys.stdout = io.StringIO()  # else Python writes once more when it ends
        except ModuleNotFoundError as error:
            if (extra := _extra_with(error.name or "")) is None:
                raise
            remedy = f"`pip install 'pocketface[{extra}]'`"
            message = f"this needs the extra `{extra}`, for {error.name} is not installed: {remedy}"
        except KeyboardInterrupt:
            sys.exit(EXIT_INTERRUPTED)
        print("error: " + "\n".join(map(shown, message.split("\n"))), file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)

    return wrapped


def _extra_with(module: str) -> str | None:
    """The extra of this package that brings a module, by the names of its requirements."""
    for requirement in requires("pocketface") or ():
        package, _, marker = requirement.replace("-", "_").partition(";")
        extra = re.search(r"extra == ['\"](\w+)", marker)
        if extra and module in re.split(r"\W+", package):
            return extra[1]
    return None
