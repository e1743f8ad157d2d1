"""The tables of a study's report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pocketface.cards import ModelCard
from pocketface.choosing.rule import Pick
from pocketface.core.labels import AGE_BANDS
from pocketface.faces.index import BY_DESCRIPTOR, CONTRADICTORY, DUPLICATE, MEASURED_TOO
from pocketface.levels import LEVELS
from pocketface.metrics.groups import CROSSED, GROUPINGS
from pocketface.metrics.naming import MISSING, SAME, change, label_of, short, shown, size, spread
from pocketface.report.cells import Cell, Row, Table
from pocketface.report.outs import Results, Variant, reject_counts
from pocketface.results.table import FLOAT32, GAP, LATENCY_RATIO, STANDARDISED
from pocketface.results.table import Row as Result

BUILT = ("input", "parameters", "multiply-adds")
"""See `built`."""
CONSTANT = "constant baseline"

Picks = Mapping[str, Pick]


def take(results: Results, picks: Picks) -> Table:
    """One row a model and main metric: the level to take, float32 and that level, verdict, constant
    baseline, costs.
    """
    rows: list[Row] = []
    one_dataset = len({n.partition(".")[0] for model in picks for n in results.main_metrics(model)}) == 1
    for model, pick in picks.items():
        reference = results.float32(model)
        taken = next((v for v in results.of(model) if pick.take and v.level == pick.take.level), None)
        if taken is None:
            if results.running(model):
                rows.append([Cell(model, href=f"#{model}"), pick.why, *[""] * 8])
            continue
        for i, name in enumerate(results.main_metrics(model)):
            own, row = reference.value(name) if reference else None, taken.row(name)
            value = Cell(shown(name, row.value), row.value) if row else MISSING
            costs = [_size(taken, reference), _latency(taken)] if i == 0 else ["", ""]
            rows.append(
                [
                    Cell(model, href=f"#{model}") if i == 0 else "",
                    Cell(taken.level, tone="take") if i == 0 else "",
                    label_of(name) if one_dataset else f"{label_of(name)}, {name.partition('.')[0]}",
                    shown(name, own),
                    value,
                    _verdict(row),
                    shown(name, row.constant if row else None),
                    *costs,
                    str(row.n if row else ""),
                ]
            )
    header = ["model", "take", "metric", FLOAT32, "taken", "verdict", CONSTANT, "size", "time", "faces"]
    return Table(header, rows, text_columns=3)


def levels(results: Results, model: str, pick: Pick | None = None, dataset: str | None = None) -> Table:
    """One row per level: size, time and main metrics, with their changes against float32.

    A file that is the same as an earlier one's is measured once and says so; a level that failed says why.
    The last row is what the best constant answer reaches. `pick` marks the level to take; of another
    `dataset` than the model's own, the same metrics.
    """
    names = results.main_metrics(model)
    if dataset is not None:
        wanted = {name.partition(".")[2] for name in names} | {"age_group_accuracy", "age_band_accuracy"}
        names = [name for name in metrics_on(results, model, dataset) if name.partition(".")[2] in wanted]
    return of_levels(results.of(model), names, pick)


def of_levels(variants: Sequence[Variant], names: Sequence[str], pick: Pick | None = None) -> Table:
    """The same of one model's variants, with some `DATASET.METRIC`."""
    running = [variant for variant in variants if not variant.reason]
    reference = next((variant for variant in running if variant.level == FLOAT32), None)
    rows = list[Row]()
    for variant in variants:
        taken = pick is not None and pick.take is not None and variant.level == pick.take.level
        level = Cell(variant.level, tone="take" if taken else "")
        if variant.reason:
            rows.append([level, short(variant.reason), *[""] * (len(names) + 1)])
            continue
        if variant.twin:
            rows.append([level, f"same file as {variant.twin}", *[""] * (len(names) + 1)])
            continue
        costs = [_size(variant, reference), _latency(variant)]
        rows.append([level, *costs, *(_with_change(variant.row(name)) for name in names)])
    if running and names:
        constant = {name: row.constant if (row := running[0].row(name)) else None for name in names}
        rows.append([CONSTANT, "", "", *(shown(name, value) for name, value in constant.items())])
    return Table(["level", "size", "time", *map(label_of, names)], rows if names else [])


