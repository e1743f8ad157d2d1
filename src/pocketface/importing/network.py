"""A network from somebody's file, whatever made the file.

    network = read(Path("mine.keras"))
    network.shape, network.channels_first, network.outputs     # (112, 112, 3), False, {'probs': 2}

`.keras` files, and `.h5` of Keras 2 with the architecture, are built again from their checked JSON; `.onnx`
is read by `onnx_network`; the folder of a SavedModel by TensorFlow, once all its operators are on the list
below; float32 `.tflite` stays as it is. Files are not trusted: code of their own (a Lambda, custom layers,
operators that read or write files) and sizes out of bounds are refused; the message names the layer.
"""

import hashlib
import json
import math
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from pocketface.core.budget import MODEL
from pocketface.core.errors import PocketfaceError, shown
from pocketface.core.files import sha256
from pocketface.fetching.archives import DAMAGED
from pocketface.importing import hdf5, onnx_network

LARGEST, LARGEST_CONFIG = 2 * 2**30, 2**25
"""Bytes of a file that is read at all, and of its architecture as JSON."""
LARGEST_SIDE = 512
"""Pixels, of a network that takes any; as of `Input.size`."""
MOST_LAYERS = 10_000
UNREADABLE = (*DAMAGED, OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
"""What zipfile, h5py and Keras raise on damaged files; RuntimeError covers nesting, too."""
FORMATS = ".keras, .h5 or .hdf5 of Keras 2, .onnx, .tflite, or the folder of a SavedModel"

LAYERS = frozenset(
    "InputLayer Dense Activation Dropout Flatten Reshape Permute RepeatVector Conv1D Conv2D "
    "Conv2DTranspose DepthwiseConv2D SeparableConv2D BatchNormalization LayerNormalization "
    "GroupNormalization UnitNormalization MaxPooling2D AveragePooling2D GlobalAveragePooling2D "
    "GlobalMaxPooling2D ZeroPadding2D Cropping2D UpSampling2D ReLU LeakyReLU PReLU ELU Softmax Add "
    "Subtract Multiply Average Maximum Minimum Concatenate Dot Rescaling Resizing Normalization "
    "SpatialDropout2D GaussianNoise GaussianDropout AlphaDropout ActivityRegularization RandomFlip "
    "RandomRotation RandomZoom RandomTranslation RandomContrast RandomBrightness RandomCrop CenterCrop "
    "Functional Sequential Model Identity".split()
)
"""Layers that a file may have: Keras' own, that compute and nothing else."""
WIDEST = 65_536
SIZES = ("units", "filters", "depth_multiplier", "size", "height", "width", "n")
"""Fields of a layer that are sizes, and the most that one may be."""
HARMLESS = frozenset(
    "keras keras.layers keras.models keras.initializers keras.regularizers keras.constraints "
    "keras.dtype_policies keras.activations".split()
)
"""Modules of what a configuration may name."""
OPERATIONS = frozenset(
    "Add Subtract Multiply Divide TrueDivide Maximum Minimum Mean Max Sum Reshape Transpose Concatenate "
    "Pad Squeeze ExpandDims GetItem Sigmoid Relu Relu6 Silu HardSilu HardSigmoid Tanh Softmax Sqrt Rsqrt "
    "Square Clip Negative Abs Exp Log Power Matmul Absolute Cast BroadcastTo".split()
)
GRAPH_OPERATORS = frozenset(
    "Placeholder Const Identity IdentityN NoOp VarHandleOp VarIsInitializedOp ReadVariableOp "
    "AssignVariableOp DisableCopyOnRead PartitionedCall StatefulPartitionedCall StopGradient Conv2D "
    "DepthwiseConv2dNative Conv2DBackpropInput BiasAdd MatMul BatchMatMulV2 FusedBatchNormV3 Relu Relu6 "
    "LeakyRelu Elu Selu Sigmoid Tanh Softmax Softplus Erf Add AddV2 AddN Sub Mul RealDiv Maximum Minimum "
    "Rsqrt Sqrt Square SquaredDifference Neg Exp Log Pow Abs ClipByValue MaxPool AvgPool Mean Max Min Sum "
    "Prod ArgMax Pad PadV2 MirrorPad Pack Unpack Shape StridedSlice Reshape Transpose Squeeze ExpandDims "
    "ConcatV2 Split SplitV Slice GatherV2 ReverseV2 Cast Tile Fill Range Select SelectV2 ResizeBilinear "
    "ResizeNearestNeighbor".split()
)
"""Operators of TensorFlow that a SavedModel may have."""
SAVING = frozenset(
    "StringJoin StaticRegexFullMatch ShardedFilename MergeV2Checkpoints SaveV2 RestoreV2".split()
)
"""Those that save and restore its variables: in functions for that, which nothing else may call."""


@dataclass(frozen=True)
class Network:
    """A network that was read.

    Attributes:
        path: its file.
        shape: height, width, channels of what it sees; None for sides that may be any.
        channels_first: whether its input is `[N, C, H, W]`.
        outputs: name -> number of values.
        call: of all but `.tflite`: a tensor of Keras to its outputs.
        file: of a `.tflite`: its bytes.
        lasting: whether Keras can build it again from JSON.
    """

    path: Path
    shape: tuple[int | None, int | None, int]
    channels_first: bool
    outputs: Mapping[str, int]
    call: Callable[[keras.KerasTensor], Mapping[str, keras.KerasTensor]] | None = None
    file: bytes | None = None
    lasting: bool = True


def read(path: Path) -> Network:
    """Reads a file.

    Raises:
        PocketfaceError: it is missing, damaged, of no such format, too large, not to be trusted, or no
            network with one picture as its input.
    """
    path = Path(path)
    _check_kind_of_file(path, f"a model is a {FORMATS}")
    reader = _saved_model if path.is_dir() else READERS.get(path.suffix.lower())
    if reader is None:
        raise PocketfaceError(f"{path}: not a model that is read here: {FORMATS}")
    size = sum(part.stat().st_size for part in _files(path))
    if size > LARGEST:
        raise PocketfaceError(f"{path}: {size:,} bytes are more than the {LARGEST:,} that are read")
    try:
        return reader(path)
    except PocketfaceError as error:
        text = str(error)
        raise PocketfaceError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def fingerprint(path: Path) -> str:
    """The SHA-256 of a file, or of a folder's names and contents.

    Raises:
        PocketfaceError: there is none.
    """
    _check_kind_of_file(path, "name it from the folder of params.yaml")
    if path.is_file():
        return sha256(path)
    listed = [f"{part.relative_to(path).as_posix()} {sha256(part)}" for part in _files(path)]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def _check_kind_of_file(path: Path, remedy: str) -> None:
    if not path.exists():
        raise PocketfaceError(f"{path}: no such file; {remedy}")
    if not (path.is_file() or path.is_dir()):  # a pipe or /dev/zero has no end
        raise PocketfaceError(f"{path}: neither a regular file nor a folder; {remedy}")


def _files(path: Path) -> list[Path]:
    return sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]


