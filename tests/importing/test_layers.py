import keras
import numpy as np
import pytest
from weight_files import learned, noise, weights_of

from pocketface import models
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import GENDERS
from pocketface.faces.settings import Input
from pocketface.importing.layers import assign, mean_of


def tiny(*heads: str, **options: object) -> keras.Model:
    seen = Input(size=32, channels=3)
    return models.build("pocket", seen, list(heads), {"widths": [8], "depths": [1], "units": 8} | options)


def test_classes_are_put_into_our_order() -> None:
    model = tiny("gender")
    layers = noise(weights_of(model))
    assign(model, learned(layers), {"gender": ["female", "male"]})
    kernel, bias = model.get_layer("gender").get_weights()
    np.testing.assert_array_equal(kernel, layers["gender"]["kernel"][:, ::-1])
    np.testing.assert_array_equal(bias, layers["gender"]["bias"][::-1])
    assert GENDERS == ("male", "female")


def test_other_classes_than_ours_are_refused() -> None:
    model = tiny("gender")
    with pytest.raises(PocketfaceError, match="answers gender with"):
        assign(model, learned(noise(weights_of(model))), {"gender": ["woman", "man"]})


def test_a_convolution_of_one_place_is_a_dense_layer() -> None:
    model = tiny("gender")
    layers = noise(weights_of(model))
    kernel = layers["gender"]["kernel"]
    layers["gender"]["kernel"] = kernel[None, None]
    assign(model, learned(layers))
    np.testing.assert_array_equal(model.get_layer("gender").get_weights()[0], kernel)


def test_the_mean_of_classes_is_an_age_in_years() -> None:
    years = [0.25, 1, 2, 3]
    dense = mean_of(years)
    shares = np.array([[0.5, 0, 0, 0.5], [0, 1, 0, 0]])
    scaled = shares @ np.asarray(dense.weights["kernel"]) + np.asarray(dense.weights["bias"])
    np.testing.assert_allclose(scaled[:, 0] * 25 + 35, [1.625, 1.0], atol=1e-5)
