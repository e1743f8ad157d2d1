from pathlib import Path

import cv2
import numpy as np
import pytest

import drawn_datasets as drawn
from pocketface.cropping.build import build
from pocketface.cropping.sheets import COLUMNS, MOST, TILE, _spread, write_sheets
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Crop, Dataset


def tile(path: Path, number: int) -> np.ndarray:
    page = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert page.shape[1] == COLUMNS * TILE
    top, left = number // COLUMNS * TILE, number % COLUMNS * TILE
    return page[top : top + TILE, left : left + TILE]


def test_a_sheet_of_faces_and_one_of_rejects(tmp_path: Path) -> None:
    members = drawn.fer2013(20) | {
        "train/happy/Training_1.jpg": b"",
        "train/bored/Training_2.jpg": b"",
    }
    archive = drawn.make_raw(tmp_path / "files.zip", members)
    settings = Dataset(crop=Crop(policy="as_is", size=TILE, channels=1))
    build("fer2013", archive, settings, tmp_path / "fer2013", workers=1)
    faces = FaceSet.load(tmp_path / "fer2013")

    accepted, rejected = write_sheets(faces, archive, tmp_path / "sheets")
    assert accepted.name == "fer2013-accepted.png" and rejected.name == "fer2013-rejected.png"
    for i in (0, 17):
        np.testing.assert_array_equal(tile(accepted, i), np.repeat(faces.pixels[i], 3, axis=2))
    assert not tile(accepted, 20).any()
    assert all(tile(rejected, i)[-16:].any() for i in (0, 1))
    assert (tile(rejected, 0)[-16:] != tile(rejected, 1)[-16:]).any()
    assert not tile(rejected, 2).any()


@pytest.mark.parametrize("count", [0, 1, MOST, MOST + 1, 5 * MOST - 1])
def test_of_many_every_nth_is_shown(count: int) -> None:
    shown = _spread(range(count))
    assert min(count, MOST // 2) <= len(shown) <= MOST
    assert list(shown[:1]) == list(range(count))[:1]
