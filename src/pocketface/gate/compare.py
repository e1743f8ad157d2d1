"""Applying the rules: what changed between two tables of answers, and which stage is to be looked at.

for finding in compare(was, now, fixed):
    finding.ok, str(finding)
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from pocketface.gate.answers import KEY
from pocketface.gate.baseline import Baseline, Facts, Rules
from pocketface.metrics.confidence import mcnemar
from pocketface.metrics.naming import loss, quantity_of
from pocketface.results.table import FLOAT32

Stage = Literal[
    "crop_faces", "select_faces", "fetch_weights", "train", "export", "convert", "evaluate", "benchmark"
]
FACES = ["dataset", "face"]
STEPS = np.array([1.0, 1.0, 1.0, 0.4, 0.4, 1.0, 1.0])
"""How far each number of `pocketface.gate.answers.looks` may move by rounding."""
LOOKS = (
    *("first channel", "second channel", "last channel", "centre from left", "centre from top"),
    *("contrast", "sharpness"),
)
HALF = 0.5
"""Units by which a number moves before it counts as another answer."""
LEAST = 30
"""Faces of a group that is judged."""
ERROR = 0.01
"""Of each test: a gate runs often."""


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        stage: what to look at where it is not ok.
        where: a dataset, `MODEL` or `MODEL/LEVEL`.
        rule: its name.
        ok: whether it is allowed.
        text: what was found and what is allowed.
    """

    stage: Stage
    where: str
    rule: str
    ok: bool
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def compare(was: Baseline, now: Baseline, fixed: frozenset[str]) -> Iterator[Finding]:
    """All findings, those of the faces first.

    Args:
        was, now: the baseline, and what was measured; the rules are the baseline's.
        fixed: models whose weights are published or fetched, and the same on every machine.
    """
    rules = was.rules
    yield from _variants(was, now)
    pairs = was.answers.merge(now.answers, on=list(KEY), suffixes=("_was", "_is"))
    pairs["same"] = _same(pairs)
    for model in now.answers["model"].unique():
        then, here, both = (f[f["model"] == model] for f in (was.answers, now.answers, pairs))
        yield from _faces(model, then, here, both, rules)
    for name in was.variants.keys() & now.variants.keys():
        model, _, level = name.partition("/")
        own = pairs[(pairs["model"] == model) & (pairs["level"] == level) & pairs["same"]]
        stage = _stage(was, now, name, model in fixed)
        if len(own):
            yield from _file(name, was.variants[name], now.variants[name], rules)
            yield from _moved(name, own, rules, stage) if model in fixed else ()
            if level != FLOAT32:
                yield from _agreement(name, own, pairs, rules, stage)
            yield from _metrics(name, own, rules, stage, model in fixed)
    yield from _limits(now, rules)


def compare_tables(was: pd.DataFrame, now: pd.DataFrame, rules: Rules) -> Iterator[Finding]:
    """The findings of two tables alone: faces, labels, moved answers, metrics."""
    pairs = was.merge(now, on=list(KEY), suffixes=("_was", "_is"))
    pairs["same"] = _same(pairs)
    yield from _faces("answers", was, now, pairs, rules)
    for (model, level), own in pairs[pairs["same"]].groupby(["model", "level"]):
        name = "/".join(str(part) for part in (model, level) if part) or "answers"
        yield from _moved(name, own, rules, "evaluate")
        yield from _metrics(name, own, rules, "evaluate", fixed=True)


def _same(pairs: pd.DataFrame) -> pd.Series:
    """Whether a pair's face looks the same: equal pixels, or no number of its look moved further than
    rounding does.
    """
    unknown = pairs["pixels_was"].isna() | pairs["pixels_is"].isna()
    equal = (pairs["pixels_was"] == pairs["pixels_is"]) | unknown
    same = equal.to_numpy(bool, copy=True)
    for row in np.flatnonzero(~same):
        was, is_ = pairs["look_was"].iloc[row], pairs["look_is"].iloc[row]
        if was is not None and is_ is not None:
            same[row] = (np.abs(np.subtract(was, is_)) <= STEPS).all()
    return pd.Series(same, pairs.index)


def _variants(was: Baseline, now: Baseline) -> Iterator[Finding]:
    """A variant that came, went, failed or recovered."""
    for name in dict.fromkeys([*was.variants, *now.variants]):
        then, here = was.variants.get(name), now.variants.get(name)
        stage: Stage = "export" if name.endswith(f"/{FLOAT32}") else "convert"
        if then is None or here is None:
            yield Finding(stage, name, "variant", False, "is new" if then is None else "is gone")
        elif (then.status == "ok") != (here.status == "ok"):
            unavailable = any(one.status.startswith("unavailable") for one in (then, here))
            told = f"was {then.status}, is {here.status}"
            yield Finding("fetch_weights" if unavailable else stage, name, "variant", unavailable, told)


