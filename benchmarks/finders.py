"""Two face finders against each other: faces found, boxes, points, crops, time, and the models' metrics.

    python benchmarks/finders.py [--finders hog blazeface] [--pictures 1000] [--json OUT.json]

`hog` is dlib's and `blazeface` ours, as `pocketface evaluate` has them; `page` is the web app's, in Python
(`benchmarks/finder.py`). Both look at the photographs, and at validation pictures of UTKFace, CelebA and,
where it is at hand, FairFace that the published models have not learned from. The largest face of a picture
is compared where both have found the same one; the models' metrics at int8 are compared face by face
(`pocketface.metrics.confidence`). Times are means of runs that take turns, a picture each. Needs
`dvc repro fetch_data@photos fetch_data@utkface fetch_data@celeba`.
"""

import argparse
import hashlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from finder import Finder, place_of
from tqdm import tqdm

from pocketface import datasets
from pocketface.core.errors import exit_cleanly
from pocketface.core.files import write_json
from pocketface.cropping.blazeface import SHORT, overlap
from pocketface.cropping.crop import cut_face
from pocketface.cropping.detect import Face, detect
from pocketface.cropping.picture import decode
from pocketface.evaluation.face_search import aligned
from pocketface.evaluation.variants import Variant, open_variant
from pocketface.faces import seen
from pocketface.faces.view import view
from pocketface.metrics.confidence import paired, resample
from pocketface.published import named_variant
from pocketface.report.cells import Table

MODELS = ("age_gender_expression", "attributes")
DATASETS = {"photos": None, "utkface": "val", "celeba": "val", "fairface": "val"}
"""Name -> the split that is looked at; None: all of it."""
FINDERS: dict[str, Callable[[], Callable[[np.ndarray], list[Face]]]] = {
    "hog": lambda: detect,
    "blazeface": lambda: partial(detect, detector="blazeface"),
    "page": lambda: Finder(SHORT),
}
SAME_FACE = 0.3


@exit_cleanly
def main() -> None:
    """Prints the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--finders", nargs=2, choices=FINDERS, default=["hog", "blazeface"])
    parser.add_argument("--pictures", type=int, default=1000, help="of each dataset, at most")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    finders = {name: FINDERS[name]() for name in args.finders}
    variants = [open_variant(named_variant(Path(model))) for model in MODELS]
    learned = np.unique(np.concatenate([seen.load(named_variant(Path(model)).parent) for model in MODELS]))
    names = [name for name in DATASETS if name != "fairface" or Path("data/raw/fairface").is_dir()]
    found = {}
    for name in names:
        found[name] = compare(finders, pictures_with_labels(name, args.pictures, learned), variants)
    print(told(found, *finders))
    if args.json:
        write_json(args.json, found)


def pictures_with_labels(name: str, most: int, learned: np.ndarray) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Picture files of a dataset with their labels, of one split, that no model has learned from."""
    archive = Path("data/raw") / name / "files.zip"
    records = [record for record in datasets.read(name, archive) if record.problem is None]
    np.random.default_rng(0).shuffle(records)
    wanted = (
        (data, dict(record.labels))
        for record, data in datasets.read_pictures(name, archive, records)
        if DATASETS[name] in (None, record.split)
        and not np.isin(seen.fingerprints([hashlib.sha256(data).hexdigest()]), learned)[0]
    )
    yield from tqdm(islice(wanted, most), desc=name, total=most, disable=None)


def compare(
    finders: dict[str, Callable[[np.ndarray], list[Face]]],
    files: Iterator[tuple[bytes, dict[str, Any]]],
    variants: list[Variant],
) -> dict[str, Any]:
    """What two finders make of the pictures."""
    seconds = dict.fromkeys(finders, 0.0)
    counts = dict.fromkeys((*finders, "pictures", "same face"), 0)
    apart, labels = [], []
    views: dict[str, dict[str, list[np.ndarray]]] = {
        finder: {variant.name: [] for variant in variants} for finder in finders
    }
    for data, known in files:
        picture = decode(data)
        faces: dict[str, list[Face]] = {}
        for finder, find in finders.items():
            start = time.thread_time()
            faces[finder] = find(picture)
            seconds[finder] += time.thread_time() - start
            counts[finder] += bool(faces[finder])
        counts["pictures"] += 1
        if not all(faces.values()):
            continue
        pair = [found[0] for found in faces.values()]
        if overlap(*(np.array(face.box, float) for face in pair)) < SAME_FACE:
            continue
        counts["same face"] += 1
        apart.append(differences(*pair))
        labels.append(known)
        for finder, face in zip(finders, pair, strict=True):
            for variant in variants:
                crop = aligned(variant.crop, variant.input)
                cut = view(cut_face(picture, face, crop), crop, variant.input)
                views[finder][variant.name].append(cut)
    shares = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {
        "counts": counts,
        "cpu_ms": {finder: 1e3 * total / counts["pictures"] for finder, total in seconds.items()},
        "apart": pd.DataFrame(apart).quantile(list(shares.values())).set_axis(list(shares)).to_dict(),
        **answers(pd.DataFrame(labels), views, variants),
    }