def every_metric(results: Results, model: str, dataset: str) -> Table:
    """One row per level that runs, equal files once; one column per metric that is not a main one;
    calibration errors with their interval.
    """
    main = results.main_metrics(model)
    names = [name for name in metrics_on(results, model, dataset) if name not in main]
    rows: list[Row] = [
        [variant.level, *(_measured(variant.row(name)) for name in names)]
        for variant in results.distinct(model)
    ]
    return Table(["level", *map(label_of, names)], rows if names else [])


def certainty(results: Results, model: str) -> Table:
    """Main metric by level: value and change with their 95% intervals, p, the smallest change to be seen,
    verdict.
    """
    rows: list[Row] = []
    for name in results.main_metrics(model):
        for variant in results.distinct(model):
            row = variant.row(name)
            if row is None or row.low is None or row.high is None:
                continue
            told: list[Cell | str] = [
                label_of(name),
                variant.level,
                shown(name, row.value),
                spread(name, row.low, row.high),
            ]
            if row.change is None or row.change_low is None or row.change_high is None:
                rows.append([*told, "", "", "", "", ""])
                continue
            moved = spread(name, row.change_low, row.change_high, signed=True)
            told += [Cell(change(name, row.change, 0.0), row.change), moved]
            told += [
                "" if row.p is None else f"{row.p:.3f}",
                _detectable(row),
                Cell(row.verdict or "", tone=row.verdict or ""),
            ]
            rows.append(told)
    header = [
        "metric",
        "level",
        "value",
        "95% interval",
        "change",
        "its 95% interval",
        "p",
        "could show",
        "verdict",
    ]
    return Table(header, rows, text_columns=2)


def metrics_on(results: Results, model: str, dataset: str) -> list[str]:
    """The metrics that a model has on a dataset, the main ones first, then by name."""
    names = {name for v in results.running(model) for name in v.metrics if name.startswith(f"{dataset}.")}
    main = results.main_metrics(model)
    return sorted(names, key=lambda name: (name not in main, name))


def grouped(results: Results, model: str) -> list[str]:
    """The metrics that are shown per group: the main ones, and of ages the signed error."""
    main = results.main_metrics(model)
    return [*main, *(f"{name.removesuffix('mae')}bias" for name in main if name.endswith(".age_mae"))]


def groups(results: Results, model: str, name: str, grouping: str, pick: Pick) -> Table:
    """A metric per group with its interval, of float32 and of the level to take, and the gap between the best
    and the worst group; groups by two labels as a matrix, of the level to take.
    """
    variants = shown_variants(results, model, pick)
    members = group_names(results, model, name, grouping)
    if len(members) < 2 or not variants:
        return Table([], [])
    label, rows = grouping.replace("_", " "), list[Row]()
    if CROSSED in grouping:
        pairs, of = [member.split(", ") for member in members], variants[-1]
        columns = list(dict.fromkeys(column for column, _ in pairs))
        for band in sorted({band for _, band in pairs}, key=AGE_BANDS.index):
            rows.append([band, *(_counted(of.row(name, grouping, f"{one}, {band}")) for one in columns)])
        return Table([f"{label}, {of.level}", *columns], rows)
    for group in members:
        found = [variant.row(name, grouping, group) for variant in variants]
        first = next(row for row in found if row)
        rows.append([group, str(first.n), *(_of_group(row) for row in found)])
    gaps = [_of_group(variant.row(name, grouping, GAP)) for variant in variants]
    if any(gap.text != MISSING for gap in gaps):
        told = [Cell("gap, best to worst"), Cell(""), *gaps]
        rows.append([replace(cell, tone="total") for cell in told])
    return Table([label, "faces", *(variant.level for variant in variants)], rows)


def shown_variants(results: Results, model: str, pick: Pick) -> list[Variant]:
    """float32 and the level to take, as far as they run."""
    wanted = (FLOAT32, pick.take.level if pick.take else "")
    return [variant for variant in results.running(model) if variant.level in wanted]


def groupings(results: Results, model: str, name: str) -> list[str]:
    """The groupings of a metric's dataset in which at least two groups have it."""
    dataset, _, metric = name.partition(".")
    rows = [row for variant in results.running(model)[:1] for row in results.table.of(model, variant.level)]
    found = dict.fromkeys(
        r.grouping for r in rows if r.dataset == dataset and r.metric == metric and r.value is not None
    )
    return [
        grouping for grouping in found if grouping and len(group_names(results, model, name, grouping)) >= 2
    ]


