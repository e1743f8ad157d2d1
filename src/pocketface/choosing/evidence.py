"""What is known of a study's variants: from the graph's outs, or from a report that was committed.

    evidence = open_evidence(study, Path("reports/full"))
    evidence.variants
    evidence.difference(one, other, "utkface.age_mae")      # a Change, or None where it cannot be told

The outs hold every face's answer, so any two variants can be compared on the same faces. A report holds the
comparisons with float32 only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pocketface.choosing.rule import Measured
from pocketface.core.errors import PocketfaceError
from pocketface.evaluation.confidence import Change, Sample, paired, resample
from pocketface.reporting.quantities import loss
from pocketface.reporting.results import FLOAT32, Timings, Variant, read_predictions, read_variant
from pocketface.study import Study

T = TypeVar("T")


class Evidence(Protocol):
    """Variants, and how much two of them differ."""

    @property
    def variants(self) -> Sequence[Measured]:
        """Those of the study, failed ones included."""

    def difference(self, one: Measured, other: Measured, figure: str) -> Change | None:
        """`one` less `other` on the same faces; None where that cannot be told from here."""


def open_evidence(study: Study, place: Path) -> Evidence:
    """Reads what is known of a study's variants.

    Args:
        study: the params.
        place: the folder of a report, `reports/STUDY`, or a repository. Of a repository in which the study
            was not run, the report is taken.

    Raises:
        PocketfaceError: there is neither, or something in it is damaged.
    """
    report = place / "reports" / study.study
    if (place / "metrics.json").is_file():
        return Report.read(study, place)
    if (place / "evaluation").is_dir() or not (report / "metrics.json").is_file():
        return Outs.read(study, place)
    return Report.read(study, report)


@dataclass(frozen=True)
class Outs:
    """The outs of the graph."""

    variants: tuple[Variant, ...]
    _samples: dict[tuple[str, str, str], tuple[pd.Series, Sample]] = field(default_factory=dict)

    @classmethod
    def read(cls, study: Study, root: Path) -> "Outs":
        """Reads the outs below `root`.

        Raises:
            PocketfaceError: one is missing or damaged.
        """
        return cls(
            tuple(read_variant(root, model, level) for model in study.models for level in study.levels)
        )

    def difference(self, one: Measured, other: Measured, figure: str) -> Change | None:
        """The paired comparison, see `pocketface.evaluation.confidence`; None of different faces."""
        dataset, _, metric = figure.partition(".")
        (faces, sample), (their_faces, their_sample) = (self._sample(v, dataset) for v in (one, other))
        return paired(sample, their_sample)[metric] if faces.equals(their_faces) else None

    def _sample(self, wanted: Measured, dataset: str) -> tuple[pd.Series, Sample]:
        """The names of a variant's faces, and its metrics of draws from them."""
        key = (wanted.model, wanted.level, dataset)
        if key not in self._samples:
            variant = next(v for v in self.variants if (v.model, v.level) == key[:2])
            rows = read_predictions(variant)
            rows = rows[rows["dataset"] == dataset].dropna(axis=1, how="all").reset_index(drop=True)
            self._samples[key] = rows["image"], resample(rows)
        return self._samples[key]


@dataclass(frozen=True)
class Reported:
    """A variant as a report tells of it."""

    model: str
    level: str
    reason: str | None
    figures: Mapping[str, float]
    latency_ms: float | None


class Changed(BaseModel):
    """An entry of `changes.json`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    change: float
    interval: tuple[float, float]
    p_value: float | None = None


@dataclass(frozen=True)
class Report:
    """What a report holds for programs: `metrics.json`, which git keeps, and where it was made `changes.json`
    and `timings.json`."""

    variants: tuple[Reported, ...]
    changes: Mapping[str, Mapping[str, Mapping[str, Changed]]]

    @classmethod
    def read(cls, study: Study, folder: Path) -> "Report":
        """Reads a report.

        Raises:
            PocketfaceError: a file is missing or damaged, or it is a report on other models.
        """
        metrics = _read(folder / "metrics.json", dict[str, dict[str, dict[str, float | str]]])
        compared, timings = folder / "changes.json", folder / "timings.json"
        changes = _read(compared, dict[str, dict[str, dict[str, Changed]]]) if compared.is_file() else {}
        timed = _read(timings, Timings).models if timings.is_file() else {}
        if strange := sorted(set(metrics) - set(study.models)):
            raise PocketfaceError(
                f"{folder / 'metrics.json'}: tells of {', '.join(strange)}, which study {study.study} has "
                "not; name the params file with --study"
            )
        variants = tuple(
            _reported(model, level, told, timed.get(model, {}).get(level, {}))
            for model, levels in metrics.items()
            for level, told in levels.items()
        )
        return cls(variants, changes)

    def difference(self, one: Measured, other: Measured, figure: str) -> Change | None:
        """What the report says of the two, where one of them is the other's float32."""
        if one.model != other.model or FLOAT32 not in (one.level, other.level):
            return None
        level, sign = (other.level, -1) if one.level == FLOAT32 else (one.level, 1)
        told = self.changes.get(one.model, {}).get(level, {}).get(figure)
        if told is None:
            return None
        low, high = sorted(sign * end for end in told.interval)
        p = 1.0 if told.p_value is None else told.p_value
        return Change(sign * told.change, low, high, p, loss=loss(figure, sign * told.change))


def _reported(
    model: str, level: str, told: Mapping[str, float | str], medians: Mapping[str, float]
) -> Reported:
    reason = told.get("reason") or told.get("status")
    figures = {name: value for name, value in told.items() if not isinstance(value, str)}
    return Reported(model, level, None if reason is None else str(reason), figures, medians.get("1"))


def _read(path: Path, kind: type[T]) -> T:
    try:
        return TypeAdapter(kind).validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PocketfaceError(f"{path}: no such file; `dvc repro report` writes it") from None
    except (ValidationError, ValueError) as error:
        raise PocketfaceError(f"{path}: not what `report` writes: {error}") from None
