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

from pocketface.bring.heads import Spoken, Understood, answered, matched, understood
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import NUMBERS, words
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
Answer = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From pictures to outputs by name."""
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
    return sorted(tried, key=lambda setting: float(setting.right.mean()), reverse=True)


def surely(tried: Sequence[Tried]) -> float:
    """The probability that the next best setting did so much worse by chance.

    By pictures of which one setting alone is right, or nearer to the age: McNemar's exact test, which is the
    sign test of ages.
    """
    better, worse = tried[0].right > tried[1].right, tried[0].right < tried[1].right
    return mcnemar(better, worse) if better.sum() > worse.sum() else 1.0


def runner(network: Network, shape: Sequence[int]) -> Answer:
    """A function from prepared pictures float32 `[N, H, W, C]` to the network's outputs `[N, K]`."""
    run, batch = (_of_keras(network, shape), BATCH) if network.file is None else (_of_file(network.file), 1)

    def answer(pictures: np.ndarray) -> dict[str, np.ndarray]:
        seen = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)) if network.channels_first else pictures
        parts = [run(seen[start : start + batch]) for start in range(0, len(seen), batch)]
        return {
            name: np.concatenate([part[name].reshape(-1, width) for part in parts])
            for name, width in network.outputs.items()
        }

    return answer


def _of_keras(network: Network, shape: Sequence[int]) -> Answer:
    assert network.call is not None
    image = keras.Input((shape[2], *shape[:2]) if network.channels_first else tuple(shape))
    return keras.Model(image, dict(network.call(image))).predict_on_batch


def _of_file(file: TFLiteFile) -> Answer:
    """Of one picture."""
    interpreter = loaded(file)
    if interpreter.get_signature_list():
        called = interpreter.get_signature_runner()
        (name,) = called.get_input_details()
        return lambda picture: called(**{name: picture})

    def run(picture: np.ndarray) -> dict[str, np.ndarray]:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
        interpreter.invoke()
        details = interpreter.get_output_details()
        return {output["name"]: interpreter.get_tensor(output["index"]) for output in details}

    return run


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
            errors = np.nan_to_num(errors, nan=np.inf)  # no answer is wholly wrong
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
