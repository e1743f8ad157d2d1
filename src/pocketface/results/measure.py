"""Measuring a study: from every variant's answers to the results table.

Every metric has its interval and its change against float32 on the same faces; the verdicts of a model's
levels on a dataset are corrected together.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pocketface.cards import VariantCard, read_card, variant_folder
from pocketface.core import outs
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import made_by
from pocketface.core.labels import main_metric
from pocketface.metrics.confidence import Change, Sample, corrected, paired, people_of, resample, sampled
from pocketface.metrics.groups import AGES, CROSSED, age_standardised, gap, members
from pocketface.metrics.measures import Measured, Tally, best_constant, comparisons, score, tallies
from pocketface.metrics.naming import loss
from pocketface.metrics.settings import Margins
from pocketface.results.table import (
    AGAINST_BEST,
    ARENA,
    FACES,
    FLOAT32,
    GAP,
    KERNELS,
    MIN_RUNTIME,
    SHA256,
    SIZE,
    STANDARDISED,
    STATUS,
    Row,
    Table,
)

RUN, PREDICTIONS = "run.json", "predictions.parquet"
"""In `evaluation/MODEL/LEVEL`: how the variant ran, and one row a face."""


@dataclass(frozen=True)
class Answered:
    """What one variant answered.

    Attributes:
        status, reason: `ok`, or why there are no answers.
        kernels: that it ran on.
        predictions: one row a face: `dataset`, `split`, `image`, labels and answers.
    """

    status: str
    reason: str | None
    kernels: str
    predictions: pd.DataFrame


def measure(
    own: Mapping[str, Sequence[str]],
    levels: Sequence[str],
    margins: Margins,
    root: Path = Path(),
    by: Sequence[str] = (),
) -> Table:
    """Measures every variant of a study.

    Args:
        own: model -> the datasets that it learnt from or stands for, the main one first.
        levels: of every model.
        margins: within which a change is equivalent.
        root: of the repository, where `variants/`, `micro/` and `evaluation/` are.
        by: label columns to group by, beside those of `pocketface.metrics.groups.GROUPINGS`.

    Raises:
        PocketfaceError: a card or an evaluation is missing or damaged, or two levels answered different
            faces.
    """
    rows: list[Row] = []
    answers: dict[str, dict[str, Answered]] = {}
    for model, datasets in own.items():
        cards = {level: read_card(variant_folder(root, model, level), VariantCard) for level in levels}
        answers[model] = {level: read_answers(root, model, level) for level in levels}
        rows += measured(model, datasets, cards, answers[model], margins, by)
    return Table((*rows, *_against_best(Table(tuple(rows)), answers, margins)))


def _against_best(
    table: Table, answers: Mapping[str, Mapping[str, Answered]], margins: Margins
) -> Iterator[Row]:
    """Of every variant that answers a task on the same faces as a better model does: its change against that
    one. `answers`: model -> level -> what it answered.
    """
    float32 = [row for m in table.models for row in table.of(m, FLOAT32) if row.main and not row.grouping]
    for name in dict.fromkeys(row.name for row in float32):
        best = min((row for row in float32 if row.name == name), key=lambda row: loss(name, row.value or 0.0))
        reference, sample = _on(answers[best.model][FLOAT32], best.dataset), None
        for model, level in ((m, level) for m in answers if m != best.model for level in answers[m]):
            if not table.get(model, level, best.metric, best.dataset):
                continue
            own = _on(answers[model][level], best.dataset)
            if own["image"].equals(reference["image"]):
                sample, theirs = sample or resample(reference, [best.metric]), resample(own, [best.metric])
                if {*theirs.asked.get(best.metric, ())} != {*sample.asked.get(best.metric, ())}:
                    continue  # another question: a head of one's own with more words, say
                changes = paired(theirs, sample, margins)
                row = Row(model, level, best.metric, best.dataset, AGAINST_BEST, best.model, n=best.n)
                yield _changed(row, changes.get(best.metric))


def _on(answered: Answered, dataset: str) -> pd.DataFrame:
    rows = answered.predictions[answered.predictions["dataset"] == dataset]
    return rows.dropna(axis=1, how="all").reset_index(drop=True)


def read_answers(root: Path, model: str, level: str) -> Answered:
    """Reads `evaluation/MODEL/LEVEL`.

    Raises:
        PocketfaceError: it is missing or damaged.
    """
    folder, stage = root / outs.EVALUATION / model / level, f"evaluate@{model}"
    with made_by(stage, folder / RUN):
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
        status, reason, kernels = str(run["status"]), run["reason"], run["kernels"]
    with made_by(stage, folder / PREDICTIONS):
        return Answered(status, reason, kernels, pd.read_parquet(folder / PREDICTIONS))


def measured(
    model: str,
    own: Sequence[str],
    cards: Mapping[str, VariantCard],
    answered: Mapping[str, Answered],
    margins: Margins,
    by: Sequence[str] = (),
) -> Iterator[Row]:
    """The rows of one model, which stands for its `own` datasets, the main one first; `cards`, `answered`:
    level -> its card, and what it answered; `by`: label columns to group by, besides the usual ones.
    """
    by_dataset: dict[str, dict[str, pd.DataFrame]] = {}
    for level, one in answered.items():
        for dataset in sorted(set(one.predictions["dataset"])):
            by_dataset.setdefault(str(dataset), {})[level] = _on(one, dataset)
    order = sorted(by_dataset, key=lambda name: (own.index(name) if name in own else len(own), name))
    told, main = _main(next(iter(cards.values())).outputs, own, by_dataset)
    found = [_dataset(n, by_dataset[n], told.get(n, []), main.get(n, []), margins, by) for n in order]
    for level, card in cards.items():
        failed = card if card.status != "ok" else answered[level]
        if failed.status != "ok":
            yield Row(model, level, STATUS, text=f"{failed.status}: {failed.reason or 'no reason given'}")
            continue
        yield Row(model, level, STATUS)
        yield Row(model, level, KERNELS, text=answered[level].kernels)
        yield Row(model, level, SIZE, value=card.size_bytes)
        yield Row(model, level, SHA256, text=card.sha256)
        yield Row(model, level, MIN_RUNTIME, text=card.min_runtime)
        arenas = [runtime.arena_bytes for runtime in card.runtimes.values() if runtime.arena_bytes]
        yield from (Row(model, level, ARENA, value=arena) for arena in arenas[:1])
        for rows in found:
            yield from (replace(row, model=model) for row in rows.get(level, ()))


def _main(
    heads: Iterable[str], own: Sequence[str], tables: Mapping[str, Mapping[str, pd.DataFrame]]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Dataset of the model's own -> the metrics that tell of a head there; and those that stand for it, on
    the first dataset that has the label.

    Of an age that only bands are known of, their accuracy.
    """
    has = {
        name: score(tallies(comparisons(next(iter(tables[name].values()))))).values
        for name in own
        if name in tables
    }
    told: dict[str, list[str]] = {}
    main: dict[str, list[str]] = {}
    for head in heads:
        metrics = [main_metric(head), *(["age_band_accuracy"] if head == "age" else [])]
        labelled = [(name, metric) for metric in metrics for name in has if metric in has[name]]
        for name, metric in dict(reversed(labelled)).items():
            told.setdefault(name, []).append(metric)
        for name, metric in labelled[:1]:
            main.setdefault(name, []).append(metric)
    return told, main


