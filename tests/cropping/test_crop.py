import cv2
import numpy as np
import pytest

from drawn_datasets import Person, scene
from pocketface.cropping.crop import choose, crop_picture, cut_face, share_outside
from pocketface.cropping.detect import Face, detect, dlib_points
from pocketface.cropping.picture import Rejected
from pocketface.faces.settings import Crop

COUPLE = scene(Person(1), Person(2, gender="female"))
ONE, LARGEST = Crop(policy="one", size=120), Crop(policy="largest", size=120)
PICTURE = (200, 300, 3)


def found(*box: int) -> Face:
    return Face(box, np.zeros((5, 2)))


LARGE, SMALL = found(50, 50, 150, 150), found(200, 20, 260, 80)


def test_a_face_is_cut_as_the_params_say() -> None:
    face, box = crop_picture(scene(Person(1)), Crop(policy="one", size=96, margin=0.3))
    assert face.shape == (96, 96, 3) and face.dtype == np.uint8
    assert box[2] - box[0] > 60


def test_either_finder_gives_nearly_the_same_crop() -> None:
    picture = scene(Person(1))
    crops = [crop_picture(picture, Crop(detector=finder, size=96))[0] for finder in ("hog", "blazeface")]
    of_hog, of_blazeface = (crop.astype(int) for crop in crops)
    (face,) = detect(picture, "blazeface")
    by_dlib = cut_face(picture, Face(face.box, dlib_points(picture, face.box)), Crop(size=96))
    assert np.abs(of_hog - by_dlib).mean() < 8
    two_pixels = np.abs(of_hog - np.roll(of_hog, 2, axis=1)).mean()
    assert np.abs(of_hog - of_blazeface).mean() < two_pixels


@pytest.mark.parametrize("finder", ["hog", "blazeface"])
@pytest.mark.parametrize(
    ("picture", "reason"),
    [(scene(width=240, height=180), "no_face"), (COUPLE, "many_faces"), (scene(Person(1)), "tiny_face")],
)
def test_a_reject_has_its_reason_whichever_finder_looks(finder, picture, reason) -> None:
    with pytest.raises(Rejected, match=reason):
        crop_picture(picture, Crop(policy="one", detector=finder, size=1024))


def test_grey_is_the_grey_of_the_colours() -> None:
    picture = scene(Person(1))
    colour, _ = crop_picture(picture, Crop(size=64))
    grey, _ = crop_picture(picture, Crop(size=64, channels=1))
    assert grey.shape == (64, 64, 1)
    np.testing.assert_array_equal(grey[:, :, 0], cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY))


def test_two_people_are_no_matter_for_largest() -> None:
    _, box = crop_picture(COUPLE, Crop(policy="largest"))
    assert box == detect(COUPLE)[0].box


@pytest.mark.parametrize("policy", ["one", "largest", "as_is"])
def test_every_face_that_is_found_can_be_cut_whatever_the_policy(policy: str) -> None:
    crop = Crop(policy=policy, size=48, channels=1)
    left, right = (cut_face(COUPLE, face, crop) for face in sorted(detect(COUPLE), key=lambda f: f.box))
    assert left.shape == right.shape == (48, 48, 1)
    assert (left != right).mean() > 0.5


class TestAsIs:
    def test_a_crop_of_the_right_size_keeps_its_pixels(self) -> None:
        grey = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
        picture = np.repeat(grey[:, :, None], 3, axis=2)
        face, box = crop_picture(picture, Crop(policy="as_is", size=48, channels=1))
        np.testing.assert_array_equal(face[:, :, 0], grey)
        assert box == (0, 0, 48, 48)

    @pytest.mark.parametrize(
        ("shape", "box"), [((218, 178), (0, 20, 178, 198)), ((48, 100), (26, 0, 74, 48))]
    )
    def test_of_an_oblong_picture_the_middle_is_taken(
        self, shape: tuple[int, int], box: tuple[int, ...]
    ) -> None:
        picture = np.zeros((*shape, 3), np.uint8)
        picture[box[1] : box[3], box[0] : box[2]] = 90
        face, where = crop_picture(picture, Crop(policy="as_is", size=32))
        assert where == box
        assert (face == 90).all() and face.shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("faces", "crop", "reason"),
    [
        ([], LARGEST, "no_face"),
        ([], ONE, "no_face"),
        ([LARGE, SMALL], ONE, "many_faces"),
        ([found(10, 10, 39, 39)], ONE, "tiny_face"),
        ([found(-60, 50, 60, 170)], ONE, "cut_face"),
        ([found(250, -50, 350, 50)], ONE, "cut_face"),
    ],
)
def test_a_policy_rejects_what_leaves_a_doubt(faces: list[Face], crop: Crop, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        choose(faces, PICTURE, crop)
    assert rejected.value.reason == reason


@pytest.mark.parametrize("face", [LARGE, found(10, 10, 40, 40), found(-35, 50, 65, 150)])
def test_one_is_lenient_up_to_its_limits(face: Face) -> None:
    assert choose([face], PICTURE, ONE) is face


def test_largest_takes_the_first_of_many_however_small() -> None:
    tiny = found(-5, 0, 10, 15)
    assert choose([LARGE, SMALL], PICTURE, LARGEST) is LARGE
    assert choose([tiny], PICTURE, LARGEST) is tiny


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