def group_names(results: Results, model: str, name: str, grouping: str) -> list[str]:
    """The groups that have a metric, in the grouping's own order."""
    running = results.running(model)
    rows = running[0].rows(name.partition(".")[2], grouping) if running else []
    dataset = name.partition(".")[0]
    present = [r.group for r in rows if r.dataset == dataset and r.value is not None and r.group != GAP]
    order = list(GROUPINGS.get(grouping.removesuffix(STANDARDISED), ()))
    return sorted(present, key=lambda group: (order.index(group) if group in order else len(order), group))


def latencies(results: Results) -> Table:
    """Minimum, median and 95th percentile for every thread setting, equal files once; empty when nothing was
    timed.
    """
    rows: list[Row] = [
        [variant.model, variant.level, threads, f"{ms.min_ms:.2f}", f"{ms.median_ms:.2f}", f"{ms.p95_ms:.2f}"]
        for variant in results.distinct()
        if variant.timing
        for threads, ms in variant.timing.threads.items()
    ]
    header = ["model", "level", "threads", "min (ms)", "median (ms)", "p95 (ms)"]
    return Table(header, rows, text_columns=2)


def needs(results: Results, model: str) -> Table:
    """A row per level: what it is, what its file holds, how it was made, where it runs."""
    running = results.running(model)
    runtimes = list(dict.fromkeys(name for v in running for name in v.card.runtimes))
    header = ["level", "what it is", "weights", "in, out", "made with", "as float32 (%)", "oldest runtime"]
    rows: list[Row] = []
    for variant in running:
        card, level = variant.card, LEVELS[variant.level]
        agreement = min((parity.agreement for parity in card.parity.values()), default=None)
        rows.append(
            [
                variant.level,
                level.summary,
                _weights(card.weight_dtypes),
                f"{level.input}, {level.output}".lower(),
                _how(variant),
                MISSING if agreement is None else f"{100 * agreement:.1f}",
                card.min_runtime or MISSING,
                *(_runs(variant, name) for name in runtimes),
            ]
        )
    return Table([*header, *runtimes], rows, text_columns=5)


def faces(results: Results) -> Table:
    """Pictures per dataset and split: how many became a face, and why the others did not."""
    rows: list[Row] = []
    for dataset, index in results.faces.items():
        counts = reject_counts(index)
        for split, row in counts.iterrows():
            total = int(row.sum())
            rejected = ", ".join(f"{name} {n}" for name, n in row.iloc[1:].items() if n)
            share = f"{100 * row.iloc[0] / total:.1f}" if total else MISSING
            rows.append([dataset, str(split), rejected or "none", str(total), str(row.iloc[0]), share])
    header = ["dataset", "split", "rejected, and why", "pictures", "faces", "faces (%)"]
    return Table(header, rows, text_columns=3)


def copies(results: Results) -> str:
    """What became of pictures that a dataset holds more than once, in sentences; empty if there are none."""
    said = []
    for dataset, index in results.faces.items():
        of = index.groupby("status")["same_as"]
        pictures, files = of.nunique(), of.size()
        if MEASURED_TOO in pictures:
            said.append(
                f"{dataset}: {pictures[MEASURED_TOO]} of the measured pictures were also in its other splits "
                f"({files[MEASURED_TOO]} files); these are left out of training."
            )
        if DUPLICATE in files:
            said.append(f"{dataset}: {files[DUPLICATE]} files are copies of a picture in the same split.")
        if CONTRADICTORY in files:
            said.append(
                f"{dataset}: {files[CONTRADICTORY]} files show {pictures[CONTRADICTORY]} pictures that have "
                f"contradictory labels; `datasets.{dataset}.contradictory: true` would use them."
            )
    return " ".join(said)


def persons(results: Results) -> str:
    """Of which datasets it is known who is on a face, in sentences."""
    found = results.faces.items()
    known = {name: index["identity"].dropna() for name, index in found if "identity" in index}
    ways = {
        name: f"{name} (by dlib's face descriptor)" if who.iloc[0].startswith(BY_DESCRIPTOR) else name
        for name, who in known.items()
        if len(who)
    }
    unknown = [name for name, _ in found if name not in ways]
    said = []
    if ways:
        said.append(f"Persons are known of {', '.join(ways.values())}: intervals and tests go by person.")
    if unknown:
        said.append(f"Persons are unknown of {', '.join(unknown)}: each face counts as another one.")
    return " ".join(said)


def models(results: Results) -> Table:
    """What each model is, from its card."""
    rows: list[Row] = []
    for name in results.study.models:
        card = results.of(name)[0].card
        rows.append([name, card.architecture, ", ".join(card.outputs), card.dataset, *built(card)])
    return Table(["model", "architecture", "answers", "trained on", *BUILT], rows, text_columns=4)


