from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketface.cards import ModelCard, read_card, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.faces.index import CROP, INDEX
from pocketface.faces.seen import fingerprints
from pocketface.faces.settings import Input
from pocketface.faces.view import view
from pocketface.published import read
from pocketface.publishing import pack
from pocketface.training import corrections
from pocketface.training.fit import HISTORY, fit, identity, load, save, start_from, training_key
from tiny_training import banded, face_set, publish, study


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model trained until it has learned something, its folder, and the epochs it told."""
    epochs: list[tuple[int, dict]] = []
    curves = [lambda *epoch: epochs.append(epoch)]
    result = fit(study(epochs=12), "small", [face_set(train=256)], "research only", curves)
    folder = tmp_path_factory.mktemp("models") / "small"
    save(result, folder)
    return result, folder, epochs


def test_training_learns_both_heads(trained) -> None:
    result, _, _ = trained
    last = result.history.iloc[-1]
    assert last["val_gender_accuracy"] > 0.9
    assert last["val_age_mae"] < 0.7 * result.history["val_age_mae"].iloc[0]


def test_every_epoch_is_told_while_training_runs(trained) -> None:
    result, folder, epochs = trained
    assert [epoch for epoch, _ in epochs] == list(range(12))
    assert epochs[-1][1]["val_age_mae"] == pytest.approx(result.history["val_age_mae"].iloc[-1], rel=1e-4)
    assert (folder / HISTORY).read_text().startswith("epoch,")


def test_the_card_says_what_the_model_is(trained) -> None:
    result, folder, _ = trained
    card = read_card(folder, ModelCard)
    assert card == result.card
    assert card.outputs["gender"].labels == ("male", "female")
    assert card.parameters == result.model.count_params()
    assert card.parameters - card.trainable_parameters == 2 * (8 + 16)
    assert card.training["faces"] == 256
    assert card.licence == "research only"


def test_weights_load_into_the_model_of_the_card(trained) -> None:
    result, folder, _ = trained
    again = load(read_card(folder, ModelCard), folder)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.float32)
    for head, answer in result.model.predict(pixels, verbose=0).items():
        np.testing.assert_array_equal(answer, again.predict(pixels, verbose=0)[head])


def test_weights_of_another_architecture_are_an_error(trained) -> None:
    _, folder, _ = trained
    card = read_card(folder, ModelCard)
    other = card.model_copy(update={"options": card.options | {"widths": [8, 24]}})
    with pytest.raises(PocketfaceError, match="not the weights of compact"):
        load(other, folder)


def test_a_dataset_without_validation_faces_is_an_error() -> None:
    with pytest.raises(PocketfaceError, match="no accepted face to validate on"):
        fit(study(), "small", [face_set(val=0)], "research only")


def test_the_training_key_changes_with_recipe_data_and_crop(tmp_path: Path) -> None:
    def key(**changes: object) -> str:
        return training_key(identity(study(**changes), "small", [tmp_path]))

    files = [tmp_path / name for name in (INDEX, CROP)]
    for file in files:
        file.write_bytes(b"one")
    first = key()
    assert first == key()
    assert first != key(learning_rate=0.02)
    for file in files:
        file.write_bytes(b"two")
        assert first != key()
        file.write_bytes(b"one")


STILL = {"epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0}
"""A training that changes no weight."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("published", "same"),
    [(("age", "gender"), ("age_dense", "gender")), (("gender",), ("conv2d_1", "gender"))],
)
def test_a_training_starts_from_a_published_model_and_a_head_that_this_lacks_anew(
    published: tuple[str, ...], same: tuple[str, ...], here: None
) -> None:
    there = publish(Path("weights/first"), 7, published)
    model = fit(study(start="weights/first", **STILL), "small", [face_set()], "research only").model
    for name in same:
        kernel = there.get_layer(name).get_weights()[0]
        np.testing.assert_allclose(model.get_layer(name).get_weights()[0], kernel, atol=1e-6)


def test_weights_that_were_replaced_are_another_training_and_not_those_of_the_card(here: None) -> None:
    first, second = (Path(f"weights/{name}/model.weights.h5") for name in ("first", "second"))
    for seed, path in enumerate((first, second)):
        publish(path.parent, seed, ("age", "gender"))
    plan = study(start="weights/first")
    before = identity(plan, "small", [])
    second.replace(first)
    assert training_key(identity(plan, "small", [])) != training_key(before)
    with pytest.raises(PocketfaceError, match=r"not the file that card\.json describes"):
        fit(plan, "small", [face_set()], "research only")


