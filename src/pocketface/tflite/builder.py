"""Makes operators and tensors for the graph of a `.tflite` file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

FLOAT = schema.TensorType.FLOAT32


class Builder:
    """Adds to a model; who puts the operators into the graph says where."""

    def __init__(self, model: schema.ModelT) -> None:
        self.model, self.graph = model, model.subgraphs[0]

    def tensor(self, name: str, shape: Sequence[int], kind: int = FLOAT, buffer: int = 0) -> int:
        """A new tensor; its place in the graph."""
        self.graph.tensors.append(schema.TensorT(list(shape), kind, buffer, name.encode()))
        return len(self.graph.tensors) - 1

    def constant(self, name: str, values: np.ndarray) -> int:
        """A tensor that holds values, int32, float16 or else float32; its place."""
        kinds = {"int32": schema.TensorType.INT32, "float16": schema.TensorType.FLOAT16}
        kind = kinds.get(values.dtype.name, FLOAT)
        values = values.astype(np.float32) if kind == FLOAT else values
        self.model.buffers.append(schema.BufferT(np.frombuffer(values.tobytes(), np.uint8)))
        return self.tensor(name, values.shape, kind, len(self.model.buffers) - 1)

    def operator(
        self, kind: str, inputs: Sequence[int], output: int, options: Any = None
    ) -> schema.OperatorT:
        """An operator that reads some tensors and writes another."""
        code = getattr(schema.BuiltinOperator, kind)
        known = [max(each.builtinCode, each.deprecatedBuiltinCode) for each in self.model.operatorCodes]
        if code not in known:
            self.model.operatorCodes.append(schema.OperatorCodeT(code, None, 1, code))
            known.append(code)
        of = type(options).__name__.removesuffix("T") if options else "NONE"
        about = {"builtinOptionsType": getattr(schema.BuiltinOptions, of), "builtinOptions": options}
        return schema.OperatorT(known.index(code), list(inputs), [output], **about)

    def channels(
        self, name: str, image: int, matrix: np.ndarray, offset: np.ndarray, output: int
    ) -> schema.OperatorT:
        """A 1x1 convolution: each pixel's channels times `matrix` `[K, C]`, plus `offset` `[K]`.

        It stays exact when its weights become int8 where every row has one number.
        """
        weights = self.constant(name, np.ascontiguousarray(matrix)[:, None, None, :])
        bias = self.constant(f"{name}_bias", offset)
        options = schema.Conv2DOptionsT(schema.Padding.VALID, strideW=1, strideH=1)
        return self.operator("CONV_2D", [image, weights, bias], output, options)


def drop_unused(model: schema.ModelT) -> None:
    """Takes out the tensors that no operator reads or writes any more, whose types would count, and their
    values."""
    graph = model.subgraphs[0]
    holders = [(one, side) for one in (graph, *graph.operators) for side in ("inputs", "outputs")]
    used = sorted({int(i) for one, side in holders for i in getattr(one, side) if i >= 0})
    places = {old: new for new, old in enumerate(used)}
    graph.tensors = [graph.tensors[old] for old in used]
    for one, side in holders:
        setattr(one, side, [places.get(int(i), -1) for i in getattr(one, side)])
    for signature in model.signatureDefs or []:
        for port in (*signature.inputs, *signature.outputs):
            port.tensorIndex = places[port.tensorIndex]
    held = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    held |= {entry.buffer for entry in model.metadata or []}
    for place, buffer in enumerate(model.buffers):
        if place not in held:
            buffer.data = None
