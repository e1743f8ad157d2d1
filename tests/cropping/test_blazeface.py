import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drawn_datasets as drawn
from pocketface.cropping import blazeface
from pocketface.cropping.blazeface import QUICK, SHORT, anchors, find, network, overlap
from pocketface.cropping.detect import detect

ANCHORS = anchors(128)
PEOPLE = drawn.people(3)


def test_drawn_faces_are_found_where_dlib_finds_them():
    for person in drawn.people(4):
        picture = drawn.scene(person)
        (box,) = find(picture, 80)
        assert overlap(box, np.array(detect(picture)[0].box, float)) > 0.6


def test_there_is_no_face_in_a_wall():
    assert find(drawn.scene(), 40).shape == (0, 4)


def test_small_faces_of_a_large_picture_are_found_in_tiles_and_told_once():
    group = drawn.scene(*PEOPLE, width=900)
    picture = np.full((1000, 1000, 3), 128, np.uint8)
    picture[:133, 500:800] = cv2.resize(group, (300, 133), interpolation=cv2.INTER_AREA)
    assert len(find(picture, 80)) < 3
    found = find(picture, 20)
    assert len(found) == 3
    assert (found[:, 0] > 500).all() and (found[:, 3] < 133).all()


def test_what_fills_the_picture_is_found_with_a_frame_around_it(monkeypatch):
    looks = []
    look = blazeface.Network.look

    def blind_to_the_whole(network, picture, region):
        looks.append((network.side, region))
        scores, boxes, points = look(network, picture, region)
        return (scores, boxes, points) if min(region) < 0 else (scores[:0], boxes[:0], points[:0])

    monkeypatch.setattr(blazeface.Network, "look", blind_to_the_whole)
    assert len(find(drawn.scene(PEOPLE[0]), 80)) == 1
    assert looks[0] == (128, (0, 0, 480, 360))
    assert looks[1] == (128, (-192, -192, 672, 552))
    assert {side for side, _ in looks} == {128}


def test_a_small_picture_is_first_seen_with_fewer_pixels(monkeypatch):
    looks = []
    look = blazeface.Network.look
    monkeypatch.setattr(
        blazeface.Network, "look", lambda *asked: (looks.append(asked[0].side), look(*asked))[1]
    )
    for person in PEOPLE:
        large = drawn.scene(person)
        small = cv2.resize(large, (240, 180), interpolation=cv2.INTER_AREA)
        (box,), (same,) = find(large, 80), find(small, 80)
        assert overlap(box, 2 * same) > 0.7
    assert looks == [128, 96] * len(PEOPLE)
    assert len(find(cv2.resize(drawn.scene(*PEOPLE, width=900), (300, 133)), 20)) == 3
    assert 128 in looks[2 * len(PEOPLE) :], "too small for the first look"


def test_a_doubtful_face_must_be_seen_from_close_by(monkeypatch):
    picture = drawn.scene(PEOPLE[0])
    monkeypatch.setattr(blazeface, "SURE", 1.1)
    assert len(find(picture, 80)) == 1
    monkeypatch.setattr(blazeface, "CONFIRMED", 1.1)
    assert len(find(picture, 80)) == 0


@pytest.mark.parametrize("size", [(800, 300), (1000, 1000), (430, 420), (900, 20)])
def test_tiles_lie_in_the_picture_cover_it_and_overlap(size):
    seen = np.zeros(size[::-1], int)
    for left, top, right, bottom in blazeface.tiles(*size, 427):
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
        assert right - left <= 427 and bottom - top <= 427
        seen[top:bottom, left:right] += 1
    assert seen.min() == 1 and seen.max() > 1
    assert list(blazeface.tiles(427, 100, 427)) == []


@pytest.mark.parametrize("side", [96, 128])
def test_the_quantized_network_finds_faces_where_googles_does(side):
    for person in PEOPLE:
        picture = drawn.scene(person)
        whole = (0, 0, picture.shape[1], picture.shape[0])
        (score, box, points), (same, other, others) = (
            [found[0] for found in network(file, side=side).look(picture, whole)] for file in (SHORT, QUICK)
        )
        pixel = picture.shape[1] / side
        assert abs(score - same) < 0.05
        assert abs(box - other).max() < 2 * pixel and abs(points - others).max() < 2 * pixel


def test_a_score_below_the_limit_is_no_face():
    values, scores = np.zeros((len(ANCHORS), 16)), np.full(len(ANCHORS), -9.0)
    values[:, 2:4] = 20
    scores[5], scores[6] = 3, -0.1
    certain, boxes, _ = blazeface.decoded(values, scores, ANCHORS)
    assert certain == pytest.approx([1 / (1 + np.exp(-3))])
    assert boxes.tolist() == [[*(ANCHORS[5] - 10), *(ANCHORS[5] + 10)]]


def test_boxes_of_one_face_become_their_weighted_mean():
    boxes = np.array([[0.0, 0, 10, 10], [50, 50, 60, 60], [1, 0, 11, 10]])
    points = np.zeros((3, 6, 2))
    points[2] = 4
    scores, merged, middles = blazeface.merged(np.array([0.9, 0.5, 0.3]), boxes, points)
    assert scores.tolist() == [0.9, 0.5]
    assert merged == pytest.approx(np.array([[0.25, 0, 10.25, 10], [50, 50, 60, 60]]))
    assert middles[0, 0] == pytest.approx([1, 1])


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
    assert blazeface.letterboxed(part, 128, cv2.INTER_AREA)[0].shape == (128, 128, 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from([cv2.INTER_LINEAR, cv2.INTER_AREA]))
def test_a_letterbox_holds_the_whole_picture(width, height, sampling):
    halves = np.full((height, width, 3), 60, np.uint8)
    halves[:, width // 2 :] = 120
    square, scale, left, top = blazeface.letterboxed(halves, 96, sampling)
    seen = square[:, :, 0]
    assert scale == 96 / max(width, height)
    assert (seen[:top] == 0).all() and (seen[:, :left] == 0).all()
    shown = seen[seen > 0]
    assert shown.min() >= 60 and shown.max() <= 120
    if width >= 8 and scale * width >= 8:
        edge = np.flatnonzero(seen[top] > 90)[0]
        assert abs(edge - (left + scale * (width // 2))) <= 1.5


def test_a_surer_face_drives_out_the_one_that_covers_it(monkeypatch):
    """A doubtful face of one look, confirmed from close by, must not hide a real one in it."""
    picture = drawn.scene(PEOPLE[0])
    doubtful = np.array([0.6]), np.array([[0.0, 0, 400, 300]]), np.zeros((1, 6, 2))
    monkeypatch.setattr(blazeface, "_sure_from_close_by", lambda picture, box: True)
    look = blazeface.Network.look

    def first_look_wrong(network, picture, region):
        return doubtful if network.side == 128 else look(network, picture, region)

    monkeypatch.setattr(blazeface.Network, "look", first_look_wrong)
    (box,) = find(picture, 20)
    assert overlap(box, np.array(detect(picture)[0].box, float)) > 0.6
