import numpy as np
import pandas as pd

from pocketface.core.labels import EXPRESSIONS
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Crop
from pocketface.generator.canvases import LEFT, SIZE, TOP, load

CROP = 96


def face_set(name: str, channels: int, **labels: list) -> FaceSet:
    """Two grey-blue faces, of which the first lies in a black frame of 24 pixels; the third is rejected."""
    pixels = np.full((2, CROP, CROP, channels), 100, np.uint8)
    pixels[..., -1] = 140
    pixels[0, :24] = pixels[0, -24:] = 0
    pixels[0, :, :24] = pixels[0, :, -24:] = 0
    index = pd.DataFrame({"image": list("abc"), "split": "train", "status": ["ok", "ok", "no_face"]})
    index["face"] = pd.array([0, 1, None], dtype="Int64")
    for label in ("age", "gender", "expression"):
        index[label] = labels.get(label, [None] * 3)
    return FaceSet(name, pixels, index, Crop(margin=0.4, size=CROP, channels=channels))


def test_colour_and_grey_faces_come_together_with_what_is_known_of_them():
    colour = face_set("utkface", 3, age=[4.0, 60.0, 1.0], gender=["male", "female", "male"])
    grey = face_set("fer2013", 1, expression=["sad", "happy", "sad"])
    canvases = load([colour, grey], "train")
    assert canvases.pixels.shape == (4, SIZE, SIZE, 3)
    assert canvases.colour.tolist() == [True, True, False, False]
    assert canvases.age.tolist()[:2] == [4, 60]
    assert np.isnan(canvases.age[2:]).all()
    assert canvases.gender.tolist() == [0, 1, -1, -1]
    assert canvases.expression.tolist() == [-1, -1, EXPRESSIONS.index("sad"), EXPRESSIONS.index("happy")]
    assert np.ptp(canvases.pixels[2].astype(int), axis=2).max() == 0


def test_what_lay_outside_of_the_picture_is_not_learnt():
    seen = load([face_set("utkface", 3)], "train").seen
    assert seen[1].all()
    rows, columns = np.nonzero(seen[0])
    # A frame of 24 of 96 pixels and two more at its edge are one of 18 of 64.
    assert (rows.min(), columns.min()) == (18 - TOP, 18 - LEFT)
    assert seen[0].sum() == 29**2


def test_dark_spots_inside_of_a_face_are_learnt():
    dark = face_set("utkface", 3)
    dark.pixels[1, 40, 40] = 0
    assert load([dark], "train").seen[1].all()
