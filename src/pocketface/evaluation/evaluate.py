"""Measuring a variant on the faces of a study.

    metrics, predictions = evaluate_variant(study, "age_gender", "int8")

A variant is measured on its own dataset's test split, or the validation split where nothing was kept for
testing, and on each hold-out dataset with a label that it can answer.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pocketface.cards import Output, VariantCard, read_card
from pocketface.errors import PocketfaceError
from pocketface.evaluation.answers import answerable, decode, varies
from pocketface.evaluation.groups import by_group
from pocketface.evaluation.metrics import measure
from pocketface.evaluation.variants import Variant, open_variant
from pocketface.faces.index import OK, FaceSet
from pocketface.faces.view import views
from pocketface.study import Study
from pocketface.tflite.run import KERNELS

CHUNK = 512
"""Faces held in memory at a time."""

Outputs = dict[str, np.ndarray]


def evaluate_variant(
    study: Study, model: str, level: str, root: Path = Path()
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Measures `variants/MODEL/LEVEL` below `root`.

    Returns:
        `(metrics, predictions)`: what goes into `metrics.json`: `model`, `level`, `status`, `reason`,
        `kernels` and, per dataset, what `summary` gives with `split`, `faces_rejected` (status -> count)
        and `baseline` (the same metrics for answering the train split's median age and most frequent
        class); and one row a face: `dataset`, `split`, `image`, labels and answers. A variant that could
        not be made or does not run has status `failed`, the reason, and no datasets and rows.

    Raises:
        PocketfaceError: the study has no such model or level, or a card or a face index is missing.
    """
    if model not in study.models or level not in study.levels:
        raise PocketfaceError(
            f"no variant {model}/{level} in this study; it has the models {', '.join(study.models)} "
            f"at the levels {', '.join(study.levels)}"
        )
    folder = root / "variants" / model / level
    card = read_card(folder, VariantCard)
    metrics: dict[str, Any] = {
        "model": model,
        "level": level,
        "kernels": KERNELS,
        "status": "ok",
        "reason": None,
    }
    own = study.models[model].dataset
    sets = [FaceSet.load(root / "data/faces" / name) for name in dict.fromkeys([own, *study.holdout])]
    try:
        if card.status == "failed":
            raise PocketfaceError(card.reason or "not converted")
        variant = open_variant(folder, study.threads)
        measured = {
            faces.dataset: evaluate_dataset(variant, faces, baseline_outputs(sets[0], variant.outputs))
            for faces in sets
            if set(faces.labels) & set(answerable(variant.outputs))
        }
    except PocketfaceError as error:
        reason = str(error).removeprefix(f"{folder / 'model.tflite'}: ")
        failed = metrics | {"status": "failed", "reason": reason, "datasets": {}}
        return failed, pd.DataFrame({"dataset": [], "split": [], "image": []}, dtype="object")
    metrics["datasets"] = {dataset: found for dataset, (found, _) in measured.items()}
    tables = [table for _, table in measured.values()]
    return metrics, pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"image": []})


def evaluate_dataset(
    variant: Variant, faces: FaceSet, baseline: Outputs
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Measures a variant on one dataset, see `evaluate_variant`."""
    split = split_to_measure(faces)
    rows = faces.rows(split)
    outputs = answer(variant, faces, rows)
    truth = rows[["image", *faces.labels]].reset_index(drop=True)
    table = pd.concat([truth, variant.decode(outputs)], axis=1)
    table.insert(0, "dataset", faces.dataset)
    table.insert(1, "split", split)
    of_split = faces.index[(faces.index["split"] == split) & (faces.index["status"] != OK)]
    found = summary(table) | {
        "split": split,
        "faces_rejected": {status: int(n) for status, n in of_split["status"].value_counts().items()},
        "varies": varies(outputs),
        "baseline": measure(pd.concat([truth, _constant(baseline, variant, len(truth))], axis=1)).values,
    }
    return found, table


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """`n` faces, `metrics`, `metric_n` (how many of the faces carry the label) and `by_group`."""
    measured = measure(table)
    return {
        "n": len(table),
        "metrics": measured.values,
        "metric_n": measured.counts,
        "by_group": by_group(table),
    }


def split_to_measure(faces: FaceSet) -> str:
    """`test` where it has an accepted face, else `val`."""
    return "test" if len(faces.rows("test")) else "val"


def answer(variant: Variant, faces: FaceSet, rows: pd.DataFrame) -> Outputs:
    """The raw outputs for `rows` of a face set: head -> float32 `[N, K]`."""
    places = rows["face"].to_numpy(np.int64)
    chunks = [
        variant.runner(views(faces.pixels[places[i : i + CHUNK]], faces.crop, variant.input))
        for i in tqdm(range(0, len(places), CHUNK), desc=f"{variant.name} on {faces.dataset}", unit="chunk")
    ]
    return {
        head: np.concatenate([np.empty((0, *shape), np.float32), *(chunk[head] for chunk in chunks)])
        for head, shape in variant.runner.outputs.items()
    }


def baseline_outputs(faces: FaceSet, outputs: dict[str, Output]) -> Outputs:
    """What answering without looking would be: the train split's median, or the shares of its classes.

    Returns:
        head -> float32 `[1, K]`, for the heads that the train split has labels for.
    """
    train, blind = faces.rows("train"), {}
    for head, meaning in outputs.items():
        known = train[head].dropna() if head in train else pd.Series(dtype=object)
        if known.empty:
            continue
        if meaning.kind == "number":
            answers = [float(known.median())]
        elif set(known) <= {0, 1}:
            answers = [1 - float(known.mean()), float(known.mean())]
        else:
            answers = [float((known == label).mean()) for label in meaning.labels]
        blind[head] = np.array([answers], np.float32)
    return blind


def _constant(baseline: Outputs, variant: Variant, n: int) -> pd.DataFrame:
    repeated = {head: np.repeat(output, n, axis=0) for head, output in baseline.items()}
    return decode(repeated, {head: variant.outputs[head] for head in baseline})
