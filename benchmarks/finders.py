"""BlazeFace against dlib's detectors: faces found, boxes, points, time, and the published models' metrics.

    python benchmarks/finders.py [--pictures 1000] [--json OUT.json]

Both look at the photographs, and at validation pictures of UTKFace, CelebA and, where it is at hand, FairFace
that the models have not learned from, as `pocketface evaluate` does. The largest face of a picture is
compared where both have found the same one; its metrics at int8 are compared face by face
(`pocketface.metrics.confidence`). Times are means of runs that take turns, a picture each. Needs
`dvc repro fetch_data@photos fetch_data@utkface fetch_data@celeba`.
"""

import argparse
import hashlib
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from pocketface import datasets
from pocketface.core.errors import exit_cleanly
from pocketface.core.files import write_json
from pocketface.core.hashing import hashed_split
from pocketface.cropping.blazeface import overlap
from pocketface.cropping.crop import cut_face
from pocketface.cropping.detect import Face, detect
from pocketface.cropping.picture import decode
from pocketface.evaluation.face_search import aligned
from pocketface.evaluation.variants import Variant, open_variant
from pocketface.faces import seen
from pocketface.faces.view import view
from pocketface.metrics.confidence import paired, resample
from pocketface.published import named_variant

MODELS = ("age_gender_expression", "attributes")
DATASETS = {"photos": None, "utkface": "val", "celeba": "val", "fairface": "val"}
"""Name -> the split that is looked at; None: all of it."""
FINDERS = ("hog", "blazeface")
SAME_FACE = 0.3


@exit_cleanly
def main() -> None:
    """Prints the figures as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=1000, help="of each dataset, at most")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    variants = [open_variant(named_variant(Path(model))) for model in MODELS]
    learned = np.unique(np.concatenate([seen.load(named_variant(Path(model)).parent) for model in MODELS]))
    names = [name for name in DATASETS if name != "fairface" or Path("data/raw/fairface").is_dir()]
    found = {name: compare(pictures_with_labels(name, args.pictures, learned), variants) for name in names}
    print(told(found))
    if args.json:
        write_json(args.json, found)


def pictures_with_labels(name: str, most: int, learned: np.ndarray) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Picture files of a dataset with their labels, of one split, that no model has learned from."""
    archive = Path("data/raw") / name / "files.zip"
    records = [record for record in datasets.read(name, archive) if record.problem is None]
    np.random.default_rng(0).shuffle(records)
    with zipfile.ZipFile(archive) as opened, tqdm(total=most, desc=name, disable=None) as bar:
        left = most
        for record in records:
            data = datasets.open_picture(name, opened, record.image)
            sha = hashlib.sha256(data).hexdigest()
            wanted = DATASETS[name] in (None, record.split or hashed_split(sha))
            if wanted and not np.isin(seen.fingerprints([sha]), learned)[0]:
                yield data, dict(record.labels)
                bar.update()
                left -= 1
            if not left:
                return


def compare(files: Iterator[tuple[bytes, dict[str, Any]]], variants: list[Variant]) -> dict[str, Any]:
    """What both finders make of the pictures."""
    seconds = dict.fromkeys(FINDERS, 0.0)
    counts = dict.fromkeys((*FINDERS, "pictures", "same face"), 0)
    overlaps, errors, labels = [], [], []
    views: dict[str, dict[str, list[np.ndarray]]] = {
        finder: {variant.name: [] for variant in variants} for finder in FINDERS
    }
    for data, known in files:
        picture = decode(data)
        faces: dict[str, list[Face]] = {}
        for finder in FINDERS:
            start = time.thread_time()
            faces[finder] = detect(picture, finder)
            seconds[finder] += time.thread_time() - start
            counts[finder] += bool(faces[finder])
        counts["pictures"] += 1
        if not all(faces.values()):
            continue
        dlibs, ours = (faces[finder][0] for finder in FINDERS)
        shared = overlap(np.array(dlibs.box, float), np.array(ours.box, float))
        if shared < SAME_FACE:
            continue
        counts["same face"] += 1
        overlaps.append(shared)
        errors.append(np.linalg.norm(dlibs.points - ours.points, axis=1).mean())
        labels.append(known)
        for finder, face in zip(FINDERS, (dlibs, ours), strict=True):
            for variant in variants:
                crop = aligned(variant.crop, variant.input)
                cut = view(cut_face(picture, face, crop), crop, variant.input)
                views[finder][variant.name].append(cut)
    return {
        "counts": counts,
        "cpu_ms": {finder: 1e3 * total / counts["pictures"] for finder, total in seconds.items()},
        "box_iou": spread(overlaps),
        "points_pixels": spread(errors),
        "metrics": metrics(pd.DataFrame(labels), views, variants),
    }


def metrics(
    labels: pd.DataFrame, views: dict[str, dict[str, list[np.ndarray]]], variants: list[Variant]
) -> dict[str, Any]:
    """Model and metric -> value by dlib's faces, by BlazeFace's, and the paired change."""
    result = {}
    for variant in variants:
        ways = []
        for finder in FINDERS:
            answers = variant.decode(variant.runner(np.stack(views[finder][variant.name])))
            known = [head for head in labels if f"{head}_pred" in answers]
            ways.append(resample(pd.concat([labels[known], answers], axis=1)))
        dlibs, ours = ways
        for metric, change in paired(ours, dlibs).items():
            result[f"{variant.name} {metric}"] = {
                "hog": dlibs.values[metric],
                "blazeface": ours.values[metric],
                "change": change.change,
                "interval": [change.low, change.high],
                "p": change.p,
                "verdict": change.verdict,
            }
    return result


def spread(values: list[float]) -> dict[str, float]:
    """Median, 90th and 99th percentile, least and most."""
    names, shares = ("min", "p10", "median", "p90", "p99", "max"), [0, 0.1, 0.5, 0.9, 0.99, 1]
    return dict(zip(names, map(float, np.quantile(values, shares)), strict=True))


def told(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        "| dataset | pictures | found: hog | blazeface | box IoU, median (p10) "
        "| points apart, px, median (p90) | ms of CPU: hog | blazeface |",
        "| :-- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for name, row in found.items():
        counts, boxes, points, cpu = row["counts"], row["box_iou"], row["points_pixels"], row["cpu_ms"]
        lines.append(
            f"| {name} | {counts['pictures']} | {counts['hog']} | {counts['blazeface']} "
            f"| {boxes['median']:.2f} ({boxes['p10']:.2f}) | {points['median']:.2f} ({points['p90']:.2f}) "
            f"| {cpu['hog']:.1f} | {cpu['blazeface']:.1f} |"
        )
    lines += [
        "",
        "| dataset | model, metric | hog | blazeface | change | 95% interval | p | verdict |",
        "| :-- | :-- | --: | --: | --: | --: | --: | :-- |",
    ]
    for name, row in found.items():
        for metric, values in row["metrics"].items():
            low, high = values["interval"]
            lines.append(
                f"| {name} | {metric} | {values['hog']:.4f} | {values['blazeface']:.4f} "
                f"| {values['change']:+.4f} | {low:+.4f} to {high:+.4f} | {values['p']:.2f} "
                f"| {values['verdict']} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
