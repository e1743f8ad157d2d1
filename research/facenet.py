"""The FaceNet report's two tables, its figures and ours side by side, as Markdown.

    python research/facenet.py folds --type-a A/facenet --type-b B/facenet --bis B/facenet_bis
    python research/facenet.py grid RUN/results/results.parquet ...

after `dvc repro cross_validate` of studies/facenet_cv.yaml, on its own crop (type B) and on type A, and after
`dvc repro results` of studies/facenet_sweep.yaml with each setting, in the order of the report's table.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from pocketface.report.cells import Row, Table
from pocketface.results.table import Table as Results

HEADS = ("Male", "Mustache", "Eyeglasses", "No_Beard", "Wearing_Hat", "Bald")
"""In the report's order."""
REPORT = {
    "type A": ("94.06 ± 1.17", "95.69 ± 0.08", "97.9 ± 0.11", "90.8 ± 0.81", "97.11 ± 0.07", "98.06 ± 0.05"),
    "type B": (
        "95.15 ± 0.27",
        "95.72 ± 0.07",
        "97.62 ± 0.17",
        "91.32 ± 0.17",
        "97.50 ± 0.08",
        "97.96 ± 0.12",
    ),
    "bis, type B": ("", "95.81 ± 0.07", "98.05 ± 0.22", "92.07 ± 0.25", "97.73 ± 0.13", "98.16 ± 0.10"),
}
"""What it reached in five folds: accuracy of `Male`, F1 of the others, in percent."""
GRID = {
    (8, 8): (92.11, 95.65, 96.68, 89.49, 96.40, 97.76),
    (8, 16): (92.75, 95.63, 97.18, 90.10, 96.87, 97.76),
    (16, 8): (93.80, 95.70, 97.51, 90.81, 96.37, 97.88),
    (16, 16): (94.50, 95.62, 97.67, 90.31, 97.25, 98.07),
}
"""Second convolution and units -> the same of one division, after 10 epochs."""


def metric(head: str) -> str:
    """What the report tells of an attribute: its F1 is the mean of both classes', by their numbers."""
    return f"{head}_accuracy" if head == "Male" else f"{head}_weighted_f1"


def folds(told: dict[str, Path]) -> Table:
    """A row for each crop and whose it is, and ours of the positive class, which the report does not tell."""
    rows: list[Row] = []
    for name, folder in told.items():
        found = json.loads((folder / "metrics.json").read_text())
        rows.append([name, "report", *REPORT[name]])
        rows.append([name, "ours", *_cells(found["model"], metric)])
        rows.append([name, "constant answer", *_cells(found["majority"], metric)])
        rows.append([name, "ours, F1 of the positive class", *_cells(found["model"], "{}_f1".format)])
        rows.append([name, "ours, average precision", *_cells(found["model"], "{}_average_precision".format)])
    return Table(["crop", "whose, %", *HEADS], rows, text_columns=2)


def grid(files: Sequence[Path]) -> Table:
    """A row for each setting and whose it is."""
    rows: list[Row] = []
    for (second, units), path in zip(GRID, files, strict=True):
        found = {
            row.metric: row.value
            for row in Results.read(path).of("facenet", "float32")
            if row.dataset and not row.grouping and row.value is not None
        }
        rows.append([str(second), str(units), "report", *(f"{value:.2f}" for value in GRID[second, units])])
        rows.append(
            [str(second), str(units), "ours", *(f"{100 * found[metric(head)]:.2f}" for head in HEADS)]
        )
    return Table(["second convolution", "units", "whose, %", *HEADS], rows, text_columns=3)


def _cells(found: dict[str, dict[str, float]], name: Callable[[str], str]) -> list[str]:
    values = [found.get(name(head)) for head in HEADS]
    return [f"{100 * one['mean']:.2f} ± {100 * one.get('std', 0):.2f}" if one else "" for one in values]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    which = parser.add_subparsers(dest="which", required=True)
    cross = which.add_parser("folds")
    for name in REPORT:
        cross.add_argument("--" + name.partition(",")[0].replace(" ", "-").lower(), type=Path, dest=name)
    which.add_parser("grid").add_argument("files", type=Path, nargs=len(GRID))
    args = vars(parser.parse_args())
    told = {name: args[name] for name in REPORT if args.get(name)}
    print((folds(told) if args["which"] == "folds" else grid(args["files"])).markdown())


if __name__ == "__main__":
    main()
