"""The rule by which a variant is chosen for a task.

Of the study's variants that answer the task, run, and keep within the limits of size and latency, the one
with the best figure is chosen; of equal ones the smallest file. The figure is the task's main one on its
model's own dataset (age: MAE; classes: accuracy) unless another is asked for. A variant whose latency was not
measured does not keep within a limit of latency.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import main_metric
from pocketface.reporting.quantities import label_of, loss, quantity_of, shown, size
from pocketface.study import Champion, Study


class Measured(Protocol):
    """What the rule needs to know of a variant; `pocketface.reporting.results.Variant` is one.

    Attributes:
        reason: why it does not run, or None.
        figures: `DATASET.METRIC` and `size_bytes` -> value; none of a variant that does not run.
        latency_ms: median milliseconds a face with one thread, where it was measured.
    """

    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def level(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str | None: ...  # noqa: D102
    @property
    def figures(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def latency_ms(self) -> float | None: ...  # noqa: D102


@dataclass(frozen=True)
class Excluded:
    """A variant that answers the task but is no candidate, and what keeps it out."""

    variant: Measured
    why: str


@dataclass(frozen=True)
class Choice:
    """What the rule makes of one task.

    Attributes:
        figure: `DATASET.METRIC`, what the candidates were compared by.
        candidates: those within the limits, the best first.
        excluded: all others that answer the task, the best first, those without a figure last.
    """

    task: str
    figure: str
    limits: Champion
    candidates: tuple[Measured, ...]
    excluded: tuple[Excluded, ...]

    @property
    def variant(self) -> Measured | None:
        """The chosen one; None where no variant keeps within the limits."""
        return self.candidates[0] if self.candidates else None

    def __str__(self) -> str:
        if self.variant is None:
            return f"{self.task}: no variant keeps within the limits"
        facts = facts_of(self.variant, self.figure)
        return f"{self.task}: {name_of(self.variant)}, {label_of(self.figure)} {facts}"


def tasks(study: Study) -> list[str]:
    """The heads of all models, each once."""
    return list(dict.fromkeys(head for model in study.models.values() for head in model.heads))


def choose(
    study: Study,
    task: str,
    variants: Sequence[Measured],
    limits: Champion | None = None,
    metric: str | None = None,
) -> Choice | None:
    """Applies the rule; None where nothing that runs answers the task.

    Args:
        study: the params; models with different datasets are compared on that of the first.
        task: a head.
        variants: of the study.
        limits: by default the study's, under `champion`.
        metric: what to compare by: `gender_macro_f1`, short `macro_f1`, or with a dataset,
            `photos.gender_accuracy`.

    Raises:
        PocketfaceError: the metric was not measured, or neither way of it is better.
    """
    limits = limits or study.champion
    answering = [variant for variant in variants if task in study.models[variant.model].heads]
    figure = _figure(study, task, answering, metric)
    if figure is None:
        return None
    ranked = sorted(answering, key=lambda variant: _rank(variant, figure))
    why = {id(variant): _exclusion(variant, figure, limits) for variant in ranked}
    return Choice(
        task,
        figure,
        limits,
        tuple(variant for variant in ranked if not why[id(variant)]),
        tuple(Excluded(variant, told) for variant in ranked if (told := why[id(variant)])),
    )


def name_of(variant: Measured) -> str:
    """`MODEL/LEVEL`."""
    return f"{variant.model}/{variant.level}"


def facts_of(variant: Measured, figure: str) -> str:
    """What speaks for a variant: its figure without unit, its size and its latency, as far as known."""
    return ", ".join([shown(figure, variant.figures.get(figure)), *costs_of(variant)])


def costs_of(variant: Measured) -> list[str]:
    """Size and latency as printed, those that are known."""
    known = []
    if "size_bytes" in variant.figures:
        known.append(size(int(variant.figures["size_bytes"])))
    if variant.latency_ms is not None:
        known.append(f"{variant.latency_ms:.3g} ms")
    return known


def _figure(study: Study, task: str, answering: Sequence[Measured], metric: str | None) -> str | None:
    """The name of the figure to compare by, of the first model that has it."""
    measured = {figure for variant in answering for figure in variant.figures}
    own = [d for variant in answering for d in study.trained_on(variant.model)]
    if metric is None:
        wanted = [f"{dataset}.{main_metric(task)}" for dataset in own]
        return next((figure for figure in wanted if figure in measured), None)
    wanted = [metric, *(f"{dataset}.{name}" for name in (metric, f"{task}_{metric}") for dataset in own)]
    figure = next((name for name in wanted if name in measured), None)
    rankable = sorted(f for f in measured if "." in f and quantity_of(f).better != "same")
    if figure not in rankable:
        raise PocketfaceError(f"--metric {metric}: there are, for {task}, {', '.join(rankable) or 'none'}")
    return figure


def _rank(variant: Measured, figure: str) -> tuple[float, float, str, str]:
    """Sorts the best first."""
    value, size_bytes = variant.figures.get(figure), variant.figures.get("size_bytes", float("inf"))
    return (float("inf") if value is None else loss(figure, value), size_bytes, variant.model, variant.level)


def _exclusion(variant: Measured, figure: str, limits: Champion) -> str:
    """What keeps a variant from being a candidate; nothing if it is one."""
    if variant.reason is not None:
        return f"does not run: {variant.reason}"
    if figure not in variant.figures:
        return f"{figure} was not measured"
    too_much = []
    size_bytes, latency = variant.figures.get("size_bytes"), variant.latency_ms
    if limits.max_size_mb is not None and (size_bytes is None or size_bytes > limits.max_size_mb * 1e6):
        too_much.append(size(None if size_bytes is None else int(size_bytes)))
    if limits.max_latency_ms is not None and latency is None:
        too_much.append("its latency was not measured")
    elif limits.max_latency_ms is not None and latency is not None and latency > limits.max_latency_ms:
        too_much.append(f"{latency:.3g} ms")
    return " and ".join(too_much)
