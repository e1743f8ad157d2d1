"""A network from somebody's file, whatever made the file.

`.keras` files, and `.h5` of Keras 2 with the architecture, are built again from their checked JSON; `.onnx`
is read by `onnx_network`; the folder of a SavedModel becomes a `.tflite`, once all its operators are on the
list below; float32 `.tflite` stays as it is. Files are not trusted: code of their own (a Lambda, custom
layers, operators that read or write files) is refused. Each file is opened, and its network run once, in
another process with a budget, `pocketface.core.budget.MODEL`.
"""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorflow.core.protobuf import saved_model_pb2

from pocketface.core.budget import MODEL, Apart
from pocketface.core.errors import PocketfaceError, located, refusing, shown
from pocketface.core.files import sha256, told_when_full
from pocketface.fetching.archives import DAMAGED
from pocketface.importing import hdf5, onnx_network
from pocketface.layers.heads import OWN_LAYERS
from pocketface.levels.converter import to_tflite
from pocketface.tflite import around
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.run import once

LARGEST, LARGEST_CONFIG = 2 * 2**30, 2**25
"""Bytes of a file that is read at all, and of its architecture as JSON."""
SIDE = 224
"""Pixels, of a network that takes any, unless its user says."""
MOST_LAYERS = 10_000
UNREADABLE = (*DAMAGED, OSError, ValueError, KeyError, RuntimeError)
"""What zipfile, json and h5py raise on damaged files."""
UNBUILT = (*UNREADABLE, TypeError, IndexError, AttributeError)
"""What Keras raises where a layer is not as it expects; its calls alone may."""
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
HARMLESS = frozenset(
    "keras keras.layers keras.models keras.initializers keras.regularizers keras.constraints "
    "keras.dtype_policies keras.activations".split()
)
"""Modules of what a configuration may name."""
DATA = frozenset(
    "__tuple__ __keras_tensor__ __tensor__ __numpy__ __typespec__ slice __slice__ __ellipsis__".split()
)
OPERATIONS = frozenset(
    "Add Subtract Multiply Divide TrueDivide Maximum Minimum Mean Max Sum Reshape Transpose Concatenate "
    "Pad Squeeze ExpandDims GetItem Sigmoid Relu Relu6 Silu HardSilu HardSigmoid Tanh Softmax Sqrt Rsqrt "
    "Square Clip Negative Abs Exp Log Power Matmul Absolute Cast BroadcastTo".split()
)
HALVES = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
"""How layers compute in a training on a GPU; here with float32, as LiteRT does."""
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
        call: a tensor of Keras to its outputs; None where there is a file.
        file: of a `.tflite` or SavedModel: the bytes of a `.tflite`.
    """

    path: Path
    shape: tuple[int | None, int | None, int]
    channels_first: bool
    outputs: Mapping[str, int]
    call: Callable[[keras.KerasTensor], Mapping[str, keras.KerasTensor]] | None = None
    file: TFLiteFile | None = None

    def __post_init__(self) -> None:
        if odd := [shown(name) for name in self.outputs if not name.isprintable()]:
            raise PocketfaceError(f"its output {odd[0]} has no printable name")


def read(path: Path, side: int = SIDE) -> Network:
    """Reads a file.

    Args:
        path: a name that ends as in `FORMATS`.
        side: height and width that a network which takes any is tried with; a SavedModel gets it for good.

    Raises:
        PocketfaceError: it is missing, damaged, of no such format, too large, not to be trusted, or no
            network with one picture as its input; or it takes more than its budget.
    """
    path = Path(path)
    _check_kind_of_file(path, f"a model is a {FORMATS}")
    if not (path.is_dir() or path.suffix.lower() in READERS):
        raise PocketfaceError(f"{path}: not a model that is read here: {FORMATS}")
    size = sum(part.stat().st_size for part in _files(path))
    if size > LARGEST:
        raise PocketfaceError(f"{path}: {size:,} bytes are more than the {LARGEST:,} that are read")
    try:
        with located(path):
            opened = _apart(_opened, path.absolute(), side)
            if isinstance(opened, bytes):
                file = TFLiteFile(opened)
                shape, outputs = around.asked(file)
                return Network(path, *_picture(shape), outputs, file=file)
            model = keras.models.model_from_json(opened[0], OWN_LAYERS)
            model.set_weights(opened[1])
            return of_keras(path, model)
    except TimeoutError:
        told = f"timeout: to open it and run it once takes over {MODEL.seconds:.0f} s"
    except MemoryError:
        told = f"too_large: to open it and run it once takes over {MODEL.memory:,} bytes"
    except ChildProcessError as error:
        told = f"damaged, or too large for {MODEL.memory:,} bytes ({error})"
    raise PocketfaceError(f"{path}: {told}")


_apart = Apart(MODEL.seconds, MODEL.memory)


def _opened(path: Path, side: int) -> bytes | tuple[str, list[np.ndarray]]:
    """What is done apart: a file, as a `.tflite` or what Keras builds it of again, after it was run once."""
    keras.utils.clear_session(free_memory=False)
    try:
        model = _saved_model(path, side) if path.is_dir() else READERS[path.suffix.lower()](path)
        if isinstance(model, TFLiteFile):
            once(model)
            return model.content
        of_keras(path, model)
        model(np.zeros([1, *_fixed(model.inputs[0].shape[1:], side)], np.float32))
    except tf.errors.ResourceExhaustedError:
        raise MemoryError from None
    except RecursionError:
        raise PocketfaceError("its layers are nested too deeply, or too many") from None
    return model.to_json(), model.get_weights()


def _fixed(shape: Sequence[int | None], side: int) -> list[int]:
    return [side if one is None else one for one in shape]


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


def _keras(path: Path) -> keras.Model:
    with refusing("not a readable Keras 3 file", *UNREADABLE), zipfile.ZipFile(path) as opened:
        if sum(member.file_size for member in opened.infolist()) > LARGEST:
            raise PocketfaceError(f"unpacks to more than {LARGEST:,} bytes")
        if opened.getinfo("config.json").file_size > LARGEST_CONFIG:
            raise PocketfaceError(f"its config.json has more than {LARGEST_CONFIG:,} bytes")
        config = json.loads(opened.read("config.json"))
        with tempfile.TemporaryDirectory() as folder:
            with told_when_full(Path(folder, "model.weights.h5")):
                weights = opened.extract("model.weights.h5", folder)
            with h5py.File(weights) as file:
                hdf5.check_links(file)
    return _built(path, config)


def _hdf5(path: Path) -> keras.Model:
    with refusing("not readable as HDF5", *UNREADABLE), h5py.File(path) as opened:
        hdf5.check_links(opened)
        told = opened.attrs.get("model_config")
    if told is None:
        raise PocketfaceError(
            "holds weights without an architecture; save it whole (`model.save`), or name the `architecture`"
        )
    with refusing("its architecture is not JSON", *UNREADABLE, TypeError):
        config = json.loads(told)
    return _built(path, config)


def _built(path: Path, config: Any) -> keras.Model:
    model = _from_config(config)
    with refusing("its weights do not fit its architecture", *UNBUILT):
        model.load_weights(path)
    return model


def _from_config(config: Any) -> keras.Model:
    """The model of a configuration, as Keras 2 and 3 write it."""
    config = _checked(config)
    if not isinstance(config, dict) or "class_name" not in config:
        raise PocketfaceError("its architecture is no model of Keras")
    if "module" not in config:  # Keras 2
        functional = config["class_name"] in ("Functional", "Model")
        module = "keras.src.models.functional" if functional else "keras"
        name = "Functional" if functional else config["class_name"]
        config |= {"module": module, "class_name": name, "registered_name": name}
    with refusing("its architecture cannot be built", *UNBUILT):
        model = keras.models.model_from_json(json.dumps(config), OWN_LAYERS)
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
    if isinstance(kind, str) and "config" in config:
        layer = shown(inner.get("name", layer)) if isinstance(inner, dict) else layer
        _check_kind(kind, config, layer)
        if kind in ("DepthwiseConv2D", "Conv2DTranspose") and isinstance(inner, dict):
            inner.pop("groups", None)
        if kind in ("DTypePolicy", "Policy") and isinstance(inner, dict) and inner.get("name") in HALVES:
            inner["name"] = "float32"
        if isinstance(inner, dict) and isinstance(inner.get("dtype"), str) and inner["dtype"] in HALVES:
            inner["dtype"] = "float32"
    return {
        key: _checked(value, layer, (*place, key))
        for key, value in config.items()
        if key not in ("compile_config", "build_config")
    }


def _check_kind(kind: str, config: Mapping[str, Any], layer: str) -> None:
    module = config.get("module")
    if not isinstance(module, str | None):
        raise PocketfaceError(f"layer {layer}: its module is {shown(module)}, no name")
    if kind in ("__lambda__", "Lambda", "function") and not (
        kind == "function"
        and (module or "").startswith(("keras.activations", "builtins"))
        and "." not in str(config["config"])
        and hasattr(keras.activations, str(config["config"]))
    ):
        raise PocketfaceError(f"layer {layer} is a {kind}, code of its own, which is refused")
    if kind in DATA or (kind in OWN_LAYERS and module == OWN_LAYERS[kind].__module__):
        return
    if module is None or module == "keras.layers" or module.startswith("keras.src.ops."):
        harmless = kind in LAYERS | OPERATIONS
    else:
        harmless = module in HARMLESS or (module.startswith("keras.src.models.") and kind in LAYERS)
    if module is None:  # as Keras 2 writes it
        others = keras.initializers, keras.regularizers, keras.constraints
        harmless |= kind in ("DTypePolicy", "Policy") or any(hasattr(one, kind) for one in others)
    if not harmless:
        raise PocketfaceError(
            f"layer {layer} is a {shown(kind)}{f' of {shown(module)}' if module else ''}: not one of Keras' "
            "own layers that are read here; build it of those, or bring the model as .onnx or .tflite"
        )


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

    return Network(path, *_picture(model.inputs[0].shape[1:]), dict(zip(names, widths, strict=True)), call)


def _saved_model(path: Path, side: int) -> TFLiteFile:
    """Converts a SavedModel, which may compute its shapes as it runs, to a file that may not."""
    _check_graph(path)
    with refusing("not a SavedModel that can be loaded", *UNBUILT, tf.errors.OpError):
        signatures = dict(tf.saved_model.load(str(path)).signatures)
    name = "serving_default" if "serving_default" in signatures else next(iter(signatures), None)
    if name is None:
        raise PocketfaceError("has no signature to call; save it with `model.export(folder)`")
    inputs = signatures[name].structured_input_signature[1]
    if len(inputs) != 1 or next(iter(inputs.values())).dtype != tf.float32:
        raise PocketfaceError(
            f"signature {shown(name)} takes {shown(sorted(inputs))}; a network here sees one float32 picture"
        )
    count, *sides = next(iter(inputs.values())).shape
    if count not in (None, 1):
        raise PocketfaceError(f"signature {shown(name)} takes {count} pictures at once; save it for one")
    _picture(sides)
    image = keras.Input(_fixed(sides, side))
    with refusing(f"its signature {shown(name)} cannot be called", *UNBUILT, tf.errors.OpError):
        answers = keras.layers.TFSMLayer(str(path), call_endpoint=name)(image)
    return to_tflite(keras.Model(image, answers))


def _check_graph(path: Path) -> None:
    file = path / "saved_model.pb"
    if not file.is_file():
        raise PocketfaceError(f"a folder without {file.name} is no SavedModel")
    if any(part.is_symlink() for part in path.rglob("*")):
        raise PocketfaceError("has links in it, which are refused")
    content = saved_model_pb2.SavedModel()
    with refusing(f"{file.name} is damaged", DecodeError):
        content.ParseFromString(file.read_bytes())
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


def _picture(shape: Any) -> tuple[tuple[int | None, int | None, int], bool]:
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


READERS: dict[str, Callable[[Path], keras.Model | TFLiteFile]] = {
    ".keras": _keras,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".onnx": onnx_network.read,
    ".tflite": TFLiteFile.read,
}
