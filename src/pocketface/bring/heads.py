"""Which output of a file answers which label, and how: asked of its outputs, or said with `--head`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.special import expit, softmax

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import NUMBERS, classes_of, words
from pocketface.layers.own import OwnHead

SPOKEN = re.compile(r"(?P<head>\w+)(=(?P<output>[^:]+(:\d+)?))?(:(?P<labels>.+))?")
OLDEST = (100.0, 116.0, 120.0)
"""Years that an age of 1 may stand for."""
STEPS, LIFE = (1, 5, 10), 100
"""Years that a class of ages may cover; the one with which all of them cover about so many is taken."""
BETTER = 0.1
"""Share of right answers by which another order of the labels must be better than the usual ones."""


@dataclass(frozen=True)
class Spoken:
    """What a person says of a head: its output and the order of its labels, or less."""

    head: str
    output: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Understood:
    """A head, and what was assumed of it, in words."""

    own: OwnHead
    assumed: str


def spoken(text: str) -> Spoken:
    """Reads `HEAD`, `HEAD=OUTPUT`, `HEAD:LABEL,LABEL...` or both.

    Raises:
        PocketfaceError: it is none of these.
    """
    found = SPOKEN.fullmatch(text)
    if found is None:
        raise PocketfaceError(
            f"--head {text}: write HEAD=OUTPUT:LABEL,LABEL..., for example gender=probs:male,female"
        )
    labels = tuple(label.strip() for label in (found["labels"] or "").split(",") if label.strip())
    return Spoken(found["head"], found["output"], labels)


def matched(outputs: Mapping[str, int], truths: pd.DataFrame, said: Iterable[Spoken]) -> dict[str, str]:
    """Head -> output, of the labels that there are.

    Raises:
        PocketfaceError: what was said names no label or output, or nothing fits.
    """
    told = {spoken.head: spoken for spoken in said}
    there = ", ".join(f"{name} ({width} values)" for name, width in outputs.items())
    for head, spoken in told.items():
        if head not in truths or spoken.output not in (None, *outputs):
            raise PocketfaceError(
                f"--head {head}: the labels are {', '.join(map(str, truths))}; "
                f"the outputs of the file {there}"
            )
    heads = [str(head) for head in truths if not told or head in told]
    found: dict[str, str] = {}
    for head in heads:
        widths = (1, words(truths[head]).nunique(), len(classes_of(head)))
        fits = [name for name, width in outputs.items() if head in NUMBERS or width in widths]
        alike = [name for name in outputs if name.lower() == head.lower()]
        named = alike[:1] or (fits if len(fits) == 1 else [])
        if output := told.get(head, Spoken(head)).output or "".join(named):
            found[head] = output
    if not found or len(set(found.values())) < len(found):
        raise PocketfaceError(
            f"which output answers which label is not clear: the labels are {', '.join(heads)}, "
            f"the outputs {there}; say it with --head HEAD=OUTPUT"
        )
    return found


def understood(head: str, output: str, values: np.ndarray, truth: pd.Series, said: Spoken) -> Understood:
    """What an output `[N, K]` means, judged by what it answered to labelled pictures.

    Raises:
        PocketfaceError: it has other numbers of values and labels.
    """
    width, shares = values.shape[1], bool((values >= -1e-4).all() and (values <= 1 + 1e-4).all())
    sums_to_one = shares and width > 1 and bool(np.abs(values.sum(axis=1) - 1).max() < 1e-2)
    if head in NUMBERS:
        return _number(head, output, values, truth.to_numpy(float), shares)
    truth = words(truth)
    logits = not (sums_to_one if width > 1 else shares)
    if said.labels and len(said.labels) != max(width, 2):
        raise PocketfaceError(
            f"--head {head}: {len(said.labels)} labels for output {output}, which has {width} values"
        )
    orders = _orders(head, truth, max(width, 2)) if not said.labels else {"as said": said.labels}
    if not orders:
        raise PocketfaceError(
            f"head {head}: output {output} has {width} values for the labels "
            f"{', '.join(sorted(set(truth.dropna())))}; name them in its order with "
            f"--head {head}={output}:LABEL,LABEL..."
        )
    answers = values.argmax(axis=1) if width > 1 else (values[:, 0] > (0 if logits else 0.5)).astype(int)
    known = truth.notna().to_numpy()
    right = {
        name: float((np.array(labels, object)[answers] == truth.to_numpy(object))[known].mean())
        for name, labels in orders.items()
    }
    best = max(right, key=lambda name: right[name])
    labels = orders[best]
    if not said.labels:
        matching = _matching(answers[known], truth[known], labels)
        share = float((np.array(matching, object)[answers[known]] == truth[known].to_numpy(object)).mean())
        if share > right[best] + BETTER:
            best, labels = "found by matching answers and labels", matching
    own = OwnHead(output=output, kind="classes" if width > 1 else "sigmoid", logits=logits, labels=labels)
    return Understood(own, f"{'logits' if logits else 'probabilities'} of {', '.join(labels)} ({best})")


def _orders(head: str, truth: pd.Series, width: int) -> dict[str, tuple[str, ...]]:
    """The usual orders of labels: ours, and that of the alphabet, in which folders of classes are read."""
    ours, there = classes_of(head), tuple(sorted(set(truth.dropna())))
    usual = {"our order, assumed": ours, "alphabetical, assumed": tuple(sorted(ours)) or there}
    return {
        name: labels for name, labels in usual.items() if len(labels) == width and set(there) <= set(labels)
    }


def _matching(answers: np.ndarray, truth: pd.Series, labels: tuple[str, ...]) -> tuple[str, ...]:
    """The order of the labels with which most answers are right."""
    counts = pd.crosstab(truth.to_numpy(object), answers).reindex(
        index=list(labels), columns=range(len(labels)), fill_value=0
    )
    rows, columns = linear_sum_assignment(-counts.to_numpy())
    place = dict(zip(columns.tolist(), rows.tolist(), strict=True))
    return tuple(labels[place[column]] for column in range(len(labels)))


def answered(own: OwnHead, head: str, values: np.ndarray) -> np.ndarray:
    """The answers in an output `[N, K]`: words, or numbers."""
    pieces = own.pieces(head, values.shape[1])
    if pieces.activation == "softmax":
        values = softmax(values, axis=1)
    elif pieces.activation == "sigmoid":
        values = expit(values)
    if pieces.kernel is not None and pieces.bias is not None:
        values = values @ pieces.kernel + pieces.bias
    return np.array(own.labels, object)[values.argmax(axis=1)] if own.of_classes else values[:, 0]


def _number(head: str, output: str, values: np.ndarray, truth: np.ndarray, shares: bool) -> Understood:
    """Of what an output of years can mean, that with the smallest error."""
    width = values.shape[1]
    sums_to_one = shares and bool(np.abs(values.sum(axis=1) - 1).max() < 1e-2)
    step = min(STEPS, key=lambda years: abs(width * years - LIFE))
    low, high = (step / 2, step * (width - 0.5)) if step > 1 else (0, width - 1)
    ways = {}
    if width == 1:
        for top in OLDEST:
            way = f"1 stands for {top:g} years, assumed"
            ways[way] = OwnHead(output=output, kind="number", range=(0, top))
        ways["years"] = OwnHead(output=output, kind="number")
    if width > 1 and (sums_to_one or not shares):
        ways[f"the mean of {width} classes from {low:g} to {high:g} years, assumed"] = OwnHead(
            output=output, kind="expected", logits=not sums_to_one, range=(low, high)
        )
    if width > 1 and not sums_to_one:
        ways[f"the sum of {width} ranks from 0 to {width * step} years, assumed"] = OwnHead(
            output=output, kind="ordinal", logits=not shares, range=(0, width * step)
        )
    known = ~np.isnan(truth)
    errors = {
        way: float(np.abs(answered(own, head, values[known]) - truth[known]).mean())
        for way, own in ways.items()
    }
    best = min(errors, key=lambda way: errors[way])
    return Understood(ways[best], best)