Rows = dict[str, list[Row]]
"""Level -> its rows."""


def _dataset(
    dataset: str,
    tables: Mapping[str, pd.DataFrame],
    told: Sequence[str],
    main: Sequence[str],
    margins: Margins,
    by: Sequence[str],
) -> Rows:
    """All rows of one model on one dataset; levels that answer alike are measured once."""
    like: dict[str, str] = {}
    answers = {level: table.filter(regex="_pred$|_prob_") for level, table in tables.items()}
    for level, table in tables.items():
        if FLOAT32 in tables and not table["image"].equals(tables[FLOAT32]["image"]):
            raise PocketfaceError(
                f"evaluation: {level} and {FLOAT32} answered other faces of {dataset}; "
                "make both anew with `dvc repro`"
            )
        earlier = [one for one in like if one != FLOAT32 and answers[one].equals(answers[level])]
        like[level] = earlier[0] if earlier else level
    table = next(iter(tables.values()))
    parts = {level: tallies(comparisons(tables[level])) for level in dict.fromkeys(like.values())}
    constant = score(tallies(best_constant(comparisons(table)))).values
    groupings = {"": {"": np.ones(len(table), bool)}}
    for (grouping, group), inside in members(table, by=by).items() if told else ():
        groupings.setdefault(grouping, {})[group] = inside
    found: Rows = {level: [] for level in parts}
    for grouping, groups in groupings.items():
        about = Row("", "", FACES, dataset, grouping)
        for row in _grouping(about, groups, table, parts, told, main, margins):
            if not grouping:
                split = "/".join(sorted(set(table.get("split", ())))) if row.metric == FACES else None
                row = replace(row, constant=constant.get(row.metric), text=split)
            found[row.level].append(row)
    return {level: [replace(row, level=level) for row in found[same]] for level, same in like.items()}


