"""Networks from files of every format, and files that must be refused."""

import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from onnx import helper, numpy_helper

from full_disk import endless, largest_file
from own_models import SIDE, onnx_file, write_onnx
from pocketface import published
from pocketface.cards import MODEL_FILE
from pocketface.core.budget import MODEL, Apart
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import EXPRESSIONS, GENDERS, NO_YES
from pocketface.faces.settings import Crop, Input
from pocketface.faces.view import views
from pocketface.importing import network, own
from pocketface.layers.heads import KINDS
from pocketface.levels import LEVELS, ranges
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.metrics.answers import decode
from pocketface.metrics.measures import measure
from pocketface.models import build
from pocketface.synthetic.conditions import encode
from pocketface.synthetic.decoder import Decoder
from pocketface.tflite.file import TFLiteFile
from pocketface.training.fit import load
from pocketface.training.settings import Model

REPOSITORY = Path(__file__).parents[2]
FACES = 200
WRITERS = {
    "mine.keras": lambda model, path: model.save(path),
    "mine.h5": lambda model, path: model.save(path),
    "saved": lambda model, path: model.export(path, verbose=False),
    "mine.tflite": lambda model, path: path.write_bytes(to_tflite(model).content),
}


ONNX = """
import keras, sys
model = keras.saving.load_model(sys.argv[1])
picture = keras.InputSpec(shape=(1, *model.input_shape[1:]), dtype="float32")
model.export(sys.argv[2], format="onnx", verbose=False, input_signature=[picture])
"""


OURS = ("facenet", "expression_compact")
BROUGHT = [
    pytest.param(model, name, marks=[] if i % 2 == j else pytest.mark.slow)
    for j, model in enumerate(OURS)
    for i, name in enumerate(WRITERS)
]
"""Each model and each format, and the rest of their pairs in slow tests."""


@pytest.fixture(params=OURS)
def ours(request):
    """A published model, faces, and what its float32 and int8 files answer."""
    return published_model(request.param)


@cache
def published_model(name):
    folder = REPOSITORY / "weights" / name
    card = published.read(folder)
    model, faces = load(card, folder), synthetic_faces(FACES, card.input)
    float32 = to_tflite(model)
    return card, model, faces, [file.answers(faces) for file in (float32, int8(float32, faces))]


