import keras
import numpy as np
import pytest
from keras import layers

from pocketface.layers.heads import attach
from pocketface.levels import LEVELS, output_correction, ranges
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.tflite.file import TFLiteFile


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Noise about a level that differs from face to face, so that answers do."""
    random = np.random.default_rng(0)
    level = random.integers(0, 200, (300, 1, 1, 1))
    return (level + random.integers(0, 56, (300, 8, 8, 3))).astype(np.uint8)


@pytest.fixture(scope="module")
def float32() -> TFLiteFile:
    """An expected age over a wide distribution: most of its probabilities are below one 256th."""
    keras.utils.set_random_seed(4)
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Dense(16, activation="relu")(layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(image)))
    model = keras.Model(image, attach(x, ["age", "gender"], {"age": "expected"}))
    logits = model.get_layer("age_logits")
    kernel, _ = logits.get_weights()
    peak = -((np.arange(101) - 12) ** 2) / 800
    logits.set_weights([kernel + np.outer(np.ones(16), np.arange(101)) / 300, peak])
    return to_tflite(model)


@pytest.mark.parametrize("level", ["int8", "int8_io", "uint8_io"])
def test_ages_come_back_to_those_of_float32(level: str, float32: TFLiteFile, faces: np.ndarray) -> None:
    calibration, unseen = faces[:200], faces[200:]
    made = quantize(float32, LEVELS[level], ranges.measure(float32, calibration))
    corrected = output_correction.correct(float32, made, calibration, ["age"])
    before, after = (file.answers(unseen) for file in (made, corrected))
    expected = float32.answers(unseen)
    errors = [np.abs(found["age"] - expected["age"]).mean() for found in (before, after)]
    assert errors[0] > 0.3
    assert errors[1] < 0.7 * errors[0]
    assert abs((after["age"] - expected["age"]).mean()) < 0.15
    np.testing.assert_array_equal(before["gender"], after["gender"])
    assert corrected.weight_dtypes == made.weight_dtypes


def test_a_layer_of_floats_is_corrected_too(float32: TFLiteFile, faces: np.ndarray) -> None:
    """As that of `int4_weights` is, where it is small."""
    model = float32.copy()
    output_correction._apply(model, output_correction._last_layer(model, "age"), 0.9, 7.0)
    bent = TFLiteFile.write(model)
    expected = float32.answers(faces[:50])["age"]
    np.testing.assert_allclose(bent.answers(faces[:50])["age"], 0.9 * expected + 7, rtol=1e-4)
    straight = output_correction.correct(float32, bent, faces[:50], ["age"]).answers(faces[:50])["age"]
    np.testing.assert_allclose(straight, expected, rtol=1e-3)


def test_a_number_that_no_dense_layer_writes_last_is_left_as_it_is(faces: np.ndarray) -> None:
    keras.utils.set_random_seed(4)
    image = keras.Input((8, 8, 3), name="image")
    age = layers.Rescaling(3.0, name="age")(layers.GlobalMaxPooling2D()(layers.Conv2D(1, 3)(image)))
    float32 = to_tflite(keras.Model(image, {"age": age}))
    made = quantize(float32, LEVELS["int8"], ranges.measure(float32, faces[:8]))
    assert output_correction.correct(float32, made, faces[:8], ["age"]) == made


def test_a_factor_and_an_offset_are_found() -> None:
    actual = np.random.default_rng(0).normal(40, 15, (50, 1)).astype(np.float32)
    factor, offset = output_correction.fit(actual, 1.02 * actual - 0.7)
    assert factor == pytest.approx(1.02, abs=1e-4)
    assert offset == pytest.approx(-0.7, abs=1e-3)


@pytest.mark.parametrize("factor", [-1.0, 0.1, 3.0])
def test_a_factor_that_is_no_rounding_error_is_left_out(factor: float) -> None:
    actual = np.array([[29.0], [30.0], [31.0]])
    assert output_correction.fit(actual, 40 + factor * (actual - 30)) == (1.0, 10.0)


def test_answers_that_are_all_the_same_are_only_moved() -> None:
    assert output_correction.fit(np.full((3, 1), 30.0), np.array([[31.0], [32.0], [33.0]])) == (1.0, 2.0)