def _grouping(
    about: Row,
    groups: Mapping[str, np.ndarray],
    table: pd.DataFrame,
    parts: Mapping[str, Sequence[Tally]],
    told: Sequence[str],
    main: Sequence[str],
    margins: Margins,
) -> Iterator[Row]:
    """The rows of the groups of one grouping, the gaps between them, and the same standardised by age.

    Of all faces every metric has its interval and change, of groups those that tell of a head and the signed
    error. Verdicts are corrected for all levels and groups together.
    """
    people, of_all = people_of(table), not about.grouping
    told = [*told, *(["age_bias"] if "age_mae" in told else [])]
    few = parts if of_all else {level: [part.only(told) for part in own] for level, own in parts.items()}
    few = {level: [part for part in own if part.metrics] for level, own in few.items()}
    samples = {
        (group, level): sampled(own, len(table), people, inside)
        for level, own in few.items()
        for group, inside in groups.items()
    }
    changes = _changes(samples, margins)
    for level, own in parts.items():
        at = replace(about, level=level)
        for group, inside in groups.items():
            of_group = replace(at, group=group, n=int(inside.sum()), value=int(inside.sum()))
            yield of_group
            changed = changes.get((group, level), {})
            yield from _rows(of_group, score(own, inside), samples[group, level], changed, main)
        yield from _gaps(at, {group: samples[group, level] for group in groups}, told, main)
        if about.grouping in AGES or CROSSED in about.grouping:
            continue
        standardised = age_standardised(table, groups, few[level])
        at = replace(at, grouping=f"{about.grouping}{STANDARDISED}")
        for group, one in standardised.items():
            of_group = replace(at, group=group, n=one.n, value=one.n)
            values = Measured(dict(one.values), dict.fromkeys(one.values, one.n))
            yield from (of_group, *_rows(of_group, values, one, {}, main))
        yield from _gaps(at, standardised, told, main)


def _gaps(
    at: Row, groups: Mapping[str, Sample], metrics: Sequence[str], main: Sequence[str]
) -> Iterator[Row]:
    for metric in metrics:
        if found := gap(groups, metric):
            row = replace(at, metric=metric, group=GAP, main=metric in main)
            told = f"{found.best} to {found.worst}"
            yield replace(row, value=found.value, low=found.low, high=found.high, text=told)


def _changes(
    samples: Mapping[tuple[str, str], Sample], margins: Margins
) -> dict[tuple[str, str], dict[str, Change]]:
    """(group, level) -> metric -> its change against float32's; none where that is missing, or of float32
    itself.
    """
    changes = {
        (group, level): paired(sample, samples[group, FLOAT32], margins)
        for (group, level), sample in samples.items()
        if level != FLOAT32 and (group, FLOAT32) in samples
    }
    answers = {key: {name: (key[0], told) for name, told in samples[key].answers.items()} for key in changes}
    return corrected(changes, answers)


def _rows(
    about: Row, measured: Measured, sample: Sample, changes: Mapping[str, Change], main: Sequence[str]
) -> Iterator[Row]:
    for metric, value in measured.values.items():
        row = replace(about, metric=metric, value=value, n=measured.counts[metric], main=metric in main)
        if metric in sample.values:
            low, high = sample.interval(metric)
            row = replace(row, low=low, high=high)
        yield _changed(row, changes.get(metric))


def _changed(row: Row, change: Change | None) -> Row:
    if change is None:
        return row
    row = replace(row, change=change.change, change_low=change.low, change_high=change.high)
    p = change.p if change.p_holm is None else change.p_holm
    return replace(row, p=p, detectable=change.detectable, verdict=change.verdict)
