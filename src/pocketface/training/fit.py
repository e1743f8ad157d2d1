"""Training one model of a study: from packed faces to weights, card and curves.

result = fit(study, "age_gender", FaceSet.load(Path("data/faces/utkface")))
save(result, Path("models/age_gender"))
"""

import json
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
import pandas as pd

from pocketface import models
from pocketface.cards import ModelCard, write_card
from pocketface.errors import PocketfaceError
from pocketface.faces.index import FaceSet
from pocketface.files import rounded, written_whole
from pocketface.models.heads import meaning, training_model, training_outputs
from pocketface.models.macs import macs
from pocketface.study import Model, Study, Training
from pocketface.training import age, losses, runtime
from pocketface.training.batches import Batches

WEIGHTS, HISTORY = "model.weights.h5", "history.csv"


class Curves(Protocol):
    """Somewhere that wants the curves while training runs."""

    def log(self, epoch: int, metrics: dict[str, float]) -> None:
        """Takes the metrics of one finished epoch."""


@dataclass(frozen=True)
class Trained:
    """What a training leaves: see `save`."""

    model: keras.Model
    card: ModelCard
    history: pd.DataFrame


def fit(study: Study, name: str, faces: FaceSet, licence: str, curves: Curves | None = None) -> Trained:
    """Trains model `name` of a study on the train split of `faces`.

    The length is fixed and the last weights are kept: nothing is chosen by the validation split, so its
    figures are not flattered.

    Args:
        study: the params.
        name: the model.
        faces: the crops of its dataset.
        licence: the dataset's terms, which travel with the weights.
        curves: told of every epoch.

    Raises:
        PocketfaceError: a label is missing, there are too few faces, or the loss became NaN.
    """
    stanza = study.models[name]
    facts = runtime.seed_everything(study.seed)
    model = models.build(stanza.architecture, stanza.input, stanza.heads, stanza.options)
    extra = training_outputs(model)
    train, val = _batches(stanza, faces, [*stanza.heads, *extra], study.seed)
    learner = training_model(model)
    _compile(learner, stanza, extra, steps=len(train))
    history = learner.fit(
        train,
        validation_data=val,
        epochs=stanza.training.epochs,
        callbacks=[_StopAtNaN(name), *([_Report(curves)] if curves else [])],
        verbose=1 if sys.stdout.isatty() else 2,
    ).history
    card = ModelCard(
        model=name,
        architecture=stanza.architecture,
        options=stanza.options,
        dataset=faces.dataset,
        licence=licence,
        crop=faces.crop,
        input=stanza.input,
        outputs={head: meaning(head) for head in stanza.heads},
        parameters=model.count_params(),
        trainable_parameters=sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        macs=macs(model),
        training=stanza.training.model_dump(mode="json") | facts | {"faces": len(faces.rows("train"))},
    )
    curve = pd.DataFrame(history).rename_axis("epoch").reset_index()
    return Trained(model, card, curve)


def save(trained: Trained, folder: Path) -> None:
    """Writes `model.weights.h5`, `card.json` and `history.csv`, all or nothing."""
    with written_whole(folder) as partial:
        partial.mkdir(parents=True)
        trained.model.save_weights(partial / WEIGHTS)
        write_card(partial, trained.card)
        trained.history.to_csv(partial / HISTORY, index=False, float_format="%.6g")


def load(card: ModelCard, folder: Path) -> keras.Model:
    """The model of a card, with the weights in `folder`.

    Raises:
        PocketfaceError: the weights are missing or belong to another architecture.
    """
    model = models.build(
        card.architecture, card.input, list(card.outputs), dict(card.options), pretrained=False
    )
    path = Path(folder) / WEIGHTS
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise PocketfaceError(
            f"{path}: not the weights of {card.architecture} ({error}); run `dvc repro train@{card.model}`"
        ) from None
    return model


def training_key(study: Study, name: str, index: Path) -> str:
    """A hash of all that decides a training's result, to recognise the same training again."""
    recipe = study.models[name].model_dump(mode="json") | {"seed": study.seed, "threads": study.threads}
    return sha256(json.dumps(recipe, sort_keys=True).encode() + index.read_bytes()).hexdigest()


def _batches(stanza: Model, faces: FaceSet, outputs: list[str], seed: int) -> tuple[Batches, Batches]:
    train, val = faces.rows("train"), faces.rows("val")
    if val.empty:
        raise PocketfaceError(
            f"dataset {faces.dataset} has no accepted face to validate on; raise its `sample`"
        )
    recipe = stanza.training
    return (
        Batches(faces, train, stanza.input, outputs, recipe.batch_size, recipe.augment, seed),
        Batches(faces, val, stanza.input, outputs, recipe.batch_size),
    )


def _compile(model: keras.Model, stanza: Model, extra: list[str], steps: int) -> None:
    recipe, heads = stanza.training, stanza.heads
    optimizer = keras.optimizers.AdamW(_one_cycle(recipe, steps), weight_decay=recipe.weight_decay)
    model.compile(
        optimizer=optimizer,
        loss=losses.losses(heads, recipe) | age.losses(extra),
        loss_weights=losses.loss_weights(heads, recipe) | dict.fromkeys(extra, 1.0),
        weighted_metrics=losses.metrics(heads),
    )


def _one_cycle(recipe: Training, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A linear rise over the first tenth, then a half cosine down to nothing (Loshchilov, Hutter, 2017)."""
    total = recipe.epochs * steps
    rise = max(total // 10, 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=recipe.learning_rate / 25,
        decay_steps=max(total - rise, 1),
        warmup_target=recipe.learning_rate,
        warmup_steps=rise,
    )


class _StopAtNaN(keras.callbacks.Callback):
    """Ends a training whose loss is no longer a number, and says what to change."""

    def __init__(self, name: str):
        super().__init__()
        self._name = name

    def on_train_batch_end(self, batch, logs=None):
        if logs and not np.isfinite(logs["loss"]):
            raise PocketfaceError(
                f"models.{self._name}: the loss became {logs['loss']} at batch {batch}; "
                f"lower its training.learning_rate in params.yaml"
            )


class _Report(keras.callbacks.Callback):
    """Hands every epoch's metrics on."""

    def __init__(self, curves: Curves):
        super().__init__()
        self._curves = curves

    def on_epoch_end(self, epoch, logs=None):
        self._curves.log(epoch, rounded({key: float(value) for key, value in (logs or {}).items()}))
