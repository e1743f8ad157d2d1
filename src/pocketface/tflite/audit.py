"""What a `.tflite` file really holds, read from its flatbuffer.

audit = read(Path("variants/expression/int8/model.tflite").read_bytes())
audit.weight_dtypes                    # {'INT8': 23464, 'INT32': 231}
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pocketface.errors import PocketfaceError
from pocketface.tflite.levels import Level

SMALL = 1024
"""Elements. Converters leave smaller weight tensors as they are."""

TYPES = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


@dataclass(frozen=True)
class Audit:
    """Counts over all tensors and operators of a file.

    Attributes:
        weight_dtypes: tensor type -> elements held in constant tensors.
        large_weight_dtypes: tensor type -> constant tensors of 1,024 elements or more, but for biases (those
            of one dimension), which every level keeps at 32 bits.
        activation_dtypes: tensor type -> tensors that operators write, but for those that (de)quantize.
        operators: operator name -> count.
    """

    weight_dtypes: dict[str, int]
    large_weight_dtypes: dict[str, int]
    activation_dtypes: dict[str, int]
    operators: dict[str, int]


def read(model: bytes) -> Audit:
    """Reads a model file.

    Raises:
        PocketfaceError: the bytes are not a TFLite flatbuffer.
    """
    if model[4:8] != b"TFL3":
        raise PocketfaceError("not a TFLite file: the identifier TFL3 is missing")
    parsed = schema.ModelT.InitFromPackedBuf(model, 0)
    weights: Counter[str] = Counter()
    large: Counter[str] = Counter()
    activations: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    for graph in parsed.subgraphs:
        for tensor in graph.tensors:
            if _is_constant(parsed, tensor):
                elements = int(np.prod(tensor.shape)) if tensor.shape is not None else 1
                weights[TYPES[tensor.type]] += elements
                large[TYPES[tensor.type]] += elements >= SMALL and len(tensor.shape) > 1
        for operator in graph.operators:
            name = _operator_name(parsed.operatorCodes[operator.opcodeIndex])
            operators[name] += 1
            if name not in {"QUANTIZE", "DEQUANTIZE"}:
                activations.update(TYPES[graph.tensors[i].type] for i in operator.outputs)
    return Audit(dict(weights), dict(+large), dict(activations), dict(operators))


def check(audit: Audit, level: Level) -> None:
    """Fails a file that does not hold what its level's name says.

    Raises:
        PocketfaceError: a large weight, or an activation, has another type.
    """
    if wrong := sorted(set(audit.large_weight_dtypes) - {level.weights}):
        raise PocketfaceError(f"level {level.name} should hold {level.weights} weights, the file has {wrong}")
    if wrong := sorted(set(audit.activation_dtypes) - {level.activations}):
        raise PocketfaceError(
            f"level {level.name} should compute in {level.activations}, the file also has {wrong}"
        )


def _is_constant(model: schema.ModelT, tensor: schema.TensorT) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _operator_name(code: schema.OperatorCodeT) -> str:
    return OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
