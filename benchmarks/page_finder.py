"""How far the page's face finder agrees with dlib's, on the study's photographs.

    python benchmarks/page_finder.py            # writes docs/results/STUDY/app.md

Both look at every picture of the hold-out, and at every 20th of the validation pictures of each dataset
whose faces are searched for. Each variant at float32 and int8 then answers about the largest face, once as
`pocketface predict` cuts it and once as the page does. Needs `dvc repro convert fetch_data crop_faces`.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from finder import Finder, place_of
from tqdm import tqdm

from pocketface.core.errors import exit_cleanly
from pocketface.core.files import written_whole
from pocketface.cropping.blazeface import SHORT, overlap
from pocketface.cropping.crop import cut_face
from pocketface.cropping.detect import Face, detect
from pocketface.cropping.picture import decode
from pocketface.evaluation.face_search import aligned
from pocketface.evaluation.variants import Variant, open_variant
from pocketface.faces.index import INDEX, OK
from pocketface.faces.view import view
from pocketface.study import Study, load_study
from pocketface.tflite.run import KERNELS

LEVELS = ("float32", "int8")
EVERY = 20
SAME_FACE = 0.3


@exit_cleanly
def main() -> None:
    """Compares the two on every dataset of the study that has faces to find."""
    study = load_study()
    find = Finder(SHORT)
    variants = [open_variant(Path("variants") / model / level) for model in study.models for level in LEVELS]
    figures = {
        name: compare(find, list(pictures(study, name)), variants)
        for name, dataset in study.datasets.items()
        if dataset.crop.policy != "as_is"
    }
    folder = Path("docs/results") / study.study
    with written_whole(folder / "app.md") as partial:
        partial.write_text(told(study, figures), encoding="utf-8")
    print((folder / "app.md").read_text(encoding="utf-8"))


def pictures(study: Study, name: str) -> Iterator[tuple[np.ndarray, pd.Series]]:
    """The pictures of the hold-out, or some validation pictures of another dataset, with their labels."""
    index = pd.read_parquet(Path("data/faces") / name / INDEX)
    rows = index[index["status"] == OK]
    if name != study.holdout:
        rows = rows[rows["split"] == "val"].iloc[::EVERY]
    with zipfile.ZipFile(Path("data/raw") / name / "files.zip") as archive:
        for _, row in tqdm(rows.iterrows(), total=len(rows), desc=name, unit="picture"):
            yield decode(archive.read(row["image"])), row


def compare(
    find: Finder, seen: list[tuple[np.ndarray, pd.Series]], variants: list[Variant]
) -> dict[str, Any]:
    """Boxes, crops and answers of the largest face of every picture."""
    both = []
    counts = {"pictures": len(seen), "dlib": 0, "page": 0}
    for picture, row in seen:
        by_dlib, by_page = detect(picture, upsample=1), find(picture)
        counts["dlib"] += bool(by_dlib)
        counts["page"] += bool(by_page)
        pairs = [(boxes_overlap(by_dlib[0], face), face) for face in by_page] if by_dlib else []
        best = max(pairs, key=lambda pair: pair[0], default=None)
        if best and best[0] > SAME_FACE:
            both.append((picture, row, by_dlib[0], best[1]))
    where = [placed(one, other) for _, _, one, other in both]
    return {
        "found": counts | {"both": len(both)},
        "box_iou": spread([boxes_overlap(one, other) for _, _, one, other in both]),
        "crop_iou": spread([iou for iou, _, _ in where]),
        "size_ratio": spread([size for _, size, _ in where]),
        "angle_degrees": spread([angle for _, _, angle in where]),
        "answers": {variant.name: answers(variant, both) for variant in variants},
    }


def boxes_overlap(one: Face, other: Face) -> float:
    """Intersection over union; dlib's boxes reach a little higher and wider than BlazeFace's."""
    return overlap(np.array(one.box, float), np.array(other.box, float))


def placed(one: Face, other: Face) -> tuple[float, float, float]:
    """Of the squares cut out, set upright: intersection over union; the ratio of sizes, the angle between."""
    (size, centre), (other_size, other_centre) = place_of(one.points), place_of(other.points)
    squares = [
        np.array([c.real - abs(s) / 2, c.imag - abs(s) / 2, c.real + abs(s) / 2, c.imag + abs(s) / 2])
        for s, c in ((size, centre), (other_size, other_centre))
    ]
    return overlap(*squares), abs(other_size / size), float(abs(np.degrees(np.angle(other_size / size))))


def answers(variant: Variant, both: list[tuple[np.ndarray, pd.Series, Face, Face]]) -> dict[str, Any]:
    """Per head: how far the two ways' answers are apart, and how good each is where there are labels."""
    crop = aligned(variant.crop, variant.input)
    ways = []
    for way in (2, 3):
        faces = [view(cut_face(case[0], case[way], crop), crop, variant.input) for case in both]
        ways.append(variant.decode(variant.runner(np.stack(faces))))
    dlib, page = ways
    labels = pd.DataFrame([row for _, row, _, _ in both]).reset_index(drop=True)
    result: dict[str, Any] = {}
    for head, meaning in variant.outputs.items():
        told = f"{head}_pred"
        known = labels[head].notna() if head in labels else pd.Series(False, index=labels.index)
        if meaning.kind == "number":
            result[head] = {"difference": spread(list((page[told] - dlib[told]).abs()))}
            if known.any():
                result[head]["mae"] = {
                    way: float((table[told] - labels[head])[known].abs().mean())
                    for way, table in zip(("dlib", "page"), ways, strict=True)
                }
            continue
        probabilities = [f"{head}_prob_{label}" for label in meaning.labels]
        result[head] = {
            "same": float((page[told] == dlib[told]).mean()),
            "difference": spread(list((page[probabilities] - dlib[probabilities]).abs().max(axis=1))),
        }
        if known.any():
            result[head]["accuracy"] = {
                way: float((table[told] == labels[head])[known].mean())
                for way, table in zip(("dlib", "page"), ways, strict=True)
            }
    return result


