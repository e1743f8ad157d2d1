from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from weight_files import noise, weights_of, write_hdf5

from pocketface import models
from pocketface.core.errors import PocketfaceError
from pocketface.faces.settings import Input
from pocketface.importing import hdf5
from pocketface.importing.layers import assign


def small() -> keras.Model:
    return models.build("deepface_emotion", Input(size=48, channels=1), ["expression"])


@pytest.fixture(scope="module")
def plain() -> dict[str, dict[str, np.ndarray]]:
    """The layers of deepface's expression model as its file calls them, with noise for weights."""
    names = iter(
        ["conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4", "conv2d_5", "dense_1", "dense_2", "dense_3"]
    )
    return noise({next(names): own for own in weights_of(small()).values()})


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("nested", [(), ("conv2d_1", "conv2d_2", "conv2d_3")])
def test_weights_come_over_bit_by_bit(tmp_path: Path, plain, whole: bool, nested) -> None:
    path = write_hdf5(tmp_path / "emotion.h5", plain, whole, nested)
    model = small()
    with hdf5.open_layers(path) as layers:
        assign(model, layers)
    for own, expected in zip(weights_of(model).values(), plain.values(), strict=True):
        for name, array in expected.items():
            np.testing.assert_array_equal(own[name], array)


def original_mini_xception() -> keras.Model:
    """As its authors wrote it: the shortcut made first, its convolutions strided."""
    layers = keras.layers
    x = image = keras.Input((64, 64, 1))
    for _ in range(2):
        x = layers.Conv2D(8, 3, use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
    for width in (16, 32, 64, 128):
        shortcut = layers.Conv2D(width, 1, strides=2, padding="same", use_bias=False)(x)
        shortcut = layers.BatchNormalization()(shortcut)
        x = layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        x = layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(layers.BatchNormalization()(x))
        x = layers.add([x, shortcut])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(7, 3, padding="same")(x))
    return keras.Model(image, layers.Activation("softmax")(x))


def test_mini_xception_answers_as_the_original_does(tmp_path: Path) -> None:
    original = original_mini_xception()
    for layer, own in zip(
        [layer for layer in original.layers if layer.weights],
        noise(weights_of(original)).values(),
        strict=True,
    ):
        for weight in layer.weights:
            weight.assign(own[weight.name])
    path = write_hdf5(tmp_path / "emotion_model.hdf5", weights_of(original), whole=True)
    model = models.build("mini_xception", Input(size=64, channels=1), ["expression"])
    with hdf5.open_layers(path) as layers:
        assign(model, layers)
    faces = np.random.default_rng(1).integers(0, 256, (4, 64, 64, 1)).astype(np.float32)
    expected = original(faces / 127.5 - 1, training=False)
    np.testing.assert_allclose(model(faces)["expression"], expected, atol=1e-6)


def linked(file: h5py.File) -> None:
    del file["conv2d_1"]
    file["conv2d_1"] = h5py.ExternalLink("/etc/passwd", "/")


def linked_inside(file: h5py.File) -> None:
    del file["dense_1"]["dense_1/bias:0"]
    file["dense_1"]["dense_1/bias:0"] = h5py.SoftLink("/dense_2/dense_2/bias:0")


def external(file: h5py.File) -> None:
    group = file["dense_1/dense_1"]
    del group["bias:0"]
    group.create_dataset("bias:0", (1024,), "f4", external=[("raw", 0, 4096)])


def virtual(file: h5py.File) -> None:
    group = file["dense_1/dense_1"]
    del group["bias:0"]
    layout = h5py.VirtualLayout((1024,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (1024,))
    group.create_virtual_dataset("bias:0", layout)


def words(file: h5py.File) -> None:
    group = file["dense_1/dense_1"]
    del group["bias:0"]
    group["bias:0"] = ["a", "b"]


def huge(file: h5py.File) -> None:
    """A petabyte, as it says, in a few bytes; reading it would be the end."""
    group = file["dense_1/dense_1"]
    del group["kernel:0"]
    group.create_dataset("kernel:0", (2**25, 2**25), "f4", chunks=(1024, 1024), compression="gzip")


def unnamed(file: h5py.File) -> None:
    del file.attrs["layer_names"]


def many_names(file: h5py.File) -> None:
    del file.attrs["layer_names"]
    file.attrs["layer_names0"] = np.full(20_000, b"x")


def not_a_number(file: h5py.File) -> None:
    file["dense_1/dense_1/bias:0"][3] = np.nan


def shorter(file: h5py.File) -> None:
    file.attrs["layer_names"] = file.attrs["layer_names"][:-1]


def renamed(file: h5py.File) -> None:
    file["dense_1"].attrs["weight_names"] = [b"dense_1/kernel:0", b"dense_1/beta:0"]
    file["dense_1/dense_1"].move("bias:0", "beta:0")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def garbage(path: Path) -> None:
    path.write_bytes(b"not HDF5" * 100)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (linked, "a link to elsewhere"),
        (linked_inside, "a link to elsewhere"),
        (external, "keeps its numbers in another file"),
        (virtual, "keeps its numbers in another file"),
        (words, "is not an array of floats"),
        (huge, r"\(33554432, 33554432\)"),
        (unnamed, "has no layer_names"),
        (many_names, "no list of at most 10000 names"),
        (not_a_number, "not all finite"),
        (shorter, "has 7 layers with weights, deepface_emotion has 8"),
        (renamed, "its layer dense_1/dense_1 has"),
        (cut, "not readable as HDF5"),
        (garbage, "not readable as HDF5"),
    ],
)
def test_what_is_not_to_be_trusted_is_refused(tmp_path: Path, plain, damage, complaint: str) -> None:
    path = write_hdf5(tmp_path / "emotion.h5", plain)
    if damage in (cut, garbage):
        damage(path)
    else:
        with h5py.File(path, "a", libver="latest") as file:
            damage(file)
    model = small()
    with pytest.raises(PocketfaceError, match=complaint) as told, hdf5.open_layers(path) as layers:
        assign(model, layers)
    assert str(told.value).startswith(str(path))


def test_names_in_pieces_are_one_list(tmp_path: Path, plain) -> None:
    path = write_hdf5(tmp_path / "emotion.h5", plain)
    with h5py.File(path, "a") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:4], names[4:]
    with hdf5.open_layers(path) as layers:
        assert [layer.name for layer in layers] == [f"{name}/{name}" for name in plain]
