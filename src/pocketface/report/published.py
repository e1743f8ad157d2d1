"""What the published models reach and under which terms they are: all of it from their cards."""

import json
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill
from typing import Any

from pocketface.cards import CARD
from pocketface.core.files import write_text
from pocketface.core.labels import main_metric
from pocketface.metrics.groups import CROSSED, GROUPINGS
from pocketface.metrics.naming import MISSING, change, label_of, shown, size
from pocketface.published import DEFAULT_LEVEL, DEFAULT_MODELS, LICENCE_NOTE, NOTICE, PublishedCard, read
from pocketface.report.cells import Cell, Row, Table
from pocketface.report.tables import BUILT, built
from pocketface.results.table import FLOAT32

INTRODUCTION = """# Published models

Written by `pocketface publish` from the `card.json` of every folder. The cards have more: all levels and
metrics, the recipe, the command that trains the model again, and the sources of the faces with their terms,
which travel with the weights: [WEIGHTS.md](WEIGHTS.md). [LAB.md](LAB.md) describes the trials.
`pocketface predict` opens {defaults} by default.

All metrics are measured on faces that the models were not trained on. *Gender* is a binary annotation of
appearance; it is not a person's gender identity.
"""


TESTED = """The int8 file on the reserved test parts, measured once, on {when}. Nothing was chosen by them
since they were reserved; the recipe was chosen before, by faces some of which may be in them now, so the
results may be a little optimistic:
"""
BEFORE = """The int8 file before and after copies of train pictures were left out of the measured faces:
"""


CELEBRITIES = """On `celeba`: `faceres`, which this model learned from, saw VGGFace2 and IMDB-WIKI:
celebrities, as those of CelebA are, so people who are measured here may have been among them.
"""


NOTICE_INTRODUCTION = f"""# Terms of the published weights

The models in this folder are for **non-commercial research only**: each learned from pictures that are given
for research. Apache-2.0 is the licence of pocketface's code, not of these models.

{fill(LICENCE_NOTE, 110)}

In the repository, `faceres/` holds weights of others, which some of these models started from.

Written by `pocketface publish` from the `card.json` of every folder.
"""


def write(weights: Path) -> None:
    """Writes both pages into the folder of published models; raises as they do."""
    write_text(weights / "README.md", overview(weights))
    write_text(weights / NOTICE, notice(weights))


def notice(weights: Path) -> str:
    """What every published network learned from, the face generator too, and the terms of each source."""
    cards = {
        card.parent.name: json.loads(card.read_text(encoding="utf-8"))
        for card in sorted(weights.glob(f"*/{CARD}"))
    }
    learned = {name: sorted(card.get("sources", card.get("trained_on", {}))) for name, card in cards.items()}
    sources = {name: said for card in cards.values() for name, said in card.get("sources", {}).items()}
    return "\n".join(
        [
            NOTICE_INTRODUCTION,
            "## What each learned from\n",
            *(f"- `{name}`: {', '.join(named)}" for name, named in learned.items()),
            "\n## The terms of those\n",
            *(f"- `{name}`: {Cell(said).markdown}" for name, said in sorted(sources.items())),
            "",
        ]
    )


def overview(weights: Path) -> str:
    """A table of all models, and for each what its int8 file reaches per group; raises where a card is
    damaged.
    """
    folders = [card.parent for card in sorted(weights.glob(f"*/{CARD}"))]
    # One that draws faces has no levels.
    cards = {folder.name: read(folder) for folder in folders if (folder / DEFAULT_LEVEL).is_dir()}
    parts = [INTRODUCTION.format(defaults=" and ".join(f"`{name}`" for name in DEFAULT_MODELS))]
    parts += [_models(cards).markdown() + "\n"]
    for name, card in cards.items():
        parts += [f"## {name}\n", _main_metrics(card).markdown() + "\n"]
        if "faceres" in card.sources and "celeba" in card.levels[FLOAT32].metrics:
            parts.append(CELEBRITIES)
        if before := _before(card):
            parts += [BEFORE, f"{before.markdown()}\n"]
        if card.tested:
            parts += [TESTED.format(when=card.tested), f"{_tested(card).markdown()}\n"]
        tables = [_groups(card, dataset) for dataset in _own_first(card, card.levels[DEFAULT_LEVEL].groups)]
        parts += [f"{table.markdown()}\n" for table in tables if table]
    return "\n".join(parts)


