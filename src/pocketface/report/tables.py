"""The tables of a study's report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pocketface.cards import ModelCard
from pocketface.choosing.rule import Pick
from pocketface.core.labels import AGE_BANDS
from pocketface.faces.index import BY_DESCRIPTOR, CONTRADICTORY, DUPLICATE, MEASURED_TOO
from pocketface.levels import LEVELS
from pocketface.metrics.groups import CROSSED
from pocketface.metrics.naming import MISSING, SAME, change, label_of, short, shown, size, spread
from pocketface.report.cells import Cell, Row, Table
from pocketface.report.outs import Results, Variant, reject_counts
from pocketface.results.table import FACES, FLOAT32, GAP, LATENCY_RATIO
from pocketface.results.table import Row as Result

BUILT = ("input", "parameters", "multiply-adds")
"""See `built`."""
CONSTANT = "constant baseline"

Picks = Mapping[str, Pick]


def take(results: Results, picks: Picks) -> Table:
    """One row a model and main metric: the level to take, its metric beside float32's, and its costs."""
    rows: list[Row] = []
    one_dataset = len({n.partition(".")[0] for model in picks for n in results.table.mains(model)}) == 1
    for model, pick in picks.items():
        running, lead = results.running(model), [Cell(model, href=f"#{model}")]
        taken = next((variant for variant in running if variant.level == pick.level), None)
        if taken is None:
            rows += [[*lead, pick.why, *[""] * 8]] if running else []
            continue
        reference = _float32(running)
        lead, costs = [*lead, Cell(taken.level, tone="take")], [_size(taken, reference), _latency(taken)]
        for name in results.table.mains(model):
            row = taken.row(name)
            rows.append(
                [
                    *lead,
                    label_of(name) if one_dataset else f"{label_of(name)}, {name.partition('.')[0]}",
                    shown(name, reference.value(name) if reference else None),
                    Cell(shown(name, row.value), row.value) if row else MISSING,
                    _verdict(row),
                    shown(name, row.constant if row else None),
                    *costs,
                    str(row.n if row else ""),
                ]
            )
            lead = costs = [Cell(""), Cell("")]  # once a model
    header = ["model", "take", "metric", FLOAT32, "taken", "verdict", CONSTANT, "size", "time", "faces"]
    return Table(header, rows, text_columns=3)


def levels(results: Results, model: str, pick: Pick | None = None, dataset: str | None = None) -> Table:
    """One row per level: size, time and main metrics, with their changes against float32.

    A file that is the same as an earlier one's is measured once and says so; a level that failed says why.
    The last row is what the best constant answer reaches. `pick` marks the level to take; of another
    `dataset` than the model's own, the same metrics.
    """
    names = results.table.mains(model)
    if dataset is not None:
        wanted = {name.partition(".")[2] for name in names} | {"age_group_accuracy", "age_band_accuracy"}
        names = [name for name in metrics_on(results, model, dataset) if name.partition(".")[2] in wanted]
    return of_levels(results.of(model), names, pick)


def of_levels(variants: Sequence[Variant], names: Sequence[str], pick: Pick | None = None) -> Table:
    """The same of one model's variants, with some `DATASET.METRIC`."""
    running = [variant for variant in variants if not variant.reason]
    rows: list[Row] = []
    for variant in variants:
        level = Cell(variant.level, tone="take" if pick and variant.level == pick.level else "")
        if variant.reason or variant.twin:
            told = short(variant.reason) if variant.reason else f"same file as {variant.twin}"
            rows.append([level, told, *[""] * (len(names) + 1)])
            continue
        costs = [_size(variant, _float32(running)), _latency(variant)]
        rows.append([level, *costs, *(_value(variant.row(name), changed=True) for name in names)])
    if running and names:
        constant = {name: row.constant if (row := running[0].row(name)) else None for name in names}
        rows.append([CONSTANT, "", "", *(shown(name, value) for name, value in constant.items())])
    return Table(["level", "size", "time", *map(label_of, names)], rows if names else [])


def every_metric(results: Results, model: str, dataset: str) -> Table:
    """One row per level that runs, equal files once; one column per metric that is not a main one;
    calibration errors with their interval.
    """
    main = results.table.mains(model)
    names = [name for name in metrics_on(results, model, dataset) if name not in main]
    rows: list[Row] = [
        [v.level, *(_value(v.row(name), changed=True, interval=name.endswith("_ece")) for name in names)]
        for v in results.distinct(model)
    ]
    return Table(["level", *map(label_of, names)], rows if names else [])


def certainty(results: Results, model: str) -> Table:
    """Main metric by level: value and change with their 95% intervals, p, and verdict."""
    rows: list[Row] = []
    for name in results.table.mains(model):
        for variant in results.distinct(model):
            row = variant.row(name)
            if row is None or row.low is None or row.high is None:
                continue
            told = [label_of(name), variant.level, shown(name, row.value), spread(name, row.low, row.high)]
            moved: list[Cell | str] = [""] * 5
            if row.change is not None and row.change_low is not None and row.change_high is not None:
                moved = [
                    Cell(change(name, row.change, 0.0), row.change),
                    spread(name, row.change_low, row.change_high, signed=True),
                    "" if row.p is None else f"{row.p:.3f}",
                    "" if row.detectable is None else shown(name, row.detectable),
                    Cell(row.verdict or "", tone=row.verdict or ""),
                ]
            rows.append([*told, *moved])
    header = ["metric", "level", "value", "95% interval", "change"]
    header += ["its 95% interval", "p", "could show", "verdict"]
    return Table(header, rows, text_columns=2)


