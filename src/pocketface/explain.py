"""What every layer of a model makes of one face: its feature maps, as one picture.

Below the caption of a layer are grey pictures, one a channel, each from black (its least value) to white (its
greatest); a vector is a strip, an answer is text. Layers that change nothing that could be seen are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np

from pocketface.cards import ModelCard
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import Output
from pocketface.evaluation.face_search import REASONS, Search, look

UNSEEN = ("InputLayer", "Dropout", "Flatten", "ZeroPadding2D", "Rescaling", "GetItem", "Concatenate")
WIDE, TILE, GAP = 8, 72, 4
"""Maps beside each other; the side of one in the picture and the space about it, in pixels."""
LINE = 24
"""Pixels of a line of text."""


@dataclass(frozen=True)
class LayerOutput:
    """What a layer of a kind made of the face: float32 `[H, W, C]` or `[K]`."""

    name: str
    kind: str
    values: np.ndarray


def see(card: ModelCard, picture: Path) -> np.ndarray:
    """The largest face in a picture as the model of `card` sees it, uint8 `[size, size, channels]`.

    A picture too small to search is a face; one that cannot be read or shows none is a `PocketfaceError`.
    """
    looked = look(picture, [(card.crop, card.input)], Search())
    if looked.reason is not None:
        raise PocketfaceError(f"{picture}: {REASONS[looked.reason]}; give a picture file that shows a face")
    return looked.faces[0][0]


def layer_outputs(model: keras.Model, face: np.ndarray) -> list[LayerOutput]:
    """What every layer makes of one face `[H, W, C]`: the face first, the answers last."""
    if any(isinstance(layer, keras.Model) for layer in model.layers):
        raise PocketfaceError("a network that was brought is one layer here: there are no maps to draw")
    hidden = [layer for layer in model.layers if _is_seen(layer, model)]
    probe = keras.Model(model.input, {"hidden": [layer.output for layer in hidden], "answers": model.output})
    values = probe.predict_on_batch(face[None].astype(np.float32))
    return [
        LayerOutput("image", "input", face.astype(np.float32)),
        *(
            LayerOutput(layer.name, type(layer).__name__, value[0])
            for layer, value in zip(hidden, values["hidden"], strict=True)
        ),
        *(LayerOutput(head, "answer", value[0]) for head, value in values["answers"].items()),
    ]


def draw(outputs: Sequence[LayerOutput], meanings: Mapping[str, Output], most: int = 16) -> np.ndarray:
    """All layers below each other, uint8 `[H, W, 3]`; of each the first maps, `most` at most."""
    rows = []
    for output in outputs:
        if output.kind == "answer":
            rows.append(_text(_answer(output, meanings[output.name])))
        else:
            shape, vector = output.values.shape, output.values.ndim == 1
            some = "" if vector or shape[-1] <= most else f", {most} of {shape[-1]} maps"
            rows.append(_text(f"{output.name}   {output.kind} {'x'.join(map(str, shape))}{some}"))
            rows.append(_strip(output.values) if vector else _tiles(_maps(output, most)))
    return np.concatenate(rows)


WIDTH = WIDE * (TILE + GAP) + GAP


def _is_seen(layer: keras.Layer, model: keras.Model) -> bool:
    heads = tuple(f"{head}_" for head in model.output)
    of_a_head = f"{layer.name}_".startswith(heads) and len(layer.output.shape) == 2
    return not of_a_head and type(layer).__name__ not in UNSEEN


def _answer(answer: LayerOutput, meaning: Output) -> str:
    if meaning.kind == "number":
        return f"{answer.name}: {answer.values[0]:.1f} {meaning.unit}"
    shares = zip(meaning.labels, answer.values, strict=True)
    return f"{answer.name}: " + ", ".join(f"{label} {share:.2f}" for label, share in shares)


def _text(text: str) -> np.ndarray:
    line = np.full((LINE, WIDTH, 3), 255, np.uint8)
    cv2.putText(line, text, (GAP, LINE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return line


def _maps(output: LayerOutput, most: int) -> list[np.ndarray]:
    """What to draw of `[H, W, C]`: pictures uint8 `[H, W, 3]`; a coloured face is one of them."""
    if output.kind == "input" and output.values.shape[-1] == 3:
        return [output.values.astype(np.uint8)]
    channels = np.moveaxis(output.values, 2, 0)[:most]
    return [np.repeat(_grey(channel)[:, :, None], 3, 2) for channel in channels]


def _tiles(maps: Sequence[np.ndarray]) -> np.ndarray:
    side = TILE + GAP
    canvas = np.full((-(-len(maps) // WIDE) * side + GAP, WIDTH, 3), 255, np.uint8)
    for i, pixels in enumerate(maps):
        top, left = GAP + i // WIDE * side, GAP + i % WIDE * side
        tile = cv2.resize(pixels, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
        canvas[top : top + TILE, left : left + TILE] = tile
    return canvas


def _strip(values: np.ndarray) -> np.ndarray:
    canvas = np.full((LINE, WIDTH, 3), 255, np.uint8)
    bars = cv2.resize(_grey(values)[None], (WIDTH - 2 * GAP, LINE - GAP), interpolation=cv2.INTER_NEAREST)
    canvas[: LINE - GAP, GAP : WIDTH - GAP] = bars[:, :, None]
    return canvas


def _grey(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
