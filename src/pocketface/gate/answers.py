"""Tables of answers: one row a face and head, of this pipeline or of any other.

    table = read(Path("answers.parquet"))

| column | |
|---|---|
| `face` | what names a face |
| `head` | what was asked: `age`, `gender` |
| `truth` | the label, as text; null where unknown |
| `answer` | as text; a head all of whose answers are numbers is one of numbers |
| `probability` | of the answer, 0..1; may be missing |
| `model`, `level`, `dataset` | may be missing, and are then empty |
| `pixels` | hash of the face's pixels as the model saw them; may be missing |
| `look` | seven numbers that a changed crop, colour or sharpness moves, see `pocketface.evaluation.looks`;
may be missing |
| `box` | where the face was found in the picture, in pixels; may be missing |
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import written_whole

NEEDED = ("face", "head", "truth", "answer")
KEY = ("model", "level", "dataset", "face", "head")
TEXTS = (*KEY, "truth", "answer", "pixels")
OPTIONAL = {
    "model": "",
    "level": "",
    "dataset": "",
    "probability": np.nan,
    "pixels": None,
    "look": None,
    "box": None,
}


def read(path: Path) -> pd.DataFrame:
    """Reads a table, parquet or csv.

    Raises:
        PocketfaceError: it is missing or damaged, lacks a column, names a face twice, or has an answer that
            is null or not finite.
    """
    try:
        table = pd.read_csv(path, dtype=object) if path.suffix == ".csv" else pd.read_parquet(path)
    except FileNotFoundError:
        raise PocketfaceError(f"{path}: no such file; it is a table of {', '.join(NEEDED)}") from None
    except (OSError, ValueError) as error:
        raise PocketfaceError(f"{path}: not a table of answers ({error})") from None
    return checked(table, path)


def checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with all columns, in the order of `KEY`; raises as `read` does."""
    if missing := [name for name in NEEDED if name not in table]:
        raise PocketfaceError(f"{path}: has no column {missing[0]!r}; it needs {', '.join(NEEDED)}")
    table = table.assign(**{name: value for name, value in OPTIONAL.items() if name not in table})
    for name in TEXTS:
        texts = table[name].astype(object).where(table[name].notna(), None)
        table[name] = texts.map(_text, na_action="ignore")
    if (bad := table["answer"].isna() | table["answer"].isin(["nan", "inf", "-inf"])).any():
        row = table[bad].iloc[0]
        raise PocketfaceError(f"{path}: face {row['face']!r} has no answer to {row['head']}: {row['answer']}")
    if (twice := table.duplicated(list(KEY))).any():
        row = table[twice].iloc[0]
        raise PocketfaceError(f"{path}: face {row['face']!r} answers {row['head']} twice")
    probability = pd.to_numeric(table["probability"], errors="coerce").astype("float32")
    return table.assign(probability=probability)[
        [*KEY, "truth", "answer", "probability", "pixels", "look", "box"]
    ]


def _text(value: object) -> str:
    """A value as text: 1.0 and 1 are the same class."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes a table whose bytes repeat: sorted, numbers to two digits."""
    with written_whole(path) as partial:
        ordered = table.sort_values(list(KEY), kind="stable")
        ordered.to_parquet(partial, index=False, compression="zstd")


def of_predictions(model: str, level: str, predictions: pd.DataFrame) -> pd.DataFrame:
    """The answers of a variant, see `pocketface.evaluation.evaluate`: only heads whose truth is a column
    too.
    """
    parts = []
    for name in (str(column) for column in predictions if str(column).endswith("_pred")):
        head = name.removesuffix("_pred")
        unknown = pd.Series(None, index=predictions.index, dtype=object)
        truth, answer = predictions.get(head, unknown), predictions[name]
        if pd.api.types.is_numeric_dtype(answer):
            answer, truth = answer.round(2), truth.astype(float)
        elif set(answer.dropna()) <= {"no", "yes"}:
            truth = truth.map({0: "no", 1: "yes"}, na_action="ignore")
        probability = predictions.filter(regex=rf"^{head}_prob_").astype(float).max(axis=1)
        facts = {"model": model, "level": level, "head": head, "truth": truth, "answer": answer}
        same = ["dataset", *(column for column in ("pixels", "look", "box") if column in predictions)]
        part = predictions[same].assign(face=predictions["image"].map(named), **facts)
        parts.append(part.assign(probability=probability.astype(float).round(3)))
    return checked(pd.concat(parts, ignore_index=True), Path(f"evaluation/{model}/{level}"))


def named(image: str) -> str:
    """A face's name: a hash of the picture's, which may say something of the person."""
    return hashlib.blake2b(image.encode(), digest_size=6).hexdigest()
