"""Files of weights in the layouts that others publish, by hand: HDF5 of Keras 2, ONNX."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from pocketface.importing.layers import Learned

Layers = Mapping[str, Mapping[str, np.ndarray]]
"""Layer -> weight -> array."""


def noise(layers: Layers, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Layers of the same shapes, filled with small numbers above 0."""
    random = np.random.default_rng(seed)
    return {
        name: {
            weight: random.uniform(0.01, 0.2, array.shape).astype(np.float32) for weight, array in own.items()
        }
        for name, own in layers.items()
    }


def weights_of(model: keras.Model) -> dict[str, dict[str, np.ndarray]]:
    """What a model's layers hold."""
    return {
        layer.name: {weight.name: np.array(weight) for weight in layer.weights}
        for layer in model.layers
        if layer.weights
    }


def write_hdf5(path: Path, layers: Layers, whole: bool = False, nested: Sequence[str] = ()) -> Path:
    """As Keras 2 does.

    Args:
        path: the file.
        layers: in order.
        whole: `model.save`, with the configuration and the optimizer; else `model.save_weights`.
        nested: layers that belong to a model inside the model, the first of the file.
    """
    with h5py.File(path, "w") as file:
        root = file
        if whole:
            file.attrs["model_config"] = '{"class_name": "Lambda", "config": {"function": "gASVCw=="}}'
            file.create_group("optimizer_weights")["iterations:0"] = 7
            root = file.create_group("model_weights")
        groups: dict[str, list[tuple[str, np.ndarray]]] = {"input_1": []}
        for name, own in layers.items():
            group = "sequential_1" if name in nested else name
            # As Keras 2 lists a nested model: what can be trained first, then the moving averages.
            groups.setdefault(group, []).extend(
                (f"{name}/{weight}:0", array) for weight, array in own.items()
            )
        for group, arrays in groups.items():
            made = root.create_group(group)
            if group == "sequential_1":
                arrays.sort(key=lambda pair: "moving" in pair[0])
            made.attrs["weight_names"] = [name.encode() for name, _ in arrays]
            for name, array in arrays:
                made[name] = array
        root.attrs["layer_names"] = [name.encode() for name in groups]
        root.attrs["backend"], root.attrs["keras_version"] = b"tensorflow", b"2.0.5"
    return path


class Graph:
    """An ONNX graph, built node by node; every method gives the name of what it makes."""

    def __init__(self, shape: Sequence[int]) -> None:
        self._random = np.random.default_rng(0)
        self._shape = list(shape)
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []

    def constant(self, *shape: int, value: np.ndarray | None = None) -> str:
        """A constant: `value`, or noise of that shape."""
        array = self._random.uniform(0.01, 0.3, shape).astype(np.float32) if value is None else value
        self.arrays.append(numpy_helper.from_array(array, f"constant{len(self.arrays)}"))
        return self.arrays[-1].name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Any operator."""
        self.nodes.append(helper.make_node(kind, inputs, [f"{kind}{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def convolution(self, x: str, channels: int, width: int, size: int = 3, stride: int = 1) -> str:
        """With dlib's affine layer behind it; padded where the stride is 1."""
        pads = [size // 2] * 4 if stride == 1 else [0] * 4
        weights = [self.constant(width, channels, size, size), self.constant(width)]
        x = self.node("Conv", x, *weights, kernel_shape=[size] * 2, strides=[stride] * 2, pads=pads)
        x = self.node("Mul", x, self.constant(1, width, 1, 1))
        return self.node("Add", x, self.constant(1, width, 1, 1))

    def dense(self, x: str, inputs: int, width: int) -> str:
        """Behind a Flatten."""
        x = self.node("Flatten", x)
        return self.node("Gemm", x, self.constant(inputs, width), self.constant(width))

    def half(self, x: str) -> str:
        """dlib's `multiply`."""
        return self.node("Mul", x, self.constant(value=np.array([0.5], np.float32)))

    def write(self, path: Path) -> Path:
        """Writes the file; the last node is the output."""
        image = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", *self._shape])
        out = helper.make_tensor_value_info(self.nodes[-1].output[0], TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [image], [out], self.arrays)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        path.write_bytes(made.SerializeToString())
        return path


def dlib_gender(path: Path) -> Path:
    """The gender network's graph, with noise for weights."""
    graph = Graph([3, 32, 32])
    x = "images"
    for channels, width in ((3, 32), (32, 32), (32, 64), (64, 64)):
        x = graph.node("Relu", graph.convolution(x, channels, width))
        if channels == width:
            x = graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.half(graph.node("Relu", graph.dense(graph.half(x), 4096, 16)))
    graph.node("Softmax", graph.dense(x, 16, 2), axis=1)
    return graph.write(path)


def learned(layers: Layers) -> list[Learned]:
    """As a reader gives them."""
    return [Learned(name, own) for name, own in layers.items()]
