import keras
import numpy as np
import pytest
from keras import layers

from pocketface.core.errors import PocketfaceError
from pocketface.layers.backbones import to_bgr
from pocketface.levels import LEVELS, ranges, rounding
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.tflite.builder import drop_unused
from pocketface.tflite.file import TFLiteFile, kind


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def float32() -> TFLiteFile:
    """Convolutions of every kind: plain, strided, dilated, depthwise; and a dense layer.

    The second and the third have a bias of 0, of the same length: the converter keeps one for both.
    """
    keras.utils.set_random_seed(2)
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(48, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(64, 3, dilation_rate=2, activation="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu")(x)
    x = layers.Dense(32, activation="relu")(layers.Flatten()(layers.AveragePooling2D(2)(x)))
    model = keras.Model(image, {"gender": layers.Dense(2, name="gender")(x)})
    return to_tflite(model)


def test_answers_are_nearer_to_those_of_float32(float32, faces) -> None:
    plain = quantize(float32, LEVELS["int4_weights"])
    refined = rounding.refine(float32, plain, faces[:16])
    assert refined.large_weight_dtypes == plain.large_weight_dtypes
    assert refined.large_weight_dtypes["INT4"] >= 4
    assert len(refined.content) < len(plain.content) + 2000
    unseen = faces[16:]
    expected = float32.answers(unseen)["gender"]
    errors = [np.abs(file.answers(unseen)["gender"] - expected).mean() for file in (plain, refined)]
    assert errors[1] < 0.6 * errors[0]


def test_a_file_of_the_converter_has_no_convolution_for_the_channels(faces) -> None:
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, activation="relu")(to_bgr(image))
    answer = layers.Dense(2, name="gender")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, {"gender": answer})
    float32, made = to_tflite(model), to_tflite(model, LEVELS["int16x8"], faces)
    assert float32.operators[0].kind == "CONV_2D" != made.operators[0].kind
    refined = rounding.refine(float32, made, faces)
    np.testing.assert_allclose(refined.answers(faces)["gender"], float32.answers(faces)["gender"], atol=0.5)


def biases(file: TFLiteFile) -> list[int]:
    """The tensors that hold biases, of the layers that have one."""
    operators = rounding._weighted(file.model)
    return [int(operator.inputs[2]) for operator in operators if operator.inputs[2] >= 0]


def test_each_layer_has_a_bias_of_its_own(float32, faces) -> None:
    plain = quantize(float32, LEVELS["int4_weights"])
    shared, own = biases(plain), biases(rounding.refine(float32, plain, faces[:2]))
    assert len(set(shared)) < len(shared)
    assert len(set(own)) == len(own) == len(shared)


def test_what_a_layer_makes_its_own_has_a_scale_of_its_own(float32) -> None:
    """Two layers share a bias of 0; the scale of one is changed, and not that of the other."""
    model = quantize(float32, LEVELS["int4_weights"]).copy()
    layers = list(rounding._weighted(model))
    first, second = next(
        (a, b) for a in layers for b in layers if a is not b and a.inputs[2] == b.inputs[2] >= 0
    )
    kept = model.subgraphs[0].tensors[second.inputs[2]]
    own = rounding.own(model, first, 2)
    assert own is not kept
    assert own.quantization is not kept.quantization


def test_no_face_is_an_error(float32, faces) -> None:
    with pytest.raises(PocketfaceError, match="no calibration faces"):
        rounding.refine(float32, quantize(float32, LEVELS["int4_weights"]), faces[:0])


def test_it_repeats(float32, faces) -> None:
    plain = quantize(float32, LEVELS["int4_weights"])
    assert rounding.refine(float32, plain, faces[:4]) == rounding.refine(float32, plain, faces[:4])


