"""Which version of an operator a file has to name, so that a runtime that would misread it refuses it.

The versions are TensorFlow's (`op_version.cc` and `runtime_version.cc` in
tensorflow/compiler/mlir/lite/tools/versioning). Where these let a runtime answer wrongly or crash, they are
higher, and the runtime is the first that was seen to take the version: `benchmarks/old_runtimes.py`.
"""

from typing import NamedTuple

from pocketface.core.errors import PocketfaceError


class Need(NamedTuple):
    """What an operator needs.

    Attributes:
        version: of the operator.
        runtime: the oldest TensorFlow (or tflite-runtime) that knows it. ai-edge-litert counts on its own:
            1.0 knows what 2.18 does, 1.1 what 2.19 does.
        guarded: whether its own version is not enough, and the file has to name `GUARD`, too.
    """

    version: int
    runtime: str
    guarded: bool = False


GUARD = ("DYNAMIC_UPDATE_SLICE", 3)
"""An operator that runtimes know from 2.19.0 on. A runtime refuses a file whose operator codes have one
that it does not know, even if no operator of the file uses it."""


def _plain(*needs: Need) -> dict[str, Need]:
    return dict(zip(("FLOAT32", "INT8", "INT16"), needs, strict=False))


FLOATS = ("FLOAT32", "INT32", "INT64", "BOOL")
"""What a float32 file holds (integers are shapes and axes) and TensorFlow's converter declares truly."""

PER_CHANNEL = " per channel"

