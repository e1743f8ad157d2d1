"""The report of a study: what `reports/STUDY/` holds.

    write_report(study, root)
    write_report(study, root, first=section)        # a study's own script, see studies/photos_harness.py

- `index.html`: the report that people read, one file that needs no network (`pocketface.report.page`).
- `comparison.md`: the same comparison as text.
- `metrics.json`: `{model: {level: {"utkface.age_mae": 6.1, "size_kb": 331}}}`, the main metrics, for `dvc
metrics`.
- `results.parquet`: the results table with the timings, for programs.
- `plots/`: overview, metrics against size and latency, learning curves, calibration, groups.
- `confusion/MODEL/HEAD_LEVEL.csv`: `actual,predicted`, one row per face, for `dvc plots`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure

from pocketface.choosing.answer import advice
from pocketface.choosing.rule import Pick, pick
from pocketface.core import outs
from pocketface.core.files import write_json, write_text, written_whole
from pocketface.metrics.groups import CROSSED
from pocketface.metrics.measures import Comparison, reliability
from pocketface.metrics.naming import label_of, title_of
from pocketface.report import page, plots, tables, text
from pocketface.report.cells import Section, Table
from pocketface.report.outs import Results, compared
from pocketface.results.table import SIZE, Row
from pocketface.study import Study

Plots = dict[str, Figure]
"""Name, `MODEL/KIND` or `overview` -> plot."""

Compared = Mapping[tuple[str, str], Mapping[str, Comparison]]
"""(model, level) -> head -> truth and answers on the model's own datasets."""


def write_report(study: Study, root: Path = Path(), first: Section | None = None) -> Path:
    """Reads the outs below `root` and writes the study's report, with `first` below the table of what to
    take.

    Returns:
        The folder `reports/STUDY`.

    Raises:
        PocketfaceError: an out is missing or damaged, the message names it.
    """
    results = Results.load(study, root)
    picks = {model: pick(results.table, model, study.champion) for model in study.models}
    tasks = {(v.model, v.level): compared(study, v, root) for v in results.running()}
    folder = root / outs.REPORTS / study.study
    write_json(folder / "metrics.json", metrics(results))
    results.table.write(folder / "results.parquet")
    drawn = ({first.name: first.plot} if first else {}) | all_plots(results, picks, tasks)
    with written_whole(folder / "plots") as partial:
        for name, figure in drawn.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            plots.save(figure, partial / f"{name}.png")
    answers = {
        (v.model, v.level, head): pair
        for v in results.running()
        for head, pair in v.pairs(tasks[v.model, v.level]).items()
    }
    with written_whole(folder / "confusion", folder=True) as partial:
        for (model, level, head), pair in answers.items():
            path = partial / model / f"{head}_{level}.csv"
            path.parent.mkdir(exist_ok=True)
            pair.to_csv(path, index=False, lineterminator="\n")
    write_text(folder / "comparison.md", comparison(results, picks, drawn, first))
    write_text(folder / "index.html", page.render(results, picks, drawn, answers, root, first))
    return folder


