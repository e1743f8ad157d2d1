"""Applying the rules: what changed between two tables of answers, and which stage is to be looked at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from pocketface.evaluation.looks import NAMES, shift
from pocketface.gate import answers
from pocketface.gate.baseline import Amount, Baseline, Facts, Rules
from pocketface.metrics.confidence import FLIPS, Sample, Z, middle, paired, sampled
from pocketface.metrics.measures import of_errors
from pocketface.metrics.naming import loss, quantity_of
from pocketface.metrics.settings import Margins
from pocketface.results.table import FLOAT32

Stage = Literal[
    "fetch_data",
    "crop_faces",
    "select_faces",
    "fetch_weights",
    "train",
    "export",
    "convert",
    "evaluate",
    "benchmark",
]
STEP = 0.5
"""How far a number of a look may move by rounding, in grey levels."""
UNIT, HALF = 1.0, 0.5
"""By which a number moves before it counts as another answer: int8 kernels differ by a step, 0.6 years; the
share of faces that a cause must explain."""
LEAST = 30
"""Faces of a group that is judged."""
ERROR = 0.01
"""Of each test: a gate runs often."""
RETRAINED = 4
"""How much further from float32 a level of another training may be: another network costs something else."""
BY_CHANCE = ("search", "finetuning")
"""Makers of levels that are another search or training where they are made again."""


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


def compare(was: Baseline, now: Baseline, fetched: frozenset[str]) -> Iterator[Finding]:
    """All findings, those of the faces first.

    Args:
        was, now: the baseline, and what was measured; the rules are the baseline's.
        fetched: models whose weights are published or fetched, and the same on every machine.

    Raises:
        Incomparable: they are about other faces or classes.
    """
    rules = was.rules
    known = {label for facts in was.variants.values() for labels in facts.heads.values() for label in labels}
    all_facts = (*was.variants.values(), *now.variants.values())
    worded = {head for facts in all_facts for head, labels in facts.heads.items() if labels}
    pairs = answers.paired(was.answers, now.answers, known, worded)
    pairs["same"] = _same(pairs)
    yield from _variants(was, now)
    for model in dict.fromkeys(now.answers["model"][now.answers["model"].isin(was.answers["model"])]):
        then, here, both = (t[t["model"] == model] for t in (was.answers, now.answers, pairs))
        yield from _faces(model, then, here, both, rules)
    changed = set(pairs["model"][pairs["pixels_was"] != pairs["pixels_is"]])
    alike = dict(tuple(pairs[pairs["same"]].groupby(["model", "level"])))
    causes: dict[str, Stage] = {}
    for name in sorted(was.variants, key=lambda name: not name.endswith(f"/{FLOAT32}")):
        before, here, (model, _, level) = was.variants[name], now.variants.get(name), name.partition("/")
        if here is None or not before.status == here.status == "ok":
            continue
        exact = before.weights == here.weights and model not in changed
        yield from _file(name, before, here, rules, "fetch_weights" if model in fetched else "train", exact)
        own = alike.get((model, level))
        if own is None:
            continue
        if level == FLOAT32:
            stage = _origin(before, here, model in fetched)
            moved = [*_moved(name, own, rules, stage)]
            if not all(finding.ok for finding in moved):
                causes[model] = stage
        else:
            stage = causes.get(model) or ("convert" if before.sha256 != here.sha256 else "evaluate")
            moved = [*_moved(name, own, rules, stage)]
            if (model, FLOAT32) in alike:
                made: Stage = "convert" if stage == "train" else stage
                most = rules.agreement.times(1 if before.weights == here.weights else RETRAINED)
                yield from _agreement(name, own, alike[model, FLOAT32], most, made)
        if stage != "train" and not (stage == "convert" and here.made.get("maker") in BY_CHANCE):
            yield from moved
        yield from _metrics(name, own, rules, stage)
    yield from limits(now, fetched, causes)


def compare_tables(was: pd.DataFrame, now: pd.DataFrame, rules: Rules) -> Iterator[Finding]:
    """The findings of two tables alone: faces, labels, moved answers, metrics; raises as `compare`."""
    pairs = answers.paired(was, now)
    pairs["same"] = _same(pairs)
    yield from _faces("answers", was, now, pairs, rules)
    for (model, level), own in pairs[pairs["same"]].groupby(["model", "level"]):
        name = "/".join(str(part) for part in (model, level) if part) or "answers"
        yield from _moved(name, own, rules, "evaluate")
        yield from _metrics(name, own, rules, "evaluate")


def _same(pairs: pd.DataFrame) -> np.ndarray:
    """Whether a pair's face looks the same: equal pixels, or no number of its look moved further than
    rounding does.
    """
    unknown = pairs["pixels_was"].isna() | pairs["pixels_is"].isna()
    same = ((pairs["pixels_was"] == pairs["pixels_is"]) | unknown).to_numpy(bool, copy=True)
    looked = np.flatnonzero(~same & pairs["look_was"].notna() & pairs["look_is"].notna())
    if len(looked):
        was, now = (np.stack([*pairs[f"look_{when}"].iloc[looked]]) for when in ("was", "is"))
        same[looked] = (np.abs(was - now) <= STEP).all(axis=1)
    return same


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
        then, here, both = (t[t["dataset"] == dataset] for t in (was, now, pairs))
        labels = both.loc[both["truth_was"].fillna("") != both["truth_is"].fillna(""), "face"].nunique()
        then, here, both = (t.drop_duplicates("face") for t in (then, here, both))
        gone, new = (len(set(a["face"]) - set(b["face"])) for a, b in ((then, here), (here, then)))
        most = _most(rules.faces, len(then))
        told = f"{gone} of {len(then)} faces vanished, {new} appeared; allowed: {most}"
        yield Finding("crop_faces", where, "faces", max(gone, new) <= most, told)
        changed = both[~both["same"]]
        told = f"{len(changed)} of {len(both)} faces look otherwise; allowed: {most}{_how(changed)}"
        yield Finding(_seen_by(changed), where, "pixels", len(changed) <= most, told)
        doubles = [int(t["pixels"].dropna().duplicated().sum()) for t in (then, here)]
        told = f"{doubles[1]} faces are the same picture as another, {doubles[0]} were"
        yield Finding("select_faces", where, "doubles", doubles[1] <= doubles[0] + most, told)
        told = f"{labels} of {len(both)} faces have other labels"
        yield Finding("crop_faces", where, "labels", labels == 0, told)


def _most(share: float, count: int) -> int:
    """How many of a count may be otherwise: a share of them, and always one."""
    return max(int(share * count), 1)


def _seen_by(changed: pd.DataFrame) -> Stage:
    """The first of picture, stored crop and view that is another for most of some faces."""
    steps: tuple[tuple[str, Stage], ...] = (("source", "fetch_data"), ("crop", "crop_faces"))
    for column, stage in steps:
        was, now = changed[f"{column}_was"], changed[f"{column}_is"]
        if len(changed) and (was.notna() & now.notna() & (was != now)).mean() > HALF:
            return stage
    return "select_faces"


def _how(changed: pd.DataFrame) -> str:
    """In what faces look otherwise, as far as their looks tell."""
    known = changed[changed["look_was"].notna() & changed["look_is"].notna()]
    if not len(known):
        return ""
    was, now = (np.stack([*known[f"look_{when}"]]) for when in ("was", "is"))
    moved = np.median(now - was, axis=0)[:5]
    most = np.argsort(-np.abs(moved))[:2]
    words = [f"{NAMES[i]} {moved[i]:+.1f}" for i in most if abs(moved[i]) > STEP]
    right, down = (round(100 * part, 1) + 0.0 for part in shift(was, now))
    if max(abs(right), abs(down)) >= 0.5:
        words.append(f"shifted by {right:+.1f}% of its side to the right, {down:+.1f}% down")
    if np.abs(was[:, [2, 1, 0]] - now[:, :3]).mean() < np.abs(was[:, :3] - now[:, :3]).mean() / 4:
        words.append("first and last channel are swapped")
    boxes = known[known["box_was"].notna() & known["box_is"].notna()]
    apart = [np.abs(np.subtract(a, b)).mean() for a, b in zip(boxes["box_was"], boxes["box_is"], strict=True)]
    if apart and np.median(apart) > 0:
        words.append(f"boxes moved by {np.median(apart):.1f} px")
    return f" (median: {', '.join(words)})" if words else ""


def _origin(was: Facts, now: Facts, fetched: bool) -> Stage:
    """What to look at when a float32 file's answers moved on faces that did not."""
    if was.sha256 == now.sha256:
        return "evaluate"
    if was.weights is not None and was.weights == now.weights:
        return "export"
    return "fetch_weights" if fetched else "train"


