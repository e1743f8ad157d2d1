"""A cross-validation in MLflow: one run a fold, below its model's."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pocketface.core import outs
from pocketface.core.files import sha256
from pocketface.study import Study
from pocketface.tracking.live import curve_points, model_params, model_tags
from pocketface.tracking.store import PARENT_TAG, Store

if TYPE_CHECKING:
    from mlflow.entities import Run

FOLD_KEY = "fold_key"


def publish_folds(
    store: Store, runs: list["Run"], study: Study, model: str, parent: str, root: Path, revision: str | None
) -> list[str]:
    """Publishes what `cross_validate` left of a model, if anything; finished runs are left alone.

    Returns:
        The names of the new runs, `MODEL/fold-0` and on.
    """
    folder = root / outs.FOLDS / model
    if not (folder / "folds.csv").is_file():
        return []
    scores, history = pd.read_csv(folder / "folds.csv"), pd.read_csv(folder / "history.csv")
    content = sha256(folder / "folds.csv") + sha256(folder / "history.csv")
    created = []
    for fold in sorted(set(scores["fold"])):
        key = f"{content[:16]}{content[64:80]}-{fold}"
        known = [run for run in runs if run.data.tags.get(FOLD_KEY) == key]
        if any(run.info.status == "FINISHED" and run.data.tags.get(PARENT_TAG) == parent for run in known):
            continue
        for run in known:  # broken off, or below a model that was trained again
            store.delete(run.info.run_id)
        tags = model_tags(study, model, revision) | {"kind": "fold", "fold": str(fold), FOLD_KEY: key}
        name = f"{model}/fold-{fold}"
        run_id = store.create(name, tags | {PARENT_TAG: parent})
        store.log(run_id, params=model_params(study, model) | {"fold": fold})
        curves = history[history["fold"] == fold].drop(columns="fold").to_dict("records")
        for metrics in curves:
            epoch = int(metrics.pop("epoch"))
            store.log(run_id, metrics=curve_points({str(n): v for n, v in metrics.items()}), step=epoch)
        own = scores[scores["fold"] == fold]
        names = own["estimator"] + "/" + own["metric"]
        store.log(run_id, metrics=dict(zip(names, own["value"].astype(float), strict=True)))
        store.client.set_terminated(run_id)
        created.append(name)
    return created
