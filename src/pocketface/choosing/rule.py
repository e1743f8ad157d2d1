"""Which variant to take: one rule.

Of a model's levels within the limits, those count whose every main metric is `equivalent` to float32's or
`better`. Of these the fastest on the target is taken; of equally fast ones the smallest, then the one that
the oldest runtimes run. Where no level but float32 is shown to be equivalent, those that are not shown to be
worse count instead, and the pick says that it is unsure. Among models that answer a task, the pick of the
best one is taken, or a cheaper pick that is equivalent to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pocketface.choosing.settings import Champion, Target
from pocketface.core.errors import PocketfaceError
from pocketface.metrics.naming import loss
from pocketface.results.table import AGAINST_BEST, ARENA, FLOAT32, LATENCY, MIN_RUNTIME, SIZE, Row, Table

SLOW_ON = {"web": ("int4_weights", "int16x8"), "cpu": (), "micro": ()}
"""Target -> levels that have no fast kernels there; measured in docs/app.md."""

CLOSE = 1.1
"""Latencies within this ratio are equally fast: they repeat no better."""


@dataclass(frozen=True)
class Candidate:
    """A variant as the rule sees it.

    Attributes:
        mains: its rows that stand for the model's heads.
        excluded: what keeps it out: it does not run, is an earlier level's file, or a limit; empty where
            nothing does.
    """

    model: str
    level: str
    mains: tuple[Row, ...]
    size_bytes: float | None
    latency_ms: float | None
    min_runtime: tuple[int, ...]
    excluded: str

    @property
    def name(self) -> str:
        """`MODEL/LEVEL`."""
        return f"{self.model}/{self.level}"

    @property
    def proved(self) -> bool:
        """Whether every main metric is shown to be as good as float32's."""
        as_good = [row.verdict in ("equivalent", "better") for row in self.mains]
        return self.level == FLOAT32 or (bool(as_good) and all(as_good))

    @property
    def worse(self) -> bool:
        """Whether a main metric is shown to be worse than float32's."""
        return any(row.verdict == "worse" for row in self.mains)

    def row(self, task: str) -> Row | None:
        """The main row of a task; where the rule went by one other metric, that one's."""
        by_one = self.mains if len(self.mains) == 1 else ()
        return next((row for row in (*by_one, *self.mains) if by_one or head_of(row.metric) == task), None)


@dataclass(frozen=True)
class Pick:
    """What the rule makes of one model.

    Attributes:
        take: the level to take; None where none is within the limits.
        smallest: the smallest file within the limits, whatever it costs.
        sure: whether `take` is shown to be as good as float32.
        candidates: every level, in the study's order.
    """

    model: str
    take: Candidate | None
    smallest: Candidate | None
    sure: bool
    candidates: tuple[Candidate, ...]

    @property
    def level(self) -> str | None:
        """The name of the level to take."""
        return self.take.level if self.take else None

    @property
    def why(self) -> str:
        """The reason in a sentence."""
        if self.take is None:
            return "no level keeps within the limits"
        if self.take.level == FLOAT32:
            return "every other level is worse, out of the limits or slower"
        if self.take.worse:
            return "the fastest within the limits, where every level is worse than float32"
        if not self.take.mains:
            return "the fastest within the limits; nothing says how good its answers are"
        if self.sure:
            better = " or better" if any(row.verdict == "better" for row in self.take.mains) else ""
            return f"the fastest of the levels that are equivalent to float32{better}"
        return "the fastest of the levels not shown to be worse; the faces are too few to show it equivalent"


@dataclass(frozen=True)
class Choice:
    """What the rule makes of one task.

    Attributes:
        picks: of every model that answers the task, the chosen one first.
    """

    task: str
    picks: tuple[Pick, ...]

    @property
    def take(self) -> Candidate | None:
        """The variant to take; None where no model has one within the limits."""
        return self.picks[0].take if self.picks else None


def pick(table: Table, model: str, limits: Champion, metric: str | None = None) -> Pick:
    """Applies the rule to one model's levels; with a `DATASET.METRIC`, by that instead of the main
    metrics.
    """
    candidates = tuple(_candidate(table, model, level, limits, metric) for level in table.levels(model))
    within = [one for one in candidates if not one.excluded]
    proved = [one for one in within if one.proved]
    sure = any(one.level != FLOAT32 for one in proved) or all(one.worse for one in within if not one.proved)
    pool = proved if sure and proved else [one for one in within if not one.worse] or within
    take = _fastest(pool, limits.target)
    smallest = min(within, key=lambda one: (_known(one.size_bytes), one.name), default=None)
    return Pick(model, take, smallest, bool(take and take.proved), candidates)


