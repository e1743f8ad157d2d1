"""The report of a study: what `reports/STUDY/` holds.

    write_report(study, root)

- `comparison.md`: the comparison that people read, with latencies where the benchmark has run.
- `metrics.json`: `{model: {level: {"utkface.age_mae": 6.1, …}}}`, for `dvc metrics` and for `check`.
- `plots/`: size against accuracy, learning curves, confusion matrices, groups.
- `latency/`: latency against accuracy.
- `confusion/MODEL/HEAD_LEVEL.csv`: `actual,predicted`, one row per face, for `dvc plots`.

All repeat byte for byte but `comparison.md` and `latency/`, which show timings.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pocketface.files import write_json, written_whole
from pocketface.reporting import plots, tables
from pocketface.reporting.quantities import label_of
from pocketface.reporting.results import FLOAT32, Results, Variant, read_predictions
from pocketface.study import Study

SHOWN_LEVELS = (FLOAT32, "int8")
"""The levels whose confusion matrices are drawn; all are in `confusion/`."""

Answers = dict[tuple[str, str, str], pd.DataFrame]
"""(model, level, head) -> columns `actual`, `predicted`."""

GLOSSARY = """\
MAE is the mean absolute error, CS@5 the share of faces whose age is at most 5 years off. In brackets stands
the change against the same model's `float32` variant: in years for MAE, in percentage points for shares, as a
ratio for size and latency. kB and MB are powers of ten."""

GROUPS = """\
Groups are by label, on the same faces as above. A figure of few faces is noisy, and so is a gap to it."""

ETHICS = """\
Gender is a binary annotation of appearance, as the datasets record it; it is not a person's gender identity.
Race is UTKFace's annotation: it serves to compare errors between groups and is never a model's answer. Ages,
genders and expressions are estimates from one picture and no ground for decisions about a person."""


def write_report(study: Study, root: Path = Path()) -> Path:
    """Reads the outs below `root` and writes the study's report.

    Returns:
        The folder `reports/STUDY`.

    Raises:
        PocketfaceError: an out is missing or damaged, the message names it.
    """
    results = Results.load(study, root)
    answers = _answers(results)
    folder = root / "reports" / study.study
    figures, timed = dict(_figures(results, answers)), dict(_latency_figures(results))
    write_json(folder / "metrics.json", metrics(results))
    _write_figures(folder / "plots", figures)
    _write_figures(folder / "latency", timed)
    _write_answers(folder / "confusion", answers)
    with written_whole(folder / "comparison.md") as partial:
        partial.write_text(comparison(results, list(figures), list(timed)), encoding="utf-8")
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


def comparison(results: Results, figures: list[str], timed: list[str]) -> str:
    """The text of `comparison.md`; `figures` and `timed` name the pictures beside it."""
    sections = [
        _head(results),
        *(_model(results, model, figures) for model in results.study.models),
        _section("Size against accuracy", *(_picture("plots", n) for n in figures if n.endswith("_size"))),
        _latency(results, timed),
        _section("Faces found and rejected", tables.faces(results)),
        _section("Models", tables.models(results)),
        _section("Data and licence", tables.licences(results)),
        _section("What these figures are not", ETHICS),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _section(title: str, *paragraphs: str) -> str:
    """A section, or nothing when it would be empty."""
    body = [paragraph for paragraph in paragraphs if paragraph]
    return "\n\n".join([f"## {title}", *body]) if body else ""


def _picture(folder: str, name: str) -> str:
    words = name.replace("_", " ").replace("/", ": ")
    return f"![{words}]({folder}/{name}.png)"


def _head(results: Results) -> str:
    study = results.study
    samples = ", ".join(
        name if data.sample == 1 else f"{name} ({100 * data.sample:g}% of its pictures)"
        for name, data in study.datasets.items()
    )
    kernels = sorted({v.evaluation.kernels for v in results.variants if v.evaluation.kernels})
    return "\n\n".join(
        [
            f"# Study `{study.study}`: what each level costs",
            f"- Command: `cp studies/{study.study}.yaml params.yaml && dvc repro`\n"
            f"- Data: {samples}; seed {study.seed}\n"
            f"- Kernels: {', '.join(kernels) or 'nothing was run'}\n"
            f"- Versions: {tables.versions()}",
            GLOSSARY,
        ]
    )


def _model(results: Results, model: str, figures: list[str]) -> str:
    measured = [
        f"On {dataset}, split {found.split}, {found.n} faces:\n\n"
        + tables.variants(results, model, dataset, costs=dataset == results.study.trained_on(model)[0])
        for dataset, found in results.measured(model).items()
    ]
    if not measured:
        own = results.study.trained_on(model)[0]
        measured = ["No level of this model runs.", tables.variants(results, model, own, costs=True)]
    compared = [
        f"{label_of(figure)}, by {grouping.replace('_', ' ')}:\n\n"
        + tables.groups(results, model, figure, grouping)
        for figure in results.main_figures(model)
        for grouping in tables.groupings(results, model, figure)
    ]
    own_figures = [name for name in figures if name.startswith(f"{model}/")]
    of_groups = [name for name in own_figures if "/groups_" in name]
    return _section(
        f"`{model}`",
        *measured,
        *(_picture("plots", name) for name in own_figures if name not in of_groups),
        *(
            ["### Groups", GROUPS, *compared, *(_picture("plots", name) for name in of_groups)]
            if compared
            else []
        ),
    )


def _latency(results: Results, timed: list[str]) -> str:
    table = tables.latencies(results)
    if not table:
        return _section("Latency", "Not measured: `dvc repro benchmark`, then `dvc repro report`.")
    hosts = {
        "{cpu}, {cores} cores, {system}".format_map(variant.timing.host)
        for variant in results.variants
        if variant.timing and variant.timing.host
    }
    note = (
        f"One face at a time on {'; '.join(sorted(hosts))}. The ratios compare medians of runs that took "
        "turns with the float32 variant, so that other load on the machine touches both."
    )
    return _section("Latency", note, *(_picture("latency", name) for name in timed), table)


def _answers(results: Results) -> Answers:
    """What every running variant answered on its own dataset, for the heads that are classes."""
    answers = {}
    for variant in results.running():
        predictions = read_predictions(variant)
        own = predictions[predictions["dataset"].isin(results.study.trained_on(variant.model))]
        for head, output in variant.card.outputs.items():
            if output.kind == "classes" and {head, f"{head}_pred"} <= set(own.columns):
                pair = own[[head, f"{head}_pred"]].dropna().set_axis(["actual", "predicted"], axis=1)
                if len(pair):
                    answers[variant.model, variant.level, head] = pair
    return answers


def _write_answers(folder: Path, answers: Answers) -> None:
    with written_whole(folder) as partial:
        partial.mkdir()
        for (model, level, head), pair in answers.items():
            path = partial / model / f"{head}_{level}.csv"
            path.parent.mkdir(exist_ok=True)
            pair.to_csv(path, index=False, lineterminator="\n")


def _write_figures(folder: Path, figures: Mapping[str, Figure]) -> None:
    with written_whole(folder) as partial:
        partial.mkdir()
        for name, figure in figures.items():
            path = partial / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            plots.save(figure, path)


def _figures(results: Results, answers: Answers) -> Iterator[tuple[str, Figure]]:
    """Name -> plot, for everything that does not show timings."""
    for figure in _main_figures(results):
        name = f"{figure.replace('.', '_').rpartition('_')[0]}_size"
        yield from _tradeoff(results, figure, name, "model file (kB)", _kilobytes)
    for model in results.study.models:
        if model in results.histories:
            yield f"{model}/curves", plots.curves(results.histories[model], f"{model}: learning curves")
        yield from _confusions(results, model, answers)
        yield from _group_figures(results, model)


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


def _group_figures(results: Results, model: str) -> Iterator[tuple[str, Figure]]:
    for figure in results.main_figures(model):
        dataset, _, metric = figure.partition(".")
        values = {
            grouping: {
                variant.level: tables.group_values(variant, dataset, metric, grouping)
                for variant in results.running(model)
            }
            for grouping in tables.groupings(results, model, figure)
        }
        if values:
            yield f"{model}/groups_{metric}", plots.groups(values, figure, list(results.study.levels))
