"""Quantization levels, named for what they do.

A level *is* what its file must hold: types of weights, activations, inputs and outputs, checked on every file
by `pocketface.tflite.audit`. How the file is made follows from that and from `maker`, see
`pocketface.tflite.convert`. To add a level: an entry in `LEVELS` and a line under `levels:` in params.

TensorFlow's converter makes the levels it does well. The others are made from its float32 file by the LiteRT
quantizer, which its authors recommend instead; ours measures the activations' ranges itself, see
`pocketface.tflite.ranges`. Where the quantizer lacks an operator, the converter is asked again.
"""

from dataclasses import dataclass
from typing import Literal

Maker = Literal["converter", "quantizer", "search", "finetuning"]


@dataclass(frozen=True)
class Level:
    """One level; types are those of the TFLite schema.

    Attributes:
        name: as in params and folders.
        summary: what it does, for tables and help.
        maker: `converter`: TensorFlow's; `quantizer`: LiteRT's; `search`: the quantizer, with the layers
            that need it left in float; `finetuning`: the quantizer, on weights and ranges that were trained
            for it.
        weights: types a weight tensor of 1,024 elements or more may have; the first must occur.
        activations: types of what flows between operators; the first must occur.
        input, output: what a caller hands over and gets.
        refined: whether weights are rounded so that answers change least, see `pocketface.tflite.rounding`.
    """

    name: str
    summary: str
    maker: Maker
    weights: tuple[str, ...]
    activations: tuple[str, ...]
    input: str = "FLOAT32"
    output: str = "FLOAT32"
    refined: bool = False

    @property
    def calibrated(self) -> bool:
        """Whether it needs faces to measure the ranges of activations."""
        return self.activations[0] in INTEGERS


INTEGERS = ("INT8", "INT16")

LEVELS = {
    level.name: level
    for level in (
        Level("float32", "as trained", "converter", ("FLOAT32",), ("FLOAT32",)),
        Level(
            "float16",
            "half-precision weights, float32 arithmetic",
            "converter",
            ("FLOAT16",),
            ("FLOAT32",),
        ),
        Level(
            "dynamic_int8",
            "int8 weights, float activations quantized while running",
            "converter",
            ("INT8",),
            ("FLOAT32",),
        ),
        Level("int8", "int8 weights and activations, float in and out", "quantizer", ("INT8",), ("INT8",)),
        Level(
            "int8_io",
            "integers only: int8 pixels (less 128) in, int8 out",
            "quantizer",
            ("INT8",),
            ("INT8",),
            input="INT8",
            output="INT8",
        ),
        Level(
            "uint8_io",
            "integers only: uint8 pixels in; float32 out",
            "quantizer",
            ("INT8",),
            ("INT8",),
            input="UINT8",
        ),
        # The quantizer's own does not run: LiteRT refuses how it scales the operands of an ADD.
        Level(
            "int16x8",
            "int8 weights, int16 activations",
            "converter",
            ("INT8",),
            ("INT16",),
            refined=True,
        ),
        Level(
            "int4_weights",
            "int4 weights, float activations quantized while running",
            "quantizer",
            ("INT4",),
            ("FLOAT32",),
            refined=True,
        ),
        Level(
            "mixed_int8",
            "int8 but for the layers that cost too much accuracy, which stay float32",
            "search",
            ("INT8", "FLOAT32"),
            ("INT8", "FLOAT32"),
        ),
        Level("qat_int8", "int8, fine-tuned to be quantized", "finetuning", ("INT8",), ("INT8",)),
    )
}
