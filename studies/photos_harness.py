"""The 24-photo report (DLBAIPEAI01, task 2) again: how much of a loss is the harness, how much quantization.

    pocketface run --study photos
    python studies/photos_harness.py                # makes it the first section of reports/photos

That report took the frame as `cv2.imread` gives it (blue first) through `cv2.resize` into the input; no face
was detected, aligned or cropped. It set age's input by the index of another model's tensor and gender's not
at all, and judged gender by the age label. Nothing else here treats a model like that.
"""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pocketface import datasets
from pocketface.cards import VariantCard, read_card
from pocketface.core import outs
from pocketface.core.errors import PocketfaceError, exit_cleanly
from pocketface.core.labels import CLASSES, GENDERS
from pocketface.cropping.picture import decode
from pocketface.evaluation.variants import open_variant
from pocketface.faces.settings import Input
from pocketface.metrics.confidence import mcnemar, wilson
from pocketface.metrics.measures import comparisons, measure, tallies
from pocketface.metrics.naming import MISSING, change, shown, title_of
from pocketface.report.cells import Cell, Section, Table
from pocketface.report.plots import COLOURS, FAINT, INK, STYLE
from pocketface.report.report import write_report
from pocketface.study import Study, load_study

DATASET = "photos"
SHOWN = ("proper", "squeezed", "swapped")
"""How the photographs in which a face was found are shown to the model."""
WAYS = (*SHOWN, "misjudged", "unfed", "both")
"""Besides: `proper` answers judged by the age label; zeros in place of every photograph; and both."""
LEVEL = "dynamic_int8"
"""What that report made of age and gender; the level of the plot and of the title."""
ABOUT = (
    """Every photograph in which a face was found is shown in three ways: the face found, aligned and cut out
as in training; the whole frame squeezed to the model's input; and that with red and blue swapped, as
`cv2.imread` without conversion does. The last is how the 24-photo report (DLBAIPEAI01, task 2) showed
pictures to its converted models. *To quantization* is what a level loses against float32, both seen properly;
*to the harness* is what the same level loses squeezed and swapped, against seen properly, with McNemar's
exact p; in percentage points, and the two add up to the whole change. With {n} photographs, one of them is
{step:.1f} points; even no changed answer among them leaves room for {room:.0f}% of all photographs.""",
    """Two more mistakes are in that report's code. It set the input of its age model by the index of another
model's tensor, and that of its gender model not at all: *never fed*, a model has one answer to all {all}
photographs. And it judged gender by the age label: *judged by age*, by place in the list of classes. Half of
its 24 photographs were of each class; there a model that was never fed has 50%, whatever its weights and
whichever of the two labels judges it: its 50% of age and of gender say nothing of quantization. Expression,
whose model was fed, was right as often there as before. Of the photographs here the classes are not quite
halves.""",
    """`dlib_age`, `dlib_gender` and `mini_xception` are surrogates: other networks than the report's, which
stand for them where deepface's weights are out of reach.""",
)
HEADER = (
    *("metric", "model", "levels", "face cut out (%)", "frame squeezed (%)", "red, blue swapped (%)"),
    *(
        "judged by age (%)",
        "never fed (%)",
        "never fed, judged by age (%)",
        "to quantization",
        "to the harness",
    ),
)
STEPS = (
    "float32,\nface cut out",
    "{level},\nface cut out",
    "{level},\nframe squeezed",
    "red and blue\nswapped",
)


def squeezed(picture: np.ndarray, input: Input, swapped: bool) -> np.ndarray:
    """A whole RGB picture uint8 `[H, W, 3]` in a model's input, uint8 `[size, size, channels]`.

    Its proportions are lost; with `swapped`, red and blue change places on the way.
    """
    frame = cv2.resize(picture, (input.size, input.size))
    if swapped:
        frame = np.ascontiguousarray(frame[..., ::-1])
    return frame if input.channels == 3 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None]


