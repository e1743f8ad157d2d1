"""Folders of variants, by default of the fixture `colour_model`, and pictures with a known answer."""

from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np

from pocketface.cards import MODEL_FILE, Meaning, VariantCard, write_card
from pocketface.core.labels import EXPRESSIONS, GENDERS, Output
from pocketface.faces.settings import Crop, Input
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.meaning import bound


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of an RGB picture uint8 `[H, W, 3]`."""
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()


def paint(path: Path, red: int, green: int, blue: int, side: int = 48) -> None:
    """Writes a picture of one colour; see `colour_model` for its answer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(np.full((side, side, 3), (red, green, blue), np.uint8)))


def card(**changes: object) -> VariantCard:
    """What there is to know of the colour model."""
    facts = {
        "model": "colour",
        "level": "float32",
        "architecture": "compact",
        "dataset": "none",
        "licence": "none",
        "crop": Crop(policy="one", margin=0.3, size=60),
        "input": Input(size=48, margin=0.1),
        "outputs": {
            "age": Output(kind="number", unit="years"),
            "gender": Output(kind="classes", labels=GENDERS),
            "expression": Output(kind="classes", labels=EXPRESSIONS),
        },
        **{"parameters": 0, "trainable_parameters": 0, "macs": 0},
        **{"size_bytes": 0, "sha256": "0" * 64},
    }
    return VariantCard.model_validate(facts | changes)


COLOUR = card()


def variant_folder(
    folder: Path, model: Path | TFLiteFile, meaning: Meaning = COLOUR, /, **changes: object
) -> Path:
    """A variant as `convert` leaves it: a model, and a card that says the same as its file.

    `changes` replace fields of the card, and not what the file says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = TFLiteFile.read(model) if isinstance(model, Path) else model
    file = bound(model, meaning).content
    (folder / MODEL_FILE).write_bytes(file)
    about = {"size_bytes": len(file), "sha256": sha256(file).hexdigest()}
    write_card(folder, card(**(dict(meaning) | about | changes)))
    return folder