@pytest.mark.parametrize(("ours", "name"), BROUGHT, indirect=["ours"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_what_is_exported_and_brought_back_answers_as_before(ours, name, tmp_path):
    WRITERS[name](ours[1], tmp_path / name)
    check_that_it_answers_as_before(*ours, tmp_path / name)


@pytest.mark.slow
@pytest.mark.skipif(
    not (find_spec("torch") and find_spec("onnxscript")),
    reason="`uv pip install torch onnxscript` to write ONNX",
)
def test_what_is_exported_to_onnx_answers_as_before(ours, tmp_path):
    ours[1].save(tmp_path / "mine.keras")
    command = [sys.executable, "-c", ONNX, tmp_path / "mine.keras", tmp_path / "mine.onnx"]
    subprocess.run(command, env=os.environ | {"KERAS_BACKEND": "torch"}, check=True, capture_output=True)
    check_that_it_answers_as_before(*ours, tmp_path / "mine.onnx")


@pytest.mark.parametrize("age", KINDS["age"])
def test_layers_of_ours_and_slices_of_channels_come_back_from_keras(age, tmp_path):
    if age == "expected":
        architecture = "transfer"
        options = {"backbone": "mobilenet_v1", "alpha": 0.25, "until": "conv_pw_1_relu"}
    else:
        architecture, options = "compact", {"widths": [8, 16], "depths": [1, 1]}
    model = build(architecture, Input(size=32, margin=0.2), ["age"], options | {"age": age})
    model.save(tmp_path / "mine.keras")
    stanza = Model(
        dataset="x",
        file="mine.keras",
        input={"size": 32, "channels": 3, "margin": 0.2},
        heads={"age": {"kind": "number"}},
    )
    read = network.read(tmp_path / "mine.keras")
    card = own.place("mine", read, stanza, Crop(), tmp_path / "out")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    again = load(card, tmp_path / "out")
    np.testing.assert_allclose(again(pixels)["age"], model(pixels)["age"], atol=1e-4)


def check_that_it_answers_as_before(card, model, faces, ours, path):
    """A file of a published model, brought back, has the same answers and the same table."""
    read = network.read(path)
    names = dict(zip(card.outputs, read.outputs, strict=True))
    heads = {
        head: {"output": head if head in read.outputs else names[head], "labels": list(meant.labels)}
        for head, meant in card.outputs.items()
    }
    stanza = Model(dataset="x", file=path.name, input=card.input, heads=heads)
    out = path.parent / "out"
    brought = own.place("mine", read, stanza, card.crop, out)
    assert brought.outputs == card.outputs
    pixels = np.random.default_rng(0).integers(0, 256, (8, *model.input_shape[1:]), np.uint8)
    expected = model.predict(pixels.astype(np.float32), verbose=0)
    if (out / MODEL_FILE).exists():
        float32 = TFLiteFile.read(out / MODEL_FILE)
        actual = float32.answers(pixels)
    else:
        if path.suffix != ".onnx":  # where batch normalisations are constants
            assert brought.parameters == model.count_params()
        again = load(brought, out)
        float32, actual = to_tflite(again), again.predict(pixels.astype(np.float32), verbose=0)
    theirs = [file.answers(faces) for file in (float32, int8(float32, faces))]
    for head in card.outputs:
        np.testing.assert_allclose(actual[head], expected[head], atol=1e-4)
        assert (theirs[1][head].argmax(1) == ours[1][head].argmax(1)).mean() >= 0.995
    tables = [metrics(card, answers) for answers in (*ours, *theirs)]
    assert tables[0] == pytest.approx(tables[2], abs=1e-3), "to the digit that is shown"
    assert tables[1] == pytest.approx(tables[3], abs=0.01)


def metrics(card, answers):
    """The row of a table of results, on faces whose labels are drawn."""
    random = np.random.default_rng(1)
    truth = {
        head: random.integers(0, 2, FACES) if meant.labels == NO_YES else random.choice(meant.labels, FACES)
        for head, meant in card.outputs.items()
    }
    told = measure(pd.concat([pd.DataFrame(truth), decode(answers, card.outputs)], axis=1)).values
    return {name: value for name, value in told.items() if name.endswith(("accuracy", "f1", "auc"))}


def int8(float32, faces):
    """A file at int8, calibrated on a quarter of the faces."""
    level = LEVELS["int8"]
    return quantize(float32, level, ranges.measure(float32, faces[::4]), per_channel=True)


def synthetic_faces(n, seen):
    """`[N, size, size, channels]` as a model sees them."""
    random = np.random.default_rng(0)
    decoder = Decoder(published.folder() / "faces-generator")
    ages, genders, looks = random.integers(1, 90, n), random.choice(GENDERS, n), random.choice(EXPRESSIONS, n)
    people = pd.DataFrame({"age": ages, "gender": genders, "expression": looks})
    drawn = decoder(random.standard_normal((n, decoder.latent)), encode(people))
    return views(drawn, Crop(geometry="chip", margin=seen.margin), seen)


def refused(path: Path, complaint: str) -> None:
    with pytest.raises(PocketfaceError, match=complaint):
        network.read(path)


def answered(read: network.Network, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """What a network that was read makes of pictures `[N, H, W, C]`."""
    image = keras.Input(pixels.shape[1:])
    return keras.Model(image, dict(read.call(image)))(pixels)


@pytest.mark.parametrize("opset", [8, 13])
def test_a_softmax_is_over_the_axis_that_its_version_means(tmp_path, opset: int) -> None:
    """Behind a global pooling; the last axis has one value, whose share is 1."""
    import onnxruntime

    nodes = [helper.make_node("GlobalAveragePool", ["picture"], ["means"])]
    nodes.append(helper.make_node("Softmax", ["means"], ["shares"], **({"axis": 1} if opset > 12 else {})))
    nodes.append(helper.make_node("Flatten", ["shares"], ["flat"]))
    path = write_onnx(tmp_path / "mine.onnx", nodes, [1, 3, 4, 4], {"flat": [1, 3]}, [], opset)
    pixels = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype(np.float32)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"picture": pixels.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(answered(network.read(path), pixels)["flat"], expected[0], atol=1e-6)


def test_a_softmax_over_several_axes_is_refused(tmp_path) -> None:
    nodes = [
        helper.make_node("Softmax", ["picture"], ["shares"]),
        helper.make_node("Flatten", ["shares"], ["flat"]),
    ]
    path = write_onnx(tmp_path / "mine.onnx", nodes, [1, 3, 4, 4], {"flat": [1, 48]}, [], 8)
    with pytest.raises(PocketfaceError, match="a softmax over several axes is not read"):
        network.read(path).call(keras.Input((4, 4, 3)))


def around(layer: keras.Layer) -> keras.Model:
    image = keras.Input((16, 16, 3))
    return keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(layer(image))))


def test_a_lambda_is_refused_by_its_layers_name(tmp_path):
    model = around(keras.layers.Lambda(lambda x: x * 2, name="twice"))
    for name in ("mine.keras", "mine.h5"):
        model.save(tmp_path / name)
        refused(tmp_path / name, f"{name}: layer twice is a .*refused")


def changed(path: Path, change) -> None:
    """Changes the configuration in a .keras file."""
    with zipfile.ZipFile(path) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    config = json.loads(members["config.json"])
    config = change(config) or config
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("TFSMLayer", "keras.layers"),
        ("TorchModuleWrapper", "keras.layers"),
        ("Popen", "subprocess"),
        ("Mine", None),
        ("function", "keras.utils"),
    ],
)
def test_what_could_run_code_is_refused(tmp_path, kind, module):
    path = tmp_path / "mine.keras"
    around(keras.layers.ReLU(name="middle")).save(path)

    def change(config):
        (layer,) = (each for each in config["config"]["layers"] if each["name"] == "middle")
        layer |= {"class_name": kind, "module": module}

    changed(path, change)
    refused(path, "layer middle is a")


