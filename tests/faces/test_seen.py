from pathlib import Path

import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.faces import seen
from pocketface.faces.duplicates import perceptual_hash, thumbnail
from pocketface.faces.index import OK
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


def test_a_changed_copy_in_the_hold_out_of_a_seen_picture_is_not_measured() -> None:
    faces, holdout = face_set(), face_set(train=0, val=5, dataset="photos", seed=1)
    learned, row = faces.rows("train"), holdout.rows("val").iloc[0]
    darker = np.clip(faces.pixels[learned["face"].iloc[0]] * 0.95 + 3, 0, 255).astype(np.uint8)
    holdout.pixels[row["face"]] = darker
    holdout.index.loc[row.name, "phash"] = perceptual_hash(thumbnail(darker, holdout.crop))
    known = seen.fingerprints(learned["source_sha"])
    rows = select(faces, holdout, Input(size=32), learned_from=known).evaluation.rows
    found = rows[rows["dataset"] == "photos"].set_index("image")["status"]
    assert found[row["image"]] == seen.LEARNED_FROM
    assert (found == OK).sum() == 4


def test_a_picture_is_measured_whose_name_a_seen_one_has_in_another_dataset() -> None:
    faces, other = face_set(train=6, val=3), face_set(train=3, val=6, dataset="celeba", seed=1)
    first, copy = faces.rows("train").iloc[5], other.rows("train").iloc[0]
    other.pixels[copy["face"]] = faces.pixels[first["face"]]
    other.index.loc[copy.name, ["phash", "source_sha"]] = [first["phash"], first["source_sha"]]
    assert first["image"] in set(other.rows("val")["image"])
    holdout = face_set(train=0, val=5, dataset="photos", seed=2)
    known = seen.fingerprints(faces.rows("train")["source_sha"])
    rows = select(faces, holdout, Input(size=32), [other], known).evaluation.rows
    assert (rows.loc[rows["dataset"] == "celeba", "status"] == OK).sum() == 6
