"""`pocketface quantize`: one model, one's own pictures, every level, and which to take; without DVC.

    done = quantize(Path("mine.keras"), Path("labels.csv"), Path("out"))
    done.taken, done.rows

It asks the file for its input and outputs, finds how its pixels were prepared (`finder`), makes every level
from it, audits, measures and times each, and writes a table, a page, and the files with their cards.
"""

import html
import logging
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import yaml
from tqdm import tqdm

from pocketface.bring import finder
from pocketface.bring.faces import SPLIT, add, label_columns, labelled, stanza
from pocketface.bring.finder import Tried
from pocketface.bring.heads import Spoken
from pocketface.cards import MODEL_FILE, VariantCard
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import write_json, written_whole
from pocketface.core.hashing import unit_hash
from pocketface.core.labels import CELEBA_ATTRIBUTES, NUMBERS, main_metric
from pocketface.evaluation.evaluate import evaluate_variant
from pocketface.evaluation.finding import REASONS, Detect, Search, look_at
from pocketface.evaluation.label_csv import PATH
from pocketface.evaluation.predict import files_in
from pocketface.faces.calibrate import Calibration
from pocketface.faces.index import OK
from pocketface.faces.selection import Evaluation, Selection, save
from pocketface.faces.settings import Crop, Input
from pocketface.importing import network, own
from pocketface.importing.network import Network
from pocketface.latency.benchmark import benchmark
from pocketface.levels import LEVELS
from pocketface.levels.convert import convert
from pocketface.levels.export import export
from pocketface.levels.settings import LevelSettings
from pocketface.metrics.measures import measure
from pocketface.training.settings import Model

CALIBRATION = 100
"""Pictures that ranges are measured on; of the labelled ones at most a fifth."""
TRIED_ON = 200
"""Labelled pictures that settings are tried on; a fixed choice."""
RUNS, WARMUP = 20, 3
MARGINS = {"accuracy": 0.01, "mae": 0.5}
"""How much worse than the best a variant may be and still count as equally good: a share, or years."""
RESAMPLES = 1000
SLOW = ("int16x8", "mixed_int8", "qat_int8")
"""Levels that take minutes to make or to measure, and are made if they are named."""
SIZE = 224
"""Side that is shown to a network which takes any, unless it is given."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A level and what came of it.

    Attributes:
        status, reason: `ok`, or `failed` and why.
        metrics: main metric of each head.
        lows: of each, the least that the variant is better than the best one, in 95 of 100 draws of pictures.
        size, milliseconds: of the file, and for one picture with one thread.
        agreement: share of pictures answered as by the model itself.
    """

    level: str
    status: str
    reason: str | None = None
    metrics: Mapping[str, float] | None = None
    lows: Mapping[str, float] | None = None
    size: int | None = None
    milliseconds: float | None = None
    agreement: float | None = None


@dataclass(frozen=True)
class Done:
    """What the wizard found: the rows, which level to take and why, and the stanza of the model."""

    rows: Sequence[Row]
    taken: str | None
    why: str
    stanza: Model


