"""Training one model of a study: from packed faces to weights, card and curves."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

import pocketface
from pocketface import models, published
from pocketface.cards import ModelCard, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import written_whole
from pocketface.core.labels import meaning
from pocketface.faces import seen
from pocketface.faces.index import CROP, DUPLICATE, INDEX, OK, FaceSet
from pocketface.layers.heads import training_model
from pocketface.layers.macs import counted
from pocketface.training import corrections, losses, runtime
from pocketface.training.batches import Batches
from pocketface.training.callbacks import Curves, Keep, Steer, stop_at_nan
from pocketface.training.checkpoints import START, Checkpoints
from pocketface.training.schedules import learning_rate
from pocketface.training.settings import Model, Plan, Training
from pocketface.training.splits import set_apart, together

WEIGHTS, HISTORY = "model.weights.h5", "history.csv"
PACKAGE = Path(pocketface.__file__).parent

Teach = Callable[[pd.DataFrame], Mapping[str, np.ndarray]]
"""Rows of face indexes, N of them, to what teachers answer: head -> `[N, classes]`."""


@dataclass(frozen=True)
class Trained:
    """What a training leaves: see `save`."""

    model: keras.Model
    card: ModelCard
    history: pd.DataFrame
    seen: np.ndarray


@dataclass(frozen=True)
class Learned:
    """A trained model, its curves (a row an epoch), and how many faces it was trained on."""

    model: keras.Model
    history: pd.DataFrame
    faces: int


def fit(
    study: Plan,
    name: str,
    sets: Sequence[FaceSet],
    licence: str,
    curves: Sequence[Curves] = (),
    checkpoints: Checkpoints | None = None,
    teach: Teach | None = None,
) -> Trained:
    """Trains model `name` of a study on the train split of `sets`.

    Faces that steer a training (`watch`) are taken from `train`, never from `val`.

    Args:
        sets: the crops of its datasets, the main one first, see `duplicates.across`.
        licence: the datasets' terms, which travel with the weights.
        curves: get the metrics of every epoch.
        checkpoints: where to keep them; a training that stands there is continued.
        teach: asks the recipe's teachers, see `importing.teachers`.

    Raises:
        PocketfaceError: a label is missing, there are too few faces, the loss became NaN, or the checkpoints
            are of another training.
    """
    stanza = study.models[name]
    facts = runtime.seed_everything(study.seed)
    val = together(sets, "val")
    if val.empty:
        raise PocketfaceError(
            f"dataset {sets[0].dataset} has no accepted face to validate on; raise its `sample`"
        )
    train = together(sets, "train")
    if stanza.recipe.age_temperature and train["age"].isna().all():
        datasets = ", ".join(faces.dataset for faces in sets)
        raise PocketfaceError(
            f"models.{name}.training.age_temperature: no train face of {datasets} has an age in years, only "
            "bands; leave it out, or mix in a dataset with ages"
        )
    learned = learn(study, name, sets, train, val, curves, checkpoints, teach)
    model = learned.model
    corrections.to_rates(model, stanza.recipe.priors, train, stanza.recipe.balanced)
    if teach and stanza.recipe.teachers and stanza.recipe.teachers.as_sure:
        make_as_sure(model, stanza, sets, train, teach)
    if stanza.recipe.age_temperature:
        rows = some(train[train["age"].notna()])
        told = training_model(model, ["age"]).predict(Batches(sets, rows, stanza, []), verbose=0)
        corrections.to_least_error(model, told["age_distribution"], rows["age"].to_numpy())
    card = ModelCard(
        model=name,
        architecture=stanza.architecture,
        options=stanza.options,
        dataset=", ".join(faces.dataset for faces in sets),
        licence=licence,
        crop=sets[0].crop,
        input=stanza.input,
        outputs={head: meaning(head) for head in stanza.heads},
        **counted(model),
        training=stanza.recipe.model_dump(mode="json")
        | facts
        | {"faces": learned.faces, "left_out": {faces.dataset: left_out(faces) for faces in sets}},
    )
    known = [seen.load(Path(folder)) for folder in stanza.recipe.published]
    own = seen.fingerprints(sha for faces in sets for sha in learned_from(faces))
    return Trained(model, card, learned.history, np.unique(np.concatenate([own, *known])))


def learned_from(faces: FaceSet) -> pd.Series:
    """The SHA-256 of the pictures that are learned from, and of their copies: a study of a smaller sample may
    lack the one that counts here, and measure a copy."""
    index = faces.index
    return index.loc[(index["split"] == "train") & index["status"].isin([OK, DUPLICATE]), "source_sha"]


def left_out(faces: FaceSet) -> dict[str, int]:
    """How many train pictures of a dataset are not learned from though a face was found: status -> count."""
    index = faces.index
    copies = index[index["face"].notna() & (index["status"] != OK) & (index["split"] == "train")]
    return {str(status): int(n) for status, n in copies["status"].value_counts().sort_index().items()}


def learn(
    study: Plan,
    name: str,
    sets: Sequence[FaceSet],
    train: pd.DataFrame,
    val: pd.DataFrame,
    curves: Sequence[Curves] = (),
    checkpoints: Checkpoints | None = None,
    teach: Teach | None = None,
) -> Learned:
    """Trains model `name` on the faces `train` of `sets`; those of `val` only give curves.

    The caller has seeded everything, see `runtime.seed_everything`. Raises as `fit` does.
    """
    stanza = study.models[name]
    recipe = stanza.recipe
    start = (checkpoints and checkpoints.latest()) or START
    model = models.build(
        stanza.architecture, stanza.input, stanza.heads, stanza.options, pretrained=not recipe.start
    )
    if recipe.start:
        anew = start_from([Path(folder) for folder in recipe.start], model, stanza.heads)
        if anew and recipe.start_share:
            raise PocketfaceError(
                f"models.{name}.training.start_share: {anew[0]} starts anew: there is nothing to keep of it"
            )
    started = model.get_weights() if recipe.start_share else []
    hold(model, [head for head in stanza.heads if head not in stanza.learned])
    learner = training_model(model, stanza.learned)
    outputs = list(learner.output)
    watched = None
    if recipe.watch:
        train, apart = set_apart(train, recipe.watch.share)
        if apart.empty:
            raise PocketfaceError(
                f"models.{name}.training.watch.share: {recipe.watch.share} of the train faces is none of them"
            )
        watched = Batches(sets, apart, stanza, outputs)
    batches = Batches(sets, train, stanza, outputs, study.seed)
    if recipe.teachers and teach:
        batches.teach(teach(train), recipe.teachers.share)
    measured = [head for head in stanza.learned if batches.labelled(head)]
    _compile(learner, recipe, measured, steps=len(batches))
    runtime.make_variables(learner, *batches[0][1:])
    start.restore(learner)
    steer = Steer(recipe, outputs, watched, start) if watched else None
    keep = Keep(start, batches, checkpoints, steer, curves)
    averaged = keras.callbacks.SwapEMAWeights() if recipe.average else None
    learner.fit(
        batches,
        validation_data=Batches(sets, val, stanza, outputs),
        initial_epoch=recipe.epochs if steer and steer.finished else start.epochs,
        epochs=recipe.epochs,
        callbacks=[callback for callback in (stop_at_nan(name), averaged, steer, keep) if callback],
        verbose=1 if sys.stdout.isatty() else 2,
    )
    if steer and steer.best:
        learner.set_weights(steer.best)
    if share := recipe.start_share:
        pairs = zip(started, model.get_weights(), strict=True)
        # Exactly as before where nothing was learned.
        model.set_weights([before + (1 - share) * (now - before) for before, now in pairs])
    history = pd.DataFrame(keep.history).rename_axis("epoch").reset_index()
    return Learned(model, history, len(train))


def make_as_sure(
    model: keras.Model, stanza: Model, sets: Sequence[FaceSet], train: pd.DataFrame, teach: Teach
) -> None:
    """Makes a model as sure as its teachers are, head by head, on faces without the label; a head of which
    there are none is a `PocketfaceError`.
    """
    for head in teach(train.iloc[:1]):
        unlabelled = train[train[head].isna()] if head in train else train
        if unlabelled.empty:
            raise PocketfaceError(
                f"training.teachers.as_sure: every train face has a label of {head}; mix in a dataset without"
            )
        rows = some(unlabelled)
        own = model.predict(Batches(sets, rows, stanza, []), verbose=0)
        corrections.as_sure(model, head, own[head], teach(rows)[head])


def some(rows: pd.DataFrame) -> pd.DataFrame:
    """So many of these faces, evenly, that one number can be found by them."""
    return rows.iloc[:: -(-len(rows) // corrections.FACES) or 1]


def start_from(folders: Sequence[Path], model: keras.Model, heads: Sequence[str]) -> list[str]:
    """Gives each layer of a model the weights of that layer in the first published one that has it.

    A layer `HEAD_LAYER` of a branch takes those of `LAYER` in one that answers the head. Heads that none
    answers start anew; returns their layers. A folder that is not there, or another layer that none has, is a
    `PocketfaceError`.
    """
    cards = {folder: published.read(folder) for folder in folders}
    for folder, card in cards.items():
        published.check(folder, card)
    there = [(card, {layer.name: layer for layer in load(card, path).layers}) for path, card in cards.items()]
    answered = {head for card in cards.values() for head in card.outputs}
    anew = tuple(f"{head}_" for head in heads if head not in answered)
    fresh = []
    for layer in model.layers:
        theirs = next(_fitting(layer, there), None)
        if theirs:
            layer.set_weights(theirs.get_weights())
        elif f"{layer.name}_".startswith(anew):
            fresh.append(layer.name)
        else:
            told = "; ".join(
                f"{folder}: a {card.architecture} with {card.options} that answers {', '.join(card.outputs)}"
                for folder, card in cards.items()
            )
            raise PocketfaceError(f"{told}: it has no layer {layer.name} to start from")
    return fresh


def _fitting(
    layer: keras.Layer, there: Sequence[tuple[ModelCard, Mapping[str, keras.Layer]]]
) -> Iterator[keras.Layer]:
    """The layers of published models that have a layer's name, or that of its branch, and its shapes."""
    if not layer.weights:
        yield layer
    for card, layers in there:
        for name in (layer.name, *(layer.name.removeprefix(f"{head}_") for head in card.outputs)):
            if name in layers and [w.shape for w in layers[name].weights] == [w.shape for w in layer.weights]:
                yield layers[name]