def _file(name: str, was: Facts, now: Facts, rules: Rules, trained: Stage, exact: bool) -> Iterator[Finding]:
    """The facts of two files, and the classes, which come with the weights of stage `trained`.

    Without `exact`, weights or faces are another processor's: then faces to calibrate on are counted alone,
    and what a search or a training makes of a file is not compared.
    """
    by_chance = not exact and now.made.get("maker") in BY_CHANCE
    if was.size_bytes and now.size_bytes and not by_chance:
        share = now.size_bytes / was.size_bytes - 1
        told = f"{now.size_bytes:,} bytes, were {was.size_bytes:,} ({share:+.1%}); allowed: ±{rules.size:.0%}"
        yield Finding("convert", name, "size", abs(share) <= rules.size, told)
    then, here = (_made(facts, exact, by_chance) for facts in (was, now))
    for rule in dict.fromkeys([*then, *here]):
        told = f"{rule}: was {then.get(rule)}, is {here.get(rule)}"
        yield Finding("convert", name, rule, then.get(rule) == here.get(rule), told)
    for head in dict.fromkeys([*was.heads, *now.heads]):
        before, after = was.heads.get(head), now.heads.get(head)
        told = f"classes of {head}: were {before}, are {after}"
        yield Finding(trained, name, f"classes {head}", before == after, told)
    if rules.latency is not None and not name.endswith(f"/{FLOAT32}"):
        was_ratio, ratio = was.latency_ratio, now.latency_ratio
        told = f"takes {ratio} of float32's time, took {was_ratio}; allowed: {rules.latency:.0%} more"
        fine = was_ratio is not None and ratio is not None and ratio <= was_ratio * (1 + rules.latency)
        yield Finding("benchmark", name, "latency", fine, told)


