import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.faces.index import FaceSet
from pocketface.faces.view import Jitter, view
from pocketface.training.augment import blur
from pocketface.training.batches import Batches
from pocketface.training.settings import Model
from pocketface.training.splits import together
from tiny_training import face_set, study

HEADS = ["age", "gender"]


def small(batch_size: int, **augment: object) -> Model:
    return study(batch_size=batch_size, augment=augment).models["small"]


INPUT = small(1).input


def test_without_augmentation_batches_are_the_rows_in_order() -> None:
    faces = face_set()
    rows = together([faces], "val")
    batches = Batches([faces], rows, small(10), HEADS)
    assert len(batches) == 2
    images, y, _ = (
        np.concatenate(part) if not isinstance(part[0], dict) else part for part in zip(*batches, strict=True)
    )
    assert len(images) == 16
    np.testing.assert_array_equal(images[3], view(faces.pixels[rows["face"].iloc[3]], faces.crop, INPUT))
    np.testing.assert_array_equal(np.concatenate([part["age"] for part in y])[:, 0], rows["age"])


def test_training_epochs_hold_every_face_once_in_orders_that_repeat() -> None:
    faces = face_set()

    def ages() -> list[np.ndarray]:
        batches = Batches([faces], together([faces], "train"), small(16, flip=True), HEADS, seed=3)
        epochs = []
        for _ in range(2):
            epochs.append(np.concatenate([batches[i][1]["age"][:, 0] for i in range(len(batches))]))
            batches.on_epoch_end()
        return epochs

    first, second = ages()
    np.testing.assert_array_equal(np.sort(first), np.sort(faces.rows("train")["age"]))
    assert (first != second).any()
    for epoch, again in zip((first, second), ages(), strict=True):
        np.testing.assert_array_equal(epoch, again)


def test_too_few_faces_for_a_batch_is_an_error() -> None:
    faces = face_set(train=8)
    with pytest.raises(PocketfaceError, match="8 train faces, fewer than one batch of 16"):
        Batches([faces], together([faces], "train"), small(16), HEADS, seed=0)


def test_a_fourfold_epoch_holds_every_face_as_it_is_mirrored_blurred_and_both() -> None:
    faces = face_set(train=4)
    rows = together([faces], "train")
    batches = Batches([faces], rows, small(4, fourfold=True), HEADS, seed=0)
    assert len(batches) == 4
    images, y, _ = zip(*batches, strict=True)
    ages = np.concatenate([part["age"][:, 0] for part in y])
    seen = {(age, image.tobytes()) for age, image in zip(ages, np.concatenate(images), strict=True)}
    expected = set()
    for age, face in zip(rows["age"], rows["face"], strict=True):
        for mirror in (False, True):
            plain = view(faces.pixels[face], faces.crop, INPUT, Jitter(mirror=mirror))
            expected |= {(age, image.astype(np.float32).tobytes()) for image in (plain, blur(plain))}
    assert seen == expected


def test_several_datasets_make_one_epoch_and_missing_labels_weigh_nothing() -> None:
    young = face_set(train=16, val=0)
    faces = FaceSet("fer2013", young.pixels, young.index.drop(columns="age"), young.crop)
    rows = together([young, faces], "train")
    batches = Batches([young, faces], rows, small(32), HEADS)
    images, y, weight = batches[0]
    np.testing.assert_array_equal(images[:16], images[16:])
    np.testing.assert_array_equal(weight["age"], [1] * 16 + [0] * 16)
    np.testing.assert_array_equal(weight["gender"], np.ones(32))
    np.testing.assert_array_equal(y["gender"][:16], y["gender"][16:])


def test_a_label_that_no_dataset_has_is_an_error() -> None:
    faces = face_set()
    with pytest.raises(PocketfaceError, match="utkface has no label 'race'"):
        Batches([faces], together([faces], "train"), small(16), ["race"])


def test_teachers_have_their_share_of_a_label_and_all_of_a_missing_one() -> None:
    faces = face_set(train=4)
    faces.index.loc[faces.index["face"] == 1, "gender"] = None
    rows = together([faces], "train")
    batches = Batches([faces], rows, small(4), HEADS)
    _, (before,), _ = ([part[i] for part in batches] for i in range(3))
    answer = np.array([[0.25, 0.75]] * 4, np.float32)
    batches.teach({"gender": answer}, 0.5)
    _, y, weight = batches[0]
    np.testing.assert_allclose(y["gender"][1], answer[1])
    np.testing.assert_allclose(y["gender"][[0, 2, 3]], (before["gender"] + answer)[[0, 2, 3]] / 2)
    np.testing.assert_array_equal(weight["gender"], np.ones(4))
    np.testing.assert_array_equal(y["age"], before["age"])
