"""Sharing work among threads: most of it is done in libraries that let others run meanwhile."""

import functools
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")


def in_order(function: Callable[[Item], T], items: Iterable[Item], workers: int) -> Generator[T, None, None]:
    """`function` of each item, in order, by so many threads; none is begun after one failed or the end."""
    if workers <= 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


def per_thread(function: Callable[P, T]) -> Callable[P, T]:
    """`functools.cache`, a cache a thread: for networks and detectors, which work for one at a time."""
    kept = threading.local()

    @functools.wraps(function)
    def cached(*arguments: P.args, **named: P.kwargs) -> T:
        if not hasattr(kept, "call"):
            kept.call = functools.cache(function)
        return kept.call(*arguments, **named)  # type: ignore[no-any-return]

    return cached
