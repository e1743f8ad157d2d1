"""Everything that the pipeline made and measured for one study, read back from its outs."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pandas as pd

from pocketface.cards import VariantCard, read_card, variant_folder
from pocketface.core import outs
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import made_by
from pocketface.core.hashing import SPLITS
from pocketface.core.settings import Strict
from pocketface.faces.index import INDEX, OK
from pocketface.fetching.sources import Source, load_sources
from pocketface.metrics.groups import GROUPINGS
from pocketface.metrics.measures import Comparison, comparisons
from pocketface.results.measure import read_answers
from pocketface.results.table import FACES, GAP, LATENCY, RESULTS, STANDARDISED, Row, Table
from pocketface.study import Study

NO_SPLIT = "none"
"""What stands for the split of pictures that were not read, where it goes by their content."""


class Latency(Strict):
    """Milliseconds a face, of `runs` runs."""

    min_ms: float
    median_ms: float
    p95_ms: float
    runs: int


class Timing(Strict, extra="allow"):
    """`timings/MODEL/LEVEL.json`, see `pocketface.latency.benchmark`."""

    status: str
    host: dict[str, str | int] = {}
    threads: dict[str, Latency] = {}


@dataclass(frozen=True)
class Variant:
    """One model at one level, with all that is known of it.

    Attributes:
        table: the study's results.
        timing: None where the benchmark has not run.
    """

    model: str
    level: str
    folder: Path
    card: VariantCard
    table: Table
    timing: Timing | None

    @property
    def reason(self) -> str | None:
        """Why the variant does not run, or None when it does."""
        return self.table.reason(self.model, self.level)

    @property
    def latency_ms(self) -> float | None:
        """Median milliseconds a face with one thread."""
        return self.table.value(self.model, self.level, LATENCY)

    @property
    def twin(self) -> str | None:
        """The earlier level whose file is the same, if there is one."""
        return self.table.twin(self.model, self.level)

    @property
    def datasets(self) -> list[str]:
        """What it was measured on, the model's own first."""
        return [row.dataset for row in self.rows(FACES)]

    def row(self, name: str, grouping: str = "", group: str = "") -> Row | None:
        """The row of `DATASET.METRIC`."""
        dataset, _, metric = name.rpartition(".")
        return self.table.get(self.model, self.level, metric, dataset, grouping, group)

    def value(self, name: str, grouping: str = "", group: str = "") -> float | None:
        """The value of `DATASET.METRIC`."""
        row = self.row(name, grouping, group)
        return row.value if row else None

    def rows(self, metric: str | None = None, grouping: str = "") -> list[Row]:
        """The rows of a grouping, of one metric or of all; without a grouping those of all faces."""
        own = self.table.of(self.model, self.level)
        return [row for row in own if row.grouping == grouping and metric in (None, row.metric)]

    def groups(self, name: str, grouping: str) -> dict[str, Row]:
        """Group -> its row of `DATASET.METRIC`, in the grouping's own order and without the gap."""
        order = list(GROUPINGS.get(grouping.removesuffix(STANDARDISED), ()))
        rows = {r.group: r for r in self.rows(grouping=grouping) if r.name == name and r.group != GAP}
        places = {group: order.index(group) if group in order else len(order) for group in rows}
        return {group: rows[group] for group in sorted(rows, key=lambda group: (places[group], group))}

    def pairs(self, compared: Mapping[str, Comparison]) -> dict[str, pd.DataFrame]:
        """Head of classes -> columns `actual` and `predicted`, a row a labelled face; none where none is."""
        pairs = {
            head: pd.DataFrame({"actual": compared[head].truth, "predicted": compared[head].answer}).dropna()
            for head, output in self.card.outputs.items()
            if output.kind == "classes" and head in compared
        }
        return {head: pair for head, pair in pairs.items() if len(pair)}


@dataclass(frozen=True)
class Results:
    """A study and its variants, in the order of the params file.

    Attributes:
        faces: dataset -> its face index, see `pocketface.faces.index`.
        histories: model -> its training history; a model with published weights has none.
        sources: dataset -> where it comes from and under which terms.
    """

    study: Study
    table: Table
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
        table = Table.load(root)
        if list(study.models) != table.models:
            raise PocketfaceError(
                f"{root / RESULTS}: of {', '.join(table.models)}, not of study {study.study}; "
                "make it with `dvc repro`"
            )
        variants, faces, histories = [], {}, {}
        for model, level in product(study.models, study.levels):
            folder, timing = variant_folder(root, model, level), None
            if (path := root / outs.TIMINGS / model / f"{level}.json").is_file():
                with made_by(f"benchmark@{model}", path):
                    timing = Timing.model_validate_json(path.read_bytes())
            variants.append(Variant(model, level, folder, read_card(folder, VariantCard), table, timing))
        for name in study.datasets:
            path = root / outs.FACES / name / INDEX
            with made_by(f"crop_faces@{name}", path, "a face index"):
                index = pd.read_parquet(path)
            faces[name] = index[[one for one in ("split", "status", "same_as", "identity") if one in index]]
        for model in study.models:
            if (path := root / outs.MODELS / model / "history.csv").is_file():
                with made_by(f"train@{model}", path, "a training history"):
                    histories[model] = pd.read_csv(path)
        known = load_sources(root / outs.SOURCES)
        sources = {name: known.dataset(name) for name in study.datasets}
        return cls(study, table, tuple(variants), faces, histories, sources)

    def of(self, model: str) -> list[Variant]:
        """The variants of one model, failed ones included."""
        return [variant for variant in self.variants if variant.model == model]

    def running(self, model: str | None = None) -> list[Variant]:
        """The variants that run, of one model or of all."""
        return [v for v in (self.variants if model is None else self.of(model)) if v.reason is None]

    def distinct(self, model: str | None = None) -> list[Variant]:
        """The variants that run, without those whose file is an earlier level's."""
        return [variant for variant in self.running(model) if variant.twin is None]


def compared(study: Study, variant: Variant, root: Path) -> dict[str, Comparison]:
    """Task -> truth and answers on the datasets that the variant's model learned from."""
    rows = read_answers(root, variant.model, variant.level).predictions
    return comparisons(rows[rows["dataset"].isin(study.trained_on(variant.model))])


def reject_counts(index: pd.DataFrame) -> pd.DataFrame:
    """Pictures per split and status: rows are splits and `all`, columns `ok` first, then why not."""
    counts = pd.crosstab(index["split"].fillna(NO_SPLIT), index["status"])
    order = [split for split in (*SPLITS, NO_SPLIT) if split in counts.index]
    statuses = [OK, *counts.columns.drop(OK, errors="ignore")]
    counts = counts.reindex(index=order, columns=statuses, fill_value=0)
    counts.loc["all"] = counts.sum()
    return counts