def hold(model: keras.Model, heads: Sequence[str]) -> None:
    """Freezes all layers on which the answers of these heads depend."""
    if heads:
        for layer in keras.Model(model.input, [model.output[head] for head in heads]).layers:
            layer.trainable = False


def save(trained: Trained, folder: Path) -> None:
    """Writes `model.weights.h5`, `card.json`, `seen.npy` and `history.csv`, all or nothing."""
    with written_whole(folder, folder=True) as partial:
        trained.model.save_weights(partial / WEIGHTS)
        write_card(partial, trained.card)
        seen.save(trained.seen, partial)
        trained.history.to_csv(partial / HISTORY, index=False, float_format="%.6g")


def load(card: ModelCard, folder: Path) -> keras.Model:
    """The model of a card, with the weights in `folder`; others or none are a `PocketfaceError`."""
    if card.architecture == models.OWN:
        model = models.rebuild(Path(folder))
    else:
        heads = list(card.outputs)
        model = models.build(card.architecture, card.input, heads, card.options, pretrained=False)
    path = Path(folder) / WEIGHTS
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise PocketfaceError(
            f"{path}: not the weights of {card.architecture} ({error}); run `dvc repro train@{card.model}`"
        ) from None
    return model


def identity(study: Plan, name: str, folders: Sequence[Path]) -> dict[str, object]:
    """All that decides a training's result: setting -> value.

    `folders` are the faces of its datasets: the index has the hash of every picture, `crop.json` says how
    they were cut out.
    """
    others = [Path(folder) / WEIGHTS for folder in study.models[name].recipe.published]
    recipe = study.models[name].model_dump(mode="json", exclude={"weights"})
    training = recipe.pop("training")
    code = sorted(path for part in ("layers", "models", "training") for path in (PACKAGE / part).glob("*.py"))
    return {
        **recipe,
        **{f"training.{setting}": value for setting, value in training.items()},
        "seed": study.seed,
        "threads": study.threads,
        "faces": _digest([folder / file for folder in folders for file in (INDEX, CROP)]),
        "published": _digest(others) if others else None,
        "code": _digest([*code, PACKAGE / "faces/duplicates.py", PACKAGE / "faces/view.py"]),
        "keras": keras.version(),
        "backend": keras.backend.backend(),
    }


def training_key(identity: Mapping[str, object]) -> str:
    """A hash of an `identity`, to recognise the same training again."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _digest(paths: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]


def _compile(model: keras.Model, recipe: Training, measured: list[str], steps: int) -> None:
    outputs = list(model.output)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            learning_rate(recipe, steps),
            weight_decay=recipe.weight_decay,
            use_ema=recipe.average > 0,
            ema_momentum=recipe.average,
        ),
        loss=losses.losses(outputs, recipe),
        loss_weights=losses.loss_weights(outputs, recipe),
        weighted_metrics=losses.metrics(measured),
    )
