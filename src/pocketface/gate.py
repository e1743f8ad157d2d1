"""The gate: a study's figures against its baseline.

    verdict = check(study, root)               # reads reports/STUDY/metrics.json, writes check.json beside it
    verdict.passed, verdict.text()
    print(update(study, root))                 # rewrites the baseline, returns what changed as a diff

A baseline, `baselines/STUDY.yaml`, is kept in git and read by people:

    tolerances:                    # allowed change, up or down
      mae: 0.15                    # years
      accuracy: 0.01               # share of faces; 0.01 is one percentage point
      size_bytes: 5%               # of the size in the baseline
      photos.gender_accuracy: 0.06 # the most specific name wins
    models:
      age_gender:
        int8: {size_bytes: 331000, utkface.age_mae: 6.21, ...}
        int16x8: failed

A jump for the better that nobody explained is as suspicious as one for the worse, so both fail: when a change
is meant, `pocketface check --update` takes the new figures over, and the diff is reviewed like code.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from pocketface.errors import PocketfaceError
from pocketface.files import rounded, write_json, written_whole
from pocketface.reporting.quantities import QUANTITIES, kind_of, quantity_of
from pocketface.study import Strict, Study

FAILED = "failed"
"""In place of figures: this level cannot be made or run."""
UNAVAILABLE = "unavailable"
"""In place of figures: the model's weights could not be fetched here, which says nothing about the model."""

HEADER = """\
# What `check` compares study `{study}` with; `pocketface check --update` rewrites `models`.
# `tolerances` are allowed changes, up or down, by figure, metric or kind. The most specific name wins;
# a percentage is of the value written here.
"""


def _a_tolerance(value: float | str) -> float | str:
    if isinstance(value, str):
        try:
            share = float(value.removesuffix("%"))
        except ValueError:
            share = -1
        if not value.endswith("%") or not share >= 0:
            raise ValueError(f"{value!r} is neither a number nor a percentage such as 5%")
    return value


Tolerance = Annotated[Annotated[float, Field(ge=0)] | str, AfterValidator(_a_tolerance)]
Figures = dict[str, int | float]
Variants = dict[str, dict[str, Figures | Literal["failed", "unavailable"]]]
"""Model -> level -> figures, or `failed` or `unavailable`."""
_VARIANTS: TypeAdapter[Variants] = TypeAdapter(Variants)


