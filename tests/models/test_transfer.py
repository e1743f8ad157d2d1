import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from example_models import Plan
from pocketface import models
from pocketface.core.errors import PocketfaceError
from pocketface.faces.settings import Input
from pocketface.layers import backbones
from pocketface.models.transfer import BACKBONES

MIRROR = os.environ.get("POCKETFACE_MIRROR", "")
START = Path(__file__).parents[2] / "weights/faceres/faceres.weights.h5"
SIZE = 32
SMALLEST = {"backbone": "mobilenet_v1", "alpha": 0.25}


def plan(**options: object) -> Plan:
    return Plan("transfer", SIZE, 3, ["age"], SMALLEST | options)


def fresh() -> keras.Model:
    keras.utils.set_random_seed(3)
    return backbones.BACKBONES["mobilenet_v1"].build(keras.Input((SIZE, SIZE, 3)), 0.25)


def moved(model: keras.Model) -> set[str]:
    """The moving averages that a pass over faces in training mode changes."""
    before = [np.array(weight) for weight in model.weights]
    model(plan().faces(2).astype(np.float32), training=True)
    after = zip(model.weights, before, strict=True)
    return {weight.path for weight, was in after if not np.array_equal(weight, was)}


def test_frozen_normalisation_stays_in_inference_mode() -> None:
    keras.utils.set_random_seed(1)
    assert moved(plan(freeze="all").build()) <= {"seed_generator/seed_generator_state", *_seeds()}
    last = {path.split("/")[0] for path in moved(plan(freeze="last_block").build())} - _seeds()
    assert last == {"conv_dw_13_bn", "conv_pw_13_bn"}


def _seeds() -> set[str]:
    return {"dropout", "dropout/seed_generator_state", "dropout/seed_generator/seed_generator_state"}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_last_block_and_the_head_train_and_nothing_before(backbone: str) -> None:
    last = plan(backbone=backbone, freeze="last_block").build()
    trained = {weight.path for weight in last.trainable_weights}
    heads = plan(backbone=backbone, freeze="all").build().trainable_weights
    for layer in last.layers:
        layer.trainable = True
    everything = [weight.path for weight in last.trainable_weights]
    start = next(i for i, path in enumerate(everything) if path in trained)
    assert set(everything[start:]) == trained
    assert 0.02 < start / len(everything) < 1
    assert {weight.path for weight in heads} == {"age_dense/kernel", "age_dense/bias"}


def test_a_layers_name_freezes_it_and_all_before_it() -> None:
    model = plan(freeze="conv_pw_3_relu").build()
    trained = [layer.name for layer in model.layers if layer.trainable_weights]
    assert trained[:2] == ["conv_dw_4", "conv_dw_4_bn"]
    with pytest.raises(PocketfaceError, match=r"mobilenet.* has no layer 'conv_pw_99_relu'"):
        plan(freeze="conv_pw_99_relu").build()


BRANCH = {"branch": "age", "branch_after": "conv_pw_2_relu", "branch_until": "conv_pw_4_relu"}


def test_a_branch_has_layers_of_its_own_and_shares_those_before() -> None:
    options = SMALLEST | {"until": "conv_pw_3_relu"}
    plain, branched = (
        Plan("transfer", SIZE, 3, ["age", "gender"], options | more).build() for more in ({}, BRANCH)
    )
    new = {layer.name for layer in branched.layers} - {layer.name for layer in plain.layers}
    assert {name for name in new if "conv" in name} == {
        f"age_{layer.name}"
        for layer in plan(until="conv_pw_4_relu").build().layers
        if re.search("_[34]", layer.name)
    }
    of_gender = keras.Model(branched.input, branched.output["gender"])
    assert not new & {layer.name for layer in of_gender.layers}
    # It works as those of the backbone do.
    for name in ("conv_dw_3", "conv_dw_3_bn", "conv_pw_3", "conv_pw_3_bn"):
        branched.get_layer(f"age_{name}").set_weights(branched.get_layer(name).get_weights())
    both = keras.Model(
        branched.input, [branched.get_layer(f"{prefix}conv_pw_3_relu").output for prefix in ("", "age_")]
    )
    shared, own = both(plan().faces(2).astype(np.float32))
    np.testing.assert_array_equal(shared, own)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (BRANCH | {"branch": "smile"}, "no head .*smile.* to give layers of its own"),
        (BRANCH | {"branch_until": None}, "needs `branch_after` and `branch_until`"),
        (BRANCH | {"branch_after": "conv_pw_99_relu"}, "has no layer 'conv_pw_99_relu'"),
        (
            BRANCH
            | {"backbone": "mobilenet_v2", "branch_after": "block_1_project_BN"}
            | {"branch_until": "block_3_project_BN", "alpha": 0.35},
            "is no chain of layers at 'block_2_add'",
        ),
    ],
)
def test_a_branch_that_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(PocketfaceError, match=message):
        plan(**options).build()


