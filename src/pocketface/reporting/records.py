"""Records: what the architectures of one study reached, small enough to be kept in git.

    record, curves = make_record(study, about=comment_of(PARAMS))
    record.model("mini_xception").figures["expression_accuracy"]

A record is made from what `dvc repro train` and `dvc repro cross_validate` leave, and outlives them: the next
study may run in the same checkout. Its figures are those of the trained Keras models on the validation faces,
by which nothing was chosen.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from pocketface.cards import CARD, ModelCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import rounded
from pocketface.core.labels import main_metric
from pocketface.core.settings import Strict
from pocketface.faces.index import FaceSet
from pocketface.metrics.measures import measure
from pocketface.study import Study

Figures = dict[str, float]
"""Metric -> value, as in `pocketface.metrics.measures`."""

Curves = Mapping[str, pd.DataFrame]
"""Model -> its history: a row an epoch, or, with a column `fold`, an epoch of a fold."""

Row = dict[str, int | float | str | None]


class Faces(Strict):
    """How many accepted faces of a dataset there were, of which share of its pictures."""

    sample: float
    train: int
    val: int


class Trained(Strict):
    """One trained model, as its card has it.

    Attributes:
        name: in the study.
        size: of its input, pixels.
        training: the recipe, and what else the weights depend on.
        figures: its main metrics on the validation faces, after the last epoch.
    """

    name: str
    architecture: str
    options: dict[str, Any]
    dataset: str
    size: int
    heads: list[str]
    parameters: int
    trainable_parameters: int
    macs: int
    training: dict[str, Any]
    figures: Figures


class Record(Strict):
    """What one study showed.

    Attributes:
        about: the comment at the head of its file: what it is, its commands, what to expect.
        models: those that were trained, in the order of the file.
        left_out: models of the study that were not trained.
        references: dataset -> estimator that does not look at the face -> its figures on the same faces.
        folds: model -> estimator -> metric -> `mean` and `std` over the folds.
        sweep: one row an experiment: parameter or metric -> value.
    """

    study: str
    about: str
    seed: int
    threads: int
    faces: dict[str, Faces]
    models: list[Trained] = []
    left_out: list[str] = []
    references: dict[str, dict[str, Figures]] = {}
    folds: dict[str, dict[str, dict[str, Figures]]] = {}
    sweep: list[Row] = []

    def model(self, name: str) -> Trained:
        """The trained model of that name."""
        return next(model for model in self.models if model.name == name)


def comment_of(params: Path) -> str:
    """The comment at the head of a params file, without its `#`."""
    lines = []
    for line in params.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines)


def make_record(
    study: Study, root: Path = Path(), about: str = "", sweep: Path | None = None
) -> tuple[Record, Curves]:
    """Reads the outs of a study.

    Args:
        study: the params.
        root: a checkout in which it has run.
        about: see `Record`.
        sweep: what `dvc exp show --csv` wrote. The record is then that of its experiments, and not of the
            models that the last one of them happened to leave.

    Raises:
        PocketfaceError: nothing was trained, or an out is damaged or not of this study.
    """
    used = dict.fromkeys(dataset for model in study.models for dataset in study.trained_on(model))
    sets = {name: FaceSet.load(root / "data/faces" / name) for name in used}
    record = Record(
        study=study.study,
        about=about,
        seed=study.seed,
        threads=study.threads,
        faces={name: _faces(study, faces) for name, faces in sets.items()},
    )
    if sweep:
        return record.model_copy(update={"sweep": read_sweep(sweep)}), {}
    there = [name for name in study.models if (root / "models" / name / CARD).is_file()]
    if not there:
        raise PocketfaceError(f"{root / 'models'}: none of the study's models; run `dvc repro train`")
    models, folds, curves = [], {}, {}
    for name in there:
        folder = root / "models" / name
        curves[name] = read_history(folder)
        models.append(_trained(study, name, folder, curves[name]))
        if (folder := root / "folds" / name).is_dir():
            folds[name] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
            curves[name] = read_history(folder)
    update = {
        "models": models,
        "left_out": [name for name in study.models if name not in there],
        "references": _references(study, there, sets),
        "folds": folds,
    }
    return record.model_copy(update=update), curves


def read_records(folder: Path) -> list[Record]:
    """All records in a folder, by name.

    Raises:
        PocketfaceError: one is not a record.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        try:
            records.append(Record.model_validate(json.loads(path.read_text(encoding="utf-8"))))
        except (ValidationError, ValueError) as error:
            raise PocketfaceError(f"{path}: not a record, remove it or make it again: {error}") from None
    return records


def read_history(folder: Path) -> pd.DataFrame:
    """The learning curves that a training, or those of all folds, left."""
    path = folder / "history.csv"
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise PocketfaceError(f"{path}: not a training history ({error})") from None


