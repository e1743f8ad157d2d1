"""Rounds weights so that the answers change least, not the weights; scales are kept.

GPTQ (Frantar et al., 2023) rounds a layer's weights one input after the other, on its inputs for some faces;
those still to come compensate each error. The remaining mean shift is subtracted from the bias (Nagel et al.,
"Data-Free Quantization Through Weight Equalization and Bias Correction", 2019).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from scipy.linalg import lapack

from pocketface.core.errors import PocketfaceError
from pocketface.levels import ranges
from pocketface.tflite.file import TFLiteFile, kind, own, store, text, values
from pocketface.tflite.pixels import NAME as PIXELS

DAMPING = 0.01
"""Share of the mean of H's diagonal that is added to it; GPTQ's default."""

BLOCK = 128
"""Inputs whose errors are compensated in those behind them at once, as in GPTQ: a product of matrices."""

WIDEST = 8192
"""Inputs of an output channel, above which H does not fit; then only the bias is corrected."""

STEPS = {schema.TensorType.INT4: 7, schema.TensorType.INT8: 127}
"""Weight type -> the greatest integer on either side of 0."""


@dataclass
class _Layer:
    """A layer of G groups (of a depthwise convolution its channels), O outputs and K inputs each.

    Attributes:
        input: name of the tensor it reads.
        options, kernel: of a convolution its stride, dilation, padding, and h, w; nothing of a dense layer.
        weights: float64 `[G, O, K]`, as trained.
        products: sum over positions of the inputs' products, `[G, K, K]`; nothing if too wide.
        sums: sum of the inputs, `[G, K]`.
        count: positions.
        waiting: windows that are not in the products yet, see `settle`.
    """

    input: str
    options: schema.Conv2DOptionsT | schema.DepthwiseConv2DOptionsT | None
    kernel: tuple[int, ...]
    depthwise: bool
    weights: np.ndarray
    products: np.ndarray | None
    sums: np.ndarray
    count: int = 0
    waiting: list[np.ndarray] = field(default_factory=list)

    def see(self, values: np.ndarray) -> None:
        """Takes in what flows into the layer for one face: `[1, H, W, C]`, or `[..., K]` of a dense layer."""
        seen = self._patches(values[0]) if self.kernel else values.reshape(1, -1, self.weights.shape[2])
        self.sums += seen.sum(1)
        self.count += seen.shape[1]
        if self.products is not None:
            self.waiting.append(seen.astype(np.float64))
            if sum(part.shape[1] for part in self.waiting) >= seen.shape[2]:
                self.settle()

    def settle(self) -> None:
        """Adds what waits to the products: these are large, and to go through them for every face is slow."""
        if self.waiting:
            seen = np.concatenate(self.waiting, axis=1)
            self.products += seen.transpose(0, 2, 1) @ seen
            self.waiting.clear()

    def upper(self) -> np.ndarray:
        """The upper triangles U, `[G, K, K]`, with U.T @ U = the inverse of the damped mean products."""
        if sum(part.shape[1] for part in self.waiting) == self.count:
            few = np.concatenate(self.waiting, axis=1) / np.sqrt(self.count)
            return np.stack([_upper_of_few(one) for one in few])
        self.settle()
        assert self.products is not None
        return np.stack([_upper(one / self.count) for one in self.products])

    def _patches(self, image: np.ndarray) -> np.ndarray:
        """`[H, W, C]` to the windows that the kernel is laid over: `[G, N, K]`."""
        assert self.options is not None
        stride = self.options.strideH, self.options.strideW
        dilation = self.options.dilationHFactor, self.options.dilationWFactor
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, dilation, strict=True)]
        if self.options.padding == schema.Padding.SAME:
            lacking = [
                max((-(-size // s) - 1) * s + r - size, 0)
                for size, s, r in zip(image.shape, stride, reach, strict=False)
            ]
            image = np.pad(image, [*((n // 2, n - n // 2) for n in lacking), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(image, reach, axis=(0, 1))
        windows = windows[:: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]].astype(np.float64)
        channels, area, groups = windows.shape[2], self.kernel[0] * self.kernel[1], len(self.weights)
        if self.depthwise:
            return windows.reshape(-1, channels, area).transpose(1, 0, 2)
        parts = windows.transpose(0, 1, 3, 4, 2).reshape(-1, area, groups, channels // groups)
        return parts.transpose(2, 0, 1, 3).reshape(groups, len(parts), -1)


def refine(float32: TFLiteFile, quantized: TFLiteFile, pixels: np.ndarray) -> TFLiteFile:
    """Rounds the weights of a quantized file anew.

    Args:
        float32, quantized: the files; the second was made of the first, or of the same Keras model, and its
            weights are symmetric.
        pixels: uint8 `[N, H, W, C]`, faces whose answers are to change least.

    Returns:
        The file with other integers in its weights and other biases; scales and operators are the same.

    Raises:
        PocketfaceError: there is no face, or the files have other layers.
    """
    if len(pixels) == 0:
        raise PocketfaceError("no calibration faces to round the weights for")
    source, made = float32.model, quantized.copy()
    before, after = list(_weighted(source)), list(_weighted(made))
    if len(before) == len(after) + 1 and text(_weights(source, before[0]).name) == PIXELS:
        del before[0]  # the converter's file has other operators in its place
    if len(before) != len(after):
        raise PocketfaceError(f"{len(before)} layers became {len(after)}: which weights are whose?")
    pairs = [
        (_layer(source, old), new)
        for old, new in zip(before, after, strict=True)
        if _weights(made, new).type in STEPS
    ]
    for tensors in ranges.activations(float32, pixels):
        for layer, _ in pairs:
            layer.see(tensors[layer.input])
    for layer, operator in pairs:
        _rewrite(made, operator, layer)
    return TFLiteFile.write(made)


def gptq(weights: np.ndarray, scales: np.ndarray, upper: np.ndarray, most: int) -> np.ndarray:
    """The integers that stand for weights.

    Args:
        weights: `[G, O, K]`.
        scales: `[G, O]`.
        upper: `[G, K, K]`; U.T @ U is the inverse of the mean products of the inputs.
        most: the greatest integer on either side.
    """
    rest, integers = weights.copy(), np.zeros(weights.shape, np.int8)
    inputs = weights.shape[2]
    for start in range(0, inputs, BLOCK):
        end = min(start + BLOCK, inputs)
        errors = np.empty((*rest.shape[:2], end - start))
        for k in range(start, end):
            rounded = np.clip(np.rint(rest[:, :, k] / scales), -most, most)
            integers[:, :, k] = rounded
            errors[:, :, k - start] = error = (rest[:, :, k] - rounded * scales) / upper[:, k, k, None]
            rest[:, :, k + 1 : end] -= error[:, :, None] * upper[:, None, k, k + 1 : end]
        rest[:, :, end:] -= errors @ upper[:, start:end, end:]
    return integers


def _upper(products: np.ndarray) -> np.ndarray:
    """The upper triangle U with U.T @ U = the inverse of the damped products, all `[K, K]`.

    Cholesky's factor of a matrix read backwards is U's inverse, backwards: a third of the work of a whole
    inverse.
    """
    damped = products + np.eye(len(products)) * _damping(np.diag(products))
    lower, wrong = lapack.dpotrf(damped[::-1, ::-1], lower=1)
    inverse, singular = lapack.dtrtri(lower, lower=1)
    if wrong or singular:
        raise PocketfaceError("the products of a layer's inputs are not positive definite")
    return inverse[::-1, ::-1]


def _upper_of_few(seen: np.ndarray) -> np.ndarray:
    """`_upper` of the products `seen.T @ seen` of few rows, `[N, K]`, in N/K of its time.

    Row k of U is the first of the inverse of what remains of the damped products from k on. By Woodbury's
    identity that is an inverse of `[N, N]`, which each column changes by a matrix of rank 1.
    """
    damping = _damping((seen**2).sum(axis=0))
    inverse = np.eye(len(seen)) / damping
    turned, diagonal = np.empty_like(seen), np.empty(seen.shape[1])
    for k in reversed(range(seen.shape[1])):
        across = inverse @ seen[:, k]
        grown = 1 + across @ seen[:, k]
        turned[:, k] = across / grown
        inverse -= np.outer(across, turned[:, k])
        diagonal[k] = 1 / np.sqrt(damping * grown)
    upper = np.triu(turned.T @ seen, 1) / (-damping * diagonal[:, None])
    np.fill_diagonal(upper, diagonal)
    return upper


def _damping(diagonal: np.ndarray) -> float:
    return DAMPING * float(diagonal.mean()) + 1e-9


def _weighted(model: schema.ModelT) -> Iterator[schema.OperatorT]:
    weighted = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    return (op for op in model.subgraphs[0].operators if kind(model, op) in weighted)


def _weights(model: schema.ModelT, operator: schema.OperatorT) -> schema.TensorT:
    return model.subgraphs[0].tensors[operator.inputs[1]]


def _layer(model: schema.ModelT, operator: schema.OperatorT) -> _Layer:
    name, tensor = kind(model, operator), _weights(model, operator)
    depthwise, dense = name == "DEPTHWISE_CONV_2D", name == "FULLY_CONNECTED"
    seen = model.subgraphs[0].tensors[operator.inputs[0]]
    channels = int(seen.shape[-1])
    groups = channels if depthwise else 1 if dense else channels // int(tensor.shape[3])
    weights = _grouped(values(model, tensor).astype(np.float64), depthwise, groups)
    inputs = weights.shape[2]
    return _Layer(
        input=text(seen.name),
        options=None if dense else operator.builtinOptions,
        kernel=() if dense else tuple(int(n) for n in tensor.shape[1:3]),
        depthwise=depthwise,
        weights=weights,
        products=np.zeros((groups, inputs, inputs)) if inputs <= WIDEST else None,
        sums=np.zeros((groups, inputs)),
    )


def _grouped(values: np.ndarray, depthwise: bool, groups: int) -> np.ndarray:
    """Weights `[G x O, ..., in]`, or `[1, h, w, G x O]` of a depthwise convolution, as `[G, O, K]`."""
    if depthwise:
        return values.reshape(-1, groups, values.shape[-1] // groups).transpose(1, 2, 0)
    return values.reshape(groups, len(values) // groups, -1)


def _rewrite(model: schema.ModelT, operator: schema.OperatorT, layer: _Layer) -> None:
    tensor = own(model, operator, 1)
    groups, outputs, _ = layer.weights.shape
    scales = np.broadcast_to(tensor.quantization.scale, groups * outputs).astype(np.float64)
    if layer.products is not None:
        new = gptq(layer.weights, scales.reshape(groups, outputs), layer.upper(), STEPS[tensor.type])
        store(model, tensor, new.transpose(2, 0, 1) if layer.depthwise else new)
    else:
        new = _grouped(values(model, tensor), layer.depthwise, groups)
    error = layer.weights - new * scales.reshape(groups, outputs, 1)
    shift = np.einsum("gok,gk->go", error, layer.sums / layer.count).ravel()
    add_to_bias(model, operator, shift)


def add_to_bias(model: schema.ModelT, operator: schema.OperatorT, shift: np.ndarray) -> None:
    """Adds `shift` `[O]`, in the unit of the outputs, to a layer's bias. A layer without one keeps none."""
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return
    tensor = own(model, operator, 2)
    bias = values(model, tensor)
    if bias.dtype != np.float32:
        shift = np.rint(shift / np.array(tensor.quantization.scale))
    store(model, tensor, bias + shift)
