import numpy as np
import pytest

from pocketface.errors import PocketfaceError
from pocketface.faces.view import view
from pocketface.study import Augment
from pocketface.training.batches import Batches
from tiny import face_set, study

INPUT = study().models["small"].input
HEADS = ["age", "gender"]


def test_without_augmentation_batches_are_the_rows_in_order() -> None:
    faces = face_set()
    rows = faces.rows("val")
    batches = Batches(faces, rows, INPUT, HEADS, batch_size=10)
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
        batches = Batches(faces, faces.rows("train"), INPUT, HEADS, 16, Augment(flip=True), seed=3)
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
        Batches(faces, faces.rows("train"), INPUT, HEADS, 16, Augment())
