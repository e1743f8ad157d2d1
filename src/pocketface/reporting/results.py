"""Everything that the pipeline measured for one study, read back from its outs.

results = Results.load(study, root)
for variant in results.of("age_gender"):
    variant.level, variant.reason, variant.figures
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from pocketface.cards import VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import main_metric
from pocketface.faces.index import INDEX, OK
from pocketface.fetching.sources import SOURCES, Source, load_sources
from pocketface.study import Study

FLOAT32 = "float32"
"""The level that every other is compared with."""
NO_SPLIT = "none"
"""What stands for the split of pictures that were not read, where it goes by their content."""

T = TypeVar("T", bound=BaseModel)


class GroupMetrics(BaseModel):
    """Metrics of one group of faces: `n` and whatever the group's labels allow."""

    model_config = ConfigDict(extra="allow", frozen=True)
    n: int

    @property
    def metrics(self) -> dict[str, float]:
        """Metric -> value."""
        return self.model_extra or {}


class DatasetMetrics(BaseModel):
    """What a variant reached on one dataset.

    Attributes:
        n: faces that were measured.
        intervals: metric -> its 95% interval.
        baseline: the same metrics for answering without looking.
        by_group: grouping -> group -> metrics.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    split: str | None = None
    n: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = {}
    faces_rejected: dict[str, int] = {}
    baseline: dict[str, float] = {}
    by_group: dict[str, dict[str, GroupMetrics]] = {}


class Evaluation(BaseModel):
    """`evaluation/MODEL/LEVEL/metrics.json`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    status: str
    reason: str | None = None
    kernels: str | None = None
    datasets: dict[str, DatasetMetrics] = {}


class Latency(BaseModel):
    """Milliseconds a face, of `runs` runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_ms: float
    median_ms: float
    p95_ms: float
    runs: int


class Timing(BaseModel):
    """`timings/MODEL/LEVEL.json`, see `pocketface.latency.benchmark`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    status: str
    host: dict[str, str | int] = {}
    threads: dict[str, Latency] = {}
    float32_ratio: float | None = None


class Timings(BaseModel):
    """A report's `timings.json`: model -> level -> threads -> median milliseconds a face; and where."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: dict[str, str | int]
    models: dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Variant:
    """One model at one level, with all that is known of it.

    Attributes:
        predictions: the parquet file with one row per evaluated face.
        timing: None where the benchmark has not run.
    """

    model: str
    level: str
    folder: Path
    card: VariantCard
    evaluation: Evaluation
    predictions: Path
    timing: Timing | None

    @property
    def reason(self) -> str | None:
        """Why the variant failed, or None when it runs."""
        if self.card.status != "ok":
            return self.card.reason or "not converted"
        return None if self.evaluation.status == "ok" else self.evaluation.reason or "not evaluated"

    @property
    def latency_ms(self) -> float | None:
        """Median milliseconds a face with one thread."""
        one = self.timing.threads.get("1") if self.timing else None
        return one.median_ms if one else None

    @property
    def figures(self) -> dict[str, float]:
        """Everything but timings that `check` compares: `DATASET.METRIC`, `DATASET.n`, `size_bytes`."""
        if self.reason is not None:
            return {}
        figures: dict[str, float] = {}
        for dataset, measured in self.evaluation.datasets.items():
            figures[f"{dataset}.n"] = measured.n
            figures |= {f"{dataset}.{metric}": value for metric, value in measured.metrics.items()}
        if self.card.size_bytes is not None:
            figures["size_bytes"] = self.card.size_bytes
        return figures


@dataclass(frozen=True)
class Results:
    """A study and its variants, in the order of the params file.

    Attributes:
        faces: dataset -> its face index, see `pocketface.faces.index`.
        histories: model -> its training history; a model with published weights has none.
        sources: dataset -> where it comes from and under which terms.
    """

    study: Study
    variants: tuple[Variant, ...]
    faces: Mapping[str, pd.DataFrame]
    histories: Mapping[str, pd.DataFrame]
    sources: Mapping[str, Source]

    @classmethod
    def load(cls, study: Study, root: Path = Path()) -> "Results":
        """Reads the outs below `root`.

        Raises:
            PocketfaceError: one is missing or damaged; timings and histories may be missing.
        """
        variants = tuple(read_variant(root, model, level) for model in study.models for level in study.levels)
        faces = {name: _read_index(root / "data/faces" / name) for name in study.datasets}
        histories = {
            model: _read_history(path)
            for model in study.models
            if (path := root / "models" / model / "history.csv").is_file()
        }
        known = load_sources(root / SOURCES)
        sources = {name: known.dataset(name) for name in study.datasets}
        return cls(study, variants, faces, histories, sources)

    @cached_property
    def _by_model(self) -> dict[str, list[Variant]]:
        found: dict[str, list[Variant]] = {model: [] for model in self.study.models}
        for variant in self.variants:
            found[variant.model].append(variant)
        return found

    def of(self, model: str) -> list[Variant]:
        """The variants of one model, failed ones included."""
        return self._by_model[model]

    def float32(self, model: str) -> Variant | None:
        """What a model's other variants are compared with, where the study has it and it runs."""
        runs = [variant for variant in self.of(model) if variant.level == FLOAT32 and not variant.reason]
        return runs[0] if runs else None

    def running(self, model: str | None = None) -> list[Variant]:
        """The variants that run, of one model or of all."""
        return [v for v in (self.variants if model is None else self.of(model)) if v.reason is None]

    def measured(self, model: str) -> dict[str, DatasetMetrics]:
        """Dataset -> metrics of the first of a model's variants that runs, the model's own datasets first."""
        own = self.study.trained_on(model)
        datasets = next((v.evaluation.datasets for v in self.running(model)), {})
        first = [name for name in own if name in datasets]
        return {name: datasets[name] for name in (*first, *sorted(set(datasets) - set(first)))}

    def main_figures(self, model: str) -> list[str]:
        """What stands for each of a model's tasks: MAE of a number, accuracy of classes.

        Of the model's own dataset; of a mix, the first one that has the label. Of an age that only bands are
        known of, their accuracy.
        """
        measured, own = self.measured(model), self.study.trained_on(model)
        figures = []
        for head in self.of(model)[0].card.outputs:
            metrics = [main_metric(head), *(["age_band_accuracy"] if head == "age" else [])]
            labelled = [
                f"{name}.{metric}"
                for metric in metrics
                for name in own
                if name in measured and metric in measured[name].metrics
            ]
            figures.append((labelled or [f"{own[0]}.{metrics[0]}"])[0])
        return figures


