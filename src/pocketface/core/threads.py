"""What a thread keeps for itself."""

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def per_thread(function: Callable[P, T]) -> Callable[P, T]:
    """`functools.cache`, a cache a thread: for networks and detectors, which work for one at a time."""
    kept = threading.local()

    @functools.wraps(function)
    def cached(*arguments: P.args, **named: P.kwargs) -> T:
        if not hasattr(kept, "call"):
            kept.call = functools.cache(function)
        return kept.call(*arguments, **named)  # type: ignore[no-any-return]

    return cached