def _faces(
    model: str, was: pd.DataFrame, now: pd.DataFrame, pairs: pd.DataFrame, rules: Rules
) -> Iterator[Finding]:
    """Faces that appeared, vanished, look otherwise, are doubles or have other labels, a dataset at a
    time.
    """
    for dataset in dict.fromkeys([*was["dataset"], *now["dataset"]]):
        where = f"{model} on {dataset}" if dataset else model
        then, here, both = (f[f["dataset"] == dataset].drop_duplicates("face") for f in (was, now, pairs))
        gone, new = set(then["face"]) - set(here["face"]), set(here["face"]) - set(then["face"])
        most = rules.faces * max(len(then), 1)
        told = f"{len(gone)} of {len(then)} faces vanished, {len(new)} appeared; {most:.0f} may"
        yield Finding("crop_faces", where, "faces", max(len(gone), len(new)) <= most, told)
        changed = both[~both["same"]]
        yield Finding(*_changed_look(changed, where), len(changed) <= most, _told(changed, len(both), most))
        doubles = [int(f["pixels"].dropna().duplicated().sum()) for f in (then, here)]
        told = f"{doubles[1]} faces are the same picture as another, {doubles[0]} were"
        yield Finding("select_faces", where, "doubles", doubles[1] <= doubles[0] + most, told)
        labels = pairs[(pairs["dataset"] == dataset)]
        other = labels["truth_was"].fillna("") != labels["truth_is"].fillna("")
        faces = labels[other]["face"].nunique()
        told = f"{faces} of {len(both)} faces have other labels"
        yield Finding("crop_faces", where, "labels", faces == 0, told)


def _changed_look(changed: pd.DataFrame, where: str) -> tuple[Stage, str, str]:
    """Whether the crop moved or what the model sees of it."""
    boxed = changed[changed["box_was"].notna() & changed["box_is"].notna()]
    moved = [list(a) != list(b) for a, b in zip(boxed["box_was"], boxed["box_is"], strict=True)]
    return ("crop_faces" if any(moved) else "select_faces"), where, "pixels"


def _told(changed: pd.DataFrame, faces: int, most: float) -> str:
    """How many faces look otherwise, and in what."""
    text = f"{len(changed)} of {faces} faces look otherwise; {most:.0f} may"
    known = changed[changed["look_was"].notna() & changed["look_is"].notna()]
    if not len(known):
        return text
    was, is_ = np.stack(known["look_was"].to_list()), np.stack(known["look_is"].to_list())
    shift = np.median(is_ - was, axis=0)
    order = np.argsort(-np.abs(shift) / STEPS)
    words = [f"{LOOKS[i]} {shift[i]:+.1f}" for i in order[:2] if abs(shift[i]) > STEPS[i] / 2]
    swapped = np.abs(was[:, [2, 1, 0]] - is_[:, :3]).mean() < np.abs(was[:, :3] - is_[:, :3]).mean() / 4
    boxes = known[known["box_was"].notna() & known["box_is"].notna()]
    apart = [np.abs(np.subtract(a, b)).mean() for a, b in zip(boxes["box_was"], boxes["box_is"], strict=True)]
    words += ["first and last channel are swapped"] if swapped else []
    words += [f"boxes moved by {np.median(apart):.1f} px"] if apart and np.median(apart) > 0 else []
    return f"{text} (median: {', '.join(words)})" if words else text


def _stage(was: Baseline, now: Baseline, name: str, fixed: bool) -> Stage:
    """What to look at when a variant's answers moved on faces that did not."""
    model = name.partition("/")[0]
    float32 = f"{model}/{FLOAT32}"
    then, here = (one.variants.get(float32) for one in (was, now))
    if then and here and then.sha256 != here.sha256:
        return "fetch_weights" if fixed else "train"
    return "convert" if was.variants[name].sha256 != now.variants[name].sha256 else "evaluate"


def _file(name: str, was: Facts, now: Facts, rules: Rules) -> Iterator[Finding]:
    if was.size_bytes and now.size_bytes:
        share = now.size_bytes / was.size_bytes - 1
        told = f"{now.size_bytes:,} bytes, were {was.size_bytes:,} ({share:+.1%}); ±{rules.size:.0%} may be"
        yield Finding("convert", name, "size", abs(share) <= rules.size, told)
    for rule, then, here in (
        ("operators", was.operators, now.operators),
        ("dtypes", was.weight_dtypes, now.weight_dtypes),
        ("oldest runtime", was.min_runtime, now.min_runtime),
        ("calibration", was.calibration, now.calibration),
    ):
        yield Finding("convert", name, rule, then == here, f"{rule}: was {then}, is {here}")
    if rules.latency is not None and was.latency_ratio and now.latency_ratio:
        told = f"takes {now.latency_ratio:.2f} of float32's time, took {was.latency_ratio:.2f}"
        fine = now.latency_ratio <= was.latency_ratio * (1 + rules.latency)
        yield Finding("benchmark", name, "latency", fine, f"{told}; {rules.latency:.0%} more may be")


def _numbers(own: pd.DataFrame) -> bool:
    """Whether a head's answers are numbers."""
    return bool(own["answer_is"].map(lambda text: bool(re.fullmatch(r"-?\d+(\.\d+)?", text))).all())


