"""What several test modules need: one tiny model, made once."""

from pathlib import Path

import pytest

SIZE = 48


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.tflite` file that answers from a picture's mean colour, so a test can paint the answer.

    Of red, green and blue as shares of 255: age is 100 times the red, the probability of female is the
    green, neutral has 0.5 and the blue shares the rest between sad (blue) and happy (no blue).
    """
    import tensorflow as tf

    class Colour(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32, name="image")])
        def answer(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            mean = tf.reduce_mean(image, [1, 2]) / 255
            red, green, blue = mean[:, 0:1], mean[:, 1:2], mean[:, 2:3]
            none = tf.zeros_like(red)
            expression = [none, none, none, (1 - blue) / 2, blue / 2, none, none + 0.5]
            return {
                "age": 100 * red,
                "gender": tf.concat([1 - green, green], 1),
                "expression": tf.concat(expression, 1),
            }

    folder = tmp_path_factory.mktemp("colour")
    model = Colour()
    tf.saved_model.save(model, folder / "saved", signatures={"serving_default": model.answer})
    file = folder / "colour.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert())
    return file
