"""One network for age, gender and expression against the two that answer them apart, on the same faces.

    python benchmarks/one_network.py [--one weights/age_gender_expression/int8] [--split val]

All see, at int8, the crops of study `shared_trunk` that none of them has learned from; their metrics are
compared face by face (`pocketface.metrics.confidence`). Besides: the milliseconds that three answers take on
one thread, in turns. Needs `pocketface study use shared_trunk && dvc repro crop_faces`; FairFace where it is
at hand.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from pocketface.core.errors import exit_cleanly
from pocketface.core.outs import FACES
from pocketface.evaluation.variants import Variant, open_variants
from pocketface.faces import seen
from pocketface.faces.index import FaceSet
from pocketface.faces.selection import Evaluation, select
from pocketface.metrics.confidence import paired, resample
from pocketface.published import folder
from pocketface.report.cells import Table

DATASETS = ("utkface", "celeba", "fairface", "fer2013")
TWO = ("age_gender", "expression")
RUNS = 300


@exit_cleanly
def main() -> None:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--one", type=Path, default=folder() / "age_gender_expression/int8")
    parser.add_argument("--split", choices=("val", "test"), default="val")
    args = parser.parse_args()
    variants = open_variants([args.one, *(folder() / name / "int8" for name in TWO)])
    learned = np.unique(np.concatenate([seen.load(variant.runner.path.parents[1]) for variant in variants]))
    sets = [FaceSet.load(FACES / name) for name in DATASETS if (FACES / name).is_dir()]
    holdout = FaceSet.load(FACES / "photos")
    answers = {}
    for variant in variants:
        chosen = select(sets[0], holdout, variant.input, sets[1:], learned, args.split == "test")
        answers[variant.name] = answered(variant, chosen.evaluation)
    one, *two = variants
    rows = []
    for other in two:
        for dataset in answers[one.name]["dataset"].unique():
            tables = [answers[each.name] for each in (one, other)]
            faces = (table[table["dataset"] == dataset] for table in tables)
            rows += compared(dataset, *faces, list(other.outputs))
    header = ["dataset", "metric", "verdict", "faces", "one", "apart", "change", "p"]
    print(Table(header, rows, text_columns=3).markdown())
    best = fastest(variants)
    both = sum(best[variant.name] for variant in two)
    print(f"\nthree answers: {best[one.name]:.2f} ms, {both:.2f} by two ({best[one.name] / both:.2f} of it)")


def answered(variant: Variant, faces: Evaluation) -> pd.DataFrame:
    """The labels of accepted faces, and a variant's answers."""
    rows = faces.rows[faces.rows["face"].notna()].reset_index(drop=True)
    pixels = faces.pixels[rows["face"].to_numpy(np.int64)]
    return pd.concat([rows, variant.decode(variant.runner(pixels, progress=variant.name))], axis=1)


def compared(dataset: str, one: pd.DataFrame, other: pd.DataFrame, heads: list[str]) -> Iterator[list[str]]:
    """Rows of the table: what both answer of a dataset."""
    answers = [column for column in other if column.partition("_pred")[0].partition("_prob")[0] in heads]
    labels = [column for column in ("age", "age_band", *heads) if column in one and one[column].notna().any()]
    kept = list(dict.fromkeys([*labels, *answers]))
    ours, theirs = (resample(table[kept].reset_index(drop=True)) for table in (one, other))
    for metric, change in paired(ours, theirs).items():
        values = (f"{table.values[metric]:.4f}" for table in (ours, theirs))
        span = f"{change.change:+.4f} ({change.low:+.4f} to {change.high:+.4f})"
        yield [dataset, metric, change.verdict, str(len(one)), *values, span, f"{change.p:.3f}"]


def fastest(variants: list[Variant]) -> dict[str, float]:
    """Milliseconds of a face by each, the fastest of runs that take turns."""
    pixels = {variant.name: np.zeros(variant.runner.input_shape, np.uint8) for variant in variants}
    best = dict.fromkeys(pixels, float("inf"))
    for _ in range(RUNS):
        for variant in variants:
            start = time.perf_counter()
            variant.runner.one(pixels[variant.name])
            best[variant.name] = min(best[variant.name], 1e3 * (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    main()
