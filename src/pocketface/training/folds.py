"""K-fold cross-validation: how much a model's metrics depend on which faces it was trained on.

The folds divide `train` and `val` by hash. Each is measured by a model that was trained on the others, and by
constant answers: the commonest class there, the rarest, and the median age.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import write_json, written_whole
from pocketface.core.labels import Output, meaning, words
from pocketface.faces.index import FaceSet
from pocketface.metrics.answers import decode
from pocketface.metrics.measures import measure
from pocketface.training import runtime
from pocketface.training.batches import Batches
from pocketface.training.checkpoints import Checkpoints
from pocketface.training.fit import learn
from pocketface.training.settings import Plan
from pocketface.training.splits import folds, together

ESTIMATORS = ("model", "majority", "minority")


@dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation leaves: see `save`.

    Attributes:
        scores: columns `fold`, `estimator` (one of `ESTIMATORS`), `metric`, `value`, `faces`.
        history: the learning curves, with a column `fold` in front.
    """

    scores: pd.DataFrame
    history: pd.DataFrame

    def summary(self) -> pd.DataFrame:
        """`mean` and `std` (of a sample) over the folds, and their `count`, by metric and estimator."""
        return self.scores.groupby(["metric", "estimator"])["value"].agg(["mean", "std", "count"])


def cross_validate(
    study: Plan, name: str, sets: Sequence[FaceSet], checkpoints: Path, identity: Mapping[str, object]
) -> CrossValidation:
    """Trains model `name` once per fold and measures each on the faces of its fold.

    Args:
        sets: the crops of its datasets.
        checkpoints: a folder for those of every fold.
        identity: what decides the result, see `fit.identity`.

    Raises:
        PocketfaceError: no folds are asked of this model, a fold is empty, or as `fit`.
    """
    if name not in study.cross_validate:
        raise PocketfaceError(f"params.yaml: cross_validate has no {name!r}; write `{name}: 5` there")
    count = study.cross_validate[name]
    stanza = study.models[name]
    outputs = {head: meaning(head) for head in stanza.heads}
    faces = together(sets, "train", "val")
    fold = folds(faces, count)
    scores, curves = [], []
    for number in range(count):
        own, others = faces[fold == number], faces[fold != number]
        if own.empty:
            raise PocketfaceError(
                f"cross_validate.{name}: fold {number} of {count} has no face; ask for fewer"
            )
        runtime.seed_everything(study.seed)
        kept = Checkpoints(checkpoints / str(number), {**identity, "folds": count, "fold": number})
        kept.start("auto")
        learned = learn(study, name, sets, others, own, checkpoints=kept)
        answers = decode(learned.model.predict(Batches(sets, own, stanza, []), verbose=0), outputs)
        for estimator, table in {"model": answers, **references(others, len(own), outputs)}.items():
            measured = measure(pd.concat([own.reset_index(drop=True), table], axis=1))
            for metric, value in measured.values.items():
                scores.append((number, estimator, metric, value, measured.counts[metric]))
        learned.history.insert(0, "fold", number)
        curves.append(learned.history)
    columns = ["fold", "estimator", "metric", "value", "faces"]
    return CrossValidation(pd.DataFrame(scores, columns=columns), pd.concat(curves, ignore_index=True))


def references(train: pd.DataFrame, count: int, outputs: Mapping[str, Output]) -> dict[str, pd.DataFrame]:
    """Estimator -> its constant answer to `outputs`, learned from `train`, in `count` rows."""
    found: dict[str, dict[str, object]] = {"majority": {}, "minority": {}}
    for head, output in outputs.items():
        known = train[head].dropna()
        if known.empty:  # an age that is learned from bands
            continue
        if output.kind == "number":
            found["majority"][f"{head}_pred"] = known.median()
            continue
        ranked = words(known).value_counts(sort=False).reindex(output.labels).dropna()
        found["majority"][f"{head}_pred"] = ranked.idxmax()
        found["minority"][f"{head}_pred"] = ranked.idxmin()
    return {name: pd.DataFrame([row] * count) for name, row in found.items() if row}


def table(result: CrossValidation) -> str:
    """The summary as Markdown: mean ± standard deviation, a row a metric and a column an estimator."""
    summary = result.summary()
    cells = summary.apply(lambda row: f"{row['mean']:.4g} ± {row['std']:.2g}", axis=1).unstack(fill_value="")
    cells = cells[[name for name in ESTIMATORS if name in cells]]
    lines = [
        f"Mean ± standard deviation over {summary['count'].max()} folds. For an age, majority is the median.",
        "",
        f"| metric | {' | '.join(cells.columns)} |",
        f"|---|{'---:|' * len(cells.columns)}",
        *(f"| {' | '.join(row)} |" for row in cells.itertuples()),
    ]
    return "\n".join(lines) + "\n"


def save(result: CrossValidation, folder: Path) -> None:
    """Writes `metrics.json`, `folds.csv`, `history.csv` and `folds.md`, all or nothing."""
    metrics: dict[str, dict[str, dict[str, float]]] = {}
    for row in result.summary().reset_index().to_dict("records"):
        # One fold alone, as of a label that is rare, has no spread.
        values = {name: float(row[name]) for name in ("mean", "std") if pd.notna(row[name])}
        metrics.setdefault(str(row["estimator"]), {})[str(row["metric"])] = values
    with written_whole(folder, folder=True) as partial:
        write_json(partial / "metrics.json", metrics)
        result.scores.to_csv(partial / "folds.csv", index=False, float_format="%.6g")
        result.history.to_csv(partial / "history.csv", index=False, float_format="%.6g")
        (partial / "folds.md").write_text(table(result), encoding="utf-8")