def measured(study: Study, root: Path = Path()) -> pd.DataFrame:
    """Columns `model`, `level`, `metric`, `n`, the `WAYS`, shares of right answers, `p` of what the harness
    lost, and `all` photographs; or `reason` for none.

    Raises:
        PocketfaceError: an out of the study is missing or damaged.
    """
    rows: list[dict[str, Any]] = []
    raw = root / "data/raw" / DATASET / "files.zip"
    every = pd.DataFrame([record.labels for record in datasets.read(DATASET, raw) if not record.problem])
    pictures: dict[str, np.ndarray] = {}
    for model, level in ((model, level) for model in study.models for level in study.levels):
        row = {"model": model, "level": level, "all": len(every)}
        folder, path = root / "variants" / model / level, root / "evaluation" / model / level
        card = read_card(folder, VariantCard)
        if card.status != "ok":
            rows.append(row | {"reason": f"{card.status}: {card.reason}"})
            continue
        try:
            proper = pd.read_parquet(path / "predictions.parquet")
            proper = proper[proper["dataset"] == DATASET].dropna(axis=1, how="all").reset_index(drop=True)
            with zipfile.ZipFile(raw) as archive:
                for image in set(proper["image"]) - set(pictures):
                    pictures[image] = decode(datasets.open_picture(DATASET, archive, image))
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise PocketfaceError(
                f"{path}: not readable ({error}); make it with `dvc repro evaluate`"
            ) from None
        variant, tables = open_variant(folder), {"proper": proper, "misjudged": judged_by_age(proper)}
        labels = proper.loc[:, ~proper.columns.str.contains("_pred|_prob_")]
        for way in SHOWN[1:]:
            seen = [squeezed(pictures[image], variant.input, way == "swapped") for image in proper["image"]]
            tables[way] = pd.concat([labels, variant.decode(variant.runner(np.stack(seen)))], axis=1)
        zeros = np.zeros((len(every), *seen[0].shape), np.uint8)
        tables["unfed"] = pd.concat([every, variant.decode(variant.runner(zeros))], axis=1)
        tables["both"] = judged_by_age(tables["unfed"])
        found = {way: measure(table).values for way, table in tables.items()}
        right = {
            way: {name: hit for part in tallies(comparisons(tables[way])) for name, hit in part.hits.items()}
            for way in SHOWN
        }
        for metric in (name for name in right["proper"] if name.endswith("_accuracy")):
            lost = mcnemar(right["swapped"][metric], right["proper"][metric])
            shares = {way: of[metric] for way, of in found.items() if metric in of and _is_asked(way, metric)}
            rows.append(row | {"metric": metric, "n": len(proper), "p": lost} | shares)
    return pd.DataFrame(rows, columns=["model", "level", "metric", "n", "all", *WAYS, "p", "reason"])


