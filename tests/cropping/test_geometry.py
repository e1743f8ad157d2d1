import cv2
import dlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface.cropping import geometry
from pocketface.cropping.detect import Face
from pocketface.cropping.geometry import MEAN_FACE, NOSE, chip, cut, type_a, type_b
from pocketface.faces.settings import Crop

FRONTAL = Face((40, 40, 140, 140), 90 * MEAN_FACE + 45)

numbers = st.floats(-20, 20)
points = st.lists(st.tuples(numbers, numbers), min_size=5, max_size=5).map(
    lambda jitter: FRONTAL.points + np.array(jitter)
)
boxes = st.tuples(
    st.integers(-100, 400), st.integers(-100, 400), st.integers(20, 300), st.integers(20, 300)
).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


def centre(where: dlib.chip_details) -> np.ndarray:
    rect = where.rect
    return np.array([rect.left() + rect.right(), rect.top() + rect.bottom()]) / 2


def extent(where: dlib.chip_details) -> np.ndarray:
    rect = where.rect
    return np.array([rect.right() - rect.left() + 1, rect.bottom() - rect.top() + 1])


def side(where: dlib.chip_details) -> float:
    return extent(where)[0]


class TestChip:
    @settings(max_examples=50, deadline=None)
    @given(points, st.integers(16, 300), st.floats(0, 1))
    def test_is_dlibs_own_where_points_are_whole_numbers(
        self, found: np.ndarray, size: int, margin: float
    ) -> None:
        whole = np.round(found)
        shape = dlib.full_object_detection(
            dlib.rectangle(0, 0, 9, 9), [dlib.point(int(x), int(y)) for x, y in whole]
        )
        theirs = dlib.get_face_chip_details(shape, size, margin)
        ours = chip(whole, size, margin)
        assert centre(ours) == pytest.approx(centre(theirs), abs=1e-6)
        assert side(ours) == pytest.approx(side(theirs), abs=1e-6)
        assert ours.angle == pytest.approx(theirs.angle, abs=1e-9)

    @settings(max_examples=50, deadline=None)
    @given(points, st.floats(-3, 3), st.floats(0.2, 5), st.tuples(numbers, numbers))
    def test_follows_the_face_when_it_turns_grows_and_moves(
        self, found: np.ndarray, angle: float, scale: float, move: tuple[float, float]
    ) -> None:
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        before = chip(found, 100, 0.3)
        after = chip(found @ turn.T + move, 100, 0.3)
        assert centre(after) == pytest.approx(turn @ centre(before) + move, abs=1e-3 * scale + 1e-3)
        assert side(after) == pytest.approx(scale * side(before), rel=1e-4)
        turned = after.angle - before.angle - angle
        assert np.cos(turned) == pytest.approx(1, abs=1e-6)

    def test_spans_the_mean_face_and_the_margins(self) -> None:
        assert side(chip(FRONTAL.points, 200, 0)) == pytest.approx(90, rel=1e-6)
        assert side(chip(FRONTAL.points, 200, 0.25)) == pytest.approx(90 * 1.5, rel=1e-6)
        assert centre(chip(FRONTAL.points, 200, 0.25)) == pytest.approx(
            centre(chip(FRONTAL.points, 200, 0)), abs=1e-6
        )

    def test_sets_a_turned_face_upright(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
        upright = cv2.GaussianBlur(noise, (0, 0), 6)
        about = cv2.getRotationMatrix2D((90, 90), 25, 1)
        turned = cv2.warpAffine(upright, about, (200, 200))
        moved = FRONTAL.points @ about[:, :2].T + about[:, 2]
        expected = cut(upright, chip(FRONTAL.points, 64, 0)).astype(int)
        assert np.abs(cut(turned, chip(moved, 64, 0)) - expected).mean() < 2


class TestTypeA:
    @settings(max_examples=30, deadline=None)
    @given(points, st.floats(0.1, 1), st.floats(-0.3, 0.3))
    def test_is_a_share_of_the_picture_about_the_nose(
        self, found: np.ndarray, epsilon: float, shift: float
    ) -> None:
        where = type_a(Face(FRONTAL.box, found), (180, 240), 64, epsilon, shift)
        x, y = found[NOSE]
        assert extent(where) == pytest.approx(np.array([0.8 * epsilon * 240, 0.8 * epsilon * 180]))
        assert centre(where) + 0.5 == pytest.approx(np.array([x, y - shift * 180]))
        assert where.angle == 0

    def test_as_in_the_report_is_two_fifths_of_the_picture_and_hides_the_beard(self) -> None:
        where = geometry.window(FRONTAL, (218, 178), Crop(geometry="type_a"))
        assert extent(where) == pytest.approx(np.array([0.4 * 178, 0.4 * 218]))
        assert where.rect.bottom() + 1 == pytest.approx(FRONTAL.points[NOSE][1])


class TestTypeB:
    @settings(max_examples=30, deadline=None)
    @given(boxes)
    def test_is_the_box_made_larger_and_a_little_longer_below(self, box: tuple[int, int, int, int]) -> None:
        left, top, right, bottom = box
        where = type_b(Face(box, FRONTAL.points), 64)
        longer = (bottom - top) // 16
        assert extent(where) == pytest.approx(1.8 * np.array([right - left, bottom - top]) + (0, longer))
        assert centre(where) + 0.5 == pytest.approx(np.array([left + right, top + bottom + longer]) / 2)


@settings(max_examples=60, deadline=None)
@given(boxes, points, st.sampled_from(["chip", "type_a", "type_b"]), st.floats(0, 1), st.integers(16, 96))
def test_any_window_is_cut_and_black_just_where_there_is_no_picture(
    box: tuple[int, int, int, int], found: np.ndarray, kind: str, margin: float, size: int
) -> None:
    picture = np.full((300, 400, 3), 200, np.uint8)
    where = geometry.window(Face(box, found), picture.shape, Crop(geometry=kind, margin=margin, size=size))
    seen = cut(picture, where)
    assert seen.shape == (size, size, 3) and seen.dtype == np.uint8
    half = extent(where) / 2 * (abs(np.cos(where.angle)) + abs(np.sin(where.angle)))
    inwards = np.concatenate([centre(where) - half, np.array([400, 300]) - centre(where) - half])
    blurred = 2 * extent(where).max() / size + 2
    if inwards.min() > blurred:
        assert (seen == 200).all()
    elif inwards.min() < -blurred and kind != "chip":
        assert (seen == 0).any()


def test_a_window_inside_holds_the_pixels_themselves() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    where = type_a(Face((0, 0, 9, 9), np.full((5, 2), 50.0)), picture.shape, 40, epsilon=0.5, shift=0.1)
    np.testing.assert_array_equal(cut(picture, where), picture[20:60, 30:70])


def test_fine_stripes_are_averaged_and_not_sampled() -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    where = type_a(Face((0, 0, 9, 9), np.full((5, 2), 400.0)), stripes.shape, 50, epsilon=1, shift=0)
    assert np.abs(cut(stripes, where).astype(int) - 127).max() < 16
