"""What LiteRT's own check of a file lets through, and what it then computes with, crashes at or never ends.

Only models are run whose work and memory their shapes tell: these have a budget, `pocketface.core.budget`.
"""

import math
import struct
from collections.abc import Callable, Iterator
from itertools import accumulate

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import get_options_as

from pocketface.core.budget import MODEL
from pocketface.core.errors import PocketfaceError

IDENTIFIER = b"TFL3"
TYPES = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
WEIGHTED = {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 4}
"""Operators whose input 1 is their weights -> the dimensions of these."""
LIMITS = {"INT4": (-8, 7), "INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}
"""Least and greatest value of an integer type."""

Shape = tuple[int, ...]
KNOWN = {
    (1, 1): """ABS AVERAGE_POOL_2D CAST CEIL COS DEPTH_TO_SPACE DEQUANTIZE ELU EXP FLOOR GELU HARD_SWISH
        L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LOG LOGICAL_NOT LOGISTIC LOG_SOFTMAX MAX_POOL_2D NEG QUANTIZE
        RANK RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 ROUND RSQRT SHAPE SIGN SIN SOFTMAX SPACE_TO_DEPTH SQRT SQUARE
        SQUEEZE TANH UNPACK ZEROS_LIKE""",
    (1, 2): "RESHAPE",
    (2, 2): """ADD ARG_MAX ARG_MIN BATCH_MATMUL BROADCAST_TO DIV EQUAL EXPAND_DIMS FILL FLOOR_DIV FLOOR_MOD
        GATHER GATHER_ND GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR MAXIMUM MEAN MINIMUM
        MIRROR_PAD MUL NOT_EQUAL PAD POW PRELU REDUCE_MAX REDUCE_MIN REDUCE_PROD RESIZE_BILINEAR
        RESIZE_NEAREST_NEIGHBOR REVERSE_V2 SPLIT SQUARED_DIFFERENCE SUB SUM TILE TOPK_V2 TRANSPOSE""",
    (2, 3): "CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED",
    (3, 3): "BATCH_TO_SPACE_ND PADV2 SELECT SELECT_V2 SLICE SPACE_TO_BATCH_ND SPLIT_V",
    (3, 4): "TRANSPOSE_CONV",
    (4, 4): "ONE_HOT STRIDED_SLICE",
    (1, 1000): "ADD_N CONCATENATION PACK",
}
"""Least and greatest number of inputs -> operators that have so many. No others are run: shapes tell the work
of these, which neither loop, branch, call nor keep a state; and LiteRT crashes at inputs that it expects."""
INPUTS = {kind: count for count, kinds in KNOWN.items() for kind in kinds.split()}
OPTIONAL = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
"""Operators with a bias -> its place; no other input may be left out."""
GROWING = {
    **dict.fromkeys(("FILL", "TRANSPOSE_CONV"), 0),
    **dict.fromkeys(("TILE", "BROADCAST_TO", "PAD", "PADV2", "MIRROR_PAD", "ONE_HOT"), 1),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), 1),
    "SPACE_TO_BATCH_ND": 2,
}
"""Operators that make more than they are given -> the input that says how much; a constant, so that LiteRT
knows the shape before it computes."""
OPTIONS = {
    "CONV_2D": schema.Conv2DOptionsT,
    "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
    "TRANSPOSE_CONV": schema.TransposeConvOptionsT,
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), schema.Pool2DOptionsT),
}
"""Operators that divide by their strides -> the class of their options."""
WORK: dict[str, Callable[[Shape, list[Shape]], int]] = {
    "CONV_2D": lambda out, ins: math.prod(out) * math.prod(ins[1][1:]),
    "DEPTHWISE_CONV_2D": lambda out, ins: math.prod(out) * math.prod(ins[1][1:3]),
    "FULLY_CONNECTED": lambda out, ins: math.prod(out) * math.prod(ins[1][1:]),
    "TRANSPOSE_CONV": lambda out, ins: math.prod(ins[2]) * math.prod(ins[1][:3]),
    "BATCH_MATMUL": lambda out, ins: math.prod(out) * max(ins[0][-2:]),
}
"""Operator -> its multiplications, by the shapes of its output and inputs; of others the numbers moved."""


