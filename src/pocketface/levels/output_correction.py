"""Corrects the numbers that an integer file answers towards those of the float32 file.

Part of the rounding error is the same for all faces. A factor and an offset, fitted by least squares on
calibration faces, go into the last layer, at no cost: bias correction (Nagel et al., 2019), and a factor.
"""

from collections.abc import Iterable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pocketface.levels import rounding
from pocketface.tflite.file import TFLiteFile, kind, own, store, text, values

LEAST, MOST = 0.8, 1.25
"""Bounds of the factor: answers that ask for another hardly differ between faces, or are wrong altogether."""


def correct(float32: TFLiteFile, made: TFLiteFile, pixels: np.ndarray, heads: Iterable[str]) -> TFLiteFile:
    """The file `made` of `float32` with another scale and bias in the last layers of some heads.

    Args:
        float32, made: the files.
        pixels: uint8 `[N, H, W, C]`, calibration faces.
        heads: those that answer a number; one that no dense layer with a bias writes is left as it is.
    """
    model = made.copy()
    layers = {head: layer for head in heads if (layer := _last_layer(model, head)) is not None}
    if not layers:
        return made
    expected, actual = float32.answers(pixels), made.answers(pixels)
    for head, layer in layers.items():
        _apply(model, layer, *fit(actual[head], expected[head]))
    return TFLiteFile.write(model)


def fit(actual: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """The factor and the offset that bring answers `[N, 1]` nearest to the expected ones.

    A factor out of bounds, and that of answers that are all the same, is 1.
    """
    actual, expected = actual.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    spread = actual - actual.mean()
    variance = spread @ spread
    factor = float(spread @ expected / variance) if variance > 0 else 1.0
    if not LEAST <= factor <= MOST:
        factor = 1.0
    return factor, float(expected.mean() - factor * actual.mean())


def _last_layer(model: schema.ModelT, head: str) -> schema.OperatorT | None:
    """The dense layer that writes a head, perhaps through an operator that makes floats of integers."""
    outputs = {text(port.name): int(port.tensorIndex) for port in model.signatureDefs[0].outputs}
    writers = {int(op.outputs[0]): op for op in model.subgraphs[0].operators}
    writer = writers[outputs[head]]
    while kind(model, writer) in ("DEQUANTIZE", "QUANTIZE"):
        writer = writers[int(writer.inputs[0])]
    dense = kind(model, writer) == "FULLY_CONNECTED"
    return writer if dense and len(writer.inputs) > 2 and writer.inputs[2] >= 0 else None


def _apply(model: schema.ModelT, layer: schema.OperatorT, factor: float, offset: float) -> None:
    for tensor in (own(model, layer, 1), own(model, layer, 2)):
        if tensor.type == schema.TensorType.FLOAT32:
            store(model, tensor, values(model, tensor) * np.float32(factor))
        else:
            scale = np.asarray(tensor.quantization.scale, np.float64)
            tensor.quantization.scale = (scale * factor).astype(np.float32)
    rounding.add_to_bias(model, layer, np.array([offset]))
