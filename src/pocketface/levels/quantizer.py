"""The LiteRT quantizer: from a float32 `.tflite` file to an integer one."""

import contextlib
import io
import re
from collections.abc import Collection, Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from litert_quantizer import qtyping
from litert_quantizer.quantizer import AlgorithmName, Quantizer

from pocketface.core.errors import PocketfaceError, first_line
from pocketface.levels import Level
from pocketface.tflite.builder import Builder, drop_unused
from pocketface.tflite.file import SMALL, Range, TFLiteFile, kind, own, store, text, values
from pocketface.tflite.sound import OPTIONAL

BITS = {"INT4": 4, "INT8": 8, "INT16": 16}
ALGORITHMS = {"FLOAT16": AlgorithmName.FLOAT_CASTING, "INT4": AlgorithmName.OCTAV}
"""Else MIN_MAX. Four bits do not span the extremes: OCTAV (Sakr et al., 2022) clips where it costs least."""
MOST_BIAS = 2**30
"""Half of what 32 bits hold, for the products are added to it."""
TINY = 1e-6
"""A weight that makes no difference."""
NAMES = qtyping.TFLOperationName
NEVER_INT4 = (NAMES.DEPTHWISE_CONV_2D, NAMES.CONV_2D_TRANSPOSE, NAMES.BATCH_MATMUL)
"""What LiteRT has no kernels for with int4 weights: these are int8 then."""


def quantize(
    float32: TFLiteFile,
    level: Level,
    ranges: Mapping[str, Range] | None = None,
    per_channel: bool = True,
    kept: Collection[str] = (),
) -> TFLiteFile:
    """Quantizes a file.

    Args:
        float32: the file of level float32.
        level: what to make.
        ranges: activation tensor -> range, see `pocketface.levels.ranges`; for levels with integer
            activations.
        per_channel: whether each output channel of a weight tensor has its own scale.
        kept: names of the operators (see `pocketface.tflite.file.Operator`) that stay in float.

    Raises:
        PocketfaceError: the quantizer cannot make this level of this model.
    """
    source = _filled(float32) if level.weights[0] == "INT4" else float32
    if level.calibrated:
        source, copies = _answers_apart(float32)
        measured = dict(ranges or {})
        ranges = measured | {copy: measured[name] for copy, name in copies.items() if name in measured}
        kept = [*kept, *(copy for copy, name in copies.items() if name in kept)]
    quantizer = Quantizer(source.content)
    bits = BITS.get(level.weights[0], 16)
    algorithm = ALGORITHMS.get(level.weights[0], AlgorithmName.MIN_MAX_UNIFORM_QUANT)
    quantizer.update_quantization_recipe(
        ".*", NAMES.ALL_SUPPORTED, _config(level, bits, per_channel), algorithm
    )
    if bits == 4:
        for name in NEVER_INT4:
            quantizer.update_quantization_recipe(".*", name, _config(level, 8, per_channel))
    for ports, dtype in ((NAMES.INPUT, level.input), (NAMES.OUTPUT, level.output)):
        if dtype != "INT8":
            quantizer.update_quantization_recipe(".*", ports, algorithm_key=AlgorithmName.NO_QUANTIZE)
    scopes = _scopes(float32)
    for name in kept:
        quantizer.update_quantization_recipe(
            f"^{re.escape(scopes.get(name, name))};?$",
            NAMES.ALL_SUPPORTED,
            algorithm_key=AlgorithmName.NO_QUANTIZE,
        )
    spans = {
        name: {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
        for name, (low, high) in (ranges or {}).items()
    }
    try:
        silence = io.StringIO()  # its bars ignore `enable_progress_bar`
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            made = quantizer.quantize(spans or None, enable_progress_report=False).quantized_model
    except (ValueError, RuntimeError, KeyError) as error:
        raise PocketfaceError(f"not quantizable to {level.name}: {first_line(error)}") from None
    model = TFLiteFile(bytes(made)).copy()
    _fit_biases(float32.model, model)
    if level.weights[0] == "FLOAT16":
        _halve_biases(model)
    if level.input == "UINT8":
        _take_uint8(model)
    return TFLiteFile.write(model)


def _scopes(float32: TFLiteFile) -> dict[str, str]:
    """An operator's name -> what the quantizer calls it: the names of all that it writes."""
    graph = float32.model.subgraphs[0]
    written = ([text(graph.tensors[place].name) for place in one.outputs] for one in graph.operators)
    return {names[0]: ";".join(names) for names in written}


def _config(level: Level, bits: int, per_channel: bool) -> qtyping.OpQuantizationConfig:
    """Integer activations are quantized ahead; float ones while running, then small weights stay float."""
    if level.weights[0] == "FLOAT16":
        return qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(16, dtype=qtyping.TensorDataType.FLOAT),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
            min_weight_elements=SMALL,
        )
    activation = None
    if level.calibrated:
        wide = BITS[level.activations[0]]
        activation = qtyping.TensorQuantizationConfig(wide, symmetric=wide == 16)
    granularity = qtyping.QuantGranularity.CHANNELWISE if per_channel else qtyping.QuantGranularity.TENSORWISE
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=activation,
        weight_tensor_config=qtyping.TensorQuantizationConfig(bits, symmetric=True, granularity=granularity),
        compute_precision=qtyping.ComputePrecision.INTEGER,
        explicit_dequantize=False,
        min_weight_elements=0 if level.calibrated else SMALL,
    )


