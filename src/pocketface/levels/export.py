"""From a trained model to its float32 file, once: all levels are made from what stands here.

Beside the file stand the Keras model's answers to the parity faces, and the model itself as data (its layers
as JSON, its weights) for the levels that TensorFlow makes.
"""

import shutil
from pathlib import Path

import numpy as np

from pocketface.cards import MODEL_FILE, ModelCard, read_card, write_card
from pocketface.core.errors import PocketfaceError, first_line
from pocketface.core.files import written_whole
from pocketface.faces import calibrate
from pocketface.levels.converter import to_tflite
from pocketface.levels.source import ANSWERS, FLOAT32, NETWORK, WEIGHTS
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.run import tried
from pocketface.training.fit import load

PARITY_FACES = 200
"""Train faces on which a file's answers are compared with the trained model's."""


def export(trained: Path, views: Path, out: Path) -> ModelCard:
    """Exports a trained or fetched model from the folder with its weights and card, and that of its faces.

    One that cannot be converted leaves a card with the status `failed`, without a file.

    Raises:
        PocketfaceError: the trained model or the calibration faces cannot be loaded; the disk is full.
    """
    card = read_card(trained, ModelCard)
    with written_whole(out, folder=True) as partial:
        if card.status == "ok":
            faces = calibrate.load(views).first(PARITY_FACES).pixels
            brought = trained / MODEL_FILE  # of a network that came as a file, see `importing.own`
            if brought.is_file():
                file = TFLiteFile.read(tried(brought))
                (partial / FLOAT32).write_bytes(file.content)
                np.savez(partial / ANSWERS, **file.answers(faces))  # type: ignore[arg-type] # NumPy's stubs
            else:
                model = load(card, trained)
                try:
                    (partial / FLOAT32).write_bytes(to_tflite(model).content)
                    np.savez(partial / ANSWERS, **model.predict(faces.astype(np.float32), verbose=0))
                    (partial / NETWORK).write_text(model.to_json(), encoding="utf-8")
                    shutil.copyfile(trained / WEIGHTS, partial / WEIGHTS)
                except PocketfaceError as error:
                    card = card.model_copy(update={"status": "failed", "reason": first_line(error)})
        write_card(partial, card)
    return card
