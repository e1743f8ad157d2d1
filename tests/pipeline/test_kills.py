"""A graph that is killed, and run again, ends with the same bytes; MLflow has everything once."""

import time
from pathlib import Path

import numpy as np
import pytest
from copies import ONE_MODEL, Copy, tiny_mirror
from kills import LOCK, again, kill_repro, kill_track, published, unreadable

pytestmark = pytest.mark.slow


def test_what_is_killed_is_made_good(tmp_path: Path) -> None:
    mirror, sources = tiny_mirror(tmp_path)
    copy = Copy(tmp_path / "copy", ONE_MODEL, sources, mirror)
    started = time.monotonic()
    copy.run("dvc", "repro", "report")
    seconds = time.monotonic() - started
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
    started = time.monotonic()
    copy.run("pocketface", "track")
    held = published(copy)
    assert len(held) == 7, "a model and two variants, their models, and a version for each of two tasks"
    for ending in kill_track(copy, held, time.monotonic() - started, 2, random):
        assert not ending.differing, ending
