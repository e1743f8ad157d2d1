"""BlazeFace's short range network at 96 pixels, quantized, and at 128: time, faces by size, false ones.

    python benchmarks/first_look.py [--pictures 200]

Faces are those of validation pictures of UTKFace and CelebA, with ever more blurred room around them: found
is a face with a score that is believed, where it is. Patches are squares of the photographs, of 60 to 300
pixels, that no face touches; their highest score is a false one. Times are the best of rounds in turn. Needs
`dvc repro fetch_data@photos fetch_data@utkface fetch_data@celeba`.
"""

import argparse
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pandas as pd
from finders import pictures_with_labels

from pocketface.core.errors import exit_cleanly
from pocketface.cropping import blazeface
from pocketface.cropping.detect import detect
from pocketface.cropping.picture import decode
from pocketface.faces import seen

SIDES = (blazeface.COARSE, 128)
ROOM = (1, 1.3, 1.7, 2.2, 3, 4, 5)
BINS = (0, 12, 14, 16, 18, 21, 25, 30, 36, 44, 128)
PATCHES = 300
"""Tried in each photograph."""


@exit_cleanly
def main() -> None:
    """Prints the figures of docs/finding.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200, help="of each dataset")
    pictures = parser.parse_args().pictures
    files = blazeface.QUICK, blazeface.SHORT
    networks = {side: blazeface.network(file, side=side) for side, file in zip(SIDES, files, strict=True)}
    print("ms a look:", ", ".join(f"{ms:.2f} at {side}" for side, ms in times(networks).items()))
    rows = pd.DataFrame(looks(networks, pictures), columns=["side", "pixels", "found"])
    rows["pixels"] = pd.cut(rows["pixels"], BINS)
    table = rows.pivot_table("found", "pixels", "side", ["mean", "size"], observed=True)
    print(table.round(3).to_markdown())
    scores = pd.DataFrame(patches(networks), columns=SIDES)
    highest = ", ".join(f"{scores[side].max():.2f} at {side}" for side in SIDES)
    print(f"{len(scores)} patches without a face; highest score {highest}")


def times(networks: dict[int, blazeface.Network]) -> dict[int, float]:
    """Milliseconds of a look at grey."""
    best, grey = dict.fromkeys(networks, np.inf), np.full((200, 200, 3), 128, np.uint8)
    for _ in range(30):
        for side, network in networks.items():
            start = time.perf_counter()
            for _ in range(20):
                network.look(grey, (0, 0, 200, 200))
            best[side] = min(best[side], (time.perf_counter() - start) * 50)
    return best


def looks(networks: dict[int, blazeface.Network], most: int) -> Iterator[tuple[int, float, bool]]:
    """Side of the network, width of a face as it sees it, and whether it is found."""
    for name in ("utkface", "celeba"):
        for data, _ in pictures_with_labels(name, most, seen.fingerprints([])):
            picture = decode(data)
            if not (faces := detect(picture)):
                continue
            box = np.array(faces[0].box, float)
            for room in ROOM:
                framed, corner = with_room(picture, room)
                for side, network in networks.items():
                    scores, _, points = network.look(framed, (0, 0, len(framed), len(framed)))
                    boxes = [blazeface.dlib_box(face) for face in points[scores >= blazeface.SURE]]
                    found = any(blazeface.overlap(one, box + corner) > 0.4 for one in boxes)
                    yield side, float(box[2] - box[0]) * side / len(framed), found


def with_room(picture: np.ndarray, room: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture in the middle of a larger square of its blurred self, and where it begins, `[4]`."""
    height, width = picture.shape[:2]
    side = round(max(height, width) * room)
    few = cv2.resize(picture[::-1].copy(), (6, 6), interpolation=cv2.INTER_AREA)
    framed, top, left = cv2.resize(few, (side, side)), (side - height) // 2, (side - width) // 2
    framed[top : top + height, left : left + width] = picture
    return framed, np.array([left, top, left, top])


def patches(networks: dict[int, blazeface.Network]) -> Iterator[list[float]]:
    """The highest score of each network in squares without a face; 0 below the least."""
    random = np.random.default_rng(0)
    for data, _ in pictures_with_labels("photos", 100, seen.fingerprints([])):
        picture = decode(data)
        height, width = picture.shape[:2]
        boxes = np.array([face.box for face in detect(picture, "blazeface", upsample=1)], float)
        for _ in range(PATCHES):
            side = int(random.integers(60, min(300, height, width)))
            left, top = random.integers(0, (max(width - side, 1), max(height - side, 1)))
            square = np.array([left, top, left + side, top + side], float)
            if (blazeface.shared(boxes, square) == 0).all():
                patch = np.ascontiguousarray(picture[top : top + side, left : left + side])
                found = (network.look(patch, (0, 0, side, side))[0] for network in networks.values())
                yield [float(scores.max(initial=0)) for scores in found]


if __name__ == "__main__":
    main()
