"""The orders in which a model's levels can be read: each is a trade-off that somebody chooses.

    orders(results, found, "age_gender")["smallest without a loss that matters"][0]     # 'int8_io'

A loss matters when it is real (see `pocketface.evaluation.confidence`) and more than
`pocketface.reporting.changes.BEARABLE`.
"""

from collections.abc import Callable
from functools import partial

from pocketface.reporting.changes import Compareds, change_of, matters
from pocketface.reporting.quantities import label_of, loss
from pocketface.reporting.results import Results, Variant

SMALLEST = "smallest without a loss that matters"
FASTEST = "fastest without a loss that matters"

Key = Callable[[Variant], tuple[float, ...]]


def orders(results: Results, found: Compareds, model: str) -> dict[str, list[str]]:
    """Trade-off -> the levels, best first; levels that fail, or lack what is asked for, come last."""
    figures = results.main_figures(model)

    def losses(variant: Variant) -> int:
        return sum(matters(figure, change_of(found, variant, figure)) for figure in figures)

    def size(variant: Variant) -> float:
        return _known(variant.card.size_bytes)

    def latency(variant: Variant) -> float:
        return _known(variant.latency_ms)

    keys: dict[str, Key] = {SMALLEST: lambda v: (losses(v), size(v), latency(v))}
    if any(variant.latency_ms is not None for variant in results.running(model)):
        keys[FASTEST] = lambda v: (losses(v), latency(v), size(v))
    for figure in figures:
        keys[f"best {label_of(figure)}"] = partial(_by_badness, figure)
    keys["smallest"] = lambda v: (size(v), losses(v))
    keys["as in the study"] = lambda _: ()
    variants = results.of(model)
    return {
        name: [v.level for v in sorted(variants, key=lambda v: (v.reason is not None, *key(v)))]
        for name, key in keys.items()
    }


def _known(value: float | None) -> float:
    return float("inf") if value is None else float(value)


def _by_badness(figure: str, variant: Variant) -> tuple[float, ...]:
    value = variant.figures.get(figure)
    return (float("inf") if value is None else loss(figure, value), _known(variant.card.size_bytes))