def judged_by_age(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the gender that has the place of the age group in the list of classes as its truth."""
    if "age_group" not in table:
        return table.drop(columns="gender", errors="ignore")
    return table.assign(gender=table["age_group"].map(dict(zip(CLASSES["age_group"], GENDERS, strict=True))))


def _is_asked(way: str, metric: str) -> bool:
    return way not in ("misjudged", "both") or metric == "gender_accuracy"


def section(found: pd.DataFrame) -> Section:
    """The table and the plot of what was `measured`; levels with the same shares are one row."""
    n, every = (int(found[name].fillna(0).max()) for name in ("n", "all"))
    facts = {"n": n, "all": every, "step": 100 / max(n, 1), "room": min(300 / max(n, 1), 100)}
    rows = found.dropna(subset="metric")
    float32 = rows[rows["level"] == "float32"].set_index(["model", "metric"])["proper"]
    rows = rows.assign(
        float32=[float32.get(key, np.nan) for key in zip(rows["model"], rows["metric"], strict=True)]
    )
    same = ["metric", "model", *WAYS, "p", "float32"]
    merged = rows.groupby(same, sort=False, dropna=False, as_index=False).agg({"level": ", ".join})
    table = Table(HEADER, [_cells(row) for row in merged.to_dict("records")], text_columns=3)
    told = rows[rows["level"] == LEVEL]
    worst = told.assign(lost=told["swapped"] - told["proper"]).sort_values("lost").iloc[0]
    what = title_of(worst["metric"]).removesuffix(" accuracy").capitalize()
    who = "" if worst["model"].startswith("deepface") else " (surrogate network)"
    quantized = n * (worst["float32"] - worst["proper"])
    lost = f"loses {_points(worst['lost'])} points to the harness and {quantized:.0f} of {n} photographs"
    title = f"{what}{who} {lost} to quantization"
    text = tuple(" ".join(part.format(**facts).split()) for part in ABOUT)
    return Section("harness", title, text, table, plot(told, n))


def _points(share: float) -> str:
    return f"{abs(100 * share):.0f}"


def _cells(row: dict[Any, Any]) -> list[Cell | str]:
    metric = row["metric"]
    shares = [MISSING if np.isnan(row[way]) else shown(metric, row[way]) for way in WAYS]
    lost = [
        change(metric, row[way], row[other]) for way, other in (("proper", "float32"), ("swapped", "proper"))
    ]
    return [title_of(metric), row["model"], row["level"], *shares, lost[0], f"{lost[1]} (p = {row['p']:.3f})"]


def plot(rows: pd.DataFrame, n: int) -> Figure:
    """Right answers, step by step from float32 to the harness, with 95% intervals; a line a metric.

    Args:
        rows: of `LEVEL`, with a column `float32`.
        n: photographs.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        axes = figure.subplots()
        for left, right, words in ((0, 1, "quantization"), (1, 3, "the harness")):
            axes.axvspan(left, right, color=FAINT, alpha=0.6 if left else 0.2, linewidth=0)
            axes.text((left + right) / 2, 107, words, ha="center", color=INK)
        ends: list[float] = []
        for i, row in enumerate(rows.sort_values("swapped").to_dict("records")):
            shares = [row["float32"], *(row[way] for way in SHOWN)]
            places = [place + 0.05 * (i - 1) for place in range(len(shares))]
            axes.plot(places, [100 * share for share in shares], color=COLOURS[i], marker="o", linewidth=2)
            for place, share in zip(places, shares, strict=True):
                low, high = wilson(round(share * n), n)
                axes.plot([place] * 2, [100 * low, 100 * high], color=COLOURS[i], alpha=0.35)
            ends.append(max([100 * shares[-1], *(end + 6 for end in ends[-1:])]))
            words = f"{title_of(row['metric']).removesuffix(' accuracy')} {shown(row['metric'], shares[-1])}"
            axes.plot([3.15, 3.25], [ends[-1]] * 2, color=COLOURS[i], linewidth=2)
            axes.text(3.3, ends[-1], words, va="center", color=INK)
        axes.set_xticks(range(len(STEPS)), [step.format(level=LEVEL) for step in STEPS])
        axes.set(xlim=(-0.3, 4.3), ylim=(0, 114), ylabel="right answers (%)")
        axes.set_yticks(range(0, 101, 20))
        axes.grid(False, axis="x")
        figure.suptitle(f"The same {n} photographs", x=0.01, ha="left", fontweight="bold")
    return figure


@exit_cleanly
def main() -> None:
    """Measures every variant of the study on the squeezed photographs, and writes the report with it."""
    study = load_study()
    print(f"wrote {write_report(study, first=section(measured(study)))}")
    if outs.DVC.is_dir():  # what the stage made stays as it is now, until its deps change
        subprocess.run([sys.executable, "-m", "dvc", "commit", "--force", "--quiet", "report"], check=True)


if __name__ == "__main__":
    main()
