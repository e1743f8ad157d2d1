"""What generated faces are worth: found, obeying their labels, of use in training, nobody's.

`research.generator.make.measure` puts these into the card:

- `found`: of the photographs of each kind, the share that became a crop.
- `obeyed`: what published models read from the crops, beside the labels that were asked for.
- `kept_MODEL`: a small network trained on generated faces, and on as many real ones, both measured on real
  validation faces. What is kept is the share of the real faces' gain over the best constant answer.
- `distance`: from a face to the nearest training face, of generated faces and of real validation faces: in
  the identity features of dlib's network (Euclidean; at most 0.6 is taken for the same person), and in pixels
  (the inner face, 32 wide, grey, without its mean and spread: 0 is the same picture, 1.4 an unrelated one).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dlib
import numpy as np
import pandas as pd
from tqdm import tqdm

from pocketface.core.labels import main_metric
from pocketface.cropping.detect import model_file
from pocketface.evaluation.variants import Variant
from pocketface.faces.index import FaceSet
from pocketface.faces.view import detail_of, views
from pocketface.metrics.measures import best_constant, comparisons, score, tallies
from pocketface.study import Study
from pocketface.training.fit import learn
from pocketface.training.runtime import seed_everything
from pocketface.training.splits import together

IDENTITY = "dlib_face_recognition_resnet_model_v1.dat"
BLOCK = 256


def found(index: pd.DataFrame) -> dict[str, float]:
    """Kind of photograph -> share that became a crop; `index` is that of the rendered dataset."""
    kinds = index["image"].str.extract(r"\d+_([a-z]+)")[0]
    return {
        str(kind): float(share) for kind, share in (index["status"] == "ok").groupby(kinds).mean().items()
    }


def obeyed(faces: FaceSet, rows: pd.DataFrame, judges: Sequence[Variant]) -> dict[str, float]:
    """The main metrics of published models on generated faces, the wanted labels being the truth."""
    figures: dict[str, float] = {}
    for judge in judges:
        seen = views(faces.pixels[rows["face"].to_numpy(int)], faces.crop, judge.input, detail_of(judge.crop))
        answers = judge.decode(judge.runner(seen))
        table = pd.concat([rows[list(judge.outputs)].reset_index(drop=True), answers], axis=1)
        measured = score(tallies(comparisons(table))).values
        figures |= {main_metric(head): measured[main_metric(head)] for head in judge.outputs}
    return figures


def kept(study: Study, name: str, generated: FaceSet, real: FaceSet, count: int) -> dict[str, Any]:
    """Trains model `name` on `count` generated faces, and on as many real ones.

    Returns:
        metric -> its value from `generated` and `real` faces, of the best `constant` answer, and the share
        that is `kept` of the gain.
    """
    validation = together([real], "val")
    reached = {}
    for kind, source, splits in (("generated", generated, ("train", "val")), ("real", real, ("train",))):
        rows = together([source], *splits).dropna(subset=study.models[name].heads)
        rows = rows.sample(count, random_state=study.seed)
        seed_everything(study.seed)
        history = learn(
            study, name, list({source.dataset: source, real.dataset: real}.values()), rows, validation
        )
        reached[kind] = history.history.iloc[-1]
    figures = {}
    for head in study.models[name].heads:
        metric = main_metric(head)
        constant = _constant(validation[head], head)
        values = {kind: _value(row, head, study.models[name].heads) for kind, row in reached.items()}
        share = (values["generated"] - constant) / (values["real"] - constant)
        figures[metric] = {**values, "constant": constant, "kept": share}
    return figures


def distances(features: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """From `generated` and `validation` features `[N, D]` to the nearest of `train`."""
    return {
        kind: {"median": float(np.median(nearest)), "percentile_1": float(np.percentile(nearest, 1))}
        for kind in ("generated", "validation")
        for nearest in [nearest_distances(features[kind], features["train"])]
    }


def nearest_distances(these: np.ndarray, those: np.ndarray) -> np.ndarray:
    """How far each of `these` `[N, D]` is from the nearest of `those` `[M, D]`: float64 `[N]`."""
    squares = (those.astype(np.float32) ** 2).sum(1)
    nearest = []
    for start in range(0, len(these), BLOCK):
        part = these[start : start + BLOCK].astype(np.float32)
        squared = (part**2).sum(1)[:, None] + squares - 2 * part @ those.T.astype(np.float32)
        nearest.append(np.sqrt(np.maximum(squared.min(1), 0)))
    return np.concatenate(nearest).astype(float)


def pixel_features(seen: np.ndarray) -> np.ndarray:
    """Faces uint8 `[N, S, S, 1]` to float32 `[N, S * S]`, of mean 0 and length 1."""
    flat = seen.reshape(len(seen), -1).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def identity_features(seen: np.ndarray) -> np.ndarray:
    """Faces uint8 `[N, 150, 150, 3]`, with a margin of 0.25, to dlib's float64 `[N, 128]`."""
    network = dlib.face_recognition_model_v1(model_file(IDENTITY))
    return np.stack([np.array(network.compute_face_descriptor(face)) for face in tqdm(seen, desc="identity")])


def _constant(truth: pd.Series, head: str) -> float:
    table = pd.DataFrame({head: truth.reset_index(drop=True), f"{head}_pred": truth.reset_index(drop=True)})
    return score(tallies(best_constant(comparisons(table)))).values[main_metric(head)]


def _value(row: pd.Series, head: str, heads: list[str]) -> float:
    """The last validation figure of a head in a training's history, as Keras names it."""
    short = main_metric(head).removeprefix(f"{head}_")
    return float(row[f"val_{head}_{short}" if len(heads) > 1 else f"val_{short}"])
