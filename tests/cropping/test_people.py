import cv2
import numpy as np
import pytest
from pydantic import ValidationError

import drawn_datasets as drawn
from pocketface.core.errors import PocketfaceError
from pocketface.cropping.build import build
from pocketface.cropping.people import persons
from pocketface.datasets import celeba
from pocketface.faces.index import BY_DESCRIPTOR, FaceSet
from pocketface.faces.settings import Crop, Dataset
from pocketface.training.splits import folds, together

ASKED = Dataset(crop=Crop(size=40, margin=0.2), people="dlib")


def other_photograph(jpeg: bytes) -> bytes:
    """The same person in other light, a little turned."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    height, width = pixels.shape[:2]
    turned = cv2.warpAffine(
        pixels,
        cv2.getRotationMatrix2D((width / 2, height / 2), 12, 0.9),
        (width, height),
        borderValue=(90, 90, 90),
    )
    return cv2.imencode(".jpg", cv2.convertScaleAbs(turned, alpha=0.7, beta=40))[1].tobytes()


def test_descriptors_that_are_close_are_of_one_person():
    random = np.random.default_rng(0)
    centres = random.normal(size=(5, 128))
    who = np.array([0, 1, 2, 3, 4, 0, 1, 0])
    found = persons((centres[who] + random.normal(scale=0.01, size=(8, 128))).astype(np.float32))
    assert (found[:, None] == found).tolist() == (who[:, None] == who).tolist()


def test_photographs_of_one_person_share_a_name_and_a_fold(tmp_path):
    members = drawn.celeba(6)
    pictures = sorted(name for name in members if name.endswith(".jpg"))
    members[pictures[-1]] = other_photograph(members[pictures[0]])
    archive = drawn.make_raw(tmp_path / "files.zip", members)
    build("celeba", archive, ASKED, tmp_path / "celeba", workers=1)
    faces = FaceSet.load(tmp_path / "celeba")
    who = faces.index.set_index("image")["identity"]
    assert who.notna().all() and who.str.startswith(BY_DESCRIPTOR).all()
    assert who[pictures[-1]] == who[pictures[0]]
    rows = together([faces], "train", "val", "test")
    fold = dict(zip(rows["image"], folds(rows, 1000), strict=True))
    assert fold[pictures[-1]] == fold[pictures[0]]
    assert len(set(fold.values())) == rows["identity"].nunique()


def test_persons_that_the_dataset_names_are_kept(tmp_path):
    members = drawn.celeba(4)
    names = sorted(name.rpartition("/")[2] for name in members if name.endswith(".jpg"))
    members[celeba.IDENTITIES] = "".join(f"{name} {7 + i % 2}\n" for i, name in enumerate(names)).encode()
    build("celeba", drawn.make_raw(tmp_path / "files.zip", members), ASKED, tmp_path / "celeba", workers=1)
    assert set(FaceSet.load(tmp_path / "celeba").index["identity"]) == {"7", "8"}


def test_without_a_search_there_are_no_points_to_align_by():
    with pytest.raises(ValidationError, match="a face that is found"):
        Dataset(crop=Crop(policy="as_is"), people="dlib")


def test_without_a_face_there_is_nobody_to_tell_apart(tmp_path):
    members = {
        name: drawn.jpeg(drawn.scene(width=120, height=100)) if name.endswith(".jpg") else content
        for name, content in drawn.celeba(2).items()
    }
    with pytest.raises(PocketfaceError, match="no face was accepted"):
        build(
            "celeba", drawn.make_raw(tmp_path / "files.zip", members), ASKED, tmp_path / "celeba", workers=1
        )
