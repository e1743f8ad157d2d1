"""The 24-photo report (DLBAIPEAI01, task 2) again: how much of a loss is the harness, how much quantization.

    cp studies/photos.yaml params.yaml && dvc repro
    python studies/photos_harness.py                # writes reports/photos/harness.md

That report took the frame as `cv2.imread` gives it (blue first) through `cv2.resize` into the input; no face
was detected, aligned or cropped. Nothing else here shows pictures to a model like that.
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
from pocketface.cropping.picture import decode
from pocketface.evaluation.variants import open_variant
from pocketface.faces.settings import Input
from pocketface.metrics.measures import measure
from pocketface.study import Study, load_study

DATASET = "photos"
WAYS = ("proper", "squeezed", "swapped")
ABOUT = """\
# Study `{study}`: the harness or the quantization?

Every photograph of `photos` in which a face was found, three ways: the face found, aligned and cut out as
in training; the whole frame squeezed to the model's input; and that with red and blue swapped, as
`cv2.imread` without conversion does. The last is how the 24-photo report (DLBAIPEAI01, task 2) evaluated its
converted models. *Lost to quantization* is a level against float32, both seen properly; *lost to the harness*
is the same level squeezed and swapped, against seen properly; in percentage points, and the two add up to the
whole change.
With {n} photographs, one of them is {step:.1f} points.
"""
HEADER = """
## {metric}

| model | level | photos | face found and cut out (%) | whole frame squeezed (%) | and red, blue swapped (%) \
| lost to quantization | lost to the harness |
| :-- | :-- | --: | --: | --: | --: | --: | --: |
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
    """Columns `model`, `level`, `metric`, `n` and the `WAYS`, shares of right answers; or `reason` for none.

    Raises:
        PocketfaceError: an out of the study is missing or damaged.
    """
    rows: list[dict[str, Any]] = []
    pictures: dict[str, np.ndarray] = {}
    for model, level in ((model, level) for model in study.models for level in study.levels):
        row = {"model": model, "level": level}
        folder, path = root / "variants" / model / level, root / "evaluation" / model / level
        card = read_card(folder, VariantCard)
        if card.status != "ok":
            rows.append(row | {"reason": f"{card.status}: {card.reason}"})
            continue
        try:
            proper = pd.read_parquet(path / "predictions.parquet")
            proper = proper[proper["dataset"] == DATASET].reset_index(drop=True)
            with zipfile.ZipFile(root / "data/raw" / DATASET / "files.zip") as archive:
                for image in set(proper["image"]) - set(pictures):
                    pictures[image] = decode(datasets.open_picture(DATASET, archive, image))
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise PocketfaceError(
                f"{path}: not readable ({error}); make it with `dvc repro evaluate`"
            ) from None
        variant, tables = open_variant(folder), {"proper": proper}
        labels = proper.loc[:, ~proper.columns.str.contains("_pred|_prob_")]
        for way in WAYS[1:]:
            seen = [squeezed(pictures[image], variant.input, way == "swapped") for image in proper["image"]]
            answers = variant.decode(variant.runner(np.stack(seen)))
            tables[way] = pd.concat([labels, answers], axis=1)
        found = {way: measure(table) for way, table in tables.items()}
        for metric, n in found["proper"].counts.items():
            if metric.endswith("_accuracy") and not metric.endswith("_balanced_accuracy"):
                shares = {way: found[way].values[metric] for way in WAYS}
                rows.append(row | {"metric": metric, "n": n} | shares)
    return pd.DataFrame(rows, columns=["model", "level", "metric", "n", *WAYS, "reason"])


def page(study: str, found: pd.DataFrame) -> str:
    """The text of `harness.md`."""
    n = int(found["n"].fillna(0).max())
    parts = [ABOUT.format(study=study, n=n, step=100 / n if n else 0)]
    for metric, rows in found.dropna(subset="metric").groupby("metric", sort=False):
        float32 = rows[rows["level"] == "float32"].set_index("model")["proper"]
        parts.append(HEADER.format(metric=str(metric).replace("_", " ").capitalize()))
        for row in rows.to_dict("records"):
            shares = " | ".join(f"{100 * row[way]:.1f}" for way in WAYS)
            quantized = _change(row["proper"] - float32.get(row["model"], np.nan))
            harness = _change(row["swapped"] - row["proper"])
            cells = f"{row['model']} | {row['level']} | {row['n']:.0f} | {shares} | {quantized} | {harness}"
            parts.append(f"| {cells} |\n")
    without = found.dropna(subset="reason").groupby(["model", "reason"], sort=False, as_index=False)
    if len(without):
        parts.append("\n## Not measured\n\n")
    for row in without.agg({"level": ", ".join}).to_dict("records"):
        parts.append(f"- `{row['model']}`, {row['level']}: {row['reason']}\n")
    return "".join(parts)


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
