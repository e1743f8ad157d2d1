"""Publishing what the graph produced to MLflow.

    print(track(study).text())

A run a variant and a model, one for the study with its report, and a registered model per task. What decides
a run's content is hashed into a tag of it, so publishing again adds only what is new, and picks up where an
earlier attempt broke off.
"""

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pocketface.cards import CARD, MODEL_FILE
from pocketface.choosing.answer import lines
from pocketface.choosing.rule import Choice, choose, pick, tasks
from pocketface.core import outs
from pocketface.core.addresses import without_secrets
from pocketface.core.files import git_revision, sha256
from pocketface.levels import LEVELS
from pocketface.report import tables
from pocketface.report.outs import Results, Variant
from pocketface.report.text import measured_on
from pocketface.results.table import LATENCY, LATENCY_RATIO
from pocketface.study import Study
from pocketface.tracking import run_data, view
from pocketface.tracking.champion import ALIAS, crown
from pocketface.tracking.folds import publish_folds
from pocketface.tracking.live import MODEL_KEY, WEIGHTS, curve_points, model_params, model_tags
from pocketface.tracking.packing import log_model
from pocketface.tracking.store import (
    COMMIT_TAG,
    NOTE_TAG,
    Store,
    address_of,
    default_store,
    failures_told,
    flat,
    open_store,
)

if TYPE_CHECKING:
    from mlflow.entities import Run

FORM = "2"
"""Of a variant's run; a store that was written in an earlier form is published to anew."""
CONTENT_KEY, TIMING_KEY, FILES_KEY, MODEL_ID = "content_key", "timing_key", "files_key", "model_id"
TIMED = (LATENCY, LATENCY_RATIO)
REPORT = ("index.html", "comparison.md", "plots/overview.png")


