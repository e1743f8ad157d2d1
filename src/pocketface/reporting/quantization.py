"""What every quantization level costs and needs: `reports/STUDY/quantization.md`.

    write_quantization(Results.load(study), Path("reports/full"))

Per model a table of its levels: what the file holds, how it was made, what accuracy it costs (for all faces
and for the group that it costs most), and where it runs; then what the search for `mixed_int8` found. Beside
it, in `quantization/`: accuracy against size and against latency with the Pareto front marked, and the
sensitivity of every operator. All repeat byte for byte but the pictures named `latency`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pocketface.cards import Sensitivity
from pocketface.core.files import written_whole
from pocketface.reporting import plots
from pocketface.reporting.plots import BLUE, GREY, INK, ORANGE, STYLE, Point
from pocketface.reporting.quantities import MISSING, change, label_of, quantity_of, shown, size
from pocketface.reporting.results import Results, Variant
from pocketface.reporting.tables import Table, group_values, groupings
from pocketface.tflite.levels import LEVELS

FOLDER = "quantization"
ENOUGH = 100
"""Faces, below which a group's change is mostly chance and is not reported here."""
SHOWN = 12
"""Operators in the sensitivity table and plot."""

HEAD = """\
Every level of every model: what its file holds, what it costs, where it runs. In brackets stands the change
against `float32`. *Worst group* is the largest loss of any group (gender, race, age band) of {enough} faces
or more. *As float32*: share of train faces that are answered as by the unconverted model (ages within half a
year). *Arena* is the memory that TensorFlow Lite Micro needs for tensors; *NPU* the share of operators that
Arm's compiler Vela puts on an Ethos-U65 (256 MACs), and its estimate of the cycles for one face. The front in
the pictures joins the levels that no other beats in both accuracy and cost."""

MIXED = """\
`{model}`: what quantizing one operator alone changes in the answers, in units of their spread over the faces.
Measured, and the bounds checked, on {faces} train faces that no range was measured on."""


def write_quantization(results: Results, folder: Path) -> Path:
    """Writes `quantization.md` and the pictures beside it; returns the text's path."""
    names: dict[str, list[str]] = {model: [] for model in results.study.models}
    with written_whole(folder / FOLDER) as partial:
        partial.mkdir(parents=True)
        for model, own in names.items():
            for name, figure in pictures(results, model):
                plots.save(figure, partial / f"{name}.png")
                own.append(name)
    path = folder / "quantization.md"
    with written_whole(path) as partial:
        partial.write_text(text(results, names), encoding="utf-8")
    return path


def text(results: Results, names: Mapping[str, Sequence[str]]) -> str:
    """The text of `quantization.md`; `names` are the pictures of every model in its folder."""
    parts = [f"# Quantization levels of the study `{results.study.study}`", HEAD.format(enough=ENOUGH)]
    for model in results.study.models:
        parts += [f"## {model}", costs(results, model).markdown(), needs(results, model).markdown()]
        parts += [f"![{name}]({FOLDER}/{name}.png)" for name in names[model]]
        parts += [part for variant in results.of(model) for part in _searched(variant)]
    return "\n\n".join(part for part in parts if part) + "\n"


def costs(results: Results, model: str) -> Table:
    """A row per level: its metrics, the loss of the worst group, agreement with the unconverted model."""
    reference, figures = results.float32(model), results.main_figures(model)
    header = ["level", "what it is", "size"]
    header += [part for figure in figures for part in (label_of(figure), "worst group")]
    header += ["as float32 (%)"]
    rows = []
    for variant in results.of(model):
        if variant.reason:
            rows.append([variant.level, f"failed: {variant.reason}", *[MISSING] * (len(header) - 2)])
            continue
        row = [variant.level, LEVELS[variant.level].summary, _size(variant)]
        for figure in figures:
            value = variant.figures.get(figure)
            other = reference.figures.get(figure) if reference else None
            row += [f"{shown(figure, value)} ({change(figure, value, other)})"]
            row += [worst_group(results, variant, reference, figure)]
        agreement = min((parity.agreement for parity in variant.card.parity.values()), default=None)
        rows.append([*row, MISSING if agreement is None else f"{100 * agreement:.1f}"])
    return Table(header, rows, text_columns=2)


def worst_group(results: Results, variant: Variant, reference: Variant | None, figure: str) -> str:
    """The largest loss against float32 of any group, with the group's name."""
    if reference is None or variant is reference:
        return ""
    dataset, _, metric = figure.partition(".")
    sign = -1 if quantity_of(figure).better == "higher" else 1
    losses = []
    for grouping in groupings(results, variant.model, figure):
        then = group_values(reference, dataset, metric, grouping)
        members = variant.evaluation.datasets[dataset].by_group[grouping]
        losses += [
            (sign * (value - then[group]), f"{group} {change(figure, value, then[group])}")
            for group, value in group_values(variant, dataset, metric, grouping).items()
            if group in then and members[group].n >= ENOUGH
        ]
    return max(losses)[1] if losses else MISSING


def needs(results: Results, model: str) -> Table:
    """A row per level: what its file holds, how it was made, where it runs."""
    runtimes = list(dict.fromkeys(name for v in results.running(model) for name in v.card.runtimes))
    header = ["level", "weights", "in, out", "made with", *runtimes, "arena (kB)", "NPU (%)", "NPU cycles"]
    rows = []
    for variant in results.running(model):
        card = variant.card
        level = LEVELS[variant.level]
        arenas = [runtime.arena_bytes for runtime in card.runtimes.values() if runtime.arena_bytes]
        row = [variant.level, _shares(card.weight_dtypes), f"{level.input}, {level.output}", _how(variant)]
        row += [_runs(variant, name) for name in runtimes]
        row += [f"{arenas[0] / 1e3:.0f}" if arenas else MISSING]
        if card.npu and card.npu.npu_share is not None:
            row += [f"{100 * card.npu.npu_share:.0f}", f"{card.npu.cycles:,}"]
        else:
            row += [MISSING, MISSING]
        rows.append(row)
    return Table(header, rows, text_columns=4 + len(runtimes))


