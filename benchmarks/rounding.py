"""How the runtimes round: which of the two ways of `MultiplyByQuantizedMultiplier` each takes, per operator.

python benchmarks/rounding.py

An integer operator scales its 32-bit sums down to 8 bits with a fixed-point multiplier. gemmlowp's way rounds
twice, when it multiplies and when it shifts; the other rounds once. They differ in about one sum of a
thousand, by one step. Makes int8 files of a single dense layer and of a single convolution with random
weights, runs them on random pictures, and counts the stored outputs that are not what each way gives. Needs
`pip install 'pocketface[pipeline,micro]'`. See docs/deploy.md.
"""

import math
import tempfile
from pathlib import Path

import keras
import numpy as np
from ai_edge_litert.interpreter import OpResolverType

from micro import in_micro, litert, opened
from pocketface.core.errors import exit_cleanly
from pocketface.levels import LEVELS, ranges
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.tflite.run import quantized

SIDE, OUTPUTS, FACES = 16, 64, 400
KERNELS = {
    "LiteRT, reference kernels": OpResolverType.BUILTIN_REF,
    "LiteRT, own kernels": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}
OPERATORS = {"dense": "FULLY_CONNECTED", "convolution": "CONV_2D"}


@exit_cleanly
def main() -> None:
    """Prints a table: operator, scales, runtime, outputs, and how many differ from either way of rounding."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (FACES, SIDE, SIDE, 1), dtype=np.uint8)
    print("| operator | scales | runtime | outputs | not as rounded once | not as rounded twice |")
    print("| :-- | :-- | :-- | --: | --: | --: |")
    for operator, name in OPERATORS.items():
        float32 = to_tflite(layer(operator))
        measured = ranges.measure(float32, pictures[:100])
        for per_channel in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "model.tflite"
                made = quantize(float32, LEVELS["int8_io"], measured, per_channel)
                file.write_bytes(made.content)
                given = quantized(pictures, made.inputs["image"])
                scales = "per channel" if per_channel else "per tensor"
                out, *ways = expected(file, name, given)
                found = {
                    runtime: litert(file, [out], kernels, given)[out] for runtime, kernels in KERNELS.items()
                }
                found["TFLite Micro"] = in_micro(file, given, 1)[0]
                for runtime, stored in found.items():
                    unlike = [int((stored.reshape(FACES, -1) != way).sum()) for way in ways]
                    print(
                        f"| {operator} | {scales} | {runtime} | {stored.size} | {unlike[0]} | {unlike[1]} |"
                    )


def layer(operator: str) -> keras.Model:
    """One operator over a whole picture."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 1), name="image")
    scaled = image / 255
    if operator == "dense":
        flat = keras.layers.Flatten()(scaled)
        answer = keras.layers.Dense(OUTPUTS, bias_initializer="random_normal")(flat)
    else:
        convolution = keras.layers.Conv2D(OUTPUTS, SIDE, bias_initializer="random_normal")
        answer = keras.layers.Flatten()(convolution(scaled))
    return keras.Model(image, {"answer": answer})


def expected(file: Path, name: str, stored: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """The output's tensor, and what the operator should store, `[N, K]`: rounded once, and rounded twice."""
    runner = opened(file, OpResolverType.BUILTIN_REF)
    operator = next(op for op in runner._get_ops_details() if op["op_name"] == name)
    scales = {tensor["index"]: tensor["quantization_parameters"] for tensor in runner.get_tensor_details()}
    given, weights, bias = operator["inputs"][:3]
    (wanted,) = operator["outputs"]
    matrix = runner.get_tensor(weights).reshape(OUTPUTS, -1).astype(np.int64)
    seen = litert(file, [given], OpResolverType.BUILTIN_REF, stored)[given]
    seen = seen.reshape(len(stored), -1).astype(np.int64)
    sums = (seen - int(scales[given]["zero_points"][0])) @ matrix.T + runner.get_tensor(bias)
    factors = np.float64(scales[given]["scales"][0]) * scales[weights]["scales"].astype(np.float64)
    factors = np.broadcast_to(factors / np.float64(scales[wanted]["scales"][0]), OUTPUTS)
    zero = int(scales[wanted]["zero_points"][0])
    one, two = (
        np.stack([way(sums[:, i], factors[i]) for i in range(OUTPUTS)], axis=1) + zero
        for way in (once, twice)
    )
    out = runner.get_output_details()[0]["index"]
    return out, np.clip(one, -128, 127), np.clip(two, -128, 127)


def multiplier(factor: float) -> tuple[int, int]:
    """A factor below 1 as `m * 2**-31 * 2**-shift`."""
    fraction, exponent = math.frexp(factor)
    return round(fraction * 2**31), -exponent


def once(sums: np.ndarray, factor: float) -> np.ndarray:
    """One rounding, half upwards, of the whole product."""
    by, shift = multiplier(factor)
    return (sums * by + (1 << (30 + shift))) >> (31 + shift)


def twice(sums: np.ndarray, factor: float) -> np.ndarray:
    """gemmlowp: the doubled product's upper half, rounded; then the shift, rounded half away from zero."""
    by, shift = multiplier(factor)
    product = sums * by
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    rest = high & ((1 << shift) - 1)
    return (high >> shift) + (rest > (((1 << shift) - 1) >> 1) + (high < 0))


if __name__ == "__main__":
    main()
