"""The learning rate: from the step where the schedule is fixed, from the watched metric where it is not."""

from collections.abc import Sequence

import keras

from pocketface.training.settings import Cosine, OneCycle, Piecewise, Plateau, Training


def learning_rate(recipe: Training, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """What the optimizer is given; a plateau schedule changes it between epochs, see `after_plateaus`.

    Args:
        recipe: the recipe.
        steps: batches an epoch.
    """
    total = recipe.epochs * steps
    match recipe.schedule:
        case OneCycle():
            return _one_cycle(recipe.learning_rate, total)
        case Cosine():
            return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, decay_steps=total)
        case Piecewise(at=at, factors=factors):
            # Keras keeps a value up to and including its boundary.
            return keras.optimizers.schedules.PiecewiseConstantDecay(
                [round(share * total) - 1 for share in at],
                [factor * recipe.learning_rate for factor in factors],
            )
    return recipe.learning_rate


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
    return len(costs) - 1 - min(range(len(costs)), key=lambda epoch: costs[epoch])


def _one_cycle(peak: float, total: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A linear rise over the first tenth, then a half cosine down to nothing (Loshchilov, Hutter, 2017)."""
    rise = max(total // 10, 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / 25,
        decay_steps=max(total - rise, 1),
        warmup_target=peak,
        warmup_steps=rise,
    )
