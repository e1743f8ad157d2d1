import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface.faces.settings import Crop, Input
from pocketface.faces.view import Jitter, detail_of, view, views, window


def gradient(size: int, channels: int = 3) -> np.ndarray:
    """Rises from left to right, twice as fast from top to bottom in the second channel."""
    x = np.linspace(0, 255, size)
    face = np.stack(
        [np.tile(x, (size, 1)), np.tile(x[:, None], (1, size)), np.full((size, size), 60.0)], axis=2
    )
    return face[..., :channels].astype(np.uint8)


def test_the_same_window_and_size_changes_no_pixel() -> None:
    face = gradient(48)
    same = view(face, Crop(margin=0.2, size=48), Input(size=48, margin=0.2))
    np.testing.assert_array_equal(same, face)


def test_a_window_of_whole_pixels_is_copied_and_the_same_as_a_warped_one(monkeypatch) -> None:
    face = np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8)
    looks = Crop(margin=0.25, size=120), Input(size=112, margin=0.2)
    copied = view(face, *looks)
    np.testing.assert_array_equal(copied, face[4:116, 4:116])
    copied[:] = 0
    assert face.any(), "the face itself is not handed out"
    monkeypatch.setattr("pocketface.faces.view._corner", lambda *_: None)
    np.testing.assert_array_equal(view(face, *looks), face[4:116, 4:116])


def test_crops_taken_as_they_are_are_seen_whole() -> None:
    crop = Crop(policy="as_is", size=48, channels=1)
    assert window(crop, Input(size=48, channels=1, margin=0.24, shift=-0.13)) == (0, 0, 1)


@given(stored=st.floats(0, 1), share=st.floats(0, 1), shift=st.floats(-0.2, 0.2))
def test_a_window_is_centred_but_for_its_shift_and_spans_its_margin(stored, share, shift) -> None:
    model = Input(size=32, margin=stored * share, shift=shift)
    left, top, side = window(Crop(margin=stored), model)
    assert side == pytest.approx((1 + 2 * model.margin) / (1 + 2 * stored))
    assert left + side / 2 == pytest.approx(0.5)
    assert (top + side / 2 - 0.5) * (1 + 2 * stored) == pytest.approx(shift)


def test_a_narrow_window_shows_the_middle() -> None:
    face = gradient(90)
    middle = view(face, Crop(margin=1.0), Input(size=30, margin=0.0))
    np.testing.assert_allclose(middle.astype(int), face[30:60, 30:60].astype(int), atol=1)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(16, 96), channels=st.sampled_from([1, 3]), stored=st.sampled_from([1, 3]))
def test_any_size_and_colour_gives_what_the_model_wants(size, channels, stored) -> None:
    seen = view(gradient(60, stored), Crop(margin=0.3), Input(size=size, channels=channels, margin=0.2))
    assert seen.shape == (size, size, channels)
    assert seen.dtype == np.uint8


def test_red_stays_red_and_grey_weighs_colours_as_eyes_do() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    assert view(red, Crop(), Input(size=16))[..., 0].min() == 200
    grey = view(red, Crop(), Input(size=16, channels=1))
    assert grey.max() == grey.min() == round(0.299 * 200)


def test_fine_stripes_shrink_to_grey_and_not_to_other_stripes() -> None:
    stripes = np.zeros((120, 120, 1), np.uint8)
    stripes[:, ::2] = 255
    seen = view(stripes, Crop(margin=0.2), Input(size=33, channels=1, margin=0.2))[:, 2:-2]
    assert np.ptp(seen) < 60
    assert abs(seen.mean() - 127.5) < 5


def test_a_face_is_shown_with_no_more_detail_than_the_train_faces_had() -> None:
    stripes = np.zeros((144, 144, 3), np.uint8)
    stripes[:, ::2] = 255
    crop, model = Crop(margin=0.2, size=144), Input(size=96, margin=0.2)
    trained_on = Crop(policy="as_is", size=48)
    faces = np.stack([stripes, gradient(144)])
    seen = views(faces, crop, model, detail_of(trained_on))
    small = views(faces, crop, model.model_copy(update={"size": 48}))
    np.testing.assert_array_equal(seen, views(small, trained_on, model))
    assert not np.array_equal(seen, views(faces, crop, model))


@pytest.mark.parametrize("size", [32, 48, 96])
def test_train_faces_themselves_and_smaller_views_are_as_they_were(size: int) -> None:
    crop, model = Crop(policy="as_is", size=48), Input(size=size)
    face = gradient(48)
    np.testing.assert_array_equal(view(face, crop, model, detail=detail_of(crop)), view(face, crop, model))
    large, chip = gradient(144), Crop(margin=0.2, size=144)
    if size <= 48:
        np.testing.assert_array_equal(view(large, chip, model, detail=48), view(large, chip, model))


def test_a_chip_has_the_detail_of_its_picture() -> None:
    assert detail_of(Crop(geometry="chip", size=48)) is None


def test_a_mirrored_view_is_the_mirror_of_the_view() -> None:
    face, crop, model = gradient(50), Crop(margin=0.25), Input(size=24)
    mirrored = view(face, crop, model, Jitter(mirror=True))
    np.testing.assert_allclose(mirrored.astype(int), view(face, crop, model)[:, ::-1].astype(int), atol=1)


def test_jitter_moves_zooms_and_turns_the_window() -> None:
    face, crop, model = gradient(100), Crop(margin=0.5), Input(size=40, margin=0.0)
    still = view(face, crop, model).astype(int)
    right = view(face, crop, model, Jitter(shift_x=0.2)).astype(int)
    assert (right[..., 0] - still[..., 0]).mean() == pytest.approx(0.2 * 50 * 255 / 99, abs=1)
    wide = view(face, crop, model, Jitter(zoom=1.5)).astype(int)
    assert np.ptp(wide[..., 0]) == pytest.approx(1.5 * np.ptp(still[..., 0]), rel=0.05)
    turned = view(face, crop, model, Jitter(angle=90)).astype(int)
    np.testing.assert_allclose(turned[..., 0], 255 - still[..., 1], atol=4)


def test_views_stacks_single_views() -> None:
    faces = np.stack([gradient(40), gradient(40)[::-1]])
    crop, model = Crop(margin=0.25), Input(size=20)
    np.testing.assert_array_equal(views(faces, crop, model)[1], view(faces[1], crop, model))
