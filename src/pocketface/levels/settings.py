"""How a quantization level is made."""

from typing import Annotated, Literal

from pydantic import Field

from pocketface.core.settings import Count, LearningRate, Strict


class LevelSettings(Strict):
    """Settings of one quantization level; those that a level has no use for change nothing.

    Attributes:
        calibration: number of train faces that the ranges of integer activations are measured on.
        ranges: how they are chosen, see `pocketface.levels.ranges`.
        per_channel: whether every output channel of a weight tensor has its own scale.
        rounding: of the weights: each to the nearest step, or so that the answers to the calibration faces
            change least, see `pocketface.levels.rounding`, as `int4_weights` and `int16x8` always are.
        max_drop: of `mixed_int8`: metric -> how much worse than float32 it may be, in years or as a share;
            by default 0.05 years and 0.003.
        epochs, learning_rate: of `qat_int8`'s fine-tuning.
    """

    calibration: Annotated[int, Field(ge=1, le=500)] = 100
    ranges: Literal["minmax", "percentile", "mse"] = "minmax"
    per_channel: bool = True
    rounding: Literal["nearest", "gptq"] = "nearest"
    max_drop: dict[str, Annotated[float, Field(ge=0, le=1000)]] = {}
    epochs: Count = 5
    learning_rate: LearningRate = 1e-4