def _made(facts: Facts, exact: bool, by_chance: bool) -> dict[str, object]:
    made: dict[str, object] = dict(facts.made)
    if not exact and "calibration" in made:
        made["calibration"] = str(made["calibration"]).partition(",")[0]
    held = {"operators": facts.operators, "dtypes": facts.weight_dtypes, "oldest runtime": facts.min_runtime}
    return made if by_chance else held | made


def _moved(name: str, own: pd.DataFrame, rules: Rules, stage: Stage) -> Iterator[Finding]:
    """Weights that are the same answer the same faces alike."""
    apart = (own["number_was"] - own["number_is"]).abs()
    other = (apart > UNIT).where(own["number"], own["answer_was"] != own["answer_is"])
    drift = apart.where(own["number"], (own["probability_was"] - own["probability_is"]).abs())
    for head, index in own.groupby("head").groups.items():
        moved, number = other[index], bool(own.loc[index, "number"].all())
        most = _most(rules.moved, len(moved))
        told = f"{moved.sum()} of {len(moved)} answers to {head} moved ({moved.mean():.1%}); allowed: {most}"
        yield Finding(stage, name, f"moved {head}", moved.sum() <= most, told)
        mean, limit = drift[index].mean(), rules.drift.years if number else rules.drift.share
        if not np.isnan(mean):
            what = head if number else f"the probability of {head}"
            told = f"{what} moved by {mean:.3g} on the mean of {len(moved)} faces; allowed: {limit:g}"
            yield Finding(stage, name, f"drift {head}", mean <= limit, told)


def _agreement(
    name: str, own: pd.DataFrame, float32: pd.DataFrame, allowed: Amount, stage: Stage
) -> Iterator[Finding]:
    """A level is no further from its float32 than it was."""
    key, said = ["dataset", "face", "head"], ["number_was", "number_is", "answer_was", "answer_is"]
    both = own[[*key, "number", *said]].merge(float32[[*key, *said]], on=key, suffixes=("", "_32"))
    for when in ("was", "is"):
        apart = (both[f"number_{when}"] - both[f"number_{when}_32"]).abs()
        other = (both[f"answer_{when}"] != both[f"answer_{when}_32"]).astype(float)
        both[f"error_{when}"] = apart.where(both["number"], other)
    for head, faces in both.groupby("head"):
        metric, number = _metric(faces), bool(faces["number"].all())
        was, now = _values(faces)
        limit = allowed.years if number else allowed.share
        told = (
            f"{head} {now:.3g} from float32's, was {was:.3g}"
            if number
            else f"{head} as float32 on {now:.1%}, was {was:.1%}"
        )
        told += f", on {len(faces)} faces; allowed: {f'{limit:g} more' if number else f'{limit:.0%} less'}"
        ok = loss(metric, now, was) <= limit or _judged(faces, limit)[0]
        yield Finding(stage, name, f"agreement {head}", ok, told)


