"""`pocketface quantize`: one model, one's own pictures, every level, and which to take; without DVC.

done = quantize(Path("mine.keras"), Path("labels.csv"), Path("out"))
done.pick.take.level, done.variants
"""

import html
import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from pydantic import ValidationError
from tqdm import tqdm

from pocketface.bring import finder
from pocketface.bring.faces import PERSON, SPLIT, add, check_name, label_columns, labelled, stanza
from pocketface.bring.finder import Tried
from pocketface.bring.heads import Spoken
from pocketface.cards import MODEL_FILE, VariantCard
from pocketface.choosing.answer import latency_of
from pocketface.choosing.rule import Pick, pick
from pocketface.choosing.settings import Champion
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import write_json, write_text
from pocketface.core.hashing import unit_hash
from pocketface.core.labels import NUMBERS
from pocketface.core.params import explained
from pocketface.evaluation.evaluate import evaluate_variants
from pocketface.evaluation.face_search import REASONS, Detect, Search, each, look
from pocketface.evaluation.label_csv import PATH
from pocketface.evaluation.predict import files_in
from pocketface.faces.calibrate import Calibration as Pictures
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
from pocketface.metrics.naming import label_of, shown, size
from pocketface.metrics.settings import Margins
from pocketface.report.outs import Timing, Variant
from pocketface.report.tables import of_levels
from pocketface.report.text import GLOSSARY, VERDICTS
from pocketface.results.measure import Answered, measured
from pocketface.results.table import Table, latencies
from pocketface.training.settings import Model

CALIBRATION = 100
"""Pictures that ranges are measured on; of the labelled ones at most a fifth."""
TRIED_ON = 200
"""Labelled pictures that settings are tried on; a fixed choice."""
RUNS, WARMUP = 20, 3
NO_LIMITS = Champion(max_size_mb=None, max_latency_ms=None)
PICTURES = "pictures"
SLOW = ("int16x8", "mixed_int8", "qat_int8")
"""Levels that take minutes to make or to measure: made last, when there is a first table."""
Say = Callable[[str], None]
Look = Callable[[Sequence[Path]], tuple[np.ndarray, list[int]]]
"""From files to what the model sees of those that show a face, and which these are."""


