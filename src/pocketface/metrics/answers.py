"""From a model's raw outputs to answers: years, labels, probabilities."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import Output

if TYPE_CHECKING:
    import pandas as pd

AGE_RANGE = (0.0, 120.0)
"""Years. An answer outside is set to the nearer end."""


def decode(outputs: Mapping[str, np.ndarray], meanings: Mapping[str, Output]) -> "pd.DataFrame":
    """What a model answers, one row a face, as `columns` gives it."""
    import pandas as pd  # half of the time that `predict` takes to start

    return pd.DataFrame(columns(outputs, meanings))


def columns(outputs: Mapping[str, np.ndarray], meanings: Mapping[str, Output]) -> dict[str, np.ndarray]:
    """What a model answers: column -> `[N]`.

    Args:
        outputs: head -> float32 `[N, K]`, as `Runner` gives them.
        meanings: head -> meaning, as in the model's card.

    Returns:
        A number's head gives a column `HEAD_pred` (`age_pred` in years, 0 to 120). A head of classes
        gives `HEAD_pred`, the most probable label, and `HEAD_prob_LABEL` for each of its labels.

    Raises:
        PocketfaceError: the heads or their widths are not those of the meanings, or an output is not a
            finite number.
    """
    if set(outputs) != set(meanings):
        raise PocketfaceError(f"the file answers {sorted(outputs)}, its card says {sorted(meanings)}")
    answers: dict[str, np.ndarray] = {}
    for head, meaning in meanings.items():
        answers |= _decode_one(head, outputs[head], meaning)
    return answers


def answerable(heads: Iterable[str]) -> list[str]:
    """The label columns that a model with these heads can be measured on."""
    labels = []
    for head in heads:
        labels += ["age", "age_group", "age_band"] if head == "age" else [head]
    return labels


def varies(outputs: Mapping[str, np.ndarray]) -> bool:
    """Whether every head answers at least two of the faces differently; one face alone proves nothing."""
    return all(len(output) < 2 or bool((output != output[0]).any()) for output in outputs.values())


def _decode_one(head: str, output: np.ndarray, meaning: Output) -> dict[str, np.ndarray]:
    width = max(len(meaning.labels), 1)
    if output.shape[1:] != (width,):
        raise PocketfaceError(f"head {head} has {output.shape[1:]} outputs, its card says {width}")
    if not np.isfinite(output).all():
        raise PocketfaceError(f"head {head} answers something that is not a finite number")
    if meaning.kind == "number":
        number = output[:, 0]
        return {f"{head}_pred": np.clip(number, *AGE_RANGE) if head == "age" else number}
    best = np.array(meaning.labels, dtype=object)[output.argmax(axis=1)]
    return {f"{head}_pred": best} | {
        f"{head}_prob_{label}": output[:, i] for i, label in enumerate(meaning.labels)
    }
