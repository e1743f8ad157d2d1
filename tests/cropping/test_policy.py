import numpy as np
import pytest

from pocketface.cropping.crop import choose, share_outside
from pocketface.cropping.detect import Face
from pocketface.cropping.picture import Rejected
from pocketface.faces.settings import Crop

ONE, LARGEST = Crop(policy="one", size=120), Crop(policy="largest", size=120)
PICTURE = (200, 300, 3)


def found(*box: int) -> Face:
    return Face(box, np.zeros((5, 2)))


LARGE, SMALL = found(50, 50, 150, 150), found(200, 20, 260, 80)


def test_the_one_face_is_taken() -> None:
    assert choose([LARGE], PICTURE, ONE) is LARGE


@pytest.mark.parametrize(
    ("faces", "reason"),
    [
        ([], "no_face"),
        ([LARGE, SMALL], "many_faces"),
        ([found(10, 10, 39, 39)], "tiny_face"),
        ([found(-60, 50, 60, 170)], "cut_face"),
        ([found(250, -50, 350, 50)], "cut_face"),
    ],
)
def test_one_rejects_what_leaves_a_doubt(faces: list[Face], reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        choose(faces, PICTURE, ONE)
    assert rejected.value.reason == reason


@pytest.mark.parametrize("face", [found(10, 10, 40, 40), found(-35, 50, 65, 150)])
def test_one_is_lenient_up_to_its_limits(face: Face) -> None:
    assert choose([face], PICTURE, ONE) is face


def test_largest_takes_the_first_of_many_however_small() -> None:
    tiny = found(-5, 0, 10, 15)
    assert choose([LARGE, SMALL], PICTURE, LARGEST) is LARGE
    assert choose([tiny], PICTURE, LARGEST) is tiny


def test_largest_rejects_a_picture_without_a_face() -> None:
    with pytest.raises(Rejected, match="no_face"):
        choose([], PICTURE, LARGEST)


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((0, 0, 300, 200), 0),
        ((-50, 0, 50, 100), 0.5),
        ((250, 150, 350, 250), 0.75),
        ((400, 0, 500, 100), 1),
        ((-300, -200, 600, 400), 8 / 9),
    ],
)
def test_share_outside(box: tuple[int, int, int, int], share: float) -> None:
    assert share_outside(box, PICTURE) == pytest.approx(share)
