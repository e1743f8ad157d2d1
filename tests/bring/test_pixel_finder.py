"""The finder on networks that want each of the twelve settings."""

import keras
import numpy as np
import pandas as pd
import pytest

from own_models import face_pictures, trained
from pocketface.bring import finder
from pocketface.bring.heads import Spoken, Understood
from pocketface.importing.network import of_keras, read
from pocketface.layers.own import OwnHead, Preprocess
from pocketface.levels.converter import to_tflite
from pocketface.tflite.file import TFLiteFile


@pytest.fixture(scope="module")
def base() -> keras.Model:
    """A network that was shown raw RGB."""
    return trained()


def wanting(base: keras.Model, preprocess: Preprocess) -> keras.Model:
    """The same network behind the inverse of a setting: it answers as it should if it is shown that."""
    scale, offset = preprocess.affine(3)
    image = keras.Input(base.input_shape[1:])
    x = keras.layers.Rescaling((1 / scale).tolist(), (-offset / scale).tolist())(image)
    if preprocess.order == "bgr":
        x = keras.layers.Concatenate()([x[..., 2:], x[..., 1:2], x[..., :1]])
    return keras.Model(image, {"probs": base(x)})


def test_it_names_the_right_one_of_twelve(base, tmp_path):
    pixels, genders = face_pictures(150, seed=500)
    truths = pd.DataFrame({"gender": genders})
    planted = finder.settings(3)
    assert len(planted) == 12
    found = {
        name: finder.find(of_keras(tmp_path, wanting(base, preprocess)), pixels, truths)[0].name
        for name, preprocess in planted.items()
    }
    assert sum(name == answer for name, answer in found.items()) >= 10, found


def test_ages_are_compared_by_their_errors(tmp_path):
    """Raw pixels answer four of forty pictures exactly and are a hundred years off with the others."""
    pixels, _ = face_pictures(40, seed=500)
    image = keras.Input(pixels.shape[1:])
    mean = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, {"age": keras.layers.Dense(1, kernel_initializer="ones")(mean)})
    raw, small = (finder.settings(3)[name].apply(pixels) for name in ("RGB, 0..255", "RGB, -1..1"))
    ages = np.where(np.arange(40) < 4, *(model.predict(x, verbose=0)["age"][:, 0] for x in (raw, small + 3)))
    tried = finder.find(of_keras(tmp_path, model), pixels, pd.DataFrame({"age": ages}))
    assert tried[0].scores["age"] == min(one.scores["age"] for one in tried)


@pytest.mark.parametrize("named", [True, False], ids=["signature", "no signature"])
def test_a_file_is_asked_as_its_network_is(base, tmp_path, named):
    file = to_tflite(base).copy()
    file.signatureDefs = file.signatureDefs if named else None
    (tmp_path / "mine.tflite").write_bytes(TFLiteFile.write(file).content)
    pixels = face_pictures(5)[0].astype(np.float32)
    (answers,) = finder.runner(read(tmp_path / "mine.tflite"), pixels.shape[1:])(pixels).values()
    np.testing.assert_allclose(answers, base.predict(pixels, verbose=0), atol=1e-5)


def test_it_says_that_it_is_not_sure(base, tmp_path):
    """Grey pictures look the same whichever colour comes first."""
    pixels, genders = face_pictures(60, seed=700)
    grey = np.repeat(pixels.mean(axis=3, keepdims=True), 3, axis=3).astype(np.uint8)
    network = of_keras(tmp_path, wanting(base, finder.settings(3)["RGB, 0..1"]))
    tried = {one.name: one for one in finder.find(network, grey, pd.DataFrame({"gender": genders}))}
    twins = [tried["RGB, 0..1"], tried["BGR, 0..1"]]
    assert twins[0].scores == twins[1].scores and finder.surely(twins) == 1


def test_labels_in_another_order_are_found(base, tmp_path):
    """The network was trained on female, male; ours are male, female."""
    pixels, genders = face_pictures(100, seed=500)
    network = of_keras(tmp_path, wanting(base, Preprocess()))
    best = finder.find(network, pixels, pd.DataFrame({"gender": genders}))[0]
    assert best.heads["gender"].own.labels == ("female", "male")
    assert "assumed" in best.heads["gender"].assumed
    told = finder.find(
        network, pixels, pd.DataFrame({"gender": genders}), [Spoken("gender", "probs", ("female", "male"))]
    )
    assert told[0].heads["gender"].assumed.endswith("(as said)")


def test_a_setting_without_a_finite_answer_is_the_worst():
    age = {"age": Understood(OwnHead(output="age", kind="number"), "years")}
    truths = pd.DataFrame({"age": [20.0, 30.0]})
    for years, right in (([np.nan, np.nan], 0.0), ([20.0, 30.0], 1.0)):
        values = {"age": np.array(years)[:, None]}
        assert finder._scored("raw", Preprocess(), age, values, truths).right.mean() == right
