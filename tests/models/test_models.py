import keras
import numpy as np
import pytest

from pocketface import models
from pocketface.errors import PocketfaceError
from pocketface.labels import EXPRESSIONS
from pocketface.models.heads import meaning
from pocketface.models.macs import macs
from pocketface.study import Input


@pytest.mark.parametrize("architecture", models.names())
def test_an_architecture_takes_raw_pixels_and_answers_in_meaning(architecture: str) -> None:
    heads = ["age", "gender", "expression"]
    model = models.build(architecture, Input(size=48, channels=1), heads)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 1)).astype(np.float32)
    answers = model.predict(pixels, verbose=0)
    assert {head: answer.shape for head, answer in answers.items()} == {
        "age": (5, 1),
        "gender": (5, 2),
        "expression": (5, 7),
    }
    np.testing.assert_allclose(answers["expression"].sum(1), 1, rtol=1e-5)
    # An untrained model that answers in years is near a grown-up's age, not near 0 or 1.
    assert 0 < answers["age"].mean() < 100
    assert np.isfinite(answers["age"]).all()


def test_compact_has_the_parameters_of_its_layer_list() -> None:
    model = models.build(
        "compact", Input(size=48, channels=1), ["expression"], {"widths": [8, 16], "depths": [1, 2]}
    )
    convolutions = 9 * (1 * 8 + 8 * 16 + 16 * 16)
    normalisation = 4 * (8 + 16 + 16)
    dense = 16 * 7 + 7
    assert model.count_params() == convolutions + normalisation + dense


def test_meaning_gives_the_order_of_classes_and_the_unit() -> None:
    assert meaning("expression").labels == EXPRESSIONS
    assert meaning("gender").labels == ("male", "female")
    assert (meaning("age").kind, meaning("age").unit) == ("number", "years")


def test_unknown_names_are_errors_that_list_the_known() -> None:
    with pytest.raises(PocketfaceError, match=r"no architecture 'resnet'; there are .*compact"):
        models.build("resnet", Input(size=48), ["age"])
    with pytest.raises(PocketfaceError, match=r"no option \['width'\]; it has \['widths'"):
        models.build("compact", Input(size=48), ["age"], {"width": [8]})


def test_macs_of_every_kind_of_layer() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(image)  # 64 positions x 27 x 4
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(x)  # 16 x 9 x 4
    x = keras.layers.SeparableConv2D(5, 3, padding="same")(x)  # 16 x (9 x 4 + 4 x 5)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(6)(x))  # 5 x 6
    assert macs(model) == 64 * 27 * 4 + 16 * 9 * 4 + 16 * (36 + 20) + 30