@dataclass(frozen=True)
class Done:
    """What the wizard found: the variants with their results, which to take, and the stanza of the model."""

    variants: Sequence[Variant]
    pick: Pick
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
    """The whole job. There is a table as soon as the fast levels are measured; the slow ones complete it.

    Args:
        file: the model, see `pocketface.importing.network`.
        labels: a csv, see `pocketface.evaluation.label_csv`, or a folder with a folder for each class.
        out: the folder to write.
        calibrate: a folder of pictures to measure ranges on; by default a fifth of the labelled ones, which
            are then not measured on.
        said: what is known of its heads.
        levels: which; by default all.
        size: side of what a network sees that takes any size.
        detect: where the face is, see `pocketface.evaluation.face_search.Search`.
        workers: threads that search for faces.
        say: told a line at a time.

    Raises:
        PocketfaceError: the model or the pictures cannot be used, or nothing is known of how they belong
            together.
    """
    wanted = sorted(dict.fromkeys(["float32", *(levels or LEVELS)]), key=SLOW.__contains__)
    if wrong := [level for level in wanted if level not in LEVELS]:
        raise PocketfaceError(f"no level {wrong[0]!r}; there are {', '.join(LEVELS)}")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    side = size or network.SIDE
    read = network.read(file, side)
    height, _, channels = read.shape
    seen = Input.model_validate({"size": height or side, "channels": channels, "margin": 0.2})
    outputs = ", ".join(f"{name} ({width})" for name, width in read.outputs.items())
    say(f"{file.name}: sees {seen.size}x{seen.size}x{seen.channels}, answers {outputs}")
    crop = _crop(seen, detect)
    look = partial(_pixels, crop=crop, seen=seen, detect=detect, workers=workers)
    given, count = _given(labels, look)
    unlabelled = None if calibrate is None else look(files_in([calibrate])[0])[0]
    calibration, faces = _divided(given, unlabelled)
    say(
        f"{labels.name}: {count} pictures, {count - len(given.images)} not usable; "
        f"labelled {', '.join(map(str, given.labels))}; "
        f"calibrated on {len(calibration.images)}, measured on {len(faces.images)}"
    )
    if not faces.images:
        raise PocketfaceError(
            f"{labels}: one usable picture is too few: some to calibrate on, some to measure on"
        )
    some = _only(faces, np.arange(0, len(faces.images), max(1, len(faces.images) // TRIED_ON)))
    tried = finder.find(read, some.pixels, some.labels, said)
    for line in told(tried):
        say(line)
    try:
        model = Model(
            dataset=PICTURES,
            file=str(file),
            sha256=network.fingerprint(file),
            input=seen,
            preprocess=tried[0].preprocess,
            heads=list(tried[0].heads),
            own_heads={head: meant.own for head, meant in tried[0].heads.items()},
        )
    except ValidationError as error:
        raise PocketfaceError(f"--head: {explained(error)}") from None
    chosen = Selection(calibration, Evaluation(faces.pixels, _rows(faces)))
    for variants in _make(file.stem, read, model, crop, chosen, out, wanted):
        done = Done(variants, pick(variants[0].table, variants[0].model, NO_LIMITS), model)
        _write(done, file, labels, tried, out)
        if missing := wanted[len(variants) :]:
            say(f"first table: {out / 'table.md'}; minutes more for {', '.join(missing)} (Ctrl-C keeps it)")
    say(advice(done.pick))
    say(f"table: {out / 'table.md'}, page: {out / 'index.html'}, files: {out}/LEVEL/{MODEL_FILE}")
    return done


def _given(labels: Path, look: Look) -> tuple[Pictures, int]:
    """The labelled pictures that can be used, and how many there are."""
    table, folder = labelled(labels)
    pixels, kept = look([folder / str(path) for path in table[PATH]])
    usable = table.iloc[kept].reset_index(drop=True)
    return Pictures(pixels, [str(path) for path in usable[PATH]], usable[label_columns(table)]), len(table)


def _only(given: Pictures, places: np.ndarray) -> Pictures:
    labels = given.labels.iloc[places].reset_index(drop=True)
    return Pictures(given.pixels[places], [given.images[place] for place in places], labels)


def _divided(given: Pictures, unlabelled: np.ndarray | None) -> tuple[Pictures, Pictures]:
    """What ranges are measured on, and what accuracy is: a fixed choice, or all where others are given."""
    order = np.argsort([unit_hash(name, "quantize") for name in given.images], kind="stable")
    if unlabelled is not None:
        names = [f"{i:06d}" for i in range(len(unlabelled))]
        unknown = given.labels.iloc[:0].reindex(range(len(unlabelled)))
        return Pictures(unlabelled, names, unknown), _only(given, order)
    count = max(1, min(CALIBRATION, len(order) // 5))
    return _only(given, order[:count]), _only(given, np.sort(order[count:]))


def advice(picked: Pick) -> str:
    """Which level to take, and why."""
    take = picked.take
    if take is None:
        return f"no level can be taken: {picked.candidates[0].excluded}"
    metrics = ", ".join(f"{label_of(row.name)} {shown(row.name, row.value)}" for row in take.mains)
    return f"take {take.level}: {metrics}, {size(take.size_bytes)}, {latency_of(take)}; {picked.why}"


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


def _crop(seen: Input, detect: str) -> Crop:
    if detect == "none":
        return Crop(policy="as_is", size=max(seen.size, 16), channels=seen.channels)
    return Crop(policy="largest", margin=seen.margin, size=seen.size, channels=seen.channels)


def _pixels(
    files: Sequence[Path], crop: Crop, seen: Input, detect: Detect, workers: int
) -> tuple[np.ndarray, list[int]]:
    """What the model sees of the pictures that show a face, uint8 `[N, H, W, C]`, and which these are."""
    pixels, kept, reasons = [], [], []
    search = partial(look, wanted=[(crop, seen)], search=Search(detect=detect))
    for place, looked in enumerate(each(search, files, workers)):
        if looked.reason is None:
            pixels.append(looked.faces[0][0])
            kept.append(place)
        else:
            reasons.append(looked.reason)
    if not pixels:
        common = max(set(reasons), key=reasons.count)
        raise PocketfaceError(f"{files[0]}: none of {len(files)} pictures can be used; {REASONS[common]}")
    return np.stack(pixels), kept


def _rows(faces: Pictures) -> pd.DataFrame:
    """The rows of a face index, as far as something is known."""
    places = range(len(faces.images))
    known = {"dataset": PICTURES, "image": faces.images, "split": "test", "status": OK, "face": places}
    return pd.DataFrame(known).join(faces.labels)


def _make(
    stem: str, read: Network, model: Model, crop: Crop, faces: Selection, out: Path, levels: Sequence[str]
) -> Iterator[list[Variant]]:
    """Makes and measures the levels, float32 first: those that are fast, then all with the slow ones."""
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")[:90] or "model"
    name = name if name[0].isalpha() else f"m_{name}"
    cards: dict[str, VariantCard] = {}
    answered: dict[str, Answered] = {}
    with tempfile.TemporaryDirectory() as scratch:
        brought, views, exported = (Path(scratch, part) for part in (name, "views", "exported"))
        own.place(name, read, model, crop, brought)
        save(faces, views)
        export(brought, views, exported)
        settings = LevelSettings(calibration=min(CALIBRATION, len(faces.calibration.images)))
        runs = evaluate_variants([out / level for level in levels], views)
        for _, part in groupby(levels, key=SLOW.__contains__):
            for level in tqdm(list(part), desc="levels", disable=None, leave=False):
                cards[level] = convert(exported, views, level, settings, out / level)
                run, predictions = next(runs)
                answered[level] = Answered(run["status"], run["reason"], run["kernels"], predictions)
            yield _compared(name, cards, answered, out)


def _compared(
    name: str, cards: Mapping[str, VariantCard], answered: Mapping[str, Answered], out: Path
) -> list[Variant]:
    """Times the levels and writes their results."""
    timed = benchmark({level: out / level for level in cards}, [1], RUNS, WARMUP)
    rows = measured(name, [PICTURES], cards, answered, Margins())
    table = Table((*rows, *(row for level in timed for row in latencies(name, level, timed[level]))))
    table.write(out / "results.parquet")
    return [
        Variant(name, level, out / level, cards[level], table, Timing.model_validate(timed[level]))
        for level in cards
    ]


def _write(done: Done, file: Path, labels: Path, tried: Sequence[Tried], out: Path) -> None:
    """The table, the page, and what programs read."""
    names = done.variants[0].table.mains(done.variants[0].model)
    table = of_levels(done.variants, names, done.pick)
    notes = [
        f"Model: {file.name}. Pictures: {labels.name}.",
        *told(tried),
        advice(done.pick),
        GLOSSARY,
        VERDICTS,
    ]
    markdown = "\n".join(
        [f"# {file.name}", "", table.markdown(), "", *(f"- {' '.join(note.split())}" for note in notes), ""]
    )
    cells = pd.DataFrame([[cell.text for cell in row] for row in table.cells], columns=list(table.header))
    with pd.option_context("display.max_colwidth", None):
        body = cells.to_html(index=False, border=0, justify="left")
    said = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    page = PAGE.format(title=html.escape(file.name), table=body, said=said)
    write_text(out / "table.md", markdown)
    write_text(out / "index.html", page)
    take = done.pick.take
    stanza = done.stanza.model_dump(mode="json", exclude_defaults=True)
    write_json(out / "results.json", {"taken": take and take.level, "why": done.pick.why, "model": stanza})


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}}
table{{border-collapse:collapse}}
th,td{{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ccc}}</style>
<h1>{title}</h1>{table}{said}</html>
"""


def new_study(name: str, root: Path) -> Path:
    """The file of a new study; a name that it, or one of its datasets, cannot have is a `PocketfaceError`."""
    for dataset in (name, f"{name}_test"):
        check_name(dataset, root)
    target = root / "studies" / f"{name}.yaml"
    if target.exists():
        raise PocketfaceError(f"{target}: there is a study of that name; give another")
    return target


def write_study(name: str, done: Done, labels: Path, detect: str, root: Path) -> Path:
    """Writes what continues this under `dvc repro`: two datasets and a study file.

    Half of the labelled pictures, by person where a column names them, are the hold-out; half of the others
    are calibrated on, as are those that are said to be `train`.

    Raises:
        PocketfaceError: a name is taken.
    """
    target = new_study(name, root)
    table, folder = labelled(labels)
    person = next((column for column in PERSON if column in table), PATH)
    place = table[person].fillna(table[PATH]).map(lambda key: unit_hash(str(key), "holdout"))
    if SPLIT in table:
        place = place.mask(table[SPLIT].str.lower() == "train", 1.0)
    table = table.assign(**{SPLIT: np.where(place < 0.75, "test", "train")})
    for dataset, part in ((name, table[place >= 0.5]), (f"{name}_test", table[place < 0.5])):
        add(dataset, part, folder, root)
    seen = done.stanza.input
    source = stanza(_crop(seen, detect))
    model = done.stanza.model_dump(mode="json", exclude_defaults=True)
    model |= {"dataset": name, "heads": model.pop("own_heads")}
    study = {
        "study": name,
        "seed": 1,
        "threads": 2,
        "datasets": {name: source, f"{name}_test": source},
        "holdout": f"{name}_test",
        "models": {},
        "fetched": {name: model},
        "levels": {
            one.level: {"calibration": CALIBRATION} if LEVELS[one.level].calibrated else {}
            for one in done.variants
        },
        "benchmark": {"runs": RUNS, "warmup": WARMUP},
        "margins": {"years": 0.1, "share": 0.005},
        "groups": [],
        "champion": {},
        "cross_validate": {},
        "mix": [],
        "micro": [],
    }
    write_text(target, yaml.safe_dump(study, sort_keys=False, allow_unicode=True))
    return target
