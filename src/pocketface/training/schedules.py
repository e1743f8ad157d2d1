"""The learning rate: by the step where the schedule is fixed, by the watched metric where it is not."""

from collections.abc import Sequence

import numpy as np
from keras.optimizers.schedules import CosineDecay, LearningRateSchedule, PiecewiseConstantDecay

from pocketface.training.settings import Piecewise, Plain, Plateau, Training


def learning_rate(recipe: Training, steps: int) -> float | LearningRateSchedule:
    """What the optimizer is given, with `steps` batches an epoch; of a plateau see `after_plateaus`."""
    peak, total = recipe.learning_rate, recipe.epochs * steps
    match recipe.schedule:
        case Plain(kind="one_cycle"):
            rise = max(total // 10, 1)
            return CosineDecay(peak / 25, max(total - rise, 1), warmup_target=peak, warmup_steps=rise)
        case Plain(kind="cosine"):
            return CosineDecay(peak, decay_steps=total)
        case Piecewise(at=at, factors=factors):
            # Keras keeps a value up to and including its boundary.
            boundaries = [round(share * total) - 1 for share in at]
            return PiecewiseConstantDecay(boundaries, [factor * peak for factor in factors])
    return peak


def after_plateaus(schedule: Plateau, costs: Sequence[float]) -> float:
    """The factor on the learning rate after epochs with these costs, of which lower is better."""
    best, waited, factor = float("inf"), 0, 1.0
    for cost in costs:
        best, waited = (cost, 0) if cost < best else (best, waited + 1)
        if waited == schedule.patience:
            factor, waited = factor * schedule.factor, 0
    return factor


def epochs_since_best(costs: Sequence[float]) -> int:
    """How many epochs ago the (first) lowest cost was; 0 when it is the last one."""
    return len(costs) - 1 - int(np.argmin(costs))