def begins(file: bytes) -> None:
    """Checks what must be there before LiteRT may see a file: it crashes at one without a graph.

    Raises:
        PocketfaceError: it is no TFLite file, has no graph or more parts than `MODEL` allows.
    """
    if file[4:8] != IDENTIFIER:
        raise PocketfaceError("not a TFLite file: the identifier TFL3 is missing")
    try:
        model = schema.Model.GetRootAs(file)
        graphs = model.SubgraphsLength()
        if any(total > MODEL.parts for total in accumulate(_parts(model))):
            raise PocketfaceError(f"too_large: a TFLite file of more than {MODEL.parts:,} parts")
    except (struct.error, TypeError):
        return  # an offset leads out of the file; LiteRT's verifier says so
    if not graphs:
        raise PocketfaceError("not a TFLite file, or a damaged one: it has no graph")


def _parts(model: schema.Model) -> Iterator[int]:
    """Counts what is gone through one by one; the same few bytes may stand for many parts."""
    yield 100 * (model.OperatorCodesLength() + model.BuffersLength() + model.MetadataLength())
    yield 100 * (model.SubgraphsLength() + model.SignatureDefsLength())
    for signature in _listed(model, "SignatureDefs"):
        yield 100 * (signature.InputsLength() + signature.OutputsLength())
    for graph in _listed(model, "Subgraphs"):
        yield 100 * (graph.TensorsLength() + graph.OperatorsLength())
        yield graph.InputsLength() + graph.OutputsLength()
        for tensor in _listed(graph, "Tensors"):
            yield tensor.ShapeLength() + tensor.ShapeSignatureLength() + len(tensor.Name() or b"")
            if (quantization := tensor.Quantization()) is not None:
                yield quantization.ScaleLength() + quantization.ZeroPointLength()
        for operator in _listed(graph, "Operators"):
            yield operator.InputsLength() + operator.OutputsLength() + operator.IntermediatesLength()


def check(file: bytes) -> None:
    """Checks a file whose offsets LiteRT has found sound.

    Raises:
        PocketfaceError: an index has no target, a type or operator is unknown, a scale is not finite and
            positive, or a zero point is no value of its type; or what it takes to run it has no bound, or is
            beyond `MODEL`.
    """
    model = schema.Model.GetRootAs(file)
    if (wrong := next(_wrong(model), None)) is not None:
        raise PocketfaceError(f"a damaged TFLite file: {wrong}")
    values = work = 0
    for graph in _listed(model, "Subgraphs"):
        shapes = [tuple(_all(tensor.ShapeAsNumpy()).tolist()) for tensor in _listed(graph, "Tensors")]
        values += sum(map(math.prod, shapes))
        seen = sum(math.prod(shapes[place]) for place in _all(graph.InputsAsNumpy()).tolist())
        if seen > MODEL.picture:
            raise PocketfaceError(f"too_large: sees {seen:,} numbers; at most {MODEL.picture:,} are shown")
        for operator in _listed(graph, "Operators"):
            work += _work(model, graph, operator, shapes)
    if values > MODEL.values:
        raise PocketfaceError(f"too_large: tensors of {values:,} values; at most {MODEL.values:,} are held")
    if work > MODEL.work:
        raise PocketfaceError(f"too_large: {work:,} operations for one face; at most {MODEL.work:,} are done")