def _keras(path: Path) -> Network:
    try:
        with zipfile.ZipFile(path) as opened:
            if sum(member.file_size for member in opened.infolist()) > LARGEST:
                raise PocketfaceError(f"unpacks to more than {LARGEST:,} bytes")
            if opened.getinfo("config.json").file_size > LARGEST_CONFIG:
                raise PocketfaceError(f"its config.json has more than {LARGEST_CONFIG:,} bytes")
            config = json.loads(opened.read("config.json"))
            with tempfile.TemporaryDirectory() as folder:
                hdf5.check_links(Path(opened.extract("model.weights.h5", folder)))
    except UNREADABLE as error:
        raise PocketfaceError(f"not a readable Keras 3 file ({_line(error)})") from None
    return _built(path, config)


def _hdf5(path: Path) -> Network:
    try:
        hdf5.check_links(path)
        with h5py.File(path) as opened:
            told = opened.attrs.get("model_config")
    except UNREADABLE as error:
        raise PocketfaceError(f"not readable as HDF5 ({error})") from None
    if told is None:
        raise PocketfaceError(
            "holds weights without an architecture; save it whole (`model.save`), or name the `architecture`"
        )
    try:
        config = json.loads(told)
    except UNREADABLE as error:
        raise PocketfaceError(f"its architecture is not JSON ({_line(error)})") from None
    return _built(path, config)


def _built(path: Path, config: Any) -> Network:
    """Builds a checked configuration, and loads the file's weights."""
    model = from_config(config)
    try:
        model.load_weights(path)
    except UNREADABLE as error:
        raise PocketfaceError(f"its weights do not fit its architecture ({_line(error)})") from None
    return of_keras(path, model)


def from_config(config: Any) -> keras.Model:
    """The model of a configuration, as Keras 2 and 3 write it.

    Raises:
        PocketfaceError: it names something that is not allowed, or cannot be built.
    """
    try:
        config = _checked(config)
        if "module" not in config:  # Keras 2
            functional = config["class_name"] in ("Functional", "Model")
            module = "keras.src.models.functional" if functional else "keras"
            name = "Functional" if functional else config["class_name"]
            config |= {"module": module, "class_name": name, "registered_name": name}
        with keras.StatelessScope(initialize_variables=False):  # its variables take no memory yet
            _check_work(keras.models.model_from_json(json.dumps(config)))
        keras.utils.clear_session(free_memory=False)
        model = keras.models.model_from_json(json.dumps(config))
    except UNREADABLE as error:
        raise PocketfaceError(f"its architecture cannot be built ({_line(error)})") from None
    if not isinstance(model, keras.Model):
        raise PocketfaceError("is no model but a part of one")
    return model


