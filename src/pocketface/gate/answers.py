"""Tables of answers: one row a face and head, of this pipeline or of any other.

    table = read(Path("answers.parquet"))

| column | |
|---|---|
| `face` | what names a face |
| `head` | what was asked: `age`, `gender` |
| `truth` | the label, as text; null where unknown |
| `answer` | as text; a head all of whose answers are numbers is one of numbers |
| `probability` | of the answer, 0..1; may be missing, as all that follows |
| `model`, `level`, `dataset` | empty where missing |
| `groups` | that the face is in: `gender=female; race=Asian` |
| `source`, `crop`, `pixels` | hashes of the picture, of the stored crop and of what the model saw |
| `look` | numbers that a changed crop, colour or sharpness moves, see `pocketface.evaluation.looks` |
| `box` | where the face was found in the picture, in pixels |
"""

import hashlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import written_whole
from pocketface.core.labels import words
from pocketface.evaluation.looks import NAMES
from pocketface.metrics.groups import CROSSED, members

NEEDED = ("face", "head", "truth", "answer")
KEY = ("model", "level", "dataset", "face", "head")
HASHES = ("source", "crop", "pixels")
FACE, OF_FACES = ("model", "dataset", "face"), ("groups", *HASHES, "look", "box")
TEXTS = (*KEY, "truth", "answer", "groups", *HASHES)
NULL = (*HASHES, "probability", "look", "box")
OPTIONAL = dict.fromkeys(("model", "level", "dataset", "groups"), "") | dict.fromkeys(NULL)
COLUMNS = (*KEY, "truth", "answer", "probability", "groups", *HASHES, "look", "box")
MISSING = ("", "NA", "N/A", "<NA>", "NaN", "nan", "NULL", "null")
"""Cells of a csv that say nothing. `None` is a word: no glasses, no beard."""


class Incomparable(PocketfaceError):
    """Two tables that are not about the same."""


def read(path: Path) -> pd.DataFrame:
    """Reads a table, parquet or csv.

    Raises:
        PocketfaceError: it is missing or damaged, lacks a column, names a face twice, or has an answer that
            is null or not finite.
    """
    try:
        table = (
            pd.read_csv(path, dtype=object, keep_default_na=False, na_values=MISSING)
            if path.suffix == ".csv"
            else pd.read_parquet(path)
        )
    except FileNotFoundError:
        raise PocketfaceError(f"{path}: no such file; it is a table of {', '.join(NEEDED)}") from None
    except (OSError, ValueError) as error:
        raise PocketfaceError(f"{path}: not a table of answers ({error})") from None
    table = checked(table, path)
    first = table.drop_duplicates(list(FACE))[[*FACE, *OF_FACES]]
    return table.drop(columns=list(OF_FACES)).merge(first, how="left", on=list(FACE))[[*COLUMNS]]


def checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with all `COLUMNS`; raises as `read` does."""
    if missing := [name for name in NEEDED if name not in table]:
        raise PocketfaceError(f"{path}: has no column {missing[0]!r}; it needs {', '.join(NEEDED)}")
    table = table.assign(**{name: value for name, value in OPTIONAL.items() if name not in table})
    for name in TEXTS:
        if not isinstance(table[name].dtype, pd.StringDtype):
            texts = table[name].astype(object).where(table[name].notna(), None)
            table[name] = texts.map(_text, na_action="ignore")
    for name in ("model", "level", "dataset", "groups"):
        table[name] = table[name].fillna("")  # an empty cell; `groupby` would leave its rows out
    if table[["face", "head"]].isna().any(axis=None):
        raise PocketfaceError(f"{path}: a row names no face, or no head")
    lost = table["answer"].isna() | table["answer"].str.lower().str.strip("+-").isin(
        ["nan", "inf", "infinity"]
    )
    if lost.any():
        row = table[lost].iloc[0]
        raise PocketfaceError(f"{path}: face {row['face']!r} has no answer to {row['head']}: {row['answer']}")
    if (twice := table.duplicated(list(KEY))).any():
        row = table[twice].iloc[0]
        raise PocketfaceError(f"{path}: face {row['face']!r} answers {row['head']} twice")
    for name, count in (("look", len(NAMES)), ("box", 4)):
        found = [np.asarray(value) for value in table[name].dropna()]
        if not all(one.shape == (count,) and one.dtype.kind in "iuf" for one in found):
            raise PocketfaceError(f"{path}: a {name} has {count} numbers, see pocketface.evaluation.looks")
    shares = pd.to_numeric(table["probability"], errors="coerce").astype("float32")
    if (odd := table["probability"].notna() & ~shares.between(0, 1)).any():
        row = table[odd].iloc[0]
        raise PocketfaceError(
            f"{path}: face {row['face']!r} has probability {row['probability']!r}, not 0..1"
        )
    return table.assign(probability=shares)[[*COLUMNS]]


def _text(value: object) -> str:
    """A value as text: 1.0 and 1 are the same class."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes a table whose bytes repeat; what is about a face stands in its first row."""
    with written_whole(path) as partial:
        ordered = table.sort_values(list(KEY), kind="stable")
        ordered.loc[ordered.duplicated(list(FACE)), list(OF_FACES)] = None
        ordered.to_parquet(partial, index=False, compression="zstd")