@dataclass(frozen=True)
class Summary:
    """What `track` did: names of variants, `MODEL/LEVEL`.

    Attributes:
        address, link: where the store and its table of variants are; without secrets.
        created: published now.
        updated: published before; their timings are new.
        skipped: published before.
        champions: a task's choice each.
    """

    address: str
    link: str
    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    champions: tuple[Choice, ...] = ()

    def text(self) -> str:
        """For a person: the counts, the champions, and how to look at the variants."""
        serve = f"`mlflow ui --backend-store-uri {shlex.quote(self.address)} --port {view.PORT}`, then "
        return "\n".join(
            [
                f"track: {len(self.created)} variants published, {len(self.updated)} with new timings, "
                f"{len(self.skipped)} already there",
                *(f"track: champion of {lines(choice)[0]}" for choice in self.champions),
                f"track: compare them with {'' if self.address.startswith('http') else serve}{self.link}",
            ]
        )


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
        publishing.study_run()
        champions = publishing.champions()
    done = {what: tuple(names) for what, names in publishing.done.items()}
    return Summary(
        without_secrets(address), view.link(address, store.experiment), **done, champions=champions
    )


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
        current: the runs of the study as it is now.
    """

    store: Store
    study: Study
    root: Path
    revision: str | None
    results: Results
    runs: list["Run"]
    done: dict[str, list[str]] = field(default_factory=lambda: {"created": [], "updated": [], "skipped": []})
    published: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    current: set[str] = field(default_factory=set)

    def model(self, model: str) -> None:
        """Publishes a model, its folds and its variants."""
        run = self._model_run(model)
        table = tables.levels(self.results, model, pick(self.results.table, model, self.study.champion))
        plots = self.root / outs.REPORTS / self.study.study / "plots" / model
        self._refresh(run, table.markdown(), sorted(plots.glob("*.png")), "plots")
        publish_folds(self.store, self.runs, self.study, model, run, self.root, self.revision)
        for variant in self.results.of(model):
            self._variant(variant)

    def study_run(self) -> None:
        """Brings the study's run up to date, which has its report, and what the experiment says."""
        study, results = self.study, self.results
        picks = {model: pick(results.table, model, study.champion) for model in study.models}
        note = f"{measured_on(results)}\n\n{tables.take(results, picks).markdown()}"
        run = next((r.info.run_id for r in self.runs if r.data.tags.get("kind") == "study"), None)
        if run is None:
            commit = {COMMIT_TAG: self.revision} if self.revision else {}
            run = self.store.create(study.study, {"kind": "study", "study": study.study, **commit})
            self.store.client.set_terminated(run)
        folder = self.root / outs.REPORTS / study.study
        self._refresh(run, note, [folder / name for name in REPORT], "report")
        mains = [row for row in results.table.rows if row.main and not row.grouping]
        view.describe(self.store, note, mains)

    def champions(self) -> tuple[Choice, ...]:
        """Makes the registry and the runs say which variants are the champions, and which are current."""
        choices, crowned = [], dict[str, list[str]]()
        for task in tasks(self.results.table):
            choice = choose(self.results.table, task, self.study.champion)
            run, model_id = None, None
            if choice.take is not None:
                run, model_id = self.published[choice.take.name]
                crowned.setdefault(run, []).append(task)
            crown(self.store, self.study, choice, run, model_id)
            choices.append(choice)
        champion = {run: ",".join(own) for run, own in crowned.items()}
        self._mark(ALIAS, champion)
        self._mark(view.CURRENT, dict.fromkeys(self.current, "yes"))
        return tuple(choices)

    def _mark(self, tag: str, wanted: Mapping[str, str]) -> None:
        """Gives runs a tag, and takes it from all others."""
        for run in self.store.runs():
            said, want = run.data.tags.get(tag), wanted.get(run.info.run_id)
            if want and said != want:
                self.store.log(run.info.run_id, tags={tag: want})
            elif said and not want:
                self.store.client.delete_tag(run.info.run_id, tag)

    def _refresh(self, run: str, note: str, files: list[Path], folder: str) -> None:
        """Brings a run's description and the report's files up to date, which may be made after the run."""
        self.current.add(run)
        wanted = {NOTE_TAG: view.shortened(note), FILES_KEY: content_key(files)}
        known = next((r.data.tags for r in self.runs if r.info.run_id == run), {})
        new = {tag: value for tag, value in wanted.items() if known.get(tag) != value}
        if FILES_KEY in new:
            self.store.files(run, files, folder)
        if new:
            self.store.log(run, tags=new)

    def _model_run(self, model: str) -> str:
        """The id of a model's run: published before, or taken over from training, or new."""
        store, folder = self.store, self.root / outs.MODELS / model
        weights = folder / "model.weights.h5"
        key = content_key([folder / CARD, weights])
        weights_key = sha256(weights) if weights.is_file() else None
        run = self._find(self.runs, MODEL_KEY, key) or self._find_live(model, weights_key)
        if run and run.data.tags.get(MODEL_KEY) == key and run.info.status == "FINISHED":
            return run.info.run_id
        identity = {MODEL_KEY: key, **({WEIGHTS: weights_key} if weights_key else {})}
        if run is None:
            run_id = store.create(model, model_tags(self.study, model, self.revision) | identity)
            store.log(run_id, params=model_params(self.study, model))
        else:
            run_id = run.info.run_id
        _log_history(store, run_id, folder / "history.csv")
        trained_on = run_data.inputs(self.study.trained_on(model), "training", self.root)
        store.client.log_inputs(run_id, trained_on)
        store.files(run_id, [folder / CARD, folder / "history.csv"])
        store.log(run_id, tags=identity)
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

    def _variant(self, variant: Variant) -> None:
        """Publishes a variant unless it is there."""
        name, (key, timing_key) = f"{variant.model}/{variant.level}", self._keys(variant)
        run, what = self._find(self.runs, CONTENT_KEY, key), "created"
        if run and run.info.status != "RUNNING":
            self.published[name] = run.info.run_id, run.data.tags.get(MODEL_ID)
            what = "skipped" if run.data.tags.get(TIMING_KEY) == timing_key else "updated"
        else:
            if run:  # an earlier attempt broke off
                self.store.delete(run.info.run_id)
            self.published[name] = self._create(variant, {CONTENT_KEY: key, TIMING_KEY: timing_key})
        run_id, model_id = self.published[name]
        if what == "updated":
            timings = run_data.timings(variant)
            self.store.log(run_id, metrics=timings, tags={TIMING_KEY: timing_key}, model_id=model_id)
        self.current.add(run_id)
        self.done[what].append(name)

    def _keys(self, variant: Variant) -> tuple[str, str]:
        """Hashes of what decides the run's content, and of the timings, which may change later."""
        rows = [row for row in variant.table.of(variant.model, variant.level) if row.metric not in TIMED]
        content = content_key([variant.folder / CARD, variant.folder / MODEL_FILE])
        timing = self.root / outs.TIMINGS / variant.model / f"{variant.level}.json"
        whole = f"{FORM} {content} {self.study.margins} {rows}"
        return hashlib.sha256(whole.encode()).hexdigest(), content_key([timing])

    def _create(self, variant: Variant, keys: dict[str, str]) -> tuple[str, str | None]:
        """Makes a variant's run, and its MLflow model where it has a file that runs."""
        study, store, level = self.study, self.store, LEVELS[variant.level]
        tags = {
            **model_tags(study, variant.model, self.revision),
            "kind": "variant",
            "level": variant.level,
            "weights": level.weights[0].lower(),
            "activations": level.activations[0].lower(),
            "status": "failed" if variant.reason else "ok",
            NOTE_TAG: variant.reason or level.summary,
            **({"reason": variant.reason} if variant.reason else {}),
            **run_data.verdicts(variant, study.margins),
            view.CURRENT: "yes",
        }
        # The level first: MLflow cuts long names at their end.
        run, model_id = store.create(f"{variant.level} {variant.model}", tags | keys), None
        store.files(run, [variant.folder / CARD])
        if not variant.reason:
            store.client.log_inputs(run, run_data.inputs(variant.datasets, "evaluation", self.root))
            for name, table in run_data.result_tables(variant).items():
                store.client.log_table(run, table, f"tables/{name}.json")
            for head, picture in run_data.confusions(study, variant, self.root):
                store.client.log_image(run, picture, key=f"confusion/{head}")
            model_id = log_model(store, run, variant)
        settings = flat({"level": study.levels[variant.level].model_dump(mode="json")})
        store.log(
            run,
            metrics=run_data.metrics(variant, study.margins) | run_data.timings(variant),
            params=run_data.counts(variant)
            | {"level": variant.level}
            | settings
            | model_params(study, variant.model),
            tags={MODEL_ID: model_id} if model_id else {},
            model_id=model_id,
        )
        store.client.set_terminated(run, "FAILED" if variant.reason else "FINISHED")
        return run, model_id


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
