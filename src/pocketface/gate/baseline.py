"""`baselines/STUDY.yaml`: what a study reached, and the rules for what it may reach next.

    rules:
      accuracy: {tolerance: 0.01, noise: 1, gap: 0.05, growth: 0.01}   # a share: 0.01 is one percentage point
      size_bytes: {tolerance: 5%}                                      # of the size in the baseline
      utkface.age_mae: {ceiling: 7.5}                                  # years
      int8/size_bytes: {ceiling: 500000}
    models:
      age_gender:
        int8: {size_bytes: 301904, utkface.n: 3025, utkface.age_mae: 6.39502, ...}
        int16x8: "failed: no kernel for CONV_2D"

A rule is for a kind of figure (`mae`), a metric (`age_mae`) or a figure (`utkface.age_mae`), at every level,
at one (`int8/mae`) or of one variant (`age_gender/int8/mae`). The more specific rule wins, field by field.
A kind that has no rule in the file gets the default one; a figure of no kind may not change.
People write the rules; `pocketface check --update` writes `models`.
"""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, TypeAdapter

from pocketface.core import outs, params
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import rounded, written_whole
from pocketface.core.settings import Strict
from pocketface.metrics.naming import QUANTITIES, kind_of, quantity_of
from pocketface.results.table import FACES, RESULTS, SIZE, Table

FAILED = "failed"
"""In place of figures, with the reason behind it: this level cannot be made or run."""
UNAVAILABLE = "unavailable"
"""The same: the model's weights could not be fetched here, which says nothing about the model."""

HEADER = """\
# What `check` compares study `{study}` with. People write `rules`, `pocketface check --update` the rest.
# tolerance: allowed change, up or down; a percentage is of the value in `models`. noise: but at least so many
# standard errors, and one face. gap, growth: how much worse than float32 a figure may be, and how much more
# so than before. floor, ceiling: never below, never above. docs/gate.md tells the rest.
"""

GAPS = {"mae": (1.0, 0.15), "cs5": (0.05, 0.01), "accuracy": (0.05, 0.01), "f1": (0.1, 0.02)}
"""Kind -> default `gap` and `growth`."""


def _a_tolerance(value: float | str) -> float | str:
    if isinstance(value, str):
        try:
            share = float(value.removesuffix("%"))
        except ValueError:
            share = -1
        if not value.endswith("%") or not share >= 0:
            raise ValueError(f"{value!r} is neither a number nor a percentage such as 5%")
    return value


Amount = Annotated[float, Field(ge=0)]
Tolerance = Annotated[Amount | str, AfterValidator(_a_tolerance)]
Figures = dict[str, int | float]
Failed = Annotated[str, StringConstraints(pattern=rf"^({FAILED}|{UNAVAILABLE})(: |$)")]
Variants = dict[str, dict[str, Figures | Failed]]
"""Model -> level -> figures, or `failed: REASON` or `unavailable: REASON`."""
_VARIANTS: TypeAdapter[Variants] = TypeAdapter(Variants, config=ConfigDict(allow_inf_nan=False))


class NoBaseline(PocketfaceError):
    """A study has none yet."""


class Rule(Strict):
    """What is asked of a figure; what is null is not asked.

    Attributes:
        tolerance: the change from the baseline that is allowed, up or down, in the figure's unit.
        noise: however small the tolerance, so many standard errors are allowed, and if it is not 0 one face
            more or less. See `noise_of`.
        gap: how much worse than the same model's float32 it may be.
        growth: how much wider that gap may be than it was in the baseline.
        floor, ceiling: the least and the most it may be, whatever the baseline says.
    """

    tolerance: Tolerance | None = None
    noise: Amount | None = None
    gap: Amount | None = None
    growth: Amount | None = None
    floor: float | None = None
    ceiling: float | None = None


class Baseline(Strict):
    """`baselines/STUDY.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    rules: dict[str, Rule]
    models: Variants

    def rule(self, model: str, level: str, figure: str) -> Rule:
        """The rule of one figure: what the names that fit it say, the most specific last."""
        kind = kind_of(figure)
        merged: dict[str, object] = {}
        if kind is not None and kind not in self.rules:
            merged |= default_rules()[kind].model_dump(exclude_unset=True)
        for name in _names(model, level, figure):
            if name in self.rules:
                merged |= self.rules[name].model_dump(exclude_unset=True)
        return Rule.model_validate(merged)


def _names(model: str, level: str, figure: str) -> list[str]:
    """The names of the rules that fit a figure, the most general first."""
    own = [name for name in (kind_of(figure), figure.partition(".")[2], figure) if name]
    return [scope + name for scope in ("", f"{level}/", f"{model}/{level}/") for name in dict.fromkeys(own)]


def noise_of(figure: str, figures: Mapping[str, float]) -> tuple[float, float]:
    """How much a figure varies by chance: `(standard error, what one face makes)`, 0 where it is not known.

    Where the report has a 95% bootstrap interval (`FIGURE_low`, `FIGURE_high`), the standard error is half of
    it over 1.96. Else it is estimated from the number of faces n: of a share p, sqrt(p (1 - p) / n), that of
    the binomial distribution; of a mean absolute error m, m / sqrt(n), which holds for exponential errors and
    is more than for normal ones.
    """
    value, n = figures[figure], figures.get(f"{figure.rpartition('.')[0]}.n", 0)
    low, high = figures.get(f"{figure}_low"), figures.get(f"{figure}_high")
    share = quantity_of(figure).unit == "share"
    if n <= 0:
        return 0.0, 0.0
    if low is not None and high is not None:
        error = abs(high - low) / 2 / 1.96
    elif share:
        error = math.sqrt(max(value * (1 - value), 0) / n)
    else:
        error = value / math.sqrt(n) if kind_of(figure) == "mae" else 0.0
    return error, 1 / n if share else 0.0


def is_interval_end(figure: str, figures: Mapping[str, float]) -> bool:
    """Whether a figure is one end of another's interval: it tells noise and is not compared itself."""
    return any(figure.endswith(end) and figure.removesuffix(end) in figures for end in ("_low", "_high"))


