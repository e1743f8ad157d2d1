import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from full_disk import largest_file
from pocketface.cards import MODEL_FILE, ModelCard, VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.core.labels import Output
from pocketface.faces import calibrate
from pocketface.faces.selection import save as save_selection
from pocketface.faces.selection import select
from pocketface.tflite import audit, runtimes
from pocketface.tflite.convert import convert, make, parity
from pocketface.tflite.converter import to_tflite
from pocketface.tflite.flatbuffer import bound
from pocketface.tflite.levels import LEVELS
from pocketface.tflite.run import Runner
from pocketface.tflite.settings import LevelSettings as Settings
from pocketface.training.fit import fit, load, save
from tiny_training import face_set, study

CONVERT = """
import sys
from pathlib import Path
from pocketface.tflite.settings import LevelSettings
from pocketface.tflite.convert import convert
from pocketface.tflite.levels import LEVELS
trained, views, out = map(Path, sys.argv[1:])
for level in LEVELS:
    convert(trained, views, level, LevelSettings(**SETTINGS), out / level)
"""
SETTINGS = {"calibration": 8, "epochs": 2, "max_drop": {"age_mae": 5, "gender_accuracy": 0.5}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path, Path]:
    """A trained model, its views, and every level of it converted in another process."""
    root = tmp_path_factory.mktemp("convert")
    trained, views, out = root / "models", root / "views", root / "variants"
    plan = study()
    save(fit(plan, "small", [face_set()], "research only"), trained)
    save_selection(select(face_set(), face_set(dataset="photos", seed=1), plan.models["small"].input), views)
    script = f"SETTINGS = {SETTINGS}\n{CONVERT}"
    subprocess.run([sys.executable, "-c", script, trained, views, out], check=True, capture_output=True)
    return trained, views, out


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_holds_what_its_name_says(folders, level: str) -> None:
    card = read_card(folders[2] / level, VariantCard)
    assert card.status == "ok", card.reason
    held = audit.read((folders[2] / level / MODEL_FILE).read_bytes())
    assert set(held.large_weight_dtypes) <= set(LEVELS[level].weights)
    assert set(held.activation_dtypes) <= set(LEVELS[level].activations)
    assert LEVELS[level].weights[0] in held.large_weight_dtypes
    assert LEVELS[level].activations[0] in held.activation_dtypes
    assert card.weight_dtypes == held.weight_dtypes
    assert card.operators == held.operators
    assert card.operators["CONV_2D"] == 2
    assert card.ports["image"].dtype == LEVELS[level].input
    assert {card.ports[head].dtype for head in card.outputs} == {LEVELS[level].output}
    assert all(parity.varies for parity in card.parity.values())


def test_integer_inputs_take_pixels_as_they_are(folders) -> None:
    for level, zero_point in (("int8_io", -128), ("uint8_io", 0)):
        image = read_card(folders[2] / level, VariantCard).ports["image"]
        assert (image.scale, image.zero_point) == (pytest.approx(1), zero_point)


@pytest.mark.parametrize("level", ["int8_io", "uint8_io"])
def test_integer_inputs_and_outputs_change_no_answer_by_more_than_a_step(folders, level: str) -> None:
    faces = calibrate.load(folders[1]).first(20).pixels
    plain = Runner(folders[2] / "int8" / MODEL_FILE)(faces)
    card = read_card(folders[2] / level, VariantCard)
    for head, answers in Runner(folders[2] / level / MODEL_FILE)(faces).items():
        step = card.ports[head].scale or 1e-6
        assert np.abs(answers - plain[head]).max() <= step


def test_converting_again_in_another_process_gives_the_same_bytes(folders) -> None:
    trained, views, out = folders
    card, faces = read_card(trained, ModelCard), calibrate.load(views)
    model = load(card, trained)
    float32 = to_tflite(model)
    for level in LEVELS.values():
        again = make(card.outputs, model, level, Settings(**SETTINGS), faces, float32).file
        again = bound(again, card)
        assert hashlib.sha256(again).hexdigest() == sha256(out / level.name / MODEL_FILE), level.name


def test_a_card_repeats_and_tells_its_file(folders, tmp_path: Path) -> None:
    trained, views, out = folders
    card = convert(trained, views, "int8", Settings(**SETTINGS), tmp_path / "int8")
    assert sha256(tmp_path / "int8/card.json") == sha256(out / "int8/card.json")
    assert card.sha256 == sha256(tmp_path / "int8" / MODEL_FILE)
    assert card.size_bytes == (tmp_path / "int8" / MODEL_FILE).stat().st_size
    float32 = read_card(out / "float32", VariantCard).size_bytes
    assert card.size_ratio == pytest.approx(card.size_bytes / float32, rel=1e-4)


def test_float32_answers_as_the_keras_model_does(folders) -> None:
    card = read_card(folders[2] / "float32", VariantCard)
    for head in ("age", "gender"):
        assert card.parity[head].max_difference < 1e-4
        assert card.parity[head].agreement == 1


def test_sizes_shrink_with_the_weights(folders) -> None:
    size = {level: read_card(folders[2] / level, VariantCard).size_bytes for level in LEVELS}
    assert size["float16"] < size["float32"]
    assert size["int4_weights"] < size["dynamic_int8"] < size["float16"]


def test_calibration_is_in_the_card_of_the_level_that_used_it(folders) -> None:
    card = read_card(folders[2] / "int8", VariantCard)
    assert card.calibration_faces == 8
    assert len(card.calibration_sha256 or "") == 64
    assert read_card(folders[2] / "float16", VariantCard).calibration_faces is None