def _answers_apart(float32: TFLiteFile) -> tuple[TFLiteFile, dict[str, str]]:
    """The same network, in which no operator reads an answer and no two heads share one; copy -> answer.

    LiteRT's quantizer takes the last operator for the end of the graph: where that reads an answer, it is
    given floats in place of integers, or the head has the numbers of another tensor.
    """
    model, copies = float32.copy(), dict[str, str]()
    graph, builder = model.subgraphs[0], Builder(model)
    ports = [port for signature in (model.signatureDefs or [])[:1] for port in signature.outputs]
    places = [int(port.tensorIndex) for port in ports]
    read = {int(place) for operator in graph.operators for place in operator.inputs}
    for port, index in zip(ports, places, strict=True):
        if index in read or places.count(index) > 1:
            answer = graph.tensors[index]
            name, sides = f"{text(answer.name)}_answer{len(copies)}", [int(side) for side in answer.shape]
            shape = builder.constant(f"{name}_shape", np.array(sides, np.int32))
            copy = builder.tensor(name, sides)
            options = schema.ReshapeOptionsT(sides)
            graph.operators.append(builder.operator("RESHAPE", [index, shape], copy, options))
            outputs = [int(place) for place in graph.outputs]
            outputs[outputs.index(index)] = port.tensorIndex = copy
            graph.outputs, copies[name] = outputs, text(answer.name)
    return (TFLiteFile.write(model), copies) if copies else (float32, copies)


def _filled(float32: TFLiteFile) -> TFLiteFile:
    """The file with `TINY` in the channels whose weights are all 0, for which OCTAV finds a scale of 0."""
    model = float32.copy()
    for operator in model.subgraphs[0].operators:
        name = kind(model, operator)
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            tensor = own(model, operator, 1)
            weights = values(model, tensor).copy()
            channels = np.moveaxis(weights, -1 if name == "DEPTHWISE_CONV_2D" else 0, 0)
            channels[~channels.reshape(len(channels), -1).any(axis=1)] = TINY
            store(model, tensor, weights)
    return TFLiteFile.write(model)


def _fit_biases(float32: schema.ModelT, model: schema.ModelT) -> None:
    """Gives channels whose bias does not fit into 32 bits a coarser scale.

    A bias counts in steps of the input's scale times the weights'. Where the weights are next to nothing (of
    a dead channel, or one that was pruned) these are so small that the quantizer cuts the bias off near 0.
    """
    graph, before = model.subgraphs[0], float32.subgraphs[0]
    made_by = {text(before.tensors[one.outputs[0]].name): one for one in before.operators}
    for operator in graph.operators:
        name, old = kind(model, operator), made_by.get(text(graph.tensors[operator.outputs[0]].name))
        place, data = OPTIONAL.get(name, len(operator.inputs)), 2 if name == "TRANSPOSE_CONV" else 0
        if old is None or len(operator.inputs) <= place or operator.inputs[place] < 0:
            continue
        if graph.tensors[operator.inputs[place]].type != schema.TensorType.INT32:
            continue
        weights, bias = (
            values(float32, before.tensors[old.inputs[one]]).astype(np.float64) for one in (1, place)
        )
        step = float(graph.tensors[operator.inputs[data]].quantization.scale[0])
        scales = np.array(graph.tensors[operator.inputs[1]].quantization.scale, np.float32)
        needed = (np.abs(bias) / (step * MOST_BIAS)).astype(np.float32)
        wider = np.maximum(scales, needed if len(scales) > 1 else needed.max())
        if (wider == scales).all():
            continue
        channels = wider if name == "DEPTHWISE_CONV_2D" else wider.reshape(-1, *[1] * (weights.ndim - 1))
        for one, scale, new in ((1, wider, weights / channels), (place, step * wider, bias / (step * wider))):
            tensor = own(model, operator, one)
            tensor.quantization.scale = scale.astype(np.float32)
            store(model, tensor, np.rint(new))


def _halve_biases(model: schema.ModelT) -> None:
    """Makes biases float16 where weights are: LiteRT 1.1 to 1.3 refuse a depthwise convolution of which only
    the weights are.
    """
    graph, builder = model.subgraphs[0], Builder(model)
    halved = {int(one.outputs[0]) for one in graph.operators if kind(model, one) == "DEQUANTIZE"}
    operators = []
    for operator in graph.operators:
        place = OPTIONAL.get(kind(model, operator), len(operator.inputs))
        if len(operator.inputs) > place and int(operator.inputs[1]) in halved and operator.inputs[place] >= 0:
            bias = graph.tensors[operator.inputs[place]]
            name = f"{text(bias.name)}_half"
            half = builder.constant(name, values(model, bias).astype(np.float16))
            whole = builder.tensor(f"{name}_dequant", bias.shape)
            operators.append(builder.operator("DEQUANTIZE", [half], whole))
            operator.inputs = [*operator.inputs[:place], whole, *operator.inputs[place + 1 :]]
        operators.append(operator)
    graph.operators = operators
    drop_unused(model)


def _take_uint8(model: schema.ModelT) -> None:
    """Lets the first operator, which quantizes float pixels to int8, take uint8 pixels.

    The scale is the same, the zero point is 128 further up.
    """
    graph = model.subgraphs[0]
    image = graph.inputs[0]
    first = next(operator for operator in graph.operators if image in operator.inputs)
    if kind(model, first) != "QUANTIZE":
        raise PocketfaceError(f"its first operator is {kind(model, first)}, not QUANTIZE")
    signed = graph.tensors[first.outputs[0]].quantization
    graph.tensors[image].type = schema.TensorType.UINT8
    graph.tensors[image].quantization = schema.QuantizationParametersT(
        scale=list(signed.scale), zeroPoint=[int(zero) + 128 for zero in signed.zeroPoint]
    )
