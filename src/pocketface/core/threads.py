"""Sharing work among threads: most of it is done in libraries that let others run meanwhile."""

import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")


def in_order(function: Callable[[Item], T], items: Iterable[Item], workers: int) -> Generator[T, None, None]:
    """`function` of each item, in order, by so many threads, which stay, with what they have loaded, for the
    next call. After one has failed, or the end, none is begun and none still runs."""
    if workers <= 1:
        yield from map(function, items)
        return
    waiting = deque(_pool(workers).submit(function, item) for item in items)
    try:
        while waiting:
            done = waiting[0].result()
            waiting.popleft()
            yield done
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)


_pool = functools.cache(ThreadPoolExecutor)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads are not forked


def per_thread(function: Callable[P, T]) -> Callable[P, T]:
    """`functools.cache`, a cache a thread: for networks and detectors, which work for one at a time."""
    kept = threading.local()

    @functools.wraps(function)
    def cached(*arguments: P.args, **named: P.kwargs) -> T:
        if not hasattr(kept, "call"):
            kept.call = functools.cache(function)
        return kept.call(*arguments, **named)  # type: ignore[no-any-return]

    return cached
