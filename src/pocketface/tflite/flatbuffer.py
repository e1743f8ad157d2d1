"""A `.tflite` file as objects: parsed, looked at, changed, written again."""

import re
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from pocketface.cards import Meaning
from pocketface.core.errors import PocketfaceError
from pocketface.tflite import meaning, sound, versions
from pocketface.tflite.sound import IDENTIFIER, OPERATORS, TYPES, WEIGHTED

MIN_RUNTIME = b"min_runtime_version"
"""Name of the metadata: the oldest TensorFlow whose runtime can run the file, in 16 bytes."""


@dataclass(frozen=True)
class Operator:
    """One operator of a file.

    Attributes:
        kind: e.g. `CONV_2D`.
        name: of the (first) tensor that it writes; it names the operator in recipes and tables.
        weights: elements in its constant tensors.
        macs: multiply-accumulate operations, of convolutions and dense layers.
    """

    kind: str
    name: str
    weights: int
    macs: int


def parse(file: bytes) -> schema.ModelT:
    """Parses a file, after LiteRT has verified that every offset in it is sound, and we its numbers.

    Raises:
        PocketfaceError: the bytes are not a TFLite flatbuffer, or it is not sound.
    """
    sound.begins(file)
    try:
        Interpreter(model_content=file)
    except (ValueError, RuntimeError) as error:
        raise PocketfaceError(f"not a TFLite file, or a damaged one: {str(error).splitlines()[0]}") from None
    sound.check(file)
    return flatbuffer_utils.read_model_from_bytearray(bytearray(file))


def bound(file: bytes, meant: Meaning) -> bytes:
    """The same model, which says what it means, see `pocketface.tflite.meaning`.

    Raises:
        PocketfaceError: as `parse` and `serialize`.
    """
    model = parse(file)
    _set_metadata(model, meaning.NAME, meaning.said(meant))
    return serialize(model)


def serialize(model: schema.ModelT) -> bytes:
    """The bytes of a model, its weights inside the flatbuffer.

    The LiteRT quantizer puts them behind it, where TensorFlow Lite Micro does not look: it then computes
    with whatever it finds, and says nothing. Versions that are below the true ones are raised.

    Raises:
        PocketfaceError: an operator's version is not known, see `pocketface.tflite.versions`.
    """
    _declare(model)
    builder = _Sharing(1024)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


class _Sharing(flatbuffers.Builder):
    """Writes equal vectors of int64 once, and points to them from everywhere.

    A channel's zero point takes eight bytes in its weights and eight in its bias, and is 0: written out, that
    is 6% of an int8 MobileNet.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[bytes, int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        if x.dtype != np.int64:
            return int(super().CreateNumpyVector(x))
        if x.tobytes() not in self._written:
            self._written[x.tobytes()] = int(super().CreateNumpyVector(x))
        return self._written[x.tobytes()]


def operators(model: schema.ModelT) -> list[Operator]:
    """The operators of all subgraphs, in order of execution."""
    return [
        Operator(
            kind=kind(model, operator),
            name=text(graph.tensors[operator.outputs[0]].name),
            weights=sum(elements(t) for t in _inputs(graph, operator) if is_constant(model, t)),
            macs=_macs(model, graph, operator),
        )
        for graph in model.subgraphs
        for operator in graph.operators
    ]


def kind(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """The operator's type, e.g. `CONV_2D`."""
    code = model.operatorCodes[operator.opcodeIndex]
    return OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]


def is_constant(model: schema.ModelT, tensor: schema.TensorT) -> bool:
    """Whether a tensor's values stand in the file."""
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def elements(tensor: schema.TensorT) -> int:
    """How many values a tensor has."""
    return int(np.prod(tensor.shape)) if tensor.shape is not None else 1


def text(name: bytes | str) -> str:
    """A tensor's name; the parser leaves bytes."""
    return name.decode() if isinstance(name, bytes) else name


def min_runtime(model: schema.ModelT) -> str:
    """The oldest TensorFlow whose runtime can run a file, as the file says; 0 where it says nothing.

    Raises:
        PocketfaceError: it says something else.
    """
    buffer = _metadata(model, MIN_RUNTIME)
    said = b"" if buffer is None else bytes(buffer.data).rstrip(b"\0")
    if not re.fullmatch(rb"(\d{1,9}(\.\d{1,9})*)?", said):
        raise PocketfaceError(f"a damaged TFLite file: {said!r} is no version of a runtime")
    return said.decode() or "0"


def understated(model: schema.ModelT) -> list[str]:
    """What a file says of its versions that is below the truth; nothing if it tells the truth."""
    return list(dict.fromkeys(_understated(model)))