def column_of(history: pd.DataFrame, head: str) -> str:
    """The column of a head's main metric: with one output, Keras leaves its name out."""
    metric = main_metric(head)
    return metric if metric in history else metric.removeprefix(f"{head}_")


def read_sweep(path: Path) -> list[Row]:
    """The finished experiments of a table that `dvc exp show --csv` wrote.

    Returns:
        A row each, sorted by what was varied: the parameters that differ, named as in the params file, and
        the mean of the model's metrics over the folds.

    Raises:
        PocketfaceError: it is not such a table, or has no finished experiment.
    """
    try:
        table = pd.read_csv(path)
        done = table[~table["typ"].isin(["baseline", "workspace"])]
    except (OSError, ValueError, KeyError) as error:
        raise PocketfaceError(f"{path}: not what `dvc exp show --csv` writes ({error!r})") from None
    names = {name: short for name in map(str, table.columns) if (short := _parameter_or_mean(name))}
    done = done[list(names)].rename(columns=names)
    varied = [name for name in names.values() if name.startswith("models.") and done[name].nunique() > 1]
    metrics = [name for name in names.values() if not name.startswith("models.")]
    done = done.dropna(subset=metrics, how="all")
    if done.empty or not metrics:
        raise PocketfaceError(f"{path}: no experiment with folds/MODEL/metrics.json; see docs/sweeps.md")
    rows = done.sort_values(varied) if varied else done
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in rows[[*varied, *metrics]].to_dict("records")
    ]


def _parameter_or_mean(column: str) -> str:
    """The short name of such a column of `dvc exp show`, empty for any other."""
    name = column.rpartition(":")[2]
    if name.startswith("model.") and name.endswith(".mean"):
        return name.removeprefix("model.").removesuffix(".mean")
    return name if name.startswith("models.") else ""


def _faces(study: Study, faces: FaceSet) -> Faces:
    sample = study.datasets[faces.dataset].sample
    return Faces(sample=sample, train=len(faces.rows("train")), val=len(faces.rows("val")))


def _trained(study: Study, name: str, folder: Path, history: pd.DataFrame) -> Trained:
    card, stanza = read_card(folder, ModelCard), study.models[name]
    recipe = stanza.recipe.model_dump(mode="json")
    kept = {field: card.training.get(field) for field in recipe}
    made = (card.architecture, card.options, card.input, set(card.outputs), kept)
    # A card has its floats in six digits and its keys sorted.
    asked = (stanza.architecture, rounded(stanza.options), stanza.input, set(stanza.heads), rounded(recipe))
    if made != asked:
        raise PocketfaceError(f"{folder}: not of this study's params; run `dvc repro train@{name}`")
    if stanza.recipe.watch and stanza.recipe.watch.patience:
        raise PocketfaceError(
            f"models.{name}.training.watch.patience: the weights are then not those of the last epoch, whose "
            f"figures are recorded; leave it out"
        )
    return Trained(
        name=name,
        architecture=card.architecture,
        options=dict(card.options),
        dataset=card.dataset,
        size=card.input.size,
        heads=stanza.heads,
        parameters=card.parameters,
        trainable_parameters=card.trainable_parameters,
        macs=card.macs,
        training=dict(card.training),
        figures={main_metric(head): _last(history, head, folder) for head in stanza.heads},
    )


def _last(history: pd.DataFrame, head: str, folder: Path) -> float:
    column = f"val_{column_of(history, head)}"
    if column not in history:
        raise PocketfaceError(f"{folder}: was trained without validation; train it on one machine")
    return float(history[column].iloc[-1])


def _references(
    study: Study, models: Sequence[str], sets: Mapping[str, FaceSet]
) -> dict[str, dict[str, Figures]]:
    # These import Keras, which reading records should not cost.
    from pocketface.layers.heads import meaning
    from pocketface.training.folds import references
    from pocketface.training.splits import together

    heads: dict[tuple[str, ...], dict[str, None]] = {}
    for model in models:
        heads.setdefault(study.trained_on(model), {}).update(dict.fromkeys(study.models[model].heads))
    found: dict[str, dict[str, Figures]] = {}
    for datasets, answered in heads.items():
        own, wanted = [sets[name] for name in datasets], {main_metric(head) for head in answered}
        val = together(own, "val")
        blind = references(together(own, "train"), len(val), {head: meaning(head) for head in answered})
        measured = {name: measure(pd.concat([val, table], axis=1)).values for name, table in blind.items()}
        found[", ".join(datasets)] = {
            name: {metric: value for metric, value in values.items() if metric in wanted}
            for name, values in measured.items()
        }
    return found