def test_faces_that_weights_are_rounded_for_are_in_the_card_too(folders) -> None:
    for level in (level for level in LEVELS.values() if level.refined):
        card = read_card(folders[2] / level.name, VariantCard)
        assert (card.calibration_faces, card.ranges) == (8, "minmax" if level.calibrated else None)


def test_weights_are_rounded_anew_where_the_study_asks_for_it(folders, tmp_path: Path) -> None:
    plain = read_card(folders[2] / "int8", VariantCard)
    card = convert(*folders[:2], "int8", Settings(calibration=8, rounding="gptq"), tmp_path / "int8")
    assert (plain.rounding, card.rounding) == ("nearest", "gptq")
    assert card.sha256 != plain.sha256
    assert (card.size_bytes, card.weight_dtypes, card.ports) == (
        plain.size_bytes,
        plain.weight_dtypes,
        plain.ports,
    )
    float16 = convert(*folders[:2], "float16", Settings(rounding="gptq"), tmp_path / "float16")
    assert float16.rounding is None and float16.calibration_faces is None


def test_an_integer_variant_holds_what_vela_made_of_it(folders) -> None:
    pytest.importorskip("ethosu")
    for level in ("int8_io", "float16"):
        card = read_card(folders[2] / level, VariantCard)
        held = sorted(path.name for path in (folders[2] / level).iterdir())
        compiled = [f"ethos-u65-256.{kind}" for kind in ("csv", "tflite")] if level == "int8_io" else []
        assert held == sorted(["card.json", MODEL_FILE, *compiled])
        assert (card.npu.file if card.npu else None) == (compiled[-1] if compiled else None)


def test_every_level_runs_in_litert_and_says_why_not_elsewhere(folders) -> None:
    for level in LEVELS:
        runs = read_card(folders[2] / level, VariantCard).runtimes
        assert runs[runtimes.XNNPACK].runs and runs[runtimes.BUILTIN].runs, level
        micro = runs[runtimes.MICRO]
        assert micro.runs != bool(micro.reason)


def test_ranges_that_a_level_does_not_know_are_a_card_with_the_reason(folders, tmp_path: Path) -> None:
    card = convert(*folders[:2], "int16x8", Settings(ranges="mse"), tmp_path / "int16x8")
    assert (card.status, card.reason) == ("failed", "int16x8 knows minmax ranges only, not mse")


def test_one_scale_for_a_whole_tensor_makes_another_and_smaller_file(folders, tmp_path: Path) -> None:
    card = convert(*folders[:2], "int8", Settings(calibration=8, per_channel=False), tmp_path / "int8")
    assert card.per_channel is False
    assert card.size_bytes < read_card(folders[2] / "int8", VariantCard).size_bytes


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        ("int8", "level int8 should have INT8 activations, the file has ['FLOAT32', 'INT8']"),
        ("uint8_io", "level uint8_io should have INT8 activations"),
        ("int16x8", "Quantization to 16x8-bit not yet supported for op: 'CUMSUM'"),
        ("mixed_int8", None),
        ("dynamic_int8", None),
    ],
)
def test_an_operator_that_a_level_lacks_is_a_card_with_the_reason(
    folders, tmp_path: Path, monkeypatch, level: str, reason: str | None
) -> None:
    monkeypatch.setattr("pocketface.tflite.convert.load", lambda card, folder: running_sums())
    card = convert(*folders[:2], level, Settings(**SETTINGS), tmp_path / level)
    assert card.status == ("failed" if reason else "ok"), card.reason
    assert (reason or "") in (card.reason or "")


def running_sums() -> keras.Model:
    """A model with an operator that is there in float only."""
    image = keras.Input((16, 16, 3), name="image")
    sums = keras.layers.Flatten()(keras.ops.cumsum(image / 255, axis=1))
    x = keras.layers.Dense(16, activation="relu")(sums)
    return keras.Model(
        image,
        {
            "age": keras.layers.Dense(1, name="age")(x),
            "gender": keras.layers.Dense(2, "softmax", name="gender")(x),
        },
    )


def test_a_level_that_fails_its_audit_is_a_card_with_the_reason(folders, tmp_path: Path, monkeypatch) -> None:
    trained, views, _ = folders
    monkeypatch.setitem(LEVELS, "float32", replace(LEVELS["float16"], name="float32", input="INT8"))
    card = convert(trained, views, "float32", Settings(), tmp_path / "float32")
    assert card.status == "failed"
    assert "should have INT8 inputs, the file has ['FLOAT32']" in (card.reason or "")
    assert [path.name for path in (tmp_path / "float32").iterdir()] == ["card.json"]


@pytest.mark.parametrize("place", ["temporary folder", "out"])
def test_a_full_disk_is_told_and_leaves_no_variant(folders, tmp_path: Path, monkeypatch, place: str) -> None:
    """And no card that says `failed`: the level can be made where there is room."""
    trained, views, out = folders
    if place == "out":
        float32 = (out / "float32" / MODEL_FILE).read_bytes()
        monkeypatch.setattr("pocketface.tflite.convert.to_tflite", lambda model: float32)
    made = tmp_path / "variants/float32"
    with largest_file(2_000), pytest.raises(PocketfaceError, match=f"{made}: no room to write it"):
        convert(trained, views, "float32", Settings(**SETTINGS), made)
    assert list(made.parent.iterdir()) == []
    assert convert(trained, views, "float32", Settings(**SETTINGS), made).status == "ok"


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
