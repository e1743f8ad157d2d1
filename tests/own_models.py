"""Networks and pictures of somebody else's, for the tests of what they bring."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import cv2
import keras
import numpy as np
from keras import layers
from onnx import TensorProto, helper, numpy_helper

import drawn_datasets
from colour_variants import png
from pocketface.training.runtime import seed_everything

SIDE = 32


def face_pictures(count: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Drawn faces uint8 `[N, SIDE, SIDE, 3]`, RGB, and their genders."""
    people = drawn_datasets.people(count, seed)
    faces = [
        cv2.resize(drawn_datasets.face(person)[30:190, 20:180], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        for person in people
    ]
    return np.stack(faces).astype(np.uint8), [person.gender for person in people]


@lru_cache(maxsize=1)
def trained() -> keras.Model:
    """A network of somebody's own that learned genders, female first, from raw pixels."""
    seed_everything(0)  # as our trainings: not by XLA, which compiles for longer than this computes
    pixels, genders = face_pictures(400)
    image = keras.Input((SIDE, SIDE, 3), name="picture")
    x = layers.Rescaling(1 / 127.5, -1)(image)
    for width in (8, 16, 32):
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(32, activation="relu")(layers.Flatten()(x))
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="probs")(x), name="theirs")
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    truth = np.array([int(gender == "male") for gender in genders])
    model.fit(pixels.astype(np.float32), truth, batch_size=32, epochs=8, verbose=0)
    assert model.evaluate(pixels.astype(np.float32), truth, verbose=0)[1] > 0.9
    return model


def write_pictures(folder: Path, count: int = 60, seed: int = 500) -> Path:
    """Writes pictures and `labels.csv`, whose column `gender` says what they show."""
    pixels, genders = face_pictures(count, seed)
    (folder / "pictures").mkdir(parents=True)
    lines = ["path,gender,person"]
    for number, (picture, gender) in enumerate(zip(pixels, genders, strict=True)):
        path = folder / f"pictures/{number:03d}.png"
        path.write_bytes(png(picture))
        lines.append(f"pictures/{path.name},{gender},p{number // 3}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


def write_onnx(
    path: Path, nodes: list, shape: list[int], answers: dict[str, list], tensors: list, opset: int = 17
) -> Path:
    """A file of these nodes, for pictures of a shape; `answers` are the names and shapes of its outputs."""
    picture, *outputs = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, sides)
        for name, sides in ({"picture": shape} | answers).items()
    )
    graph = helper.make_graph(nodes, "theirs", [picture], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def onnx_file(path: Path, outputs: Mapping[str, int] = {"probs": 2, "age": 1}) -> Path:
    """A file as PyTorch exports it, for pictures `[1, 3, SIDE, SIDE]`, with random weights.

    Its outputs are one of 2 values, which are probabilities, and perhaps one of 1.
    """
    names = [*outputs, "unused"]
    random = np.random.default_rng(1)
    nodes, values = [], []

    def weight(name: str, *shape: int) -> str:
        values.append(numpy_helper.from_array(random.normal(0, 0.4, shape).astype(np.float32), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> None:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def shape(name: str, *numbers: int, sides: tuple[int, ...] = (-1,)) -> str:
        values.append(numpy_helper.from_array(np.array(numbers, np.int64).reshape(sides), name))
        return name

    node(
        "Conv",
        ["picture", weight("k1", 8, 3, 3, 3), weight("b1", 8)],
        "c1",
        pads=[1, 1, 1, 1],
        strides=[2, 2],
    )
    norm = [weight(name, 8) for name in ("gamma", "beta", "mean")]
    values.append(numpy_helper.from_array(random.uniform(0.5, 2, 8).astype(np.float32), "variance"))
    node("BatchNormalization", ["c1", *norm, "variance"], "n1", epsilon=1e-3)
    node("MaxPool", ["n1"], "p1", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    node("Conv", ["p1", weight("k2", 8, 1, 3, 3)], "d1", group=8, pads=[1, 1, 1, 1])
    node("HardSwish", ["d1"], "h1")
    node("GlobalAveragePool", ["h1"], "s1")
    node("Conv", ["s1", weight("k3", 8, 8, 1, 1)], "s2")
    node("HardSigmoid", ["s2"], "s3", alpha=1 / 6, beta=0.5)
    node("Mul", ["h1", "s3"], "m1")
    node("Add", ["m1", "p1"], "a1")
    node("Conv", ["a1", weight("k4", 8, 4, 1, 1)], "g1", group=2)
    node("Relu", ["g1"], "r1")
    node("AveragePool", ["r1"], "v1", kernel_shape=[2, 2], strides=[2, 2])
    node("Reshape", ["v1", shape("flat", 1, -1)], "f1")
    features = 8 * (SIDE // 8) ** 2
    node("Gemm", ["f1", weight("k5", 2, features), weight("b5", 2)], "logits", transB=1)
    node("Softmax", ["logits"], names[0], axis=1)
    node("ReduceMean", ["r1"], "f2", axes=[2, 3], keepdims=0)
    node("Reshape", ["f2", shape("all", -1)], "f3")  # PyTorch's own detour around a mean
    node("Gather", ["f3", shape("places", *range(8), sides=(1, 8))], "f4")
    node("MatMul", ["f4", weight("k6", 8, 1)], names[1])
    told = {name: [1, size] for name, size in outputs.items()}
    return write_onnx(path, nodes, [1, 3, SIDE, SIDE], told, values)
