"""Running the published decoder of synthetic faces."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pocketface.core.errors import PocketfaceError, refusing
from pocketface.synthetic.conditions import WIDTH

FILE = "decoder.tflite"


class Decoder:
    """The `decoder.tflite` of a published folder, on one thread, so that the same noise gives the same bytes.

    Attributes:
        latent: how many numbers of noise it takes.

    Raises:
        PocketfaceError: the file is missing, damaged, or takes something else.
    """

    def __init__(self, folder: Path):
        path = Path(folder) / FILE
        if not path.is_file():
            raise PocketfaceError(
                f"{path}: no such file; it is in the repository and in the installed package"
            )
        with refusing(f"{path}: not a runnable TFLite model", ValueError, RuntimeError):
            self._interpreter = Interpreter(model_path=str(path), num_threads=1)
            self._interpreter.allocate_tensors()
            self._signature = self._interpreter.get_signature_runner()
        ports = self._signature.get_input_details()
        shapes = {name: tuple(int(n) for n in port["shape"]) for name, port in ports.items()}
        if set(shapes) != {"noise", "condition"} or shapes["condition"] != (1, WIDTH):
            raise PocketfaceError(f"{path}: takes {shapes}, not noise and a condition of {WIDTH}")
        self.latent = shapes["noise"][1]

    def __call__(self, noise: np.ndarray, conditions: np.ndarray) -> np.ndarray:
        """Faces, uint8 `[N, 56, 56, 3]`, RGB, from noise `[N, latent]` and conditions `[N, WIDTH]`."""
        pairs = zip(noise.astype(np.float32)[:, None], conditions.astype(np.float32)[:, None], strict=True)
        drawn = [self._signature(noise=one, condition=condition)["face"][0] for one, condition in pairs]
        return np.rint(np.stack(drawn)).astype(np.uint8)
