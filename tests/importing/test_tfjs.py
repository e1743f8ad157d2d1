import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weight_files import TfjsGraph

from pocketface.core.errors import PocketfaceError
from pocketface.importing import tfjs
from pocketface.importing.tfjs import read_layers

RANDOM = np.random.default_rng(1)


def convolution(graph: TfjsGraph, source: str = "image") -> str:
    return graph.node("Conv2D", source, graph.constant(RANDOM.normal(size=(3, 3, 3, 4))))


@given(st.sampled_from(["float32", "float16"]), st.lists(st.sampled_from(["Mul", "Add"]), max_size=4))
def test_factors_and_offsets_are_put_into_the_layer_before_them(kind: str, changes: list[str]) -> None:
    graph = TfjsGraph(kind)
    kernel = RANDOM.normal(size=(3, 3, 4, 1)).astype(kind).astype(np.float32)
    source = graph.node("DepthwiseConv2dNative", "image", graph.constant(kernel))
    factor, offset = np.ones(4), np.zeros(4)
    for change in changes:
        values = RANDOM.normal(size=4).astype(kind).astype(np.float32)
        source = graph.node(change, source, graph.constant(values))
        factor, offset = (factor * values, offset * values) if change == "Mul" else (factor, offset + values)
    [layer] = read(graph)
    np.testing.assert_allclose(layer.weights["kernel"], kernel * factor[:, None], rtol=1e-4)
    np.testing.assert_allclose(layer.weights["bias"], offset, rtol=1e-4, atol=1e-6)


def read(graph: TfjsGraph):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return read_layers(*graph.save(Path(folder) / "net.json"))


def test_what_comes_after_an_activation_belongs_to_no_layer() -> None:
    graph = TfjsGraph()
    graph.node("Mul", graph.node("Relu", convolution(graph)), graph.constant(np.ones(4)))
    with pytest.raises(PocketfaceError, match=r"Mul_\d+: its operator Mul is not understood here"):
        read(graph)


def test_a_product_brings_its_bias() -> None:
    graph = TfjsGraph()
    kernel, bias = RANDOM.normal(size=(5, 2)), RANDOM.normal(size=2)
    graph.node("_FusedMatMul", "image", graph.constant(kernel), graph.constant(bias))
    [layer] = read(graph)
    np.testing.assert_allclose(layer.weights["kernel"], kernel, rtol=1e-6)
    np.testing.assert_allclose(layer.weights["bias"], bias, rtol=1e-6)


def more_bytes(graph: TfjsGraph) -> None:
    graph.content += b"1234"


def fewer_bytes(graph: TfjsGraph) -> None:
    graph.content = graph.content[:-4]


def small_integers(graph: TfjsGraph) -> None:
    graph.listed[0]["quantization"] = {"dtype": "uint8", "scale": 1, "min": 0}


def negative_side(graph: TfjsGraph) -> None:
    graph.listed[0]["shape"][0] = -3


def written_code(graph: TfjsGraph) -> None:
    graph.node("PyFunc", "image")


def no_list(graph: TfjsGraph) -> None:
    graph.listed = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (more_bytes, "lists 432 bytes of weights, and there are 436"),
        (fewer_bytes, "buffer is smaller|not readable"),
        (small_integers, "is uint8"),
        (negative_side, "not one of float32, float16"),
        (written_code, "its operator PyFunc"),
        (no_list, "not readable"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    damage: Callable[[TfjsGraph], None], words: str, tmp_path: Path
) -> None:
    graph = TfjsGraph()
    convolution(graph)
    damage(graph)
    with pytest.raises(PocketfaceError, match=rf"net\.json: .*({words})"):
        read_layers(*graph.save(tmp_path / "net.json"))


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"modelTopology": 1})])
def test_other_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(text)
    (tmp_path / "net.bin").write_bytes(b"")
    with pytest.raises(PocketfaceError, match=r"net\.json: not readable as a graph model"):
        read_layers(tmp_path / "net.json", tmp_path / "net.bin")


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = TfjsGraph()
    convolution(graph)
    monkeypatch.setattr(tfjs, "LARGEST", 400)
    with pytest.raises(PocketfaceError, match=r"bytes are too many for the weights of a model"):
        read_layers(*graph.save(tmp_path / "net.json"))
