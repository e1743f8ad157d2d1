import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import drawn_datasets as drawn
from colour_variants import png
from pocketface.core.budget import PICTURE
from pocketface.core.errors import PocketfaceError
from pocketface.cropping.picture import decode_reduced
from pocketface.evaluation import face_search
from pocketface.evaluation.face_search import REASONS, Search, aligned, each, find, look
from pocketface.faces.settings import Crop, Input
from pocketface.faces.view import view, window

ANN, BOB = drawn.people(2)
CHIP = Crop(policy="one", margin=0.25, size=96)
AS_IS = Crop(policy="as_is", size=48, channels=1)
SMALL = Input(size=32, margin=0.2)
GREY = Input(size=24, channels=1, margin=0.24, shift=-0.13)


@pytest.fixture(scope="module")
def two_people(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "two.jpg"
    path.write_bytes(drawn.jpeg(drawn.scene(ANN, BOB)))
    return path


def test_every_face_is_seen_by_every_model(two_people):
    looked = look(two_people, [(CHIP, SMALL), (AS_IS, GREY)], Search(every=True, detect="hog"))
    assert looked.reason is None
    assert len(looked.boxes) == 2
    assert [[seen.shape for seen in face] for face in looked.faces] == [[(32, 32, 3), (24, 24, 1)]] * 2


def test_a_model_sees_what_it_was_trained_on(two_people):
    """The same crop and the same window as `crop_faces` and training make of this picture."""
    from pocketface.cropping.crop import crop_picture
    from pocketface.cropping.picture import decode

    largest = CHIP.model_copy(update={"policy": "largest"})
    stored, box = crop_picture(decode(two_people.read_bytes()), largest)
    looked = look(two_people, [(CHIP, SMALL)], Search(detect="hog"))
    assert looked.boxes == (box,)
    np.testing.assert_array_equal(looked.faces[0][0], view(stored, CHIP, SMALL))


def test_a_model_of_whole_crops_gets_a_chip_that_holds_its_window():
    left, top, side = window(aligned(AS_IS, GREY), GREY)
    assert min(left, top) >= -1e-9
    assert max(left, top) + side <= 1 + 1e-9


def test_such_a_chip_has_no_more_pixels_than_the_train_faces():
    enlarged = GREY.model_copy(update={"size": 2 * AS_IS.size})
    assert aligned(AS_IS, enlarged) == aligned(AS_IS, GREY.model_copy(update={"size": AS_IS.size}))


def test_auto_takes_small_pictures_as_faces_and_searches_others():
    small, wall = drawn.tight(ANN, 79), drawn.scene(width=120, height=100)
    assert find(small, Search()) == [None]
    assert find(wall, Search()) == []
    assert find(wall, Search(centre_if_none=True)) == [None]
    assert find(wall, Search(detect="none")) == [None]


def test_boxes_of_a_reduced_picture_are_in_the_files_own_pixels(two_people, monkeypatch):
    searched = [(CHIP, SMALL)], Search(every=True, detect="hog")
    whole = look(two_people, *searched)
    monkeypatch.setattr("pocketface.cropping.picture.DECODED_SIDE", 240)
    halved = look(two_people, *searched)
    assert decode_reduced(two_people.read_bytes())[1] == 2
    np.testing.assert_allclose(halved.boxes, whole.boxes, atol=16)
    for seen, reduced in zip(whole.faces, halved.faces, strict=True):
        assert np.abs(seen[0].astype(int) - reduced[0]).mean() < 16, "the same face"
    monkeypatch.setattr("pocketface.cropping.picture.MAX_JPEG_PIXELS", 480 * 360 - 1)
    too_large = look(two_people, *searched)
    assert (too_large.reason, too_large.boxes) == ("too_large", ())
    assert "480x360" in too_large.detail


def test_a_picture_that_would_be_searched_for_too_long_has_a_status(two_people, monkeypatch):
    monkeypatch.setattr("pocketface.cropping.detect.PICTURE", replace(PICTURE, hog=10_000))
    looked = look(two_people, [(CHIP, SMALL)], Search(detect="hog"))
    assert looked.reason == "too_large" and "10,000 may be" in looked.detail


def test_the_middle_of_the_frame_keeps_its_shape(tmp_path):
    picture = np.zeros((60, 100, 3), np.uint8)
    picture[:, 20:80] = 200
    (tmp_path / "wide.png").write_bytes(png(picture))
    looked = look(tmp_path / "wide.png", [(CHIP, SMALL)], Search(detect="none"))
    assert looked.boxes == ((20, 0, 80, 60),)
    assert (looked.faces[0][0] == 200).all()


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no_such_file"), (b"", "empty"), (b"not a picture", "unsupported")]
)
def test_a_picture_that_cannot_be_read_says_why(tmp_path, content, reason):
    path = tmp_path / "bad.jpg"
    if content is not None:
        path.write_bytes(content)
    assert look(path, [(CHIP, SMALL)], Search()).reason == reason
    assert reason in REASONS


def test_special_files_are_refused_by_kind():
    looked = look(Path("/dev/zero"), [(CHIP, SMALL)], Search())
    assert (looked.reason, looked.detail) == ("special", REASONS["special"])


@pytest.mark.parametrize("address", ["https://example.org/me.jpg", "s3://faces/me.jpg", "file:///me.jpg"])
def test_an_address_is_no_file(address):
    assert look(Path(address), [(CHIP, SMALL)], Search()).reason == "address"
    assert look(Path("C:/me.jpg"), [(CHIP, SMALL)], Search()).reason == "no_such_file"


@pytest.mark.parametrize("enough", [1, 1000], ids=["processes", "threads"])
def test_workers_find_the_same_in_the_same_order(two_people, tmp_path, monkeypatch, enough):
    monkeypatch.setattr(face_search, "ENOUGH", enough)
    (tmp_path / "one.jpg").write_bytes(drawn.jpeg(drawn.scene(BOB)))
    files = [two_people, tmp_path / "none.jpg", tmp_path / "one.jpg"] * 2
    search = partial(look, wanted=[(CHIP, SMALL)], search=Search())
    one, many = (list(each(search, files, workers=n)) for n in (1, 3))
    assert [looked.reason for looked in many] == [None, "no_such_file", None] * 2
    for here, there in zip(one, many, strict=True):
        assert (here.path, here.boxes) == (there.path, there.boxes)
        np.testing.assert_array_equal(here.faces, there.faces)


def test_only_many_files_get_processes():
    def one(file: Path) -> int:
        return os.getpid()

    files = [Path(str(i)) for i in range(2 * face_search.ENOUGH)]
    assert set(each(one, files[1:], workers=2)) == {os.getpid()}
    if sys.platform == "linux":
        assert len(set(each(one, files, workers=2))) == 2


def test_what_fails_ends_the_others(monkeypatch):
    monkeypatch.setattr(face_search, "ENOUGH", 1000)
    done = []

    def one(file: Path) -> Path:
        done.append(file)
        if file.name == "3":
            raise PocketfaceError("the third one")
        time.sleep(0.01)
        return file

    found = each(one, [Path(str(i)) for i in range(500)], workers=2)
    assert [next(found).name for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(PocketfaceError, match="the third one"):
        next(found)
    assert len(done) < 500
