"""A `.tflite` file: what it holds, says and answers, parsed once; and how a changed one is written.

file = TFLiteFile.read(Path("variants/expression/int8/model.tflite"))
file.weight_dtypes                     # {'INT8': 23464, 'INT32': 231}
file.ports["image"].scale              # 1.0
changed = file.copy()                  # a schema.ModelT of one's own
TFLiteFile.write(changed).answers(faces)
"""

import re
from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from pocketface.cards import Port
from pocketface.core.budget import MODEL
from pocketface.core.errors import PocketfaceError, first_line
from pocketface.core.files import read_bytes
from pocketface.tflite import sound, versions
from pocketface.tflite.sound import IDENTIFIER, LIMITS, OPERATORS, TYPES, WEIGHTED

MIN_RUNTIME = b"min_runtime_version"
"""Name of the metadata: the oldest TensorFlow whose runtime can run the file, in 16 bytes."""

SMALL = 1024
"""Elements. Converters leave smaller weight tensors as they are."""

BETWEEN = {"QUANTIZE", "DEQUANTIZE"}
"""Operators that only change types; what they write is no computed activation."""

Range = tuple[float, float]
"""The least and the greatest value."""


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


@dataclass(frozen=True)
class TFLiteFile:
    """The bytes of a file, parsed once.

    All but `content` raise a `PocketfaceError` if the bytes are no TFLite file, or one that is not sound.
    """

    content: bytes = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> "TFLiteFile":
        """The file at a path; a `PocketfaceError` if it cannot be read."""
        try:
            return cls(read_bytes(Path(path), MODEL.bytes))
        except OSError as error:
            raise PocketfaceError(
                f"{path}: cannot be read ({error.strerror}); a model is a variant's folder or a .tflite file"
            ) from None

    @classmethod
    def write(cls, model: schema.ModelT) -> "TFLiteFile":
        """The file of a model, its weights inside the flatbuffer.

        The LiteRT quantizer puts them behind it, where TensorFlow Lite Micro does not look: it then computes
        with whatever it finds, and says nothing. Versions that are below the true ones are raised.

        Raises:
            PocketfaceError: an operator's version is not known, see `pocketface.tflite.versions`.
        """
        _declare(model)
        builder = _Sharing(1024)
        builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
        return cls(bytes(builder.Output()))

    def interpreter(self, **options: Any) -> Interpreter:
        """An interpreter of LiteRT, which has verified every offset in the file, and we its numbers.

        Raises:
            PocketfaceError: it is no file with a graph, or a number is not sound.
            ValueError, RuntimeError: what LiteRT says of others that it refuses.
        """
        sound.begins(self.content)
        made = Interpreter(model_content=self.content, **options)
        _ = self._sound  # raises; an assertion would be left out by `python -O`
        return made

    @cached_property
    def _sound(self) -> bool:
        sound.check(self.content)
        return True

    @cached_property
    def model(self) -> schema.ModelT:
        """The parsed file, to be read only."""
        return self.copy()

    def copy(self) -> schema.ModelT:
        """The parsed file, to be changed."""
        self._verify()
        model = flatbuffer_utils.read_model_from_bytearray(bytearray(self.content))
        for buffer in model.buffers:
            if isinstance(buffer.data, bytearray):  # which would be written byte by byte
                buffer.data = np.frombuffer(buffer.data, np.uint8)
        return model

    def _verify(self) -> None:
        try:
            self.interpreter()
        except (ValueError, RuntimeError) as error:
            raise PocketfaceError(f"not a TFLite file, or a damaged one: {first_line(error)}") from None

    def metadata(self, name: bytes) -> bytes | None:
        """What stands in the file under a name, if anything."""
        self._verify()
        root = schema.Model.GetRootAs(self.content)  # a large file is not parsed for this
        entries = (root.Metadata(place) for place in range(root.MetadataLength()))
        buffers = (root.Buffers(entry.Buffer()) for entry in entries if entry.Name() == name)
        return next((b.DataAsNumpy().tobytes() if b.DataLength() else b"" for b in buffers), None)

    @cached_property
    def operators(self) -> list[Operator]:
        """The operators of all subgraphs, in order of execution."""
        return [_operator(self.model, graph, operator) for graph, operator in _operators(self.model)]

    @property
    def kinds(self) -> dict[str, int]:
        """Operator name -> count."""
        return dict(Counter(operator.kind for operator in self.operators))

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations for one face."""
        return sum(operator.macs for operator in self.operators)

    @cached_property
    def weight_dtypes(self) -> dict[str, int]:
        """Tensor type -> elements held in constant tensors."""
        found: dict[str, int] = {}
        for tensor in self._tensors(constant=True):
            found[TYPES[tensor.type]] = found.get(TYPES[tensor.type], 0) + elements(tensor)
        return found

    @cached_property
    def large_weight_dtypes(self) -> dict[str, int]:
        """Tensor type -> constant tensors of 1,024 elements or more, but for biases (one dimension)."""
        large = (t for t in self._tensors(constant=True) if elements(t) >= SMALL and len(t.shape) > 1)
        return dict(Counter(TYPES[tensor.type] for tensor in large))

    @cached_property
    def overflown(self) -> list[str]:
        """The float16 constants with numbers beyond 65,504, which were made infinite."""
        halves = (t for t in self._tensors(constant=True) if t.type == schema.TensorType.FLOAT16)
        return [text(half.name) for half in halves if not np.isfinite(values(self.model, half)).all()]

    @cached_property
    def activation_dtypes(self) -> dict[str, int]:
        """Tensor type -> tensors that operators write, but for those that (de)quantize."""
        written = (
            graph.tensors[i]
            for graph, operator in _operators(self.model)
            if kind(self.model, operator) not in BETWEEN
            for i in operator.outputs
        )
        return dict(Counter(TYPES[tensor.type] for tensor in written))

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """Quantized activation tensor -> the values that it can hold."""
        found = {}
        for tensor in self._tensors(constant=False):
            if (port := _port(tensor)).scale is not None and port.zero_point is not None:
                ends = (port.scale * (end - port.zero_point) for end in LIMITS[port.dtype])
                found[text(tensor.name)] = next(ends), next(ends)
        return found

    @cached_property
    def inputs(self) -> dict[str, Port]:
        """Name in the signature -> type, scale and zero point."""
        return {name: _port(tensor) for name, tensor in self._signature("inputs").items()}

    @cached_property
    def outputs(self) -> dict[str, Port]:
        """As `inputs`."""
        return {name: _port(tensor) for name, tensor in self._signature("outputs").items()}

    @property
    def ports(self) -> dict[str, Port]:
        """Inputs and outputs."""
        return self.inputs | self.outputs

    @property
    def places(self) -> dict[str, int]:
        """Head -> place of its output: Micro knows outputs by their place only."""
        graph = self.model.subgraphs[0]
        tensors = {id(graph.tensors[index]): place for place, index in enumerate(graph.outputs)}
        return {name: tensors[id(tensor)] for name, tensor in self._signature("outputs").items()}

    @property
    def image(self) -> str:
        """The name of the input's tensor."""
        graph = self.model.subgraphs[0]
        return text(graph.tensors[graph.inputs[0]].name)

    @property
    def min_runtime(self) -> str:
        """The oldest TensorFlow whose runtime can run it, as the file says; 0 where it says nothing."""
        return _min_runtime(self.model)

    @cached_property
    def understated(self) -> list[str]:
        """What the file says of its versions that is below the truth, see `pocketface.tflite.versions`."""
        return list(dict.fromkeys(_understated(self.model)))

    def answers(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """What it answers for faces `[N, H, W, C]`, raw 0..255: head -> float32 `[N, K]`."""
        from pocketface.tflite.run import Runner

        return Runner(self)(pixels)

    def _tensors(self, constant: bool) -> Iterator[schema.TensorT]:
        tensors = (tensor for graph in self.model.subgraphs for tensor in graph.tensors)
        return (tensor for tensor in tensors if is_constant(self.model, tensor) is constant)

    def _signature(self, side: str) -> dict[str, schema.TensorT]:
        places = getattr(self.model.signatureDefs[0], side) if self.model.signatureDefs else []
        return {text(place.name): self.model.subgraphs[0].tensors[place.tensorIndex] for place in places}


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


def text(name: bytes | str | None) -> str:
    """A tensor's name; the parser leaves bytes, or nothing."""
    return name.decode() if isinstance(name, bytes) else name or ""


def values(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray:
    """The values that a constant tensor stores, in its shape."""
    data = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.uint8)
    if tensor.type == schema.TensorType.INT4:  # two a byte, the first in the lower half
        halves = data.view(np.int8)
        stored = np.stack([halves << 4 >> 4, halves >> 4], 1).ravel()[: elements(tensor)]
    else:
        stored = data.view(TYPES[tensor.type].lower())
    return stored.reshape(tensor.shape)


def store(model: schema.ModelT, tensor: schema.TensorT, new: np.ndarray) -> None:
    """Puts other values of its type into a constant tensor."""
    if tensor.type == schema.TensorType.INT4:
        halves = np.append(new.ravel(), [0] * (new.size % 2)).astype(np.int8).view(np.uint8) & 15
        data = halves[::2] | halves[1::2] << 4
    else:
        data = np.frombuffer(new.astype(TYPES[tensor.type].lower()).tobytes(), np.uint8)
    model.buffers[tensor.buffer].data = data


def own(model: schema.ModelT, operator: schema.OperatorT, place: int) -> schema.TensorT:
    """An operator's constant input, made its own: equal ones, biases of 0 above all, are stored once."""
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


def _operators(model: schema.ModelT) -> Iterator[tuple[schema.SubGraphT, schema.OperatorT]]:
    return ((graph, operator) for graph in model.subgraphs for operator in graph.operators)


def _inputs(graph: schema.SubGraphT, operator: schema.OperatorT) -> Iterator[schema.TensorT]:
    return (graph.tensors[i] for i in operator.inputs if i >= 0)


def _operator(model: schema.ModelT, graph: schema.SubGraphT, operator: schema.OperatorT) -> Operator:
    """Weights are `[out, h, w, in]`, `[1, h, w, out]` of a depthwise convolution, or `[out, in]`."""
    name, written, macs = kind(model, operator), graph.tensors[operator.outputs[0]], 0
    if name in WEIGHTED:  # all weights at each place of the output, or of a transposed convolution's input
        across = graph.tensors[operator.inputs[2]] if name == "TRANSPOSE_CONV" else written
        macs = int(np.prod(across.shape[:-1])) * elements(graph.tensors[operator.inputs[1]])
    weights = sum(elements(t) for t in _inputs(graph, operator) if is_constant(model, t))
    return Operator(name, text(written.name), weights, macs)


def _port(tensor: schema.TensorT) -> Port:
    parameters = tensor.quantization
    if parameters is None or parameters.scale is None or len(parameters.scale) != 1:
        return Port(dtype=TYPES[tensor.type])
    scale, zero_point = float(parameters.scale[0]), int(parameters.zeroPoint[0])
    return Port(dtype=TYPES[tensor.type], scale=scale, zero_point=zero_point)


def _metadata(model: schema.ModelT, name: bytes) -> schema.BufferT | None:
    found = (model.buffers[entry.buffer] for entry in model.metadata or [] if entry.name == name)
    return next((buffer for buffer in found if buffer.data is not None), None)


def set_metadata(model: schema.ModelT, name: bytes, content: bytes) -> None:
    """Has a model say something under a name."""
    buffer = _metadata(model, name)
    if buffer is None:
        buffer = schema.BufferT()
        model.metadata = [*(model.metadata or []), schema.MetadataT(name, len(model.buffers))]
        model.buffers.append(buffer)
    buffer.data = np.frombuffer(content, np.uint8)


def _min_runtime(model: schema.ModelT) -> str:
    buffer = _metadata(model, MIN_RUNTIME)
    said = b"" if buffer is None else bytes(buffer.data).rstrip(b"\0")
    if not re.fullmatch(rb"(\d{1,9}(\.\d{1,9})*)?", said):
        raise PocketfaceError(f"a damaged TFLite file: {said!r} is no version of a runtime")
    return said.decode() or "0"


def _understated(model: schema.ModelT) -> Iterator[str]:
    said = _min_runtime(model)
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
    """Raises what a model says of its versions to what its operators need, and names the operators in both
    places: the LiteRT quantizer reads the new one alone, which old converters leave at 0, `ADD`.
    """
    runtime = _min_runtime(model)
    for graph, operator in _operators(model):
        need, code = _need(model, graph, operator), model.operatorCodes[operator.opcodeIndex]
        code.version = max(code.version, need.version)
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        runtime = max(runtime, need.runtime, key=versions.order)
        if need.guarded and not _guarded(model):
            name, version = versions.GUARD
            builtin = getattr(schema.BuiltinOperator, name)
            model.operatorCodes.append(schema.OperatorCodeT(min(builtin, 127), None, version, builtin))
    set_metadata(model, MIN_RUNTIME, runtime.encode().ljust(16, b"\0"))


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
    channels = weights.shape[3 if kind == "DEPTHWISE_CONV_2D" else 0]
    scale = None if weights.quantization is None else weights.quantization.scale
    return scale is not None and len(scale) == channels
