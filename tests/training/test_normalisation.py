import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from pocketface.training.normalisation import is_passing, passing, settle


def network(seed: int, epsilon: float = 1e-3) -> keras.Model:
    """Two convolutions, whose normalisations only add offsets."""
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    image = x = keras.Input((8, 8, 2))
    for channels in (3, 4):
        x = layers.Conv2D(channels, 3, use_bias=False)(x)
        normalisation = layers.BatchNormalization(epsilon=epsilon)
        x = layers.ReLU(6.0)(normalisation(x))
        own = passing(random.normal(size=channels).astype(np.float32), epsilon)
        normalisation.set_weights([own[weight.name] for weight in normalisation.weights])
    return keras.Model(image, x)


def pictures(seed: int, batches: int = 2) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(3, 2, (6, 8, 8, 2)).astype(np.float32) for _ in range(batches)]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1e-3, 1e-5]))
def test_the_answers_stay_the_same(seed: int, epsilon: float) -> None:
    model, seen = network(seed, epsilon), pictures(seed)
    before = np.asarray(model(seen[0]))
    assert settle(model, seen) == 2
    np.testing.assert_allclose(np.asarray(model(seen[0])), before, rtol=1e-4, atol=1e-4)


def test_in_training_it_answers_as_in_use_on_the_pictures_that_it_saw() -> None:
    model, [seen] = network(1), pictures(1, batches=1)
    settle(model, [seen])
    used, trained = np.asarray(model(seen)), np.asarray(model(seen, training=True))
    np.testing.assert_allclose(trained, used, rtol=1e-3, atol=1e-3)
    assert np.ptp(used) > 0.1


def test_without_it_training_would_answer_otherwise() -> None:
    model, [seen] = network(1), pictures(1, batches=1)
    assert np.abs(np.asarray(model(seen, training=True)) - np.asarray(model(seen))).max() > 0.1


def test_it_is_done_once_and_never_to_a_network_of_another_kind() -> None:
    model, seen = network(2), pictures(2)
    assert [settle(model, seen), settle(model, seen)] == [2, 0]
    new = keras.Sequential([keras.Input((4, 4, 1)), layers.BatchNormalization()])
    before = new.get_weights()
    assert settle(new, pytest.fail) == 0  # type: ignore[arg-type]  # no picture is asked for
    assert all(np.array_equal(a, b) for a, b in zip(new.get_weights(), before, strict=True))


def test_only_a_plain_offset_is_passing() -> None:
    layer = layers.BatchNormalization()
    layer.build((None, 3))
    assert not is_passing(layer)
    own = passing(np.array([1.0, -2.0, 0.0], np.float32), layer.epsilon)
    layer.set_weights([own[weight.name] for weight in layer.weights])
    assert is_passing(layer)
    np.testing.assert_allclose(layer(np.zeros((1, 3), np.float32))[0], [1, -2, 0], atol=1e-6)
    assert not is_passing(layers.ReLU())