def test_a_share_of_the_weights_that_it_started_from_is_kept(here: None) -> None:
    there = publish(Path("weights/first"), 7, ("age", "gender"))
    trained, mixed = (
        fit(study(start="weights/first", start_share=share), "small", [face_set()], "research only").model
        for share in (0, 0.25)
    )
    for start, end, found in zip(*(m.get_weights() for m in (there, trained, mixed)), strict=True):
        np.testing.assert_allclose(found, 0.25 * start + 0.75 * end, atol=1e-4)


def test_no_share_is_kept_of_a_head_that_starts_anew(here: None) -> None:
    publish(Path("weights/first"), 7, ("gender",))
    with pytest.raises(PocketfaceError, match="start_share: age_"):
        fit(study(start="weights/first", start_share=0.5), "small", [face_set()], "research only")


def test_an_age_is_brought_to_its_least_error_on_train_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = face_set(train=128)
    rows = faces.rows("train")
    seen = [view(face, faces.crop, Input(size=16)) for face in faces.pixels[rows["face"]]]
    pixels = np.stack(seen).astype(np.float32)

    def error(model) -> float:
        return np.abs(np.asarray(model(pixels)["age"])[:, 0] - rows["age"]).mean()

    before: list[float] = []
    bring = corrections.to_least_error
    monkeypatch.setattr(
        corrections, "to_least_error", lambda model, *told: before.append(error(model)) or bring(model, *told)
    )
    plan = study({"age": "expected"}, epochs=4, age_temperature=True)
    model = fit(plan, "small", [faces], "research only").model
    assert error(model) < before[0]


@pytest.mark.parametrize(
    ("asked", "remedy"),
    [({"start_share": 0.5}, "name a `start`"), ({"age_temperature": True}, "options: {age: expected}")],
)
def test_what_there_is_nothing_for_is_refused(asked: dict, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        study(**asked)


def test_only_some_heads_learn_and_the_others_answer_as_they_start(here: None) -> None:
    there = publish(Path("weights/first"), 7, ("age", "gender"))
    result = fit(study(start="weights/first", only=["gender"]), "small", [face_set()], "research only")
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype(np.float32)
    before, after = there.predict(pixels, verbose=0), result.model.predict(pixels, verbose=0)
    np.testing.assert_array_equal(before["age"], after["age"])
    assert not np.allclose(before["gender"], after["gender"], atol=0.01)
    assert {"val_accuracy", "val_loss"} <= set(result.history)
    assert not [column for column in result.history if "age" in column]


def test_a_branch_starts_from_another_published_model(here: None) -> None:
    options = {"backbone": "mobilenet_v1", "alpha": 0.25}
    trunk, other = (
        publish(Path(f"weights/{head}"), seed, (head,), 32, "transfer", options | {"until": until})
        for head, seed, until in (("gender", 7, "conv_pw_3_relu"), ("expression", 8, "conv_pw_4_relu"))
    )
    branch = {"branch": "expression", "branch_after": "conv_pw_2_relu", "branch_until": "conv_pw_4_relu"}
    plan = study(start=["weights/gender", "weights/expression"], **STILL)
    small = plan.models["small"]
    plan.models["small"] = small.model_copy(
        update={
            "architecture": "transfer",
            "options": options | branch | {"until": "conv_pw_3_relu"},
            "heads": ["gender", "expression"],
            "input": small.input.model_copy(update={"size": 32}),
        }
    )
    model = fit(plan, "small", [face_set()], "research only").model
    sources = {"conv_pw_3": trunk, "expression_conv_pw_3": other, "expression_conv_pw_4": other}
    for name, source in sources.items():
        theirs = source.get_layer(name.removeprefix("expression_")).get_weights()[0]
        np.testing.assert_allclose(model.get_layer(name).get_weights()[0], theirs, atol=1e-6)
    with pytest.raises(PocketfaceError, match=r"weights.gender: .* no layer expression_conv_dw_3 to start"):
        start_from([Path("weights/gender")], model, ["gender"])


def test_heads_that_do_not_learn_need_a_start() -> None:
    with pytest.raises(ValueError, match="name a `start` that has them"):
        study(only=["gender"])
    with pytest.raises(ValueError, match=r"models\.small\.training\.only: no head \['smile'\]"):
        study(start="weights/first", only=["smile"])


def test_it_starts_from_a_model_that_has_all_of_its_layers(here: None) -> None:
    publish(Path("weights/first"), 7, ("gender",))
    deeper = study({"depths": [1, 2]}, start="weights/first")
    with pytest.raises(PocketfaceError, match=r"weights.first: .* it has no layer conv2d_2 to start"):
        fit(deeper, "small", [face_set()], "research only")


def test_half_precision_is_enough_to_start(here: None) -> None:
    there = publish(Path("weights/first"), 7, ("age", "gender"))
    path = Path("weights/first/model.weights.h5")
    pack(path, Path("half.h5"), lambda numbers: numbers.ndim > 1)
    card = read(path.parent)
    Path("half.h5").replace(path)
    write_card(path.parent, card.model_copy(update={"weights_sha256": sha256(path)}))
    loaded = load(card, path.parent)
    for own, theirs in zip(loaded.get_weights(), there.get_weights(), strict=True):
        assert own.dtype == np.float32
        np.testing.assert_allclose(own, theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "extra"),
    [("expected", "age_distribution"), pytest.param("ordinal", "age_ranks", marks=pytest.mark.slow)],
)
def test_a_head_that_learns_a_distribution_learns_the_age(kind: str, extra: str) -> None:
    trained = fit(study({"age": kind}, epochs=4), "small", [face_set(train=256)], "research only")
    assert set(trained.model.output) == {"age", "gender"}
    assert set(trained.card.outputs) == {"age", "gender"}
    assert trained.card.options["age"] == kind
    curve = trained.history
    assert curve[f"{extra}_loss"].iloc[-1] < curve[f"{extra}_loss"].iloc[0]
    assert curve["val_age_mae"].iloc[-1] < 12, "ages here are 1 to 90, a constant answer is off by 22"