def _understated(model: schema.ModelT) -> Iterator[str]:
    said = min_runtime(model)
    for graph, operator in _operators(model):
        name, code = kind(model, operator), model.operatorCodes[operator.opcodeIndex]
        try:
            need = _need(model, graph, operator)
        except PocketfaceError as error:
            yield str(error)
            continue
        if code.version < need.version:
            yield f"{name} is declared as version {code.version} and needs {need.version}"
        if versions.order(said) < versions.order(need.runtime):
            yield f"{name} needs runtime {need.runtime}, and the file says {said}"
        if need.guarded and not _guarded(model):
            yield f"{name} needs {' version '.join(map(str, versions.GUARD))} in the list of operators"


def _declare(model: schema.ModelT) -> None:
    """Raises what a model says of its versions to what its operators need."""
    runtime = min_runtime(model)
    for graph, operator in _operators(model):
        need, code = _need(model, graph, operator), model.operatorCodes[operator.opcodeIndex]
        code.version = max(code.version, need.version)
        code.deprecatedBuiltinCode = min(max(code.builtinCode, code.deprecatedBuiltinCode), 127)
        runtime = max(runtime, need.runtime, key=versions.order)
        if need.guarded and not _guarded(model):
            name, version = versions.GUARD
            builtin = getattr(schema.BuiltinOperator, name)
            model.operatorCodes.append(schema.OperatorCodeT(min(builtin, 127), None, version, builtin))
    _set_metadata(model, MIN_RUNTIME, runtime.encode().ljust(16, b"\0"))


def _set_metadata(model: schema.ModelT, name: bytes, content: bytes) -> None:
    buffer = _metadata(model, name)
    if buffer is None:
        buffer = schema.BufferT()
        model.metadata = [*(model.metadata or []), schema.MetadataT(name, len(model.buffers))]
        model.buffers.append(buffer)
    buffer.data = np.frombuffer(content, np.uint8)


def _metadata(model: schema.ModelT, name: bytes) -> schema.BufferT | None:
    found = (model.buffers[entry.buffer] for entry in model.metadata or [] if entry.name == name)
    return next((buffer for buffer in found if buffer.data is not None), None)


def _operators(model: schema.ModelT) -> Iterator[tuple[schema.SubGraphT, schema.OperatorT]]:
    return ((graph, operator) for graph in model.subgraphs for operator in graph.operators)


def _guarded(model: schema.ModelT) -> bool:
    return any((OPERATORS[code.builtinCode], code.version) == versions.GUARD for code in model.operatorCodes)


def _need(model: schema.ModelT, graph: schema.SubGraphT, operator: schema.OperatorT) -> versions.Need:
    """Of an operator: by the type of its first input that is no constant, and of its weights."""
    name, inputs = kind(model, operator), list(_inputs(graph, operator))
    data = next((tensor for tensor in inputs if not is_constant(model, tensor)), inputs[0])
    data = graph.tensors[operator.outputs[0]] if name == "QUANTIZE" else data
    types = TYPES[data.type]
    if name in WEIGHTED:
        weights = graph.tensors[operator.inputs[1]]
        types += f" x {TYPES[weights.type]}" if weights.type != data.type else ""
        types += versions.PER_CHANNEL if _per_channel(name, weights) else ""
    return versions.needed(name, types)


def _per_channel(kind: str, weights: schema.TensorT) -> bool:
    """Whether each output channel has its own scale."""
    channels = weights.shape[3 if kind == "DEPTHWISE_CONV_2D" else 0]
    scale = None if weights.quantization is None else weights.quantization.scale
    return scale is not None and len(scale) == channels


def own(model: schema.ModelT, operator: schema.OperatorT, place: int) -> schema.TensorT:
    """An operator's constant input, made its own: equal ones, biases of nought above all, are stored once."""
    graph = model.subgraphs[0]
    index = int(operator.inputs[place])
    tensor = graph.tensors[index]
    readers = sum(int(i) == index for other in graph.operators for i in other.inputs)
    holders = sum(other.buffer == tensor.buffer for other in graph.tensors)
    if readers == holders == 1:
        return tensor
    tensor, buffer = copy(tensor), copy(model.buffers[tensor.buffer])
    tensor.buffer, tensor.quantization = len(model.buffers), copy(tensor.quantization)
    model.buffers.append(buffer)
    operator.inputs = [*operator.inputs[:place], len(graph.tensors), *operator.inputs[place + 1 :]]
    graph.tensors.append(tensor)
    return tensor


def _inputs(graph: schema.SubGraphT, operator: schema.OperatorT) -> Iterator[schema.TensorT]:
    return (graph.tensors[i] for i in operator.inputs if i >= 0)


def _macs(model: schema.ModelT, graph: schema.SubGraphT, operator: schema.OperatorT) -> int:
    """A weight tensor is `[out, h, w, in]`, `[1, h, w, out]` of a depthwise convolution, or `[out, in]`."""
    name = kind(model, operator)
    if name not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
        return 0
    written, weight = graph.tensors[operator.outputs[0]].shape, graph.tensors[operator.inputs[1]]
    positions = int(np.prod(written[1:-1]))
    return positions * elements(weight)
