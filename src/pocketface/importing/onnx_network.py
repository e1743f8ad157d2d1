"""An ONNX graph as a model of Keras: every operator becomes a layer, with the channels last.

Tensors of four dimensions are `[N, H, W, C]` throughout; an operator that depends on the order (a reshape, a
flattening) gets it as in the file. Files of Keras and TensorFlow turn maps back and forth about each
convolution; these turns are only written down. Of the converters, onnx2tf 2.6.9 pins its requirements and
needs Python 3.12, onnx2keras 0.0.25 lacks HardSwish and builds Lambda layers.
"""

import math
from collections.abc import Callable, Sequence
from functools import partialmethod
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from keras import layers, ops
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from pocketface.core.errors import PocketfaceError, refusing, shown

MOST_NODES = 20_000
MOST_EXTERNAL = 2 * 2**30
"""Bytes of the file beside it that holds its numbers."""
LAST = {0: 0, 1: 3, 2: 1, 3: 2}
"""Axis of `[N, C, H, W]` -> the same of `[N, H, W, C]`."""
ELEMENTWISE: dict[str, Callable[[Any, Any], Any]] = {
    "Add": ops.add,
    "Sub": ops.subtract,
    "Mul": ops.multiply,
    "Div": ops.divide,
}
UNARY: dict[str, Callable[[Any], Any]] = {
    "Relu": lambda x: layers.ReLU()(x),
    "Sigmoid": ops.sigmoid,
    "Tanh": ops.tanh,
    "HardSwish": ops.hard_silu,
    "Sqrt": ops.sqrt,
    "Exp": ops.exp,
    "Neg": ops.negative,
}
FOLDED = tuple(
    "Constant Add Sub Mul Div Gather Concat Squeeze Unsqueeze Slice Cast Reshape Transpose Identity".split()
)
"""What is computed while a file is read, where it depends on constants alone."""
MOST_FOLDED = 10**9
"""The product of the sizes of its inputs, which no result of these operators exceeds."""
PASSED = ("Identity", "Dropout", "Cast")
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
ORDERED = ("Transpose", "Flatten", "Reshape", "Squeeze", "Unsqueeze")
"""What gets its input in the order of the file."""
FOLLOWING = (*PASSED, *UNARY, *ELEMENTWISE, *"Clip Concat HardSigmoid LeakyRelu ReduceMean Softmax".split())
"""What works in either order, and keeps it."""
FIRST_TO_LAST, LAST_TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
NOT_NEGATIVE = ("Relu", "Sigmoid", "HardSigmoid", "Softmax")


def read(path: Path) -> keras.Model:
    """Reads a file, and the file beside it that holds its numbers, if it has one.

    Raises:
        PocketfaceError: it is not ONNX, damaged, has more than one input, or an operator, or a setting of
            one, that is not read.
    """
    invalid = onnx.checker.ValidationError, onnx.shape_inference.InferenceError
    with refusing("not readable as ONNX", DecodeError, ValueError, OSError, KeyError, *invalid):
        proto = onnx.load(str(path), format="protobuf", load_external_data=False)
        _check_external(proto, path)
        onnx.load_external_data_for_model(proto, str(path.parent))
        onnx.checker.check_model(proto)
        proto = onnx.shape_inference.infer_shapes(proto)
        reader = _Reader(proto)
    if len(proto.graph.node) > MOST_NODES:
        raise PocketfaceError(f"has {len(proto.graph.node)} operators, more than {MOST_NODES}")
    return reader.model()


def _check_external(proto: Any, path: Path) -> None:
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            beside = path.parent / entry.value
            if entry.key == "location" and beside.is_file() and beside.stat().st_size > MOST_EXTERNAL:
                raise PocketfaceError(f"{shown(entry.value)}: more than {MOST_EXTERNAL:,} bytes")
            if entry.key == "location" and (Path(entry.value).name != entry.value or beside.is_symlink()):
                raise PocketfaceError(
                    f"{shown(tensor.name)} keeps its numbers in {shown(entry.value)}, elsewhere"
                )
    if any(attribute.HasField("g") for node in proto.graph.node for attribute in node.attribute):
        raise PocketfaceError("has graphs within its graph (If, Loop), which are not read")