@pytest.mark.parametrize(
    ("layer", "size", "others"),
    [
        (lambda: keras.layers.Conv2D(1, 16), '"filters": 1', '"filters": 1000000000000'),
        (keras.layers.GlobalAveragePooling2D, "16, 16, 3]", "60000, 60000, 3]"),
    ],
    ids=["weights", "picture"],
)
def test_a_network_that_would_take_all_memory_is_ended(tmp_path, layer, size, others):
    """For its weights TensorFlow waits ten seconds before it gives up."""
    path = tmp_path / "mine.keras"
    around(layer()).save(path)
    changed(path, lambda config: json.loads(json.dumps(config).replace(size, others)))
    refused(path, r"mine\.keras: too_large: to open it .* over 8,589,934,592 bytes")


def test_one_that_never_answers_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(network, "_apart", Apart(0.1, MODEL.memory))
    monkeypatch.setattr(network, "_opened", endless)
    refused(onnx_file(tmp_path / "mine.onnx"), r"mine\.onnx: timeout: to open it and run it once takes over")


def test_a_full_disk_is_not_told_as_a_damaged_file(tmp_path):
    around(keras.layers.ReLU()).save(tmp_path / "mine.keras")
    with largest_file(1000, network._apart):
        refused(tmp_path / "mine.keras", "no room to write it")


@pytest.mark.parametrize("asks", [network.read, network.fingerprint])
@pytest.mark.parametrize("ending", network.READERS)
def test_special_files_are_refused_by_kind(tmp_path, ending, asks):
    (tmp_path / f"zeros{ending}").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / f"pipe{ending}")
    for name in ("zeros", "pipe"):
        with pytest.raises(PocketfaceError, match="neither a regular file nor a folder"):
            asks(tmp_path / f"{name}{ending}")


