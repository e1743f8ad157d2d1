"""What stands around somebody's own network."""

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from pocketface.core.errors import PocketfaceError
from pocketface.faces.settings import Input
from pocketface.layers.own import OwnHead, Preprocess, around
from pocketface.levels.converter import to_tflite
from pocketface.levels.ranges import measure
from pocketface.tflite.around import around as around_file
from pocketface.tflite.file import TFLiteFile

HEADS = {
    "gender": OwnHead(output="two", logits=True, labels=("female", "male")),
    "mask": OwnHead(output="one", kind="sigmoid", logits=True, labels=("no", "yes")),
    "age": OwnHead(output="six", kind="expected", logits=True, range=(0, 100)),
}
SETTINGS = [
    Preprocess(),
    Preprocess(scale=1 / 127.5, offset=-1, order="bgr"),
    Preprocess(mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4)),
    Preprocess(scale=1 / 255, mean=(0.4, 0.5, 0.6), std=0.2, order="bgr"),
]


def theirs(nchw: bool = False) -> keras.Model:
    """A network with three outputs of random weights."""
    keras.utils.set_random_seed(3)
    image = keras.Input((3, 16, 16) if nchw else (16, 16, 3), name="picture")
    x = keras.layers.Permute((2, 3, 1))(image) if nchw else image
    x = keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer="he_normal")(x)
    x = keras.layers.Flatten()(x)
    outputs = {name: keras.layers.Dense(n)(x) for name, n in (("two", 2), ("one", 1), ("six", 6))}
    return keras.Model(image, {name: values * 0.01 for name, values in outputs.items()})


def expected(model: keras.Model, pixels: np.ndarray, preprocess: Preprocess, nchw: bool) -> dict:
    """Computed with NumPy from the network's own answers."""
    seen = pixels[..., ::-1] if preprocess.order == "bgr" else pixels
    mean, std = np.array(preprocess.mean), np.array(preprocess.std)
    seen = (seen * preprocess.scale + preprocess.offset - mean) / std
    found = model.predict(seen.transpose(0, 3, 1, 2) if nchw else seen, verbose=0)
    shares = {name: np.exp(values) / np.exp(values).sum(1, keepdims=True) for name, values in found.items()}
    yes = 1 / (1 + np.exp(-found["one"]))
    return {
        "gender": shares["two"],
        "mask": np.concatenate([1 - yes, yes], axis=1),
        "age": shares["six"] @ np.linspace(0, 100, 6)[:, None],
    }


@pytest.mark.parametrize("nchw", [False, True])
def test_preprocessing_and_meaning_are_in_the_graph(nchw):
    """By layers of Keras and by operators of TFLite alike."""
    model, seen = theirs(nchw), Input(size=16)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    file = to_tflite(model)
    for preprocess in SETTINGS:
        wanted = expected(model, pixels, preprocess, nchw)
        by_keras = around(lambda x: model(x), seen, preprocess, HEADS, nchw)
        by_file = around_file(file, seen, preprocess, HEADS, nchw)
        for answers in (by_keras(pixels.astype(np.float32)), by_file.answers(pixels)):
            for head in HEADS:
                np.testing.assert_allclose(answers[head], wanted[head], rtol=1e-4, atol=1e-4)


def test_tensors_of_one_name_are_told_apart():
    """The ranges of a file whose tensors are all called `x` are those of the file with names."""
    pixels, seen = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8), Input(size=16)
    named = to_tflite(theirs())
    nameless = named.copy()
    for tensor in nameless.subgraphs[0].tensors:
        tensor.name = b"x"
    files = [around_file(file, seen, SETTINGS[1], HEADS) for file in (named, TFLiteFile.write(nameless))]
    ranges = [measure(file, pixels) for file in files]
    assert len({tensor.name for tensor in files[1].model.subgraphs[0].tensors}) == len(
        files[1].model.subgraphs[0].tensors
    )
    assert sorted(ranges[0].values()) == sorted(ranges[1].values())


def test_an_age_of_0_to_1_and_ranks():
    number = OwnHead(kind="number", range=(0, 116)).pieces("age", 1)
    ranks = OwnHead(kind="ordinal", range=(0, 100)).pieces("age", 100)
    assert np.array([[0.5]]) @ number.kernel + number.bias == pytest.approx(58)
    assert np.full((1, 100), 0.25) @ ranks.kernel + ranks.bias == pytest.approx(25)


@pytest.mark.parametrize(
    ("head", "stanza", "complaint"),
    [
        ("gender", {"labels": ["woman", "man"]}, "woman, man are not of male, female"),
        ("age", {"labels": ["0-2", "3-9"]}, "only age is a number"),
        ("mask", {"kind": "number"}, "only age is a number"),
    ],
)
def test_a_head_of_ours_means_what_ours_does(head, stanza, complaint):
    with pytest.raises(ValueError, match=complaint):
        OwnHead.model_validate(stanza).meaning(head)


@pytest.mark.parametrize(
    "stanza",
    [
        {},
        {"kind": "expected"},
        {"kind": "sigmoid", "labels": ["a", "b", "c"]},
        {"kind": "number", "range": [5, 1]},
    ],
)
def test_an_incomplete_stanza_is_refused(stanza):
    with pytest.raises(ValidationError):
        OwnHead.model_validate(stanza)


def test_no_and_yes_are_words():
    """YAML reads them as booleans."""
    assert OwnHead.model_validate([False, True]).labels == ("no", "yes")


def test_an_output_of_another_width_is_refused():
    heads = {"gender": OwnHead(output="six", labels=("male", "female"))}
    with pytest.raises(PocketfaceError, match="the output has 6 values, classes needs 2"):
        around(lambda x: theirs()(x), Input(size=16), Preprocess(), heads)