def front(points: Sequence[Point], better: str) -> list[Point]:
    """The points that no other beats: as cheap and better, or as good and cheaper; cheapest first."""
    sign = 1 if better == "higher" else -1
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -sign * p.value)):
        if not kept or sign * point.value > sign * kept[-1].value:
            kept.append(point)
    return kept


def pareto(points: Sequence[Point], figure_name: str, cost_label: str, levels: Sequence[str]) -> Figure:
    """Accuracy against cost of one model's levels, the Pareto front ringed and joined."""
    figure = plots.tradeoff(points, figure_name, cost_label, levels)
    scale = 100 if quantity_of(figure_name).unit == "share" else 1
    best = front(points, quantity_of(figure_name).better)
    with mpl.rc_context(STYLE):
        axes = figure.axes[0]
        costs, values = [p.cost for p in best], [scale * p.value for p in best]
        axes.plot(costs, values, color=INK, linestyle="--", linewidth=1.2, zorder=2)
        axes.scatter(costs, values, s=190, facecolor="none", edgecolor=INK, linewidth=1.2, zorder=4)
        axes.set_title(f"{axes.get_title(loc='left')}; ringed: Pareto front")
    return figure


def sensitivity(rows: Sequence[Sensitivity], title: str) -> Figure:
    """A bar per operator, the most sensitive on top; those that stay in float stand out."""
    rows = list(rows[:SHOWN])[::-1]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 0.32 * len(rows) + 1.4), layout="constrained")
        axes = figure.subplots()
        axes.barh(
            range(len(rows)),
            [row.deviation for row in rows],
            color=[ORANGE if row.kept else BLUE for row in rows],
        )
        axes.set_yticks(range(len(rows)), [_operator(row) for row in rows], fontsize=8, color=GREY)
        axes.set_xlabel("change of the answers (spreads)")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.set_title(f"{title} (orange: kept in float)")
    return figure


def pictures(results: Results, model: str) -> Iterator[tuple[str, Figure]]:
    """Name -> plot: accuracy against cost of a model's levels, and the sensitivity of its operators."""
    levels = list(results.study.levels)
    cost_of: tuple[tuple[str, str, Callable[[Variant], float | None]], ...] = (
        ("size", "model file (kB)", lambda v: v.card.size_bytes / 1e3 if v.card.size_bytes else None),
        ("latency", "median latency, 1 thread (ms)", lambda v: v.latency_ms),
    )
    for figure in results.main_figures(model):
        for name, label, cost in cost_of:
            points = [
                Point(model, variant.level, x, variant.figures[figure])
                for variant in results.running(model)
                if figure in variant.figures and (x := cost(variant)) is not None
            ]
            if points:
                metric = figure.partition(".")[2]
                yield f"{model}_{metric}_{name}", pareto(points, figure, label, levels)
    for variant in results.running(model):
        if variant.card.sensitivity:
            title = f"{model}: sensitivity of its operators"
            yield f"{model}_sensitivity", sensitivity(variant.card.sensitivity, title)


def _searched(variant: Variant) -> list[str]:
    """What a search found: the metrics it had to keep, and the operators."""
    card = variant.card
    if not card.sensitivity:
        return []
    drops = [
        [drop.metric, *(shown(drop.metric, v) for v in (drop.bound, drop.float32, drop.int8, drop.mixed))]
        for drop in card.drops
    ]
    rows = [
        [_operator(row), f"{row.weights:,}", f"{row.deviation:.4f}", "float32" if row.kept else "int8"]
        for row in card.sensitivity[:SHOWN]
    ]
    return [
        MIXED.format(model=card.model, faces=card.tuning_faces),
        Table(["metric", "may lose", "float32", "int8", variant.level], drops).markdown(),
        Table(["operator", "weights", "change", "computed in"], rows).markdown(),
    ]


def _operator(row: Sensitivity) -> str:
    """The operator's type and the last part of the first name that its tensor has."""
    return f"{row.kind} {'/'.join(row.operator.split(';')[0].split('/')[1:-1])}".strip()


def _size(variant: Variant) -> str:
    ratio = variant.card.size_ratio
    return size(variant.card.size_bytes) + (f" ({ratio:.2f}x)" if ratio else "")


def _shares(dtypes: dict[str, int]) -> str:
    """Types of the weights with their share of the values, where it is a percent or more."""
    total = sum(dtypes.values()) or 1
    shown = sorted(((n / total, name) for name, n in dtypes.items() if n >= 0.01 * total), reverse=True)
    return ", ".join(f"{name} {100 * share:.0f}%" for share, name in shown)


def _how(variant: Variant) -> str:
    card = variant.card
    parts = [f"{card.ranges} of {card.calibration_faces} faces"] if card.ranges else []
    if card.rounding == "gptq":
        parts.append(f"weights rounded for {card.calibration_faces} faces")
    parts += ["one scale a tensor"] if card.per_channel is False else []
    if card.sensitivity:
        kept = sum(row.kept for row in card.sensitivity)
        parts.append(f"{kept} of {len(card.sensitivity)} operators in float")
    if card.finetuning:
        parts.append(f"{card.finetuning['epochs']} epochs of fine-tuning")
    return ", ".join(parts)


def _runs(variant: Variant, name: str) -> str:
    runtime = variant.card.runtimes.get(name)
    if runtime is None:
        return MISSING
    return "yes" if runtime.runs else f"no: {runtime.reason}"