def metrics_on(results: Results, model: str, dataset: str) -> list[str]:
    """The metrics that a model has on a dataset, the main ones first, then by name."""
    rows = [row for variant in results.running(model) for row in variant.rows() if row.dataset == dataset]
    names = {row.name for row in rows if row.metric != FACES}
    main = results.table.mains(model)
    return sorted(names, key=lambda name: (name not in main, name))


def grouped(results: Results, model: str) -> dict[str, list[str]]:
    """The metrics that are shown per group, the main ones and of ages the signed error -> the groupings in
    which at least two groups have the metric.
    """
    main, first = results.table.mains(model), results.running(model)[0]
    shown = [*main, *(f"{name.removesuffix('mae')}bias" for name in main if name.endswith(".age_mae"))]
    found: dict[str, dict[str, None]] = {name: {} for name in shown}
    for row in results.table.of(model, first.level):
        if row.grouping and row.name in found and len(first.groups(row.name, row.grouping)) >= 2:
            found[row.name][row.grouping] = None
    return {name: list(groupings) for name, groupings in found.items() if groupings}


def groups(results: Results, model: str, name: str, grouping: str, pick: Pick) -> Table:
    """A metric per group with its interval, of float32 and of the level to take, and the gap between the best
    and the worst group; groups by two labels as a matrix, of the level to take.
    """
    variants = shown_variants(results, model, pick)
    found = [variant.groups(name, grouping) for variant in variants]
    if not found or len(found[0]) < 2:
        return Table([], [])
    label, rows = grouping.replace("_", " "), list[Row]()
    if CROSSED in grouping:
        pairs, of = [group.rpartition(", ")[::2] for group in found[0]], found[-1]
        columns = list(dict.fromkeys(column for column, _ in pairs))
        for band in sorted({band for _, band in pairs}, key=AGE_BANDS.index):
            rows.append([band, *(_value(of.get(f"{one}, {band}"), counted=True) for one in columns)])
        return Table([f"{label}, {variants[-1].level}", *columns], rows)
    for group, first in found[0].items():
        rows.append([group, str(first.n), *(_value(one.get(group), interval=True) for one in found)])
    gaps = [_value(variant.row(name, grouping, GAP), interval=True) for variant in variants]
    if any(gap.text != MISSING for gap in gaps):
        told = [Cell("gap, best to worst"), Cell(""), *gaps]
        rows.append([replace(cell, tone="total") for cell in told])
    return Table([label, "faces", *(variant.level for variant in variants)], rows)


def shown_variants(results: Results, model: str, pick: Pick) -> list[Variant]:
    """float32 and the level to take, as far as they run."""
    return [variant for variant in results.running(model) if variant.level in (FLOAT32, pick.level)]


def latencies(results: Results) -> Table:
    """Every thread setting, equal files once; empty when nothing was timed."""
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


def files(results: Results, model: str) -> Table:
    """A row per level that runs: its file, hash and size."""
    rows: list[Row] = [
        [
            v.level,
            f"variants/{model}/{v.level}/model.tflite",
            v.card.sha256 or "",
            Cell(size(v.card.size_bytes), v.card.size_bytes),
        ]
        for v in results.running(model)
    ]
    return Table(["level", "file", "sha256", "size"], rows, text_columns=3)


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


def _float32(running: Sequence[Variant]) -> Variant | None:
    return next((variant for variant in running if variant.level == FLOAT32), None)


def _value(row: Result | None, changed: bool = False, counted: bool = False, interval: bool = False) -> Cell:
    """A value, behind it as asked for the change against float32, the number of faces, and the interval."""
    if row is None or row.value is None:
        return Cell(MISSING)
    text = shown(row.name, row.value)
    if changed and row.change is not None:
        text += f" ({change(row.name, row.change, 0.0)})"
    if counted:
        text += f" ({row.n})"
    if interval and row.low is not None and row.high is not None:
        text += f" [{spread(row.name, row.low, row.high)}]"
    return Cell(text, row.value, row.verdict or "")


def _verdict(row: Result | None) -> Cell:
    if row is None or row.change is None:
        return Cell(MISSING)
    words = [row.verdict or "", change(row.name, row.change, 0.0)]
    if row.could_show:
        words.append(f"could show {shown(row.name, row.could_show)}")
    return Cell(", ".join(word for word in words if word != SAME), row.change, row.verdict or "")


def _size(variant: Variant, reference: Variant | None) -> Cell:
    own, other = variant.card.size_bytes, reference.card.size_bytes if reference else None
    if variant is reference or own is None or other is None:
        return Cell(size(own), own)
    return Cell(f"{size(own)} ({own / other:.2f}x)", own)


def _latency(variant: Variant) -> Cell:
    if variant.latency_ms is None:
        return Cell(MISSING)
    ratio, text = variant.value(LATENCY_RATIO), f"{variant.latency_ms:.2f} ms"
    if ratio is not None and variant.level != FLOAT32:
        text += f" ({ratio:.2f}x)"
    return Cell(text, variant.latency_ms)


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
