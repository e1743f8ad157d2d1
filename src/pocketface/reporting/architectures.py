"""The page that tells what every architecture reaches, from the records of all studies.

    save(record, curves, Path("reports/models"))

adds one study's record, `records/STUDY.json`, and its learning curves, `curves/STUDY.png`, and writes the
page, `README.md`, anew from all records there are. See `pocketface.reporting.records`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pocketface.core.files import write_json, written_whole
from pocketface.core.labels import HEADS, main_metric
from pocketface.reporting import plots
from pocketface.reporting.quantities import MISSING, label_of, quantity_of, shown
from pocketface.reporting.records import Curves, Figures, Record, Row, column_of, read_records

PAGE, RECORDS, CURVES = "README.md", "records", "curves"

INTRODUCTION = """\
# What the architectures reach

Written by `python stages/architectures.py`, a section a study, from the records beside this page. Figures
are those of the validation faces after the last epoch, and nothing was chosen by them. *Majority* and
*minority* do not look at the face: they answer the commonest and the rarest class of the train faces, and for
an age the median."""

SETTINGS = ("epochs", "batch_size", "learning_rate", "age_loss")
"""Of a recipe, what the page tells; all of it stands in the record."""

OF_FOLDS = ("accuracy", "weighted_f1", "f1", "mae")
"""The metrics of a cross-validation that the page tells; all of them stand in the record."""

MODEL = "model"
"""The estimator of a cross-validation that looks."""

WIDE = 8
"""Panels from which the curves are drawn six to a row."""


def save(record: Record, curves: Curves, folder: Path) -> Path:
    """Writes a record and its curves, and the page of all records; returns the page's path."""
    write_json(folder / RECORDS / f"{record.study}.json", record.model_dump(mode="json"))
    if curves:
        plots.save(draw(record, curves), _curves(folder, record))
    sections = [_section(one, folder) for one in read_records(folder / RECORDS)]
    with written_whole(folder / PAGE) as partial:
        partial.write_text("\n\n".join([INTRODUCTION, *sections]) + "\n", encoding="utf-8")
    return folder / PAGE


def draw(record: Record, curves: Curves) -> Figure:
    """Learning curves: a panel for each main metric of each model, training against validation.

    Over folds, the line is their mean, and the band reaches from the lowest to the highest.
    """
    panels = [(name, head) for name in curves for head in record.model(name).heads]
    columns = 6 if len(panels) > WIDE else min(len(panels), 3)
    rows = -(-len(panels) // columns)
    labels = [label_of(main_metric(head).removeprefix(f"{head}_")) for _, head in panels]
    alike = len(set(labels)) == 1
    with mpl.rc_context(plots.STYLE | {"font.size": 8, "axes.titlesize": 8}):
        figure = Figure(figsize=(2.2 * columns + 0.6, 1.9 * rows + 0.7), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=alike).ravel()
        for i, (name, head) in enumerate(panels):
            _panel(grid[i], curves[name], head)
            several = len(record.model(name).heads) > 1
            grid[i].set_title(f"{name}\n{head}" if several else name.replace("_", " "))
            grid[i].set_ylabel(labels[i] if i % columns == 0 or not alike else "")
            grid[i].set_xlabel("epoch" if i + columns >= len(panels) else "")
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        handles, texts = grid[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=2)
    return figure


def _panel(axes: Axes, history: pd.DataFrame, head: str) -> None:
    column = column_of(history, head)
    scale = 100 if quantity_of(column).unit == "%" else 1
    for label, name, colour in (
        ("training", column, plots.GREY),
        ("validation", f"val_{column}", plots.BLUE),
    ):
        values = scale * history.groupby("epoch")[name].agg(["mean", "min", "max"])
        epochs = values.index + 1
        axes.plot(epochs, values["mean"], color=colour, label=label, marker="o", ms=2)
        axes.fill_between(epochs, values["min"], values["max"], color=colour, alpha=0.2, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5, min_n_ticks=1))


def _curves(folder: Path, record: Record) -> Path:
    return folder / CURVES / f"{record.study}.png"


def _section(record: Record, folder: Path) -> str:
    parts = [f"## {record.study}", _about(record.about), _conditions(record)]
    if record.models:
        parts.append(_models(record))
    if record.left_out:
        parts.append(f"Not trained: {', '.join(record.left_out)}.")
    for model, estimators in record.folds.items():
        parts.append(f"### {model}, cross-validated\n\n{_folds(record.model(model).heads, estimators)}")
    if record.sweep:
        parts.append(_sweep(record.sweep))
    if record.models and _curves(folder, record).is_file():
        path = _curves(folder, record).relative_to(folder).as_posix()
        parts.append(f"![Learning curves of {record.study}]({path})")
    return "\n\n".join(part for part in parts if part)


def _about(comment: str) -> str:
    """The comment of a study's file as Markdown: what is indented in it are commands."""
    lines, inside = [], False
    for line in comment.splitlines():
        command = line.startswith("  ")
        if command != inside and (command or line):
            lines.append("```sh" if command else "```\n")
            inside = command
        if line or not inside:
            lines.append(line.removeprefix("  "))
    return "\n".join([*lines, *["```"] * inside])


