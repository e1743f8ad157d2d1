"""TensorFlow's converter: from a Keras model to a `.tflite` file."""

import tempfile

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import ConverterError

from pocketface.core.errors import PocketfaceError, first_line
from pocketface.levels import LEVELS, Level
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.pixels import merged

INT16X8 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8


def to_tflite(
    model: keras.Model,
    level: Level = LEVELS["float32"],
    calibration: np.ndarray | None = None,
    per_channel: bool = True,
) -> TFLiteFile:
    """Converts a Keras model. The batch is fixed to 1, which keeps shape operators out of the graph.

    Args:
        model: input `[N, H, W, C]`, dict of outputs.
        level: what to make.
        calibration: uint8 `[N, H, W, C]`, for levels that need it.
        per_channel: whether each output channel of a weight tensor has its own scale.

    Returns:
        The file, with versions of operators raised that the converter understates. A float32 file begins with
        one convolution, see `pocketface.tflite.pixels`.

    Raises:
        PocketfaceError: the level lacks an operator of the model, or an operator's version is not known.
        OSError: the temporary folder cannot be written.
    """
    spec = tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, name="image")
    with tempfile.TemporaryDirectory() as folder:
        try:
            _save(model, spec, folder)
        except tf.errors.OpError as error:  # what TensorFlow has for an OSError
            raise OSError(str(error)) from error
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        _configure(converter, level)
        if not per_channel:
            converter._experimental_disable_per_channel = True
        if calibration is not None:
            faces = _from_black_to_white(calibration)
            converter.representative_dataset = lambda: ({"image": f[None].astype(np.float32)} for f in faces)
        try:
            file = TFLiteFile(converter.convert())
        except (ConverterError, RuntimeError, ValueError) as error:
            raise PocketfaceError(f"not convertible to {level.name}: {first_line(error)}") from None
    file = merged(file) if level.weights == ("FLOAT32",) else file
    return TFLiteFile.write(file.copy()) if file.understated else file


def _from_black_to_white(faces: np.ndarray) -> np.ndarray:
    """Faces that reach from 0 to 255: the converter takes the range of the picture from them, too."""
    if faces.min() == 0 and faces.max() == 255:
        return faces
    one = faces[:1].copy()
    one[0, 0, 0], one[0, -1, -1] = 0, 255
    return np.concatenate([faces, one])


def _save(model: keras.Model, spec: tf.TensorSpec, folder: str) -> None:
    """What `model.export` writes, names included, without what it looks for besides: half of the time."""
    module = tf.Module()
    module.kept = [variable.value for variable in model.variables]
    module.serve = tf.function(model.__call__, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, folder, signatures=dict.fromkeys(("serve", "serving_default"), module.serve))


def _configure(converter: tf.lite.TFLiteConverter, level: Level) -> None:
    if level.weights != ("FLOAT32",):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if level.weights == ("FLOAT16",):
        converter.target_spec.supported_types = [tf.float16]
    if level.activations == ("INT16",):
        converter.target_spec.supported_ops = [INT16X8]
    if level.activations == ("INT8",):
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.as_dtype(level.input.lower())
        converter.inference_output_type = tf.as_dtype(level.output.lower())
