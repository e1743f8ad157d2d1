import numpy as np
import pytest

from pocketface.faces.view import STILL
from pocketface.training.augment import jitter, mixup, recolour
from pocketface.training.settings import Augment


def test_nothing_asked_changes_nothing() -> None:
    random = np.random.default_rng(0)
    face = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert jitter(Augment(), random) == STILL
    np.testing.assert_array_equal(recolour(face, Augment(), random), face)


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
        lit = recolour(face, Augment(brightness=0.3, contrast=0.5), np.random.default_rng(seed))
        assert lit.shape == face.shape
        assert (np.diff(lit.ravel().astype(int)) >= 0).all()


def noise(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (16, 16, channels)).astype(np.uint8)


def test_blur_is_the_mean_of_two_by_two_pixels() -> None:
    face = noise(1)
    blurred = recolour(face, Augment(blur=1), np.random.default_rng(0))
    assert blurred[8, 8, 0] == pytest.approx(face[7:9, 7:9].mean(), abs=0.51)


def test_saturation_moves_colours_to_or_from_grey_and_leaves_grey_faces() -> None:
    face, spreads = noise(), []
    for seed in range(20):
        seen = recolour(face, Augment(saturation=0.9), np.random.default_rng(seed)).astype(float)
        spreads.append(seen.std(axis=2).mean() / face.std(axis=2).mean())
    assert min(spreads) < 0.5
    assert max(spreads) > 1.1
    grey = noise(1)
    np.testing.assert_array_equal(recolour(grey, Augment(saturation=0.9), np.random.default_rng(0)), grey)


@pytest.mark.parametrize("seed", range(10))
def test_erasing_covers_one_rectangle_of_a_few_to_33_per_cent(seed: int) -> None:
    face = np.zeros((64, 64, 3), np.uint8)
    erased = recolour(face, Augment(erase=1), np.random.default_rng(seed)).any(axis=2)
    rows, columns = np.flatnonzero(erased.any(axis=1)), np.flatnonzero(erased.any(axis=0))
    assert 0.01 < erased.mean() < 0.36
    area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert erased.sum() == pytest.approx(area, abs=2)  # noise may be black


def test_mixup_mixes_known_labels_and_gives_a_missing_one_no_say() -> None:
    random = np.random.default_rng(1)
    image = np.arange(4, dtype=np.float32)[:, None, None, None] * np.ones((4, 2, 2, 1), np.float32)
    y = {"age": np.array([[10.0], [20.0], [30.0], [0.0]], np.float32)}
    weight = {"age": np.array([1, 1, 1, 0], np.float32)}
    mixed, target, weights = mixup(image, y, weight, 0.4, random)
    again = np.random.default_rng(1)
    share, other = again.beta(0.4, 0.4), again.permutation(4)
    for i, j in enumerate(other):
        assert mixed[i, 0, 0, 0] == pytest.approx(share * i + (1 - share) * j, abs=1e-5)
        parts = [(share, i), (1 - share, j)]
        known = [(part, face) for part, face in parts if weight["age"][face]]
        total = sum(part for part, _ in known)
        assert weights["age"][i] == pytest.approx(total, abs=1e-6)
        expected = sum(part * y["age"][face, 0] for part, face in known) / total if total else 0
        assert target["age"][i, 0] == pytest.approx(expected, rel=1e-5)
