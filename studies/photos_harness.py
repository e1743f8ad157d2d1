"""The 24-photo report (DLBAIPEAI01, task 2) again: how much of a loss is the harness, how much quantization.

    cp studies/photos.yaml params.yaml && dvc repro
    python studies/photos_harness.py                # writes reports/photos/harness.md

That report took the frame as `cv2.imread` gives it (blue first) through `cv2.resize` into the input; no face
was detected, aligned or cropped. It set age's input by the index of another model's tensor and gender's not
at all, and judged gender by the age label. Nothing else here treats a model like that.
"""

import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from pocketface import datasets
from pocketface.cards import VariantCard, read_card
from pocketface.core.errors import PocketfaceError, exit_cleanly
from pocketface.core.files import written_whole
from pocketface.core.labels import CLASSES, GENDERS
from pocketface.cropping.picture import decode
from pocketface.evaluation.variants import open_variant
from pocketface.faces.settings import Input
from pocketface.metrics.confidence import mcnemar
from pocketface.metrics.measures import comparisons, measure, tallies
from pocketface.study import Study, load_study

DATASET = "photos"
SHOWN = ("proper", "squeezed", "swapped")
"""How the photographs in which a face was found are shown to the model."""
WAYS = (*SHOWN, "misjudged", "unfed", "both")
"""Besides: `proper` answers judged by the age label; zeros in place of every photograph; and both."""
ABOUT = """\
# Study `{study}`: the harness or the quantization?

Every photograph of `photos` in which a face was found, three ways: the face found, aligned and cut out as
in training; the whole frame squeezed to the model's input; and that with red and blue swapped, as
`cv2.imread` without conversion does. The last is how the 24-photo report (DLBAIPEAI01, task 2) showed
pictures to its converted models. *Lost to quantization* is a level against float32, both seen properly; *lost
to the harness* is the same level squeezed and swapped, against seen properly, with McNemar's exact p; in
percentage points, and the two add up to the whole change.
With {n} photographs, one of them is {step:.1f} points; even no changed answer among them leaves room for
{room:.0f}% of all photographs.

Two more mistakes are in that report's code. It set the input of its age model by the index of another model's
tensor, and that of its gender model not at all: *never fed*, a model has one answer to all {all} photographs.
And it judged gender by the age label: *judged by age*, by place in the list of classes. Half of its 24
photographs were of each class; there a model that was never fed has 50%, whatever its weights and
whichever of the two labels judges it: its 50% of age and of gender say nothing of quantization. Expression,
whose model was fed, lost nothing there. Of the photographs here the classes are not quite halves.

`dlib_age`, `dlib_gender` and `mini_xception` are surrogates: other networks than the report's, which stand
for them where deepface's weights are out of reach.
"""
HEADER = """
## {metric}

| model | level | photos | face found and cut out (%) | whole frame squeezed (%) | and red, blue swapped (%) \
| judged by age (%) | never fed (%) | never fed and judged by age (%) \
| lost to quantization | lost to the harness |
| :-- | :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
"""


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


def page(study: str, found: pd.DataFrame) -> str:
    """The text of `harness.md`."""
    n, every = (int(found[name].fillna(0).max()) for name in ("n", "all"))
    parts = [ABOUT.format(study=study, n=n, all=every, step=100 / max(n, 1), room=min(300 / max(n, 1), 100))]
    for metric, rows in found.dropna(subset="metric").groupby("metric", sort=False):
        float32 = rows[rows["level"] == "float32"].set_index("model")["proper"]
        parts.append(HEADER.format(metric=str(metric).replace("_", " ").capitalize()))
        for row in rows.to_dict("records"):
            shares = " | ".join(_share(row[way]) for way in WAYS)
            quantized = _change(row["proper"] - float32.get(row["model"], np.nan))
            harness = f"{_change(row['swapped'] - row['proper'])} (p = {row['p']:.3f})"
            cells = f"{row['model']} | {row['level']} | {row['n']:.0f} | {shares} | {quantized} | {harness}"
            parts.append(f"| {cells} |\n")
    without = found.dropna(subset="reason").groupby(["model", "reason"], sort=False, as_index=False)
    if len(without):
        parts.append("\n## Not measured\n\n")
    for row in without.agg({"level": ", ".join}).to_dict("records"):
        parts.append(f"- `{row['model']}`, {row['level']}: {row['reason']}\n")
    return "".join(parts)


def _share(share: float) -> str:
    return "\N{EN DASH}" if np.isnan(share) else f"{100 * share:.1f}"


def _change(share: float) -> str:
    if np.isnan(share):
        return "\N{EN DASH}"
    points = round(100 * share, 1)
    return f"{points:+.1f}".replace("-", "\N{MINUS SIGN}") if points else "±0"


@exit_cleanly
def main() -> None:
    """Measures every variant of the study on the squeezed photographs."""
    study = load_study()
    found = measured(study)
    folder = Path("reports") / study.study
    with written_whole(folder / "harness.md") as partial:
        partial.write_text(page(study.study, found), encoding="utf-8")
    print(f"wrote {folder / 'harness.md'}")


if __name__ == "__main__":
    main()