def _other(one: pd.Series, two: pd.Series, numbers: bool) -> np.ndarray:
    """Which answers are not the same."""
    if numbers:
        return np.asarray((one.astype(float) - two.astype(float)).abs() > HALF)
    return np.asarray(one != two)


def _moved(name: str, own: pd.DataFrame, rules: Rules, stage: Stage) -> Iterator[Finding]:
    """Weights that do not train answer the same faces alike."""
    for head, answers in own.groupby("head"):
        moved = _other(answers["answer_was"], answers["answer_is"], _numbers(answers))
        most = max(rules.moved * len(answers), 1)
        told = f"{moved.sum()} of {len(answers)} answers to {head} moved ({moved.mean():.1%}); {most:.0f} may"
        yield Finding(stage, name, f"moved {head}", moved.sum() <= most, told)


def _agreement(
    name: str, own: pd.DataFrame, pairs: pd.DataFrame, rules: Rules, stage: Stage
) -> Iterator[Finding]:
    """A level answers as its float32 as often as it did."""
    model = name.partition("/")[0]
    float32 = pairs[(pairs["model"] == model) & (pairs["level"] == FLOAT32)]
    both = own.merge(float32, on=["dataset", "face", "head"], suffixes=("", "_float32"))
    for head, faces in both.groupby("head"):
        numbers = _numbers(faces)
        then, now = (
            1 - _other(faces[f"answer_{when}"], faces[f"answer_{when}_float32"], numbers).mean()
            for when in ("was", "is")
        )
        n = len(faces)
        spread = np.sqrt((then * (1 - then) + now * (1 - now) + 0.5 / n) / n)
        least = then - rules.agreement - norm.isf(ERROR) * spread
        told = f"{head} as float32 on {now:.1%} of {n} faces, was {then:.1%}; at least {least:.1%} are wanted"
        moved_alone: Stage = "convert" if stage == "train" else stage
        yield Finding(moved_alone, name, f"agreement {head}", now >= least, told)


def _metrics(name: str, own: pd.DataFrame, rules: Rules, stage: Stage, fixed: bool) -> Iterator[Finding]:
    """The mean error or the accuracy on the same faces, per dataset: a loss beyond chance and margin."""
    for (dataset, head), faces in own.dropna(subset=["truth_was"]).groupby(["dataset", "head"]):
        numbers = _numbers(faces)
        metric = f"{head}_{'mae' if numbers else 'accuracy'}"
        truth, errors = faces["truth_was"], []
        for when in ("was", "is"):
            answer = faces[f"answer_{when}"]
            off = answer.astype(float) - truth.astype(float) if numbers else answer != truth
            errors.append(np.abs(off.to_numpy(float)))
        lost = errors[1] - errors[0]
        margin = quantity_of(metric).margin(rules.margins)
        low = _lower(lost, errors)
        label = f"{dataset} {metric}".strip()
        values = [one.mean() if numbers else 1 - one.mean() for one in errors]
        told = f"{label} {values[1]:.4g}, was {values[0]:.4g} on {len(faces)} faces"
        if fixed:
            yield Finding(stage, name, label, low <= margin, f"{told}; a loss of {margin:g} is none")
            continue
        most = getattr(rules.retrained, quantity_of(metric).unit, margin) + 2 * sum(map(_standard, errors))
        told = f"{told}; a training may lose {most:.3g}"
        yield Finding(stage, name, label, lost.mean() <= most, told)


def _lower(lost: np.ndarray, errors: Sequence[np.ndarray]) -> float:
    """The least loss that the faces allow: 0 where a paired test at `ERROR` cannot tell it from none."""
    classes = set(np.unique(np.concatenate(errors))) <= {0.0, 1.0}
    if classes and mcnemar(errors[0] == 0, errors[1] == 0) >= 2 * ERROR:
        return 0.0
    return float(lost.mean() - norm.isf(ERROR) * _standard(lost))


def _standard(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("inf")


def _limits(now: Baseline, rules: Rules) -> Iterator[Finding]:
    """Floors, ceilings, and that a model is better than the best constant answer."""
    if now.results is None:
        return
    for row in now.results.rows:
        if row.grouping or row.value is None or not row.dataset:
            continue
        name, names = f"{row.model}/{row.level}", (row.name, f"{row.level}/{row.name}")
        for bounds, word in ((rules.floors, "at least"), (rules.ceilings, "at most")):
            for bound in (bounds[key] for key in names if key in bounds):
                fine = row.value >= bound if word == "at least" else row.value <= bound
                told = f"{row.name} {row.value:.4g}; {word} {bound:g} is asked"
                yield Finding("train", name, f"{row.name} {word}", fine, told)
        if row.main and row.constant is not None and row.level == FLOAT32:
            told = f"{row.name} {row.value:.4g}; the best constant answer has {row.constant:.4g}"
            yield Finding(
                "train", name, "constant baseline", loss(row.name, row.value, row.constant) < 0, told
            )
