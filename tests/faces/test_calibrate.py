from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.faces import calibrate
from tiny_training import face_set, study

INPUT = study().models["small"].input


def test_only_train_faces_are_chosen_at_most_1500_and_the_same_each_time() -> None:
    faces = face_set(train=1600, val=100)
    chosen = calibrate.choose(faces, INPUT)
    assert len(chosen.images) == len(chosen.pixels) == len(chosen.labels) == 1500
    assert set(chosen.images) <= set(faces.rows("train")["image"])
    again = calibrate.choose(faces, INPUT)
    assert again.images == chosen.images
    assert again.sha256() == chosen.sha256()


def test_a_smaller_choice_is_a_prefix_and_has_another_hash() -> None:
    chosen = calibrate.choose(face_set(), INPUT)
    few = chosen.first(5)
    assert few.images == chosen.images[:5]
    assert few.sha256() != chosen.sha256()


def test_faces_to_tune_on_are_never_those_that_ranges_are_measured_on() -> None:
    for train, measured, tuning in ((1600, 500, 1000), (64, 32, 32)):
        chosen = calibrate.choose(face_set(train=train), INPUT)
        rest = chosen.tuning()
        assert len(rest.images) == len(rest.pixels) == len(rest.labels) == tuning
        assert not set(rest.images) & set(chosen.first(measured).images)


def test_labels_stay_with_their_faces() -> None:
    faces = face_set()
    rest = calibrate.choose(faces, INPUT).tuning()
    ages = dict(zip(faces.index["image"], faces.index["age"], strict=True))
    assert rest.labels["age"].tolist() == [ages[image] for image in rest.images]


def test_it_reads_back_and_notices_damage(tmp_path: Path) -> None:
    chosen = calibrate.choose(face_set(), INPUT)
    calibrate.save(chosen, tmp_path)
    again = calibrate.load(tmp_path)
    assert again.images == chosen.images
    np.testing.assert_array_equal(again.pixels, chosen.pixels)
    pd.testing.assert_frame_equal(again.labels, chosen.labels, check_dtype=False)
    (tmp_path / calibrate.LIST).write_text("one.jpg\n")
    with pytest.raises(PocketfaceError, match="64 calibration faces for 1 names"):
        calibrate.load(tmp_path)
    (tmp_path / calibrate.FACES).unlink()
    with pytest.raises(PocketfaceError, match=r"calibration\.npy: no such file; make it with `dvc repro sel"):
        calibrate.load(tmp_path)


def test_no_train_face_is_an_error() -> None:
    with pytest.raises(PocketfaceError, match="no accepted train face"):
        calibrate.choose(face_set(train=0), INPUT)
