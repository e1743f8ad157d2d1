"""What a study answered, kept to be compared with: `baselines/STUDY.yaml` and
`baselines/STUDY/MODEL.parquet`.

    rules:
      moved: 0.01               # share of answers that may differ where the weights are the same
      floors: {utkface.gender_accuracy: 0.9}
    variants:
      age_gender/int8: {size_bytes: 301904, operators: {CONV_2D: 12}, ...}

People write the rules, `pocketface check --update` all else.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import yaml
from pydantic import Field, ValidationError

from pocketface.cards import VariantCard, read_card
from pocketface.core import outs, params
from pocketface.core.errors import PocketfaceError, refusing
from pocketface.core.files import rounded, sha256, write_text, written_whole
from pocketface.core.settings import Strict
from pocketface.gate import answers
from pocketface.metrics.settings import Margins
from pocketface.published import WEIGHTS
from pocketface.results.measure import read_answers
from pocketface.results.table import LATENCY_RATIO, RESULTS, Table
from pocketface.study import Study

Share = Annotated[float, Field(ge=0, le=1)]

HEADER = """\
# What `pocketface check` compares study `{study}` with. People write `rules` (docs/gate.md),
# `pocketface check --update` the rest, and the answers to every face in {study}/.
"""


class Amount(Strict):
    """Of answers that are numbers, in their unit, and of classes."""

    years: Annotated[float, Field(ge=0)]
    share: Share

    def times(self, factor: float) -> "Amount":
        """So many times as much."""
        return Amount(years=factor * self.years, share=min(factor * self.share, 1))


class Rules(Strict):
    """What is asked of a study.

    Attributes:
        faces: share of a dataset's faces that may appear, vanish or look otherwise; one face always may.
        moved: of weights that are the same, share of a level's answers that may differ on the same faces: a
            class that changed, a number that moved by more than a unit; one answer always may.
        drift: of weights that are the same, how far an answer may move on the mean: a number, or the
            probability of a class.
        agreement: how much further a level may be from its float32: the mean difference of a number, the
            share of faces with another class.
        retrained: how much worse a metric may become in another training; the intervals of both come on top.
        size: change of a file's size that is allowed, a share of it.
        latency: how much larger the ratio to float32's time may become; null asks nothing.
        floors, ceilings: `DATASET.METRIC` or `size_bytes`, of one level with `LEVEL/` in front, of a variant
            with `MODEL/LEVEL/` -> the least and the most it may be, whatever the baseline says.
        margins: changes within these are none.
    """

    faces: Share = 0.02
    moved: Share = 0.01
    drift: Amount = Amount(years=0.4, share=0.01)
    agreement: Amount = Amount(years=0.25, share=0.02)
    retrained: Amount = Amount(years=1.5, share=0.1)
    size: Share = 0.05
    latency: Annotated[float, Field(ge=0)] | None = None
    floors: dict[str, float] = {}
    ceilings: dict[str, float] = {}
    margins: Margins = Margins()


class NoBaseline(PocketfaceError):
    """A study has none yet, or one that was written before answers were kept.

    Attributes:
        rules: to start with: the defaults, with the floors and ceilings of an earlier one.
    """

    def __init__(self, told: str, rules: Rules):
        super().__init__(told)
        self.rules = rules


class Facts(Strict):
    """What a baseline keeps of a variant's file.

    Attributes:
        status: `ok`, or why there is no file.
        weights: hash of the model's weights.
        heads: head -> its classes, in order.
        made: how, as its card says: `maker`, `per_channel`, `rounding`, `ranges`, and `calibration`, the
            number of faces and the hash of their names.
        latency_ratio: to float32's time.
    """

    status: str = "ok"
    sha256: str | None = None
    size_bytes: int | None = None
    operators: dict[str, int] = {}
    weight_dtypes: list[str] = []
    min_runtime: str | None = None
    weights: str | None = None
    heads: dict[str, list[str]] = {}
    made: dict[str, str] = {}
    latency_ratio: float | None = None


class _Kept(Strict):
    """A baseline's file."""

    rules: Rules = Rules()
    variants: dict[str, Facts] = {}


