from pathlib import Path

import numpy as np
import pytest

from pocketface.errors import PocketfaceError
from pocketface.tflite import calibrate
from tiny import face_set, study

INPUT = study().models["small"].input


def test_only_train_faces_are_chosen_at_most_500_and_the_same_each_time() -> None:
    faces = face_set(train=600, val=100)
    chosen = calibrate.choose(faces, INPUT)
    assert len(chosen.images) == len(chosen.pixels) == calibrate.MOST == 500
    assert set(chosen.images) <= set(faces.rows("train")["image"])
    again = calibrate.choose(faces, INPUT)
    assert again.images == chosen.images
    assert again.sha256() == chosen.sha256()


def test_a_smaller_choice_is_a_prefix_and_has_another_hash() -> None:
    chosen = calibrate.choose(face_set(), INPUT)
    few = chosen.first(5)
    assert few.images == chosen.images[:5]
    assert few.sha256() != chosen.sha256()


def test_it_reads_back_and_notices_damage(tmp_path: Path) -> None:
    chosen = calibrate.choose(face_set(), INPUT)
    calibrate.save(chosen, tmp_path)
    again = calibrate.load(tmp_path)
    assert again.images == chosen.images
    np.testing.assert_array_equal(again.pixels, chosen.pixels)
    (tmp_path / calibrate.LIST).write_text("one.jpg\n")
    with pytest.raises(PocketfaceError, match="64 calibration faces for 1 names"):
        calibrate.load(tmp_path)
    (tmp_path / calibrate.FACES).unlink()
    with pytest.raises(PocketfaceError, match="no calibration faces"):
        calibrate.load(tmp_path)


def test_no_train_face_is_an_error() -> None:
    with pytest.raises(PocketfaceError, match="no accepted train face"):
        calibrate.choose(face_set(train=0), INPUT)
