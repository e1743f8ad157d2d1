import hashlib

import numpy as np
import pandas as pd

from pocketface.training.splits import folds, set_apart, together
from tiny_training import face_set


def rows(count: int) -> pd.DataFrame:
    images = [f"{i}.jpg" for i in range(count)]
    shas = [hashlib.sha256(image.encode()).hexdigest() for image in images]
    return pd.DataFrame({"image": images, "source_sha": shas})


def test_together_keeps_accepted_faces_and_names_their_dataset() -> None:
    both = together([face_set(), face_set(train=8, val=4, dataset="fer2013")], "train", "val")
    assert both["dataset"].value_counts().to_dict() == {"utkface": 80, "fer2013": 12}
    assert both["face"].notna().all()
    assert together([face_set(val=0)], "test").empty


def test_what_is_set_apart_is_about_the_share_and_stays_apart_in_a_larger_sample() -> None:
    kept, apart = set_apart(rows(2000), 0.1)
    assert len(kept) + len(apart) == 2000
    assert 150 < len(apart) < 250
    _, fewer = set_apart(rows(500), 0.1)
    assert set(fewer["image"]) <= set(apart["image"])


def test_folds_are_about_the_same_size_and_keep_identities_whole() -> None:
    many = rows(2000)
    assert all(350 < count < 450 for count in np.bincount(folds(many, 5)))
    people = many.assign(identity=[f"p{i // 10}" if i < 1000 else None for i in range(2000)])
    fold = pd.Series(folds(people, 5))
    assert (fold[:1000].groupby(people["identity"]).nunique() == 1).all()
    np.testing.assert_array_equal(fold[1000:], folds(many, 5)[1000:])


def test_folds_keep_copies_of_a_picture_together() -> None:
    many = rows(400)
    names = [None if i % 2 == 0 else f"{i - 1}.jpg" for i in range(400)]
    pairs = folds(many.assign(dataset="own", same_as=names), 5).reshape(-1, 2)
    np.testing.assert_array_equal(pairs[:, 0], pairs[:, 1])
    np.testing.assert_array_equal(pairs[:, 0], folds(many, 5)[::2])
    np.testing.assert_array_equal(folds(many.assign(dataset="own", same_as=None), 5), folds(many, 5))
