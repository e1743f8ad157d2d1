"""What runs hold, taken from the outs: metrics, tags, tables, confusion matrices, datasets.

MLflow groups metrics by what stands before the last `/`: `age_mae/utkface`, and of a main metric
`change/age_mae/utkface`, beside it the interval and p. Shares are in percent, and their changes in points.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from pocketface.core import outs
from pocketface.core.files import sha256
from pocketface.faces.index import INDEX
from pocketface.fetching.sources import Source
from pocketface.metrics.naming import loss, quantity_of, title_of
from pocketface.metrics.settings import Margins
from pocketface.report import plots
from pocketface.report.outs import Variant, compared
from pocketface.report.page import counts_of
from pocketface.results.table import FACES, LATENCY_RATIO, Row
from pocketface.study import Study
from pocketface.tracking.store import told

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

DIGEST_LETTERS = 16
"""MLflow takes 36 at most."""
WORST_FIRST = ("worse", "cannot tell", "equivalent", "better")
LOST, SIZE_MB, LATENCY_MS = "cost/lost_margins", "cost/size_mb", "cost/latency_ms"


def name_of(row: Row) -> str:
    """A metric as MLflow shows it: what it is, then of which dataset."""
    return f"{row.metric}/{row.dataset}"


def metrics(variant: Variant, margins: Margins) -> dict[str, float]:
    """Of a variant that runs: its metrics, to four digits, and the costs that no machine decides; the main
    ones first.
    """
    if variant.reason:
        return {}
    card, losses = variant.card, _worst_first(variant, margins)
    rows = [row for row in variant.rows() if row.dataset and row.metric != FACES]
    main = {row.metric for row in rows if row.main}
    found: dict[str, float | None] = {}
    for row in sorted(rows, key=lambda row: (not row.main, row.metric not in main)):
        name, scale = name_of(row), quantity_of(row.name).scale
        told = {name: row.value}
        if row.metric in main:
            ends = ("change", "change_low", "change_high")
            told |= {f"{end}/{name}": getattr(row, end) for end in ends}
        found |= {key: None if value is None else scale * value for key, value in told.items()}
        found |= {f"p/{name}": row.p} if row.metric in main else {}
    found[LOST] = losses[0][0] if losses else None
    found[SIZE_MB] = card.size_bytes and card.size_bytes / 1e6
    for head, parity in card.parity.items():
        found[f"parity/{head}_agreement"] = parity.agreement
        found[f"parity/{head}_mean_difference"] = parity.mean_difference
    arenas = [runtime.arena_bytes / 1e3 for runtime in card.runtimes.values() if runtime.arena_bytes]
    found["cost/arena_kb"] = arenas[0] if arenas else None
    return {name: float(f"{value:.4g}") for name, value in found.items() if value is not None}


def timings(variant: Variant) -> dict[str, float]:
    """Median latencies in milliseconds, with one thread and with more, and the ratio to float32."""
    if variant.timing is None:
        return {}
    found = {f"{LATENCY_MS}_{n}_threads": ms.median_ms for n, ms in variant.timing.threads.items()}
    if "1" in variant.timing.threads:
        found[LATENCY_MS] = found.pop(f"{LATENCY_MS}_1_threads")
    ratio = variant.value(LATENCY_RATIO)
    found |= {"cost/latency_ratio": ratio} if ratio is not None else {}
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def counts(variant: Variant) -> dict[str, int]:
    """What is counted, for the params: faces of each dataset, parameters, multiply-adds."""
    faces = {f"faces/{row.dataset}": row.n or 0 for row in variant.rows(FACES)}
    return {**faces, "parameters": variant.card.parameters, "macs": variant.card.macs}


def verdicts(variant: Variant, margins: Margins) -> dict[str, str]:
    """Tags: of each main metric its verdict, and its change in words; then both of the metric that came off
    worst.
    """
    rows = [row for _, row in _worst_first(variant, margins)]
    found = {f"verdict/{name_of(row)}": row.verdict or "" for row in rows}
    found |= {f"change/{name_of(row)}": _in_words(row) for row in rows}
    for row in rows[:1]:
        found |= {"verdict": row.verdict or "", "change": f"{title_of(row.metric)} {_in_words(row)}"}
    return found


def _worst_first(variant: Variant, margins: Margins) -> list[tuple[float, Row]]:
    """The main rows that were compared with float32 and what each lost, in margins; the worst first."""
    rows = [row for row in variant.rows() if row.main and row.change is not None and row.verdict]
    found = [(loss(row.name, row.change or 0.0) / quantity_of(row.name).margin(margins), row) for row in rows]
    return sorted(found, key=lambda pair: (WORST_FIRST.index(pair[1].verdict or ""), -pair[0]))


def _in_words(row: Row) -> str:
    """`-3.214 points (-4.52 to -1.91), p 0.002`; of `cannot tell` also what these faces could show."""
    quantity = quantity_of(row.name)
    ends = (row.change, row.change_low, row.change_high)
    change, low, high = ("" if end is None else f"{quantity.scale * end:+.4g}" for end in ends)
    sure = "" if row.p is None else f", p {row.p:.2g}"
    told = f"{change} {quantity.change_unit} ({low} to {high}){sure}"
    return told if row.could_show is None else f"{told}, could show {quantity.scale * row.could_show:.3g}"


def result_tables(variant: Variant) -> dict[str, pd.DataFrame]:
    """The variant's rows of the results, of all faces and of groups, as far as there are any."""
    rows = [row for row in variant.table.of(variant.model, variant.level) if row.dataset]
    names = [field.name for field in fields(Row)]
    frame = pd.DataFrame(map(attrgetter(*names), rows), columns=names)
    frame = frame.drop(columns=["model", "level", "text"])
    whole = frame["grouping"] == ""
    tables = {"results": frame[whole].drop(columns=["grouping", "group"]), "groups": frame[~whole]}
    return {name: table for name, table in tables.items() if len(table)}


def confusions(study: Study, variant: Variant, root: Path) -> Iterator[tuple[str, Image.Image]]:
    """Head -> picture of its confusion matrix, on the model's own datasets."""
    for head, pair in variant.pairs(compared(study, variant, root)).items():
        labels, title = variant.card.outputs[head].labels, f"{variant.model}\n{variant.level}: {head}"
        canvas = FigureCanvasAgg(plots.confusion(counts_of(pair, labels), labels, title))
        canvas.draw()
        yield head, Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def inputs(
    names: Iterable[str], context: str, sources: Mapping[str, Source], root: Path
) -> "list[DatasetInput]":
    """Datasets whose face index is here; its hash stands for the faces, their labels and their splits."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    found = []
    for name in names:
        index, source = root / outs.FACES / name / INDEX, sources[name]
        if index.is_file():
            kind, place = (
                ("http", {"url": source.home}) if source.home else ("local", {"uri": f"data/raw/{name}"})
            )
            profile = told({"title": source.title, "licence": source.licence})
            digest = sha256(index)[:DIGEST_LETTERS]
            dataset = Dataset(name, digest, kind, json.dumps(told(place)), profile=json.dumps(profile))
            found.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    return found