@pytest.mark.parametrize("name", ["mine.keras", "mine.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_damaged_files_are_refused_or_read(tmp_path, name):
    around(keras.layers.Conv2D(2, 3)).save(tmp_path / name)
    whole, chance, refused = (tmp_path / name).read_bytes(), random.Random(3), 0
    for _ in range(60):
        content = bytearray(whole)
        for place in chance.sample(range(len(whole)), 10):
            content[place] = chance.randrange(256)
        (tmp_path / name).write_bytes(content[: chance.choice((None, chance.randrange(len(whole))))])
        try:
            network.read(tmp_path / name)
        except PocketfaceError as error:
            assert str(error).startswith(str(tmp_path / name))
            refused += 1
    assert refused


def test_an_architecture_that_is_huge_or_nested_deeply_is_refused(tmp_path):
    for config, complaint in ((b" " * 2**26, "has more than 33,554,432"), (b"[" * 10**5, "not a readable")):
        with zipfile.ZipFile(tmp_path / "mine.keras", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("config.json", config)
        refused(tmp_path / "mine.keras", complaint)


def test_a_link_out_of_an_hdf5_file_is_refused(tmp_path):
    around(keras.layers.ReLU()).save(tmp_path / "mine.h5")
    with h5py.File(tmp_path / "mine.h5", "a") as file:
        file["model_weights/elsewhere"] = h5py.ExternalLink("/etc/hostname", "/")
    refused(tmp_path / "mine.h5", "link to elsewhere")


def test_a_name_that_is_not_utf_8_is_refused_and_a_type_is_no_array(tmp_path):
    around(keras.layers.ReLU()).save(tmp_path / "mine.h5")
    with h5py.File(tmp_path / "mine.h5", "a") as file:
        file["model_weights/type"] = np.dtype("f4")
    assert network.read(tmp_path / "mine.h5").shape == (16, 16, 3)
    with h5py.File(tmp_path / "mine.h5", "a") as file:
        file.create_group(b"\xff")
    refused(tmp_path / "mine.h5", "codec can't decode byte 0xff")


def test_an_architecture_that_is_no_text_is_told(tmp_path):
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file.attrs["model_config"] = 3
    refused(tmp_path / "mine.h5", "its architecture is not JSON")


def test_a_keras_2_depthwise_layer_is_read(tmp_path):
    """Keras 2 wrote `groups` for it, which Keras 3 does not take."""
    path = tmp_path / "mine.h5"
    around(keras.layers.DepthwiseConv2D(3)).save(path)
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "DepthwiseConv2D":
                layer["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(config)
    assert network.read(path).shape == (16, 16, 3)


def save_model(folder: Path, shape: tuple, answer: Callable) -> None:
    """A SavedModel with one output."""
    model, picture = tf.Module(), tf.TensorSpec(shape, tf.float32)
    model.serve = tf.function(lambda image: {"answer": answer(image)}, input_signature=[picture])
    tf.saved_model.save(model, folder, signatures=model.serve)


def test_a_saved_model_that_writes_a_file_is_refused(tmp_path):
    def answer(image):
        tf.io.write_file("/tmp/owned", "x")
        return tf.reduce_mean(image, [1, 2])

    save_model(tmp_path / "saved", (1, 8, 8, 3), answer)
    refused(tmp_path / "saved", "is the operator WriteFile, which is refused")


@pytest.mark.parametrize(
    ("size", "complaint"),
    [
        (lambda image: [tf.cast(tf.reduce_sum(image) * 1e6, tf.int32)], "its output is no constant"),
        (lambda image: [10_000, 10_000, 1000], "too_large: tensors of"),
    ],
)
def test_a_saved_model_whose_memory_depends_on_the_picture_or_is_too_large_is_refused(
    tmp_path, size, complaint
):
    def answer(image):
        mean = tf.reduce_mean(image, [1, 2])
        return mean + tf.reduce_sum(tf.fill(size(image), mean[0, 0]))

    save_model(tmp_path / "saved", (None, None, None, 3), answer)
    refused(tmp_path / "saved", complaint)


def test_a_quantized_file_is_refused():
    path = next((REPOSITORY / "weights/facenet/int8").glob("*.tflite"))
    refused(path, "quantized already; bring the float32 file")


def test_an_onnx_graph_answers_as_it_does_elsewhere(tmp_path):
    """What PyTorch exports: grouped, depthwise and strided convolutions, poolings with padding, a squeeze and
    excitation, a map that is flattened, with the channels first."""
    import onnxruntime

    path = onnx_file(tmp_path / "mine.onnx")
    read = network.read(path)
    pixels = np.random.default_rng(0).normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path))
    expected = [session.run(None, {"picture": pixels[i : i + 1].transpose(0, 3, 1, 2)}) for i in range(2)]
    actual = answered(read, pixels)
    for place, name in enumerate(read.outputs):
        np.testing.assert_allclose(actual[name], [one[place][0] for one in expected], atol=1e-4)


def test_an_output_that_would_print_a_line_of_its_own_is_refused(tmp_path):
    path = onnx_file(tmp_path / "mine.onnx", {"probs\nerror: no": 2, "age": 1})
    refused(path, r"mine\.onnx: its output probs\\nerror: no has no printable name")


def test_turns_about_each_convolution_are_not_left_in_the_network(tmp_path):
    """What Keras and TensorFlow export: the channels are last everywhere but in convolutions."""
    import onnxruntime

    random = np.random.default_rng(0)
    initial = {
        "kernel": random.normal(size=(5, 3, 3, 3)),
        "mean": random.normal(size=(1, 1, 1, 5)),
        "bias": random.normal(size=5),
        "dense": random.normal(size=(10, 2)),
    }
    make = helper.make_node
    nodes = [
        make("Transpose", ["picture"], ["first"], perm=[0, 3, 1, 2]),
        make("Conv", ["first", "kernel"], ["convolved"], pads=[1, 1, 1, 1]),
        make("Transpose", ["convolved"], ["last"], perm=[0, 2, 3, 1]),
        make("Sub", ["last", "mean"], ["centred"]),
        make("Add", ["centred", "bias"], ["moved"]),
        make("Relu", ["moved"], ["positive"]),
        make("Softmax", ["moved"], ["shares"], axis=-1),
        make("Concat", ["positive", "shares"], ["both"], axis=3),
        make("ReduceMean", ["both"], ["pooled"], axes=[1, 2], keepdims=0),
        make("MatMul", ["pooled", "dense"], ["scores"]),
        make("MaxPool", ["moved"], ["across"], kernel_shape=[1, 2]),  # of what is no picture to it
        make("Flatten", ["across"], ["flat"]),
    ]
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in initial.items()]
    answers = {"scores": [1, 2], "flat": [1, 8 * 6 * 4]}
    path = write_onnx(tmp_path / "mine.onnx", nodes, [1, 8, 6, 3], answers, tensors)
    read = network.read(path)
    pixels = random.normal(size=(1, 8, 6, 3)).astype(np.float32)
    actual = answered(read, pixels)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"picture": pixels})
    for name, values in zip(answers, expected, strict=True):
        np.testing.assert_allclose(actual[name], values, atol=1e-5)
    image = keras.Input((8, 6, 3))
    whole = keras.Model(image, read.call(image)["scores"])
    (inner,) = (layer for layer in whole.layers if hasattr(layer, "layers"))
    turned = [each.name for each in inner.layers if isinstance(each, keras.layers.Permute)]
    assert len(turned) == 2, "before the pooling and the flattening, and nowhere else"


