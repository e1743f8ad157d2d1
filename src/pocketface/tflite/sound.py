"""What LiteRT's own check of a file lets through, and what it then computes with or crashes at."""

import struct
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pocketface.core.errors import PocketfaceError

IDENTIFIER = b"TFL3"
TYPES = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
WEIGHTED = {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 4}
"""Operators whose input 1 is their weights -> the dimensions of these."""
LIMITS = {"INT4": (-8, 7), "INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}
"""Least and greatest value of an integer type."""


def begins(file: bytes) -> None:
    """Checks what must be there before LiteRT may see a file: it crashes at one without a graph.

    Raises:
        PocketfaceError: it is no TFLite file, or has no graph.
    """
    if file[4:8] != IDENTIFIER:
        raise PocketfaceError("not a TFLite file: the identifier TFL3 is missing")
    try:
        graphs = schema.Model.GetRootAs(file).SubgraphsLength()
    except (struct.error, TypeError):
        return  # an offset leads out of the file; LiteRT's verifier says so
    if not graphs:
        raise PocketfaceError("not a TFLite file, or a damaged one: it has no graph")


def check(file: bytes) -> None:
    """Checks a file whose offsets LiteRT has found sound.

    Raises:
        PocketfaceError: an index has no target, a type or operator is unknown, a scale is not finite and
            positive, or a zero point is no value of its type.
    """
    model = schema.Model.GetRootAs(file)
    if (wrong := next(_wrong(model), None)) is not None:
        raise PocketfaceError(f"a damaged TFLite file: {wrong}")


def _wrong(model: schema.Model) -> Iterator[str]:
    buffers, codes = model.BuffersLength(), model.OperatorCodesLength()
    for place in range(codes):
        code = model.OperatorCodes(place)
        if _kind(code) is None:
            yield "an operator that nobody knows"
    yield from _outside("metadata", [entry.Buffer() for entry in _listed(model, "Metadata")], buffers)
    for graph in _listed(model, "Subgraphs"):
        tensors = graph.TensorsLength()
        for tensor in _listed(graph, "Tensors"):
            yield from _outside("a tensor", [tensor.Buffer()], buffers)
            yield from _misnamed([tensor.Name()])
            yield from _wrong_numbers(tensor)
        ports = [*_all(graph.InputsAsNumpy()), *_all(graph.OutputsAsNumpy())]
        yield from _outside("the graph", ports, tensors)
        for operator in _listed(graph, "Operators"):
            yield from _outside("an operator", [operator.OpcodeIndex()], codes)
            yield from _wrong_operands(graph, operator, _kind(model.OperatorCodes(operator.OpcodeIndex())))
    for signature in _listed(model, "SignatureDefs"):
        if signature.SubgraphIndex() >= model.SubgraphsLength():
            yield "its signature names a graph that is not there"
            continue
        tensors = model.Subgraphs(signature.SubgraphIndex()).TensorsLength()
        ports = [*_listed(signature, "Inputs"), *_listed(signature, "Outputs")]
        yield from _outside("its signature", [port.TensorIndex() for port in ports], tensors)
        yield from _misnamed([port.Name() for port in ports])


def _kind(code: schema.OperatorCode) -> str | None:
    return OPERATORS.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))


def _wrong_operands(graph: schema.SubGraph, operator: schema.Operator, kind: str | None) -> Iterator[str]:
    inputs, outputs = _all(operator.InputsAsNumpy()), _all(operator.OutputsAsNumpy())
    if not len(inputs) or not len(outputs):
        yield "an operator reads or writes nothing"
    yield from _outside("an operator", [*(i for i in inputs if i != -1), *outputs], graph.TensorsLength())
    if kind in WEIGHTED:
        weights = graph.Tensors(inputs[1]) if len(inputs) > 1 and inputs[1] >= 0 else None
        if weights is None or weights.ShapeLength() != WEIGHTED[kind]:
            yield f"{kind} has no weights, or of another shape"
        if not graph.Tensors(outputs[0]).ShapeLength():
            yield f"{kind} writes a single value"


def _misnamed(names: list[bytes | None]) -> Iterator[str]:
    try:
        b" ".join(name or b"" for name in names).decode()
    except UnicodeDecodeError:
        yield "a name that is not UTF-8"


def _listed(table: object, name: str) -> Iterator:
    """The members of a vector of tables."""
    return (getattr(table, name)(place) for place in range(getattr(table, f"{name}Length")()))


def _all(numbers: np.ndarray | int) -> np.ndarray:
    """A vector; 0 is how the schema's code says that there is none."""
    return numbers if isinstance(numbers, np.ndarray) else np.empty(0, np.int32)


def _outside(whose: str, indices: list[int], count: int) -> Iterator[str]:
    if any(not 0 <= index < count for index in indices):
        yield f"{whose} names something that is not there"


def _wrong_numbers(tensor: schema.Tensor) -> Iterator[str]:
    if tensor.Type() not in TYPES:
        yield "a tensor has a type that nobody knows"
        return
    quantization = tensor.Quantization()
    if quantization is None or not quantization.ScaleLength():
        return
    name = (tensor.Name() or b"").decode()
    scales, points = _all(quantization.ScaleAsNumpy()), _all(quantization.ZeroPointAsNumpy())
    if not (np.isfinite(scales) & (scales > 0)).all():
        yield f"a scale of {name!r} is not finite and above 0"
    least, greatest = LIMITS.get(TYPES[tensor.Type()], (0, 0))
    if len(points) not in (1, len(scales)) or points.min() < least or points.max() > greatest:
        yield f"a zero point of {name!r} is no value of its type, or missing"
