"""A graph that is killed, and run again, ends with the same bytes; MLflow has everything once."""

from pathlib import Path

import numpy as np
import pytest
from copies import tiny_copy
from kills import LOCK, again, kill_repro, kill_track, published, unreadable

pytestmark = pytest.mark.slow


def test_what_is_killed_is_made_good(tmp_path: Path) -> None:
    copy = tiny_copy(tmp_path)
    seconds = copy.timed("dvc", "repro", "report")
    copy.run("pocketface", "check", "--update")
    copy.run("dvc", "repro")
    expected, random = copy.outs(), np.random.default_rng(1)
    assert len(expected) > 30
    for row in (1, 3):
        for ending in kill_repro(copy, expected, seconds, 3, random, row):
            assert not ending.differing, ending
    lock = copy.root / LOCK
    lock.write_text(lock.read_text().rpartition("cmd:")[0])
    assert unreadable("".join(again(copy, "dvc", "repro")))
    copy.forget(LOCK)
    assert not again(copy, "dvc", "repro")
    assert copy.outs() == expected
    seconds = copy.timed("pocketface", "track")
    held = published(copy)
    assert len(held) == 7, "a model and two variants, their models, and a version for each of two tasks"
    for ending in kill_track(copy, held, seconds, 2, random):
        assert not ending.differing, ending