@dataclass(frozen=True)
class Baseline:
    """Answers and facts of a study's variants.

    Attributes:
        variants: `MODEL/LEVEL` -> facts.
        answers: see `pocketface.gate.answers`.
        results: the results table, of now; None of a baseline.
    """

    rules: Rules
    variants: dict[str, Facts]
    answers: pd.DataFrame
    results: Table | None = None

    @classmethod
    def of_outs(cls, study: Study, root: Path, rules: Rules) -> "Baseline":
        """What `dvc repro` left; raises a `PocketfaceError` where that is missing or damaged."""
        table = Table.load(root)
        variants, parts = {}, []
        for model in table.models:
            for level in table.levels(model):
                variants[f"{model}/{level}"] = _facts(table, root, model, level, rules)
                if table.reason(model, level) is None:
                    told = read_answers(root, model, level).predictions
                    parts.append(answers.of_predictions(model, level, told))
        if not parts:
            raise PocketfaceError(f"{root / RESULTS}: no variant runs; nothing to compare")
        return cls(rules, variants, pd.concat(parts, ignore_index=True), table)

    @classmethod
    def read(cls, study: str, root: Path = Path()) -> "Baseline":
        """Reads a study's baseline.

        Raises:
            NoBaseline: there is none.
            PocketfaceError: it is damaged.
        """
        path = root / baseline_path(study)
        if not path.is_file():
            told = f"{path}: no baseline for study {study}; `pocketface check --update` makes one"
            raise NoBaseline(told, Rules())
        with refusing(f"{path}: not a baseline", ValueError):
            found = params.parse(path.read_text(encoding="utf-8")) or {}
            if not isinstance(found, dict):
                raise ValueError("not a mapping of rules and variants")
        found = {name: value for name, value in found.items() if value is not None}
        earlier = "models" in found
        try:
            kept = _Kept.model_validate({"rules": _limits(found.get("rules"))} if earlier else found)
        except ValidationError as error:
            raise PocketfaceError(f"{path}: {params.explained(error)}") from None
        if earlier:
            told = f"{path}: a baseline of an earlier release, without answers"
            raise NoBaseline(f"{told}; `pocketface check --update` takes it over", kept.rules)
        tables = [answers.read(part) for part in sorted(path.with_suffix("").glob("*.parquet"))]
        if not tables:
            raise PocketfaceError(f"{path.with_suffix('')}: no answers in it; restore it from git")
        table = pd.concat(tables, ignore_index=True)
        answered = set(table["model"] + "/" + table["level"])
        if apart := answered ^ {name for name, facts in kept.variants.items() if facts.status == "ok"}:
            raise PocketfaceError(
                f"{path}: {min(apart)} has not both facts here and answers in {path.with_suffix('')}; "
                "restore both from git"
            )
        return cls(kept.rules, kept.variants, table)

    def write(self, study: str, root: Path = Path()) -> None:
        """Writes the baseline; the text of rules that people wrote stays as it is."""
        path = root / baseline_path(study)
        earlier = path.read_text(encoding="utf-8") if path.is_file() else ""
        head = earlier.partition("\nvariants:\n")[0] + "\n"
        if "\nvariants:\n" not in earlier or "\nrules:" not in f"\n{head}":
            rules = self.rules.model_dump(exclude_defaults=True)
            head = HEADER.format(study=study) + yaml.safe_dump({"rules": rules}, sort_keys=False)
        facts = {name: facts.model_dump(exclude_defaults=True) for name, facts in self.variants.items()}
        kept = {"variants": rounded(facts)}
        write_text(path, head + yaml.safe_dump(kept, sort_keys=False, default_flow_style=None, width=110))
        with written_whole(path.with_suffix(""), folder=True) as folder:
            for model, own in self.answers.groupby("model"):
                answers.write(own, folder / f"{model}.parquet")


def _limits(rules: object) -> dict[str, dict[str, Any]]:
    """The floors and ceilings among the rules of an earlier release: `METRIC: {tolerance: 1, floor: 0.9}`."""
    own = [
        (n, rule) for n, rule in (rules.items() if isinstance(rules, dict) else ()) if isinstance(rule, dict)
    ]
    return {f"{end}s": {name: rule[end] for name, rule in own if end in rule} for end in ("floor", "ceiling")}


def baseline_path(study: str) -> Path:
    """Where the baseline of a study is, relative to the repository."""
    return outs.BASELINES / f"{study}.yaml"


def _facts(table: Table, root: Path, model: str, level: str, rules: Rules) -> Facts:
    if (reason := table.reason(model, level)) is not None:
        return Facts(status=reason)
    card = read_card(root / outs.VARIANTS / model / level, VariantCard)
    made = {name: getattr(card, name) for name in ("maker", "per_channel", "rounding", "ranges")}
    if card.calibration_faces:
        made["calibration"] = f"{card.calibration_faces} faces, {(card.calibration_sha256 or '')[:12]}"
    weights = root / outs.MODELS / model / WEIGHTS
    return Facts(
        sha256=card.sha256,
        size_bytes=card.size_bytes,
        operators=card.operators,
        weight_dtypes=sorted(card.weight_dtypes),
        min_runtime=card.min_runtime,
        weights=sha256(weights)[:12] if weights.is_file() else None,
        heads={head: list(output.labels) for head, output in card.outputs.items()},
        made={name: str(value) for name, value in made.items() if value is not None},
        latency_ratio=None if rules.latency is None else table.value(model, level, LATENCY_RATIO),
    )
