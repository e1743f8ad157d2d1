"""The results table: one row a metric, for report, gate, `choose` and `track` alike.

A row is about all faces of a dataset, or about a group of them (`grouping`, `group`), or a `GAP` between
groups. What is no metric of faces is a row without a dataset: `status` (`ok`, `failed`, `unavailable`; the
reason in `text`), `size_bytes` and `sha256` of the file, the `kernels` it ran on, `latency_ms` and
`latency_ratio` where the benchmark has run. `faces` is a row a dataset, with its split in `text`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd

from pocketface.core import outs
from pocketface.core.files import made_by, written_whole

RESULTS = outs.RESULTS
"""Below the repository's root."""
FLOAT32 = "float32"
"""The level that every other is compared with."""
FACES, STATUS, SIZE, SHA256, KERNELS = "faces", "status", "size_bytes", "sha256", "kernels"
MIN_RUNTIME, ARENA = "min_runtime", "arena_bytes"
"""The oldest runtime that runs the file; the memory that TensorFlow Lite Micro needs for its tensors."""
LATENCY, LATENCY_RATIO = "latency_ms", "latency_ratio"
"""Median milliseconds a face with one thread, and its ratio to float32's in the same run."""

AGAINST_BEST = "against best"
"""A grouping whose group is a model: the changes of its rows are against that model's float32."""
STANDARDISED = ", age-standardised"
"""The ending of a grouping whose values are weighed so that all groups have the same ages."""
GAP = "gap"
"""A group of every grouping: the best group less the worst, which `text` names."""


KEY = ("model", "level", "metric", "dataset", "grouping", "group")
"""The fields of a row that say what it is about."""


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one variant.

    Attributes:
        model, level, metric, dataset, grouping, group: what it is about; no grouping is all faces.
        main: whether the metric stands for one of the model's heads on its own dataset.
        n: faces it was taken over.
        value, low, high: in the metric's unit, with the 95% interval.
        constant: the same metric for the best constant answer.
        change, change_low, change_high, p, detectable, verdict: against the same model's float32 on the same
            faces, see `pocketface.metrics.confidence`; none for float32 itself.
        text: of a status its reason, of `faces` the split, of a gap the two groups, of a hash itself.
    """

    model: str
    level: str
    metric: str
    dataset: str = ""
    grouping: str = ""
    group: str = ""
    main: bool = False
    n: int | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    constant: float | None = None
    change: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    p: float | None = None
    detectable: float | None = None
    verdict: str | None = None
    text: str | None = None

    @property
    def name(self) -> str:
        """`DATASET.METRIC`, or of a row without a dataset its metric."""
        return f"{self.dataset}.{self.metric}" if self.dataset else self.metric

    @property
    def could_show(self) -> float | None:
        """Of a change that these faces cannot tell, the smallest one that they could show."""
        return self.detectable if self.verdict == "cannot tell" else None


@dataclass(frozen=True)
class Table:
    """All rows, in the order of models, levels, datasets (a model's own first) and metrics."""

    rows: tuple[Row, ...]

    @classmethod
    def load(cls, root: Path = Path()) -> "Table":
        """What `dvc repro` left below a repository's root, with its timings.

        Raises:
            PocketfaceError: there is no table, or it or a timing is damaged.
        """
        rows = [*cls.read(root / RESULTS).rows]
        for model, level in dict.fromkeys((row.model, row.level) for row in rows):
            if (path := root / outs.TIMINGS / model / f"{level}.json").is_file():
                with made_by(f"benchmark@{model}", path):
                    rows += latencies(model, level, json.loads(path.read_text(encoding="utf-8")))
        return cls(tuple(rows))

    @classmethod
    def read(cls, path: Path) -> "Table":
        """Reads a table's file.

        Raises:
            PocketfaceError: there is none, or it is not one.
        """
        with made_by("results", path, "a results table"):
            frame = pd.read_parquet(path)
            frame["n"] = frame["n"].astype("Int64")
            columns = frame.astype(object).where(frame.notna(), None).to_dict("list")
            ordered = [columns[field.name] for field in fields(Row)]
        return cls(tuple(Row(*values) for values in zip(*ordered, strict=True)))

    def write(self, path: Path) -> None:
        """Writes the table's file, whose bytes repeat."""
        names = [field.name for field in fields(Row)]
        frame = pd.DataFrame(map(attrgetter(*names), self.rows), columns=names)
        numbers = frame.columns.drop([*KEY, "main", "verdict", "text"])
        with written_whole(path) as partial:
            frame.astype(dict.fromkeys(numbers, float)).to_parquet(partial, index=False)

    def get(
        self, model: str, level: str, metric: str, dataset: str = "", grouping: str = "", group: str = ""
    ) -> Row | None:
        """One row."""
        return self._by_key.get((model, level, metric, dataset, grouping, group))

    def value(self, *key: str) -> float | None:
        """The value of one row, see `get`."""
        row = self.get(*key)
        return row.value if row else None

    def of(self, model: str, level: str) -> list[Row]:
        """A variant's rows."""
        return self._by_variant.get((model, level), [])

    @property
    def models(self) -> list[str]:
        """In the study's order."""
        return list(dict.fromkeys(row.model for row in self.rows))

    def levels(self, model: str) -> list[str]:
        """Of a model, those that failed included."""
        return [level for name, level in self._by_variant if name == model]

    def reason(self, model: str, level: str) -> str | None:
        """Why a variant does not run, or None when it does."""
        status = self.get(model, level, STATUS)
        return status.text if status else "not made"

    def twin(self, model: str, level: str) -> str | None:
        """The earlier level whose file is the same, if there is one."""
        hashes = {name: row.text for name in self.levels(model) if (row := self.get(model, name, SHA256))}
        same = [name for name, text in hashes.items() if text and text == hashes.get(level)]
        return same[0] if same and same[0] != level else None

    def mains(self, model: str) -> list[str]:
        """`DATASET.METRIC` for each of a model's heads: of a number its mean error, of classes their
        accuracy.
        """
        rows = (row for level in self.levels(model) for row in self.of(model, level))
        return list(dict.fromkeys(row.name for row in rows if row.main and not row.grouping))

    @cached_property
    def _by_key(self) -> dict[tuple[str, ...], Row]:
        about = attrgetter(*KEY)
        return {about(row): row for row in self.rows}

    @cached_property
    def _by_variant(self) -> dict[tuple[str, str], list[Row]]:
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            found.setdefault((row.model, row.level), []).append(row)
        return found


def latencies(model: str, level: str, timed: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of what `latency.benchmark` says of a variant; none of one that does not run."""
    if one := timed.get("threads", {}).get("1"):
        yield Row(model, level, LATENCY, value=float(one["median_ms"]))
        if timed.get("float32_ratio") is not None:
            yield Row(model, level, LATENCY_RATIO, value=float(timed["float32_ratio"]))
