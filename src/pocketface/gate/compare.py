"""Applying a baseline's rules: one row per comparison.

for row in compare(baseline, now):
    row.verdict, str(row)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pocketface.gate.baseline import UNAVAILABLE, Baseline, Figures, Rule, Variants, is_interval_end, noise_of
from pocketface.metrics.naming import quantity_of

FLOAT32 = "float32"

Check = Literal["variant", "value", "gap", "growth", "floor", "ceiling"]
Outcome = Literal["ok", "worse", "better", "different", "missing", "new"]


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        metric: a figure, or `variant` for the variant as a whole.
        check: which rule: `variant` whether there is one and it runs; `value` against the baseline; `gap` to
            float32; `growth` of that gap; `floor` and `ceiling`.
        was, is_: in the baseline and now; null where there is none. Of a gap, how much worse than float32.
        allowed: as printed: `±0.01`, `at most 0.05`.
        verdict: `ok`, or what is wrong.
    """

    model: str
    level: str
    metric: str
    check: Check
    was: float | str | None
    is_: float | str | None
    allowed: str
    verdict: Outcome

    @property
    def variant(self) -> str:
        """`MODEL/LEVEL`."""
        return f"{self.model}/{self.level}"

    @property
    def what(self) -> str:
        """What was compared, in words: `utkface.age_mae`, `utkface.age_mae, gap to float32`."""
        words = {"gap": ", gap to float32", "growth": ", growth of the gap to float32"}
        return self.metric + words.get(self.check, "")

    def __str__(self) -> str:
        was, is_ = ("absent" if value is None else value for value in (self.was, self.is_))
        return f"{self.verdict}: {self.variant} {self.what}: was {was}, is {is_}, allowed {self.allowed}"


def compare(baseline: Baseline, now: Variants) -> Iterator[Row]:
    """The rows of every figure of the baseline and of now; a variant that came, went or failed is one row."""
    for model, level in _keys(baseline.models, now):
        was, is_ = baseline.models.get(model, {}).get(level), now.get(model, {}).get(level)
        if not isinstance(was, dict) or not isinstance(is_, dict):
            yield _compare_variant(model, level, was, is_)
            continue
        pair = _Pair(model, level, was, is_, _float32(baseline.models, model), _float32(now, model))
        for figure in sorted(was | is_):
            if not is_interval_end(figure, was | is_):
                yield from pair.compare(figure, baseline.rule(model, level, figure))


def _keys(*variants: Variants) -> list[tuple[str, str]]:
    """(model, level) of all, in the order they are first named."""
    return list(
        dict.fromkeys((m, level) for some in variants for m, levels in some.items() for level in levels)
    )


def _float32(variants: Variants, model: str) -> Figures:
    figures = variants.get(model, {}).get(FLOAT32)
    return figures if isinstance(figures, dict) else {}


def _compare_variant(model: str, level: str, was: Figures | str | None, is_: Figures | str | None) -> Row:
    words = ["runs" if isinstance(side, dict) else side for side in (was, is_)]
    verdict: Outcome
    if was is None:
        verdict = "new"
    elif is_ is None:
        verdict = "missing"
    elif any(isinstance(side, str) and side.startswith(UNAVAILABLE) for side in (was, is_)):
        verdict = "ok"  # it says nothing about the variant
    elif isinstance(was, str) and isinstance(is_, str):
        verdict = "ok"  # whatever the reason
    else:
        verdict = "worse" if isinstance(is_, str) else "better"
    return Row(model, level, "variant", "variant", words[0], words[1], "no change", verdict)


@dataclass(frozen=True)
class _Pair:
    """A variant that ran before and runs now, with its model's float32 of both times."""

    model: str
    level: str
    was: Figures
    is_: Figures
    float32_was: Figures
    float32_is: Figures

    def compare(self, figure: str, rule: Rule) -> Iterator[Row]:
        was, is_ = self.was.get(figure), self.is_.get(figure)
        if was is None or is_ is None:
            allowed = f"±{rule.tolerance}" if rule.tolerance else "no change"
            yield self._row(figure, "value", was, is_, allowed, "new" if was is None else "missing")
        else:
            yield self._value(figure, was, is_, rule)
        if is_ is not None:
            yield from self._limits(figure, was, is_, rule)
        if self.level != FLOAT32:
            yield from self._gaps(figure, rule)

    def _value(self, figure: str, was: float, is_: float, rule: Rule) -> Row:
        chance = self._chance(figure, rule)
        allowed, words = chance, f"±{chance:.3g}"
        if isinstance(rule.tolerance, str):
            share = float(rule.tolerance.rstrip("%")) / 100 * abs(was)
            if share >= chance:
                allowed, words = share, f"±{rule.tolerance}"
        elif rule.tolerance is not None and rule.tolerance >= chance:
            allowed, words = rule.tolerance, f"±{rule.tolerance:g}"
        verdict: Outcome
        if _within(abs(is_ - was), allowed, was, is_):
            verdict = "ok"
        else:
            better = quantity_of(figure).better
            verdict = (
                "different"
                if better == "same"
                else "better"
                if (is_ > was) == (better == "higher")
                else "worse"
            )
        return self._row(figure, "value", was, is_, words if allowed else "no change", verdict)

    def _limits(self, figure: str, was: float | None, is_: float, rule: Rule) -> Iterator[Row]:
        if rule.floor is not None:
            verdict: Outcome = "ok" if is_ >= rule.floor else "worse"
            yield self._row(figure, "floor", was, is_, f"at least {rule.floor:g}", verdict)
        if rule.ceiling is not None:
            verdict = "ok" if is_ <= rule.ceiling else "worse"
            yield self._row(figure, "ceiling", was, is_, f"at most {rule.ceiling:g}", verdict)

    def _gaps(self, figure: str, rule: Rule) -> Iterator[Row]:
        was = _gap(figure, self.was, self.float32_was)
        is_ = _gap(figure, self.is_, self.float32_is)
        if is_ is None:
            return
        chance, sides = self._chance(figure, rule), (self.is_[figure], self.float32_is[figure])
        if rule.gap is not None:
            most = max(rule.gap, chance)
            verdict: Outcome = "ok" if _within(is_, most, *sides) else "worse"
            yield self._row(figure, "gap", was, is_, f"at most {most:.3g}", verdict)
        if rule.growth is not None and was is not None:
            most = max(rule.growth, chance)
            verdict = "ok" if _within(is_ - was, most, *sides) else "worse"
            yield self._row(figure, "growth", was, is_, f"at most {most:.3g} more", verdict)

    def _chance(self, figure: str, rule: Rule) -> float:
        """The change that the rule puts down to chance, by the baseline's number of faces."""
        if not rule.noise or figure not in self.was:
            return 0.0
        error, one_face = noise_of(figure, self.was)
        return max(rule.noise * error, one_face)

    def _row(
        self, figure: str, check: Check, was: float | None, is_: float | None, allowed: str, verdict: Outcome
    ) -> Row:
        return Row(self.model, self.level, figure, check, was, is_, allowed, verdict)


def _gap(figure: str, figures: Figures, float32: Figures) -> float | None:
    """How much worse than float32; negative where it is better; None where there is no such thing."""
    better = quantity_of(figure).better
    if figure not in figures or figure not in float32 or better == "same" or "." not in figure:
        return None
    loss = float32[figure] - figures[figure]
    return float(f"{loss if better == 'higher' else -loss:.6g}")


def _within(amount: float, allowed: float, *figures: float) -> bool:
    """Whether an amount is allowed; figures have six digits, so it may seem a hair more than it is."""
    return amount <= allowed + 2e-6 * max(map(abs, figures))