def quantize(
    file: Path,
    labels: Path,
    out: Path,
    calibrate: Path | None = None,
    said: Sequence[Spoken] = (),
    levels: Sequence[str] = (),
    size: int | None = None,
    detect: Detect = "none",
    workers: int = 1,
    say: Say = print,
) -> Done:
    """The whole job.

    Args:
        file: the model, see `pocketface.importing.network`.
        labels: a csv, see `pocketface.evaluation.label_csv`, or a folder with a folder for each class.
        out: the folder to write.
        calibrate: a folder of pictures to measure ranges on; by default a fifth of the labelled ones, which
            are then not measured on.
        said: what is known of its heads.
        levels: which; by default all but the `SLOW` ones.
        size: side of what a network sees that takes any size.
        detect: where the face is, see `pocketface.evaluation.finding.Search`.
        workers: processes that search for faces.
        say: told a line at a time.

    Raises:
        PocketfaceError: the model or the pictures cannot be used, or nothing is known of how they belong
            together.
    """
    wanted = levels or [level for level in LEVELS if level not in SLOW]
    if unknown := [level for level in wanted if level not in LEVELS]:
        raise PocketfaceError(f"no level {unknown[0]!r}; there are {', '.join(LEVELS)}")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    read = network.read(file)
    seen = Input(size=read.shape[0] or size or SIZE, channels=_channels(read.shape[2]), margin=0.2)
    outputs = ", ".join(f"{name} ({width})" for name, width in read.outputs.items())
    say(f"{file.name}: sees {seen.size}x{seen.size}x{seen.channels}, answers {outputs}")
    table, folder = labelled(labels)
    crop = _crop(seen, detect)
    files = [folder / str(path) for path in table[PATH]]
    pixels, kept = _pixels(files, crop, seen, detect, workers)
    columns = label_columns(table)
    truths = table.iloc[kept].reset_index(drop=True)[columns]
    names = [str(path) for path in table[PATH].iloc[kept]]
    order = np.argsort([unit_hash(name, "quantize") for name in names], kind="stable")
    if calibrate is not None:
        others, _ = _pixels(files_in([calibrate])[0], crop, seen, detect, workers)
        measured, calibration = (
            order,
            Calibration(others, [f"{i:06d}" for i in range(len(others))], _none(len(others))),
        )
    else:
        count = max(1, min(CALIBRATION, len(order) // 5))
        taken, measured = order[:count], np.sort(order[count:])
        calibration = Calibration(
            pixels[taken], [names[i] for i in taken], truths.iloc[taken].reset_index(drop=True)
        )
    say(
        f"{labels.name}: {len(table)} pictures, {len(table) - len(kept)} not usable; "
        f"labelled {', '.join(columns)}; calibrated on {len(calibration.images)}, measured on {len(measured)}"
    )
    some = measured[:: max(1, len(measured) // TRIED_ON)]
    tried = finder.find(read, pixels[some], truths.iloc[some].reset_index(drop=True), said)
    for line in told(tried):
        say(line)
    model = Model(
        dataset="pictures",
        file=str(file),
        sha256=network.fingerprint(file),
        input=seen,
        preprocess=tried[0].preprocess,
        heads=list(tried[0].heads),
        own_heads={head: meant.own for head, meant in tried[0].heads.items()},
    )
    faces = Evaluation(pixels[measured], _rows([names[i] for i in measured], truths.iloc[measured]))
    rows = _make(file.stem, read, model, crop, Selection(calibration, faces), out, wanted)
    level, why = take(rows)
    done = Done(rows, level, why, model)
    _write(done, file, labels, tried, out)
    say(f"take {level}: {why}" if level else why)
    say(f"table: {out / 'table.md'}, page: {out / 'index.html'}, files: {out}/LEVEL/{MODEL_FILE}")
    return done


def take(rows: Sequence[Row]) -> tuple[str | None, str]:
    """Which level to take, and why: of those equally good as the best the fastest, then the smallest."""
    made = [row for row in rows if row.metrics and row.lows and row.milliseconds is not None]
    if not made:
        return (
            None,
            f"no level could be made and measured: {rows[0].reason if rows else 'none was asked for'}",
        )
    good = [row for row in made if all(low >= -_margin(metric) for metric, low in (row.lows or {}).items())]
    best = min(good, key=lambda row: (round(row.milliseconds or 0, 2), row.size))
    figures = ", ".join(f"{metric} {value:.4g}" for metric, value in (best.metrics or {}).items())
    margins = " and ".join(f"{_margin(metric):g} {metric}" for metric in best.metrics or {})
    return best.level, (
        f"{figures}, {(best.size or 0) / 1e6:.2f} MB, {best.milliseconds:.2f} ms; "
        f"the fastest of the {len(good)} levels that lose at most {margins} against the best"
    )


def told(tried: Sequence[Tried]) -> list[str]:
    """The settings side by side, which one is taken, how sure that is, and what was assumed of the heads."""
    scores = {setting.name: _score(setting) for setting in tried}
    lines = []
    for order in ("RGB, ", "BGR, ") if any("RGB, " in name for name in scores) else ("",):
        shown = [f"{name} {scores[order + name]}" for name in finder.SCALES if order + name in scores]
        lines.append(f"  {order.replace(', ', ': ')}{'; '.join(shown)}")
    best, next_best = tried[0], tried[1]
    p = finder.surely(tried)
    sure = (
        f"sure, {next_best.name} is worse (p {p:.1g})"
        if p < finder.SURE
        else (f"not sure: {next_best.name} is as good within chance (p {p:.2g}); more labelled pictures tell")
    )
    heads = "; ".join(f"{head} = {meant.own.output}: {meant.assumed}" for head, meant in best.heads.items())
    return [*lines, f"pixels: {best.name} ({sure})", f"heads: {heads}"]


def _score(setting: Tried) -> str:
    return " ".join(
        f"{value:.1f}y" if head in NUMBERS else f"{value:.0%}" for head, value in setting.scores.items()
    )


def _margin(metric: str) -> float:
    return next(margin for name, margin in MARGINS.items() if metric.endswith(name))


def _channels(channels: int) -> Literal[1, 3]:
    return 1 if channels == 1 else 3


def _crop(seen: Input, detect: str) -> Crop:
    if detect == "none":
        return Crop(policy="as_is", size=max(seen.size, 16), channels=seen.channels)
    return Crop(policy="largest", margin=seen.margin, size=seen.size, channels=seen.channels)


def _pixels(
    files: Sequence[Path], crop: Crop, seen: Input, detect: Detect, workers: int
) -> tuple[np.ndarray, list[int]]:
    """What the model sees of the pictures that show a face, uint8 `[N, H, W, C]`, and which these are."""
    pixels, kept, reasons = [], [], []
    for place, looked in enumerate(look_at(files, [(crop, seen)], Search(detect=detect), workers)):
        if looked.reason is None:
            pixels.append(looked.faces[0][0])
            kept.append(place)
        else:
            reasons.append(looked.reason)
    if not pixels:
        common = max(set(reasons), key=reasons.count)
        raise PocketfaceError(f"{files[0]}: none of {len(files)} pictures can be used; {REASONS[common]}")
    return np.stack(pixels), kept


def _none(count: int) -> pd.DataFrame:
    return pd.DataFrame(index=range(count))


def _rows(names: Sequence[str], truths: pd.DataFrame) -> pd.DataFrame:
    """The rows of a face index."""
    return pd.DataFrame(
        {
            "dataset": "pictures",
            "image": list(names),
            "split": "test",
            "status": OK,
            "face": pd.Series(range(len(names)), dtype="Int64"),
            "box": None,
            "source_sha": None,
            "phash": pd.Series([None] * len(names), dtype="UInt64"),
            "same_as": None,
        }
    ).join(truths.reset_index(drop=True))


def _make(
    stem: str, read: Network, model: Model, crop: Crop, faces: Selection, out: Path, levels: Sequence[str]
) -> list[Row]:
    """Makes, measures and times the levels; float32 first, whether or not it is wanted."""
    name = re.sub(r"\W+", "_", stem.lower()).strip("_") or "model"
    name = name if name[0].isalpha() else f"m_{name}"
    answers: dict[str, pd.DataFrame] = {}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        brought, views, exported = (Path(scratch, part) for part in (name, "views", "exported"))
        own.place(name, read, model, crop, brought)
        save(faces, views)
        export(brought, views, exported)
        settings = LevelSettings(calibration=min(CALIBRATION, len(faces.calibration.images)))
        wanted = list(dict.fromkeys(["float32", *levels]))
        for level in tqdm(wanted, desc="levels", disable=None):
            card = convert(exported, views, level, settings, out / level)
            row, answers[level] = _measured(out, card, views)
            rows.append(row)
    return _compared(rows, answers, list(model.heads))


def _measured(out: Path, card: VariantCard, views: Path) -> tuple[Row, pd.DataFrame]:
    found, table = evaluate_variant(out / card.level, views)
    timing = benchmark(out / card.level, out / "float32", [1], RUNS, WARMUP)
    if found["status"] != "ok" or timing["status"] != "ok":
        return Row(card.level, "failed", found["reason"] or timing["reason"]), table
    metrics = measure(table).values
    wanted = [main_metric(head) for head in card.outputs]
    return Row(
        card.level,
        "ok",
        metrics={metric: metrics[metric] for metric in wanted if metric in metrics},
        size=card.size_bytes,
        milliseconds=timing["threads"]["1"]["median_ms"],
        agreement=min((parity.agreement for parity in card.parity.values()), default=None),
    ), table


def _compared(rows: Sequence[Row], answers: Mapping[str, pd.DataFrame], heads: Sequence[str]) -> list[Row]:
    """Adds to every row how far it may lie below the best one, head by head."""
    made = [row.level for row in rows if row.status == "ok"]
    lows: dict[str, dict[str, float]] = {level: {} for level in made}
    for head in heads:
        gains = {level: _gains(answers[level], head) for level in made if f"{head}_pred" in answers[level]}
        if not gains or not len(next(iter(gains.values()))):
            continue
        best = max(gains.values(), key=lambda values: float(values.mean()))
        draws = np.random.default_rng(0).integers(len(best), size=(RESAMPLES, len(best)))
        for level, values in gains.items():
            lows[level][main_metric(head)] = float(np.quantile((values - best)[draws].mean(axis=1), 0.025))
    return [Row(**{**vars(row), "lows": lows[row.level]}) if row.status == "ok" else row for row in rows]


def _gains(table: pd.DataFrame, head: str) -> np.ndarray:
    """Of each labelled picture: 1 if answered right, or less its error in years."""
    known = table[table[head].notna()]
    if head in NUMBERS:
        return -(known[f"{head}_pred"].astype(float) - known[head].astype(float)).abs().to_numpy()
    truth = known[head].map({0: "no", 1: "yes"}) if head in CELEBA_ATTRIBUTES else known[head]
    return (known[f"{head}_pred"] == truth).to_numpy(float)


def _write(done: Done, file: Path, labels: Path, tried: Sequence[Tried], out: Path) -> None:
    metrics = [main_metric(head) for head in done.stanza.heads]
    header = ["level", *metrics, "size, MB", "ms", "as the model", ""]
    cells = [
        [
            row.level,
            *(
                f"{row.metrics[metric]:.4g}" if row.metrics and metric in row.metrics else ""
                for metric in metrics
            ),
            "" if row.size is None else f"{row.size / 1e6:.3f}",
            "" if row.milliseconds is None else f"{row.milliseconds:.2f}",
            "" if row.agreement is None else f"{row.agreement:.1%}",
            "take this" if row.level == done.taken else row.reason or "",
        ]
        for row in done.rows
    ]
    notes = [f"Model: {file.name}. Pictures: {labels.name}.", *told(tried), f"Take {done.taken}: {done.why}."]
    lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in [header, ["---"] * len(header), *cells]]
    markdown = "\n".join([f"# {file.name}", "", *lines, "", *(f"- {note.strip()}" for note in notes), ""])
    body = "".join(
        f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in row)}</tr>"
        for tag, row in [("th", header), *(("td", row) for row in cells)]
    )
    said = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    page = PAGE.format(title=html.escape(file.name), body=body, said=said)
    for name, text in (("table.md", markdown), ("index.html", page)):
        with written_whole(out / name) as partial:
            partial.write_text(text, encoding="utf-8")
    stanza = done.stanza.model_dump(mode="json", exclude_defaults=True)
    write_json(
        out / "results.json",
        {"taken": done.taken, "why": done.why, "model": stanza, "rows": [vars(r) for r in done.rows]},
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}}
table{{border-collapse:collapse}}
th,td{{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ccc}}</style>
<h1>{title}</h1><table>{body}</table>{said}</html>
"""


def write_study(name: str, done: Done, labels: Path, detect: str, root: Path) -> Path:
    """Writes what continues this under `dvc repro`: two datasets, a study file, and a copy of the model.

    The labelled pictures are halved by content: one half to calibrate on, the other is the hold-out.

    Raises:
        PocketfaceError: a name is taken.
    """
    target = root / "studies" / f"{name}.yaml"
    if target.exists():
        raise PocketfaceError(f"{target}: there is a study of that name; give another")
    table, folder = labelled(labels)
    other = table[PATH].map(lambda path: unit_hash(str(path), "holdout") < 0.5)
    for dataset, part, split in ((name, table[~other], None), (f"{name}_test", table[other], "test")):
        add(dataset, part if split is None else part.assign(**{SPLIT: split}), folder, root)
    seen = done.stanza.input
    crop = _crop(seen, detect).model_dump(exclude_unset=True)
    model = done.stanza.model_dump(mode="json", exclude_defaults=True, exclude={"own_heads"})
    model |= {
        "dataset": name,
        "heads": {
            head: own.model_dump(mode="json", exclude_defaults=True)
            for head, own in done.stanza.own_heads.items()
        },
    }
    study = {
        "study": name,
        "seed": 1,
        "threads": 2,
        "datasets": {name: stanza(crop), f"{name}_test": stanza(crop)},
        "holdout": f"{name}_test",
        "models": {},
        "fetched": {name: model},
        "levels": {
            row.level: {"calibration": CALIBRATION} if LEVELS[row.level].calibrated else {}
            for row in done.rows
        },
        "benchmark": {"runs": RUNS, "warmup": WARMUP},
        "margins": {"years": 0.1, "share": 0.005},
        "champion": {},
        "cross_validate": {},
        "mix": [],
        "micro": [],
    }
    with written_whole(target) as partial:
        partial.write_text(yaml.safe_dump(study, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return target
