from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from typer.testing import CliRunner, Result

import drawn_datasets as drawn
from pocketface.cli import app
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import Output
from pocketface.explain import GAP, LINE, TILE, WIDTH, LayerOutput, draw, layer_outputs

YEARS = {"age": Output(kind="number", unit="years")}


def left_and_right() -> keras.Model:
    """Two maps, of which the first is the red and the second the blue; the age is the mean red."""
    image = keras.Input((4, 4, 3), name="image")
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="pick")(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Dropout(0.5)(x))
    raw = keras.layers.Dense(1, use_bias=False, name="age_dense")(x)
    model = keras.Model(image, {"age": keras.layers.Rescaling(100.0, name="age")(raw)})
    model.get_layer("pick").set_weights([np.array([[[[1, 0], [0, 0], [0, 1]]]], np.float32)])
    model.get_layer("age_dense").set_weights([np.array([[1], [0]], np.float32)])
    return model


def face() -> np.ndarray:
    """Red on the left, blue below."""
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:, :2, 0] = 255
    pixels[2:, :, 2] = 255
    return pixels


def test_every_layer_that_can_be_seen_shows_what_it_made_of_the_face() -> None:
    outputs = layer_outputs(left_and_right(), face())
    assert [(output.name, output.kind) for output in outputs] == [
        ("image", "input"),
        ("pick", "Conv2D"),
        ("pool", "GlobalAveragePooling2D"),
        ("age", "answer"),
    ]
    red, blue = np.moveaxis(outputs[1].values, 2, 0)
    np.testing.assert_allclose(red, face()[:, :, 0] / 255)
    np.testing.assert_allclose(blue, face()[:, :, 2] / 255)
    np.testing.assert_allclose(outputs[-1].values, [50], rtol=1e-5)


def test_the_picture_shows_the_face_and_its_maps() -> None:
    picture = draw(layer_outputs(left_and_right(), face()), YEARS)
    side = TILE + 2 * GAP
    assert picture.shape == (4 * LINE + 2 * side + LINE, WIDTH, 3)
    seen = picture[LINE + GAP : LINE + GAP + TILE, GAP : GAP + TILE]
    np.testing.assert_array_equal(seen[9::18, 9::18], face())
    top = 2 * LINE + side + GAP
    red = picture[top : top + TILE, GAP : GAP + TILE]
    np.testing.assert_array_equal(red[9::18, 9::18, 1], face()[:, :, 0])
    assert (picture[top : top + TILE, GAP + 2 * (TILE + GAP) :] == 255).all(), "there is no third map"


def test_the_number_of_maps_is_limited_and_said() -> None:
    layer = LayerOutput("conv", "Conv2D", np.random.default_rng(0).normal(size=(3, 3, 20)).astype(np.float32))
    few, more = draw([layer], {}, most=8), draw([layer], {}, most=9)
    assert more.shape[0] == few.shape[0] + TILE + GAP
    constant = LayerOutput("dead", "ReLU", np.zeros((3, 3, 1), np.float32))
    assert (draw([constant], {})[LINE + GAP : -GAP, GAP : GAP + TILE] == 0).all()


@pytest.fixture
def trained(levels) -> Path:
    return levels.trained


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


def test_the_command_draws_the_largest_face_and_repeats_its_bytes(trained: Path, tmp_path: Path) -> None:
    photograph = tmp_path / "ann.jpg"
    photograph.write_bytes(drawn.jpeg(drawn.scene(*drawn.people(2))))
    for name in ("a.png", "b.png"):
        result = run(photograph, "--model", trained, "--out", tmp_path / name)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture.shape[1] == WIDTH
    assert picture.shape[0] > 8 * LINE


def test_the_command_tells_what_is_wrong(trained: Path, tmp_path: Path) -> None:
    wall = tmp_path / "wall.jpg"
    wall.write_bytes(drawn.jpeg(drawn.scene(width=120, height=100)))
    for picture, model, message in [
        (wall, trained, "no face was found"),
        (tmp_path / "none.jpg", trained, "no such file"),
        (wall, tmp_path, "card.json: no such file"),
    ]:
        result = run(picture, "--model", model, "--out", tmp_path / "out.png")
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_network_that_was_brought_has_no_maps() -> None:
    image = keras.Input((16, 16, 3))
    inner = keras.Model(image, keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(image)))
    brought = keras.Input((16, 16, 3), name="image")
    with pytest.raises(PocketfaceError, match="no maps to draw"):
        layer_outputs(keras.Model(brought, {"age": inner(brought)}), np.zeros((16, 16, 3), np.uint8))
