"""Running a `.tflite` file with LiteRT.

    runner = Runner(Path("variants/expression/int8/model.tflite"), threads=2)
    answers = runner(pixels)               # {'expression': float32 [N, 7]}

The kernels are LiteRT's defaults on a CPU (XNNPACK, named in every figure as `KERNELS`).

A file may take and give integers: `Runner` applies the scale and zero point that the file declares, so that
pixels go in and meaning comes out at every level.
"""

import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tqdm import tqdm

from pocketface.core.errors import PocketfaceError

Answers = dict[str, np.ndarray]
"""Head -> float32 `[N, K]`."""

KERNELS = "LiteRT CPU, XNNPACK"

Kernels = Literal["xnnpack", "own", "reference"]
RESOLVERS = {
    "xnnpack": OpResolverType.AUTO,
    "own": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}
"""Kernels: XNNPACK's where it has them; LiteRT's own; LiteRT's plain ones that define what is right."""


class Runner:
    """One loaded model.

    Args:
        path: a `.tflite` file with one named signature, input `image` `[1, H, W, C]`.
        threads: CPU threads.
        kernels: a name in `RESOLVERS`.

    Raises:
        PocketfaceError: the file is not a model, or its tensors cannot be allocated.
    """

    def __init__(self, path: Path, threads: int = 1, kernels: Kernels = "xnnpack"):
        try:
            self._interpreter = Interpreter(
                model_path=str(path),
                num_threads=threads,
                experimental_op_resolver_type=RESOLVERS[kernels],
            )
            self._interpreter.allocate_tensors()
            self._signature = self._interpreter.get_signature_runner()
        except (ValueError, RuntimeError) as error:
            raise PocketfaceError(f"{path}: not a runnable TFLite model ({error})") from None
        details = self._signature.get_input_details()
        if list(details) != ["image"]:
            raise PocketfaceError(f"{path}: its inputs are {sorted(details)}, not ['image']")
        self.port = details["image"]
        self.path = Path(path)
        self.input_shape: tuple[int, ...] = tuple(int(n) for n in self.port["shape"][1:])
        self.input_dtype = np.dtype(self.port["dtype"])
        self._outputs = self._signature.get_output_details()
        self.outputs = {
            name: tuple(int(n) for n in output["shape"][1:]) for name, output in self._outputs.items()
        }

    def one(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """The answers for one picture `[H, W, C]`, raw 0..255: head -> float32 `[K]`."""
        answers = self._signature(image=quantized(image[None], self.port))
        return {name: dequantized(answer[0], self._outputs[name]) for name, answer in answers.items()}

    def __call__(self, images: np.ndarray, progress: str | None = None) -> dict[str, np.ndarray]:
        """The answers for a stack of pictures.

        Args:
            images: `[N, H, W, C]`, raw 0..255.
            progress: a label for a progress bar; none without it.

        Returns:
            head -> float32 `[N, K]`.
        """
        if images.shape[1:] != self.input_shape:
            raise PocketfaceError(
                f"{self.path}: wants faces of {self.input_shape}, was given {tuple(images.shape[1:])}"
            )
        answers = {name: np.empty((len(images), *shape), np.float32) for name, shape in self.outputs.items()}
        for i, image in enumerate(tqdm(images, desc=progress, disable=progress is None, unit="face")):
            for name, answer in self.one(image).items():
                answers[name][i] = answer
        return answers


def quantized(pixels: np.ndarray, port: dict[str, Any]) -> np.ndarray:
    """Raw pixels 0..255 as an input takes them; `port` is its details, as LiteRT gives them."""
    if port["dtype"] == np.float32:
        return pixels.astype(np.float32)
    scale, zero_point = port["quantization"]
    limits = np.iinfo(port["dtype"])
    return np.clip(np.rint(pixels / scale) + zero_point, limits.min, limits.max).astype(port["dtype"])


def dequantized(answer: np.ndarray, port: dict[str, Any]) -> np.ndarray:
    """An output as float32, in its own unit."""
    if port["dtype"] == np.float32:
        return np.asarray(answer, np.float32)
    scale, zero_point = port["quantization"]
    return (answer.astype(np.float32) - zero_point) * np.float32(scale)


def answers(file: bytes, pixels: np.ndarray) -> Answers:
    """What the bytes of a file answer for faces `[N, H, W, C]`: head -> float32 `[N, K]`."""
    with tempfile.NamedTemporaryFile(suffix=".tflite") as opened:
        opened.write(file)
        opened.flush()
        return Runner(Path(opened.name))(pixels)
