from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import meaning
from pocketface.faces import calibrate
from pocketface.levels import LEVELS, mixed, ranges
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.levels.recipes import Made
from pocketface.levels.settings import LevelSettings as Settings
from pocketface.levels.source import Source
from pocketface.tflite.file import TFLiteFile
from pocketface.training.fit import fit
from tiny_training import face_set, study

OUTPUTS = {head: meaning(head) for head in ("age", "gender")}
BOUNDS = {"age_mae": 1.0, "gender_accuracy": 0.1}
LEVEL = LEVELS["mixed_int8"]


@pytest.fixture(scope="module")
def faces() -> calibrate.Calibration:
    return calibrate.choose(face_set(train=120), study().models["small"].input)


@pytest.fixture(scope="module")
def badly() -> TFLiteFile:
    """A model that int8 ruins: a huge weight on a feature that is always 0.

    In float it changes nothing; in int8 the other weights of the head all round to 0 beside it.
    """
    plan = study(epochs=6)
    model = fit(plan, "small", [face_set(train=120)], "research only").model
    norm = [layer for layer in model.layers if layer.name.startswith("batch_normalization")][-1]
    gamma, beta, *moving = norm.get_weights()
    gamma[0], beta[0] = 0, -1
    norm.set_weights([gamma, beta, *moving])
    head = model.get_layer("age_dense")
    kernel, bias = head.get_weights()
    kernel[0] = 5000
    head.set_weights([kernel, bias])
    return to_tflite(model)


def search(
    float32: TFLiteFile, faces: calibrate.Calibration, max_drop: dict, outputs: dict = OUTPUTS
) -> Made:
    return mixed.search(
        Source(outputs, float32, faces, None), LEVEL, Settings(calibration=16, max_drop=max_drop)
    )


@pytest.fixture(scope="module")
def searched(badly, faces) -> Made:
    return search(badly, faces, BOUNDS)


def test_plain_int8_falls_below_the_bound_and_mixed_comes_back_within_it(searched) -> None:
    age = next(drop for drop in searched.facts["drops"] if drop.metric == "age_mae")
    assert age.int8 > age.float32 + 3 * age.bound
    assert all(
        drop.mixed <= drop.float32 + drop.bound
        if drop.metric == "age_mae"
        else drop.mixed >= drop.float32 - drop.bound
        for drop in searched.facts["drops"]
    )


def test_only_the_operator_with_the_huge_weight_is_kept_and_it_leads_the_table(searched) -> None:
    table = searched.facts["sensitivity"]
    kept = [row for row in table if row.kept]
    assert [row.kind for row in kept] == ["FULLY_CONNECTED"]
    assert table[0] == kept[0]
    deviations = [row.deviation for row in table]
    assert deviations == sorted(deviations, reverse=True)
    held = searched.file
    LEVEL.check(held)
    assert held.activation_dtypes["FLOAT32"] < held.activation_dtypes["INT8"]


def int8(float32: TFLiteFile, faces: calibrate.Calibration) -> TFLiteFile:
    return quantize(float32, LEVELS["int8"], ranges.measure(float32, faces.first(16).pixels))


def test_it_holds_on_faces_that_the_search_did_not_see(badly, searched, faces) -> None:
    others = calibrate.choose(face_set(train=80, seed=1), study().models["small"].input)
    truth = others.labels["age"].to_numpy()
    error = [
        np.abs(file.answers(others.pixels)["age"][:, 0] - truth).mean()
        for file in (badly, int8(badly, faces), searched.file)
    ]
    assert error[1] > error[0] + 3
    assert error[2] < error[0] + 1.5


def test_within_the_bounds_nothing_is_kept_and_the_file_is_plain_int8(badly, faces) -> None:
    wide = search(badly, faces, {"age_mae": 99, "gender_accuracy": 1})
    assert not any(row.kept for row in wide.facts["sensitivity"])
    assert wide.file == int8(badly, faces)


def test_faces_without_labels_are_an_error(badly, faces) -> None:
    with pytest.raises(PocketfaceError, match="no label of any head"):
        search(badly, replace(faces, labels=faces.labels[["expression"]]), {})


def vgg_like(pixels: np.ndarray) -> keras.Model:
    """Thirteen convolutions in a row without normalisation, two of them out of balance.

    Channels of these write on scales a thousand times apart, and the next layer evens that out: in float the
    function is the same. An integer tensor has one scale, beside which the small channels round to 0.
    """
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 255)(image)
    for width, depth in ((8, 2), (8, 2), (16, 3), (16, 3), (16, 3)):
        for _ in range(depth):
            x = layers.Conv2D(width, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D(2)(x) if x.shape[1] > 1 else x
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, {"age": layers.Dense(1, name="age")(x)})
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    random = np.random.default_rng(0)
    for first in (4, 9):
        (kernel, bias), (following, its_bias) = (convolutions[i].get_weights() for i in (first, first + 1))
        scales = 10 ** random.uniform(-1.5, 1.5, kernel.shape[-1])
        convolutions[first].set_weights([kernel * scales, bias * scales])
        convolutions[first + 1].set_weights([following / scales[:, None], its_bias])
    kernel, bias = model.get_layer("age").get_weights()
    raw = model.predict(pixels.astype(np.float32), verbose=0)["age"]
    spread = 15 / raw.std()
    model.get_layer("age").set_weights([kernel * spread, bias + 40 - spread * raw.mean()])
    return model


def test_in_a_deep_plain_network_the_layers_out_of_balance_are_kept(faces) -> None:
    """Its own answers are the truth, so that float32 is exact and every year lost is int8's."""
    float32 = to_tflite(vgg_like(faces.pixels))
    truth, bound = float32.answers(faces.pixels)["age"][:, 0], 0.5
    labelled = replace(faces, labels=faces.labels.assign(age=truth))
    found = search(float32, labelled, {"age_mae": bound}, {"age": meaning("age")}).facts
    (drop,) = found["drops"]
    assert drop.float32 < 0.01
    assert drop.int8 > 2 * bound
    assert drop.mixed <= bound + drop.float32
    kept = [row for row in found["sensitivity"] if row.kept]
    assert 1 <= len(kept) < len(found["sensitivity"]) / 2
    assert {row.kind for row in kept} <= {"CONV_2D", "MAX_POOL_2D"}
