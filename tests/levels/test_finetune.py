import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from pocketface.core.errors import PocketfaceError
from pocketface.faces.calibrate import Calibration
from pocketface.levels import LEVELS, finetune
from pocketface.levels.recipes import Made
from pocketface.levels.settings import LevelSettings as Settings
from pocketface.levels.source import Source

LEVEL = LEVELS["qat_int8"]


def shake(model: keras.Model) -> keras.Model:
    """Weights and statistics as a training might leave them: none is 0 or 1."""
    random = np.random.default_rng(0)
    model.set_weights(
        [w + random.uniform(0.05, 0.3, w.shape) * (np.std(w) + 0.5) for w in model.get_weights()]
    )
    return model


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (96, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def residual() -> keras.Model:
    """Convolutions of three kinds, ReLU6, pooling and an addition, as in MobileNetV2 and mini-XCEPTION."""
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(x)))
    x = start = layers.AveragePooling2D(2)(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(x))
    x = layers.SeparableConv2D(8, 3, padding="same", use_bias=False, depth_multiplier=2)(x)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D()(layers.Add()([start, x]))
    age = layers.Rescaling(25, 35, name="age")(layers.Dense(1, name="age_dense")(x))
    gender = layers.Dense(2, activation="softmax", name="gender")(layers.Dropout(0.1)(x))
    return shake(keras.Model(image, {"age": age, "gender": gender}))


def test_folding_changes_no_answer(residual, faces) -> None:
    plain = finetune.folded(residual)
    assert not any(isinstance(layer, layers.BatchNormalization | layers.Dropout) for layer in plain.layers)
    expected = residual.predict(faces.astype(np.float32), verbose=0)
    found = plain.predict(faces.astype(np.float32), verbose=0)
    for head, values in expected.items():
        np.testing.assert_allclose(found[head], values, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def weights(residual) -> list[np.ndarray]:
    """Those of the model before it is fine-tuned."""
    return [weight.copy() for weight in residual.get_weights()]


@pytest.fixture(scope="module")
def tuned(residual, weights, faces) -> Made:
    source = Source(
        {}, None, Calibration(faces, [""] * len(faces), pd.DataFrame(index=range(96))), lambda: residual
    )
    return finetune.finetune(source, LEVEL, Settings(epochs=3, calibration=8))


def test_it_ends_in_integer_operators_with_the_trained_ranges(tuned) -> None:
    held = tuned.file
    LEVEL.check(held)
    facts = tuned.facts["finetuning"]
    assert facts["trained_ranges"] >= 5
    assert facts["loss_last"] < facts["loss_first"]


def test_a_file_with_another_range_is_refused(tuned) -> None:
    name, (low, high) = next((name, range) for name, range in tuned.file.ranges.items() if range[1] > 1.5)
    finetune.check_held(tuned.file, {name: (low, high)})
    with pytest.raises(PocketfaceError, match="was trained with the range"):
        finetune.check_held(tuned.file, {name: (low, 1.1 * high)})
    with pytest.raises(PocketfaceError, match="the file has none"):
        finetune.check_held(tuned.file, {"absent": (low, high)})


def test_the_given_model_is_left_as_it_was(residual, weights, tuned) -> None:
    for now, then in zip(residual.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Conv2DTranspose(4, 3), "is a Conv2DTranspose: not known to qat_int8"),
        (layers.BatchNormalization(), "normalises no convolution"),
    ],
)
def test_a_layer_that_it_lacks_is_named(layer: layers.Layer, message: str) -> None:
    image = keras.Input((16, 16, 3), name="image")
    output = layers.Dense(1)(layers.GlobalAveragePooling2D()(layer(image)))
    with pytest.raises(PocketfaceError, match=message):
        finetune.folded(keras.Model(image, {"age": output}))


def test_a_convolution_that_others_read_is_not_changed_by_folding() -> None:
    image = keras.Input((16, 16, 3), name="image")
    convolved = layers.Conv2D(3, 3, padding="same", name="first")(image)
    both = layers.Add()([convolved, layers.BatchNormalization()(convolved)])
    output = layers.Dense(1)(layers.GlobalAveragePooling2D()(both))
    with pytest.raises(PocketfaceError, match="cannot be folded: others read first too"):
        finetune.folded(keras.Model(image, {"age": output}))