class Baseline(Strict):
    """`baselines/STUDY.yaml`."""

    tolerances: dict[str, Tolerance]
    models: Variants


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        metric: a figure, or `variant` for the variant as a whole.
        was, is_: in the baseline and now; null where there is none.
        allowed: the tolerance, as printed: `±0.01`, `±5%`.
        verdict: `ok`, or what is wrong.
    """

    model: str
    level: str
    metric: str
    was: float | str | None
    is_: float | str | None
    allowed: str
    verdict: Literal["ok", "worse", "better", "different", "missing", "new"]

    def __str__(self) -> str:
        was, is_ = ("absent" if value is None else value for value in (self.was, self.is_))
        place = f"{self.model}/{self.level} {self.metric}"
        return f"{self.verdict}: {place}: was {was}, is {is_}, allowed {self.allowed}"


@dataclass(frozen=True)
class Verdict:
    """All comparisons of a study, in the order of models, levels and figures."""

    study: str
    rows: tuple[Row, ...]

    @property
    def wrong(self) -> list[Row]:
        """The rows that are not `ok`."""
        return [row for row in self.rows if row.verdict != "ok"]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def text(self) -> str:
        """A line per wrong row, and a closing line."""
        if self.passed:
            return f"check: {self.study}: all {len(self.rows)} figures as in the baseline, within tolerance"
        return "\n".join(
            [
                *(str(row) for row in self.wrong),
                f"check: {self.study}: {len(self.wrong)} of {len(self.rows)} figures are not as in "
                f"{baseline_path(self.study)}; if the change is meant: `pocketface check --update`",
            ]
        )


def baseline_path(study: str, root: Path = Path()) -> Path:
    """Where the baseline of a study is."""
    return root / "baselines" / f"{study}.yaml"


def check(study: Study, root: Path = Path()) -> Verdict:
    """Compares and writes `reports/STUDY/check.json`, when passing and when failing.

    Raises:
        PocketfaceError: there is no report, or no baseline, or one of them is damaged.
    """
    verdict = Verdict(
        study.study, tuple(compare(read_baseline(study.study, root), read_figures(study.study, root)))
    )
    write_json(
        root / "reports" / study.study / "check.json",
        {
            "passed": verdict.passed,
            "rows": [
                {name.rstrip("_"): value for name, value in asdict(row).items()} for row in verdict.rows
            ],
        },
    )
    return verdict


def compare(baseline: Baseline, now: Variants) -> Iterator[Row]:
    """A row per figure of the baseline and of now; a whole variant that came, went or failed is one row."""
    for model, level in _keys(baseline.models, now):
        was, is_ = baseline.models.get(model, {}).get(level), now.get(model, {}).get(level)
        if isinstance(was, dict) and isinstance(is_, dict):
            for figure in sorted(was | is_):
                tolerance = tolerance_of(figure, baseline.tolerances)
                yield _compare_figure(model, level, figure, was.get(figure), is_.get(figure), tolerance)
        else:
            yield _compare_variant(model, level, was, is_)


def _keys(*variants: Variants) -> list[tuple[str, str]]:
    """(model, level) of all, in the order they are first named."""
    return list(
        dict.fromkeys((m, level) for some in variants for m, levels in some.items() for level in levels)
    )


def _compare_variant(model: str, level: str, was: Figures | str | None, is_: Figures | str | None) -> Row:
    words = [side if side is None or isinstance(side, str) else "runs" for side in (was, is_)]
    verdict: Literal["ok", "worse", "better", "missing", "new"]
    if was is None:
        verdict = "new"
    elif is_ is None:
        verdict = "missing"
    elif UNAVAILABLE in words:
        verdict = "ok"
    else:
        verdict = "ok" if words[0] == words[1] else "worse" if is_ == FAILED else "better"
    return Row(model, level, "variant", words[0], words[1], "no change", verdict)


def _compare_figure(
    model: str, level: str, figure: str, was: float | None, is_: float | None, tolerance: float | str
) -> Row:
    verdict: Literal["ok", "worse", "better", "different", "missing", "new"]
    if was is None or is_ is None:
        verdict = "new" if was is None else "missing"
    elif abs(is_ - was) <= _allowed(tolerance, was) * (1 + 1e-9):
        verdict = "ok"
    else:
        better = quantity_of(figure).better
        verdict = (
            "different" if better == "same" else "better" if (is_ > was) == (better == "higher") else "worse"
        )
    return Row(model, level, figure, was, is_, f"±{tolerance}" if tolerance else "no change", verdict)


def tolerance_of(figure: str, tolerances: Mapping[str, float | str]) -> float | str:
    """The tolerance of a figure: by its own name, its metric, its kind; else none at all.

    `utkface.age_mae` is looked up as `utkface.age_mae`, `age_mae`, `mae`.
    """
    names = (figure, figure.partition(".")[2], kind_of(figure) or "")
    return next((tolerances[name] for name in names if name in tolerances), 0)


def _allowed(tolerance: float | str, was: float) -> float:
    return float(tolerance.rstrip("%")) / 100 * abs(was) if isinstance(tolerance, str) else tolerance


def read_baseline(study: str, root: Path = Path()) -> Baseline:
    """Reads a study's baseline.

    Raises:
        PocketfaceError: there is none, or it is not one.
    """
    path = baseline_path(study, root)
    try:
        return Baseline.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise PocketfaceError(
            f"{path}: no baseline for study {study}; make one with `pocketface check --update` and commit it"
        ) from None
    except yaml.YAMLError as error:
        raise PocketfaceError(f"{path}: not valid YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise PocketfaceError(f"{path}: {field}: {first['msg']}") from None


def read_figures(study: str, root: Path = Path()) -> Variants:
    """Reads what the report measured.

    Raises:
        PocketfaceError: there is no report, or its metrics are damaged.
    """
    path = root / "reports" / study / "metrics.json"
    try:
        return _VARIANTS.validate_python(
            {
                model: {level: figures.get("status", figures) for level, figures in levels.items()}
                for model, levels in json.loads(path.read_text(encoding="utf-8")).items()
            }
        )
    except FileNotFoundError:
        raise PocketfaceError(f"{path}: no such file; make it with `dvc repro report`") from None
    except (ValueError, AttributeError) as error:
        raise PocketfaceError(f"{path}: not what `report` writes ({error})") from None


def update(study: Study, root: Path = Path()) -> str:
    """Takes the report's figures over into the baseline; its tolerances stay, or start with the defaults.

    Returns:
        What changed, as a unified diff; empty when nothing did.

    Raises:
        PocketfaceError: there is no report, or the baseline that is there is damaged.
    """
    path = baseline_path(study.study, root)
    earlier = path.read_text(encoding="utf-8") if path.is_file() else ""
    tolerances = read_baseline(study.study, root).tolerances if earlier else default_tolerances()
    content = {"tolerances": tolerances, "models": read_figures(study.study, root)}
    text = HEADER.format(study=study.study) + yaml.safe_dump(rounded(content), sort_keys=False)
    if text != earlier:
        with written_whole(path) as partial:
            partial.write_text(text, encoding="utf-8")
    names = (f"{path} before" if earlier else "/dev/null", f"{path}")
    return "".join(
        difflib.unified_diff(earlier.splitlines(keepends=True), text.splitlines(keepends=True), *names)
    )


def default_tolerances() -> dict[str, float | str]:
    """The tolerance of every kind of figure."""
    return {
        kind: f"{100 * quantity.tolerance:g}%" if quantity.relative else quantity.tolerance
        for kind, quantity in QUANTITIES.items()
    }
