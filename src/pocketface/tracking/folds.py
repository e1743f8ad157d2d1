"""A cross-validation in MLflow: one run a fold, below its model's."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pocketface.core import outs
from pocketface.core.files import sha256
from pocketface.study import Study
from pocketface.tracking.live import log_history, model_params, model_tags
from pocketface.tracking.store import PARENT_TAG, Store

if TYPE_CHECKING:
    from mlflow.entities import Run

FOLD_KEY = "fold_key"


def publish_folds(store: Store, runs: list["Run"], study: Study, model: str, parent: str, root: Path) -> None:
    """Publishes what `cross_validate` left of a model, if anything; finished runs are left alone."""
    folder = root / outs.FOLDS / model
    if not (folder / "folds.csv").is_file():
        return
    scores, history = pd.read_csv(folder / "folds.csv"), pd.read_csv(folder / "history.csv")
    content = sha256(folder / "folds.csv")[:16] + sha256(folder / "history.csv")[:16]
    for fold, own in scores.groupby("fold"):
        key = f"{content}-{fold}"
        known = [run for run in runs if run.data.tags.get(FOLD_KEY) == key]
        if any(run.info.status == "FINISHED" and run.data.tags.get(PARENT_TAG) == parent for run in known):
            continue
        for run in known:  # broken off, or below a model that was trained again
            store.delete(run.info.run_id)
        tags = {"kind": "fold", "fold": str(fold), FOLD_KEY: key, PARENT_TAG: parent}
        run_id = store.create(f"{model}/fold-{fold}", model_tags(study, model) | tags)
        store.log(run_id, params=model_params(study, model) | {"fold": fold})
        log_history(store, run_id, history[history["fold"] == fold].drop(columns="fold"))
        names = own["estimator"] + "/" + own["metric"]
        store.log(run_id, metrics=dict(zip(names, own["value"].astype(float), strict=True)))
        store.client.set_terminated(run_id)
