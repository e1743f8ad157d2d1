"""The answers of variants on the faces that were selected for their model.

Of the selected datasets it answers those with a label that it can be measured on;
`pocketface.results.measure` measures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pocketface.cards import MODEL_FILE, VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.hashing import fingerprint
from pocketface.evaluation.looks import looks
from pocketface.evaluation.variants import Variant, open_variant
from pocketface.faces.index import COLUMNS, OK
from pocketface.faces.selection import Evaluation, load_evaluation
from pocketface.metrics.answers import answerable
from pocketface.tflite.run import KERNELS

IDENTITY = ("dataset", "split", "image", "source_sha", "crop", "box", "pixels", "look")
"""Which face a row of the predictions is about, and how the model saw it, see
`pocketface.evaluation.looks`.
"""


def evaluate_variant(folder: Path, selected: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Runs one variant on its faces, see `evaluate_variants`."""
    return next(evaluate_variants([folder], selected))


def evaluate_variants(
    folders: Sequence[Path], selected: Path
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Runs the variants of a model on its faces.

    Args:
        folders: `variants/MODEL/LEVEL`.
        selected: the faces to measure on, see `pocketface.faces.selection`.

    Yields:
        `(run, predictions)`: `status` (`ok`, or why there are no answers), `reason` and `kernels`; and a row
        a face: `IDENTITY`, labels and answers.

    Raises:
        PocketfaceError: a card or the selected faces are missing or damaged.
    """
    faces = _identified(load_evaluation(selected))
    for folder in folders:
        yield _evaluated(folder, faces)


def _identified(faces: Evaluation) -> Evaluation:
    """With a hash and a look of the pixels that the model sees of each face."""
    accepted = faces.rows[faces.rows["status"] == OK]
    seen = faces.pixels[accepted["face"].to_numpy(int)]
    told = {"pixels": [*map(fingerprint, seen)], "look": [*map(looks, seen)]}
    return replace(faces, rows=faces.rows.join(pd.DataFrame(told, accepted.index)))


def _evaluated(folder: Path, faces: Evaluation) -> tuple[dict[str, Any], pd.DataFrame]:
    card = read_card(folder, VariantCard)
    run: dict[str, Any] = {"status": card.status, "reason": card.reason, "kernels": KERNELS}
    nothing = pd.DataFrame({column: pd.Series(dtype=object) for column in IDENTITY})
    if card.status != "ok":
        return run, nothing
    predictions = [nothing]
    try:
        variant = open_variant(folder)
        for _, rows in faces.rows.groupby("dataset"):
            known = rows.dropna(axis=1, how="all")
            if len(known.columns.intersection(answerable(variant.outputs))):
                predictions.append(_answered(variant, known, faces.pixels))
    except PocketfaceError as error:
        reason = str(error).removeprefix(f"{folder / MODEL_FILE}: ")
        return run | {"status": "failed", "reason": reason}, nothing
    if len(predictions) == 1:
        reason = f"none of its datasets has a label of {', '.join(variant.outputs)}"
        return run | {"status": "failed", "reason": reason}, nothing
    return run, pd.concat(predictions, ignore_index=True)


def _answered(variant: Variant, rows: pd.DataFrame, pixels: np.ndarray) -> pd.DataFrame:
    accepted = rows[rows["status"] == OK]
    outputs = variant.runner(pixels[accepted["face"].to_numpy(int)], progress=variant.name)
    labels = [column for column in accepted if column not in (*IDENTITY, *COLUMNS)]
    truth = accepted.reindex(columns=[*IDENTITY, *labels]).reset_index(drop=True)
    return pd.concat([truth, variant.decode(outputs)], axis=1)
