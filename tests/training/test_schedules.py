import numpy as np
import pytest

from pocketface.training.schedules import after_plateaus, epochs_since_best, learning_rate
from pocketface.training.settings import Plateau, Training

STEPS = 5


def rates(schedule: dict) -> list[float]:
    """The learning rate of every step of 4 epochs."""
    recipe = Training.model_validate({"epochs": 4, "learning_rate": 0.1, "schedule": schedule})
    rate = learning_rate(recipe, STEPS)
    return [float(rate(step)) if callable(rate) else rate for step in range(4 * STEPS)]


def test_the_default_rises_for_a_tenth_and_then_falls_to_nothing() -> None:
    found = rates({"kind": "one_cycle"})
    assert np.argmax(found) == 2
    assert max(found) == pytest.approx(0.1)
    assert found[-1] < 0.001


def test_constant_and_cosine() -> None:
    assert set(rates({"kind": "constant"})) == {0.1}
    found = rates({"kind": "cosine"})
    assert found[0] == pytest.approx(0.1)
    assert found[10] == pytest.approx(0.05)
    assert (np.diff(found) < 0).all()


def test_the_four_steps_of_the_utkface_project_are_quarters() -> None:
    found = rates({"kind": "piecewise", "at": [0.25, 0.5, 0.75], "factors": [1, 0.5, 0.1, 0.095]})
    assert found == pytest.approx([0.1] * 5 + [0.05] * 5 + [0.01] * 5 + [0.0095] * 5)


@pytest.mark.parametrize(
    "costs, factor",
    [([], 1), ([3, 2, 1], 1), ([1, 2], 1), ([1, 2, 2], 0.5), ([1, 2, 2, 0.5, 1, 1, 1, 1], 0.125)],
)
def test_a_plateau_of_two_epochs_halves_the_rate(costs: list[float], factor: float) -> None:
    assert after_plateaus(Plateau(kind="plateau", factor=0.5, patience=2), costs) == factor


def test_the_best_epoch_is_the_first_of_equals() -> None:
    assert epochs_since_best([2, 1, 1]) == 1
    assert epochs_since_best([3, 2, 1]) == 0
