"""How MLflow loads a variant. This file is copied beside the model and needs nothing else of pocketface.

    model = mlflow.pyfunc.load_model("models:/pocketface-full-age@champion")
    model.predict({"image": faces})     # faces: uint8 [N, H, W, C], raw 0..255
    # {'age': float32 [N, 1] in years, 'gender': float32 [N, 2]}; data/card.json has the classes' names

No pickle: MLflow imports this file and calls `_load_pyfunc`. `pocketface.tflite.run` scales integer inputs
and outputs in the same way; a test holds the two together.
"""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter


class Model:
    """A `.tflite` file with one signature: input `image` `[1, H, W, C]`, outputs by name."""

    def __init__(self, path: Path) -> None:
        self._interpreter = Interpreter(model_path=str(path))
        self._run = self._interpreter.get_signature_runner()
        self._image = self._run.get_input_details()["image"]
        self._answers = self._run.get_output_details()

    def predict(self, faces: Any, params: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
        """The answers: name -> float32 `[N, K]`, for raw pixels `[N, H, W, C]` or `{"image": them}`."""
        images = np.asarray(faces["image"] if isinstance(faces, dict) else faces)
        rows = [self._run(image=_stored(image[None], self._image)) for image in images]
        return {
            name: np.stack([_meant(row[name][0], port) for row in rows])
            for name, port in self._answers.items()
        }


def _stored(pixels: np.ndarray, port: dict[str, Any]) -> np.ndarray:
    if port["dtype"] == np.float32:
        return pixels.astype(np.float32)
    scale, zero_point = port["quantization"]
    limits = np.iinfo(port["dtype"])
    return np.clip(np.rint(pixels / scale) + zero_point, limits.min, limits.max).astype(port["dtype"])


def _meant(answer: np.ndarray, port: dict[str, Any]) -> np.ndarray:
    if port["dtype"] == np.float32:
        return np.asarray(answer, np.float32)
    scale, zero_point = port["quantization"]
    return (answer.astype(np.float32) - zero_point) * np.float32(scale)


def _load_pyfunc(path: str) -> Model:
    """What MLflow calls with the folder of the model's data."""
    return Model(Path(path) / "model.tflite")
