"""`qat_int8`: quantization-aware fine-tuning, from the trained weights to true integer operators.

The forward pass rounds weights and activations as the integer file will (Jacob et al., 2018); ranges are
trained with the weights. The model itself is the teacher (Hinton et al., 2015), on a thousand unlabelled
train faces and their mirror images.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pocketface.core.errors import PocketfaceError
from pocketface.levels import Level, ranges
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.levels.recipes import Made
from pocketface.levels.settings import LevelSettings as Settings
from pocketface.levels.source import Source
from pocketface.tflite.file import Range, TFLiteFile
from pocketface.training import losses, runtime
from pocketface.training.settings import Training

BATCH, SEED, RANGE = 32, 0, "range_of_"

WEIGHTED = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
FOLDED = (*WEIGHTED, layers.SeparableConv2D)
"""Layers that a batch normalisation goes into."""
FUSED = (layers.ReLU, layers.Rescaling)
"""Layers that the converter computes together with the convolution or dense layer before."""
SAME_RANGE = (
    *(layers.InputLayer, layers.Flatten, layers.Reshape, layers.ZeroPadding2D),
    *(layers.MaxPooling2D, layers.AveragePooling2D),
)
"""Layers whose output has the range of their input: of its values, or because an integer file wants it so."""


def finetune(source: Source, level: Level, settings: Settings) -> Made:
    """Fine-tunes a model, which is left as it is, to be quantized, and quantizes it.

    Raises:
        PocketfaceError: a layer cannot be fine-tuned so, or the file does not hold the trained ranges.
    """
    model, calibration = source.network(level), source.faces.first(settings.calibration).pixels
    runtime.seed_everything(SEED)
    plain = folded(model)
    student = fake_quantized(plain, _starts(plain, calibration))
    history = _learn(student, model, settings, source.faces.tuning().pixels)
    for layer in plain.layers:
        layer.set_weights(student.get_layer(layer.name).get_weights())
    float32 = to_tflite(plain)
    trained = _by_tensor(plain, float32, calibration[0], _trained(student))
    measured = ranges.measure(float32, calibration, settings.ranges)
    file = quantize(float32, level, measured | trained, settings.per_channel)
    check_held(file, trained)
    facts = {
        "epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "loss_first": history[0],
        "loss_last": history[-1],
        "trained_ranges": len(trained),
    }
    return Made(file, {"finetuning": facts})


def check_held(file: TFLiteFile, trained: Mapping[str, Range]) -> None:
    """Fails a file whose tensors have other ranges than those they were trained with.

    Raises:
        PocketfaceError: there is no such tensor, or it differs by more than one step of 255.
    """
    held = file.ranges
    for name, (low, high) in trained.items():
        step = (high - low) / 255
        has = "{:.4g} to {:.4g}".format(*held[name]) if name in held else "none"
        if name not in held or max(abs(held[name][0] - low), abs(held[name][1] - high)) > 1.01 * step:
            raise PocketfaceError(
                f"tensor {name} was trained with the range {low:.4g} to {high:.4g}, the file has {has}"
            )


def folded(model: keras.Model) -> keras.Model:
    """The same function without batch normalisation and dropout, separable convolutions in two parts,
    activations in layers of their own.

    Raises:
        PocketfaceError: a layer is not known here, or a batch normalisation follows no convolution, or one
            that others read too.
    """
    producers = {id(layer.output): layer for layer in model.layers}
    norms = {}
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            before = producers.get(id(layer.input))
            if not isinstance(before, FOLDED) or before.activation is not keras.activations.linear:
                raise PocketfaceError(f"layer {layer.name} normalises no convolution: cannot be folded")
            if len(_readers(model, before)) > 1:
                raise PocketfaceError(
                    f"layer {layer.name} cannot be folded: others read {before.name} too; take mixed_int8"
                )
            norms[before.name] = layer
        elif layer.weights and type(layer) not in FOLDED:
            raise PocketfaceError(
                f"layer {layer.name} is a {type(layer).__name__}: not known to qat_int8, take mixed_int8"
            )

    def clone(layer: layers.Layer) -> layers.Layer:
        if not isinstance(layer, FOLDED):
            return type(layer).from_config(layer.get_config())
        bias = layer.use_bias or layer.name in norms
        if isinstance(layer, layers.SeparableConv2D):
            return layers.Conv2D(layer.filters, 1, use_bias=bias, name=layer.name)
        return type(layer).from_config(layer.get_config() | {"activation": None, "use_bias": bias})

    def call(layer: layers.Layer, *inputs: Any, **options: Any) -> Any:
        if isinstance(layer, layers.BatchNormalization | layers.Dropout):
            return inputs[0]
        if not isinstance(layer, WEIGHTED):
            return layer(*inputs, **options)
        whole = model.get_layer(layer.name)
        if isinstance(whole, layers.SeparableConv2D):
            depthwise = layers.DepthwiseConv2D(
                whole.kernel_size,
                whole.strides,
                whole.padding,
                whole.depth_multiplier,
                dilation_rate=whole.dilation_rate,
                use_bias=False,
                name=f"{layer.name}_depthwise",
            )
            inputs = (depthwise(inputs[0]),)
        output = layer(*inputs, **options)
        if whole.activation is not keras.activations.linear:
            output = layers.Activation(whole.activation, name=f"{layer.name}_activation")(output)
        return output

    plain = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in model.layers:
        if isinstance(layer, FOLDED):
            weights = layer.get_weights()
            if isinstance(layer, layers.SeparableConv2D):
                plain.get_layer(f"{layer.name}_depthwise").set_weights([weights.pop(0)])
            plain.get_layer(layer.name).set_weights(_folded_weights(layer, weights, norms.get(layer.name)))
    return plain


def fake_quantized(plain: keras.Model, starts: Mapping[str, Range]) -> keras.Model:
    """The same model, rounding its weights and, after each layer in `starts`, its activations."""
    classes = dict(zip(WEIGHTED, (_Conv2D, _DepthwiseConv2D, _Dense), strict=True))

    def clone(layer: layers.Layer) -> layers.Layer:
        return classes.get(type(layer), type(layer)).from_config(layer.get_config())

    def call(layer: layers.Layer, *inputs: Any, **options: Any) -> Any:
        output = layer(*inputs, **options)
        if layer.name not in starts:
            return output
        return _Range(*starts[layer.name], name=f"{RANGE}{layer.name}")(output)

    student = keras.models.clone_model(plain, clone_function=clone, call_function=call)
    for layer in plain.layers:
        student.get_layer(layer.name).set_weights(layer.get_weights())
    return student


class _Range(layers.Layer):
    """Rounds activations to 256 steps of a trained range."""

    def __init__(self, low: float, high: float, **options: Any):
        super().__init__(**options)
        self._start = low, high

    def build(self, shape: Any) -> None:
        low, high = (keras.initializers.Constant(value) for value in self._start)
        self.low = self.add_weight(name="low", shape=(), initializer=low)
        self.high = self.add_weight(name="high", shape=(), initializer=high)

    def call(self, values: tf.Tensor) -> tf.Tensor:
        return tf.quantization.fake_quant_with_min_max_vars(values, self.low, self.high, num_bits=8)


def _rounded(kernel: tf.Tensor) -> tf.Tensor:
    """A weight tensor `[..., out]` after 8 bits and back, symmetric, each output channel by its own scale."""
    high = tf.maximum(tf.reduce_max(tf.abs(kernel), axis=list(range(len(kernel.shape) - 1))), 1e-7)
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(
        kernel, -high, high, num_bits=8, narrow_range=True
    )


class _Conv2D(layers.Conv2D):
    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return super().convolution_op(inputs, _rounded(kernel))


class _DepthwiseConv2D(layers.DepthwiseConv2D):
    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """`[h, w, in, multiplier]`: every channel has its own scale, in the file as here."""
        kernel = tf.convert_to_tensor(self.kernel)
        rounded = _rounded(tf.reshape(kernel, [*kernel.shape[:2], -1]))
        outputs = keras.ops.depthwise_conv(
            inputs,
            tf.reshape(rounded, kernel.shape),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )
        return outputs + self.bias if self.use_bias else outputs


class _Dense(layers.Dense):
    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = tf.matmul(inputs, _rounded(tf.convert_to_tensor(self.kernel)))
        return outputs + self.bias if self.use_bias else outputs


def _folded_weights(
    layer: layers.Layer, weights: list[np.ndarray], norm: layers.BatchNormalization | None
) -> list[np.ndarray]:
    if norm is None:
        return weights
    kernel, bias = weights if layer.use_bias else (weights[0], np.float32(0))
    scale = 1 / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    scale = scale * np.asarray(norm.gamma) if norm.scale else scale
    shift = np.asarray(norm.beta) if norm.center else np.zeros_like(scale)
    across = scale.reshape(kernel.shape[2:]) if isinstance(layer, layers.DepthwiseConv2D) else scale
    return [kernel * across, shift + (bias - np.asarray(norm.moving_mean)) * scale]


def _starts(plain: keras.Model, calibration: np.ndarray) -> dict[str, Range]:
    """Layer -> least and greatest of its outputs, for layers that write a tensor with a range of its own."""
    named = {layer.name: layer.output for layer in plain.layers if _has_range(plain, layer)}
    found = keras.Model(plain.input, named).predict(calibration.astype(np.float32), verbose=0)
    ends = {
        name: (min(float(values.min()), 0.0), max(float(values.max()), 1e-6))
        for name, values in found.items()
    }
    return ranges.alive(ends)


def _has_range(plain: keras.Model, layer: layers.Layer) -> bool:
    if isinstance(layer, (*SAME_RANGE, layers.Softmax)) or _is_activation(layer, "softmax"):
        return False  # a softmax's is 0 to 1 in every integer file
    fused = [isinstance(reader, FUSED) or _is_activation(reader, "relu") for reader in _readers(plain, layer)]
    return not (isinstance(layer, WEIGHTED) and fused and all(fused))


def _readers(model: keras.Model, layer: layers.Layer) -> list[layers.Layer]:
    """The layers that take the output of one."""
    others = [other for other in model.layers if not isinstance(other, layers.InputLayer)]
    return [o for o in others if any(tensor is layer.output for tensor in keras.tree.flatten(o.input))]


def _is_activation(layer: layers.Layer, name: str) -> bool:
    return isinstance(layer, layers.Activation) and layer.activation.__name__ == name


def _learn(student: keras.Model, teacher: keras.Model, settings: Settings, pixels: np.ndarray) -> list[float]:
    seen = np.concatenate([pixels, pixels[:, :, ::-1]]).astype(np.float32)
    seen = seen[np.random.default_rng(SEED).permutation(len(seen))]
    goal = teacher.predict(seen, verbose=0)
    heads, steps = sorted(goal), settings.epochs * -(-len(seen) // BATCH)
    recipe = Training(epochs=settings.epochs)
    student.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
        ),
        loss=losses.losses(heads, recipe),
        loss_weights=losses.loss_weights(heads, recipe),
    )
    runtime.make_variables(student, {head: answers[:1] for head, answers in goal.items()})
    history = student.fit(
        seen, goal, batch_size=BATCH, epochs=settings.epochs, shuffle=False, verbose=0
    ).history["loss"]
    if not np.isfinite(history).all():
        raise PocketfaceError("the fine-tuning's loss is no number; lower levels.qat_int8.learning_rate")
    return [float(loss) for loss in history]


def _trained(student: keras.Model) -> dict[str, Range]:
    return {
        layer.name.removeprefix(RANGE): (min(float(layer.low), 0.0), max(float(layer.high), 0.0))
        for layer in student.layers
        if isinstance(layer, _Range)
    }


def _by_tensor(
    plain: keras.Model, float32: TFLiteFile, face: np.ndarray, trained: Mapping[str, Range]
) -> dict[str, Range]:
    """The trained ranges by the names of the file's tensors, which are found by their values on one face.

    The converter names tensors as it pleases; a layer that it computes together with another has none.

    Raises:
        PocketfaceError: no trained layer is found in the file.
    """
    outputs = {name: plain.get_layer(name).output for name in trained}
    wanted = keras.Model(plain.input, outputs).predict(face[None].astype(np.float32), verbose=0)
    tensors = next(ranges.activations(float32, face[None]))
    found = {
        tensor: trained[layer]
        for layer, expected in wanted.items()
        for tensor, values in tensors.items()
        if values.shape == expected.shape
        and np.allclose(values, expected, rtol=0, atol=1e-4 * max(1.0, float(np.abs(expected).max())))
    }
    if not found:
        raise PocketfaceError("none of the trained layers is found in the converted file")
    return found