def test_weights_start_a_training_and_are_not_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "backbone.weights.h5"
    published = fresh()
    published.save_weights(path)
    model = plan(weights=str(path)).build()
    loaded = model.get_layer("conv1").get_weights()
    np.testing.assert_array_equal(loaded[0], published.get_layer("conv1").get_weights()[0])
    path.unlink()
    seen = Input(size=SIZE)
    assert models.build("transfer", seen, ["age"], SMALLEST | {"weights": str(path)}, pretrained=False)


@pytest.mark.parametrize("content", [None, b"", b"\x89HDF\r\n\x1a\n" + bytes(100), "another network"])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "backbone.weights.h5"
    if content == "another network":
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save_weights(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(PocketfaceError, match=r"backbone\.weights\.h5: no"):
        plan(backbone="vgg16", weights=str(path)).build()


def test_a_file_may_end_where_the_model_does_and_not_before(tmp_path: Path) -> None:
    path, published = tmp_path / "backbone.weights.h5", fresh()
    cut = keras.Model(published.input, published.get_layer("conv_pw_11_relu").output)
    cut.save_weights(path)
    *loaded, _kernel, _bias = plan(weights=str(path), until="conv_pw_11_relu").build().get_weights()
    for ours, theirs in zip(loaded, cut.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for more in ({"until": "conv_pw_12_relu"}, {}):
        with pytest.raises(PocketfaceError, match=r"backbone\.weights\.h5: not the .* name=conv_dw_12"):
            plan(weights=str(path), **more).build()


def test_the_start_weights_in_the_repository_load_and_have_statistics() -> None:
    options = {"backbone": "mobilenet_v1", "alpha": 1.0, "weights": str(START), "until": "conv_pw_11_relu"}
    model = plan(**options).build()
    settled = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(settled) == 23
    assert all(np.asarray(layer.moving_variance).std() > 0 for layer in settled)


@pytest.mark.skipif(not MIRROR, reason="POCKETFACE_MIRROR is not set: no published weights here")
@pytest.mark.parametrize("alpha", [0.35, 1.0])
def test_the_mirrors_weights_load(alpha: float) -> None:
    path = Path(MIRROR) / f"weights/mobilenet_v2_{alpha}_imagenet_notop.weights.h5"
    keras.utils.set_random_seed(1)
    options = {"backbone": "mobilenet_v2", "alpha": alpha}
    models = plan(**options).build(), plan(**options, weights=str(path)).build()
    random, loaded = (model.get_layer("Conv1").get_weights()[0] for model in models)
    assert not np.allclose(random, loaded)
    # Its long training with weight decay left some filters at nothing; no random layer has such.
    strength = np.abs(loaded).max(axis=(0, 1, 2))
    assert strength.min() < 1e-6 < strength.max()


def test_what_came_from_caffe_sees_blue_first() -> None:
    image = keras.Input((2, 2, 3))
    seen = keras.Model(image, backbones.caffe(image))(np.full((1, 2, 2, 3), [1.0, 2.0, 3.0], np.float32))
    np.testing.assert_allclose(seen[0, 0, 0], [3 - 103.939, 2 - 116.779, 1 - 123.68], rtol=1e-6)


def test_imagenets_mean_becomes_0_and_its_deviation_1() -> None:
    image = keras.Input((1, 1, 3))
    mean, deviation = np.array(backbones.IMAGENET_MEAN), np.array(backbones.IMAGENET_DEVIATION)
    faces = np.stack([mean, mean + deviation])[:, None, None].astype(np.float32)
    seen = keras.Model(image, backbones.standardised(image))(faces)
    np.testing.assert_allclose(np.asarray(seen)[:, 0, 0], [[0, 0, 0], [1, 1, 1]], atol=1e-5)


def test_a_network_can_be_cut_short() -> None:
    whole, cut = plan().build(), plan(until="conv_pw_11_relu").build()
    assert [w.path for w in cut.weights if "dense" not in w.path] == [
        w.path for w in whole.weights[: len(cut.weights) - 2]
    ]
    assert cut.get_layer("features").output.shape == (None, 128)
    with pytest.raises(PocketfaceError, match="no layer 'block_99'"):
        plan(until="block_99").build()


def test_grey_is_seen_as_three_equal_channels() -> None:
    grey = Plan("transfer", SIZE, 1, ["age"], SMALLEST).build()
    colour = plan().build()
    colour.set_weights(grey.get_weights())
    faces = np.random.default_rng(1).uniform(0, 255, (2, SIZE, SIZE, 1)).astype(np.float32)
    np.testing.assert_allclose(grey(faces)["age"], colour(np.repeat(faces, 3, axis=-1))["age"], rtol=1e-5)
