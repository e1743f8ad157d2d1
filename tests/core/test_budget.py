import os
import re

import pytest

from pocketface.core.budget import ENDS_ITSELF, Apart, Metered, TooMuch

ENDLESS = "(a+)+b", "a" * 60


def test_calls_answer_and_raise_as_here() -> None:
    apart = Apart(60, 2**32)
    assert [apart(divmod, 7, 2), apart(int, "11", base=2)] == [(3, 1), 3]
    with pytest.raises(ZeroDivisionError):
        apart(divmod, 7, 0)
    assert apart(os.getpid) == apart(os.getpid) != os.getpid()


def test_what_never_stops_is_ended_and_the_next_call_answers() -> None:
    apart = Apart(2 if ENDS_ITSELF else 8, 2**32)  # in 8 s Python starts on a busy machine, too
    before = apart(os.getpid)
    with pytest.raises(TimeoutError):
        apart(re.fullmatch, *ENDLESS)  # C code that no signal interrupts
    assert apart(os.getpid) != before
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


def test_one_that_dies_or_wants_all_memory_is_told() -> None:
    apart = Apart(60, 2**32)
    with pytest.raises(ChildProcessError, match="status 3"):
        apart(os._exit, 3)
    with pytest.raises(MemoryError):
        apart(bytes, 2**33)
    assert apart(len, "four") == 4


def test_a_call_that_prints_answers_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    assert Apart(60, 2**32)(os.write, 1, b"a decoder's complaint\n") == 22
    assert capfd.readouterr() == ("", "")


def test_bytes_may_be_read_some_times_for_some_time() -> None:
    read = Metered(b"a" * 2**20, 60)
    with pytest.raises(TooMuch, match="8 times"):
        for _ in range(20):
            read.seek(0)
            assert read.read() == b"a" * 2**20
    with pytest.raises(TimeoutError):
        Metered(b"a", -1).read()
