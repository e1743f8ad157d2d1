"""What a variant's run holds, taken from the outs: metrics, tables, confusion matrices, datasets.

Metrics are named so that MLflow groups them: `utkface/age_mae` is a figure on a dataset,
`change/utkface/age_mae` what it lost or gained against the same model's float32, `parity/age_agreement` how
close the file is to the trained model, and `cost/size_mb`, `cost/latency_ms` and so on what it costs.
"""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from pocketface.core import outs
from pocketface.core.files import sha256
from pocketface.faces.index import INDEX
from pocketface.fetching.sources import load_sources
from pocketface.metrics.measures import comparisons
from pocketface.report import plots
from pocketface.report.outs import Variant
from pocketface.results.measure import read_answers
from pocketface.results.table import Row
from pocketface.study import Study
from pocketface.tracking.store import Input

DIGEST_LETTERS = 16
"""MLflow takes 36 at most."""


def metrics(variant: Variant) -> dict[str, float]:
    """The metrics, their change against float32 with interval and p, the parity, and the costs that no
    machine decides.
    """
    if variant.reason:
        return {}
    found = {}
    for row in variant.rows():
        if row.dataset and row.value is not None:
            name = row.name.replace(".", "/")
            changed = {
                "change": row.change,
                "change_low": row.change_low,
                "change_high": row.change_high,
                "p": row.p,
            }
            found[name] = row.value
            found |= {
                f"{kind}/{name}": value for kind, value in changed.items() if value is not None and row.main
            }
            found |= {f"change/{name}": row.change} if row.change is not None else {}
    for head, parity in variant.card.parity.items():
        found[f"parity/{head}_agreement"] = parity.agreement
        found[f"parity/{head}_mean_difference"] = parity.mean_difference
    return found | costs(variant)


def costs(variant: Variant) -> dict[str, float]:
    """Size in MB (10^6 bytes), weights, operations, and the memory that TFLite Micro needs, in kB."""
    card = variant.card
    arenas = [runtime.arena_bytes for runtime in card.runtimes.values() if runtime.arena_bytes]
    found = {"cost/parameters": float(card.parameters), "cost/macs": float(card.macs)}
    if card.size_bytes is not None:
        found["cost/size_mb"] = card.size_bytes / 1e6
    if arenas:
        found["cost/arena_kb"] = arenas[0] / 1e3
    return found


def timings(variant: Variant) -> dict[str, float]:
    """Median latencies in milliseconds, with one thread and with more, and the ratio to float32."""
    if variant.timing is None:
        return {}
    found = {f"cost/latency_ms_{n}_threads": ms.median_ms for n, ms in variant.timing.threads.items()}
    if variant.latency_ms is not None:
        found["cost/latency_ms"] = variant.latency_ms
        del found["cost/latency_ms_1_threads"]
    ratio = variant.timing.float32_ratio
    return found | ({"cost/latency_ratio": ratio} if ratio is not None else {})


def result_table(variant: Variant, grouped: bool = False) -> pd.DataFrame:
    """The variant's rows of the results, of all faces or of the groups."""
    rows = [
        row
        for row in variant.table.of(variant.model, variant.level)
        if row.dataset and bool(row.grouping) == grouped
    ]
    frame = pd.DataFrame(rows, columns=[field.name for field in fields(Row)])
    return frame.drop(columns=["model", "level", "text", *([] if grouped else ["grouping", "group"])])


def confusions(study: Study, variant: Variant, root: Path) -> Iterator[tuple[str, Image.Image]]:
    """Head -> picture of its confusion matrix, on the model's own datasets."""
    predictions = read_answers(root, variant.model, variant.level).predictions
    own = predictions[predictions["dataset"].isin(study.trained_on(variant.model))]
    # Without the age, which would be put into groups and bands that no head answers.
    for head, found in comparisons(own.drop(columns="age_pred", errors="ignore")).items():
        output, known = variant.card.outputs.get(head), found.truth.notna()
        if output is not None and output.kind == "classes" and known.any():
            labels = list(output.labels)
            counts = pd.crosstab(found.truth[known], found.answer[known])
            counts = counts.reindex(index=labels, columns=labels, fill_value=0)
            title = f"{variant.model}: {head}"
            canvas = FigureCanvasAgg(plots.confusion({variant.level: counts.to_numpy()}, labels, title))
            canvas.draw()
            yield head, Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def training_inputs(study: Study, model: str, root: Path) -> list[Input]:
    """The datasets that a model was trained on."""
    return _inputs(study.trained_on(model), "training", root)


def variant_inputs(variant: Variant, root: Path) -> list[Input]:
    """The datasets that a variant was measured on."""
    return _inputs(tuple(variant.datasets), "evaluation", root)


def _inputs(names: tuple[str, ...], context: str, root: Path) -> list[Input]:
    """Those whose face index is here; its hash stands for the faces, their labels and their splits."""
    sources = load_sources(root / outs.SOURCES)
    found = []
    for name in names:
        index = root / outs.FACES / name / INDEX
        if index.is_file():
            source = sources.dataset(name)
            found.append(
                Input(
                    name=name,
                    digest=sha256(index)[:DIGEST_LETTERS],
                    context=context,
                    home=source.home,
                    profile={"title": source.title, "licence": source.licence},
                )
            )
    return found