def _checked(config: Any, layer: str = "the model", place: tuple[str, ...] = ()) -> Any:
    """The same configuration, once everything that it names is known to be harmless.

    What Keras 2 wrote and Keras 3 does not take is left out.
    """
    if len(place) > 100:
        raise PocketfaceError(f"{layer}: nested too deeply")
    if isinstance(config, list):
        if len(config) > MOST_LAYERS:
            raise PocketfaceError(f"{layer}: a list of more than {MOST_LAYERS}")
        return [_checked(part, layer, (*place, "")) for part in config]
    if not isinstance(config, dict):
        return config
    kind, inner = config.get("class_name"), config.get("config")
    if isinstance(kind, str) and inner is not None:
        layer = shown(inner.get("name", layer)) if isinstance(inner, dict) else layer
        _check_kind(kind, config, layer)
        if kind in ("DepthwiseConv2D", "Conv2DTranspose") and isinstance(inner, dict):
            inner.pop("groups", None)
    return {
        key: _checked(value, layer, (*place, key))
        for key, value in config.items()
        if key not in ("compile_config", "build_config") and _sized(key, value, layer)
    }


def _sized(key: str, value: Any, layer: str) -> bool:
    """Whether a size is one that a layer may have: a network is built before its weights are looked at.

    Raises:
        PocketfaceError: it is larger.
    """
    numbers = [number for number in keras.tree.flatten(value) if isinstance(number, int | float)]
    if key in SIZES and max(numbers, default=0) > WIDEST:
        raise PocketfaceError(f"layer {layer}: its {key} of {shown(value)} is more than {WIDEST:,}")
    return True


def _check_kind(kind: str, config: Mapping[str, Any], layer: str) -> None:
    module = config.get("module")
    if kind in ("__lambda__", "Lambda", "function") and not (
        kind == "function"
        and str(module or "").startswith(("keras.activations", "builtins"))
        and "." not in str(config["config"])
        and hasattr(keras.activations, str(config["config"]))
    ):
        raise PocketfaceError(f"layer {layer} is a {kind}, code of its own, which is refused")
    if kind in (
        "__tuple__",
        "__keras_tensor__",
        "__tensor__",
        "__numpy__",
        "__typespec__",
        "slice",
        "__slice__",
    ):
        return
    known = {*LAYERS, *OPERATIONS} if module is None or "layers" in module or "ops" in module else None
    if module is None:
        harmless = hasattr(keras.initializers, kind) or hasattr(keras.regularizers, kind)
        harmless = harmless or hasattr(keras.constraints, kind) or kind in ("DTypePolicy", "Policy")
    else:
        harmless = module in HARMLESS and known is None
    ours = module is None or module in HARMLESS or module.startswith(("keras.src.ops.", "keras.src.models."))
    if not (ours and (harmless or (kind in (known or LAYERS)))):
        raise PocketfaceError(
            f"layer {layer} is a {shown(kind)}{f' of {shown(module)}' if module else ''}: not one of Keras' "
            "own layers that are read here; build it of those, or bring the model as .onnx or .tflite"
        )


def _check_work(model: Any) -> None:
    """Refuses a network beyond what a `.tflite` may hold and do, see `pocketface.core.budget.MODEL`."""
    if not isinstance(model, keras.Model):
        return
    values, work = model.count_params(), 0
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.Model):
            continue
        kernels = sum(math.prod(weight.shape) for weight in layer.weights if weight.name.endswith("kernel"))
        for output in (output for node in layer._inbound_nodes for output in node.output_tensors):
            sides = [LARGEST_SIDE if side is None else side for side in output.shape[1:]]
            values, work = values + math.prod(sides), work + math.prod(sides[:-1]) * kernels
    for what, found, most in (("values", values, MODEL.values), ("operations", work, MODEL.work)):
        if found > most:
            raise PocketfaceError(f"too_large: {found:,} {what} for one face; at most {most:,} may be")


