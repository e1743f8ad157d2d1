import importlib.util
import os
import tarfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

from drawn_datasets import SIDE, Person, face, scene
from pocketface.core.budget import PICTURE
from pocketface.core.errors import PocketfaceError
from pocketface.cropping import blazeface
from pocketface.cropping import detect as detecting
from pocketface.cropping.crop import crop_picture
from pocketface.cropping.detect import HOG, SEARCHED_SIDE, Face, detect
from pocketface.cropping.picture import Rejected, decode
from pocketface.faces.settings import Crop, Detector

ALONE = scene(Person(1))
MIRROR = os.environ.get("POCKETFACE_MIRROR", "")


def overlap(one: Face, other: Face) -> float:
    return float(blazeface.overlap(np.array(one.box), np.array(other.box)))


def turned(picture: np.ndarray, degrees: float) -> np.ndarray:
    height, width = picture.shape[:2]
    about = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(picture, about, (width, height), borderMode=cv2.BORDER_REPLICATE)


class TestDetect:
    def test_finds_the_face_and_its_points(self) -> None:
        (found,) = detect(ALONE)
        left, top, right, bottom = found.box
        assert 130 < left < 240 < right < 350 and 80 < top < 180 < bottom < 290
        right_eye, _, left_eye, _, nose = found.points
        assert left_eye[0] < nose[0] < right_eye[0]
        assert nose[1] > max(left_eye[1], right_eye[1]) + 10
        assert found.points.shape == (5, 2) and found.points.dtype == np.float64

    def test_largest_first(self) -> None:
        small = cv2.resize(face(Person(2)), (150, 150), interpolation=cv2.INTER_AREA)
        picture = np.full((300, 500, 3), 128, np.uint8)
        picture[50:200, 20:170] = small
        picture[50 : 50 + SIDE, 250 : 250 + SIDE] = face(Person(3))
        large, little = detect(picture)
        assert large.side > little.side
        assert large.box[0] > 250 > little.box[0]

    @pytest.mark.parametrize("detector", ["hog", "cnn"])
    def test_a_search_that_would_take_too_long_is_rejected(
        self, detector: Detector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = cv2.resize(ALONE, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        most = small.shape[0] * small.shape[1] * 4
        monkeypatch.setattr("pocketface.cropping.detect.PICTURE", replace(PICTURE, **{detector: most}))
        assert detect(small, detector, upsample=1)
        with pytest.raises(Rejected, match=f"too_large: {4 * most:,} pixels to search, .*{most:,} may be"):
            detect(small, detector, upsample=2)

    @pytest.mark.parametrize("upsample", range(4))
    def test_hog_searches_the_largest_picture_with_every_setting_and_cnn_with_one_doubling(
        self, upsample: int
    ) -> None:
        largest = SEARCHED_SIDE**2 << 2 * upsample
        assert largest <= PICTURE.hog
        assert (largest <= PICTURE.cnn) is (upsample <= 1)

    @pytest.mark.parametrize("detector", ["hog", "cnn", "blazeface"])
    def test_either_detector_sees_the_same_face(self, detector: str) -> None:
        (found,) = detect(ALONE, detector)
        expected = detect(ALONE)[0]
        assert overlap(found, expected) > 0.5
        assert np.abs(found.points - expected.points).max() < 0.1 * expected.side

    def test_upsampling_finds_faces_of_half_the_size(self) -> None:
        small = cv2.resize(ALONE, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        assert not detecting._hog(small, 0)
        (found,) = detect(small, upsample=1)
        assert found.side == pytest.approx(detect(ALONE)[0].side / 2, rel=0.15)

    def test_a_large_picture_is_searched_reduced_and_measured_in_full(self, monkeypatch) -> None:
        searched = []
        hog = detecting._hog
        monkeypatch.setattr(
            detecting,
            "_hog",
            lambda picture, upsample: searched.append(picture.shape) or hog(picture, upsample),
        )
        large = cv2.resize(ALONE, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
        (found,) = detect(large)
        assert searched == [(750, 1000, 3)]
        (expected,) = detect(ALONE)
        scaled = Face(tuple(6 * edge for edge in expected.box), 6 * expected.points)
        assert overlap(found, scaled) > 0.7
        assert np.abs(found.points - scaled.points).max() < 6 * 4

    def test_what_fills_the_picture_is_found_with_a_frame_around_it(self) -> None:
        (box,) = detecting._hog_framed(face(Person(4)), 0)
        (expected,) = detect(face(Person(4)))
        assert overlap(Face(box, expected.points), expected) > 0.4

    def test_the_last_look_is_the_cnn_at_half_size_and_then_whole(self, monkeypatch) -> None:
        seen = []
        monkeypatch.setattr(detecting, "_hog", lambda picture, upsample: [])
        monkeypatch.setattr(detecting, "_cnn", lambda picture, upsample: seen.append(picture.shape) or [])
        assert detect(np.zeros((600, 2000, 3), np.uint8)) == []
        assert seen == [(96, 320, 3), (192, 640, 3)]

    def test_what_the_last_look_finds_is_measured_in_the_full_picture(self, monkeypatch) -> None:
        expected = detect(ALONE)[0]
        monkeypatch.setattr(detecting, "_hog", lambda picture, upsample: [])
        large = cv2.resize(ALONE, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        (found,) = detect(large)
        assert overlap(found, Face(tuple(4 * edge for edge in expected.box), expected.points)) > 0.5

    def test_a_tilted_head_is_found(self) -> None:
        (found,) = detect(turned(ALONE, 35))
        eyes = found.points[0] - found.points[2]
        assert np.degrees(np.arctan2(-eyes[1], eyes[0])) == pytest.approx(35, abs=12)

    def test_no_face_in_texture(self) -> None:
        random = np.random.default_rng(0)
        texture = cv2.resize(random.integers(0, 256, (30, 40, 3)).astype(np.uint8), (400, 300))
        assert detect(texture, upsample=1) == []

    @pytest.mark.parametrize("shape", [(16, 16), (16, 1600), (1600, 16), (24, 40)])
    @pytest.mark.parametrize("detector", ["hog", "cnn", "blazeface"])
    @pytest.mark.parametrize("upsample", [0, 1])
    def test_pictures_too_small_for_a_face(
        self, shape: tuple[int, int], detector: str, upsample: int
    ) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
        assert detect(noise, detector, upsample) == []

    def test_a_view_of_an_array_is_as_good_as_a_copy(self) -> None:
        wide = np.concatenate([ALONE, ALONE], axis=1)[:, : ALONE.shape[1]]
        assert not wide.flags.c_contiguous
        assert [found.box for found in detect(wide)] == [found.box for found in detect(ALONE)]


def test_the_hog_detector_is_dlibs(tmp_path: Path) -> None:
    dlib.get_frontal_face_detector().save(str(tmp_path / "hog.svm"))
    assert HOG.read_bytes() == (tmp_path / "hog.svm").read_bytes()


def test_a_missing_model_file_names_the_remedy(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PocketfaceError, match="pip install face-recognition-models"):
        detecting.model_file("mmod_human_face_detector.dat")


@pytest.mark.skipif(not MIRROR, reason="POCKETFACE_MIRROR is not set: no real faces to look at")
@pytest.mark.parametrize(
    ("archive", "crop", "count", "least"),
    [
        ("photos/photos.tar.xz", Crop(policy="largest", upsample=1), 18, 1.0),
        ("utkface/UTKFace.tar.xz", Crop(policy="one"), 300, 0.97),
        ("celeba/img_align_celeba.tar.xz", Crop(policy="one"), 300, 0.97),
    ],
)
def test_real_faces_are_found(archive: str, crop: Crop, count: int, least: float) -> None:
    accepted = opened = 0
    with tarfile.open(Path(MIRROR) / archive) as pictures:
        for member in islice((member for member in pictures if member.isfile()), count):
            opened += 1
            try:
                crop_picture(decode(pictures.extractfile(member).read()), crop)
                accepted += 1
            except Rejected:
                pass
    assert opened == count
    assert accepted / count >= least
