"""Publishing what the graph produced to MLflow.

A run a variant and a model, one for the study with its report, and a registered model per task. A tag of
each run is a hash of what it holds, so publishing again adds only what is new or was broken off.
"""

import shlex
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pocketface.cards import CARD, MODEL_FILE
from pocketface.choosing.answer import lines
from pocketface.choosing.rule import Choice, Pick, choose, pick, tasks
from pocketface.core import outs
from pocketface.core.addresses import without_secrets
from pocketface.core.files import made_by, sha256
from pocketface.levels import LEVELS
from pocketface.report import tables
from pocketface.report.outs import Results, Variant
from pocketface.report.text import measured_on
from pocketface.results.table import LATENCY, LATENCY_RATIO
from pocketface.study import Study
from pocketface.tracking import run_data, view
from pocketface.tracking.champion import ALIAS, crown
from pocketface.tracking.live import MODEL_KEY, WEIGHTS, log_history, model_params, model_tags
from pocketface.tracking.packing import log_model
from pocketface.tracking.store import (
    NOTE_TAG,
    PARENT_TAG,
    Store,
    address_of,
    content_key,
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
FOLD_KEY = "fold_key"
TIMED = (LATENCY, LATENCY_RATIO)
REPORT = ("index.html", "comparison.md", "plots/overview.png")


@dataclass(frozen=True)
class Summary:
    """What `track` did to which variants, `MODEL/LEVEL`; an updated one was there, and its timings are new.

    Attributes:
        address, link: where the store and its table of variants are; without secrets.
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
        told = [
            f"{len(self.created)} variants published, {len(self.updated)} with new timings, "
            f"{len(self.skipped)} already there",
            *(f"champion of {lines(choice)[0]}" for choice in self.champions),
            f"compare them with {'' if self.address.startswith('http') else serve}{self.link}",
        ]
        return "\n".join(f"track: {line}" for line in told)


def track(study: Study, root: Path = Path()) -> Summary:
    """Publishes a study's models and variants to a store, see `address_of`; what is there already is left
    alone.

    Raises:
        PocketfaceError: nothing is measured yet, or the store cannot be used.
    """
    address, results = address_of(root), Results.load(study, root)
    with failures_told(address), default_store(address):
        store = open_store(study, address, root)
        publishing = _Publishing(store, study, root, results, store.runs())
        for model in study.models:
            publishing.model(model)
        publishing.study_run()
        champions = publishing.champions()
    done = {what: tuple(names) for what, names in publishing.done.items()}
    link = view.link(address, store.experiment)
    return Summary(without_secrets(address), link, **done, champions=champions)


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
    results: Results
    runs: list["Run"]
    done: dict[str, list[str]] = field(default_factory=lambda: {"created": [], "updated": [], "skipped": []})
    published: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    current: set[str] = field(default_factory=set)

    @cached_property
    def picks(self) -> dict[str, Pick]:
        """Model -> which level to take."""
        return {m: pick(self.results.table, m, self.study.champion) for m in self.study.models}

    @property
    def report(self) -> Path:
        """The folder of the study's report, which may be made later."""
        return self.root / outs.REPORTS / self.study.study

    def model(self, model: str) -> None:
        """Publishes a model, its folds and its variants."""
        run, levels = self._model_run(model), tables.levels(self.results, model, self.picks[model])
        self._refresh(run, levels.markdown(), sorted((self.report / "plots" / model).glob("*.png")), "plots")
        self._folds(model, run)
        for variant in self.results.of(model):
            self._variant(variant)

    def study_run(self) -> None:
        """Brings the study's run up to date, which has its report, and what the experiment says."""
        name, results = self.study.study, self.results
        note = f"{measured_on(results)}\n\n{tables.take(results, self.picks).markdown()}"
        run = next((run.info.run_id for run in self.runs if run.data.tags.get("kind") == "study"), None)
        if run is None:
            run = self.store.create(name, {"kind": "study", "study": name})
            self.store.client.set_terminated(run)
        self._refresh(run, note, [self.report / file for file in REPORT], "report")
        mains = [row for row in results.table.rows if row.main and not row.grouping]
        view.describe(self.store, note, mains)

    def champions(self) -> tuple[Choice, ...]:
        """Makes the registry and the runs say which variants are the champions, and which are current."""
        table, crowned = self.results.table, dict[str, str]()
        choices = tuple(choose(table, task, self.study.champion) for task in tasks(table))
        for choice in choices:
            run, model_id = self.published[choice.take.name] if choice.take else (None, None)
            crown(self.store, self.study, choice, run, model_id)
            if run:
                crowned[run] = f"{crowned[run]},{choice.task}" if run in crowned else choice.task
        wanted = {ALIAS: crowned, view.CURRENT: dict.fromkeys(self.current, "yes")}
        for one, (tag, values) in product(self.store.runs(), wanted.items()):
            said, want = one.data.tags.get(tag), values.get(one.info.run_id)
            if want and said != want:
                self.store.log(one.info.run_id, tags={tag: want})
            elif said and not want:
                self.store.client.delete_tag(one.info.run_id, tag)
        return choices

    def _refresh(self, run: str, note: str, files: list[Path], folder: str) -> None:
        self.current.add(run)
        wanted = {NOTE_TAG: view.shortened(note), FILES_KEY: content_key(files)}
        known = next((one.data.tags for one in self.runs if one.info.run_id == run), {})
        new = {tag: value for tag, value in wanted.items() if known.get(tag) != value}
        if FILES_KEY in new:
            self.store.files(run, files, folder)
        if new:
            self.store.log(run, tags=new)

    def _model_run(self, model: str) -> str:
        """The id of a model's run: published before, or taken over from training, or new."""
        store, folder = self.store, self.root / outs.MODELS / model
        weights, history = folder / "model.weights.h5", folder / "history.csv"
        identity = {MODEL_KEY: content_key([folder / CARD, weights])}
        live = [
            one for one in self.runs if MODEL_KEY not in one.data.tags and one.data.tags.get("model") == model
        ]
        run = self._find(self.runs, MODEL_KEY, identity[MODEL_KEY])
        if run and run.info.status == "FINISHED":
            return run.info.run_id
        if weights.is_file():
            identity |= {WEIGHTS: sha256(weights)}
            run = run or self._find(live, WEIGHTS, identity[WEIGHTS])
        if run is None:
            run_id = store.create(model, model_tags(self.study, model) | identity)
            store.log(run_id, params=model_params(self.study, model))
        else:
            run_id = run.info.run_id
        if history.is_file():
            table = pd.read_csv(history)
            points = store.client.get_metric_history(run_id, f"training/{table.columns[1]}")
            log_history(store, run_id, table, {point.step for point in points})
        sources = self.results.sources
        trained_on = run_data.inputs(self.study.trained_on(model), "training", sources, self.root)
        store.client.log_inputs(run_id, trained_on)
        store.files(run_id, [folder / CARD, history])
        store.log(run_id, tags=identity)
        store.client.set_terminated(run_id)
        return run_id

    def _folds(self, model: str, parent: str) -> None:
        """Publishes what `cross_validate` left of a model, if anything, a run a fold below the model's."""
        store, folder = self.store, self.root / outs.FOLDS / model
        if not (folder / "folds.csv").is_file():
            return
        with made_by(f"cross_validate@{model}", folder, "the folds of a cross-validation"):
            scores, history = pd.read_csv(folder / "folds.csv"), pd.read_csv(folder / "history.csv")
        content = sha256(folder / "folds.csv")[:16] + sha256(folder / "history.csv")[:16]
        for fold, own in scores.groupby("fold"):
            key = f"{content}-{fold}"
            known = [run for run in self.runs if run.data.tags.get(FOLD_KEY) == key]
            if any(r.info.status == "FINISHED" and r.data.tags.get(PARENT_TAG) == parent for r in known):
                continue
            for run in known:  # broken off, or below a model that was trained again
                store.delete(run.info.run_id)
            tags = {"kind": "fold", "fold": str(fold), FOLD_KEY: key, PARENT_TAG: parent}
            run_id = store.create(f"{model}/fold-{fold}", model_tags(self.study, model) | tags)
            store.log(run_id, params=model_params(self.study, model) | {"fold": fold})
            log_history(store, run_id, history[history["fold"] == fold].drop(columns="fold"))
            names = own["estimator"] + "/" + own["metric"]
            store.log(run_id, metrics=dict(zip(names, own["value"].astype(float), strict=True)))
            store.client.set_terminated(run_id)

    def _find(self, runs: list["Run"], tag: str, key: str) -> "Run | None":
        """The run with this key, a complete one if there is; doubles of a broken attempt are deleted."""
        same = [run for run in runs if run.data.tags.get(tag) == key]
        same.sort(key=lambda run: run.info.status == "RUNNING")
        for double in same[1:]:
            self.store.delete(double.info.run_id)
        return same[0] if same else None

    def _variant(self, variant: Variant) -> None:
        """Publishes a variant unless it is there; its timings may be new."""
        name, store = f"{variant.model}/{variant.level}", self.store
        rows = [row for row in variant.table.of(variant.model, variant.level) if row.metric not in TIMED]
        files = [variant.folder / CARD, variant.folder / MODEL_FILE]
        key = content_key(files, f"{FORM} {self.study.margins} {rows}")
        timed = {
            TIMING_KEY: content_key([self.root / outs.TIMINGS / variant.model / f"{variant.level}.json"])
        }
        run, what = self._find(self.runs, CONTENT_KEY, key), "created"
        if run is None or run.info.status == "RUNNING":
            if run:  # an earlier attempt broke off
                store.delete(run.info.run_id)
            self.published[name] = self._create(variant, {CONTENT_KEY: key} | timed)
        else:
            self.published[name] = run_id, model_id = run.info.run_id, run.data.tags.get(MODEL_ID)
            what = "skipped" if timed.items() <= run.data.tags.items() else "updated"
            if what == "updated":
                store.log(run_id, metrics=run_data.timings(variant), tags=timed, model_id=model_id)
        self.current.add(self.published[name][0])
        self.done[what].append(name)

    def _create(self, variant: Variant, keys: dict[str, str]) -> tuple[str, str | None]:
        """Makes a variant's run, and its MLflow model where it has a file that runs."""
        study, store, level = self.study, self.store, LEVELS[variant.level]
        tags = {
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
        tags = model_tags(study, variant.model) | tags | keys
        run, model_id = store.create(f"{variant.level} {variant.model}", tags), None  # cut at its end
        store.files(run, [variant.folder / CARD])
        if not variant.reason:
            seen = run_data.inputs(variant.datasets, "evaluation", self.results.sources, self.root)
            store.client.log_inputs(run, seen)
            for name, table in run_data.result_tables(variant).items():
                store.client.log_table(run, table, f"tables/{name}.json")
            for head, picture in run_data.confusions(study, variant, self.root):
                store.client.log_image(run, picture, key=f"confusion/{head}")
            model_id = log_model(store, run, variant)
        settings = flat({"level": study.levels[variant.level].model_dump(mode="json")})
        params = run_data.counts(variant) | {"level": variant.level} | settings
        metrics = run_data.metrics(variant, study.margins) | run_data.timings(variant)
        model = {MODEL_ID: model_id} if model_id else {}
        store.log(run, metrics, params | model_params(study, variant.model), model, model_id=model_id)
        store.client.set_terminated(run, "FAILED" if variant.reason else "FINISHED")
        return run, model_id