def _metrics(name: str, own: pd.DataFrame, rules: Rules, stage: Stage) -> Iterator[Finding]:
    """The mean error or the accuracy on the same faces, per dataset, and of the group that lost most."""
    trained = stage == "train"
    used = own[["dataset", "head", "number", "groups_was", "error_was", "error_is"]]
    for (dataset, _), faces in used.dropna(subset=["error_was", "error_is"]).groupby(["dataset", "head"]):
        metric = _metric(faces)
        label = f"{dataset} {metric}".strip()
        bound = getattr(rules.retrained if trained else rules.margins, quantity_of(metric).unit)
        ok, told = _lost(label, faces, bound, rules, trained)
        yield Finding(stage, name, label, ok, told)
        names = faces["groups_was"].fillna("").str.split("; ", regex=False)
        groups = faces.assign(group=names).explode("group")
        judged = {str(g): own for g, own in groups.groupby("group") if g and LEAST <= len(own) < len(faces)}
        if judged:
            worst = max(judged, key=lambda group: _beyond_chance(judged[group], bound))
            ok, first = _lost(f"{label} ({worst})", judged[worst], bound, rules, trained, len(judged))
            yield Finding(stage, name, f"{label} of groups", ok, f"{first}; all: {told.split(';')[0]}")


def _metric(faces: pd.DataFrame) -> str:
    return f"{faces['head'].iloc[0]}_{'mae' if faces['number'].all() else 'accuracy'}"


def _values(faces: pd.DataFrame) -> tuple[float, float]:
    was, now = (float(faces[f"error_{when}"].mean()) for when in ("was", "is"))
    return (was, now) if faces["number"].all() else (1 - was, 1 - now)


def _beyond_chance(faces: pd.DataFrame, bound: float) -> float:
    """How far faces lost more than a bound, against what they lose and gain by chance."""
    lost = faces["error_is"] - faces["error_was"] - bound
    return float(lost.sum() / (np.linalg.norm(lost) or 1))


def _lost(
    label: str, faces: pd.DataFrame, bound: float, rules: Rules, trained: bool, tests: int = 1
) -> tuple[bool, str]:
    """Whether the loss of a metric is allowed, by one of so many tests, and both in words."""
    metric, (was, now) = _metric(faces), _values(faces)
    told, lost = f"{label} {now:.4g}, was {was:.4g} on {len(faces)} faces", loss(metric, now, was)
    if lost <= bound:
        return True, told
    if trained:
        reach = np.linalg.norm([np.ptp(one.interval(metric)) / 2 for one in _samples(faces)])
        allowed = bound - special.ndtri(ERROR / tests) / Z * float(reach)
        return lost <= allowed, f"{told}; allowed in another training: {allowed:.3g}"
    ok, verdict = _judged(faces, bound, rules.margins, tests)
    return ok, f"{told}: {verdict}; allowed: {bound:g}"


def _judged(
    faces: pd.DataFrame, most: float, margins: Margins | None = None, tests: int = 1
) -> tuple[bool, str]:
    """Whether a loss is chance, by one of so many tests, or may be no more than `most`; and its verdict."""
    metric, (was, now) = _metric(faces), _samples(faces)
    change = paired(now, was, margins, FLIPS + 100 * tests)[metric]
    least = min(loss(metric, end) for end in middle(now.draws[metric] - was.draws[metric], 1 - 2 * ERROR))
    return least <= most or change.p >= 2 * ERROR / tests, change.verdict


def _samples(faces: pd.DataFrame) -> list[Sample]:
    errors = (faces[f"error_{when}"].to_numpy(float) for when in ("was", "is"))
    return [sampled([of_errors(_metric(faces), one)], len(faces)) for one in errors]


def limits(now: Baseline, fetched: frozenset[str], causes: dict[str, Stage]) -> Iterator[Finding]:
    """Floors, ceilings, and that a model that trains is better than the best constant answer.

    `causes`: model -> the stage that its answers moved in.
    """
    rules = now.rules
    asked = {*rules.floors, *rules.ceilings}
    for row in now.results.rows if now.results else ():
        if row.grouping or row.value is None:
            continue
        stage, variant = causes.get(row.model, "train"), f"{row.model}/{row.level}"
        names = (row.name, f"{row.level}/{row.name}", f"{variant}/{row.name}")
        asked -= {*names}
        for bounds, word in ((rules.floors, "at least"), (rules.ceilings, "at most")):
            for bound in (bounds[key] for key in names if key in bounds):
                fine = row.value >= bound if word == "at least" else row.value <= bound
                told = f"{row.name} {row.value:.4g}; {word} {bound:g} is asked"
                yield Finding(stage, variant, f"{row.name} {word}", fine, told)
        if row.main and row.constant is not None and row.level == FLOAT32 and row.model not in fetched:
            told = f"{row.name} {row.value:.4g}; the best constant answer has {row.constant:.4g}"
            ok = loss(row.name, row.value, row.constant) < 0
            yield Finding(stage, variant, "constant baseline", ok, told)
    for name in sorted(asked):
        yield Finding("evaluate", "rules", f"{name} limit", False, f"{name} has a limit and is not measured")
