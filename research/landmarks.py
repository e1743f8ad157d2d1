"""Trains the landmarks that BlazeFace's faces are aligned to: src/pocketface/cropping/landmarks.tflite.

    pocketface study use pocket && dvc repro fetch_data@fairface
    python research/landmarks.py

A network of 3 million multiply-adds learns where dlib's shape predictor puts its five points, on the train
faces of FairFace (CC BY 4.0), turned, moved, scaled and blurred at random. dlib's points move with the box
that it is given, so the target is their mean over a few boxes. The error on every tenth face, which it has
not seen, is printed in percent of the box's side, beside that of dlib in a single box.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tqdm import tqdm

from pocketface import datasets
from pocketface.core.errors import exit_cleanly
from pocketface.cropping import blazeface
from pocketface.cropping.detect import SMALLEST_FACE, dlib_points, scaled
from pocketface.cropping.landmarks import FILE, REACH, SIDE, region_of
from pocketface.cropping.picture import decode

ARCHIVE = Path("data/raw/fairface/files.zip")
STORED, WIDE = 96, 2.0
"""Side of a stored face, and of the square that it shows, in sides of the box."""
MOVED = ((0, 0, 1), (0.05, 0, 1), (-0.05, 0, 1), (0, 0.05, 1), (0, -0.05, 1), (0, 0, 0.93), (0, 0, 1.08))
"""The boxes that dlib's points are averaged over: to the right and down in sides, and scale."""
MIRRORED = [2, 3, 0, 1, 4]
HELD_OUT, EPOCHS, BATCH = 10, 40, 64


@exit_cleanly
def main() -> None:
    """Trains it, prints its error and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("data/research/landmarks.npz"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    if not args.cache.is_file():
        faces, points, alone = map(np.stack, zip(*_faces(), strict=True))
        args.cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(args.cache, faces=faces, points=points, alone=alone)
    with np.load(args.cache) as stored:
        faces, points, alone = stored["faces"], stored["points"], stored["alone"]
    out = np.arange(len(faces)) % HELD_OUT == 0
    keras.utils.set_random_seed(0)
    model = network()
    steps = args.epochs * ((~out).sum() // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=2e-3, warmup_steps=steps // 20)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.001), loss="mae")
    model.fit(Faces(faces[~out], points[~out]), epochs=args.epochs, verbose=2)
    seen = np.stack([warped(face, 0.0, 1.0, np.zeros(2))[0] for face in faces[out]])
    guessed = (
        np.asarray(model.predict(seen[..., None].astype(np.float32), verbose=0)).reshape(-1, 5, 2) * REACH
    )
    for name, answers in (("the network", guessed), ("dlib in one box", alone[out])):
        off = 100 * np.linalg.norm(answers - points[out], axis=2).mean(axis=1)
        print(f"{name}: {np.median(off):.2f}% of the box, 90th percentile {np.quantile(off, 0.9):.2f}%")
    args.out.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


def network() -> keras.Model:
    """Grey pixels `[N, 64, 64, 1]`, 0..255, to points `[N, 10]`, in sides of the region about its middle."""
    pixels = keras.Input((SIDE, SIDE, 1))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    x = _normalised(layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x))
    for width, strides in ((32, 1), (48, 2), (48, 1), (96, 2), (96, 1)):
        x = _normalised(layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x))
        x = _normalised(layers.Conv2D(width, 1, use_bias=False)(x))
    x = _normalised(layers.Conv2D(32, 1, use_bias=False)(x))
    return keras.Model(pixels, layers.Dense(10)(layers.Flatten()(x)))


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))


class Faces(keras.utils.PyDataset):
    """Stored faces uint8 `[N, 96, 96]` and points `[N, 5, 2]`, each changed at random, in batches."""

    def __init__(self, faces: np.ndarray, points: np.ndarray):
        super().__init__()
        self._faces, self._points, self._random = faces, points, np.random.default_rng(0)
        self._order = np.arange(len(faces))

    def __len__(self) -> int:
        return len(self._faces) // BATCH

    def on_epoch_end(self) -> None:
        """Another order."""
        self._random.shuffle(self._order)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen, draw = self._order[index * BATCH : (index + 1) * BATCH], self._random
        changed = [self._moved(self._faces[i], self._points[i]) for i in chosen]
        seen, points = map(np.stack, zip(*changed, strict=True))
        per_face = (len(chosen), 1, 1)
        light = (seen - 127.5) * np.exp(draw.normal(0, 0.25, per_face)) + draw.normal(127.5, 20, per_face)
        noise = draw.standard_normal(seen.shape, np.float32) * draw.uniform(0, 6, per_face)
        pixels = (light + noise).clip(0, 255).astype(np.float32)
        return pixels[..., None], (points / REACH).reshape(-1, 10).astype(np.float32)

    def _moved(self, face: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        draw = self._random
        if draw.random() < 0.5:
            face, points = face[:, ::-1], (points * (-1, 1))[MIRRORED]
        angle, scale = np.radians(draw.normal(0, 14)), np.exp(draw.normal(0, 0.08))
        seen, matrix = warped(face, angle, scale, draw.normal(0, 0.035, 2))
        if draw.random() < 0.2:
            small = int(draw.integers(SIDE // 3, SIDE))
            coarse = cv2.resize(seen, (small, small), interpolation=cv2.INTER_AREA)
            seen = cv2.resize(coarse, (SIDE, SIDE))
        return seen, points @ matrix[:, :2].T + matrix[:, 2]


def warped(face: np.ndarray, angle: float, scale: float, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees of a stored face: uint8 `[64, 64]`; and the map `[2, 3]` of its points, which are
    in sides of the box about its middle.
    """
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    per_box = SIDE / REACH, STORED / WIDE  # pixels
    linear = turn * per_box[0] / per_box[1]
    offset = np.array([SIDE / 2, SIDE / 2]) + moved * per_box[0] - linear @ [STORED / 2, STORED / 2]
    # OpenCV counts from the middle of a pixel.
    offset += linear @ [0.5, 0.5] - 0.5
    pixels = cv2.warpAffine(
        np.ascontiguousarray(face), np.column_stack([linear, offset]), (SIDE, SIDE), flags=cv2.INTER_LINEAR
    )
    return pixels, np.column_stack([turn, moved])


def _faces() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each train picture with one face: the stored face, and its points `[5, 2]` in sides of the box about
    its middle, over several boxes and in one."""
    cv2.setNumThreads(1)
    records = [record for record in datasets.read("fairface", ARCHIVE) if record.problem is None]
    for record, data in datasets.read_pictures("fairface", ARCHIVE, tqdm(records, unit="picture")):
        if record.split != "train":
            continue
        picture = decode(data)
        boxes = blazeface.find(picture, SMALLEST_FACE)
        if len(boxes) != 1:
            continue
        region = region_of(scaled(tuple(boxes[0].tolist()), 1), WIDE)
        side, middle = (region[2] - region[0]) / WIDE, np.add(region[:2], region[2:]) / 2
        spots = [(middle + side * np.array([x, y]), side * scale / 2) for x, y, scale in MOVED]
        seen = [dlib_points(picture, scaled((*(at - half), *(at + half)), 1)) for at, half in spots]
        # dlib's whole numbers are the middles of pixels, the region's are edges.
        points = (np.stack(seen) + 0.5 - middle) / side
        grey = cv2.cvtColor(blazeface.part(picture, region), cv2.COLOR_RGB2GRAY)
        yield cv2.resize(grey, (STORED, STORED), interpolation=cv2.INTER_AREA), points.mean(0), points[0]


if __name__ == "__main__":
    main()
