"""The levels of a network that came as a float32 file: those that need no Keras, by the quantizer."""

import numpy as np
import pandas as pd
import pytest

from own_models import SIDE, face_pictures, trained
from pocketface.cards import ModelCard, read_card
from pocketface.faces import calibrate
from pocketface.faces.calibrate import Calibration
from pocketface.faces.settings import Crop, Input
from pocketface.importing import network, own
from pocketface.levels import LEVELS
from pocketface.levels.convert import convert
from pocketface.levels.converter import to_tflite
from pocketface.levels.export import export
from pocketface.levels.settings import LevelSettings
from pocketface.training.settings import Model

NEED_KERAS = ("int16x8", "qat_int8")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder `exported/mine` of such a network, and its faces."""
    folder = tmp_path_factory.mktemp("brought")
    (folder / "mine.tflite").write_bytes(to_tflite(trained()).content)
    heads = {"gender": {"labels": ["female", "male"]}}
    stanza = Model(dataset="x", file="mine.tflite", input=Input(size=SIDE), heads=heads)
    crop = Crop(policy="as_is", size=SIDE)
    own.place("mine", network.read(folder / "mine.tflite"), stanza, crop, folder / "models")
    pixels, genders = face_pictures(40, seed=900)
    names = [f"{number:02d}" for number in range(40)]
    (folder / "views").mkdir()
    calibrate.save(Calibration(pixels, names, pd.DataFrame({"gender": genders})), folder / "views")
    export(folder / "models", folder / "views", folder / "exported")
    return folder


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_is_made_or_says_what_it_lacks(exported, tmp_path, level):
    settings = LevelSettings(calibration=20)
    card = convert(exported / "exported", exported / "views", level, settings, tmp_path / level)
    if level in NEED_KERAS:
        assert card.reason == f"{level} is made of a model of Keras; this one came as a file of TFLite"
        return
    assert card.status == "ok", card.reason
    assert card.parity["gender"].agreement >= 0.9
    assert card.maker in ("converter", "quantizer", "search")
    assert read_card(exported / "exported", ModelCard).architecture == "own"
    assert np.prod(list(card.weight_dtypes.values())) > 0
