"""Whether a runtime answers a file as LiteRT does: it can be loaded, run, and be misread without a word.

XNNPACK is compared with LiteRT's own kernels; of TensorFlow Lite Micro see `pocketface.micro`.
"""

import numpy as np

from pocketface.cards import Runtime
from pocketface.core.errors import PocketfaceError
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.run import Answers, Runner

XNNPACK, BUILTIN, MICRO = "LiteRT, XNNPACK", "LiteRT, own kernels", "TFLite Micro"

CLOSE = 0.05
"""Share of the largest answer. Kernels round differently."""


def check(file: TFLiteFile, faces: np.ndarray) -> dict[str, Runtime]:
    """Runs a file with both kinds of LiteRT's kernels.

    Args:
        file: what is run.
        faces: uint8 `[N, H, W, C]`; one tells whether it runs, and equal answers on many that it runs right.

    Returns:
        Runtime -> whether it runs, and why not.
    """
    try:
        own = Runner(file, kernels="own")(faces)
    except PocketfaceError as error:
        reason = _without(error)
        return {name: Runtime(runs=False, reason=reason) for name in (BUILTIN, XNNPACK)}
    try:
        xnnpack = compared(Runner(file)(faces), own)
    except PocketfaceError as error:
        xnnpack = Runtime(runs=False, reason=_without(error))
    return {BUILTIN: Runtime(runs=True, max_difference=0), XNNPACK: xnnpack}


def compared(answers: Answers, reference: Answers) -> Runtime:
    """What these answers say of the runtime that gave them."""
    worst = 0.0
    for head, expected in reference.items():
        difference = float(np.abs(answers[head] - expected).max())
        share = difference / max(1.0, float(np.abs(expected).max()))
        if not share <= CLOSE:
            return Runtime(runs=False, reason=f"runs, but answers {head} {difference:.3g} off")
        worst = max(worst, share)
    return Runtime(runs=True, max_difference=worst)


def _without(error: PocketfaceError) -> str:
    return str(error).removeprefix("model.tflite: ")