@pytest.mark.parametrize(
    ("kind", "extra"),
    [pytest.param("expected", "age_distribution", marks=pytest.mark.slow), ("ordinal", "age_ranks")],
)
def test_a_head_learns_the_age_from_bands_alone(kind: str, extra: str) -> None:
    faces = face_set(train=256)
    trained = fit(study({"age": kind}, epochs=6), "small", [banded(faces)], "research only")
    assert trained.history[f"{extra}_loss"].iloc[-1] < trained.history[f"{extra}_loss"].iloc[0]
    assert (trained.history["age_loss"] == 0).all(), "no face has an age"
    assert "val_age_mae" not in trained.history
    val = faces.rows("val")
    seen = np.stack([view(faces.pixels[face], faces.crop, Input(size=16)) for face in val["face"]])
    answer = np.asarray(trained.model.predict(seen.astype(np.float32), verbose=0)["age"])[:, 0]
    assert np.abs(answer - val["age"]).mean() < 12, "ages here are 1 to 90, a constant answer is off by 22"


def test_ages_bands_and_neither_are_learned_together() -> None:
    aged, nothing = face_set(train=128), face_set(train=64, dataset="celeba", seed=2)
    nothing = replace(nothing, index=nothing.index.drop(columns="age"))
    bands = banded(face_set(train=128, dataset="fairface", seed=1))
    plan = study({"age": "expected"}, epochs=4, augment={"mixup": 0.2})
    trained = fit(plan, "small", [aged, nothing, bands], "research only")
    assert trained.history["val_age_mae"].iloc[-1] < 15
    assert trained.history["age_distribution_loss"].is_monotonic_decreasing


def test_a_training_on_bands_cannot_be_steered_by_years() -> None:
    steered = study({"age": "expected"}, watch={"metric": "age_mae", "share": 0.2})
    with pytest.raises(PocketfaceError, match="no watched face has the label 'age' of age_mae"):
        fit(steered, "small", [banded(face_set(train=64))], "research only")


def test_copies_of_learned_pictures_are_seen() -> None:
    faces = face_set()
    first, second = faces.rows("train").index[:2]
    faces.index.loc[second, ["status", "same_as"]] = ["duplicate", faces.index.loc[first, "image"]]
    train = faces.index[faces.index["split"] == "train"]
    found = fit(study(epochs=1), "small", [faces], "its terms").seen
    np.testing.assert_array_equal(found, fingerprints(train["source_sha"]))


def test_a_temperature_of_ages_without_any_is_told_before_training() -> None:
    plan = study(options={"age": "expected"}, age_temperature=True)
    with pytest.raises(PocketfaceError, match="no train face of utkface has an age in years"):
        fit(plan, "small", [banded(face_set())], "its terms")


@pytest.mark.parametrize(("field", "value"), [("loss_weights", {"age": 0.3}), ("balanced", ["age"])])
def test_what_weighs_a_head_that_does_not_learn_is_told(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"training\.{field}: no head \['age'\] that it learns"):
        study(start="weights/x", only=["gender"], **{field: value})