def test_a_layer_too_wide_has_its_bias_corrected_only(float32, faces, monkeypatch) -> None:
    plain = quantize(float32, LEVELS["int4_weights"])
    monkeypatch.setattr(rounding, "WIDEST", 0)
    refined = rounding.refine(float32, plain, faces[:4])
    assert refined != plain
    before, after = (file.model for file in (plain, refined))
    for old, new in zip(rounding._weighted(before), rounding._weighted(after), strict=True):
        a, b = rounding._weights(before, old), rounding._weights(after, new)
        assert np.array_equal(before.buffers[a.buffer].data, after.buffers[b.buffer].data)


def test_the_windows_are_those_that_the_file_computes_with(float32, faces) -> None:
    """A layer's weights times its windows are its outputs: padding, stride, dilation and groups are right."""
    model = float32.model
    tensors = next(rounding.ranges.activations(float32, faces[:1]))
    for operator in rounding._weighted(model):
        layer = rounding._layer(model, operator)
        written = rounding.text(model.subgraphs[0].tensors[operator.outputs[0]].name)
        if not layer.kernel:
            continue
        windows = layer._patches(tensors[layer.input][0])
        outputs = np.einsum("gnk,gok->ngo", windows, layer.weights).reshape(windows.shape[1], -1)
        np.testing.assert_allclose(
            np.maximum(outputs, 0), tensors[written].reshape(outputs.shape), rtol=1e-3, atol=1e-4
        )


def test_gptq_with_independent_inputs_is_plain_rounding() -> None:
    weights = np.random.default_rng(0).normal(size=(1, 5, 7))
    scales = np.abs(weights).max(2) / 7
    rounded = rounding.gptq(weights, scales, np.eye(7)[None], 7)
    np.testing.assert_array_equal(rounded, np.rint(weights / scales[:, :, None]))


def test_few_rows_have_the_triangle_of_their_products() -> None:
    seen = np.random.default_rng(0).normal(size=(5, 40))
    upper = rounding._upper_of_few(seen)
    products = seen.T @ seen
    np.testing.assert_allclose(upper, rounding._upper(products), atol=1e-9)
    damped = products + np.eye(40) * rounding.DAMPING * np.diag(products).mean()
    np.testing.assert_allclose(upper.T @ upper @ damped, np.eye(40), atol=1e-6)


def grouped() -> keras.Model:
    """A grouped convolution."""
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(32, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.Conv2D(32, 3, groups=4, activation="relu")(x)
    return keras.Model(image, {"gender": layers.Dense(2)(layers.GlobalAveragePooling2D()(x))})


def halved() -> keras.Model:
    """A layer that reads the second output of an operator."""
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(64, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255)(image))
    first, second = keras.ops.split(x, 2, axis=3)
    x = layers.Concatenate()([first, layers.Conv2D(32, 3, padding="same", activation="relu")(second)])
    return keras.Model(image, {"gender": layers.Dense(2)(layers.GlobalAveragePooling2D()(x))})


@pytest.mark.parametrize("build", [grouped, halved])
def test_layers_of_other_networks_are_rounded(build, faces) -> None:
    keras.utils.set_random_seed(2)
    float32 = to_tflite(build())
    plain = quantize(float32, LEVELS["int4_weights"])
    refined = rounding.refine(float32, plain, faces[:16])
    expected = float32.answers(faces[16:])["gender"]
    errors = [np.abs(file.answers(faces[16:])["gender"] - expected).mean() for file in (plain, refined)]
    assert errors[1] < errors[0]


def test_a_dense_layer_that_flattens_a_map_itself_is_rounded(float32, faces) -> None:
    """As old converters write it: without a reshape before."""
    model = float32.copy()
    graph = model.subgraphs[0]
    reshape = next(one for one in graph.operators if kind(model, one) == "RESHAPE")
    dense = next(one for one in graph.operators if one.inputs[0] == reshape.outputs[0])
    dense.inputs = [reshape.inputs[0], *dense.inputs[1:]]
    graph.operators.remove(reshape)
    drop_unused(model)
    file = TFLiteFile.write(model)
    plain = quantize(file, LEVELS["int8"], ranges.measure(file, faces))
    expected = float32.answers(faces)["gender"]
    found = rounding.refine(file, plain, faces).answers(faces)["gender"]
    np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())
