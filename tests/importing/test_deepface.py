"""The study `deepface` on files of the layout that deepface publishes, written here.

VGG-Face has a sixteenth of its width, and in a slow test all of it (540 MB); its answers are compared with
those of deepface's own network.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from weight_files import noise, weights_of, write_hdf5

from pocketface.core.files import sha256
from pocketface.core.outs import SOURCES
from pocketface.fetching.sources import Sources, load_sources
from pocketface.importing.fetch import fetch
from pocketface.models import deepface_vgg
from pocketface.study import Study, load_study
from pocketface.training.fit import load

REPOSITORY = Path(__file__).parents[2]
STAGES, WIDE = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 4096


def theirs(classes: int, part: int) -> keras.Model:
    """As deepface builds it: zero padding before each convolution, the dense layers as convolutions."""
    x = image = keras.Input((224, 224, 3))
    for width, depth in ((width // part, depth) for width, depth in STAGES):
        for _ in range(depth):
            x = layers.Conv2D(width, 3, activation="relu")(layers.ZeroPadding2D(1)(x))
        x = layers.MaxPooling2D(2, strides=2)(x)
    x = layers.Dropout(0.5)(layers.Conv2D(WIDE // part, 7, activation="relu")(x))
    x = layers.Dropout(0.5)(layers.Conv2D(WIDE // part, 1, activation="relu")(x))
    x = layers.Flatten()(layers.Conv2D(classes, 1)(x))
    return keras.Model(image, layers.Activation("softmax")(x))


def published(study: Study, model: str, network: keras.Model, archives: Path) -> Sources:
    """Writes a network's weights where the study looks for them, and says their hash."""
    sources = load_sources(REPOSITORY / SOURCES)
    name = str(study.models[model].weights)
    entry = sources.weight(name)
    path = archives / entry.files[0].mirror
    path.parent.mkdir(parents=True, exist_ok=True)
    quiet = {layer: {w: a * 0.3 for w, a in own.items()} for layer, own in noise(weights_of(network)).items()}
    write_hdf5(path, quiet)
    for layer in (layer for layer in network.layers if layer.weights):
        layer.set_weights([quiet[layer.name][weight.name] for weight in layer.weights])
    file = entry.files[0].model_copy(update={"sha256": sha256(path)})
    known = sources.weights | {name: entry.model_copy(update={"files": (file,)})}
    return sources.model_copy(update={"weights": known})


@pytest.mark.parametrize("part", [16, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("model", "classes"), [("deepface_age", 101), ("deepface_gender", 2)])
def test_vgg_face_answers_as_deepface_does(model, classes, part, tmp_path, monkeypatch):
    if part > 1:
        monkeypatch.setattr(deepface_vgg, "STAGES", tuple((width // part, depth) for width, depth in STAGES))
        monkeypatch.setattr(deepface_vgg, "WIDE", WIDE // part)
    study, network = load_study(REPOSITORY / "studies/deepface.yaml"), theirs(classes, part)
    sources = published(study, model, network, tmp_path / "archives")
    card = fetch(study, model, sources, tmp_path / model, tmp_path / "archives")
    assert card.status == "ok" and card.licence.startswith("MIT for deepface")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3)).astype(np.float32)
    found = load(card, tmp_path / model).predict(pixels, verbose=0)
    shares = network.predict(pixels[..., ::-1] / 255, verbose=0)
    if model == "deepface_age":
        np.testing.assert_allclose(found["age"], shares @ np.arange(101.0)[:, None], rtol=1e-4)
    else:
        np.testing.assert_allclose(found["gender"], shares[:, ::-1], atol=1e-5)


def test_what_is_out_of_reach_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.delenv("POCKETFACE_MIRROR", raising=False)
    study, sources = load_study(REPOSITORY / "studies/deepface.yaml"), load_sources(REPOSITORY / SOURCES)
    entry = sources.weight("deepface_emotion")
    file = entry.files[0].model_copy(update={"upstream": ()})
    known = sources.weights | {"deepface_emotion": entry.model_copy(update={"files": (file,)})}
    sources = sources.model_copy(update={"weights": known})
    card = fetch(study, "deepface_emotion", sources, tmp_path / "out", tmp_path / "archives")
    assert card.status == "unavailable" and "facial_expression_model_weights.h5" in str(card.reason)
