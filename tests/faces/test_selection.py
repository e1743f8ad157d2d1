from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.faces.selection import evaluation_split, load_evaluation, save, select
from pocketface.faces.settings import Crop
from pocketface.faces.view import view
from tiny_training import face_set, study

INPUT = study().models["small"].input


def test_calibration_sees_train_faces_and_evaluation_sees_none() -> None:
    faces, holdout = face_set(dataset="utkface"), face_set(train=0, val=5, dataset="photos", seed=1)
    selection = select(faces, holdout, INPUT)
    train = set(faces.rows("train")["image"])
    assert set(selection.calibration.images) == train
    own = selection.evaluation.rows.query("dataset == 'utkface'")
    assert train.isdisjoint(own["image"])
    assert set(own["split"]) == {"val"}


def test_rejected_pictures_stay_as_rows_and_faces_are_numbered_anew() -> None:
    faces, holdout = face_set(), face_set(train=0, val=5, dataset="photos", seed=1)
    evaluation = select(faces, holdout, INPUT).evaluation
    assert (evaluation.rows["status"] == "no_face").sum() == 4
    assert (
        evaluation.rows["face"].dropna().tolist()
        == list(range(16 + 5))
        == list(range(len(evaluation.pixels)))
    )
    last = holdout.rows("val").iloc[-1]
    np.testing.assert_array_equal(
        evaluation.pixels[-1], view(holdout.pixels[last["face"]], holdout.crop, INPUT)
    )


def test_other_faces_are_shown_with_the_detail_of_the_train_faces() -> None:
    crop = Crop(policy="as_is", size=16)
    faces, holdout = replace(face_set(), crop=crop), face_set(train=0, val=2, dataset="photos", seed=1)
    enlarged = INPUT.model_copy(update={"size": 24})
    evaluation = select(faces, holdout, enlarged).evaluation
    last = holdout.rows("val").iloc[-1]
    expected = view(holdout.pixels[last["face"]], holdout.crop, enlarged, detail=16)
    np.testing.assert_array_equal(evaluation.pixels[-1], expected)
    assert not np.array_equal(expected, view(holdout.pixels[last["face"]], holdout.crop, enlarged))


def test_the_test_part_is_read_only_when_asked_or_where_there_is_no_other() -> None:
    faces, holdout = face_set(), face_set(dataset="photos", seed=1)
    assert [evaluation_split(faces, test) for test in (False, True)] == ["val", "val"]
    faces.index.loc[faces.index["image"] == faces.rows("val")["image"].iloc[0], "split"] = "test"
    for test, split in ((False, "val"), (True, "test")):
        assert evaluation_split(faces, test) == split
        rows = select(faces, holdout, INPUT, test=test).evaluation.rows
        assert set(rows.loc[rows["dataset"] == "utkface", "split"]) == {split}
    holdout.index["split"] = "test"
    assert evaluation_split(holdout) == "test"


def test_it_reads_back_what_it_wrote_and_its_bytes_repeat(tmp_path: Path) -> None:
    selection = select(face_set(), face_set(dataset="photos", seed=1), INPUT)
    for name in ("a", "b"):
        save(selection, tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    again = load_evaluation(tmp_path / "a")
    np.testing.assert_array_equal(again.pixels, selection.evaluation.pixels)
    assert again.rows["face"].dtype == "Int64"


def test_no_face_to_measure_on_is_an_error() -> None:
    with pytest.raises(PocketfaceError, match=r"no face to measure on in its val split \(2 no_face\)"):
        select(face_set(val=0), face_set(dataset="photos", seed=1), INPUT)


def test_a_missing_folder_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(PocketfaceError, match="dvc repro select_faces@small"):
        load_evaluation(tmp_path / "small")


def test_a_published_model_is_shown_the_detail_that_it_was_trained_on() -> None:
    faces, holdout = face_set(), face_set(train=0, val=2, dataset="photos", seed=1)
    enlarged, crop = INPUT.model_copy(update={"size": 24}), Crop(policy="as_is", size=16)
    selection = select(faces, holdout, enlarged, trained_on=crop)
    last = holdout.rows("val").iloc[-1]
    expected = view(holdout.pixels[last["face"]], holdout.crop, enlarged, detail=16)
    np.testing.assert_array_equal(selection.evaluation.pixels[-1], expected)
    sharp = select(faces, holdout, enlarged).calibration.pixels
    assert not np.array_equal(selection.calibration.pixels, sharp)
