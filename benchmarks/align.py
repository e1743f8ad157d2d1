"""Fits how the page aligns a face: BlazeFace's points to the crop of dlib's points.

    python benchmarks/align.py            # writes src/pocketface/app/alignment.json

Needs `dvc repro fetch_data@utkface`. Every 14th picture is used (some 1,400, a few minutes); of them
every fifth is left out of the fit, and the error on these is printed, in mean-face widths and degrees.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from blazeface import BlazeFace, overlap
from finder import ALIGNMENT, fit, place_of
from tqdm import tqdm

from pocketface.app.site import DETECTOR
from pocketface.core.errors import exit_cleanly
from pocketface.core.files import write_json
from pocketface.cropping.detect import detect
from pocketface.cropping.picture import Rejected, decode

PICTURES = Path("data/raw/utkface/files.zip")
EVERY = 14
HELD_OUT = 5
SAME_FACE = 0.4

Pair = tuple[np.ndarray, tuple[complex, complex]]


@exit_cleanly
def main() -> None:
    """Fits, prints the error on faces that were left out, and writes the weights."""
    pairs = list(_pairs())
    points, places = np.array([pair[0] for pair in pairs]), [pair[1] for pair in pairs]
    out = np.arange(len(pairs)) % HELD_OUT == 0
    found = fit(points[~out], [place for place, left_out in zip(places, out, strict=True) if not left_out])
    write_json(ALIGNMENT, found.model_dump(mode="json"))
    guessed = np.array([found.place(face) for face in points[out]])
    true = np.array(places)[out]
    ratio, off = guessed[:, 0] / true[:, 0], (guessed[:, 1] - true[:, 1]) / true[:, 0]
    print(f"{found.faces} faces; on {out.sum()} others, median and 90th percentile:")
    for what, error in (
        ("size", abs(abs(ratio) - 1)),
        ("angle in degrees", abs(np.degrees(np.angle(ratio)))),
        ("place", abs(off)),
    ):
        print(f"    {what}: {np.median(error):.3f}, {np.quantile(error, 0.9):.3f}")


def _pairs() -> Iterator[Pair]:
    """BlazeFace's points and dlib's place of every face that both find."""
    look = BlazeFace(DETECTOR)
    with zipfile.ZipFile(PICTURES) as pictures:
        for name in tqdm(sorted(pictures.namelist())[::EVERY], unit="picture"):
            try:
                picture = decode(pictures.read(name))
            except Rejected:
                continue
            seen = detect(picture)
            if len(seen) != 1:
                continue
            box = np.array(seen[0].box, float)
            same = [face for face in look(picture) if overlap(face.box, box) > SAME_FACE]
            if same:
                yield same[0].points, place_of(seen[0].points)


if __name__ == "__main__":
    main()
