"""Somebody's float32 `.tflite` file as a model of ours: operators around it take raw pixels, give meaning."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pocketface.core.errors import PocketfaceError, shown
from pocketface.faces.settings import Input
from pocketface.layers.own import Heads, Preprocess, named_output
from pocketface.tflite.builder import FLOAT, Builder
from pocketface.tflite.file import TFLiteFile, elements, text
from pocketface.tflite.sound import TYPES
from pocketface.tflite.versions import FLOATS


def asked(file: TFLiteFile) -> tuple[tuple[int, ...], dict[str, int]]:
    """The shape of a file's input, without the batch, and its outputs: name -> number of values.

    Raises:
        PocketfaceError: it is damaged, quantized, or has more than one graph or input.
    """
    model = file.model
    graph = model.subgraphs[0]
    if len(model.subgraphs) != 1 or len(graph.inputs) != 1:
        raise PocketfaceError(
            f"has {len(model.subgraphs)} graphs and {len(graph.inputs)} inputs, not one each"
        )
    for tensor in graph.tensors:
        if TYPES[tensor.type] not in FLOATS:
            raise PocketfaceError(
                f"its tensor {shown(text(tensor.name))} is {TYPES[tensor.type]}: "
                "quantized already; bring the float32 file that it was made from"
            )
    image = graph.tensors[graph.inputs[0]]
    if image.type != FLOAT or image.shape is None or len(image.shape) != 4:
        raise PocketfaceError(f"its input is {TYPES[image.type]} {image.shape}, no float32 picture")
    if image.shape[0] != 1:
        raise PocketfaceError(f"takes {image.shape[0]} pictures at once; convert it for one")
    outputs = _outputs(model)
    widths = {name: elements(graph.tensors[place]) for name, place in outputs.items()}
    return tuple(int(side) for side in image.shape[1:]), widths


def around(
    file: TFLiteFile, input: Input, preprocess: Preprocess, heads: Heads, nchw: bool = False
) -> TFLiteFile:
    """The file that takes raw pixels `[1, size, size, channels]` and answers the heads.

    Raises:
        PocketfaceError: it sees pictures of another size, or an output is not there or not of that width.
    """
    shape, widths = asked(file)
    sides = (input.channels, input.size, input.size) if nchw else (input.size, input.size, input.channels)
    if shape != sides:
        raise PocketfaceError(f"its input is {shape}, the stanza says {sides}")
    model = file.copy()
    builder = _Around(model)
    before, after = builder.before(input, preprocess, nchw), {}
    outputs = _outputs(model)
    for head, own in heads.items():
        name = named_output(head, own, widths)
        after[head] = builder.after(head, outputs[name], widths[name], own.pieces(head, widths[name]))
    graph = model.subgraphs[0]
    graph.operators = [*builder.first, *graph.operators, *builder.last]
    graph.inputs, graph.outputs = [before], list(after.values())
    signature = [
        [schema.TensorMapT(name.encode(), place) for name, place in side.items()]
        for side in ({"image": before}, after)
    ]
    model.signatureDefs = [schema.SignatureDefT(*signature, signatureKey=b"serving_default")]
    _name_apart(graph)
    return TFLiteFile.write(model)


def _name_apart(graph: schema.SubGraphT) -> None:
    """Gives every tensor a name of its own: ranges and the quantizer know tensors by name."""
    taken: set[str] = set()
    for place, tensor in enumerate(graph.tensors):
        name = text(tensor.name or b"tensor")
        while name in taken:
            name = f"{name};{place}"
        taken.add(name)
        tensor.name = name.encode()


def _outputs(model: schema.ModelT) -> dict[str, int]:
    """Name -> tensor, by the signature where there is one."""
    graph = model.subgraphs[0]
    named = [
        (text(entry.name), int(entry.tensorIndex))
        for signature in (model.signatureDefs or [])[:1]
        for entry in signature.outputs
    ] or [(text(graph.tensors[place].name), int(place)) for place in graph.outputs]
    if len(dict(named)) != len(named):
        raise PocketfaceError("two of its outputs have the same name")
    return dict(named)


class _Around(Builder):
    """Makes operators around the graph of a model."""

    def __init__(self, model: schema.ModelT) -> None:
        super().__init__(model)
        self.first: list[schema.OperatorT] = []
        self.last: list[schema.OperatorT] = []

    def before(self, input: Input, preprocess: Preprocess, nchw: bool) -> int:
        network = int(self.graph.inputs[0])
        scale, offset = preprocess.affine(input.channels)
        places = np.arange(input.channels)[:: -1 if preprocess.order == "bgr" else 1]
        plain = (scale == 1).all() and not offset.any() and (np.diff(places) > 0).all()
        if plain and not nchw:
            self.graph.tensors[network].name = b"image"
            return network
        shape = (1, input.size, input.size, input.channels)
        image = self.tensor("image", shape)
        seen = image
        if not plain:
            matrix = np.zeros((input.channels, input.channels))
            matrix[np.arange(input.channels), places] = scale
            seen = self.tensor("normalised", shape) if nchw else network
            self.first.append(self.channels("normalise", image, matrix, offset, seen))
        if nchw:
            order = self.constant("channels_first", np.array([0, 3, 1, 2], np.int32))
            turned = self.operator("TRANSPOSE", [seen, order], network, schema.TransposeOptionsT())
            self.first.append(turned)
        return image

    def after(self, head: str, tensor: int, width: int, pieces: Any) -> int:
        if len(self.graph.tensors[tensor].shape) != 2:
            shape = self.constant(f"{head}_shape", np.array([1, width], np.int32))
            options = schema.ReshapeOptionsT([1, width])
            tensor = self._append("RESHAPE", [tensor, shape], f"{head}_values", width, options)
        if pieces.activation == "softmax":
            options = schema.SoftmaxOptionsT(beta=1.0)
            tensor = self._append("SOFTMAX", [tensor], f"{head}_softmax", width, options)
        elif pieces.activation == "sigmoid":
            tensor = self._append("LOGISTIC", [tensor], f"{head}_sigmoid", width)
        if pieces.kernel is None:
            return tensor
        kernel = self.constant(f"{head}_kernel", np.ascontiguousarray(pieces.kernel.T))
        inputs = [tensor, kernel, self.constant(f"{head}_bias", pieces.bias)]
        options, answers = schema.FullyConnectedOptionsT(), pieces.kernel.shape[1]
        return self._append("FULLY_CONNECTED", inputs, f"{head}_meaning", answers, options)

    def _append(self, kind: str, inputs: Sequence[int], name: str, width: int, options: Any = None) -> int:
        output = self.tensor(name, (1, width))
        self.last.append(self.operator(kind, inputs, output, options))
        return output