def built(card: ModelCard) -> list[Cell]:
    """What a model sees, and how large it is: the columns `BUILT`."""
    window = f"{card.input.size}x{card.input.size}x{card.input.channels}"
    parameters, macs = f"{card.parameters:,}", f"{card.macs / 1e6:.1f} M"
    return [Cell(window), Cell(parameters, card.parameters), Cell(macs, card.macs)]


def licences(results: Results) -> Table:
    """The terms of every dataset, which travel with the weights trained on it, and of fetched weights."""
    rows: list[Row] = []
    trained_here = [model for model in results.study.models if model not in results.study.fetched]
    for name, source in results.sources.items():
        trained = [model for model in trained_here if name in results.study.trained_on(model)]
        title = Cell(source.title, href=source.home or None)
        rows.append([name, title, ", ".join(trained) or "only measured on", source.licence])
    for model in results.study.fetched:
        card = results.of(model)[0].card
        rows.append([card.dataset, f"the fetched weights of {model}", model, card.licence])
    return Table(["dataset", "source", "models trained on it", "licence and terms"], rows, text_columns=4)


def _with_change(row: Result | None) -> Cell:
    """A value, and behind it in brackets the change against float32."""
    if row is None or row.value is None:
        return Cell(MISSING)
    text = shown(row.name, row.value)
    if row.change is None:
        return Cell(text, row.value)
    return Cell(f"{text} ({change(row.name, row.change, 0.0)})", row.value, row.verdict or "")


def _measured(row: Result | None) -> Cell:
    """The same; of a calibration error with its interval."""
    cell = _with_change(row)
    if row is None or row.low is None or row.high is None or not row.metric.endswith("_ece"):
        return cell
    return replace(cell, text=f"{cell.text} [{spread(row.name, row.low, row.high)}]")


def _verdict(row: Result | None) -> Cell:
    if row is None or row.change is None:
        return Cell(MISSING)
    words = [row.verdict or "", change(row.name, row.change, 0.0)]
    if row.could_show:
        words.append(f"could show {_detectable(row)}")
    return Cell(", ".join(word for word in words if word != SAME), row.change, row.verdict or "")


def _detectable(row: Result) -> str:
    return "" if row.detectable is None else shown(row.name, row.detectable)


def _of_group(row: Result | None) -> Cell:
    if row is None or row.value is None:
        return Cell(MISSING)
    text = shown(row.name, row.value)
    if row.low is not None and row.high is not None:
        text += f" [{spread(row.name, row.low, row.high)}]"
    return Cell(text, row.value, row.verdict or "")


def _counted(row: Result | None) -> Cell:
    """A value, and behind it in brackets the number of faces."""
    if row is None or row.value is None:
        return Cell(MISSING)
    return Cell(f"{shown(row.name, row.value)} ({row.n})", row.value, row.verdict or "")


def _size(variant: Variant, reference: Variant | None) -> Cell:
    own, other = variant.card.size_bytes, reference.card.size_bytes if reference else None
    if variant is reference or own is None or other is None:
        return Cell(size(own), own)
    return Cell(f"{size(own)} ({own / other:.2f}x)", own)


def _latency(variant: Variant) -> Cell:
    if variant.latency_ms is None:
        return Cell(MISSING)
    ratio, text = variant.value(LATENCY_RATIO), f"{variant.latency_ms:.2f} ms"
    return Cell(
        text if ratio is None or variant.level == FLOAT32 else f"{text} ({ratio:.2f}x)", variant.latency_ms
    )


def _weights(dtypes: Mapping[str, int]) -> str:
    """Types of the weights with their share of the values, where it is a percent or more."""
    total = sum(dtypes.values()) or 1
    found = sorted(((n / total, name) for name, n in dtypes.items() if n >= 0.01 * total), reverse=True)
    return ", ".join(f"{name.lower()} {100 * share:.0f}%" for share, name in found)


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
    memory = f", {runtime.arena_bytes / 1e3:.0f} kB" if runtime.arena_bytes else ""
    return f"yes{memory}" if runtime.runs else f"no: {short(runtime.reason or '')}"


def unavailable(results: Results) -> str:
    """Models none of whose levels runs, with their reasons, in a line; empty if there are none."""
    missing = [model for model in results.study.models if not results.running(model)]
    why = {model: short(results.of(model)[0].reason or "").removeprefix("unavailable: ") for model in missing}
    return "; ".join(f"{model} ({reason})" for model, reason in why.items())
