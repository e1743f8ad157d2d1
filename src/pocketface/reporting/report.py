"""The report of a study: what `reports/STUDY/` holds.

    write_report(study, root)

- `index.html`: the report that people read, one file that needs no network (`pocketface.reporting.page`).
- `comparison.md`: the same comparison as text, with latencies where the benchmark has run.
- `metrics.json`: `{model: {level: {"utkface.age_mae": 6.1, …}}}`, all figures, for `check`.
- `figures/MODEL/LEVEL.json`: a variant's main figures and its size, for `dvc metrics`: a row a variant.
- `changes.json`: every figure's change against float32, its interval, and whether it is noise.
- `timings.json`: the median latencies, where the benchmark has run, for `pocketface choose`.
- `plots/`: the overview, size against accuracy, learning curves, confusion matrices, calibration, groups.
- `latency/`: latency against accuracy.
- `confusion/MODEL/HEAD_LEVEL.csv`: `actual,predicted`, one row per face, for `dvc plots`.

All repeat byte for byte but `index.html`, `comparison.md`, `timings.json` and `latency/`, which show timings.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from pocketface.core.files import write_json, written_whole
from pocketface.metrics.measures import comparisons, reliability
from pocketface.reporting import changes, page, plots, tables
from pocketface.reporting.changes import Compareds
from pocketface.reporting.quantities import label_of
from pocketface.reporting.results import FLOAT32, Predictions, Results, Timings, Variant, all_predictions
from pocketface.reporting.words import ETHICS, GLOSSARY, GROUPS, NOISE, head_lines, timed_on
from pocketface.study import Study

SHOWN_LEVELS = (FLOAT32, "int8")
"""The levels whose confusion matrices and calibration are drawn; all are in `confusion/`."""

OVERVIEW = "overview"
IN_OVERVIEW = 6
"""Figures in the overview, at most."""

Answers = dict[tuple[str, str, str], pd.DataFrame]
"""(model, level, head) -> columns `actual`, `predicted`."""


def write_report(study: Study, root: Path = Path()) -> Path:
    """Reads the outs below `root` and writes the study's report.

    Returns:
        The folder `reports/STUDY`.

    Raises:
        PocketfaceError: an out is missing or damaged, the message names it.
    """
    results = Results.load(study, root)
    predictions = all_predictions(results)
    found, answers = changes.compare(results, predictions), _answers(results, predictions)
    folder = root / "reports" / study.study
    write_json(folder / "metrics.json", metrics(results))
    _write_main_figures(folder / "figures", results)
    write_json(folder / "changes.json", changes.content(found))
    write_json(folder / "timings.json", timings(results).model_dump())
    drawn = _write_figures(folder / "plots", _figures(results, found, predictions, answers))
    timed = _write_figures(folder / "latency", _latency_figures(results))
    _write_answers(folder / "confusion", answers)
    with written_whole(folder / "comparison.md") as partial:
        partial.write_text(comparison(results, found, list(drawn), list(timed)), encoding="utf-8")
    with written_whole(folder / "index.html") as partial:
        counts = {
            key: confusion_counts(pair, results.of(key[0])[0].card.outputs[key[2]].labels)
            for key, pair in answers.items()
        }
        pictures = {name: picture for name, picture in drawn.items() if picture is not None}
        partial.write_text(page.render(results, found, pictures, counts), encoding="utf-8")
    return folder


def metrics(results: Results) -> dict[str, dict[str, dict[str, float | str]]]:
    """Model -> level -> figures; one that failed or is unavailable has `status` and `reason`."""
    return {
        model: {
            variant.level: {**variant.figures}
            if variant.reason is None
            else {
                "status": "unavailable" if variant.card.status == "unavailable" else "failed",
                "reason": variant.reason,
            }
            for variant in results.of(model)
        }
        for model in results.study.models
    }


def _write_main_figures(folder: Path, results: Results) -> None:
    """A file a variant, with the main figures of its model on every dataset that has them."""
    with written_whole(folder) as partial:
        partial.mkdir()
        for variant in results.running():
            metrics = {figure.partition(".")[2] for figure in results.main_figures(variant.model)}
            main = {
                figure: value
                for figure, value in variant.figures.items()
                if figure.partition(".")[2] in metrics
            }
            size = {"size_kb": variant.card.size_bytes / 1e3} if variant.card.size_bytes else {}
            write_json(partial / variant.model / f"{variant.level}.json", main | size)


def timings(results: Results) -> Timings:
    """The median latencies of all variants that were timed."""
    timed = [variant for variant in results.running() if variant.timing and variant.timing.threads]
    models: dict[str, dict[str, dict[str, float]]] = {}
    for variant in timed:
        threads = variant.timing.threads if variant.timing else {}
        medians = {count: latency.median_ms for count, latency in threads.items()}
        models.setdefault(variant.model, {})[variant.level] = medians
    host = next((variant.timing.host for variant in timed if variant.timing), {})
    return Timings(host=host, models=models)


def comparison(results: Results, found: Compareds, figures: list[str], timed: list[str]) -> str:
    """The text of `comparison.md`; `figures` and `timed` name the pictures beside it."""
    sections = [
        f"# Study `{results.study.study}`: what each level costs",
        "\n".join(f"- {name}: {line}" for name, line in head_lines(results)),
        GLOSSARY,
        NOISE,
        *(_picture("plots", name) for name in figures if name == OVERVIEW),
        *(_model(results, found, model, figures) for model in results.study.models),
        _section("Size against accuracy", *(_picture("plots", n) for n in figures if n.endswith("_size"))),
        _latency(results, timed),
        _section("Faces found and rejected", tables.faces(results).markdown(), tables.copies(results)),
        _section("Models", tables.models(results).markdown()),
        _section("Data and licence", tables.licences(results).markdown()),
        _section("What these figures are not", ETHICS),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _section(title: str, *paragraphs: str) -> str:
    """A section, or nothing when it would be empty."""
    body = [paragraph for paragraph in paragraphs if paragraph]
    return "\n\n".join([f"## {title}", *body]) if body else ""


def _titled(title: str, table: tables.Table) -> str:
    return f"{title}:\n\n{table.markdown()}" if table else ""


def _picture(folder: str, name: str) -> str:
    words = name.replace("_", " ").replace("/", ": ")
    return f"![{words}]({folder}/{name}.png)"


def _model(results: Results, found: Compareds, model: str, figures: list[str]) -> str:
    own = results.study.trained_on(model)[0]
    measured = [
        part
        for dataset, about in results.measured(model).items()
        for part in (
            _titled(
                f"On {dataset}, split {about.split}, {about.n} faces",
                tables.variants(results, found, model, dataset, costs=dataset == own),
            ),
            _titled(f"Further metrics on {dataset}", tables.further(results, found, model, dataset)),
        )
    ]
    if not measured:
        table = tables.variants(results, found, model, own, costs=True)
        measured = ["No level of this model runs.", table.markdown()]
    compared = [
        _titled(f"{label_of(figure)}, by {kind}", table)
        for figure in results.main_figures(model)
        for kind, table in group_tables(results, found, model, figure)
    ]
    own_figures = [name for name in figures if name.startswith(f"{model}/")]
    of_groups = [name for name in own_figures if "/group" in name]
    return _section(
        f"`{model}`",
        *measured,
        _titled("How sure the main figures are", tables.certainty(results, found, model)),
        *(_picture("plots", name) for name in own_figures if name not in of_groups),
        *(
            ["### Groups", GROUPS, *compared, *(_picture("plots", name) for name in of_groups)]
            if compared
            else []
        ),
    )


def group_tables(
    results: Results, found: Compareds, model: str, figure: str
) -> Iterator[tuple[str, tables.Table]]:
    """What a figure is compared by -> table; only those with rows."""
    for grouping in tables.groupings(results, model, figure):
        yield grouping.replace("_", " "), tables.groups(results, model, figure, grouping)
    if by_source := tables.sources(results, model, figure):
        yield "picture source", by_source
    if against := tables.group_changes(results, found, model, figure):
        yield "group, change against float32", against


def _latency(results: Results, timed: list[str]) -> str:
    table = tables.latencies(results)
    if not table:
        return _section("Latency", "Not measured: `dvc repro benchmark`, then `dvc repro report`.")
    return _section(
        "Latency", timed_on(results), *(_picture("latency", name) for name in timed), table.markdown()
    )


def _answers(results: Results, predictions: Predictions) -> Answers:
    """What every running variant answered on its own dataset, for the heads that are classes."""
    answers = {}
    for variant in results.running():
        own = _own(results, variant, predictions)
        for head, output in variant.card.outputs.items():
            if output.kind == "classes" and {head, f"{head}_pred"} <= set(own.columns):
                pair = own[[head, f"{head}_pred"]].dropna().set_axis(["actual", "predicted"], axis=1)
                if len(pair):
                    answers[variant.model, variant.level, head] = pair
    return answers


def _own(results: Results, variant: Variant, predictions: Predictions) -> pd.DataFrame:
    rows = predictions[variant.model, variant.level]
    return rows[rows["dataset"].isin(results.study.trained_on(variant.model))]


def _write_answers(folder: Path, answers: Answers) -> None:
    with written_whole(folder) as partial:
        partial.mkdir()
        for (model, level, head), pair in answers.items():
            path = partial / model / f"{head}_{level}.csv"
            path.parent.mkdir(exist_ok=True)
            pair.to_csv(path, index=False, lineterminator="\n")


def _write_figures(folder: Path, figures: Iterable[tuple[str, Figure]]) -> dict[str, Markup | None]:
    """Draws figures, none of which is kept; returns name -> picture for the page, where it shows it."""
    drawn: dict[str, Markup | None] = {}
    with written_whole(folder) as partial:
        partial.mkdir()
        for name, figure in figures:
            path = partial / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            plots.save(figure, path)
            drawn[name] = page.svg(figure, name) if page.shows(name) else None
    return drawn


def _figures(
    results: Results, found: Compareds, predictions: Predictions, answers: Answers
) -> Iterator[tuple[str, Figure]]:
    """Name -> plot, for everything that does not show timings."""
    if effects := changes.effects(results, found):
        first = dict(list(effects.items())[:IN_OVERVIEW])
        yield OVERVIEW, plots.overview(first, "Change against float32, with 95% intervals")
    for figure in _main_figures(results):
        name = f"{figure.replace('.', '_').rpartition('_')[0]}_size"
        yield from _tradeoff(results, figure, name, "model file (kB)", _kilobytes)
    for model in results.study.models:
        if model in results.histories:
            yield f"{model}/curves", plots.curves(results.histories[model], f"{model}: learning curves")
        yield from _confusions(results, model, answers)
        yield from _reliabilities(results, model, predictions)
        yield from _group_figures(results, found, model)


def _latency_figures(results: Results) -> Iterator[tuple[str, Figure]]:
    for figure in _main_figures(results):
        name = figure.replace(".", "_").rpartition("_")[0]
        yield from _tradeoff(results, figure, name, "median latency, 1 thread (ms)", _milliseconds)


def _kilobytes(variant: Variant) -> float | None:
    return variant.card.size_bytes / 1e3 if variant.card.size_bytes else None


def _milliseconds(variant: Variant) -> float | None:
    return variant.latency_ms


def _main_figures(results: Results) -> list[str]:
    return list(dict.fromkeys(f for model in results.study.models for f in results.main_figures(model)))


def _tradeoff(
    results: Results, figure: str, name: str, cost_label: str, cost: Callable[[Variant], float | None]
) -> Iterator[tuple[str, Figure]]:
    points = [
        plots.Point(variant.model, variant.level, x, variant.figures[figure])
        for variant in results.running()
        if figure in variant.figures and (x := cost(variant)) is not None
    ]
    if points:
        yield name, plots.tradeoff(points, figure, cost_label, list(results.study.levels))


def _confusions(results: Results, model: str, answers: Answers) -> Iterator[tuple[str, Figure]]:
    for head, output in results.of(model)[0].card.outputs.items():
        counts = {
            level: confusion_counts(pair, output.labels)
            for level in SHOWN_LEVELS
            if (pair := answers.get((model, level, head))) is not None
        }
        if counts:
            title = f"{model} on {', '.join(results.study.trained_on(model))}: {head}"
            yield f"{model}/confusion_{head}", plots.confusion(counts, output.labels, title)


def confusion_counts(pair: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    """Numbers of faces `[K, K]`: rows are the `actual` class, columns the `predicted` one."""
    counts = pd.crosstab(pair["actual"], pair["predicted"])
    return counts.reindex(index=list(labels), columns=list(labels), fill_value=0).to_numpy()


def _reliabilities(results: Results, model: str, predictions: Predictions) -> Iterator[tuple[str, Figure]]:
    compared = {
        variant.level: comparisons(_own(results, variant, predictions))
        for variant in results.running(model)
        if variant.level in SHOWN_LEVELS
    }
    for head, output in results.of(model)[0].card.outputs.items():
        bins = {level: reliability(own[head]) for level, own in compared.items() if head in own}
        bins = {level: found for level, found in bins.items() if len(found)}
        if bins and output.kind == "classes":
            title = f"{model}: calibration of {head}"
            yield f"{model}/calibration_{head}", plots.reliability(bins, list(results.study.levels), title)


def _group_figures(results: Results, found: Compareds, model: str) -> Iterator[tuple[str, Figure]]:
    levels = list(results.study.levels)
    for figure in results.main_figures(model):
        dataset, _, metric = figure.partition(".")
        groupings = tables.groupings(results, model, figure)
        if not groupings:
            continue
        values = {
            grouping: {
                variant.level: tables.group_values(variant, dataset, metric, grouping)
                for variant in results.running(model)
            }
            for grouping in groupings
        }
        first = found[model, results.running(model)[0].level, dataset].group_intervals
        intervals = {
            grouping: {
                group: of[metric] for (by, group), of in first.items() if by == grouping and metric in of
            }
            for grouping in groupings
        }
        yield f"{model}/groups_{metric}", plots.groups(values, figure, levels, intervals)
        against = {
            grouping: {
                variant.level: {
                    group: (of[metric].change, changes.tone(figure, of[metric]) != "noise")
                    for (by, group), of in found[model, variant.level, dataset].group_changes.items()
                    if by == grouping and metric in of
                }
                for variant in results.running(model)
                if found[model, variant.level, dataset].group_changes
            }
            for grouping in groupings
        }
        if all(against.values()):
            yield f"{model}/group_changes_{metric}", plots.group_changes(against, figure, levels)
