"""How the pixels of a network were prepared, tried out on labelled pictures.

A wrong guess costs more accuracy than any quantization. Of twelve usual settings the one with the best
answers is taken, and it is said whether the next best is worse by more than chance (McNemar's exact test).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from pocketface.bring.heads import Spoken, Understood, answered, matched, understood, words
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import NUMBERS
from pocketface.importing.network import Network
from pocketface.layers.backbones import IMAGENET_DEVIATION, IMAGENET_MEAN
from pocketface.layers.own import Preprocess
from pocketface.metrics.confidence import mcnemar
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.run import loaded

VGGFACE_MEAN = (129.1863, 104.7624, 93.5940)
"""RGB, of pixels in 0..255: Parkhi, Vedaldi, Zisserman, 2015."""
CAFFE_MEAN = (123.68, 116.779, 103.939)
SCALES: dict[str, dict[str, object]] = {
    "0..255": {},
    "0..1": {"scale": 1 / 255},
    "-1..1": {"scale": 1 / 127.5, "offset": -1.0},
    "ImageNet mean, std": {"mean": IMAGENET_MEAN, "std": IMAGENET_DEVIATION},
    "ImageNet mean (Caffe)": {"mean": CAFFE_MEAN},
    "VGG-Face mean": {"mean": VGGFACE_MEAN},
}
BATCH = 64
SURE = 0.05
FAR = 25.0
"""Years by which an age counts as wholly wrong, where settings are compared."""


@dataclass(frozen=True)
class Tried:
    """A setting and how it did.

    Attributes:
        name: e.g. `BGR, -1..1`.
        heads: what its outputs were taken to mean.
        scores: head -> share of right answers, or mean error in years.
        right: float `[M]`, every label of every head: 1 if it was answered, 0 if not; an age between.
    """

    name: str
    preprocess: Preprocess
    heads: Mapping[str, Understood]
    scores: Mapping[str, float]
    right: np.ndarray

    @property
    def rank(self) -> float:
        """Greater is better."""
        return float(self.right.mean())


def settings(channels: int) -> dict[str, Preprocess]:
    """Name -> setting: twelve of colour, six of grey pictures."""
    found = {}
    for order in ("rgb", "bgr") if channels == 3 else ("rgb",):
        for name, scale in SCALES.items():
            given = {key: _channels(value, order, channels) for key, value in scale.items()}
            label = f"{order.upper()}, {name}" if channels == 3 else name
            found[label] = Preprocess.model_validate(given | {"order": order})
    return found


def find(
    network: Network, pixels: np.ndarray, truths: pd.DataFrame, said: Sequence[Spoken] = ()
) -> list[Tried]:
    """Tries every setting, the best first.

    Args:
        network: as read.
        pixels: uint8 `[N, H, W, C]`, RGB, raw.
        truths: N rows, a column a label.
        said: what is known of its heads.

    Raises:
        PocketfaceError: no output can be matched with a label.
    """
    outputs = matched(network.outputs, truths, said)
    told = {spoken.head: spoken for spoken in said}
    answer = runner(network, pixels.shape[1:])
    tried = []
    trying = tqdm(settings(pixels.shape[-1]).items(), desc="settings", disable=None, leave=False)
    for name, preprocess in trying:
        values = answer(preprocess.apply(pixels))
        heads = {
            head: understood(head, output, values[output], truths[head], told.get(head, Spoken(head)))
            for head, output in outputs.items()
        }
        tried.append(_scored(name, preprocess, heads, values, truths))
    return sorted(tried, key=lambda setting: setting.rank, reverse=True)


def surely(tried: Sequence[Tried]) -> float:
    """The probability that the next best setting did so much worse by chance.

    By pictures of which one setting alone is right, or nearer to the age: McNemar's exact test, which is the
    sign test of ages.
    """
    better, worse = tried[0].right > tried[1].right, tried[0].right < tried[1].right
    return mcnemar(better, worse) if better.sum() > worse.sum() else 1.0


def runner(network: Network, shape: Sequence[int]) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """A function from prepared pictures float32 `[N, H, W, C]` to the network's outputs `[N, K]`."""
    if network.call is not None:
        image = keras.Input((shape[2], *shape[:2]) if network.channels_first else tuple(shape))
        model = keras.Model(image, dict(network.call(image)))

        def of_keras(pictures: np.ndarray) -> dict[str, np.ndarray]:
            seen = pictures.transpose(0, 3, 1, 2) if network.channels_first else pictures
            parts = [model.predict_on_batch(seen[i : i + BATCH]) for i in range(0, len(seen), BATCH)]
            found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            return {name: values.reshape(len(pictures), -1) for name, values in found.items()}

        return of_keras
    assert network.file is not None
    interpreter = loaded(TFLiteFile(network.file))
    signature = interpreter.get_signature_list()
    place = interpreter.get_input_details()[0]["index"]
    details = interpreter.get_output_details()
    called = interpreter.get_signature_runner() if signature else None

    def of_file(pictures: np.ndarray) -> dict[str, np.ndarray]:
        seen = pictures.transpose(0, 3, 1, 2) if network.channels_first else pictures
        rows: dict[str, list[np.ndarray]] = {name: [] for name in network.outputs}
        for picture in np.ascontiguousarray(seen):
            if called is not None:
                answers = called(**{next(iter(called.get_input_details())): picture[None]})
            else:
                interpreter.set_tensor(place, picture[None])
                interpreter.invoke()
                answers = {output["name"]: interpreter.get_tensor(output["index"]) for output in details}
            for name in rows:
                rows[name].append(answers[name].reshape(-1))
        return {name: np.stack(values) for name, values in rows.items()}

    return of_file


def _scored(
    name: str,
    preprocess: Preprocess,
    heads: Mapping[str, Understood],
    values: Mapping[str, np.ndarray],
    truths: pd.DataFrame,
) -> Tried:
    scores, right = {}, []
    for head, meant in heads.items():
        truth = words(truths[head])
        known = truth.notna().to_numpy()
        answers = answered(meant.own, head, values[str(meant.own.output)])[known]
        if head in NUMBERS:
            errors = np.abs(answers - truth[known].to_numpy(float))
            scores[head], hits = float(errors.mean()), 1 - np.minimum(errors, FAR) / FAR
        else:
            hits = answers == truth[known].to_numpy(object)
            scores[head] = float(hits.mean())
        right.append(hits.astype(float))
    if not sum(map(len, right)):
        raise PocketfaceError("no picture has a label that the model answers")
    return Tried(name, preprocess, heads, scores, np.concatenate(right))


def _channels(value: object, order: str, channels: int) -> object:
    """A value a channel, in the order of the network; of grey pictures their mean."""
    if not isinstance(value, tuple):
        return value
    if channels == 1:
        return float(np.mean(value))
    return value[::-1] if order == "bgr" else value
