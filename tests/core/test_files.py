import argparse
import errno
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from full_disk import largest_file
from pocketface.core import files
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import (
    TooLarge,
    alone,
    parse_json,
    read_bytes,
    read_text,
    rounded,
    sha256,
    write_json,
    written_whole,
)


def test_a_failed_write_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("earlier")
    with pytest.raises(RuntimeError), written_whole(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]
    assert path.read_text() == "earlier"


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="no file here whose size is not known")
def test_a_file_that_does_not_say_its_size_is_read_whole() -> None:
    maps = Path("/proc/self/maps")
    assert maps.stat().st_size == 0
    content = read_bytes(maps, 10**8)
    assert content.count(b"\n") > 20 and content.endswith(b"\n")
    with pytest.raises(TooLarge, match="larger than 100 bytes"):
        read_bytes(maps, 100)


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    for name in ("first", "second"):
        with written_whole(out) as partial:
            partial.mkdir()
            (partial / name).write_text(name)
    assert [p.name for p in out.iterdir()] == ["second"]


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "rubbish").write_text("")
    with written_whole(tmp_path / "out") as partial:
        partial.mkdir()
    assert list((tmp_path / "out").iterdir()) == []


NUMBERS = np.random.default_rng(1).random(20_000)
WRITERS: list[Callable[[Path], object]] = [
    lambda path: path.write_bytes(bytes(160_000)),
    lambda path: path.write_text("0" * 160_000),
    lambda path: shutil.copyfile(argparse.__file__, path),
    lambda path: np.save(path.open("wb"), NUMBERS),
    lambda path: np.savez(path.open("wb"), NUMBERS),
    lambda path: pd.DataFrame({"a": NUMBERS}).to_parquet(path),
    lambda path: pd.DataFrame({"a": NUMBERS}).to_csv(path),
    lambda path: Image.fromarray(NUMBERS.view(np.uint8).reshape(400, 400)).save(path, "PNG"),
    lambda path: h5py.File(path, "w").create_dataset("a", data=NUMBERS).file.close(),
    lambda path: (path.mkdir(), (path / "file").write_bytes(bytes(160_000))),
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files that cannot be closed
@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_is_told_whoever_writes_and_nothing_is_left(tmp_path: Path, write) -> None:
    path = tmp_path / "out"
    path.write_text("earlier")
    told = rf"{path}: no room to write it \(.*free: \d+ MB in {tmp_path}.*\); make room"
    with largest_file(20_000), pytest.raises(PocketfaceError, match=told), written_whole(path) as partial:
        write(partial)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert path.read_text() == "earlier"


def test_a_folder_that_cannot_be_made_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(PocketfaceError, match=f"Disk quota exceeded; free: .* in {tmp_path}"):
        write_json(tmp_path / "new/deep/out.json", {})


def test_other_failures_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), written_whole(tmp_path / "out") as partial:
        partial.mkdir()
        partial.write_text("")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_keeps_six_digits_and_is_stable(number: float) -> None:
    once = rounded(number)
    assert rounded(once) == once
    assert once == pytest.approx(number, rel=1e-5)


def test_json_bytes_do_not_depend_on_the_order_of_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1 / 3, "a": [0.1 + 0.2]})
    write_json(tmp_path / "b.json", {"a": [0.3], "b": 0.333333})
    assert sha256(tmp_path / "a.json") == sha256(tmp_path / "b.json")
    assert json.loads((tmp_path / "a.json").read_text())["a"] == [0.3]


def test_one_at_a_time_works_for_a_path(tmp_path: Path) -> None:
    path, seen = tmp_path / "new" / "weights.h5", []

    def work(number: int) -> None:
        with alone(path):
            seen.append(("in", number))
            path.write_text(str(number))
            seen.append(("out", number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert len(seen) == 80
    assert all(a[1] == b[1] for a, b in zip(seen[::2], seen[1::2], strict=True))


def test_a_failure_lets_the_next_one_in(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), alone(tmp_path / "x"):
            raise RuntimeError


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_read_back(content) -> None:
    assert parse_json(json.dumps(content)) == content


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' stands twice"),
        ('[{"a": {"b": 1, "b": 1}}]', "the key 'b' stands twice"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("9" * 5000, "Exceeds the limit"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ("[", "Expecting value"),
    ],
)
def test_json_that_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_json(text)


def test_text_that_is_too_large_or_no_text(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "LARGEST_TEXT", 10)
    path = tmp_path / "text"
    path.write_bytes(b"a" * 10)
    assert read_text(path) == "a" * 10
    for content, complaint in ((b"a" * 11, "larger than 10 bytes"), (b"\xff", "not UTF-8")):
        path.write_bytes(content)
        with pytest.raises(PocketfaceError, match=complaint):
            read_text(path)
    with pytest.raises(PocketfaceError, match="not a regular file"):
        read_text(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none")
