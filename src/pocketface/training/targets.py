"""Labels as training targets, with a weight of zero where a label is missing."""

import numpy as np
import pandas as pd

from pocketface.errors import PocketfaceError
from pocketface.labels import CELEBA_ATTRIBUTES, NO_YES, TRAINING_OUTPUTS
from pocketface.models.heads import meaning


def targets(rows: pd.DataFrame, heads: list[str], dataset: str) -> tuple[dict, dict]:
    """What the heads should answer for `rows` of a face index.

    Args:
        rows: N rows with label columns.
        heads: the model's heads, and its training-only outputs, which take their head's labels.
        dataset: its name, for the message.

    Returns:
        `(y, weight)`: head -> float32 `[N, 1]` (a number) or one-hot `[N, classes]`; head -> float32
        `[N]`, 1 where labelled and 0 where not.

    Raises:
        PocketfaceError: a head has no label at all in these rows.
    """
    y, weight = {}, {}
    for output in heads:
        head = TRAINING_OUTPUTS.get(output, output)
        if head not in rows or rows[head].isna().all():
            raise PocketfaceError(
                f"dataset {dataset} has no label {head!r}, which a head needs; "
                f"take the head out of the model or choose another dataset in params.yaml"
            )
        known = rows[head].notna().to_numpy()
        weight[output] = known.astype(np.float32)
        y[output] = _target(rows[head], head)
    return y, weight


def balance(y: np.ndarray, weight: np.ndarray, head: str) -> np.ndarray:
    """Weights `[N]` under which the classes of a head count the same, and all faces together as before.

    Args:
        y: one-hot `[N, classes]`.
        weight: `[N]`, 0 where the label is missing.
        head: its name, for the message.

    Raises:
        PocketfaceError: the head answers a number.
    """
    if meaning(head).kind == "number":
        raise PocketfaceError(f"training.balanced: {head} is a number, it has no classes to balance")
    counts = weight @ y
    present = counts > 0
    shares = np.divide(weight.sum(), present.sum() * counts, out=np.zeros_like(counts), where=present)
    return (weight * (y @ shares)).astype(np.float32)


def _target(column: pd.Series, head: str) -> np.ndarray:
    output = meaning(head)
    if output.kind == "number":
        return column.fillna(0).to_numpy(np.float32)[:, None]
    if head in CELEBA_ATTRIBUTES:
        column = column.map(dict(enumerate(NO_YES)))
    codes = pd.Categorical(column, categories=output.labels).codes
    return (codes[:, None] == np.arange(len(output.labels))).astype(np.float32)
