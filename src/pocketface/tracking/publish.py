"""Publishing what the graph produced to MLflow.

    print(track(study).text())

One run per model, below it one per variant; a registered model per task. What decides a run's content is
hashed into a tag of it, so publishing again adds only what is new, and picks up where an earlier attempt
broke off.
"""

import hashlib
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pocketface.cards import CARD, MODEL_FILE
from pocketface.choosing.answer import lines
from pocketface.choosing.rule import Choice, choose, tasks
from pocketface.core import outs
from pocketface.core.addresses import without_secrets
from pocketface.core.files import git_revision, sha256
from pocketface.levels import LEVELS
from pocketface.report.outs import Results, Variant
from pocketface.results.table import LATENCY, LATENCY_RATIO
from pocketface.study import Study
from pocketface.tracking import contents
from pocketface.tracking.champion import crown, mark
from pocketface.tracking.folds import publish_folds
from pocketface.tracking.live import MODEL_KEY, WEIGHTS, curve_points, model_params, model_tags
from pocketface.tracking.packing import log_model
from pocketface.tracking.store import (
    PARENT_TAG,
    Store,
    address_of,
    default_store,
    failures_told,
    flat,
    open_store,
)

if TYPE_CHECKING:
    from mlflow.entities import Run

CONTENT_KEY, TIMING_KEY, PICTURES_KEY = "content_key", "timing_key", "pictures_key"
TIMED = (LATENCY, LATENCY_RATIO)
MODEL_ID = "model_id"
NOTE_TAG = "mlflow.note.content"
"""Shown as the run's description."""


@dataclass(frozen=True)
class Summary:
    """What `track` did: names of variants, `MODEL/LEVEL`.

    Attributes:
        created: published now.
        updated: published before; their timings are new.
        skipped: published before.
        champions: a task's choice each.
    """

    address: str
    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    champions: tuple[Choice, ...] = ()

    def text(self) -> str:
        """For a person: the counts, what is missing, the champions, and how to look at the runs."""
        local = self.address.startswith("sqlite")
        look = f"`mlflow ui --backend-store-uri {shlex.quote(self.address)}`" if local else self.address
        told = [
            f"track: {len(self.created)} variants published, {len(self.updated)} with new timings, "
            f"{len(self.skipped)} already there",
            *(f"track: champion of {lines(choice)[0]}" for choice in self.champions),
            f"track: compare them with {look}",
        ]
        return "\n".join(told)


def track(study: Study, root: Path = Path(), uri: str | None = None) -> Summary:
    """Publishes a study's models and variants; what is published already is left alone.

    Args:
        study: the params.
        root: the repository.
        uri: the store; without it `MLFLOW_TRACKING_URI`, or `mlflow.db` below `root`.

    Raises:
        PocketfaceError: nothing is measured yet, or the store cannot be used.
    """
    root, address = Path(root), address_of(Path(root), uri)
    results = Results.load(study, root)
    with failures_told(address), default_store(address):
        store = open_store(study, address)
        publishing = _Publishing(store, study, root, git_revision(root), results, store.runs())
        for model in study.models:
            publishing.model(model)
        champions = publishing.champions()
    done = {what: tuple(names) for what, names in publishing.done.items()}
    return Summary(without_secrets(address), **done, champions=champions)


