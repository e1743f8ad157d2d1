import numpy as np
import pytest

from pocketface.errors import PocketfaceError
from pocketface.models.heads import meaning
from pocketface.tflite import audit, calibrate, mixed, ranges
from pocketface.tflite.converter import to_tflite
from pocketface.tflite.levels import LEVELS
from pocketface.tflite.quantizer import quantize
from pocketface.training.fit import fit
from tiny import face_set, study

OUTPUTS = {head: meaning(head) for head in ("age", "gender")}
BOUNDS = {"age_mae": 1.0, "gender_accuracy": 0.1}
LEVEL = LEVELS["mixed_int8"]


@pytest.fixture(scope="module")
def faces() -> calibrate.Calibration:
    return calibrate.choose(face_set(train=120), study().models["small"].input)


@pytest.fixture(scope="module")
def badly(faces) -> tuple[bytes, dict]:
    """A model that int8 ruins, and its ranges: a huge weight on a feature that is always nought.

    In float it changes nothing; in int8 the other weights of the head all round to nought beside it.
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
    float32 = to_tflite(model)
    return float32, ranges.measure(float32, faces.first(16).pixels)


@pytest.fixture(scope="module")
def searched(badly, faces) -> mixed.Mixed:
    return mixed.search(*badly_args(badly), faces.tuning(), OUTPUTS, BOUNDS)


def badly_args(badly: tuple[bytes, dict]) -> tuple:
    float32, measured = badly
    return float32, LEVEL, measured, True


def test_plain_int8_falls_below_the_bound_and_mixed_comes_back_within_it(searched) -> None:
    age = next(drop for drop in searched.drops if drop.metric == "age_mae")
    assert age.int8 > age.float32 + 3 * age.bound
    assert all(
        drop.mixed <= drop.float32 + drop.bound
        if drop.metric == "age_mae"
        else drop.mixed >= drop.float32 - drop.bound
        for drop in searched.drops
    )


def test_only_the_operator_with_the_huge_weight_is_kept_and_it_leads_the_table(searched) -> None:
    kept = [row for row in searched.sensitivity if row.kept]
    assert [row.kind for row in kept] == ["FULLY_CONNECTED"]
    assert searched.sensitivity[0] == kept[0]
    deviations = [row.deviation for row in searched.sensitivity]
    assert deviations == sorted(deviations, reverse=True)
    held = audit.read(searched.file)
    audit.check(held, LEVEL)
    assert held.activation_dtypes["FLOAT32"] < held.activation_dtypes["INT8"]


def test_it_holds_on_faces_that_the_search_did_not_see(badly, searched) -> None:
    others = calibrate.choose(face_set(train=80, seed=1), study().models["small"].input)
    float32, measured = badly
    plain = quantize(float32, LEVELS["int8"], measured)
    truth = others.labels["age"].to_numpy()
    error = [
        np.abs(mixed.answers(file, others.pixels)["age"][:, 0] - truth).mean()
        for file in (float32, plain, searched.file)
    ]
    assert error[1] > error[0] + 3
    assert error[2] < error[0] + 1.5


def test_within_the_bounds_nothing_is_kept_and_the_file_is_plain_int8(badly, faces) -> None:
    wide = mixed.search(*badly_args(badly), faces.tuning(), OUTPUTS, {"age_mae": 99, "gender_accuracy": 1})
    assert not any(row.kept for row in wide.sensitivity)
    assert wide.file == quantize(badly[0], LEVELS["int8"], badly[1])


def test_faces_without_labels_are_an_error(badly, faces) -> None:
    part = faces.tuning()
    unlabelled = calibrate.Calibration(part.pixels, part.images, part.labels[["expression"]])
    with pytest.raises(PocketfaceError, match="no label of any head"):
        mixed.search(*badly_args(badly), unlabelled, OUTPUTS, {})
