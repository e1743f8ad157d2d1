from pathlib import Path

import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.faces import seen
from pocketface.faces.selection import select
from pocketface.faces.settings import Input
from tiny_training import face_set


def test_what_a_model_has_seen_is_not_measured(tmp_path: Path) -> None:
    faces, holdout = face_set(), face_set(train=0, val=5, dataset="photos", seed=1)
    learned = faces.rows("val").iloc[:3]
    seen.save(seen.fingerprints(learned["source_sha"]), tmp_path)
    evaluation = select(faces, holdout, Input(size=32), learned_from=seen.load(tmp_path)).evaluation
    rows = evaluation.rows.set_index("image")
    assert set(rows.loc[learned["image"], "status"]) == {seen.LEARNED_FROM}
    assert rows.loc[learned["image"], "face"].isna().all()
    assert len(evaluation.pixels) == 16 - 3 + 5


def test_a_copy_of_a_seen_picture_is_not_measured_either() -> None:
    index = face_set(train=2, val=2).index
    index.loc[index["image"] == "00000.jpg", ["status", "same_as"]] = ["measured_too", "00003.jpg"]
    known = seen.fingerprints(index.loc[index["image"] == "00000.jpg", "source_sha"])
    found = seen.left_out(index, known).set_index("image")["status"]
    assert found[["00000.jpg", "00002.jpg", "00003.jpg"]].tolist() == ["measured_too", "ok", "learned_from"]


def test_a_folder_that_does_not_say_has_seen_nothing_known(tmp_path: Path) -> None:
    assert len(seen.load(tmp_path)) == 0
    assert (
        seen.left_out(face_set().index, seen.load(tmp_path))["status"] == face_set().index["status"]
    ).all()


def test_fingerprints_are_sorted_and_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    found = seen.fingerprints(["ffffffff" + "0" * 56, "00000001" + "0" * 56, "ffffffff" + "1" * 56])
    assert found.dtype == np.uint32 and found.tolist() == [1, 0xFFFFFFFF]
    (tmp_path / seen.SEEN).write_bytes(b"not numbers")
    with pytest.raises(PocketfaceError, match=r"seen\.npy: not readable.*publish the model again"):
        seen.load(tmp_path)
