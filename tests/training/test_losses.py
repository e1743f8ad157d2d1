import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.training.losses import loss_weights, losses, watchable
from pocketface.training.settings import Training


@pytest.mark.parametrize("kind, slope", [("mae", 0.1), ("mse", 0.2), ("huber", 0.1)])
def test_at_ten_years_every_age_loss_pulls_about_as_hard(kind: str, slope: float) -> None:
    recipe = Training.model_validate({"epochs": 1, "age_loss": kind})
    loss, weight = losses(["age"], recipe)["age"], loss_weights(["age"], recipe)["age"]
    at = [weight * float(loss([[30.0]], [[30.0 + error]])) for error in (10.0, 11.0)]
    assert at[1] - at[0] == pytest.approx(slope, rel=0.1)


def test_a_head_that_is_not_ours_is_of_classes() -> None:
    recipe = Training(epochs=1)
    assert losses(["mask"], recipe)["mask"].name == "categorical_crossentropy"
    assert loss_weights(["mask"], recipe) == {"mask": 1.0}


def test_watched_metrics_are_named_by_head_and_an_accuracy_is_better_high() -> None:
    assert watchable(["age", "gender"], "age_mae") == ("age_mae", 1)
    assert watchable(["expression"], "expression_accuracy") == ("accuracy", -1)
    with pytest.raises(PocketfaceError, match="no 'gender_mae'; there are loss, gender_accuracy"):
        watchable(["gender"], "gender_mae")
