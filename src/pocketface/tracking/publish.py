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
from pocketface.choosing.rule import Choice, choose, name_of, tasks
from pocketface.core.addresses import without_secrets
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.reporting.results import FLOAT32, Variant, read_variant
from pocketface.study import Study
from pocketface.tflite.levels import LEVELS
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
    git_revision,
    open_store,
)

if TYPE_CHECKING:
    from mlflow.entities import Run

CONTENT_KEY, TIMING_KEY, PICTURES_KEY = "content_key", "timing_key", "pictures_key"
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
        missing: not made or not evaluated yet.
        champions: a task's choice each.
    """

    address: str
    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    champions: tuple[Choice, ...] = ()

    def text(self) -> str:
        """For a person: the counts, what is missing, the champions, and how to look at the runs."""
        local = self.address.startswith("sqlite")
        look = f"`mlflow ui --backend-store-uri {shlex.quote(self.address)}`" if local else self.address
        lines = [
            f"track: {len(self.created)} variants published, {len(self.updated)} with new timings, "
            f"{len(self.skipped)} already there",
            *(f"track: {name} is not evaluated yet: `dvc repro`" for name in self.missing),
            *(f"track: champion of {choice}" for choice in self.champions),
            f"track: compare them with {look}",
        ]
        return "\n".join(lines)


def track(study: Study, root: Path = Path(), uri: str | None = None) -> Summary:
    """Publishes a study's models and variants; what is published already is left alone.

    Args:
        study: the params.
        root: the repository.
        uri: the store; without it `MLFLOW_TRACKING_URI`, or `mlflow.db` below `root`.

    Raises:
        PocketfaceError: no variant is evaluated yet, or the store cannot be used.
    """
    root, address = Path(root), address_of(Path(root), uri)
    variants, missing = _local(study, root)
    if not variants:
        raise PocketfaceError(f"{root / 'evaluation'}: no variant is evaluated yet; run `dvc repro` first")
    with failures_told(address), default_store(address):
        store = open_store(study, address)
        publishing = _Publishing(store, study, root, git_revision(root), variants, store.runs())
        for model in dict.fromkeys(variant.model for variant in variants):
            publishing.model(model)
        champions = publishing.champions()
    done = {what: tuple(names) for what, names in publishing.done.items()}
    return Summary(without_secrets(address), **done, missing=missing, champions=champions)


def _local(study: Study, root: Path) -> tuple[list[Variant], tuple[str, ...]]:
    """The variants that there are, and the names of those that are missing."""
    variants, missing = [], []
    for model in study.models:
        for level in study.levels:
            needed = (
                root / "models" / model / CARD,
                root / "variants" / model / level / CARD,
                root / "evaluation" / model / level / "metrics.json",
                root / "evaluation" / model / level / "predictions.parquet",
            )
            if all(path.is_file() for path in needed):
                variants.append(read_variant(root, model, level))
            else:
                missing.append(f"{model}/{level}")
    return variants, tuple(missing)


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
    variants: list[Variant]
    runs: list["Run"]
    done: dict[str, list[str]] = field(default_factory=lambda: {"created": [], "updated": [], "skipped": []})
    published: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def model(self, model: str) -> None:
        """Publishes a model, its folds and its variants."""
        parent = self._model_run(model)
        publish_folds(self.store, self.runs, self.study, model, parent, self.root, self.revision)
        own = [variant for variant in self.variants if variant.model == model]
        float32 = next((v for v in own if v.level == FLOAT32 and v.reason is None), None)
        for variant in own:
            self._variant(variant, float32, parent)

    def champions(self) -> tuple[Choice, ...]:
        """Makes the registry and the runs say which variants are the champions."""
        choices, crowned = [], dict[str, list[str]]()
        for task in tasks(self.study):
            choice = choose(self.study, task, self.variants)
            if choice is None:
                continue
            run, model_id = None, None
            if choice.variant is not None:
                run, model_id = self.published[name_of(choice.variant)]
                crowned.setdefault(run, []).append(task)
            crown(self.store, self.study, choice, run, model_id)
            choices.append(choice)
        mark(self.store, {run: ",".join(own) for run, own in crowned.items()})
        return tuple(choices)

    def _model_run(self, model: str) -> str:
        """The id of a model's run: published before, or taken over from training, or new."""
        store, folder = self.store, self.root / "models" / model
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

    def _variant(self, variant: Variant, float32: Variant | None, parent: str) -> None:
        """Publishes a variant unless it is there."""
        key, timing_key = self._keys(variant, float32)
        run = self._find(self.runs, CONTENT_KEY, key)
        whole = run and run.info.status != "RUNNING" and (variant.reason or MODEL_ID in run.data.tags)
        if run and whole:
            what = self._refresh(run, parent, variant, timing_key)
            self.published[name_of(variant)] = (run.info.run_id, run.data.tags.get(MODEL_ID))
        else:
            if run:  # an earlier attempt broke off, or an earlier release knew no models
                self.store.delete(run.info.run_id)
            what = "created"
            tags = {PARENT_TAG: parent, CONTENT_KEY: key, TIMING_KEY: timing_key}
            self.published[name_of(variant)] = self._create(variant, float32, tags)
        self.done[what].append(name_of(variant))

    def _keys(self, variant: Variant, float32: Variant | None) -> tuple[str, str]:
        """Hashes of what decides the run's content, and of the timings, which may change later."""
        measured = self.root / "evaluation" / variant.model / variant.level / "metrics.json"
        reference = self.root / "evaluation" / variant.model / FLOAT32 / "metrics.json"
        files = [variant.folder / CARD, variant.folder / MODEL_FILE, measured]
        timing = self.root / "timings" / variant.model / f"{variant.level}.json"
        return content_key([*files, reference] if float32 else files), content_key([timing])

    def _create(
        self, variant: Variant, float32: Variant | None, tags: dict[str, str]
    ) -> tuple[str, str | None]:
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
        }
        run = store.create(name_of(variant), about | tags)
        evaluation = self.root / "evaluation" / variant.model / variant.level / "metrics.json"
        store.files(run, [variant.folder / CARD, evaluation])
        model_id = None
        if not variant.reason:
            store.inputs(run, contents.variant_inputs(variant, self.root))
            store.table(run, "figures", contents.figure_table(variant, float32))
            store.table(run, "groups", contents.group_table(variant))
            for head, picture in contents.confusions(study, variant):
                store.image(run, f"confusion/{head}", picture)
            model_id = log_model(store, run, variant)
        settings = flat({"level": study.levels[variant.level].model_dump(mode="json")})
        store.log(
            run,
            metrics=contents.metrics(variant, float32) | contents.timings(variant),
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


def _pictures(study: Study, model: str, root: Path) -> list[Path]:
    """What the report drew of a model, and its trade-off plots; nothing where the report has not run."""
    folder = root / "reports" / study.study
    tradeoffs = [
        path
        for part in ("plots", "latency")
        for dataset in study.trained_on(model)
        for path in sorted((folder / part).glob(f"{dataset}_*.png"))
    ]
    return [*sorted((folder / "plots" / model).glob("*.png")), *tradeoffs]


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
