import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.core.processes import alive
from pocketface.core.threads import PART, forked, in_fork, in_order, per_thread

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Linux")


def slowly(begun: list[int], ended: list[int]) -> Callable[[int], int]:
    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.01)
        if number == 3:
            raise ValueError(number)
        ended.append(number)
        return number

    return work


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_answers_come_in_order(workers: int) -> None:
    assert list(in_order(lambda number: number**2, range(50), workers)) == [n**2 for n in range(50)]
    assert list(in_order(abs, [], workers)) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_after_a_failure_none_is_begun_and_none_still_runs(workers: int) -> None:
    begun: list[int] = []
    ended: list[int] = []
    with pytest.raises(ValueError, match="3"):
        list(in_order(slowly(begun, ended), range(500), workers))
    assert sorted(ended) == sorted(set(begun) - {3})
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count < 500


def test_whoever_stops_asking_ends_it() -> None:
    begun: list[int] = []
    with closing(in_order(slowly(begun, []), range(4, 500), 2)) as found:
        assert next(found) == 4
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count < 496


def test_threads_stay_with_what_they_have_loaded() -> None:
    made: list[int] = []
    loaded = per_thread(lambda name: made.append(threading.get_ident()))
    for _ in range(2):
        list(in_order(lambda _: (loaded("a"), time.sleep(0.005)), range(40), 2))
    assert len(made) == len(set(made)) == 2


@forks
def test_forks_answer_in_order_with_what_this_process_has_loaded() -> None:
    loaded = object()

    def work(number: int) -> tuple[int, int, int]:
        time.sleep(0.001)
        return number, id(loaded), os.getpid()

    found = list(forked(work, range(200), 2))
    assert [number for number, *_ in found] == list(range(200))
    assert {there for _, there, _ in found} == {id(loaded)}
    assert len({process for *_, process in found}) == 2, "a fork from the front, this process from the end"
    assert [found[place][2] == os.getpid() for place in (0, 1, -1)] == [True, False, True]


@forks
def test_a_failure_in_a_fork_comes_here_and_ends_the_others(tmp_path: Path) -> None:
    def work(number: int) -> None:
        (tmp_path / str(number)).touch()
        time.sleep(0.002)
        if number == PART:
            raise PocketfaceError("that one")

    with pytest.raises(PocketfaceError, match="that one"):
        list(forked(work, range(5000), 2))
    count = len(list(tmp_path.iterdir()))
    time.sleep(0.05)
    assert len(list(tmp_path.iterdir())) == count < 5000


@forks
@pytest.mark.filterwarnings("error")  # as of a thread of the pool that fails
@pytest.mark.parametrize("workers", [2, 4])
def test_a_fork_that_is_killed_is_told_and_the_others_end(workers: int) -> None:
    def work(number: int) -> int:
        if number == 1:
            time.sleep(0.05)  # meanwhile this process has begun at the end
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.001)
        return number

    with pytest.raises(PocketfaceError, match="worker process was killed"):
        list(forked(work, range(400), workers))
    assert multiprocessing.active_children() == []


@forks
def test_forks_end_with_whoever_stops_asking() -> None:
    with closing(forked(lambda _: os.getpid(), range(500), 2)) as found:
        assert next(found) == os.getpid()
        process = next(found)
        assert alive(process)
    assert not alive(process)


@forks
def test_a_function_in_a_fork_answers_fails_or_is_killed() -> None:
    assert os.getpid() != in_fork(os.getpid)
    with pytest.raises(ZeroDivisionError):
        in_fork(divmod, 1, 0)
    with pytest.raises(PocketfaceError, match="process was killed"):
        in_fork(signal.raise_signal, signal.SIGKILL)
    assert multiprocessing.active_children() == []