class _Reader:
    """Walks a graph; `on_conv` makes the layer of a `Conv`, and so on.

    Attributes:
        constants: tensor -> its values, as in the file.
        made: tensor -> that of Keras; those of four dimensions are `[N, H, W, C]`.
        last: tensors of four dimensions that have their channels last in the file, too.
        not_negative: tensors that are never below 0.
        flat: tensors that the file has without a batch, and Keras with it.
    """

    def __init__(self, proto: Any) -> None:
        self.graph, self.opset = proto.graph, proto.opset_import
        own = [one.version for one in self.opset if one.domain in ("", "ai.onnx")]
        self.version = max(own, default=1)
        self.constants = {t.name: numpy_helper.to_array(t) for t in self.graph.initializer}
        self.made: dict[str, keras.KerasTensor] = {}
        self.last: set[str] = set()
        self.not_negative: set[str] = set()
        self.flat: set[str] = set()

    def model(self) -> keras.Model:
        inputs = [value for value in self.graph.input if value.name not in self.constants]
        if len(inputs) != 1:
            raise PocketfaceError(f"has {len(inputs)} inputs; a network here sees one picture")
        sides = [dim.dim_value or None for dim in inputs[0].type.tensor_type.shape.dim]
        if len(sides) != 4 or (sides[1] not in (1, 3) and sides[3] not in (1, 3)):
            raise PocketfaceError(f"its input is {sides}: no picture of 1 or 3 channels")
        if None in sides[1:]:
            raise PocketfaceError(f"its input is {sides}: export it with a fixed size")
        if sides[1] in (1, 3):
            image = keras.Input((sides[2], sides[3], sides[1]), name="picture")
        else:
            image = keras.Input(tuple(sides[1:]), name="picture")
            self.last.add(inputs[0].name)
        self.made[inputs[0].name] = image
        for node in self.graph.node:
            what = f"{_name(node)}, a {node.op_type}, is not understood"
            with refusing(what, ValueError, TypeError, LookupError, ArithmeticError):
                self._node(node)
        outputs = [output.name for output in self.graph.output]
        if fixed := [name for name in outputs if name not in self.made]:
            raise PocketfaceError(f"its output {shown(fixed[0])} does not depend on the picture")
        return keras.Model(image, {name: self._as_in_file(name) for name in outputs})

    def _node(self, node: Any) -> None:
        kind, output = node.op_type, node.output[0]
        about = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if kind == "Shape":
            shape = self._as_in_file(node.input[0]).shape
            sides = [1 if side is None else side for side in shape]
            self.constants[output] = np.array(sides[about.get("start", 0) : about.get("end")], np.int64)
        elif kind in FOLDED and all(name in self.constants for name in node.input if name):
            self._fold(node)
        else:
            self.made[output] = self._layer(node, kind, list(node.input), about)
            passed = (*PASSED, *ORDERED, "MaxPool", "AveragePool", "GlobalAveragePool")
            kept = kind in passed and node.input[0] in self.not_negative
            if kept or kind in NOT_NEGATIVE or (kind == "Clip" and self._limits(node, about)[0] == 0):
                self.not_negative.add(output)

    def _fold(self, node: Any) -> None:
        """Computes what depends on constants alone, the way ONNX itself defines it."""
        given = {name: self.constants[name] for name in node.input if name}
        if math.prod(values.size or 1 for values in given.values()) > MOST_FOLDED:
            raise PocketfaceError(f"{_name(node)} computes on constants that are too large")
        folded = helper.make_function("folded", "folded", [*given], node.output, [node], self.opset)
        answers = ReferenceEvaluator(folded).run(None, given, {})
        self.constants |= dict(zip(node.output, map(np.asarray, answers), strict=True))

    def _layer(self, node: Any, kind: str, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        maps = [name for name in inputs if name in self.made and len(self.made[name].shape) == 4]
        if kind in FOLLOWING and maps and self.last.issuperset(maps):
            self.last.add(node.output[0])
        elif kind not in ORDERED:
            inputs = [self._first(name) if name in self.last else name for name in inputs]
        if kind == "Cast" and about["to"] not in FLOATS:
            raise PocketfaceError(f"{_name(node)}: a cast to whole numbers is not read")
        if kind in PASSED:
            return self.made[inputs[0]]
        if kind in UNARY:
            return UNARY[kind](self.made[inputs[0]])
        if kind in ELEMENTWISE:
            return self._elementwise(ELEMENTWISE[kind], inputs)
        method = getattr(self, f"on_{kind.lower()}", None)
        if method is None:
            raise PocketfaceError(f"{_name(node)} is the operator {shown(kind)}, which is not read")
        return method(node, inputs, about)

    def _elementwise(self, function: Callable[[Any, Any], Any], inputs: list[str]) -> keras.KerasTensor:
        rank = max(len(self.made[name].shape) for name in inputs if name in self.made)
        last = not self.last.isdisjoint(inputs)
        operands = []
        for name in inputs:
            if name in self.made:
                operand = self.made[name]
                if len(operand.shape) != rank:
                    raise PocketfaceError(f"{shown(name)} has {len(operand.shape)} dimensions, not {rank}")
            else:
                operand = self.constants[name].astype(np.float32)
                if operand.size > 1 and operand.ndim > rank:
                    raise PocketfaceError(f"{shown(name)} has {operand.ndim} dimensions, not {rank}")
                if operand.size == 1:
                    operand = float(operand.reshape(()))
                elif rank == 4 and not last:
                    operand = operand.reshape((1,) * (4 - operand.ndim) + operand.shape).transpose(0, 2, 3, 1)
            operands.append(operand)
        second = operands[1]
        if function is ops.add and isinstance(second, np.ndarray) and second.size != second.shape[-1]:
            operands.reverse()  # Keras takes a vector that is added to a map for one of its channels
        return function(*operands)

    def on_conv(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        kernel = self._weights(node, inputs[1]).transpose(2, 3, 1, 0)
        bias = [self._weights(node, inputs[2])] if len(inputs) > 2 and inputs[2] else []
        groups, image = about.get("group", 1), self.made[inputs[0]]
        strides, dilation = tuple(about.get("strides", (1, 1))), tuple(about.get("dilations", (1, 1)))
        x, padding = self._padded(node, image, kernel.shape[:2], strides, dilation, about)
        settings = {"strides": strides, "dilation_rate": dilation, "padding": padding, "use_bias": bool(bias)}
        if groups > 1 and groups == image.shape[3] and kernel.shape[2] == 1:
            multiplier = kernel.shape[3] // groups
            layer = layers.DepthwiseConv2D(kernel.shape[:2], depth_multiplier=multiplier, **settings)
            kernel = kernel.reshape(*kernel.shape[:2], groups, multiplier)
        else:
            layer = layers.Conv2D(kernel.shape[3], kernel.shape[:2], groups=groups, **settings)
        return _with(layer, x, [kernel, *bias])

    def _padded(
        self, node: Any, x: Any, kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int],
        about: dict[str, Any], value_matters: bool = False,
    ) -> tuple[Any, str]:  # fmt: skip
        """The input with its padding, or the name of Keras' padding that does the same."""
        auto = about.get("auto_pad", b"NOTSET").decode()
        if auto == "SAME_UPPER":
            return x, "same"
        if auto not in ("NOTSET", "VALID"):
            raise PocketfaceError(f"{_name(node)}: auto_pad {auto} is not read")
        pads = list(about.get("pads", (0, 0, 0, 0)))
        if auto == "VALID" or not any(pads):
            return x, "valid"
        wanted = []
        for side, size, stride, spread in zip(x.shape[1:3], kernel, strides, dilation, strict=True):
            total = max((-(-side // stride) - 1) * stride + (size - 1) * spread + 1 - side, 0)
            wanted.append((total // 2, total - total // 2))
        if pads == [wanted[0][0], wanted[1][0], wanted[0][1], wanted[1][1]]:
            return x, "same"
        edges = (pads[0], pads[2]), (pads[1], pads[3])
        if value_matters and node.input[0] not in self.not_negative:
            # A mirrored value is in the same window as the one that it mirrors, up to half of the window, and
            # that of the border is in any: the greatest stays.
            half = all(2 * max(pair) <= size for pair, size in zip(edges, kernel, strict=True))
            for step in range(1 if half else max(map(max, edges))):
                widths = edges if half else [(int(step < low), int(step < high)) for low, high in edges]
                x = ops.pad(x, [(0, 0), *widths, (0, 0)], mode="symmetric")
            return x, "valid"
        return layers.ZeroPadding2D(edges)(x), "valid"

    def _pool(self, node: Any, inputs: list[str], about: dict[str, Any], mean: bool) -> keras.KerasTensor:
        x, kernel = self.made[inputs[0]], tuple(about["kernel_shape"])
        strides = tuple(about.get("strides", (1, 1)))
        if about.get("ceil_mode", 0) or set(about.get("dilations", (1,))) != {1}:
            raise PocketfaceError(f"{_name(node)}: a pooling with ceil_mode or dilations is not read")
        counted = mean and about.get("count_include_pad", 0)
        if counted and about.get("auto_pad", b"NOTSET").startswith(b"SAME"):
            raise PocketfaceError(f"{_name(node)}: a mean with its padding, by auto_pad, is not read")
        if mean and not counted and any(about.get("pads", ())):
            padded, padding = self._padded(node, x, kernel, strides, (1, 1), about)
            if padding != "same":
                raise PocketfaceError(f"{_name(node)}: a mean beside its padding is not read")
        elif counted and any(about.get("pads", ())):
            top, left, bottom, right = about["pads"]
            padded, padding = layers.ZeroPadding2D(((top, bottom), (left, right)))(x), "valid"
        else:
            padded, padding = self._padded(node, x, kernel, strides, (1, 1), about, value_matters=True)
        layer = layers.AveragePooling2D if mean else layers.MaxPooling2D
        return layer(kernel, strides=strides, padding=padding)(padded)

    on_maxpool, on_averagepool = partialmethod(_pool, mean=False), partialmethod(_pool, mean=True)

    def on_globalaveragepool(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        return layers.GlobalAveragePooling2D(keepdims=True)(self.made[inputs[0]])

    def on_reducemean(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        x = self.made[inputs[0]]
        axes = about.get("axes") or self.constants[inputs[1]].tolist()
        axes, keep = sorted(self._axis(inputs[0], axis) for axis in axes), bool(about.get("keepdims", 1))
        if len(x.shape) == 4 and axes == [1, 2]:
            return layers.GlobalAveragePooling2D(keepdims=keep)(x)
        if len(x.shape) == 4:
            raise PocketfaceError(f"{_name(node)}: a mean over other axes than height and width is not read")
        return ops.mean(x, axis=axes, keepdims=keep)

    def on_gemm(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        if about.get("transA", 0) or len(self.made[inputs[0]].shape) != 2:
            raise PocketfaceError(f"{_name(node)}: a transposed product is not read")
        kernel = self._weights(node, inputs[1]) * about.get("alpha", 1.0)
        kernel = kernel.T if about.get("transB", 0) else kernel
        bias = [self._weights(node, name) * about.get("beta", 1.0) for name in inputs[2:] if name]
        return self._dense(
            inputs[0], kernel, [np.broadcast_to(b.reshape(-1), kernel.shape[1:]) for b in bias]
        )

    def on_matmul(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        if len(self.made[inputs[0]].shape) == 4:
            raise PocketfaceError(f"{_name(node)}: a product of maps is not read")
        return self._dense(inputs[0], self._weights(node, inputs[1]), [])

    def _dense(self, source: str, kernel: np.ndarray, bias: list[np.ndarray]) -> keras.KerasTensor:
        layer = layers.Dense(kernel.shape[1], use_bias=bool(bias))
        return _with(layer, self.made[source], [kernel, *bias])

    def on_batchnormalization(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        scale, offset, mean, variance = (self._weights(node, name) for name in inputs[1:5])
        x = self.made[inputs[0]]
        axis = -1 if len(x.shape) in (2, 4) else 1  # of maps alone the channels are last here
        layer = layers.BatchNormalization(axis=axis, epsilon=about.get("epsilon", 1e-5))
        return _with(layer, x, [scale, offset, mean, variance])

    def on_leakyrelu(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        return layers.LeakyReLU(about.get("alpha", 0.01))(self.made[inputs[0]])

    def on_prelu(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        slope, x = self._weights(node, inputs[1]), self.made[inputs[0]]
        shared = [1, 2] if len(x.shape) == 4 else None
        shape = (1, 1, slope.size) if len(x.shape) == 4 else (slope.size,)
        aligned = (1,) * (len(x.shape) - slope.ndim) + slope.shape
        if self.version >= 7 and slope.size > 1 and aligned[1:2] != (slope.size,):
            raise PocketfaceError(f"{_name(node)}: slopes {slope.shape} along another axis are not read")
        if slope.size not in (1, x.shape[-1]):
            raise PocketfaceError(f"{_name(node)}: slopes {slope.shape} are not read")
        slopes = np.broadcast_to(slope.reshape(shape), (*shape[:-1], x.shape[-1]))
        return _with(layers.PReLU(shared_axes=shared), x, [slopes])

    def on_hardsigmoid(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        x = self.made[inputs[0]] * float(about.get("alpha", 0.2)) + float(about.get("beta", 0.5))
        return ops.clip(x, 0.0, 1.0)

    def _limits(self, node: Any, about: dict[str, Any]) -> tuple[float, float]:
        limits = [about.get("min"), about.get("max")]
        for place, name in enumerate(list(node.input)[1:3]):
            if name:
                limits[place] = float(self.constants[name].reshape(()))
        low, high = limits
        return (-np.inf if low is None else float(low)), (np.inf if high is None else float(high))

    def on_clip(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        low, high = self._limits(node, about)
        x = self.made[inputs[0]]
        if low == 0:
            return layers.ReLU(max_value=None if np.isinf(high) else high)(x)
        return ops.clip(x, low, high)

    def on_softmax(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        x, old = self.made[inputs[0]], self.version < 13  # which takes its axis and all behind it for one
        rank, axis = len(x.shape), about.get("axis", 1 if old else -1)
        behind = {x.shape[self._axis(inputs[0], other)] for other in range(axis % rank + 1, rank)}
        if old and behind - {1}:
            raise PocketfaceError(f"{_name(node)}: a softmax over several axes is not read")
        return layers.Softmax(axis=self._axis(inputs[0], axis))(x)

    def on_concat(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        return layers.Concatenate(axis=self._axis(inputs[0], about["axis"]))([self.made[n] for n in inputs])

    def on_pad(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        pads = [int(n) for n in (about.get("pads") or self.constants[inputs[1]].tolist())]
        value = about.get("value", 0.0)
        if len(inputs) > 2 and inputs[2]:
            value = float(self.constants[inputs[2]].reshape(()))
        x, half = self.made[inputs[0]], len(pads) // 2
        if about.get("mode", b"constant") != b"constant" or min(pads) < 0 or half != len(x.shape):
            raise PocketfaceError(f"{_name(node)}: this padding is not read")
        widths = [(pads[axis], pads[axis + half]) for axis in range(half)]
        widths = [widths[0], *widths[2:], widths[1]] if half == 4 else widths
        return ops.pad(x, widths, constant_values=value)

    def on_flatten(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        if about.get("axis", 1) != 1:
            raise PocketfaceError(f"{_name(node)}: flattening from axis {about['axis']} on is not read")
        return layers.Flatten()(self._as_in_file(inputs[0]))

    def on_reshape(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        x = self._as_in_file(inputs[0])
        shape = [int(n) for n in self.constants[inputs[1]]]
        if shape == [-1]:  # the batch is flattened too; see `on_gather`
            self.flat.add(node.output[0])
            return layers.Flatten()(x)
        shape = [x.shape[axis] if side == 0 else side for axis, side in enumerate(shape)]
        if shape[0] not in (1, -1, None) or (shape[0] == -1 and -1 in shape[1:]):
            raise PocketfaceError(f"{_name(node)}: a shape {shape} that mixes pictures is not read")
        return self._as_ours(layers.Reshape(tuple(shape[1:]))(x))

    def on_gather(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        """Of a tensor that was flattened, batch and all, every value in its place: what PyTorch makes
        of a view with strides."""
        x, places = self.made[inputs[0]], self.constants[inputs[1]]
        whole = places.shape[:1] == (1,) and (places.reshape(-1) == np.arange(x.shape[-1])).all()
        if inputs[0] not in self.flat or not whole:
            raise PocketfaceError(f"{_name(node)}: picking values by their places is not read")
        return self._as_ours(layers.Reshape(places.shape[1:])(x))

    def on_transpose(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        order = list(about["perm"])
        if order[0] != 0:
            raise PocketfaceError(f"{_name(node)}: the order {order} is not read")
        last = inputs[0] in self.last
        if order == (LAST_TO_FIRST if last else FIRST_TO_LAST):
            if not last:
                self.last.add(node.output[0])
            return self.made[inputs[0]]
        return self._as_ours(layers.Permute(tuple(order[1:]))(self._as_in_file(inputs[0])))

    def on_squeeze(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        x = self._as_in_file(inputs[0])
        axes = about.get("axes") or self.constants[inputs[1]].tolist()
        gone = {axis % len(x.shape) for axis in axes}
        return self._as_ours(
            layers.Reshape([n for axis, n in enumerate(x.shape) if axis and axis not in gone])(x)
        )

    def on_unsqueeze(self, node: Any, inputs: list[str], about: dict[str, Any]) -> keras.KerasTensor:
        x = self._as_in_file(inputs[0])
        axes = about.get("axes") or self.constants[inputs[1]].tolist()
        shape = list(x.shape)
        for axis in sorted(axis % (len(shape) + len(axes)) for axis in axes):
            shape.insert(axis, 1)
        return self._as_ours(layers.Reshape(shape[1:])(x))

    def _as_in_file(self, name: str) -> keras.KerasTensor:
        """A tensor in the order of axes that it has in the file; a map of one place has no order."""
        x = self.made[name]
        if len(x.shape) != 4 or name in self.last:
            return x
        single = tuple(x.shape[1:3]) == (1, 1)
        return layers.Reshape((x.shape[3], 1, 1))(x) if single else layers.Permute((3, 1, 2))(x)

    def _first(self, name: str) -> str:
        """A tensor with its channels last, for an operator that takes its second axis for the channels."""
        turned = f"{name} (as it stands)"
        self.made[turned] = self._as_ours(self.made[name])
        return turned

    def _axis(self, name: str, axis: int) -> int:
        """Our number of an axis of the file's."""
        rank = len(self.made[name].shape)
        return LAST[axis % rank] if rank == 4 and name not in self.last else axis % rank

    @staticmethod
    def _as_ours(x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.Permute((2, 3, 1))(x) if len(x.shape) == 4 else x

    def _weights(self, node: Any, name: str) -> np.ndarray:
        if name not in self.constants:
            raise PocketfaceError(f"{_name(node)}: {shown(name)} is no constant, which is not read")
        values = np.asarray(self.constants[name], np.float32)
        if not np.isfinite(values).all():
            raise PocketfaceError(f"{_name(node)}: {shown(name)} is not all finite numbers")
        return values


def _with(layer: keras.Layer, x: keras.KerasTensor, weights: Sequence[np.ndarray]) -> keras.KerasTensor:
    output = layer(x)
    layer.set_weights(list(weights))
    return output


def _name(node: Any) -> str:
    return f"operator {shown(node.name or node.output[0])}"
