"""Measuring a study: from every variant's answers to the results table.

    measure(own, levels, margins, root).write(root / RESULTS)

Every metric is taken once, with its interval and its change against float32 on the same faces; the verdicts
of a model's levels on a dataset are corrected together.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pocketface.cards import VariantCard, read_card
from pocketface.core import outs
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import main_metric
from pocketface.metrics.confidence import Change, Sample, against, resample, resample_groups
from pocketface.metrics.groups import members
from pocketface.metrics.measures import Measured, best_constant, comparisons, score, tallies
from pocketface.metrics.naming import loss
from pocketface.metrics.settings import Margins
from pocketface.results.table import (
    AGAINST_BEST,
    FACES,
    FLOAT32,
    KERNELS,
    MIN_RUNTIME,
    SHA256,
    SIZE,
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
    own: Mapping[str, Sequence[str]], levels: Sequence[str], margins: Margins, root: Path = Path()
) -> Table:
    """Measures every variant of a study.

    Args:
        own: model -> the datasets that it learnt from or stands for, the main one first.
        levels: of every model.
        margins: within which a change is equivalent.
        root: of the repository, where `variants/` and `evaluation/` are.

    Raises:
        PocketfaceError: a card or an evaluation is missing or damaged, or two levels answered different
            faces.
    """
    answers = {(m, level): read_answers(root, m, level) for m in own for level in levels}
    rows = [
        row
        for model, datasets in own.items()
        for row in measured(
            model,
            datasets,
            {level: read_card(root / outs.VARIANTS / model / level, VariantCard) for level in levels},
            {level: answers[model, level] for level in levels},
            margins,
        )
    ]
    return Table((*rows, *_against_best(Table(tuple(rows)), answers, margins)))


Answers = Mapping[tuple[str, str], Answered]
"""(model, level) -> what it answered."""


def _against_best(table: Table, answers: Answers, margins: Margins) -> Iterator[Row]:
    """Of every variant that answers a task on the same faces as a better model does: its change against that
    one.
    """
    float32 = [row for m in table.models for row in table.of(m, FLOAT32) if row.main and not row.grouping]
    for name in dict.fromkeys(row.name for row in float32):
        best = min((row for row in float32 if row.name == name), key=lambda row: loss(name, row.value or 0.0))
        reference = _on(answers[best.model, FLOAT32], best.dataset)
        others = [
            key for key in answers if key[0] != best.model and table.get(*key, best.metric, best.dataset)
        ]
        for model, level in others:
            own = _on(answers[model, level], best.dataset)
            if own["image"].equals(reference["image"]):
                changes = against(resample(reference), {level: resample(own)}, margins)[level]
                row = Row(model, level, best.metric, best.dataset, AGAINST_BEST, best.model, n=best.n)
                yield replace(row, **_changed(changes.get(best.metric)))


def _on(answered: Answered, dataset: str) -> pd.DataFrame:
    rows = answered.predictions[answered.predictions["dataset"] == dataset]
    return rows.dropna(axis=1, how="all").reset_index(drop=True)


def read_answers(root: Path, model: str, level: str) -> Answered:
    """Reads `evaluation/MODEL/LEVEL`.

    Raises:
        PocketfaceError: it is missing or damaged.
    """
    folder, stage = root / outs.EVALUATION / model / level, f"dvc repro evaluate@{model}-{level}"
    path = folder / RUN
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        status, reason, kernels = str(run["status"]), run["reason"], run["kernels"]
        path = folder / PREDICTIONS
        return Answered(status, reason, kernels, pd.read_parquet(path))
    except FileNotFoundError:
        raise PocketfaceError(f"{path}: no such file; make it with `{stage}`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PocketfaceError(
            f"{path}: not what `evaluate` writes ({error}); make it with `{stage}`"
        ) from None


def measured(
    model: str,
    own: Sequence[str],
    cards: Mapping[str, VariantCard],
    answered: Mapping[str, Answered],
    margins: Margins,
) -> Iterator[Row]:
    """The rows of one model.

    Args:
        model: its name.
        own: the datasets that it learnt from or stands for, the main one first.
        cards, answered: level -> its card, and what it answered.
        margins: within which a change is equivalent.
    """
    by_dataset: dict[str, dict[str, pd.DataFrame]] = {}
    for level, one in answered.items():
        for dataset in sorted(set(one.predictions["dataset"])):
            by_dataset.setdefault(str(dataset), {})[level] = _on(one, dataset)
    order = sorted(by_dataset, key=lambda name: (own.index(name) if name in own else len(own), name))
    main = _main(next(iter(cards.values())).outputs, own, by_dataset)
    found = [_dataset(name, by_dataset[name], main.get(name, []), margins) for name in order]
    for level, card in cards.items():
        status, reason = answered[level].status, answered[level].reason
        if card.status != "ok":
            status, reason = card.status, card.reason
        if status != "ok":
            yield Row(model, level, STATUS, text=f"{status}: {reason or 'no reason given'}")
            continue
        yield Row(model, level, STATUS)
        yield Row(model, level, KERNELS, text=answered[level].kernels)
        yield Row(model, level, SIZE, value=card.size_bytes)
        yield Row(model, level, SHA256, text=card.sha256)
        yield Row(model, level, MIN_RUNTIME, text=card.min_runtime)
        for rows in found:
            yield from (replace(row, model=model) for row in rows.get(level, ()))


def _main(
    heads: Iterable[str], own: Sequence[str], tables: Mapping[str, Mapping[str, pd.DataFrame]]
) -> dict[str, list[str]]:
    """Dataset -> the metrics that stand for a head there: on the first of the model's own that has the label.

    Of an age that only bands are known of, their accuracy.
    """
    has = {
        name: score(tallies(comparisons(next(iter(tables[name].values()))))).values
        for name in own
        if name in tables
    }
    found: dict[str, list[str]] = {}
    for head in heads:
        metrics = [main_metric(head), *(["age_band_accuracy"] if head == "age" else [])]
        labelled = [(name, metric) for metric in metrics for name in has if metric in has[name]]
        if labelled:
            found.setdefault(labelled[0][0], []).append(labelled[0][1])
    return found


Rows = dict[str, list[Row]]
"""Level -> its rows."""


def _dataset(dataset: str, tables: Mapping[str, pd.DataFrame], main: Sequence[str], margins: Margins) -> Rows:
    """All rows of one model on one dataset."""
    reference = tables.get(FLOAT32)
    for level, table in tables.items():
        if reference is not None and not table["image"].equals(reference["image"]):
            raise PocketfaceError(
                f"evaluation: {level} and {FLOAT32} answered other faces of {dataset}; "
                "make both anew with `dvc repro`"
            )
    groups = members(next(iter(tables.values()))) if main else {}
    samples = {level: resample_groups(table, groups, main) for level, table in tables.items()}
    whole = _changes({level: of_all for level, (of_all, _) in samples.items()}, margins)
    by_group = {
        group: _changes({level: of_groups[group] for level, (_, of_groups) in samples.items()}, margins)
        for group in groups
    }
    rows: Rows = {}
    for level, table in tables.items():
        found = comparisons(table)
        parts, constant = tallies(found), score(tallies(best_constant(found))).values
        faces = Row("", level, FACES, dataset, n=len(table), value=len(table), text=_splits(table))
        of_all = [faces, *_rows(faces, score(parts), samples[level][0], whole[level], main)]
        rows[level] = [replace(row, constant=constant.get(row.metric)) for row in of_all]
        for group, inside in groups.items():
            faces = Row("", level, FACES, dataset, *group, n=int(inside.sum()), value=int(inside.sum()))
            of_group, sample = score(parts, inside), samples[level][1][group]
            rows[level] += [faces, *_rows(faces, of_group, sample, by_group[group][level], main)]
    return rows


def _changes(samples: Mapping[str, Sample], margins: Margins) -> dict[str, Mapping[str, Change]]:
    """Level -> metric -> its change against float32; none where that is missing, or of float32 itself."""
    reference = samples.get(FLOAT32)
    others = {level: sample for level, sample in samples.items() if level != FLOAT32}
    found = against(reference, others, margins) if reference is not None else {}
    return {level: found.get(level, {}) for level in samples}


def _rows(
    about: Row, measured: Measured, sample: Sample, changes: Mapping[str, Change], main: Sequence[str]
) -> Iterator[Row]:
    """A row a metric: all faces with intervals and changes; of groups only the main metrics have them."""
    for metric, value in measured.values.items():
        row = replace(
            about, metric=metric, value=value, n=measured.counts[metric], main=metric in main, text=None
        )
        if metric in sample.values:
            row = replace(row, low=sample.interval(metric)[0], high=sample.interval(metric)[1])
        yield replace(row, **_changed(changes.get(metric)))


def _changed(change: Change | None) -> dict[str, Any]:
    if change is None:
        return {}
    ends = {"change_low": change.low, "change_high": change.high, "detectable": change.detectable}
    p = change.p if change.p_holm is None else change.p_holm
    return {"change": change.change, **ends, "p": p, "verdict": change.verdict}


def _splits(table: pd.DataFrame) -> str:
    return "/".join(sorted(set(table["split"]))) if "split" in table else ""