def content_key(paths: Iterable[Path]) -> str:
    """A hash over the contents of those files that exist."""
    parts = [f"{path.name} {sha256(path)}" for path in paths if path.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass
class _Publishing:
    """One call of `track`.

    Attributes:
        runs: those that were in the store before.
        done: what happened to which variants, as in `Summary`.
        published: variant's name -> the ids of its run and of its MLflow model, which a failed one lacks.
    """

    store: Store
    study: Study
    root: Path
    revision: str | None
    results: Results
    runs: list["Run"]
    done: dict[str, list[str]] = field(default_factory=lambda: {"created": [], "updated": [], "skipped": []})
    published: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def model(self, model: str) -> None:
        """Publishes a model, its folds and its variants."""
        parent = self._model_run(model)
        publish_folds(self.store, self.runs, self.study, model, parent, self.root, self.revision)
        for variant in self.results.of(model):
            self._variant(variant, parent)

    def champions(self) -> tuple[Choice, ...]:
        """Makes the registry and the runs say which variants are the champions."""
        choices, crowned = [], dict[str, list[str]]()
        for task in tasks(self.results.table):
            choice = choose(self.results.table, task, self.study.champion)
            run, model_id = None, None
            if choice.take is not None:
                run, model_id = self.published[choice.take.name]
                crowned.setdefault(run, []).append(task)
            crown(self.store, self.study, choice, run, model_id)
            choices.append(choice)
        mark(self.store, {run: ",".join(own) for run, own in crowned.items()})
        return tuple(choices)

    def _model_run(self, model: str) -> str:
        """The id of a model's run: published before, or taken over from training, or new."""
        store, folder = self.store, self.root / outs.MODELS / model
        weights, pictures = folder / "model.weights.h5", _pictures(self.study, model, self.root)
        key = content_key([folder / CARD, weights])
        weights_key = sha256(weights) if weights.is_file() else None
        run = self._find(self.runs, MODEL_KEY, key) or self._find_live(model, weights_key)
        if run and run.data.tags.get(MODEL_KEY) == key and run.info.status == "FINISHED":
            self._refresh_pictures(run, pictures)
            return run.info.run_id
        identity = {MODEL_KEY: key, **({WEIGHTS: weights_key} if weights_key else {})}
        if run is None:
            run_id = store.create(model, model_tags(self.study, model, self.revision) | identity)
            store.log(run_id, params=model_params(self.study, model))
        else:
            run_id = run.info.run_id
        _log_history(store, run_id, folder / "history.csv")
        store.inputs(run_id, contents.training_inputs(self.study, model, self.root))
        store.files(run_id, [folder / CARD, folder / "history.csv"])
        store.files(run_id, pictures, "plots")
        store.log(run_id, tags=identity | {PICTURES_KEY: content_key(pictures)})
        store.client.set_terminated(run_id)
        return run_id

    def _find(self, runs: list["Run"], tag: str, key: str) -> "Run | None":
        """The run with this key, a complete one if there is; doubles of a broken attempt are deleted."""
        same = [run for run in runs if run.data.tags.get(tag) == key]
        same.sort(key=lambda run: run.info.status == "RUNNING")
        for double in same[1:]:
            self.store.delete(double.info.run_id)
        return same[0] if same else None

    def _find_live(self, model: str, weights_key: str | None) -> "Run | None":
        """The run that training left for these weights, if nobody has taken it over."""
        if not weights_key:
            return None
        live = [r for r in self.runs if r.data.tags.get("model") == model and MODEL_KEY not in r.data.tags]
        return self._find(live, WEIGHTS, weights_key)

    def _refresh_pictures(self, run: "Run", pictures: list[Path]) -> None:
        """Brings the report's pictures up to date, which may be drawn after the model was published."""
        key = content_key(pictures)
        if run.data.tags.get(PICTURES_KEY) != key:
            self.store.files(run.info.run_id, pictures, "plots")
            self.store.log(run.info.run_id, tags={PICTURES_KEY: key})

    def _variant(self, variant: Variant, parent: str) -> None:
        """Publishes a variant unless it is there."""
        key, timing_key = self._keys(variant)
        run = self._find(self.runs, CONTENT_KEY, key)
        whole = run and run.info.status != "RUNNING" and (variant.reason or MODEL_ID in run.data.tags)
        if run and whole:
            what = self._refresh(run, parent, variant, timing_key)
            self.published[_name(variant)] = (run.info.run_id, run.data.tags.get(MODEL_ID))
        else:
            if run:  # an earlier attempt broke off, or an earlier release knew no models
                self.store.delete(run.info.run_id)
            what = "created"
            tags = {PARENT_TAG: parent, CONTENT_KEY: key, TIMING_KEY: timing_key}
            self.published[_name(variant)] = self._create(variant, tags)
        self.done[what].append(_name(variant))

    def _keys(self, variant: Variant) -> tuple[str, str]:
        """Hashes of what decides the run's content, and of the timings, which may change later."""
        rows = repr(
            [row for row in variant.table.of(variant.model, variant.level) if row.metric not in TIMED]
        )
        content = content_key([variant.folder / CARD, variant.folder / MODEL_FILE])
        timing = self.root / outs.TIMINGS / variant.model / f"{variant.level}.json"
        return hashlib.sha256(f"{content} {rows}".encode()).hexdigest(), content_key([timing])

    def _create(self, variant: Variant, tags: dict[str, str]) -> tuple[str, str | None]:
        """Makes a variant's run, and its MLflow model where it has a file that runs."""
        study, store = self.study, self.store
        level = LEVELS[variant.level]
        about = model_tags(study, variant.model, self.revision) | {
            "kind": "variant",
            "level": variant.level,
            "weights": level.weights[0].lower(),
            "activations": level.activations[0].lower(),
            "status": "failed" if variant.reason else "ok",
            NOTE_TAG: variant.reason or level.summary,
            **({"reason": variant.reason} if variant.reason else {}),
            **{f"verdict/{row.name}": row.verdict for row in variant.rows() if row.main and row.verdict},
        }
        run = store.create(_name(variant), about | tags)
        store.files(run, [variant.folder / CARD])
        model_id = None
        if not variant.reason:
            store.inputs(run, contents.variant_inputs(variant, self.root))
            store.table(run, "results", contents.result_table(variant))
            store.table(run, "groups", contents.result_table(variant, grouped=True))
            for head, picture in contents.confusions(study, variant, self.root):
                store.image(run, f"confusion/{head}", picture)
            model_id = log_model(store, run, variant)
        settings = flat({"level": study.levels[variant.level].model_dump(mode="json")})
        store.log(
            run,
            metrics=contents.metrics(variant) | contents.timings(variant),
            params=model_params(study, variant.model) | {"level": variant.level} | settings,
            tags={MODEL_ID: model_id} if model_id else {},
            model_id=model_id,
        )
        store.client.set_terminated(run, "FAILED" if variant.reason else "FINISHED")
        return run, model_id

    def _refresh(self, run: "Run", parent: str, variant: Variant, timing_key: str) -> str:
        """Brings a published variant's timings and parent up to date."""
        tags, run_id = run.data.tags, run.info.run_id
        if tags.get(PARENT_TAG) != parent:
            self.store.log(run_id, tags={PARENT_TAG: parent})
        if tags.get(TIMING_KEY) == timing_key:
            return "skipped"
        self.store.log(run_id, metrics=contents.timings(variant), model_id=tags.get(MODEL_ID))
        self.store.log(run_id, tags={TIMING_KEY: timing_key})
        return "updated"


def _name(variant: Variant) -> str:
    return f"{variant.model}/{variant.level}"


def _pictures(study: Study, model: str, root: Path) -> list[Path]:
    """What the report drew of a model; nothing where the report has not run."""
    return sorted((root / outs.REPORTS / study.study / "plots" / model).glob("*.png"))


def _log_history(store: Store, run: str, path: Path) -> None:
    """Logs the epochs that the run does not have yet."""
    if not path.is_file():
        return
    history = pd.read_csv(path).set_index("epoch")
    (watched,) = curve_points({str(history.columns[0]): 0})
    logged = {metric.step for metric in store.client.get_metric_history(run, watched)}
    for epoch, row in zip(history.index, history.to_dict("records"), strict=True):
        if epoch not in logged:
            points = curve_points({str(name): value for name, value in row.items()})
            store.log(run, metrics=points, step=int(epoch))
