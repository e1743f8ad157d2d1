"""A network of somebody else's as a model of ours: raw pixels in, meaning out.

Put into the graph as layers of Keras (`around`), or operators of a `.tflite` (`pocketface.tflite.around`).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import NO_YES, NUMBERS, Head, Output, Word, classes_of
from pocketface.core.settings import Strict
from pocketface.faces.settings import Input

if TYPE_CHECKING:
    import keras

Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
Numbers = Number | Annotated[tuple[Number, ...], Field(min_length=1, max_length=3)]


class Preprocess(Strict):
    """What a network was shown: `(pixel x scale + offset - mean) / std`, per channel in its own order.

    Attributes:
        scale, offset, mean, std: one number, or one a channel.
        order: of the channels.
        layout: of its input; by default what its shape tells.
    """

    scale: Numbers = 1.0
    offset: Numbers = 0.0
    mean: Numbers = 0.0
    std: Positive | Annotated[tuple[Positive, ...], Field(min_length=1, max_length=3)] = 1.0
    order: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nhwc", "nchw"] | None = None

    def affine(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Factor and offset `[channels]`, in the network's order; other counts are a `PocketfaceError`."""
        given = (self.scale, self.offset, self.mean, self.std)
        if any(np.size(values) not in (1, channels) for values in given):
            raise PocketfaceError(f"preprocess: one number, or one for each of {channels} channels")
        scale, offset, mean, std = (np.broadcast_to(np.array(v, np.float64), channels) for v in given)
        return scale / std, (offset - mean) / std

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Raw pixels `[N, H, W, C]`, RGB, as the network sees them, but for the layout."""
        scale, offset = self.affine(pixels.shape[-1])
        seen = pixels[..., ::-1] if self.order == "bgr" else pixels
        return (seen * scale + offset).astype(np.float32)


class Pieces(NamedTuple):
    """What comes after an output `[N, K]`: an activation, then `x @ kernel + bias`; either may be missing."""

    activation: Literal["softmax", "sigmoid"] | None
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None


class OwnHead(Strict):
    """What an output of a network means.

    Attributes:
        output: its name in the file; needed where the file has several and none is called like the head.
        kind: `classes`: a value a label; `sigmoid`: one value, the probability of the second label; `number`:
            one value; `expected`: probabilities of evenly spaced numbers, whose mean is the answer;
            `ordinal`: K probabilities that the answer lies above `low`, `low` + 1 step, ...
        logits: whether softmax or sigmoid is still to be taken.
        labels: of classes, in the file's order.
        range: the numbers that 0 and 1 stand for (`number`), or the first and the last class (`expected`,
            `ordinal`).
    """

    output: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    kind: Literal["classes", "sigmoid", "number", "expected", "ordinal"] = "classes"
    logits: bool = False
    labels: tuple[Word, ...] = ()
    range: tuple[Number, Number] | None = None

    @model_validator(mode="before")
    @classmethod
    def _labels_may_be_all(cls, stanza: object) -> object:
        """`mask: [no, yes]` is short for `mask: {labels: [no, yes]}`; YAML reads no and yes as booleans."""
        stanza = {"labels": stanza} if isinstance(stanza, list | tuple) else stanza
        if isinstance(stanza, dict) and isinstance(stanza.get("labels"), list | tuple):
            words = [NO_YES[word] if isinstance(word, bool) else word for word in stanza["labels"]]
            return stanza | {"labels": words}
        return stanza

    @model_validator(mode="after")
    def _complete(self) -> "OwnHead":
        if self.of_classes != bool(self.labels) or (self.kind == "sigmoid" and len(self.labels) != 2):
            raise ValueError(f"{self.kind}: classes need their `labels` (a sigmoid two), numbers have none")
        if self.kind in ("expected", "ordinal") and self.range is None:
            raise ValueError(f"{self.kind}: needs `range: [first, last]`")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("range: must rise")
        return self

    @property
    def of_classes(self) -> bool:
        """Whether it answers a label."""
        return self.kind in ("classes", "sigmoid")

    def meaning(self, head: str) -> Output:
        """What it answers as a head of that name; a `ValueError` if one of ours cannot mean that."""
        ours = classes_of(head)
        if (head in NUMBERS) == self.of_classes:
            raise ValueError(f"{head}: only {', '.join(NUMBERS)} is a number, all else are classes")
        if self.of_classes and ours and not set(self.labels) <= set(ours):
            raise ValueError(f"{head}: {', '.join(self.labels)} are not of {', '.join(ours)}")
        unit = NUMBERS.get(head)
        return Output(kind="number" if unit else "classes", unit=unit, labels=self.labels)

    def pieces(self, head: str, width: int) -> Pieces:
        """What turns the output, `[N, width]`, into that meaning; another width is a `PocketfaceError`."""
        wanted = {"classes": len(self.labels), "sigmoid": 1, "number": 1}.get(self.kind, width)
        if width != wanted or (self.kind == "expected" and width < 2):
            raise PocketfaceError(f"heads.{head}: the output has {width} values, {self.kind} needs {wanted}")
        low, high = self.range or (0.0, 1.0)
        if self.kind == "classes":
            return Pieces("softmax" if self.logits else None)
        if self.kind == "expected":
            years, middle = np.linspace(low, high, width), (low + high) / 2
            # Numbers about their middle: rounding errors of int8 probabilities then weigh half as much.
            return Pieces("softmax" if self.logits else None, *_column(years - middle, middle))
        activation: Literal["sigmoid"] | None = "sigmoid" if self.logits else None
        if self.kind == "sigmoid":
            return Pieces(activation, np.array([[-1, 1]], np.float32), np.array([1, 0], np.float32))
        if self.kind == "ordinal":
            return Pieces(activation, *_column(np.full(width, (high - low) / width), low))
        return Pieces(activation, *_column(np.array([high - low]), low)) if self.range else Pieces(activation)


Heads = Mapping[Head, OwnHead]


def _column(values: np.ndarray, bias: float) -> tuple[np.ndarray, np.ndarray]:
    return values.astype(np.float32)[:, None], np.array([bias], np.float32)


def named_output(head: str, own: OwnHead, outputs: Mapping[str, int]) -> str:
    """Which output of a file, name -> width, a head is; if that is not clear, a `PocketfaceError`."""
    name = own.output or (head if head in outputs else next(iter(outputs)) if len(outputs) == 1 else None)
    if name not in outputs:
        there = ", ".join(f"{name} ({width} values)" for name, width in outputs.items())
        raise PocketfaceError(f"heads.{head}: `output` must name one of its outputs: {there}")
    return str(name)


def around(
    call: "Callable[[keras.KerasTensor], Mapping[str, keras.KerasTensor]]",
    input: Input,
    preprocess: Preprocess,
    heads: Heads,
    nchw: bool = False,
) -> "keras.Model":
    """A model of ours, raw pixels in and heads out, around a network.

    Args:
        call: the network: what it sees to its outputs by name.
        input, preprocess, heads: what goes before and behind it.
        nchw: whether it sees `[N, C, H, W]`.

    Raises:
        PocketfaceError: an output is not there, or has another number of values.
    """
    import keras
    from keras import layers

    from pocketface.layers.backbones import to_bgr

    image = keras.Input((input.size, input.size, input.channels), name="image")
    scale, offset = preprocess.affine(input.channels)
    x = to_bgr(image) if preprocess.order == "bgr" and input.channels == 3 else image
    if (scale != 1).any() or offset.any():
        x = layers.Rescaling(scale.tolist(), offset.tolist(), name="normalise")(x)
    found = call(layers.Permute((3, 1, 2), name="channels_first")(x) if nchw else x)
    widths = {name: int(np.prod(output.shape[1:])) for name, output in found.items()}
    answers = {}
    for head, own in heads.items():
        name = named_output(head, own, widths)
        x = found[name]
        if len(x.shape) != 2:
            x = layers.Reshape((widths[name],), name=f"{head}_values")(x)
        activation, kernel, bias = own.pieces(head, widths[name])
        if activation:
            x = layers.Activation(activation, name=f"{head}_{activation}")(x)
        if kernel is not None:
            dense = layers.Dense(kernel.shape[1], name=f"{head}_meaning", trainable=False)
            x = dense(x)
            dense.set_weights([kernel, bias])
        answers[head] = x
    return keras.Model(image, answers, name="own")
