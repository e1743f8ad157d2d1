import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from full_disk import largest_file
from making_levels import SETTINGS
from pocketface.cards import CARD, MODEL_FILE, VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.core.labels import Output
from pocketface.faces import calibrate
from pocketface.levels import LEVELS
from pocketface.levels.convert import convert, parity
from pocketface.levels.export import export
from pocketface.levels.settings import LevelSettings
from pocketface.tflite import runtimes
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.run import Runner


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_holds_what_its_name_says(levels, level: str) -> None:
    card = read_card(levels.variants / level, VariantCard)
    assert card.status == "ok", card.reason
    held = TFLiteFile.read(levels.variants / level / MODEL_FILE)
    assert LEVELS[level].weights[0] in held.large_weight_dtypes.keys() <= set(LEVELS[level].weights)
    assert LEVELS[level].activations[0] in held.activation_dtypes.keys() <= set(LEVELS[level].activations)
    assert card.weight_dtypes == held.weight_dtypes
    assert card.operators == held.kinds
    assert card.operators["CONV_2D"] == 2
    assert card.ports["image"].dtype == LEVELS[level].input
    assert {card.ports[head].dtype for head in card.outputs} == {LEVELS[level].output}
    assert all(parity.varies for parity in card.parity.values())


def test_integer_inputs_take_pixels_as_they_are(levels) -> None:
    for level, zero_point in (("int8_io", -128), ("uint8_io", 0)):
        image = read_card(levels.variants / level, VariantCard).ports["image"]
        assert (image.scale, image.zero_point) == (pytest.approx(1), zero_point)


@pytest.mark.parametrize("level", ["int8_io", "uint8_io"])
def test_integer_inputs_and_outputs_change_no_answer_by_more_than_a_step(levels, level: str) -> None:
    faces = calibrate.load(levels.views).first(20).pixels
    plain = Runner(levels.variants / "int8" / MODEL_FILE)(faces)
    card = read_card(levels.variants / level, VariantCard)
    for head, answers in Runner(levels.variants / level / MODEL_FILE)(faces).items():
        step = card.ports[head].scale or 1e-6
        assert np.abs(answers - plain[head]).max() <= step


@pytest.mark.parametrize("level", ["int16x8", "qat_int8"])  # the others: test_recipes.py
def test_converting_again_in_another_process_gives_the_same_bytes(levels, tmp_path: Path, level: str) -> None:
    card = convert(*levels.source, level, SETTINGS, tmp_path / level)
    for name in (CARD, MODEL_FILE):
        assert sha256(tmp_path / level / name) == sha256(levels.variants / level / name)
    assert card.sha256 == sha256(tmp_path / level / MODEL_FILE)
    assert card.size_bytes == (tmp_path / level / MODEL_FILE).stat().st_size
    float32 = read_card(levels.variants / "float32", VariantCard).size_bytes
    assert card.size_ratio == pytest.approx(card.size_bytes / float32, rel=1e-4)


def test_float32_answers_as_the_keras_model_does(levels) -> None:
    card = read_card(levels.variants / "float32", VariantCard)
    for head in ("age", "gender"):
        assert card.parity[head].max_difference < 1e-4
        assert card.parity[head].agreement == 1


def test_sizes_shrink_with_the_weights(levels) -> None:
    size = {level: read_card(levels.variants / level, VariantCard).size_bytes for level in LEVELS}
    assert size["float16"] < size["float32"]
    assert size["int4_weights"] < size["dynamic_int8"] < size["float16"]


def test_calibration_is_in_the_card_of_the_level_that_used_it(levels) -> None:
    card = read_card(levels.variants / "int8", VariantCard)
    assert card.calibration_faces == 8
    assert len(card.calibration_sha256 or "") == 64
    assert read_card(levels.variants / "float16", VariantCard).calibration_faces is None


def test_faces_that_weights_are_rounded_for_are_in_the_card_too(levels) -> None:
    for level in (LEVELS["int16x8"], LEVELS["int4_weights"]):
        card = read_card(levels.variants / level.name, VariantCard)
        assert (card.rounding, card.calibration_faces) == ("gptq", 8)
        assert card.ranges == ("minmax" if level.calibrated else None)


def test_weights_are_rounded_anew_where_the_study_asks_for_it(levels, tmp_path: Path) -> None:
    plain = read_card(levels.variants / "int8", VariantCard)
    anew = LevelSettings(calibration=8, rounding="gptq")
    card = convert(*levels.source, "int8", anew, tmp_path / "int8")
    assert (plain.rounding, card.rounding) == ("nearest", "gptq")
    assert card.sha256 != plain.sha256
    for same in ("size_bytes", "weight_dtypes", "ports"):
        assert getattr(card, same) == getattr(plain, same)
    float16 = convert(*levels.source, "float16", anew, tmp_path / "float16")
    assert float16.rounding is None and float16.calibration_faces is None


