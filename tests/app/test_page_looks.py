import numpy as np
import page_looks
import pytest
from page_looks import MIRROR, BlazeFace

import drawn_datasets as drawn
from pocketface.cropping.blazeface import SHORT, overlap
from pocketface.cropping.detect import detect


@pytest.fixture(scope="module")
def find() -> BlazeFace:
    return BlazeFace(SHORT)


def test_it_finds_drawn_faces_where_dlib_does(find):
    for person in drawn.people(4):
        picture = drawn.scene(person)
        (found,) = find(picture)
        box = np.array(detect(picture)[0].box, float)
        assert overlap(found.box, box) > 0.5
        left, right, nose, mouth, *_ = found.points
        assert left[0] < nose[0] < right[0]
        assert left[1] < nose[1] < mouth[1]


def test_small_faces_are_found_in_a_part_of_the_picture_and_told_once(find):
    assert len(find(drawn.scene(*drawn.people(3), width=900))) == 3


def test_there_is_no_face_in_a_wall(find):
    assert find(drawn.scene()) == []


def test_a_mirrored_picture_gives_mirrored_points(find):
    picture = drawn.face(drawn.people(1)[0])
    (found,), (other,) = find(picture), find(np.ascontiguousarray(picture[:, ::-1]))
    expected = found.points[MIRROR] * (-1, 1) + (picture.shape[1], 0)
    assert np.abs(other.points - expected).max() < 2


def test_every_region_lies_in_the_picture_and_the_whole_comes_first():
    for width, height in ((400, 300), (300, 400), (500, 100), (10, 10)):
        whole, *parts = page_looks.regions(width, height)
        assert whole == (0, 0, width, height)
        for left, top, right, bottom in parts:
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
