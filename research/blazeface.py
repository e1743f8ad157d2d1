"""Quantizes BlazeFace's short range network: src/pocketface/cropping/short_range_int8.tflite.

    pocketface study use pocket && dvc repro fetch_data@utkface fetch_data@fairface
    python research/blazeface.py

int8, but for the layers that see the coarsest map and for those that tell places and scores, which take
little time; pixels less 128 in. Google's file has float16 weights, and ReLUs apart from what they follow;
they are made float32 and one first. The ranges of activations are measured on train pictures of UTKFace and
FairFace. What it changes is printed, on others of them: faces that only one of the two finds, and pixels of
a 96 pixel square that boxes and points move.
"""

import argparse
import dataclasses
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pocketface import datasets
from pocketface.core.errors import exit_cleanly
from pocketface.cropping import blazeface
from pocketface.cropping.picture import decode
from pocketface.levels import LEVELS, ranges
from pocketface.levels.quantizer import quantize
from pocketface.tflite.file import TFLiteFile, kind, own, store, values

DATASETS = ("utkface", "fairface")
PICTURES = 400
"""Of each dataset, for the ranges; as many others tell what it changes."""
LEVEL = dataclasses.replace(LEVELS["int8_io"], output="FLOAT32")
LAST = "activation_11"
"""The last layer that is quantized."""
SIDES = (128, blazeface.COARSE, 64)
PIXELS = (-1.0, 1.0)


@exit_cleanly
def main() -> None:
    """Writes it and prints what it changes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=blazeface.QUICK)
    args = parser.parse_args()
    float32 = plain(TFLiteFile.read(blazeface.SHORT))
    seen = [picture for name in DATASETS for picture in pictures(name)]
    learned, others = seen[::2], seen[1::2]
    # Faces of several sizes: as looks of 128 and of 96 pixels see them, and smaller.
    wide = np.stack([framed(picture, SIDES[place % len(SIDES)]) for place, picture in enumerate(learned)])
    pixels = (wide - 127.5) / 127.5
    float32 = equalised(float32, pixels)
    spans = ranges.measure(float32, pixels, "percentile") | {float32.image: PIXELS}
    names = [operator.name for operator in float32.operators]
    heads = names[names.index(LAST) + 1 :]
    args.out.write_bytes(quantize(float32, LEVEL, spans, kept=heads).content)
    compare(others, args.out)


def plain(file: TFLiteFile) -> TFLiteFile:
    """The file with float32 weights, and ReLUs as part of what they follow."""
    model = file.copy()
    graph = model.subgraphs[0]
    model.signatureDefs = []
    writer = {int(place): operator for operator in graph.operators for place in operator.outputs}
    reads = [int(place) for operator in graph.operators for place in operator.inputs]
    kept = []
    for operator in graph.operators:
        source, place = int(operator.inputs[0]), int(operator.outputs[0])
        if kind(model, operator) == "DEQUANTIZE":
            half = values(model, graph.tensors[source]).astype(np.float32)
            model.buffers.append(schema.BufferT(np.frombuffer(half.tobytes(), np.uint8)))
            model.buffers[graph.tensors[source].buffer].data = None
            graph.tensors[place].buffer = len(model.buffers) - 1
        elif kind(model, operator) == "RELU" and reads.count(source) == 1:
            writer[source].builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
            writer[source].outputs, writer[place] = [place], writer[source]
        else:
            kept.append(operator)
    graph.operators = kept
    return TFLiteFile.write(model)


def equalised(file: TFLiteFile, pixels: np.ndarray) -> TFLiteFile:
    """The same function, where no channel between a depthwise and the next convolution is far larger.

    A channel is divided by a number in the one, and multiplied in the other: the geometric mean of what would
    make its activations and its weights as large as those of others (Nagel et al., "Data-Free Quantization
    through Weight Equalization and Bias Correction", 2019).
    """
    model = file.copy()
    operators = model.subgraphs[0].operators
    reader = {int(operator.inputs[0]): operator for operator in operators}
    pairs = [
        (one, reader[int(one.outputs[0])]) for one in operators if kind(model, one) == "DEPTHWISE_CONV_2D"
    ]
    names = {id(one): model.subgraphs[0].tensors[one.outputs[0]].name.decode() for one, _ in pairs}
    largest: dict[str, np.ndarray] = {}
    for tensors in ranges.activations(file, pixels):
        for name in names.values():
            largest[name] = np.maximum(largest.get(name, 1e-6), abs(tensors[name]).max(axis=(0, 1, 2)))
    for one, other in pairs:
        kernel, bias, weights = own(model, one, 1), own(model, one, 2), own(model, other, 1)
        theirs = values(model, weights)
        share = (abs(theirs) / abs(theirs).max(axis=(1, 2, 3), keepdims=True)).max(axis=(0, 1, 2))
        scale = np.sqrt(largest[names[id(one)]] / np.maximum(share, 1e-6)).astype(np.float32)
        for tensor, by in ((kernel, 1 / scale), (bias, 1 / scale), (weights, scale)):
            store(model, tensor, values(model, tensor) * by)
    return TFLiteFile.write(model)


def framed(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture as a look of `side` sees it, with its mirror images around: uint8 `[128, 128, 3]`."""
    room = (max(SIDES) - side) // 2
    return cv2.copyMakeBorder(seen_by(picture, side), room, room, room, room, cv2.BORDER_REFLECT)


def seen_by(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture in a square of `side`."""
    return blazeface.letterboxed(picture, side, cv2.INTER_LINEAR)[0]


def pictures(name: str) -> Iterator[np.ndarray]:
    """Train pictures."""
    archive = Path("data/raw") / name / "files.zip"
    records = (record for record in datasets.read(name, archive) if record.problem is None)
    files = datasets.read_pictures(name, archive, records)
    train = (data for record, data in files if record.split == "train")
    return map(decode, islice(train, 2 * PICTURES))


def compare(seen: list[np.ndarray], file: Path) -> None:
    """Prints what the file finds beside what Google's does, in looks of 96 pixels."""
    before, after = (blazeface.Network(one, side=blazeface.COARSE) for one in (blazeface.SHORT, file))
    whole = (0, 0, blazeface.COARSE, blazeface.COARSE)
    squares = [seen_by(picture, blazeface.COARSE) for picture in seen]
    found = [[each.look(square, whole) for each in (before, after)] for square in squares]
    counts = [[len(one[0]) for one in pair] for pair in found]
    both = [pair for pair in found if len(pair[0][0]) and len(pair[1][0])]
    boxes, points = (np.stack([abs(one[i][0] - two[i][0]).max() for one, two in both]) for i in (1, 2))
    scores = np.stack([two[0][0] - one[0][0] for one, two in both])
    print(f"{len(seen)} pictures: {np.count_nonzero(counts, axis=0)} with a face, {len(both)} by both")
    for what, off in (("corners", boxes), ("points", points), ("score", abs(scores))):
        print(f"{what} off by {np.median(off):.3f}, 95% within {np.quantile(off, 0.95):.3f}")


if __name__ == "__main__":
    main()