PLACES = numpy_helper.from_array(np.zeros(33_000, np.int64), "places")
ROW = numpy_helper.from_array(np.zeros((1, 30_000)), "row")
KERNEL = numpy_helper.from_array(np.zeros((3, 3, 3, 3), np.float32), "kernel")


@pytest.mark.parametrize(
    ("nodes", "complaint"),
    [
        (
            [helper.make_node("Einsum", ["picture"], ["answer"], name="strange", equation="nchw->nc")],
            "operator strange is the operator Einsum, which is not read",
        ),
        (
            [helper.make_node("Conv", ["picture", "kernel"], ["answer"], strides=[0, 0], pads=[1] * 4)],
            "a Conv, is not understood",
        ),
        ([helper.make_node("Gather", ["row", "places"], [f"all{n}"]) for n in range(9)], "too_large"),
    ],
)
def test_an_onnx_operator_that_is_not_read_is_named(tmp_path, nodes, complaint):
    answer, tensors = {nodes[-1].output[0]: [None]}, [PLACES, ROW, KERNEL]
    refused(write_onnx(tmp_path / "mine.onnx", nodes, [1, 3, 8, 8], answer, tensors), complaint)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no.keras", "no such file"),
        ("mine.pt", "not a model that is read here"),
        ("mine.onnx", "not readable"),
    ],
)
def test_other_files_are_refused(tmp_path, name, complaint):
    if not name.startswith("no."):
        (tmp_path / name).write_bytes(b"\x80\x04junk")
    refused(tmp_path / name, complaint)


