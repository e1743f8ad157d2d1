"""Sharing work among threads, most of which is done in libraries that let others run meanwhile, and among
forked processes, where it is so much that their start pays."""

import functools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, ParamSpec, TypeVar

from pocketface.core.errors import PocketfaceError
from pocketface.core.processes import end_with

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")

PART = 8
"""Items that a process takes at a time."""


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


def forked(function: Callable[[Item], T], items: Sequence[Item], workers: int) -> Generator[T, None, None]:
    """`function` of each item, in order, by this process and forks of it.

    The first item is for this process, so that the forks start with what it has loaded for it. Then they work
    from the front on, and this one from the end.

    Raises:
        PocketfaceError: one of them was killed.
    """
    yield from map(function, items[:1])
    parts = [items[start : start + PART] for start in range(1, len(items), PART)]
    theirs: list[Future[list[T]]] = []
    left, own = len(parts), dict[int, list[T]]()
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(workers - 1, context, _begin, (function, os.getpid()))
    try:
        for number in range(len(parts)):
            while number not in own:
                while len(theirs) < min(left, number + 2 * workers):
                    theirs.append(pool.submit(_answers, parts[len(theirs)]))
                if theirs[number].done() or left == len(theirs):
                    break
                left -= 1
                own[left] = [function(item) for item in parts[left]]
            yield from own.pop(number) if number in own else theirs[number].result()
    except BrokenProcessPool:
        raise PocketfaceError("a worker process was killed; out of memory? Try fewer files") from None
    finally:
        pool.shutdown(cancel_futures=True)


def in_fork(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What a function returns, called in a fork of this process, which takes along the memory that it needed
    when it ends; where there are no forks, called here.

    Raises:
        PocketfaceError: it was killed.
    """
    if sys.platform != "linux":
        return function(*arguments, **named)
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, context, _begin, (function, os.getpid())) as pool:
        try:
            return pool.submit(function, *arguments, **named).result()
        except BrokenProcessPool:
            raise PocketfaceError("a process was killed; out of memory?") from None


def _begin(function: Callable[[Any], Any], parent: int) -> None:
    """What a fork does first. An interrupt is for its parent, which ends it."""
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)


def _answers(items: Sequence[Any]) -> list[Any]:
    return [_function(item) for item in items]


_function: Callable[[Any], Any]
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
