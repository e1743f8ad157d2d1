import numpy as np

from pocketface.faces.view import STILL
from pocketface.study import Augment
from pocketface.training.augment import jitter, relight


def test_nothing_asked_changes_nothing() -> None:
    random = np.random.default_rng(0)
    face = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert jitter(Augment(), random) == STILL
    np.testing.assert_array_equal(relight(face, Augment(), random), face)


def test_changes_stay_within_their_limits_and_use_them() -> None:
    augment = Augment(flip=True, translate=0.1, zoom=0.2, rotate=15)
    drawn = [jitter(augment, np.random.default_rng(seed)) for seed in range(400)]
    assert 150 < sum(j.mirror for j in drawn) < 250
    for values, limit in (
        ([j.shift_x for j in drawn], 0.1),
        ([j.shift_y for j in drawn], 0.1),
        ([j.zoom - 1 for j in drawn], 0.2),
        ([j.angle for j in drawn], 15),
    ):
        assert -limit <= min(values) < -0.9 * limit
        assert 0.9 * limit < max(values) <= limit


def test_light_changes_every_pixel_alike_and_stays_in_range() -> None:
    face = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    for seed in range(20):
        lit = relight(face, Augment(brightness=0.3, contrast=0.5), np.random.default_rng(seed))
        assert lit.shape == face.shape
        assert (np.diff(lit.ravel().astype(int)) >= 0).all()
