"""Converting a model to one level, audited before anyone may call it that.

card = convert(Path("models/age_gender"), Path("data/views/age_gender"), "int8", settings, out)
"""

import tempfile
from hashlib import sha256
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import ConverterError

from pocketface.cards import ModelCard, Output, Parity, VariantCard, read_card, write_card
from pocketface.errors import PocketfaceError
from pocketface.files import written_whole
from pocketface.study import Level as Settings
from pocketface.tflite import audit, calibrate
from pocketface.tflite.levels import LEVELS, Level, representative
from pocketface.tflite.run import Runner
from pocketface.training.fit import load

MODEL = "model.tflite"


def convert(trained: Path, views: Path, level: str, settings: Settings, out: Path) -> VariantCard:
    """Makes one variant of a trained model: `out/model.tflite` and `out/card.json`.

    A level that cannot be made, does not hold what its name says, or does not run, leaves a card with
    status `failed` and the reason, and no file.

    Args:
        trained: folder with the weights and the card.
        views: folder with the calibration faces, see `pocketface.faces.selection`.
        level: a name in `pocketface.tflite.levels.LEVELS`.
        settings: its stanza in params.
        out: folder to write.

    Raises:
        PocketfaceError: the trained model cannot be loaded.
    """
    card = read_card(trained, ModelCard)
    model = load(card, trained)
    faces = calibrate.load(views)
    calibration = faces.first(settings.calibration) if LEVELS[level].calibrated else None
    with written_whole(out) as partial:
        partial.mkdir(parents=True)
        try:
            variant = _make(card, model, LEVELS[level], faces, calibration, partial)
        except (ConverterError, PocketfaceError, RuntimeError, ValueError) as error:
            (partial / MODEL).unlink(missing_ok=True)
            variant = _variant(card, level, status="failed", reason=str(error).splitlines()[0])
        write_card(partial, variant)
    return variant


def to_tflite(model: keras.Model, level: Level, calibration: np.ndarray | None = None) -> bytes:
    """Converts a Keras model.

    The batch is fixed to 1 and the input is named `image`, which keeps shape operators out of the graph.

    Args:
        model: input `[N, H, W, C]`, dict of outputs.
        level: what to make.
        calibration: uint8 `[N, H, W, C]`, for levels that need it.
    """
    spec = tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, name="image")
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, input_signature=[spec], verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        level.configure(converter)
        if calibration is not None:
            converter.representative_dataset = representative(calibration)
        return converter.convert()


def parity(output: Output, expected: np.ndarray, actual: np.ndarray) -> Parity:
    """Compares a variant's answers `[N, K]` with the Keras model's on the same faces."""
    difference = np.abs(expected - actual)
    if output.kind == "classes":
        same = expected.argmax(1) == actual.argmax(1)
    else:
        same = difference[:, 0] < 0.5
    return Parity(
        faces=len(expected),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        agreement=float(same.mean()),
        varies=bool(np.ptp(actual, axis=0).max() > 0),
    )


def _make(
    card: ModelCard,
    model: keras.Model,
    level: Level,
    faces: calibrate.Calibration,
    calibration: calibrate.Calibration | None,
    folder: Path,
) -> VariantCard:
    file = to_tflite(model, level, None if calibration is None else calibration.pixels)
    held = audit.read(file)
    audit.check(held, level)
    (folder / MODEL).write_bytes(file)
    answers = Runner(folder / MODEL)(faces.pixels)
    expected = model.predict(faces.pixels.astype(np.float32), verbose=0)
    return _variant(
        card,
        level.name,
        size_bytes=len(file),
        sha256=sha256(file).hexdigest(),
        weight_dtypes=held.weight_dtypes,
        activation_dtypes=held.activation_dtypes,
        operators=held.operators,
        calibration_faces=None if calibration is None else len(calibration.images),
        calibration_sha256=None if calibration is None else calibration.sha256(),
        parity={head: parity(card.outputs[head], expected[head], answers[head]) for head in card.outputs},
    )


def _variant(card: ModelCard, level: str, **facts: object) -> VariantCard:
    return VariantCard.model_validate(card.model_dump() | {"level": level} | facts)
