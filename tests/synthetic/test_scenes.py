import numpy as np
import pytest

from pocketface.synthetic import scenes

SIZE = 56
RED = np.full((SIZE, SIZE, 3), (255, 0, 0), np.uint8)
BLUE = np.full((SIZE, SIZE, 3), (0, 0, 255), np.uint8)


def share_of(colour: int, photograph: np.ndarray) -> float:
    """The share of pixels in which a colour stands out."""
    others = np.delete(photograph.astype(int), colour, axis=2).max(2)
    return float((photograph[..., colour].astype(int) - others > 90).mean())


def test_a_face_is_laid_where_it_should_lie_and_fades_out():
    scene = np.zeros((300, 280, 3), np.float32)
    pasted = scenes.paste(scene, RED, np.array([120.0, 200.0]), 160.0, 0.0)
    assert pasted[200, 120].tolist() == pytest.approx([255, 0, 0], abs=1)
    lit = np.argwhere(pasted[..., 0] > 1)
    assert lit.mean(0) == pytest.approx([200, 120], abs=1.5)
    assert np.ptp(lit, axis=0) == pytest.approx([156, 156], abs=8)
    assert not pasted[:110].any()
    edge = pasted[200, 120:210, 0]
    assert (np.diff(edge) <= 1e-3).all(), "it fades out towards its edge"


def test_a_tilted_face_turns_against_the_clock():
    face = np.zeros((SIZE, SIZE, 3), np.uint8)
    face[SIZE // 2 - 2 : SIZE // 2 + 2, SIZE // 2 :] = 255  # a ray to the right
    scene = np.zeros((200, 200, 3), np.float32)
    rows, columns = np.nonzero(scenes.paste(scene, face, np.array([100.0, 100.0]), 160.0, 20.0)[..., 0] > 99)
    assert rows[columns.argmax()] < 90


def test_kinds_show_what_their_names_say():
    def shares(kind: str) -> tuple[float, float]:
        faces = {"single": [RED], "none": [], "two": [RED, BLUE], "cut": [RED]}[kind]
        drawn = [getattr(scenes, kind)(*faces, np.random.default_rng([3, i])) for i in range(10)]
        return tuple(
            float(np.mean([share_of(colour, photograph) for photograph in drawn])) for colour in (0, 2)
        )

    none, two, cut, single = (shares(kind) for kind in ("none", "two", "cut", "single"))
    assert none[0] < 0.1 < cut[0] + 0.05 < single[0]
    assert min(two) > 0.15


def test_a_photograph_follows_from_its_random_numbers_alone():
    first, again, other = (scenes.single(RED, np.random.default_rng([7, i])) for i in (1, 1, 2))
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)
    assert scenes.SIDES[0] <= min(first.shape[:2])
    assert max(first.shape[:2]) <= scenes.SIDES[1]
