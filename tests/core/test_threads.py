import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from pocketface.core.threads import in_order, per_thread


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