TABLE: dict[str, dict[str, Need]] = {
    "ABS": _plain(Need(1, "1.13.0"), Need(2, "2.4.0"), Need(3, "2.5.0")),
    "ADD": _plain(Need(1, "1.5.0"), Need(2, "1.14.0"), Need(3, "2.4.0")),
    "AVERAGE_POOL_2D": _plain(Need(1, "1.5.0"), Need(2, "1.14.0"), Need(3, "2.3.0")),
    "BATCH_MATMUL": _plain(Need(1, "2.3.0"), Need(2, "2.3.0"), Need(3, "2.4.0")),
    "CONCATENATION": _plain(Need(1, "1.5.0"), Need(2, "1.14.0"), Need(3, "2.3.0")),
    "CONV_2D": _plain(Need(1, "1.5.0"), Need(3, "1.14.0"))
    | {
        "FLOAT32 x INT8": Need(5, "2.4.0"),
        # Version 1 by TensorFlow's rule. Runtimes 2.12 to 2.18 answer anything, and 2.18 knows all versions.
        "FLOAT32 x INT4": Need(8, "2.19.0", guarded=True),
        "INT16 x INT8": Need(8, "2.15.0"),
    },
    "DEPTHWISE_CONV_2D": _plain(Need(1, "1.5.0"), Need(3, "1.14.0"))
    # With one scale for all channels (`per_channel: false`) every runtime answers anything, the newest too.
    | {"FLOAT32 x INT8 per channel": Need(6, "2.3.0"), "INT16 x INT8": Need(5, "2.3.0")},
    "DEPTH_TO_SPACE": _plain(Need(1, "2.1.0"), Need(2, "2.5.0")),
    # Of a float16 constant; TensorFlow's converter declares it.
    "DEQUANTIZE": {"FLOAT16": Need(3, "1.15.0"), "INT8": Need(2, "1.14.0"), "INT16": Need(3, "1.15.0")},
    "DIV": _plain(Need(1, "1.6.0"), Need(2, "2.20.0")),
    "ELU": _plain(Need(1, "1.14.0")),
    "EXP": _plain(Need(1, "1.7.0"), Need(2, "2.12.0"), Need(2, "2.12.0")),
    "EXPAND_DIMS": _plain(Need(1, "1.10.0"), Need(1, "1.10.0"), Need(1, "1.10.0")),
    "FULLY_CONNECTED": _plain(Need(1, "1.5.0"), Need(4, "1.14.0"))
    | {
        # Version 4 by TensorFlow's rule. Runtimes up to 2.9.1 scale every channel by the first one's scale.
        "INT8 per channel": Need(10, "2.13.0"),
        "FLOAT32 x INT8": Need(9, "2.3.0"),
        "FLOAT32 x INT8 per channel": Need(12, "2.17.0"),
        # Version 1 by TensorFlow's rule. Runtime 2.13 crashes.
        "FLOAT32 x INT4": Need(12, "2.17.0"),
        "FLOAT32 x INT4 per channel": Need(12, "2.17.0"),
        "INT16 x INT8": Need(11, "2.15.0"),
        "INT16 x INT8 per channel": Need(11, "2.15.0"),
    },
    "GELU": _plain(Need(1, "2.9.0"), Need(2, "2.9.0"), Need(2, "2.20.0")),
    "HARD_SWISH": _plain(Need(1, "1.15.0"), Need(1, "1.15.0")),
    "LEAKY_RELU": _plain(Need(1, "1.13.1"), Need(1, "1.13.1"), Need(2, "2.3.0")),
    "LOGISTIC": _plain(Need(1, "1.14.0"), Need(2, "1.14.0"), Need(3, "2.3.0")),
    "MAXIMUM": _plain(Need(1, "1.14.0"), Need(2, "1.14.0"), Need(4, "2.3.0")),
    "MAX_POOL_2D": _plain(Need(1, "1.5.0"), Need(2, "1.14.0"), Need(3, "2.3.0")),
    "MEAN": _plain(Need(1, "1.6.0"), Need(2, "1.14.0"), Need(3, "2.4.0")),
    "MINIMUM": _plain(Need(1, "1.14.0"), Need(2, "1.14.0"), Need(4, "2.3.0")),
    "MIRROR_PAD": _plain(Need(1, "1.13.1"), Need(2, "2.3.0"), Need(3, "2.12.0")),
    # Of int8, 2 would do where the operands' scales multiply to less than the product's.
    "MUL": _plain(Need(1, "1.5.0"), Need(3, "1.15.0"), Need(4, "2.3.0")),
    "PACK": _plain(Need(1, "1.11.0"), Need(2, "1.14.0"), Need(3, "2.3.0")),
    "PAD": _plain(Need(1, "1.5.0"), Need(2, "1.14.0"), Need(3, "2.4.0")),
    "PADV2": _plain(Need(1, "1.9.0"), Need(2, "1.14.0"), Need(3, "2.4.0")),
    "PRELU": _plain(Need(1, "1.8.0"), Need(1, "1.8.0")),
    "QUANTIZE": {"INT8": Need(1, "1.14.0"), "UINT8": Need(1, "1.14.0"), "INT16": Need(2, "1.15.0")},
    "REDUCE_MAX": _plain(Need(1, "1.11.0"), Need(2, "1.14.0"), Need(3, "2.5.0")),
    "RELU": _plain(Need(1, "1.5.0"), Need(2, "2.1.0"), Need(3, "2.5.0")),
    "RELU6": _plain(Need(1, "1.5.0"), Need(2, "1.14.0"), Need(3, "2.5.0")),
    "RELU_0_TO_1": _plain(Need(1, "2.10.0"), Need(1, "2.10.0")),
    "RELU_N1_TO_1": _plain(Need(1, "1.5.0"), Need(1, "1.5.0")),
    "RESHAPE": _plain(Need(1, "1.5.0"), Need(1, "1.5.0"), Need(1, "1.5.0")),
    "RESIZE_BILINEAR": _plain(Need(1, "1.7.0"), Need(2, "1.14.0"), Need(4, "2.5.0")),
    "RESIZE_NEAREST_NEIGHBOR": _plain(Need(1, "1.13.1"), Need(2, "1.14.0"), Need(4, "2.4.0")),
    "RSQRT": _plain(Need(1, "1.10.0"), Need(2, "2.5.0"), Need(3, "2.15.0")),
    "SLICE": _plain(Need(1, "1.14.0"), Need(2, "1.14.0"), Need(4, "2.4.0")),
    "SOFTMAX": _plain(Need(1, "1.5.0"), Need(2, "1.14.0"), Need(3, "2.3.0")),
    "SPACE_TO_DEPTH": _plain(Need(1, "1.5.0"), Need(2, "1.14.0")),
    "SPLIT": _plain(Need(1, "1.5.0"), Need(2, "1.14.0"), Need(4, "2.3.0")),
    "SQUARED_DIFFERENCE": _plain(Need(1, "1.13.1"), Need(2, "2.5.0")),
    "SQUEEZE": _plain(Need(1, "1.6.0"), Need(1, "1.6.0"), Need(1, "1.6.0")),
    "STRIDED_SLICE": _plain(Need(1, "1.6.0"), Need(2, "1.14.0"), Need(4, "2.2.0")),
    "SUB": _plain(Need(1, "1.6.0"), Need(2, "1.14.0"), Need(5, "2.4.0")),
    # Of int16 it is wrong up to 2.19, at every version.
    "SUM": _plain(Need(1, "1.10.0"), Need(2, "1.15.0")),
    "TANH": _plain(Need(1, "1.14.0"), Need(2, "1.14.0"), Need(3, "2.3.0")),
    "TILE": _plain(Need(1, "1.10.1"), Need(3, "2.8.0"), Need(3, "2.8.0")),
    "TRANSPOSE": _plain(Need(1, "1.6.0"), Need(2, "1.14.0"), Need(5, "2.4.0")),
    "TRANSPOSE_CONV": _plain(Need(1, "1.9.0"), Need(2, "2.2.0"))
    | {"FLOAT32 x INT8": Need(3, "2.18.0"), "INT16 x INT8": Need(5, "2.15.0")},
    "UNPACK": _plain(Need(1, "1.11.0"), Need(2, "1.14.0"), Need(4, "2.3.0")),
}
"""Operator -> what it computes on -> what it needs. `A x B`: activations of A and stored weights of B."""


def needed(kind: str, types: str) -> Need:
    """What an operator needs.

    Args:
        kind: e.g. `CONV_2D`.
        types: what it computes on, as the keys of `TABLE` say it. What is true of all weights stands without
            `PER_CHANNEL`.

    Raises:
        PocketfaceError: it is not known.
    """
    known = TABLE.get(kind, {}) if types not in FLOATS else {types: Need(1, "1.5.0")} | TABLE.get(kind, {})
    for key in (types, types.removesuffix(PER_CHANNEL)):
        if key in known:
            return known[key]
    raise PocketfaceError(
        f"no version of {kind} is known to compute {types}: a file that uses it could be misread by an old "
        f"runtime; add it to {__name__}.TABLE, or leave the operator in float (level mixed_int8)"
    )


def order(runtime: str) -> tuple[int, ...]:
    """A runtime's version, to be compared."""
    return tuple(int(part) for part in runtime.split("."))