def _models(cards: dict[str, PublishedCard]) -> Table:
    rows: list[Row] = [
        [
            Cell(name, href=f"#{name}"),
            ", ".join(card.outputs),
            card.architecture,
            card.dataset,
            Cell(card.study, href=f"../studies/{card.study}.yaml"),
            *built(card),
            size(card.levels[DEFAULT_LEVEL].size_bytes),
        ]
        for name, card in cards.items()
    ]
    header = ["model", "answers", "architecture", "trained on", "study", *BUILT, "int8"]
    return Table(header, rows, text_columns=5)


def _main_metrics(card: PublishedCard) -> Table:
    levels, metrics = card.levels, _metrics(card)
    rows: list[Row] = []
    for dataset in _own_first(card, levels[DEFAULT_LEVEL].metrics):
        reference = levels[FLOAT32].metrics[dataset]
        for level in sorted(levels, key=lambda level: (level != FLOAT32, level)):
            own = levels[level].metrics[dataset]
            cells = _shown(metrics, own, {} if level == FLOAT32 else reference)
            rows.append([dataset, level, *cells, size(levels[level].size_bytes)])
    return Table(["dataset", "level", *map(label_of, metrics), "size"], rows, text_columns=2)


def _before(card: PublishedCard) -> Table:
    """The main metrics of the int8 file with copies of train faces among those measured, and without."""
    level, metrics = card.levels[DEFAULT_LEVEL], _metrics(card)
    rows: list[Row] = []
    for dataset, old in (level.before or {}).items():
        clean, faces = level.metrics[dataset], str(level.faces[dataset])
        for when, n, values in (("before", MISSING, old), ("clean", faces, clean)):
            rows.append([dataset, when, n, *_shown(metrics, values)])
    return Table(["dataset", "measured", "faces", *map(label_of, metrics)], rows, text_columns=2)


def _tested(card: PublishedCard) -> Table:
    metrics, test = _metrics(card), card.levels[DEFAULT_LEVEL].test
    rows = [[dataset, *_shown(metrics, test[dataset])] for dataset in _own_first(card, test)]
    return Table(["reserved part of", *map(label_of, metrics)], rows)


def _groups(card: PublishedCard, dataset: str) -> Table:
    found = card.levels[DEFAULT_LEVEL].groups[dataset]
    metrics = [metric for metric in _metrics(card) if metric in card.levels[DEFAULT_LEVEL].metrics[dataset]]
    rows: list[Row] = [
        [dataset, grouping.replace("_", " "), group, str(values["n"]), *_shown(metrics, values)]
        for grouping, names in GROUPINGS.items()
        for group in names
        if CROSSED not in grouping and (values := found.get(grouping, {}).get(group))  # these are in the card
    ]
    header = ["int8, on", "by", "group", "faces", *map(label_of, metrics)]
    return Table(header, rows, text_columns=3)


def _shown(
    metrics: list[str], values: dict[str, Any], reference: dict[str, float] | None = None
) -> list[str]:
    """Values as printed, with the change against those of a reference."""
    cells = []
    for metric in metrics:
        value, other = values.get(metric), (reference or {}).get(metric)
        moved = "" if value is None or other is None else f" ({change(metric, value, other)})"
        cells.append(shown(metric, value) + moved)
    return cells


def _own_first(card: PublishedCard, datasets: Iterable[str]) -> list[str]:
    """Datasets by name, after those that the model was trained on."""
    own = card.dataset.split(", ")
    return sorted(datasets, key=lambda name: (name not in own, name))


def _metrics(card: PublishedCard) -> list[str]:
    """The MAE of a number, the accuracy of classes; and coarse age, where only that is labelled.

    Ages make bands and groups as well; a group is shown of all who have it, a band where it is all there is.
    """
    measured = card.levels[DEFAULT_LEVEL].metrics.values()
    coarse = ["age_group_accuracy"] if any("age_group_accuracy" in found for found in measured) else []
    if any("age_band_accuracy" in found and "age_mae" not in found for found in measured):
        coarse.append("age_band_accuracy")
    return [*map(main_metric, card.outputs), *coarse]