def choose(table: Table, task: str, limits: Champion, metric: str | None = None) -> Choice:
    """Applies the rule to every model that answers a task.

    Args:
        metric: what to go by instead of the main metric: `gender_macro_f1`, short `macro_f1`, or with a
            dataset, `photos.gender_accuracy`.

    Raises:
        PocketfaceError: no such task, or no such metric.
    """
    if task not in tasks(table):
        raise PocketfaceError(
            f"--task {task}: no model of the study answers it; there are {', '.join(tasks(table)) or 'none'}"
        )
    models = [model for model in table.models if task in heads(table, model)]
    by = _metric(table, models, task, metric) if metric else None
    picks = [pick(table, model, limits, by) for model in models]
    having = [(one.take, row, one) for one in picks if one.take and (row := one.take.row(task))]
    if not having:
        return Choice(task, tuple(picks))
    dataset = having[0][1].dataset  # models with other datasets are compared on the first one's
    best = min(having, key=lambda of: (_badness(table, of[0], of[1], dataset), of[0].name))
    equal = [of for of in having if of is best or _equals(table, of[0], best[0].model, best[1].name)]
    first = _fastest([candidate for candidate, _, _ in equal], limits.target)
    chosen = next(one for candidate, _, one in equal if candidate is first)
    return Choice(task, (chosen, *(one for one in picks if one is not chosen)))


def heads(table: Table, model: str) -> list[str]:
    """What a model answers, as far as it was measured."""
    return list(dict.fromkeys(head_of(name.partition(".")[2]) for name in table.mains(model)))


def tasks(table: Table) -> list[str]:
    """The heads of all models, each once."""
    return list(dict.fromkeys(head for model in table.models for head in heads(table, model)))


def head_of(metric: str) -> str:
    """The head that a main metric stands for: `age` of `age_mae` and of `age_band_accuracy`."""
    head = metric.rpartition("_")[0]
    return "age" if head in ("age_band", "age_group") else head


def _metric(table: Table, models: Sequence[str], task: str, metric: str) -> str:
    rows = [row for model in models for level in table.levels(model) for row in table.of(model, level)]
    names = dict.fromkeys(row.name for row in rows if row.verdict and not row.grouping)
    wanted = [name for name in names if metric in (name, name.partition(".")[2])]
    wanted += [name for name in names if name.endswith(f".{task}_{metric}")]
    if not wanted:
        raise PocketfaceError(
            f"--metric {metric}: there are, for {task}, {', '.join(sorted(names)) or 'none'}"
        )
    return wanted[0]


def _candidate(table: Table, model: str, level: str, limits: Champion, metric: str | None) -> Candidate:
    size, latency = table.value(model, level, SIZE), table.value(model, level, LATENCY)
    largest, slowest = limits.max_size_mb, limits.max_latency_ms
    runtime = table.get(model, level, MIN_RUNTIME)
    version = tuple(int(part) for part in runtime.text.split(".")) if runtime and runtime.text else (99,)
    rows = [row for row in table.of(model, level) if not row.grouping]
    mains = tuple(row for row in rows if (row.main if metric is None else row.name == metric))
    excluded = ""
    if reason := table.reason(model, level):
        excluded = reason
    elif twin := table.twin(model, level):
        excluded = f"same file as {twin}"
    elif largest is not None and _known(size) > largest * 1e6:
        excluded = f"larger than {f'{largest:g} MB' if largest >= 1 else f'{1e3 * largest:g} kB'}"
    elif slowest is not None and latency is not None and latency > slowest:
        excluded = f"slower than {slowest:g} ms"
    elif limits.target == "micro" and table.value(model, level, ARENA) is None:
        excluded = "not shown to run on TensorFlow Lite Micro"
    return Candidate(model, level, mains, size, latency, version, excluded)


def _fastest(pool: Sequence[Candidate], target: Target) -> Candidate | None:
    """The fastest; of those within `CLOSE` of it the smallest, then the one for the oldest runtime."""
    if not pool:
        return None
    fast = [one for one in pool if one.level not in SLOW_ON[target]] or list(pool)
    least = min(_known(one.latency_ms) for one in fast)
    close = [one for one in fast if _known(one.latency_ms) <= CLOSE * least]
    return min(close, key=lambda one: (_known(one.size_bytes), one.min_runtime))


def _badness(table: Table, one: Candidate, main: Row, dataset: str) -> float:
    """How bad a variant's answers are, for sorting; one that was not measured there comes last."""
    value = table.value(one.model, one.level, main.metric, dataset)
    return float("inf") if value is None else loss(main.name, value)


def _equals(table: Table, one: Candidate, best: str, name: str) -> bool:
    """Whether a variant is shown to be as good as the best model in `DATASET.METRIC`."""
    rows = [row for row in table.of(one.model, one.level) if row.grouping == AGAINST_BEST]
    return any(
        (row.group, row.name) == (best, name) and row.verdict in ("equivalent", "better") for row in rows
    )


def _known(value: float | None) -> float:
    return float("inf") if value is None else value
