"""The weights in a graph model of TensorFlow.js: a JSON file with the graph, and the bytes it lists.

For feed-forward networks of convolutions and dense layers. A batch normalisation, which the converter leaves
as a factor and an offset per channel, goes into kernel and bias of the layer before it. Other operators,
weights that are neither float32 nor float16, and a wrong number of bytes are refused.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pocketface.core.errors import PocketfaceError, located
from pocketface.importing.layers import Learned

LARGEST = 2**28
"""Bytes of a file that is read at all; faceres has 7 million."""
PASSED = frozenset(
    "Placeholder Identity Relu Relu6 Minimum Maximum Mean AvgPool MaxPool Sigmoid Softmax".split()
)
"""What changes no weight."""
NUMBERS = ("float32", "float16")


def read_layers(graph: Path, content: Path) -> list[Learned]:
    """The layers in the order of computation, each with a bias.

    Returns:
        Kernels `[H, W, in, out]`, of depthwise convolutions `[H, W, in, 1]`, of dense layers `[in, out]`.

    Raises:
        PocketfaceError: a file is not what it should be, or holds what is not understood.
    """
    for path in (graph, content):
        if path.stat().st_size > LARGEST:
            raise PocketfaceError(
                f"{path}: {path.stat().st_size} bytes are too many for the weights of a model"
            )
    layers: list[_Layer] = []
    made: dict[str, _Layer | None] = {}
    try:
        with located(graph):
            about = json.loads(graph.read_bytes())
            listed = [weight for group in about["weightsManifest"] for weight in group["weights"]]
            arrays = _arrays(listed, content.read_bytes())
            for node in about["modelTopology"]["node"]:
                if node["op"] != "Const":
                    made[node["name"]] = _read(node, arrays, made, layers)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise PocketfaceError(f"{graph}: not readable as a graph model of TensorFlow.js ({error})") from None
    return [Learned(layer.name, {"kernel": layer.kernel, "bias": layer.bias}) for layer in layers]


class _Layer:
    """A layer while it is read."""

    def __init__(self, name: str, kernel: np.ndarray, bias: np.ndarray | None, depthwise: bool) -> None:
        self.name, self.kernel, self.depthwise = name, kernel, depthwise
        channels = kernel.shape[-2] if depthwise else kernel.shape[-1]
        self.bias = np.zeros(channels, np.float32) if bias is None else bias

    def scale(self, factor: np.ndarray) -> None:
        factor = np.broadcast_to(factor.reshape(-1), self.bias.shape)
        self.kernel = self.kernel * (factor[:, None] if self.depthwise else factor)
        self.bias = self.bias * factor

    def shift(self, offset: np.ndarray) -> None:
        self.bias = self.bias + np.broadcast_to(offset.reshape(-1), self.bias.shape)


def _arrays(listed: list[Any], content: bytes) -> dict[str, np.ndarray]:
    """Name -> float32 array, from the bytes, which hold them one after another."""
    arrays, at = {}, 0
    for weight in listed:
        kind = weight.get("quantization", {}).get("dtype", weight["dtype"])
        shape = tuple(int(side) for side in weight["shape"])
        if kind == "int32":  # of axes and shapes, no weights
            at += 4 * math.prod(shape)
            continue
        if kind not in NUMBERS or min(shape, default=0) < 0:
            raise PocketfaceError(f"{weight['name']} is {kind} {shape}, and not one of {', '.join(NUMBERS)}")
        count = math.prod(shape)
        arrays[weight["name"]] = np.frombuffer(content, kind, count, at).reshape(shape).astype(np.float32)
        at += count * np.dtype(kind).itemsize
    if at != len(content):
        raise PocketfaceError(f"it lists {at} bytes of weights, and there are {len(content)}")
    return arrays


def _read(
    node: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    made: Mapping[str, _Layer | None],
    layers: list[_Layer],
) -> _Layer | None:
    """Takes one node in; gives the layer whose plain sum it still is, if there is one."""
    name, kind = node["name"], node["op"]
    inputs = [source.split(":")[0] for source in node.get("input", [])]
    constants = [arrays[source] for source in inputs if source in arrays]
    before = next((made[source] for source in inputs if source in made), None)
    if kind in ("Conv2D", "DepthwiseConv2dNative", "MatMul", "_FusedMatMul"):
        kernel, *bias = constants
        layers.append(_Layer(name, kernel, bias[0] if bias else None, kind == "DepthwiseConv2dNative"))
        # What is fused into a product may be more than its bias.
        return None if kind == "_FusedMatMul" else layers[-1]
    if kind in ("Mul", "Add", "AddV2", "BiasAdd") and before and len(constants) == 1:
        (before.scale if kind == "Mul" else before.shift)(constants[0])
        return before
    if kind not in PASSED:
        raise PocketfaceError(f"{name}: its operator {kind} is not understood here")
    return None
