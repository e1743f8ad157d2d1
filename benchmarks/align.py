"""Fits how BlazeFace's points tell where dlib would look, for the page and for `--detect blazeface`.

    python benchmarks/align.py page       # writes src/pocketface/app/alignment.json
    python benchmarks/align.py box        # prints SIDES and CENTRE of pocketface/cropping/blazeface.py

`page`: points of two close looks to the place of dlib's mean face. `box`: points of the first look to the
square where dlib's HOG detector sees the face, turned as dlib's points are. Needs `dvc repro
fetch_data@utkface`, and `fetch_data@celeba` for `box`, which uses train faces alone. Of some 1,400 pictures
every fifth is left out of the fit, and the error on these is printed, in face widths and degrees.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from finder import ALIGNMENT, fit, place_of
from page_looks import BlazeFace
from tqdm import tqdm

from pocketface import datasets
from pocketface.core.errors import exit_cleanly
from pocketface.core.files import write_json
from pocketface.cropping.blazeface import SHORT, network, overlap
from pocketface.cropping.detect import Face, detect
from pocketface.cropping.picture import Rejected, decode

EVERY = {"page": {"utkface": 14}, "box": {"utkface": 24, "celeba": 8}}
"""Of a dataset, every so many pictures are used."""
HELD_OUT = 5
SAME_FACE = 0.4

Place = tuple[complex, complex]


@exit_cleanly
def main() -> None:
    """Fits, prints the error on faces that were left out, and writes or prints the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=EVERY)
    what = parser.parse_args().what
    pairs = [pair for name, every in EVERY[what].items() for pair in _pairs(name, every, what)]
    points, places = np.array([pair[0] for pair in pairs]), [pair[1] for pair in pairs]
    out = np.arange(len(pairs)) % HELD_OUT == 0
    found = fit(points[~out], [place for place, left_out in zip(places, out, strict=True) if not left_out])
    guessed, true = np.array([found.place(face) for face in points[out]]), np.array(places)[out]
    ratio, off = guessed[:, 0] / true[:, 0], (guessed[:, 1] - true[:, 1]) / true[:, 0]
    print(f"{found.faces} faces; on {out.sum()} others, median and 90th percentile:")
    for told, error in (
        ("size", abs(abs(ratio) - 1)),
        ("angle in degrees", abs(np.degrees(np.angle(ratio)))),
        ("place", abs(off)),
    ):
        print(f"    {told}: {np.median(error):.3f}, {np.quantile(error, 0.9):.3f}")
    if what == "page":
        write_json(ALIGNMENT, found.model_dump(mode="json"))
    else:
        for name, weights in (("SIDES", found.size), ("CENTRE", found.centre)):
            print(name, np.round([complex(*weight) for weight in weights], 3))


def _pairs(name: str, every: int, what: str) -> Iterator[tuple[np.ndarray, Place]]:
    """BlazeFace's points, and what is fitted to them, of every face that both detectors find."""
    page, archive = BlazeFace(SHORT), Path("data/raw") / name / "files.zip"
    records = [record for record in datasets.read(name, archive) if record.problem is None][::every]
    for record, data in datasets.read_pictures(name, archive, tqdm(records, desc=name, unit="picture")):
        if what == "box" and record.split != "train":
            continue
        try:
            picture = decode(data)
        except Rejected:
            continue
        seen = detect(picture)
        if len(seen) != 1:
            continue
        if what == "page":
            looked = [(face.box, face.points) for face in page(picture)]
        else:
            height, width = picture.shape[:2]
            _, boxes, points = network(SHORT).look(picture, (0, 0, width, height))
            looked = list(zip(boxes, points, strict=True))
        dlibs = np.array(seen[0].box, float)
        same = [points for box, points in looked if overlap(box, dlibs) > SAME_FACE]
        if same:
            yield same[0], place_of(seen[0].points) if what == "page" else _box(seen[0])


def _box(face: Face) -> Place:
    """The square of dlib's box: a vector along its side, turned as the points are, and its centre."""
    along, _ = place_of(face.points)
    left, top, right, bottom = face.box
    return face.side * along / abs(along), complex(left + right, top + bottom) / 2


if __name__ == "__main__":
    main()
