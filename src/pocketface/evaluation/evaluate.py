"""Measuring a variant on the faces that were selected for its model.

    metrics, predictions = evaluate_variant(Path("variants/age_gender/int8"), Path("data/views/age_gender"))

Of the selected datasets it is measured on those with a label that it can answer. Every figure stands beside
what the best constant answer reaches on the same faces.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from pocketface.cards import MODEL_FILE, VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.evaluation.confidence import intervals
from pocketface.evaluation.groups import by_group
from pocketface.evaluation.variants import Variant, open_variant
from pocketface.faces.index import COLUMNS, OK
from pocketface.faces.selection import Evaluation, load_evaluation
from pocketface.metrics.answers import answerable, varies
from pocketface.metrics.measures import best_constant, comparisons, score, tallies
from pocketface.tflite.run import KERNELS


def evaluate_variant(folder: Path, selected: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Measures one variant.

    Args:
        folder: `variants/MODEL/LEVEL`.
        selected: the faces to measure on, see `pocketface.faces.selection`.

    Returns:
        `(metrics, predictions)`: what goes into `metrics.json`: `model`, `level`, `status`, `reason`,
        `kernels` and, under `datasets`, what `evaluate_dataset` gives for each; and one row a face:
        `dataset`, `split`, `image`, labels and answers. A variant that could not be made, is unavailable or
        does not run has that status, the reason, and no datasets and rows.

    Raises:
        PocketfaceError: the card or the selected faces are missing or damaged.
    """
    card = read_card(folder, VariantCard)
    faces = load_evaluation(selected)
    metrics: dict[str, Any] = {
        **{"model": card.model, "level": card.level, "kernels": KERNELS},
        **{"status": "ok", "reason": None, "datasets": {}},
    }
    predictions = [pd.DataFrame({column: pd.Series(dtype=object) for column in IDENTITY})]
    if card.status != "ok":
        return metrics | {"status": card.status, "reason": card.reason}, predictions[0]
    try:
        variant = open_variant(folder)
        measured = {
            dataset: evaluate_dataset(variant, Evaluation(faces.pixels, rows.dropna(axis=1, how="all")))
            for dataset, rows in faces.rows.groupby("dataset")
            if rows[rows.columns.intersection(answerable(variant.outputs))].notna().any(axis=None)
        }
    except PocketfaceError as error:
        reason = str(error).removeprefix(f"{folder / MODEL_FILE}: ")
        return metrics | {"status": "failed", "reason": reason}, predictions[0]
    for dataset, (found, table) in measured.items():
        metrics["datasets"][dataset] = found
        predictions.append(table)
    return metrics, pd.concat(predictions, ignore_index=True)


IDENTITY = ("dataset", "split", "image")
"""Which face a row of the predictions is about."""


def evaluate_dataset(variant: Variant, faces: Evaluation) -> tuple[dict[str, Any], pd.DataFrame]:
    """Measures a variant on the faces of one dataset.

    Returns:
        What `summary` gives, with `split`, `faces_rejected` (status -> count of pictures without a usable
        face) and `varies` (whether every head's answers differ between faces at all); and the predictions.
    """
    accepted = faces.rows[faces.rows["status"] == OK]
    outputs = variant.runner(faces.pixels[accepted["face"].to_numpy(int)], progress=variant.name)
    labels = [column for column in accepted if column not in (*IDENTITY, *COLUMNS)]
    truth = accepted[[*IDENTITY, *labels]].reset_index(drop=True)
    table = pd.concat([truth, variant.decode(outputs)], axis=1)
    rejected = faces.rows.loc[faces.rows["status"] != OK, "status"].value_counts()
    found = summary(table) | {
        "split": "/".join(sorted(set(accepted["split"]))),
        "faces_rejected": {status: int(n) for status, n in rejected.items()},
        "varies": varies(outputs),
    }
    return found, table


def summary(table: pd.DataFrame, further: pd.DataFrame | None = None) -> dict[str, Any]:
    """The figures of a table of labels and answers, see `pocketface.metrics.measures`.

    Args:
        table: one row a face.
        further: groupings besides those of the labels, see `pocketface.evaluation.groups.by_group`.

    Returns:
        `n` faces; `metrics`; `intervals`, the 95% interval of each, see `pocketface.evaluation.confidence`;
        `metric_n`, how many of the faces have the label; `baseline`, the same metrics for the best constant
        answer; `by_group`.
    """
    found = comparisons(table)
    parts = tallies(found)
    measured = score(parts)
    return {
        "n": len(table),
        "metrics": measured.values,
        "intervals": intervals(parts, len(table)),
        "metric_n": measured.counts,
        "baseline": score(tallies(best_constant(found))).values,
        "by_group": by_group(table, further),
    }