def read_variant(root: Path, model: str, level: str) -> Variant:
    """Reads what there is of one variant below `root`.

    Raises:
        PocketfaceError: its card or its evaluation is missing or damaged.
    """
    folder = root / "variants" / model / level
    evaluation = root / "evaluation" / model / level
    timing = root / "timings" / model / f"{level}.json"
    return Variant(
        model=model,
        level=level,
        folder=folder,
        card=read_card(folder, VariantCard),
        evaluation=_read(evaluation / "metrics.json", Evaluation, f"evaluate@{model}-{level}"),
        predictions=evaluation / "predictions.parquet",
        timing=_read(timing, Timing, f"benchmark@{model}") if timing.is_file() else None,
    )


Predictions = Mapping[tuple[str, str], pd.DataFrame]
"""(model, level) -> see `read_predictions`."""


def all_predictions(results: Results) -> dict[tuple[str, str], pd.DataFrame]:
    """Those of every variant that runs."""
    return {(v.model, v.level): read_predictions(v) for v in results.running()}


def read_predictions(variant: Variant) -> pd.DataFrame:
    """One row per evaluated face: `dataset`, `image`, the truth and, as `…_pred`, the answers.

    Raises:
        PocketfaceError: there is no such file, or it is damaged.
    """
    try:
        return pd.read_parquet(variant.predictions)
    except (OSError, ValueError) as error:
        raise PocketfaceError(
            f"{variant.predictions}: not readable ({error}); "
            f"make it with `dvc repro evaluate@{variant.model}-{variant.level}`"
        ) from None


def reject_counts(index: pd.DataFrame) -> pd.DataFrame:
    """Pictures per split and status: rows are splits and `all`, columns `ok` first, then why not."""
    counts = pd.crosstab(index["split"].fillna(NO_SPLIT), index["status"])
    rejected = sorted(status for status in counts.columns if status != OK)
    order = [split for split in ("train", "val", "test", NO_SPLIT) if split in counts.index]
    counts = counts.reindex(index=order, columns=[OK, *rejected], fill_value=0)
    counts.loc["all"] = counts.sum()
    return counts


def _read(path: Path, kind: type[T], stage: str) -> T:
    try:
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise PocketfaceError(f"{path}: no such file; make it with `dvc repro {stage}`") from None
    except (ValidationError, ValueError) as error:
        raise PocketfaceError(f"{path}: not what `{stage}` writes: {error}") from None


def _read_index(folder: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(folder / INDEX, columns=["split", "status", "same_as"])
    except (OSError, ValueError) as error:
        raise PocketfaceError(
            f"{folder / INDEX}: not a face index ({error}); make it with `dvc repro crop_faces@{folder.name}`"
        ) from None


def _read_history(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise PocketfaceError(f"{path}: not a training history ({error})") from None