def _conditions(record: Record) -> str:
    """Faces, seed, software, and the settings that all models share."""
    said = []
    for name, faces in record.faces.items():
        of = f", from {100 * faces.sample:g}% of its pictures" if faces.sample < 1 else ""
        said.append(f"{name}: {faces.train:,} train faces, {faces.val:,} to validate on{of}.")
    runtimes = {
        f"{model.training['backend']} {model.training.get('tensorflow', '')}".strip()
        for model in record.models
    }
    said.append(", ".join([f"Seed {record.seed}", f"{record.threads} threads", *sorted(runtimes)]) + ".")
    shared = [f"{name} {values[0]}" for name, values in _settings(record).items() if len(set(values)) == 1]
    said += [f"All models: {', '.join(shared)}."] if len(record.models) > 1 else []
    return " ".join(said)


def _settings(record: Record) -> dict[str, list[str]]:
    """Setting in words -> what each model has, as printed."""
    models = record.models
    options = dict.fromkeys(option for model in models for option in model.options)
    settings: dict[str, list[str]] = {"architecture": [model.architecture for model in models]}
    for option in options:
        settings[option] = [_option(option, model.options.get(option)) for model in models]
    settings["pixels"] = [str(model.size) for model in models]
    for name in SETTINGS:
        if name != "age_loss" or any("age" in model.heads for model in models):
            settings[name.replace("_", " ")] = [str(model.training[name]) for model in models]
    return settings


def _option(option: str, value: Any) -> str:
    """An option as printed; a file of weights by its name."""
    if option == "weights":
        return Path(value).name.partition(".weights")[0] if value else "random"
    return "default" if value is None else str(value)


def _models(record: Record) -> str:
    """A row a model, with the settings that differ; below, the estimators that do not look."""
    differing = {name: values for name, values in _settings(record).items() if len(set(values)) > 1}
    metrics = list(dict.fromkeys(main_metric(head) for model in record.models for head in model.heads))
    header = ["", *differing, "parameters", "trained", "MACs, millions", *map(label_of, metrics)]
    rows = []
    for i, model in enumerate(record.models):
        counts = [f"{model.parameters:,}", f"{model.trainable_parameters:,}", f"{model.macs / 1e6:.1f}"]
        own = [values[i] for values in differing.values()]
        rows.append([model.name, *own, *counts, *_shown(metrics, model.figures)])
    for dataset, estimators in record.references.items():
        on = f" on {dataset}" if len(record.references) > 1 else ""
        for name, figures in estimators.items():
            blank = [""] * (len(differing) + 3)
            rows.append([f"*{name}{on}*", *blank, *_shown(metrics, figures)])
    return _table(header, rows, text_columns=1 + len(differing))


def _shown(metrics: Iterable[str], figures: Mapping[str, float]) -> list[str]:
    return [shown(metric, figures.get(metric)) for metric in metrics]


def _folds(heads: Sequence[str], estimators: Mapping[str, Mapping[str, Figures]]) -> str:
    """A row a head: mean ± standard deviation over the folds, and beside it the best of not looking."""
    own = estimators[MODEL]
    kinds = [kind for kind in OF_FOLDS if any(f"{head}_{kind}" in own for head in heads)]
    header = ["", *(cell for kind in kinds for cell in (label_of(kind), "without looking"))]
    rows = []
    for head in heads:
        row = [head]
        for metric in (f"{head}_{kind}" for kind in kinds):
            best: Callable[..., float] = min if quantity_of(metric).better == "lower" else max
            blind = [of[metric]["mean"] for name, of in estimators.items() if name != MODEL and metric in of]
            row += [_spread(metric, own.get(metric)), shown(metric, best(blind, default=None))]
        rows.append(row)
    told = (
        "Mean ± standard deviation over the folds; *without looking* is the better of majority and minority."
    )
    return f"{told}\n\n{_table(header, rows, text_columns=1)}"


def _spread(metric: str, figures: Figures | None) -> str:
    if figures is None:
        return MISSING
    return f"{shown(metric, figures['mean'])} ± {shown(metric, figures.get('std'))}"


def _sweep(rows: Sequence[Row]) -> str:
    """A row an experiment: what was varied, and the main metrics."""
    varied = [name for name in rows[0] if name.startswith("models.")]
    metrics = [metric for metric in map(main_metric, HEADS) if metric in rows[0]]
    header = [*(name.rpartition(".")[2].replace("_", " ") for name in varied), *map(label_of, metrics)]
    body = []
    for row in rows:
        figures = {name: float(value) for name, value in row.items() if name in metrics and value is not None}
        body.append([*(str(row[name]) for name in varied), *_shown(metrics, figures)])
    return f"Each row is an experiment; its figures are means over the folds.\n\n{_table(header, body, 0)}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int) -> str:
    """Markdown; the first columns are set left, the rest, numbers, right."""
    rule = [":--" if i < text_columns else "--:" for i in range(len(header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *rows))