def differences(one: Face, other: Face) -> dict[str, float]:
    """How far apart two are: intersections over union, pixels, the ratio of sizes, degrees.

    The box is each finder's own; the crop is the square of dlib's mean face, set upright.
    """
    places = [place_of(face.points) for face in (one, other)]
    squares = [
        np.array([c.real - abs(s) / 2, c.imag - abs(s) / 2, c.real + abs(s) / 2, c.imag + abs(s) / 2])
        for s, c in places
    ]
    ratio = places[1][0] / places[0][0]
    return {
        "box, intersection over union": overlap(np.array(one.box, float), np.array(other.box, float)),
        "points, pixels": float(np.linalg.norm(one.points - other.points, axis=1).mean()),
        "crop, intersection over union": overlap(*squares),
        "crop, ratio of sizes": abs(ratio),
        "crop, degrees": float(abs(np.degrees(np.angle(ratio)))),
    }


def answers(
    labels: pd.DataFrame, views: dict[str, dict[str, list[np.ndarray]]], variants: list[Variant]
) -> dict[str, Any]:
    """By model and metric: its value by either finder's faces, and the paired change. By model and head: the
    share of faces with the same class, or the median difference of a number."""
    metrics, same = {}, {}
    for variant in variants:
        one, other = (variant.decode(variant.runner(np.stack(seen[variant.name]))) for seen in views.values())
        for head, meaning in variant.outputs.items():
            first, second = one[f"{head}_pred"], other[f"{head}_pred"]
            number = meaning.kind == "number"
            same[f"{variant.name} {head}"] = float(
                (second - first).abs().median() if number else (second == first).mean()
            )
        known = [head for head in labels if f"{head}_pred" in one]
        before, after = (resample(pd.concat([labels[known], way], axis=1)) for way in (one, other))
        for metric, change in paired(after, before).items():
            metrics[f"{variant.name} {metric}"] = {
                "values": [before.values[metric], after.values[metric]],
                "change": change.change,
                "interval": [change.low, change.high],
                "p": change.p,
                "verdict": change.verdict,
            }
    return {"metrics": metrics, "same": same}


def told(found: dict[str, Any], one: str, other: str) -> str:
    """The figures as Markdown."""
    counted, apart, changes, same = [], [], [], []
    for name, row in found.items():
        counts = row["counts"]
        counted.append([name, *(str(counts[key]) for key in ("pictures", one, other, "same face"))])
        counted[-1] += [f"{row['cpu_ms'][finder]:.1f}" for finder in (one, other)]
        for what, values in row["apart"].items():
            apart.append([name, what, *(f"{value:.3f}" for value in values.values())])
        for metric, values in row["metrics"].items():
            (first, second), (low, high) = values["values"], values["interval"]
            change = f"{values['change']:+.4f}", f"{low:+.4f} to {high:+.4f}", f"{values['p']:.2f}"
            changes.append([name, metric, values["verdict"], f"{first:.4f}", f"{second:.4f}", *change])
        same += [[name, head, f"{value:.3f}"] for head, value in row["same"].items()]
    quantiles = "least", "10th percentile", "median", "90th", "99th", "most"
    cpu = f"ms of CPU: {one}", other
    tables = (
        Table(["dataset", "pictures", f"found: {one}", other, "the same face", *cpu], counted),
        Table(["dataset", "apart", *quantiles], apart, 2),
        Table(["dataset", "model, metric", "verdict", one, other, "change", "95%", "p"], changes, 3),
        Table(["dataset", "model, head", "same class, or apart in the median"], same, 2),
    )
    return "\n\n".join(table.markdown() for table in tables)


if __name__ == "__main__":
    main()