def _wrong(model: schema.Model) -> Iterator[str]:
    buffers, codes = model.BuffersLength(), model.OperatorCodesLength()
    if None in map(_kind, _listed(model, "OperatorCodes")):
        yield "an unknown operator"
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
    least, greatest = INPUTS.get(str(kind), (1, len(inputs)))
    if not least <= len(inputs) <= greatest or not len(outputs):
        yield f"{kind} has {len(inputs)} inputs and {len(outputs)} outputs"
        return
    bias = OPTIONAL.get(str(kind), len(inputs))
    given = [*inputs[:bias], *(i for i in inputs[bias:] if i != -1), *outputs]
    yield from _outside("an operator", given, graph.TensorsLength())
    if kind in WEIGHTED:
        weights = graph.Tensors(inputs[1]) if len(inputs) > 1 and inputs[1] >= 0 else None
        if weights is None or weights.ShapeLength() != WEIGHTED[kind]:
            yield f"{kind} has no weights, or of another shape"
        if not graph.Tensors(outputs[0]).ShapeLength():
            yield f"{kind} writes a single value"


def _work(model: schema.Model, graph: schema.SubGraph, operator: schema.Operator, shapes: list[Shape]) -> int:
    """What an operator does for one face, in multiplications or numbers moved."""
    kind = str(_kind(model.OperatorCodes(operator.OpcodeIndex())))
    if kind not in INPUTS:
        raise PocketfaceError(f"operator {kind}: not run, for shapes do not tell its work; export it without")
    inputs = _all(operator.InputsAsNumpy())
    out = shapes[_all(operator.OutputsAsNumpy())[0]]
    ins: list[Shape] = [shapes[place] if place != -1 else () for place in inputs]
    if kind in GROWING:
        values = _constant(model, graph, inputs[GROWING[kind]]) if len(inputs) > GROWING[kind] else None
        if values is None:
            raise PocketfaceError(f"operator {kind}: not run, for the size of its output is no constant")
        made = math.prod(values) * (math.prod(ins[0]) if kind == "TILE" else 1)
        if kind in ("FILL", "BROADCAST_TO", "TILE") and made != math.prod(out):
            raise PocketfaceError(f"a damaged TFLite file: {kind} gives {made} values, not {out}")
    try:
        multiplied = WORK[kind](out, ins) if kind in WORK else 0
        if kind in OPTIONS:
            options = get_options_as(operator, OPTIONS[kind])
            if options is None or min(options.strideH, options.strideW) < 1:
                raise PocketfaceError(f"a damaged TFLite file: {kind} has no stride, or one below 1")
            if kind.endswith("POOL_2D"):
                window = min(options.filterHeight, ins[0][1]), min(options.filterWidth, ins[0][2])
                multiplied = math.prod(out) * math.prod(window)
    except (IndexError, ValueError):
        raise PocketfaceError(f"a damaged TFLite file: {kind} has an input of another shape") from None
    return multiplied + math.prod(out) + sum(map(math.prod, ins))


def _constant(model: schema.Model, graph: schema.SubGraph, place: int) -> list[int] | None:
    """The whole numbers of a tensor that stands in the file."""
    tensor = graph.Tensors(place) if place >= 0 else None
    dtype = {"INT32": "<i4", "INT64": "<i8"}.get(TYPES[tensor.Type()]) if tensor is not None else None
    held = _all(model.Buffers(tensor.Buffer()).DataAsNumpy()).tobytes() if tensor is not None else b""
    return np.frombuffer(held, dtype).tolist() if dtype and held and len(held) % int(dtype[-1]) == 0 else None


def _misnamed(names: list[bytes | None]) -> Iterator[str]:
    try:
        b" ".join(name or b"" for name in names).decode()
    except UnicodeDecodeError:
        yield "a name that is not UTF-8"


def _listed(table: object, name: str) -> Iterator:
    return (getattr(table, name)(place) for place in range(getattr(table, f"{name}Length")()))


def _all(numbers: np.ndarray | int) -> np.ndarray:
    """A vector; 0 is how the schema's code says that there is none."""
    return numbers if isinstance(numbers, np.ndarray) else np.empty(0, np.int32)


def _outside(whose: str, indices: list[int], count: int) -> Iterator[str]:
    if any(not 0 <= index < count for index in indices):
        yield f"{whose} names something that is not there"


def _wrong_numbers(tensor: schema.Tensor) -> Iterator[str]:
    if tensor.Type() not in TYPES:
        yield "a tensor has an unknown type"
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