def test_every_level_runs_in_litert(levels) -> None:
    for level in LEVELS:
        runs = read_card(levels.variants / level, VariantCard).runtimes
        assert runs[runtimes.XNNPACK].runs and runs[runtimes.BUILTIN].runs, level


def test_ranges_that_a_level_does_not_know_are_a_card_with_the_reason(levels, tmp_path: Path) -> None:
    card = convert(*levels.source, "int16x8", LevelSettings(ranges="mse"), tmp_path / "int16x8")
    assert (card.status, card.reason) == ("failed", "int16x8 knows minmax ranges only, not mse")


def test_one_scale_for_a_whole_tensor_makes_another_and_smaller_file(levels, tmp_path: Path) -> None:
    settings = LevelSettings(calibration=8, per_channel=False)
    card = convert(*levels.source, "int8", settings, tmp_path / "int8")
    assert card.per_channel is False
    assert card.size_bytes < read_card(levels.variants / "int8", VariantCard).size_bytes


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        ("int8", "level int8 should have INT8 activations, the file has ['FLOAT32', 'INT8']"),
        ("uint8_io", "level uint8_io should have INT8 activations"),
        ("int16x8", "Quantization to 16x8-bit not yet supported for op: 'SIN'"),
        ("mixed_int8", None),
        ("dynamic_int8", None),
    ],
)
def test_an_operator_that_a_level_lacks_is_a_card_with_the_reason(
    levels, waving: Path, tmp_path: Path, level: str, reason: str | None
) -> None:
    card = convert(waving, levels.views, level, SETTINGS, tmp_path / level)
    assert card.status == ("failed" if reason else "ok"), card.reason
    assert (reason or "") in (card.reason or "")


@pytest.fixture(scope="module")
def waving(levels, tmp_path_factory) -> Path:
    """What `export` leaves of `waves`."""
    model, root = waves(), tmp_path_factory.mktemp("waves")
    trained = shutil.copytree(levels.trained, root / "models")
    model.save_weights(trained / "model.weights.h5")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pocketface.levels.export.load", lambda card, folder: model)
        export(trained, levels.views, root / "exported")
    return root / "exported"


def waves() -> keras.Model:
    """A model with an operator that is there in float only."""
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Dense(16, activation="relu")(keras.layers.Flatten()(keras.ops.sin(image / 255)))
    return keras.Model(
        image,
        {
            "age": keras.layers.Dense(1, name="age")(x),
            "gender": keras.layers.Dense(2, "softmax", name="gender")(x),
        },
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activations": ("INT8",)}, r"should have INT8 activations, the file has \['FLOAT32'\]"),
        ({"input": "UINT8"}, r"should have UINT8 inputs, the file has \['FLOAT32'\]"),
        ({"output": "INT8"}, r"should have INT8 outputs, the file has \['FLOAT32'\]"),
        ({"activations": ("INT8", "FLOAT32")}, "should have INT8 and FLOAT32 activations"),
    ],
)
def test_a_file_of_another_level_is_refused(colour_model, change: dict, message: str) -> None:
    held = TFLiteFile.read(colour_model)
    LEVELS["float32"].check(held)
    with pytest.raises(PocketfaceError, match=message):
        replace(LEVELS["float32"], **change).check(held)


def test_a_level_that_fails_its_audit_is_a_card_with_the_reason(levels, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(LEVELS, "float32", replace(LEVELS["float16"], name="float32", input="INT8"))
    card = convert(*levels.source, "float32", LevelSettings(), tmp_path / "float32")
    assert card.status == "failed"
    assert "should have INT8 inputs, the file has ['FLOAT32']" in (card.reason or "")
    assert [path.name for path in (tmp_path / "float32").iterdir()] == ["card.json"]


def test_a_full_disk_is_told_and_leaves_no_variant(levels, tmp_path: Path) -> None:
    """And no card that says `failed`: the level can be made where there is room."""
    made = tmp_path / "variants/float32"
    with largest_file(2_000), pytest.raises(PocketfaceError, match=f"{made}: no room to write it"):
        convert(*levels.source, "float32", SETTINGS, made)
    assert list(made.parent.iterdir()) == []
    assert convert(*levels.source, "float32", SETTINGS, made).status == "ok"


def test_parity_measures_difference_agreement_and_variety() -> None:
    classes = Output(kind="classes", labels=("a", "b"))
    expected = np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)
    result = parity(classes, expected, np.array([[0.8, 0.2], [0.8, 0.2]], np.float32))
    assert result.max_difference == pytest.approx(0.4)
    assert result.agreement == 0.5
    assert not result.varies
    years = Output(kind="number", unit="years")
    result = parity(years, np.array([[30.0], [40.0]]), np.array([[30.4], [41.0]]))
    assert (result.agreement, result.faces) == (0.5, 2)
