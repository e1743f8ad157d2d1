import blazeface
import numpy as np
import pytest
from blazeface import ANCHORS, SIDE, BlazeFace, Found

import drawn_datasets as drawn
from pocketface.core.errors import PocketfaceError
from pocketface.cropping.detect import detect


@pytest.fixture(scope="module")
def find(detector) -> BlazeFace:
    return BlazeFace(detector)


def test_it_finds_drawn_faces_where_dlib_does(find):
    for person in drawn.people(4):
        picture = drawn.scene(person)
        (found,) = find(picture)
        box = np.array(detect(picture)[0].box, float)
        assert blazeface.overlap(found.box, box) > 0.5
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
    expected = found.points[blazeface.MIRROR] * (-1, 1) + (picture.shape[1], 0)
    assert np.abs(other.points - expected).max() < 2


def test_another_network_is_refused(colour_model):
    with pytest.raises(PocketfaceError, match="not BlazeFace's network"):
        BlazeFace(colour_model)


def test_a_score_below_the_limit_is_no_face():
    values, scores = np.zeros((len(ANCHORS), 16)), np.full(len(ANCHORS), -9.0)
    values[:, 2:4] = 20
    scores[5], scores[6] = 3, -0.1
    (face,) = blazeface.decoded(values, scores)
    assert face.score == pytest.approx(1 / (1 + np.exp(-3)))
    assert face.box.tolist() == [*(ANCHORS[5] - 10), *(ANCHORS[5] + 10)]


def test_boxes_of_one_face_become_their_weighted_mean():
    points = np.zeros((6, 2))
    sure = Found(0.9, np.array([0.0, 0, 10, 10]), points)
    close = Found(0.3, np.array([1.0, 0, 11, 10]), points + 4)
    apart = Found(0.5, np.array([50.0, 50, 60, 60]), points)
    one, other = blazeface.merged([sure, apart, close])
    assert one.score == 0.9
    assert one.box == pytest.approx([0.25, 0, 10.25, 10])
    assert one.points[0] == pytest.approx([1, 1])
    assert other is not one
    assert other.box.tolist() == apart.box.tolist()


def test_every_region_lies_in_the_picture_and_the_whole_comes_first():
    for width, height in ((400, 300), (300, 400), (500, 100), (10, 10)):
        whole, *parts = blazeface.regions(width, height)
        assert whole == (0, 0, width, height)
        for left, top, right, bottom in parts:
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height


def test_a_face_cut_by_a_parts_edge_is_left_to_another_look():
    region = (0, 0, 60, 60)
    assert blazeface.cut_off(np.array([40.0, 10, 61, 30]), region, 100, 60)
    assert not blazeface.cut_off(np.array([-5.0, 10, 30, 65]), region, 100, 60), (
        "those edges are the picture's"
    )


def test_a_region_over_the_edge_is_black_there():
    picture = np.full((4, 4, 3), 7, np.uint8)
    part = blazeface.part(picture, (-1, 2, 3, 6))
    assert part.shape == (4, 4, 3)
    assert (part[:2, 1:] == 7).all()
    assert part[:, 0].max() == part[2:].max() == 0
    assert blazeface.letterboxed(part)[0].shape == (SIDE, SIDE, 3)
