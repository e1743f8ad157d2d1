import finder
import numpy as np
import pytest
from finder import Finder

import drawn_datasets as drawn
from pocketface.app.site import DETECTOR
from pocketface.cropping.crop import cut_face
from pocketface.cropping.detect import detect
from pocketface.cropping.geometry import MEAN_FACE
from pocketface.faces.settings import Crop


def test_a_place_and_its_points_are_each_others_inverse():
    size, centre = 80 - 9j, 120 + 70j
    assert finder.place_of(finder.mean_face(size, centre)) == pytest.approx((size, centre))
    upright = finder.mean_face(100, 50 + 50j)
    assert upright == pytest.approx(100 * MEAN_FACE - 0.5), "dlib counts from a pixel's centre"


def test_a_fit_finds_the_weights_that_made_the_data():
    random = np.random.default_rng(0)
    true = finder.load()
    points = random.uniform(0, 200, (40, 6, 2))
    places = [true.place(face) for face in points]
    found = finder.fit(points, places)
    assert found.faces == 40
    for face in random.uniform(0, 200, (5, 6, 2)):
        assert found.place(face) == pytest.approx(true.place(face), rel=1e-3)


def test_what_is_found_turns_grows_and_moves_with_the_face():
    points = np.random.default_rng(1).uniform(0, 100, (6, 2))
    size, centre = finder.load().place(points)
    turned = (points[:, 0] + 1j * points[:, 1]) * (2 + 1j) + (5 - 3j)
    new_size, new_centre = finder.load().place(np.column_stack([turned.real, turned.imag]))
    assert new_size == pytest.approx(size * (2 + 1j), rel=1e-5)
    assert new_centre == pytest.approx(centre * (2 + 1j) + (5 - 3j), rel=1e-4)


def test_the_crop_is_near_the_one_that_training_would_have_cut():
    find, crop = Finder(DETECTOR), Crop(policy="one", margin=0.25, size=120)
    for person in drawn.people(4):
        picture = drawn.scene(person)
        (ours,), (dlibs, *_) = find(picture), detect(picture)
        (size, centre), (true_size, true_centre) = finder.place_of(ours.points), finder.place_of(dlibs.points)
        assert abs(size / true_size) == pytest.approx(1, abs=0.2)
        assert abs(np.degrees(np.angle(size / true_size))) < 6
        assert abs(centre - true_centre) < 0.12 * abs(true_size)
        same = np.abs(cut_face(picture, ours, crop).astype(int) - cut_face(picture, dlibs, crop)).mean()
        assert same < 20