def paired(
    was: pd.DataFrame, now: pd.DataFrame, classes: Collection[str] = (), worded: Collection[str] = ()
) -> pd.DataFrame:
    """The rows of two tables that are about the same face, head and variant.

    Args:
        was, now: the tables.
        classes: answers that are known, besides those that `was` has.
        worded: heads that are known to be of classes, even where these are called `0` and `1`.

    Returns:
        The columns of both, with `_was` and `_is` behind those that are not of `KEY`, and of each row
        `number` (whether its head answers numbers), `number_was`, `number_is`, `error_was`, `error_is` (from
        the truth of then: the difference, or 1 for a wrong class; null without a truth).

    Raises:
        Incomparable: there is none, or an answer is a class that `was` does not know.
    """
    pairs = was.merge(now, on=list(KEY), suffixes=("_was", "_is"))
    if pairs.empty:
        raise Incomparable("has no face and head of the baseline; are they of the same faces?")
    for when in ("was", "is"):
        pairs[f"number_{when}"] = pd.to_numeric(pairs[f"answer_{when}"], errors="coerce")
    finite = pairs[["number_was", "number_is"]].notna().all(axis=1)
    pairs["number"] = finite.groupby(pairs["head"]).transform("all") & ~pairs["head"].isin([*worded])
    named = pairs[~pairs["number"]]
    new = set(named["answer_is"]) - set(named["answer_was"]) - set(named["truth_was"].dropna()) - set(classes)
    if new:
        raise Incomparable(f"answers {min(new)!r}, a class that the baseline does not know")
    truth = pd.to_numeric(pairs["truth_was"], errors="coerce")
    for when in ("was", "is"):
        wrong = (pairs[f"answer_{when}"] != pairs["truth_was"]).astype(float)
        off = (pairs[f"number_{when}"] - truth).abs().where(pairs["number"], wrong)
        pairs[f"error_{when}"] = off.where(pairs["truth_was"].notna())
    return pairs


def of_predictions(model: str, level: str, predictions: pd.DataFrame) -> pd.DataFrame:
    """The answers of a variant, see `pocketface.evaluation.evaluate`."""
    parts = []
    same = predictions.reindex(columns=["dataset", "crop", "pixels", "look", "box"]).assign(
        face=predictions["image"].map(named), groups=_groups(predictions), model=model, level=level
    )
    if "source_sha" in predictions:
        same["source"] = predictions["source_sha"].str[:12]
    for name in (str(column) for column in predictions if str(column).endswith("_pred")):
        head = name.removesuffix("_pred")
        unknown = pd.Series(None, index=predictions.index, dtype=object)
        truth, answer = predictions.get(head, unknown), predictions[name]
        if pd.api.types.is_numeric_dtype(answer):
            answer, truth = answer.round(2), truth.astype(float)
        else:
            truth = words(truth)
        probability = predictions.filter(regex=rf"^{head}_prob_").astype(float).max(axis=1)
        parts.append(same.assign(head=head, truth=truth, answer=answer, probability=probability.round(3)))
    return checked(pd.concat(parts, ignore_index=True), Path(f"evaluation/{model}/{level}"))


def _groups(predictions: pd.DataFrame) -> pd.Series:
    texts = np.full(len(predictions), "", object)
    for (grouping, group), inside in members(predictions).items():
        if CROSSED not in grouping:
            texts[inside] += f"; {grouping}={group}"
    return pd.Series(texts, predictions.index).str.removeprefix("; ")


def named(image: str) -> str:
    """A face's name: a hash of the picture's, which may say something of the person."""
    return hashlib.blake2b(image.encode(), digest_size=6).hexdigest()