def of_keras(path: Path, model: keras.Model) -> Network:
    """A model of Keras that was read."""
    if len(model.inputs) != 1:
        raise PocketfaceError(f"has {len(model.inputs)} inputs; a network here sees one picture")
    outputs = model.outputs
    names = list(getattr(model, "output_names", []) or [])
    structure = getattr(model, "_outputs_struct", None)
    if isinstance(structure, dict):
        names = list(structure)
        outputs = [structure[name] for name in names]
    if len(names) != len(outputs) or len(set(names)) != len(names):
        names = [f"output_{place}" for place in range(len(outputs))]
    widths = [_width(name, output.shape) for name, output in zip(names, outputs, strict=True)]

    def call(x: keras.KerasTensor) -> Mapping[str, keras.KerasTensor]:
        answer = model(x)
        flat = [answer[name] for name in names] if isinstance(answer, dict) else keras.tree.flatten(answer)
        return dict(zip(names, flat, strict=True))

    shape, first = _picture(model.inputs[0].shape[1:])
    return Network(path, shape, first, dict(zip(names, widths, strict=True)), call)


def _onnx(path: Path) -> Network:
    return of_keras(path, onnx_network.read(path))


def _saved_model(path: Path) -> Network:
    import tensorflow as tf

    _check_graph(path)
    try:
        loaded = tf.saved_model.load(str(path))
        signatures = dict(loaded.signatures)
    except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
        raise PocketfaceError(f"not a SavedModel that can be loaded ({_line(error)})") from None
    name = "serving_default" if "serving_default" in signatures else next(iter(signatures), None)
    if name is None:
        raise PocketfaceError("has no signature to call; save it with `model.export(folder)`")
    signature = signatures[name]
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1 or next(iter(inputs.values())).dtype != tf.float32:
        raise PocketfaceError(
            f"signature {name} takes {sorted(inputs)}; a network here sees one float32 picture"
        )
    shape, first = _picture(next(iter(inputs.values())).shape[1:])
    outputs = {
        output: _width(output, spec.shape) for output, spec in sorted(signature.structured_outputs.items())
    }
    layer = keras.layers.TFSMLayer(str(path), call_endpoint=name)
    return Network(path, shape, first, outputs, layer, lasting=False)


def _check_graph(path: Path) -> None:
    """Refuses a SavedModel with an operator that is not on the list."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.protobuf import saved_model_pb2

    file = path / "saved_model.pb"
    if not file.is_file():
        raise PocketfaceError(f"a folder without {file.name} is no SavedModel")
    if any(part.is_symlink() for part in path.rglob("*")):
        raise PocketfaceError("has links in it, which are refused")
    content = saved_model_pb2.SavedModel()
    try:
        content.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise PocketfaceError(f"{file.name} is damaged ({_line(error)})") from None
    for meta in content.meta_graphs:
        if any(node.saveable_objects or node.registered_saver for node in meta.object_graph_def.nodes):
            raise PocketfaceError("restores objects with functions of its own, which is refused")
        for node in meta.graph_def.node:
            _check_node(node, GRAPH_OPERATORS)
        for function in meta.graph_def.library.function:
            allowed = GRAPH_OPERATORS | SAVING if _is_saving(function.signature.name) else GRAPH_OPERATORS
            for node in function.node_def:
                _check_node(node, allowed)
                if _is_saving(node.attr["f"].func.name if "f" in node.attr else ""):
                    raise PocketfaceError(f"{shown(node.name)} saves or restores, which is refused here")


def _is_saving(function: str) -> bool:
    return function.startswith(("__inference__traced_save", "__inference__traced_restore"))


def _check_node(node: Any, allowed: frozenset[str]) -> None:
    if node.op not in allowed:
        raise PocketfaceError(f"{shown(node.name)} is the operator {shown(node.op)}, which is refused here")


def _tflite(path: Path) -> Network:
    from pocketface.tflite import around
    from pocketface.tflite.file import TFLiteFile
    from pocketface.tflite.run import tried

    file = TFLiteFile.read(tried(path)).content
    shape, outputs = around.asked(file)
    sides, first = _picture(shape)
    return Network(path, sides, first, outputs, file=file)


def _picture(shape: Any) -> tuple[tuple[int | None, int | None, int], bool]:
    """Height, width and channels of an input, and whether the channels come first."""
    sides = tuple(shape)
    if len(sides) == 3 and sides[2] in (1, 3):
        return (sides[0], sides[1], sides[2]), False
    if len(sides) == 3 and sides[0] in (1, 3):
        return (sides[1], sides[2], sides[0]), True
    raise PocketfaceError(f"its input is {sides}: no picture of 1 or 3 channels")


def _width(name: str, shape: Any) -> int:
    if any(side is None for side in shape[1:]):
        raise PocketfaceError(f"its output {name} is {tuple(shape)}: of no fixed size")
    return int(np.prod(shape[1:]))


def _line(error: Exception) -> str:
    return shown(str(error).strip().partition("\n")[0])[:300]


READERS: dict[str, Callable[[Path], Network]] = {
    ".keras": _keras,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".onnx": _onnx,
    ".tflite": _tflite,
}
