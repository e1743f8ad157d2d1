from pathlib import Path

import keras
import numpy as np
import pytest
from weight_files import tfjs_of

from pocketface import models
from pocketface.core.errors import PocketfaceError
from pocketface.fetching.sources import Sources
from pocketface.importing.pretrained import attributions, terms, with_pretrained
from pocketface.layers.backbones import BACKBONES
from pocketface.study import Study
from tiny_training import publish, study


def sources() -> Sources:
    source = {"title": "Known", "licence": "CC0", "files": [{"mirror": "weights/known.h5"}]}
    return Sources.model_validate({"weights": {"known": source}})


def starting_from(weights: str) -> Study:
    params = study().model_dump(mode="json")
    params["models"]["small"]["options"]["weights"] = weights
    return Study.model_validate(params)


def test_a_name_becomes_its_file_which_comes_from_the_mirror(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mirror/weights").mkdir(parents=True)
    (tmp_path / "mirror/weights/known.h5").write_bytes(b"weights")
    monkeypatch.setenv("POCKETFACE_MIRROR", str(tmp_path / "mirror"))
    named = starting_from("known")
    found = with_pretrained(named, "small", sources(), tmp_path / "archives")
    path = tmp_path / "archives/weights/known.h5"
    assert path.read_bytes() == b"weights"
    assert found.models["small"].options["weights"] == path.as_posix()
    assert named.models["small"].options["weights"] == "known"
    assert found.models["small"].recipe == named.models["small"].recipe


@pytest.mark.parametrize("plan", [study(), starting_from("mine/backbone.weights.h5")])
def test_random_weights_and_a_file_are_left_as_they_are(plan: Study, tmp_path: Path) -> None:
    assert with_pretrained(plan, "small", sources(), tmp_path) == plan


def test_an_unknown_name_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PocketfaceError, match=r"no weight file 'knwon'; there are known"):
        with_pretrained(starting_from("knwon"), "small", sources(), tmp_path)


def test_what_cannot_be_had_says_where_to_put_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("POCKETFACE_MIRROR", raising=False)
    with pytest.raises(PocketfaceError, match=r"weights.known\.h5: could not be had anywhere"):
        with_pretrained(starting_from("known"), "small", sources(), tmp_path)


SIDE = 32


def folded(folder: Path, kind: str = "float32") -> keras.Model:
    """Writes a MobileNet that has seen something into a mirror, as a graph of TensorFlow.js."""
    keras.utils.set_random_seed(5)
    network = BACKBONES["mobilenet_v1"].build(keras.Input((SIDE, SIDE, 3)), 0.25)
    random = np.random.default_rng(5)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    tfjs_of(network, kind).save(folder / "weights/known.json")
    return network


def graph_sources() -> Sources:
    files = [{"mirror": "weights/known.json"}, {"mirror": "weights/known.bin"}]
    return Sources.model_validate({"weights": {"known": {"title": "K", "licence": "CC0", "files": files}}})


def tuned(backbone: str = "mobilenet_v1") -> Study:
    params = study().model_dump(mode="json")
    small = params["models"]["small"]
    small["architecture"] = "transfer"
    small["options"] = {"backbone": backbone, "alpha": 0.25, "weights": "known"}
    small["input"]["size"] = SIDE
    return Study.model_validate(params)


def test_a_graph_of_tensorflow_js_answers_in_a_backbone_as_before(tmp_path: Path, monkeypatch) -> None:
    network = folded(tmp_path / "mirror")
    monkeypatch.setenv("POCKETFACE_MIRROR", str(tmp_path / "mirror"))
    stanza = with_pretrained(tuned(), "small", graph_sources(), tmp_path / "archives").models["small"]
    model = models.build(stanza.architecture, stanza.input, stanza.heads, stanza.options)
    features = keras.Model(model.input, model.get_layer("conv_pw_13_relu").output)
    faces = np.random.default_rng(1).uniform(0, 255, (3, SIDE, SIDE, stanza.input.channels))
    shown = np.repeat(faces, 3 // faces.shape[-1], axis=-1)[..., ::-1] - [103.939, 116.779, 123.68]
    expected = np.asarray(network(shown.astype(np.float32)))
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(np.asarray(features(faces.astype(np.float32))), expected, atol=1e-3)


def test_a_graph_of_another_network_is_refused_by_name(tmp_path: Path, monkeypatch) -> None:
    folded(tmp_path / "mirror")
    monkeypatch.setenv("POCKETFACE_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(PocketfaceError, match=r"known\.json: not the weights of vgg16 0\.25"):
        with_pretrained(tuned("vgg16"), "small", graph_sources(), tmp_path / "archives")
    with pytest.raises(PocketfaceError, match=r"one of mobilenet_v1, .*, not of lenet"):
        with_pretrained(tuned("lenet"), "small", graph_sources(), tmp_path / "archives")
    assert not list((tmp_path / "archives/weights").glob("*.h5"))


def test_the_terms_of_all_that_a_model_learns_from_travel_with_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    publish(Path("weights/first"), 1)
    faces = {"title": "Faces", "licence": "their terms", "files": [{"mirror": "faces.zip"}]}
    known = Sources.model_validate(
        {"datasets": {"utkface": faces}} | sources().model_dump(exclude={"datasets"})
    )
    assert terms(study(), "small", known) == "their terms"
    assert terms(starting_from("known"), "small", known) == "their terms; CC0"
    assert terms(starting_from("mine.h5"), "small", known) == "their terms"
    for learning in ({"start": "weights/first"}, {"teachers": {"weights": ["weights/first"]}}):
        assert terms(study(**learning), "small", known) == "their terms; research"
        assert attributions(study(**learning), "small", known) == {
            "somewhere": "Somewhere: research",
            "utkface": "Faces, no home page: their terms",
        }
