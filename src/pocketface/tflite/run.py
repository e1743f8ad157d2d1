"""Running a `.tflite` file with LiteRT: pixels go in and meaning comes out at every level, by the scales and
zero points that the file declares."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tqdm import tqdm

import pocketface
from pocketface.cards import Port
from pocketface.core import outs
from pocketface.core.budget import MODEL, Apart
from pocketface.core.errors import PocketfaceError, first_line, located, refusing
from pocketface.core.threads import per_thread
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.sound import LIMITS

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
PACKAGE = Path(pocketface.__file__).parent
OURS = (outs.VARIANTS, outs.WEIGHTS, PACKAGE / outs.WEIGHTS, PACKAGE.parents[1] / outs.WEIGHTS)
"""Folders of models that this repository or this package brings."""


def tried(path: Path) -> Path:
    """The same path, after a file that is not of `OURS` was opened and run once in another process.

    LiteRT's kernels end the process at some operands that they do not expect, whatever is checked before.

    Raises:
        PocketfaceError: that process crashed, or took too long.
    """
    if any(path.resolve().is_relative_to(place.resolve()) for place in OURS):
        return path
    try:
        with suppress(PocketfaceError):  # of whoever opens it here
            _apart(_opened, path.absolute())
    except TimeoutError:
        raise PocketfaceError(f"{path}: timeout: to run it once takes over {MODEL.seconds:.0f} s") from None
    except (ChildProcessError, MemoryError) as error:
        raise PocketfaceError(f"{path}: a damaged TFLite file: LiteRT crashes at it ({error})") from None
    return path


def _opened(path: Path) -> None:
    once(TFLiteFile.read(path))


def once(file: TFLiteFile) -> None:
    """Runs a file on zeros, by its signature if it has one.

    Raises:
        PocketfaceError: it is not sound, or LiteRT refuses it.
    """
    with refusing("not a runnable TFLite model", ValueError, RuntimeError):
        interpreter = loaded(file)
        if interpreter.get_signature_list():
            run = interpreter.get_signature_runner()
            run(**{name: _zeros(port) for name, port in run.get_input_details().items()})
            return
        for port in interpreter.get_input_details():
            interpreter.set_tensor(port["index"], _zeros(port))
        interpreter.invoke()


def _zeros(port: dict[str, Any]) -> np.ndarray:
    return np.zeros(port["shape"], port["dtype"])


_apart = Apart(MODEL.seconds, MODEL.memory)


def loaded(file: TFLiteFile, threads: int = 1, kernels: Kernels = "xnnpack") -> Interpreter:
    """An interpreter of a file, its tensors allocated; one of somebody else's is `tried` before.

    Raises:
        PocketfaceError: the file is not sound, see `TFLiteFile.interpreter`.
        ValueError, RuntimeError: what LiteRT says of others that it refuses.
    """
    interpreter = file.interpreter(num_threads=threads, experimental_op_resolver_type=RESOLVERS[kernels])
    declared = _shapes(interpreter)
    interpreter.allocate_tensors()
    if not declared.items() <= _shapes(interpreter).items():
        # LiteRT goes on, and writes behind the smaller one.
        raise PocketfaceError("a damaged TFLite file: a shape is not what its operator gives")
    return interpreter


class Runner:
    """One loaded model; each thread that runs it has an interpreter of its own.

    Args:
        file: a `.tflite` file with one named signature, input `image` `[1, H, W, C]`, or its path.
        threads: CPU threads.
        kernels: a name in `RESOLVERS`.

    Attributes:
        file, path: of the model; `model.tflite` if only the file was given.
        input_shape: `(H, W, C)`.
        outputs: head -> shape of its answer for one face.
        ports: `image` and the heads, as the file declares them.

    Raises:
        PocketfaceError: the file cannot be read or is not a model, its tensors cannot be allocated, or it is
            not sound or takes too much to run, see `pocketface.tflite.sound`.
    """

    def __init__(self, file: Path | TFLiteFile, threads: int = 1, kernels: Kernels = "xnnpack"):
        path = self.path = Path("model.tflite") if isinstance(file, TFLiteFile) else Path(file)
        self.file = file if isinstance(file, TFLiteFile) else TFLiteFile.read(path)
        self._signature = per_thread(lambda: loaded(self.file, threads, kernels).get_signature_runner())
        with located(path), refusing("not a runnable TFLite model", ValueError, RuntimeError):
            signature = self._signature()
        details, outputs = signature.get_input_details(), signature.get_output_details()
        if list(details) != ["image"]:
            raise PocketfaceError(f"{path}: its inputs are {sorted(details)}, not ['image']")
        self.input_shape: tuple[int, ...] = tuple(int(n) for n in details["image"]["shape"][1:])
        self.outputs = {name: tuple(int(n) for n in output["shape"][1:]) for name, output in outputs.items()}
        with located(path):
            self.ports = {name: _port(name, port) for name, port in (details | outputs).items()}

    def one(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """The answers for one picture `[H, W, C]`, raw 0..255: head -> float32 `[K]`.

        Raises:
            PocketfaceError: an operator fails.
        """
        try:
            answers = self._signature()(image=quantized(image[None], self.ports["image"]))
        except (ValueError, RuntimeError) as error:
            raise PocketfaceError(f"{self.path}: cannot be run ({first_line(error)})") from None
        return {name: dequantized(answer[0], self.ports[name]) for name, answer in answers.items()}

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
        told = tqdm(images, desc=progress, disable=progress is None, leave=None, unit="face")
        for i, image in enumerate(told):
            for name, answer in self.one(image).items():
                answers[name][i] = answer
        return answers


def _shapes(interpreter: Interpreter) -> dict[int, tuple[int, ...]]:
    """Tensor -> its shape: as the file declares it, and once allocated as the operators give it."""
    return {tensor["index"]: tuple(tensor["shape"]) for tensor in interpreter.get_tensor_details()}


def _port(name: str, details: dict[str, Any]) -> Port:
    dtype = np.dtype(details["dtype"])
    if dtype == np.float32:
        return Port(dtype="FLOAT32")
    scale, zero_point = details["quantization"]
    if dtype.name.upper() not in LIMITS or not scale:
        raise PocketfaceError(f"{name} is {dtype.name} without one scale")
    return Port(dtype=dtype.name.upper(), scale=float(scale), zero_point=int(zero_point))


def quantized(pixels: np.ndarray, port: Port) -> np.ndarray:
    """Raw pixels 0..255 as an input takes them."""
    if port.scale is None or port.zero_point is None:
        return pixels.astype(np.float32)
    stored = np.rint(pixels / port.scale) + port.zero_point
    return np.clip(stored, *LIMITS[port.dtype]).astype(port.dtype.lower())


def dequantized(answer: np.ndarray, port: Port) -> np.ndarray:
    """An output as float32, in its own unit."""
    if port.scale is None or port.zero_point is None:
        return np.asarray(answer, np.float32)
    return (answer.astype(np.float32) - port.zero_point) * np.float32(port.scale)
