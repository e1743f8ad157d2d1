"""Quantization levels, named for what they do, and how each is made.

A level is what its file must hold, checked on every file by `Level.check`; its recipe makes the file. To add
one: an entry in `LEVELS` and a line under `levels:` in params, see docs/extend.md.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocketface.core.errors import PocketfaceError
from pocketface.levels.recipes import Made, converted, exported, finetuned, for_answers, quantized, searched

if TYPE_CHECKING:
    from pocketface.levels.recipes import Recipe
    from pocketface.levels.settings import LevelSettings
    from pocketface.levels.source import Source
    from pocketface.tflite.file import TFLiteFile


@dataclass(frozen=True)
class Level:
    """One level; types are those of the TFLite schema.

    Attributes:
        name: as in params and folders.
        summary: what it does, for tables and help.
        recipe: makes the file from a model's float32 file, its faces, and where it must be its Keras model.
        weights: types a weight tensor of 1,024 elements or more may have; the first must occur.
        activations: types of what flows between operators; the first must occur.
        input, output: what a caller hands over and gets.
    """

    name: str
    summary: str
    recipe: "Recipe"
    weights: tuple[str, ...]
    activations: tuple[str, ...]
    input: str = "FLOAT32"
    output: str = "FLOAT32"

    @property
    def calibrated(self) -> bool:
        """Whether it needs faces to measure the ranges of activations."""
        return self.activations[0] in ("INT8", "INT16")

    def make(self, source: "Source", settings: "LevelSettings") -> Made:
        """The file of a model at this level, not audited yet.

        Raises:
            PocketfaceError: the level cannot be made of this model.
        """
        return self.recipe(source, self, settings)

    def check(self, file: "TFLiteFile") -> None:
        """Fails a file that does not hold what the level's name says.

        Raises:
            PocketfaceError: a large weight, an activation, the input or an output has another type, or the
                file says that it runs where it is misread.
        """
        if file.understated:
            raise PocketfaceError(f"level {self.name}: {'; '.join(file.understated)}")
        if file.overflown:
            raise PocketfaceError(f"level {self.name}: float16 cannot hold all of {file.overflown[0]}")
        inputs, outputs = ([port.dtype for port in ports.values()] for ports in (file.inputs, file.outputs))
        for what, held, wanted in (
            ("weights", file.large_weight_dtypes, self.weights),
            ("activations", file.activation_dtypes, self.activations),
            ("inputs", inputs, (self.input,)),
            ("outputs", outputs, (self.output,)),
        ):
            if set(held) - set(wanted) or (held and wanted[0] not in held):
                raise PocketfaceError(
                    f"level {self.name} should have {' and '.join(wanted)} {what}, "
                    f"the file has {sorted(set(held))}"
                )


FLOAT, INT4, INT8, INT16 = (("FLOAT32",), ("INT4",), ("INT8",), ("INT16",))
LEVELS = {
    level.name: level
    for level in (
        Level("float32", "as trained", exported, FLOAT, FLOAT),
        Level("float16", "half-precision weights, float32 arithmetic", quantized, ("FLOAT16",), FLOAT),
        Level(
            "dynamic_int8", "int8 weights, float activations quantized while running", quantized, INT8, FLOAT
        ),
        Level("int8", "int8 weights and activations, float in and out", quantized, INT8, INT8),
        Level(
            "int8_io",
            "integers only: int8 pixels (less 128) in, int8 out",
            quantized,
            INT8,
            INT8,
            "INT8",
            "INT8",
        ),
        Level("uint8_io", "integers only: uint8 pixels in; float32 out", quantized, INT8, INT8, "UINT8"),
        # The quantizer's own does not run: LiteRT refuses how it scales the operands of an ADD.
        Level("int16x8", "int8 weights, int16 activations", for_answers(converted), INT8, INT16),
        Level(
            "int4_weights",
            "int4 weights (int8 in depthwise convolutions), float activations quantized while running",
            for_answers(quantized),
            weights=INT4 + INT8,
            activations=FLOAT,
        ),
        Level(
            "mixed_int8",
            "int8 but for the layers that cost too much accuracy, which stay float32",
            searched,
            weights=INT8 + FLOAT,
            activations=INT8 + FLOAT,
        ),
        Level("qat_int8", "int8, fine-tuned to be quantized", finetuned, INT8, INT8),
    )
}