def constant(name: str, *shape: int):
    values = np.random.default_rng(1).uniform(0.1, 1, shape)
    return numpy_helper.from_array(values.astype(np.float32), name)


def whole(name: str, *numbers: int):
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


make, WINDOW = helper.make_node, {"kernel_shape": [3, 3]}
SHAPED = [
    make("Shape", ["picture"], ["sides"], start=2),
    make("Cast", ["sides"], ["floats"], to=1),
    make("Gather", ["floats", "first"], ["side"]),
    make("Div", ["picture", "side"], ["answer"]),
]
ROWS = [
    make("Reshape", ["picture", "rows"], ["table"]),
    make("BatchNormalization", ["table", *(f"k{i}" for i in range(4))], ["answer"]),
]


@pytest.mark.parametrize(
    ("nodes", "tensors"),
    [
        ([make("Add", ["picture", "k"], ["answer"])], [constant("k", 8)]),
        ([make("MaxPool", ["picture"], ["answer"], strides=[2, 2], pads=[1, 1, 2, 2], **WINDOW)], []),
        ([make("MaxPool", ["picture"], ["answer"], pads=[2, 2, 2, 2], **WINDOW)], []),
        (SHAPED, [whole("first", 0)]),
        (ROWS, [whole("rows", 0, 0, -1), *(constant(f"k{i}", 3) for i in range(4))]),
        ([make("PRelu", ["picture", "k"], ["answer"])], [constant("k", 3, 1, 1)]),
    ],
)
def test_an_operator_computes_what_onnx_means(tmp_path, nodes, tensors) -> None:
    import onnxruntime

    path = write_onnx(tmp_path / "mine.onnx", nodes, [1, 3, 8, 8], {"answer": [None]}, tensors)
    pixels = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(str(path)).run(None, {"picture": pixels.transpose(0, 3, 1, 2)})
    actual = np.asarray(answered(network.read(path), pixels)["answer"])
    np.testing.assert_allclose(actual, expected, atol=1e-5)


MEAN = WINDOW | {"auto_pad": "SAME_UPPER", "count_include_pad": 1}


@pytest.mark.parametrize(
    ("nodes", "tensors", "complaint"),
    [
        ([make("AveragePool", ["picture"], ["answer"], **MEAN)], [], "by auto_pad, is not read"),
        ([make("Cast", ["picture"], ["answer"], to=7)], [], "to whole numbers is not read"),
        (
            [make("Conv", ["picture", "k"], ["map"]), make("PRelu", ["map", "slopes"], ["answer"])],
            [constant("k", 8, 3, 1, 1), constant("slopes", 8)],
            "slopes .* along another axis",
        ),
        ([make("Identity", ["k"], ["answer"])], [constant("k", 2)], "does not depend on the picture"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(tmp_path, nodes, tensors, complaint) -> None:
    answer = {"answer": [None]}
    refused(write_onnx(tmp_path / "mine.onnx", nodes, [1, 3, 8, 8], answer, tensors), complaint)


def test_a_network_trained_with_mixed_precision_is_read(tmp_path) -> None:
    image = keras.Input((16, 16, 3))
    half, float32 = keras.layers.Conv2D(4, 3, dtype="mixed_float16"), keras.layers.Dense(2, dtype="float32")
    model = keras.Model(image, float32(keras.layers.Flatten(dtype="mixed_float16")(half(image))))
    model.save(tmp_path / "mine.keras")
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
    read = network.read(tmp_path / "mine.keras")
    (actual,) = answered(read, pixels).values()
    np.testing.assert_allclose(actual, model(pixels), atol=0.01)
    image = keras.Input((16, 16, 3), name="image")
    made = to_tflite(keras.Model(image, {"answer": next(iter(read.call(image).values()))}))
    assert set(made.activation_dtypes) == {"FLOAT32"}


def test_a_network_for_several_pictures_at_once_is_refused(tmp_path) -> None:
    save_model(tmp_path / "saved", (8, 8, 8, 3), lambda image: tf.reduce_mean(image, [1, 2]))
    refused(tmp_path / "saved", "takes 8 pictures at once")
    image = keras.Input((8, 8, 3), batch_size=8)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (tmp_path / "mine.tflite").write_bytes(content)
    refused(tmp_path / "mine.tflite", "takes 8 pictures at once")
