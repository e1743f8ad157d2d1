import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drawn_datasets as drawn
from pocketface.cropping.blazeface import find
from pocketface.cropping.detect import Box, detect, dlib_points, scaled
from pocketface.cropping.landmarks import points, region_of

PEOPLE = drawn.people(4)


def found_in(picture: np.ndarray) -> Box:
    (box,) = find(picture, 80)
    return scaled(tuple(box.tolist()), 1)


@pytest.mark.parametrize("person", PEOPLE)
def test_points_are_where_dlib_has_them(person):
    picture = drawn.scene(person)
    box = found_in(picture)
    off = np.linalg.norm(points(picture, box) - dlib_points(picture, box), axis=1)
    assert off.mean() < 0.06 * (box[2] - box[0])


def test_faces_of_blazeface_have_them():
    picture = drawn.scene(PEOPLE[0])
    (face,) = detect(picture, "blazeface")
    assert (face.points == points(picture, face.box)).all()
    (of_hog,) = detect(picture, "hog")
    assert (of_hog.points == dlib_points(picture, of_hog.box)).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 200), st.integers(0, 200))
def test_they_move_with_the_face(right, down):
    picture = drawn.scene(PEOPLE[1])
    box = found_in(picture)
    moved = cv2.copyMakeBorder(picture, down, 0, right, 0, cv2.BORDER_CONSTANT)
    there = points(moved, tuple(np.add(box, [right, down, right, down]).tolist()))
    assert there == pytest.approx(points(picture, box) + np.array([right, down]), abs=1e-3)


@pytest.mark.parametrize("scale", [0.5, 2, 3])
def test_they_grow_with_the_picture(scale):
    picture = drawn.scene(PEOPLE[2])
    box = found_in(picture)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    larger = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=way)
    there = (points(larger, scaled(box, scale)) + 0.5) / scale - 0.5
    assert np.abs(there - points(picture, box)).max() < 0.02 * (box[2] - box[0])


@settings(max_examples=30, deadline=None)
@given(st.integers(-90, 90), st.integers(-90, 90), st.integers(1, 200))
def test_a_face_may_reach_over_the_edge(left, top, side):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    assert np.isfinite(points(noise, (left, top, left + side, top + side))).all()


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 500), st.floats(0.5, 3))
def test_a_region_is_a_square_about_the_box(left, top, side, reach):
    x, y, right, bottom = region_of((left, top, left + side, top + side), reach)
    assert right - x == bottom - y == max(round(reach * side), 1)
    assert abs(x + right - 2 * left - side) <= 1 and abs(y + bottom - 2 * top - side) <= 1