def default_rules() -> dict[str, Rule]:
    """The rule of every kind of figure."""
    rules = {}
    for kind, quantity in QUANTITIES.items():
        tolerance = f"{100 * quantity.tolerance:g}%" if quantity.relative else quantity.tolerance
        fields: dict[str, object] = {"tolerance": tolerance}
        if quantity.better != "same" and not quantity.relative:
            fields["noise"] = 1
        if kind in GAPS:
            fields["gap"], fields["growth"] = GAPS[kind]
        rules[kind] = Rule.model_validate(fields)
    return rules


def baseline_path(study: str, root: Path = Path()) -> Path:
    """Where the baseline of a study is."""
    return root / outs.BASELINES / f"{study}.yaml"


def read_baseline(study: str, root: Path = Path(), now: Variants | None = None) -> Baseline:
    """Reads a study's baseline.

    Args:
        study, root: whose and where.
        now: figures that rules may name besides the baseline's own.

    Raises:
        NoBaseline: there is none.
        PocketfaceError: it is not one, or a rule fits no figure.
    """
    path = baseline_path(study, root)
    if not path.exists():
        raise NoBaseline(
            f"{path}: no baseline for study {study}; make one with `pocketface check --update` and commit it"
        )
    baseline = params.part(Baseline, path=path)
    known = set(QUANTITIES) | _all_names(baseline.models) | _all_names(now or {})
    if unknown := sorted(set(baseline.rules) - known):
        raise PocketfaceError(f"{path}: rules.{unknown[0]}: fits no figure of the study; is it misspelt?")
    return baseline


def _all_names(variants: Variants) -> set[str]:
    return {
        name
        for model, levels in variants.items()
        for level, figures in levels.items()
        for figure in (figures if isinstance(figures, dict) else ())
        for name in _names(model, level, figure)
    }


def read_figures(root: Path = Path()) -> Variants:
    """What was measured, from the results table.

    Raises:
        PocketfaceError: there is no table, or it is damaged.
    """
    table = Table.read(root / RESULTS)
    return {
        model: {level: _figures_or_failed(table, model, level) for level in table.levels(model)}
        for model in table.models
    }


def _figures_or_failed(table: Table, model: str, level: str) -> Figures | str:
    if (reason := table.reason(model, level)) is not None:
        return reason
    figures: Figures = {}
    for row in table.of(model, level):
        if row.value is not None and not row.grouping and (row.dataset or row.metric == SIZE):
            figures[f"{row.dataset}.n" if row.metric == FACES else row.name] = row.value
    return figures


def update(study: str, root: Path = Path()) -> str:
    """Takes the report's figures over into the baseline; its rules stay, or start with the defaults.

    Returns:
        What changed, as a unified diff; empty when nothing did.

    Raises:
        PocketfaceError: there is no report, or the baseline that is there is damaged.
    """
    path, now = baseline_path(study, root), read_figures(root)
    earlier = path.read_text(encoding="utf-8") if path.is_file() else ""
    rules = read_baseline(study, root, now).rules if earlier else default_rules()
    head = earlier.partition("\nmodels:\n")[0] + "\n"  # as people wrote it, with their comments
    if not earlier or params.parse(head) != params.parse(_rules_text(rules)):
        head = HEADER.format(study=study) + _rules_text(rules)
    text = head + yaml.safe_dump({"models": rounded(now)}, sort_keys=False, allow_unicode=True)
    if text != earlier:
        with written_whole(path) as partial:
            partial.write_text(text, encoding="utf-8")
    names = (f"{path} before" if earlier else "/dev/null", f"{path}")
    return "".join(
        difflib.unified_diff(earlier.splitlines(keepends=True), text.splitlines(keepends=True), *names)
    )


def _rules_text(rules: Mapping[str, Rule]) -> str:
    """A line per rule."""
    lines = [
        f"  {name}: "
        + yaml.safe_dump(
            rule.model_dump(exclude_unset=True), default_flow_style=True, sort_keys=False, width=200
        )
        for name, rule in rules.items()
    ]
    return "rules:\n" + "".join(lines)
