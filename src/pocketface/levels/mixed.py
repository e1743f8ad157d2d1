"""`mixed_int8`: integers wherever answers stay within bounds, float elsewhere.

From plain int8 on, operators go back to float, the most sensitive first, until every metric is within its
bound of float32's on train faces that no range was measured on; those not needed are quantized after all.
"""

from collections.abc import Collection, Mapping
from functools import partial

import numpy as np
import pandas as pd

from pocketface.cards import Drop, Sensitivity
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import Output, main_metric
from pocketface.levels import Level
from pocketface.levels.quantizer import quantize
from pocketface.levels.recipes import Made
from pocketface.levels.settings import LevelSettings
from pocketface.levels.source import Source
from pocketface.metrics.answers import decode
from pocketface.metrics.measures import measure
from pocketface.metrics.naming import loss, quantity_of
from pocketface.metrics.settings import Margins
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.run import Answers

ALLOWED = Margins(years=0.05, share=0.003)
"""How much worse a metric may be by default."""

FACES = 200
"""Faces that sensitivities are measured on; bounds are checked on all."""


def search(source: Source, level: Level, settings: LevelSettings) -> Made:
    """Finds the fewest operators that must stay in float.

    Returns:
        The file, the metrics that it had to keep, and its operators, the most sensitive first.

    Raises:
        PocketfaceError: no head has a label on the faces to search on.
    """
    float32, faces, max_drop = source.float32, source.faces.tuning(), settings.max_drop
    make = partial(quantize, float32, level, source.measured(level, settings), settings.per_channel)
    metrics = partial(_metrics, labels=faces.labels, outputs=source.outputs)
    reference = metrics(float32.answers(faces.pixels))
    if not reference:
        raise PocketfaceError("the faces to search on have no label of any head")
    bounds = {metric: max_drop.get(metric, quantity_of(metric).margin(ALLOWED)) for metric in reference}

    def within(kept: Collection[str]) -> bool:
        found = metrics(make(kept).answers(faces.pixels))
        return all(loss(metric, found[metric], reference[metric]) <= bounds[metric] for metric in bounds)

    found = _sensitivities(make, float32, faces.pixels[:FACES])
    order = [row.operator for row in found]
    count = next((n for n in range(len(order)) if within(order[:n])), len(order))
    kept = order[:count]
    for operator in reversed(order[: max(count - 1, 0)]):
        fewer = [name for name in kept if name != operator]
        if within(fewer):
            kept = fewer
    file = make(kept)
    int8, mixed = (metrics(made.answers(faces.pixels)) for made in (make(()), file))
    drops = [
        Drop(metric=m, bound=bounds[m], float32=reference[m], int8=int8[m], mixed=mixed[m]) for m in bounds
    ]
    table = [row.model_copy(update={"kept": row.operator in kept}) for row in found]
    return Made(file, {"drops": drops, "sensitivity": table})


def _sensitivities(make, float32: TFLiteFile, pixels: np.ndarray) -> list[Sensitivity]:
    """How far quantizing one operator alone changes the answers, in units of their spread; largest first."""
    expected = float32.answers(pixels)
    names = [operator.name for operator in float32.operators]
    rows = []
    for one in float32.operators:
        alone = make([name for name in names if name != one.name]).answers(pixels)
        far = _deviation(expected, alone)
        row = Sensitivity(operator=one.name, kind=one.kind, weights=one.weights, deviation=far, kept=False)
        rows.append(row)
    return sorted(rows, key=lambda row: -row.deviation)


def _metrics(found: Answers, labels: pd.DataFrame, outputs: Mapping[str, Output]) -> dict[str, float]:
    values = measure(pd.concat([labels, decode(found, outputs)], axis=1)).values
    wanted = map(main_metric, outputs)
    return {metric: values[metric] for metric in wanted if metric in values}


def _deviation(expected: Answers, found: Answers) -> float:
    deviations = (
        np.abs(found[head] - values).mean() / max(float(values.std(axis=0).mean()), 1e-6)
        for head, values in expected.items()
    )
    return float(sum(deviations))
