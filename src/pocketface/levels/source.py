"""What a level is made from: `exported/MODEL`, written by `pocketface.levels.export`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pocketface.cards import ModelCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import made_by, read_text
from pocketface.core.labels import Output
from pocketface.faces import calibrate
from pocketface.faces.calibrate import Calibration
from pocketface.levels import ranges
from pocketface.tflite.file import Range, TFLiteFile

if TYPE_CHECKING:
    from keras import Model

    from pocketface.levels import Level
    from pocketface.levels.settings import LevelSettings

FLOAT32, ANSWERS, NETWORK, WEIGHTS = "float32.tflite", "answers.npz", "network.json", "model.weights.h5"


@dataclass(frozen=True)
class Source:
    """A model before it is quantized: head -> meaning, its file of level float32, train faces.

    Attributes:
        keras: gives the Keras model; imports TensorFlow. None of a network that came as a file of TFLite.
    """

    outputs: Mapping[str, Output]
    float32: TFLiteFile
    faces: Calibration
    keras: "Callable[[], Model] | None"

    @classmethod
    def load(cls, exported: Path, views: Path, threads: int | None = None) -> "Source":
        """Reads what `pocketface.levels.export` and `pocketface.faces.selection` left of a model.

        The bytes of a fine-tuned level depend on the number of TensorFlow's `threads`.

        Raises:
            PocketfaceError: a file is missing or damaged.
        """
        outputs, file = read_card(exported, ModelCard).outputs, TFLiteFile.read(exported / FLOAT32)
        model = partial(network, exported, threads) if (exported / NETWORK).is_file() else None
        return cls(outputs, file, calibrate.load(views), model)

    def network(self, level: "Level") -> "Model":
        """The Keras model, for a level that needs it.

        Raises:
            PocketfaceError: there is none, or it is damaged.
        """
        if self.keras is None:
            raise PocketfaceError(
                f"{level.name} is made of a model of Keras; this one came as a file of TFLite"
            )
        return self.keras()

    def measured(self, level: "Level", settings: "LevelSettings") -> dict[str, Range]:
        """The ranges of the activations of a level that has integer ones."""
        if not level.calibrated:
            return {}
        return ranges.measure(self.float32, self.faces.first(settings.calibration).pixels, settings.ranges)


def network(exported: Path, threads: int | None = None) -> "Model":
    """The Keras model of an exported one.

    Raises:
        PocketfaceError: it is missing or damaged.
    """
    import keras

    from pocketface.layers.heads import OWN_LAYERS
    from pocketface.training.runtime import limit_threads

    if threads is not None:
        limit_threads(threads)
    keras.utils.clear_session(free_memory=False)
    with made_by(f"export@{exported.name}", exported / WEIGHTS, f"the weights of {NETWORK}"):
        model = keras.models.model_from_json(read_text(exported / NETWORK), OWN_LAYERS)
        model.load_weights(exported / WEIGHTS)
    return model
