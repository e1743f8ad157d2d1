"""What a `.tflite` file really holds, read from its flatbuffer.

audit = read(Path("variants/expression/int8/model.tflite").read_bytes())
audit.weight_dtypes                    # {'INT8': 23464, 'INT32': 231}
"""

from collections import Counter
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from pocketface.cards import Port
from pocketface.core.errors import PocketfaceError
from pocketface.tflite import flatbuffer
from pocketface.tflite.flatbuffer import TYPES
from pocketface.tflite.levels import Level
from pocketface.tflite.ranges import Range
from pocketface.tflite.sound import LIMITS

SMALL = 1024
"""Elements. Converters leave smaller weight tensors as they are."""

BETWEEN = {"QUANTIZE", "DEQUANTIZE"}
"""Operators that only change types; what they write is no computed activation."""


@dataclass(frozen=True)
class Audit:
    """Counts over all tensors and operators of a file.

    Attributes:
        weight_dtypes: tensor type -> elements held in constant tensors.
        large_weight_dtypes: tensor type -> constant tensors of 1,024 elements or more, but for biases (those
            of one dimension), which every level keeps at 32 bits.
        activation_dtypes: tensor type -> tensors that operators write, but for those that (de)quantize.
        operators: operator name -> count.
        macs: multiply-accumulate operations for one face.
        inputs, outputs: name in the signature -> type, scale and zero point.
        ranges: quantized activation tensor -> the values that it can hold, least and greatest.
        min_runtime: the oldest TensorFlow whose runtime can run it, as the file says.
        understated: what it says of its versions that is below the truth, see `pocketface.tflite.versions`.
    """

    weight_dtypes: dict[str, int]
    large_weight_dtypes: dict[str, int]
    activation_dtypes: dict[str, int]
    operators: dict[str, int]
    macs: int
    inputs: dict[str, Port]
    outputs: dict[str, Port]
    ranges: dict[str, Range]
    min_runtime: str
    understated: list[str]


def read(file: bytes) -> Audit:
    """Reads a model file.

    Raises:
        PocketfaceError: the bytes are not a TFLite flatbuffer.
    """
    model = flatbuffer.parse(file)
    weights: Counter[str] = Counter()
    large: Counter[str] = Counter()
    activations: Counter[str] = Counter()
    ranges: dict[str, Range] = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if flatbuffer.is_constant(model, tensor):
                elements = flatbuffer.elements(tensor)
                weights[TYPES[tensor.type]] += elements
                large[TYPES[tensor.type]] += elements >= SMALL and len(tensor.shape) > 1
            elif (port := _port(tensor)).scale is not None:
                ranges[flatbuffer.text(tensor.name)] = _range(port)
        for operator in graph.operators:
            if flatbuffer.kind(model, operator) not in BETWEEN:
                activations.update(TYPES[graph.tensors[i].type] for i in operator.outputs)
    signature = model.signatureDefs[0] if model.signatureDefs else schema.SignatureDefT(inputs=[], outputs=[])
    operators = flatbuffer.operators(model)
    return Audit(
        dict(weights),
        dict(+large),
        dict(activations),
        dict(Counter(operator.kind for operator in operators)),
        sum(operator.macs for operator in operators),
        _ports(model, signature.inputs),
        _ports(model, signature.outputs),
        ranges,
        flatbuffer.min_runtime(model),
        flatbuffer.understated(model),
    )


def check(audit: Audit, level: Level) -> None:
    """Fails a file that does not hold what its level's name says.

    Raises:
        PocketfaceError: a large weight, an activation, the input or an output has another type, or it says
            that it runs where it is misread.
    """
    if audit.understated:
        raise PocketfaceError(f"level {level.name}: {'; '.join(audit.understated)}")
    _held(level.name, "weights", set(audit.large_weight_dtypes), level.weights)
    _held(level.name, "activations", set(audit.activation_dtypes), level.activations)
    _held(level.name, "inputs", {port.dtype for port in audit.inputs.values()}, (level.input,))
    _held(level.name, "outputs", {port.dtype for port in audit.outputs.values()}, (level.output,))


def _held(level: str, what: str, found: set[str], wanted: tuple[str, ...]) -> None:
    """Nothing but `wanted`, and the first of it where there is anything at all."""
    if found - set(wanted) or (found and wanted[0] not in found):
        raise PocketfaceError(
            f"level {level} should have {' and '.join(wanted)} {what}, the file has {sorted(found)}"
        )


def _ports(model: schema.ModelT, places: list[schema.TensorMapT]) -> dict[str, Port]:
    tensors = model.subgraphs[0].tensors
    return {flatbuffer.text(place.name): _port(tensors[place.tensorIndex]) for place in places}


def _port(tensor: schema.TensorT) -> Port:
    parameters = tensor.quantization
    if parameters is None or parameters.scale is None or len(parameters.scale) != 1:
        return Port(dtype=TYPES[tensor.type])
    return Port(
        dtype=TYPES[tensor.type],
        scale=float(parameters.scale[0]),
        zero_point=int(parameters.zeroPoint[0]),
    )


def _range(port: Port) -> Range:
    least, greatest = LIMITS[port.dtype]
    assert port.scale is not None and port.zero_point is not None
    return (least - port.zero_point) * port.scale, (greatest - port.zero_point) * port.scale
