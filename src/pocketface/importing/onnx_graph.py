"""The weights in an ONNX graph, as layers of Keras, in the order of computation.

For feed-forward networks of convolutions and dense layers, as dlib's. A factor and an offset per channel
after a layer (a batch normalisation in use) go into its kernel and bias, a plain factor before a dense layer
into its kernel; rows of a dense layer behind a flattened map `[C, H, W]` are put into the order of `[H, W,
C]`. Other operators, and arrays kept in other files, are refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from pocketface.core.errors import PocketfaceError, located
from pocketface.importing.layers import Learned

LARGEST = 2**30
"""Bytes of a file that is read at all; dlib's age network has 11 million."""
PASSED = frozenset("Relu Pad MaxPool AveragePool GlobalAveragePool Flatten Softmax Add Mul Conv Gemm".split())


def read_layers(path: Path) -> list[Learned]:
    """The convolutions and dense layers, kernels `[H, W, in, out]` and `[in, out]`, each with a bias.

    Raises:
        PocketfaceError: the file is not ONNX, or holds what is not understood.
    """
    if path.stat().st_size > LARGEST:
        raise PocketfaceError(f"{path}: {path.stat().st_size} bytes are too many for the weights of a model")
    with located(path):
        try:
            graph = onnx.load(str(path), format="protobuf", load_external_data=False).graph
            arrays = {tensor.name: _array(tensor) for tensor in graph.initializer}
            return _Reader(arrays).read(graph.node)
        except PocketfaceError:
            raise
        except Exception as error:  # protobuf's own errors differ between its versions
            raise PocketfaceError(f"not readable as ONNX ({error})") from None


def _array(tensor: Any) -> np.ndarray:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise PocketfaceError(f"{tensor.name} keeps its numbers in another file, which is refused")
    return np.asarray(onnx.numpy_helper.to_array(tensor))


class _Reader:
    """Walks a graph and collects its layers.

    Attributes:
        made: tensor -> the layer that made it, as long as factors and offsets may be put into that.
        factor: tensor -> what it is still to be multiplied by.
        channels: tensor -> how many it has, or had before it was flattened.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.layers: list[tuple[str, np.ndarray, np.ndarray]] = []
        self.made: dict[str, int] = {}
        self.factor: dict[str, float] = {}
        self.channels: dict[str, int] = {}

    def read(self, nodes: Any) -> list[Learned]:
        for node in nodes:
            if node.op_type not in PASSED:
                raise PocketfaceError(f"its operator {node.op_type} is none of {', '.join(sorted(PASSED))}")
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            self._node(node.op_type, list(node.input), node.output[0], attributes)
        if (left := self.factor.get(nodes[-1].output[0], 1.0)) != 1.0:
            raise PocketfaceError(f"a factor {left} is left at its end")
        return [Learned(name, {"kernel": kernel, "bias": bias}) for name, kernel, bias in self.layers]

    def _node(self, kind: str, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        constants = [self.arrays[name] for name in inputs if name in self.arrays]
        tensors = [name for name in inputs if name not in self.arrays]
        source = tensors[0]
        if kind == "Conv":
            self._convolution(source, output, constants, attributes)
        elif kind == "Gemm":
            self._dense(source, output, constants, attributes)
        elif kind in ("Mul", "Add") and constants:
            self._affine(kind, source, output, constants[0])
        elif kind == "Mul":
            raise PocketfaceError(f"{output} multiplies two tensors, which is not understood")
        else:
            factors = {self.factor.get(name, 1.0) for name in tensors}
            if len(factors) > 1 or (kind == "Softmax" and factors != {1.0}):
                raise PocketfaceError(f"{output}: the factors {factors} before it cannot be moved on")
            self.factor[output] = factors.pop()
            if source in self.channels:
                self.channels[output] = max(self.channels.get(name, 0) for name in tensors)

    def _convolution(
        self, source: str, output: str, constants: list[np.ndarray], attributes: dict[str, Any]
    ) -> None:
        if attributes.get("group", 1) != 1 or set(attributes.get("dilations", [1])) != {1}:
            raise PocketfaceError(f"{output}: a grouped or dilated convolution is not understood")
        kernel = constants[0].transpose(2, 3, 1, 0) * self.factor.get(source, 1.0)
        self._layer(output, kernel, constants[1] if len(constants) > 1 else np.zeros(kernel.shape[-1]))

    def _dense(
        self, source: str, output: str, constants: list[np.ndarray], attributes: dict[str, Any]
    ) -> None:
        if (attributes.get("alpha", 1), attributes.get("beta", 1), attributes.get("transA", 0)) != (1, 1, 0):
            raise PocketfaceError(f"{output}: a scaled or transposed product is not understood")
        kernel = constants[0].T if attributes.get("transB", 0) else constants[0]
        channels = self.channels.get(source, len(kernel))
        places = kernel.reshape(channels, -1, kernel.shape[1]).transpose(1, 0, 2)
        self._layer(output, places.reshape(kernel.shape) * self.factor.get(source, 1.0), constants[1])

    def _layer(self, output: str, kernel: np.ndarray, bias: np.ndarray) -> None:
        self.made[output] = len(self.layers)
        self.channels[output] = kernel.shape[-1]
        self.layers.append((output, kernel.astype(np.float64), bias.astype(np.float64)))

    def _affine(self, kind: str, source: str, output: str, constant: np.ndarray) -> None:
        if source in self.made:
            name, kernel, bias = self.layers[self.made[source]]
            values = np.broadcast_to(constant.reshape(-1), bias.shape).astype(np.float64)
            scaled = (kernel * values, bias * values) if kind == "Mul" else (kernel, bias + values)
            self.layers[self.made[source]] = (name, *scaled)
            self.made[output] = self.made[source]
        elif kind == "Mul" and constant.size == 1 and float(constant.reshape(-1)[0]) > 0:
            self.factor[output] = self.factor.get(source, 1.0) * float(constant.reshape(-1)[0])
        else:
            raise PocketfaceError(f"{output}: a {kind} with {constant.shape} is not understood here")
        if source in self.channels:
            self.channels[output] = self.channels[source]