def metrics(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """Model -> level -> the main metrics and the size, of the variants that run."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for variant in results.running():
        told = {row.name: row.value for row in variant.rows() if row.main and row.value is not None}
        told |= {"size_kb": size / 1e3} if (size := variant.value(SIZE)) else {}
        found.setdefault(variant.model, {})[variant.level] = told
    return found


def comparison(results: Results, picks: tables.Picks, drawn: Plots, first: Section | None = None) -> str:
    """The text of `comparison.md`: what to take, then a table a model; all else is folded."""
    parts: list[str | Table] = [
        f"# Study `{results.study.study}`: what each quantization level costs",
        text.measured_on(results),
        tables.take(results, picks),
        *_first(first),
        "![every level against float32](plots/overview.png)" if "overview" in drawn else "",
    ]
    for model in results.study.models:
        if results.running(model):
            parts += _model(results, picks[model], drawn)
    facts = "\n".join(f"- {name}: {line}" for name, line in text.head_lines(results))
    latencies, missing = tables.latencies(results), tables.unavailable(results)
    parts += [
        "## How to read it",
        text.GLOSSARY,
        text.VERDICTS,
        _folded(
            "Faces found and rejected",
            *(tables.faces(results), tables.persons(results), tables.copies(results)),
        ),
        _folded("Models, data and terms", tables.models(results), tables.licences(results)),
        _folded("Time", text.timed_on(results), latencies)
        if latencies
        else "Time was not measured: `dvc repro benchmark`, then `dvc repro report`.",
        _folded("Repeat it", facts),
        text.ETHICS,
        f"Not available: {missing}." if missing else "",
    ]
    return _paragraphs(parts) + "\n"


def _first(section: Section | None) -> list[str | Table]:
    if section is None:
        return []
    lead, *more = (fill(part, 110) for part in section.text)
    picture = f"![{section.title}](plots/{section.name}.png)"
    return [f"## {section.title}", picture, lead, section.table, *more]


def _model(results: Results, picked: Pick, drawn: Plots) -> list[str | Table]:
    model, datasets = picked.model, results.running(picked.model)[0].datasets
    groups = [
        part
        for name, groupings in tables.grouped(results, model).items()
        for grouping in groupings
        for part in (f"{label_of(name)}:", tables.groups(results, model, name, grouping, picked))
    ]
    pictures = [f"![{name}](plots/{name}.png)" for name in drawn if name.startswith(f"{model}/")]
    return [
        f"## {model}",
        advice(picked),
        tables.levels(results, model, picked),
        *(_folded(f"On {name}", tables.levels(results, model, picked, name)) for name in datasets[1:]),
        _folded("How sure", tables.certainty(results, model)),
        *(_folded(f"Every metric on {name}", tables.every_metric(results, model, name)) for name in datasets),
        _folded("Groups", text.GROUPS if groups else "", *groups),
        _folded("What each level is, and where it runs", tables.needs(results, model)),
        _folded("Plots", *pictures),
    ]


def _folded(title: str, *parts: str | Table) -> str:
    """Paragraphs behind a line that opens them; nothing when all are empty."""
    body = _paragraphs(parts)
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>" if body else ""


def _paragraphs(parts: Iterable[str | Table]) -> str:
    texts = (part.markdown() if isinstance(part, Table) else part for part in parts)
    return "\n\n".join(filter(None, texts))


def all_plots(results: Results, picks: tables.Picks, compared: Compared) -> Plots:
    """Every plot of the report, by name."""
    found: Plots = {}
    if changes := _changes(results):
        found["overview"] = plots.overview(changes, "Every level against float32, with 95% intervals")
    for model in results.study.models:
        if panels := _panels(results, model, picks[model]):
            found[f"{model}/tradeoff"] = plots.tradeoff(panels, model, results.study.margins)
        if model in results.histories:
            found[f"{model}/curves"] = plots.curves(results.histories[model], f"{model}: learning curves")
        shown = tables.shown_variants(results, model, picks[model])
        for name, groupings in (tables.grouped(results, model) if shown else {}).items():
            groupings = [by for by in groupings if CROSSED not in by]
            values = {by: [(v.level, v.groups(name, by)) for v in shown] for by in groupings}
            if values:
                title = f"{model}: {title_of(name)} per group"
                found[f"{model}/groups_{name.partition('.')[2]}"] = plots.groups(values, name, title)
        own = {v.level: compared[v.model, v.level] for v in shown}
        for head, output in results.of(model)[0].card.outputs.items():
            bins = {level: reliability(tasks[head]) for level, tasks in own.items() if head in tasks}
            bins = {level: rows for level, rows in bins.items() if len(rows)}
            if bins and output.kind == "classes":
                levels, title = list(results.study.levels), f"{model}: calibration of {head}"
                found[f"{model}/calibration_{head}"] = plots.reliability(bins, levels, title)
    return found


def _changes(results: Results) -> dict[tuple[str, str], list[tuple[Row, float | None]]]:
    """(model, main metric) -> what each level changes, and the size of its file; equal files once."""
    found: dict[tuple[str, str], list[tuple[Row, float | None]]] = {}
    for variant in results.distinct():
        for name in results.table.mains(variant.model):
            row = variant.row(name)
            if row is not None and row.change is not None:
                found.setdefault((variant.model, name), []).append((row, variant.card.size_ratio))
    return found


def _panels(results: Results, model: str, picked: Pick) -> Sequence[plots.Costs]:
    """A row a main metric: against size, and where it was measured against latency; equal files once."""
    panels = []
    for name in results.table.mains(model):
        points: dict[str, list[plots.Point]] = {}
        for variant in results.distinct(model):
            row, size, time = variant.row(name), variant.card.size_bytes, variant.latency_ms
            costs = {"file (kB)": size and size / 1e3, "median time, 1 thread (ms)": time}
            for label, cost in costs.items():
                if row and cost:
                    points.setdefault(label, []).append(plots.Point(cost, row, picked.level == variant.level))
        if points:
            panels.append(points)
    return panels
