"""The one error type that a person is meant to read.

Everything that is wrong with the *input* (a picture, an archive, params, a label file, a model) is
raised as `PocketfaceError`. Its message says what was wrong, with which file, and what to do about it.
Anything else that escapes is a defect of ours and keeps its traceback.
"""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

EXIT_BAD_INPUT = 2


class PocketfaceError(Exception):
    """Bad input, told in one message: what, where, and the remedy."""


def exit_cleanly(main: Callable[P, T]) -> Callable[P, T]:
    """Decorates an entry point: a `PocketfaceError` becomes a line on stderr and exit status 2."""

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return main(*args, **kwargs)
        except PocketfaceError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(EXIT_BAD_INPUT)

    return wrapped