def spread(values: list[float]) -> dict[str, float]:
    """Median, 90th percentile, least and most."""
    if not values:
        return {}
    low, median, high, most = np.quantile(values, [0, 0.5, 0.9, 1])
    return {"min": float(low), "median": float(median), "p90": float(high), "max": float(most)}


def told(study: Study, figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        f"# Study `{study.study}`: the web app's face finder against dlib's",
        "",
        "`python benchmarks/page_finder.py` wrote this. dlib is what training uses; the page "
        " uses BlazeFace, aligned to the same crop (`benchmarks/finder.py`). The box is each "
        "detector's own; the crop is the mean face's square, what a model's window is placed on. "
        f"Kernels: {KERNELS}.",
    ]
    for name, found in figures.items():
        counts = found["found"]
        lines += [
            "",
            f"## {name}",
            "",
            f"{counts['pictures']} pictures; dlib finds a face in {counts['dlib']}, the page in "
            f"{counts['page']}, both the same one in {counts['both']}.",
            "",
            "| | median | 90th percentile | least | most |",
            "| :-- | --: | --: | --: | --: |",
        ]
        for label, key in (
            ("box, intersection over union", "box_iou"),
            ("crop, intersection over union", "crop_iou"),
            ("crop, size to dlib's", "size_ratio"),
            ("crop, angle to dlib's, degrees", "angle_degrees"),
        ):
            values = found[key]
            lines.append(
                f"| {label} | "
                + " | ".join(f"{values[k]:.3f}" for k in ("median", "p90", "min", "max"))
                + " |"
            )
        lines += [
            "",
            "| variant | head | same answer | difference: median | p90 | right or MAE: dlib | page |",
            "| :-- | :-- | --: | --: | --: | --: | --: |",
        ]
        for variant, heads in found["answers"].items():
            for head, row in heads.items():
                same = f"{row['same']:.1%}" if "same" in row else ""
                measured = row.get("mae") or row.get("accuracy") or {}
                form = "{:.2f}" if "mae" in row else "{:.1%}"
                quality = " | ".join(
                    form.format(measured[way]) if measured else "" for way in ("dlib", "page")
                )
                gap = row["difference"]
                lines.append(
                    f"| {variant} | {head} | {same} | {gap['median']:.3f} | {gap['p90']:.3f} | {quality} |"
                )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
