"""Publishing what the graph produced to MLflow.

    print(track(study).text())

One run per model, below it one per variant. What decides a run's content is hashed into a tag of it, so
publishing again adds only what is new, and picks up where an earlier attempt broke off.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pocketface.cards import CARD
from pocketface.errors import PocketfaceError
from pocketface.files import sha256
from pocketface.reporting.results import Variant, read_variant
from pocketface.study import Study
from pocketface.tracking.folds import publish_folds
from pocketface.tracking.live import MODEL_KEY, WEIGHTS, model_params, model_tags
from pocketface.tracking.store import PARENT_TAG, Store, address_of, failures_told, flat, open_store, shown

if TYPE_CHECKING:
    from mlflow.entities import Run

CONTENT_KEY, TIMING_KEY = "content_key", "timing_key"


@dataclass(frozen=True)
class Summary:
    """What `track` did: names of variants, `MODEL/LEVEL`.

    Attributes:
        created: published now.
        updated: published before; their timings are new.
        skipped: published before.
        missing: not made or not evaluated yet.
    """

    address: str
    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def text(self) -> str:
        """For a person: the counts, what is missing, and how to look at the runs."""
        local = self.address.startswith("sqlite")
        look = f"`mlflow ui --backend-store-uri {self.address}`" if local else self.address
        lines = [
            f"track: {len(self.created)} variants published, {len(self.updated)} with new timings, "
            f"{len(self.skipped)} already there",
            *(f"track: {name} is not evaluated yet: `dvc repro`" for name in self.missing),
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
    done: dict[str, list[str]] = {"created": [], "updated": [], "skipped": []}
    with failures_told(address):
        store = open_store(study, root, address)
        runs = store.runs()
        for model in dict.fromkeys(variant.model for variant in variants):
            parent = _publish_model(store, runs, study, model, root)
            publish_folds(store, runs, study, model, parent, root)
            for variant in variants:
                if variant.model == model:
                    what = _publish_variant(store, runs, study, variant, parent, root)
                    done[what].append(f"{model}/{variant.level}")
    return Summary(shown(address), **{what: tuple(names) for what, names in done.items()}, missing=missing)


def _local(study: Study, root: Path) -> tuple[list[Variant], tuple[str, ...]]:
    """The variants that there are, and the names of those that are missing."""
    variants, missing = [], []
    for model in study.models:
        for level in study.levels:
            needed = (
                root / "models" / model / CARD,
                root / "variants" / model / level / CARD,
                root / "evaluation" / model / level / "metrics.json",
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


def _publish_model(store: Store, runs: list["Run"], study: Study, model: str, root: Path) -> str:
    """The id of a model's run: published before, or taken over from training, or new."""
    folder = root / "models" / model
    weights = folder / "model.weights.h5"
    key = content_key([folder / CARD, weights])
    weights_key = sha256(weights) if weights.is_file() else None
    run = _find(store, runs, MODEL_KEY, key) or _find_live(store, runs, model, weights_key)
    if run and run.data.tags.get(MODEL_KEY) == key and run.info.status == "FINISHED":
        return run.info.run_id
    identity = {MODEL_KEY: key, **({WEIGHTS: weights_key} if weights_key else {})}
    if run is None:
        run_id = store.create(model, model_tags(study, model, root) | identity)
        store.log(run_id, params=model_params(study, model))
    else:
        run_id = run.info.run_id
    _log_history(store, run_id, folder / "history.csv")
    _log_files(store, run_id, [folder / CARD, folder / "history.csv"])
    _log_files(store, run_id, _plots(study, model, root), "plots")
    store.log(run_id, tags=identity)
    store.client.set_terminated(run_id)
    return run_id


def _find(store: Store, runs: list["Run"], tag: str, key: str) -> "Run | None":
    """The run with this key, a complete one if there is; doubles that a broken attempt left are deleted."""
    same = [run for run in runs if run.data.tags.get(tag) == key]
    same.sort(key=lambda run: run.info.status == "RUNNING")
    for double in same[1:]:
        store.client.delete_run(double.info.run_id)
    return same[0] if same else None


def _find_live(store: Store, runs: list["Run"], model: str, weights_key: str | None) -> "Run | None":
    """The run that training left for these weights, if nobody has taken it over."""
    live = [run for run in runs if run.data.tags.get("model") == model and MODEL_KEY not in run.data.tags]
    return _find(store, live, WEIGHTS, weights_key) if weights_key else None


def _log_history(store: Store, run: str, path: Path) -> None:
    """Logs the epochs that the run does not have yet."""
    if not path.is_file():
        return
    history = pd.read_csv(path).set_index("epoch")
    logged = {metric.step for metric in store.client.get_metric_history(run, str(history.columns[0]))}
    for epoch, row in zip(history.index, history.to_dict("records"), strict=True):
        if epoch not in logged:
            store.log(run, metrics={str(name): value for name, value in row.items()}, step=int(epoch))


def _plots(study: Study, model: str, root: Path) -> list[Path]:
    """What the report drew of a model; nothing where the report has not run."""
    return sorted((root / "reports" / study.study / "plots" / model).glob("*.png"))


def _log_files(store: Store, run: str, paths: Iterable[Path], folder: str | None = None) -> None:
    for path in paths:
        if path.is_file():
            store.client.log_artifact(run, str(path), folder)


def _publish_variant(
    store: Store, runs: list["Run"], study: Study, variant: Variant, parent: str, root: Path
) -> str:
    """Publishes a variant unless it is there; returns which list of the summary it belongs to."""
    evaluation = root / "evaluation" / variant.model / variant.level / "metrics.json"
    timing = root / "timings" / variant.model / f"{variant.level}.json"
    files = [variant.folder / CARD, variant.folder / "model.tflite", evaluation]
    key, timing_key = content_key(files), content_key([timing])
    run = _find(store, runs, CONTENT_KEY, key)
    if run and run.info.status == "RUNNING":  # an earlier attempt broke off
        store.client.delete_run(run.info.run_id)
        run = None
    if run:
        return _refresh(store, run, parent, variant, timing_key)
    tags = model_tags(study, variant.model, root) | {
        "kind": "variant",
        "level": variant.level,
        "status": "failed" if variant.reason else "ok",
        PARENT_TAG: parent,
        CONTENT_KEY: key,
        TIMING_KEY: timing_key,
        **({"reason": variant.reason} if variant.reason else {}),
    }
    run_id = store.create(f"{variant.model}/{variant.level}", tags)
    settings = flat({"level": study.levels[variant.level].model_dump(mode="json")})
    params = model_params(study, variant.model) | {"level": variant.level} | settings
    store.log(run_id, metrics=_metrics(variant) | _timings(variant), params=params)
    _log_files(store, run_id, files)
    _log_files(store, run_id, _plots(study, variant.model, root), "plots")
    store.client.set_terminated(run_id, "FAILED" if variant.reason else "FINISHED")
    return "created"


def _refresh(store: Store, run: "Run", parent: str, variant: Variant, timing_key: str) -> str:
    """Brings a published variant's timings and parent up to date."""
    tags = run.data.tags
    if tags.get(PARENT_TAG) != parent:
        store.log(run.info.run_id, tags={PARENT_TAG: parent})
    if tags.get(TIMING_KEY) == timing_key:
        return "skipped"
    store.log(run.info.run_id, metrics=_timings(variant), tags={TIMING_KEY: timing_key})
    return "updated"


def _metrics(variant: Variant) -> dict[str, float]:
    """The figures, named so that MLflow groups them by dataset: `utkface/age_mae`."""
    if variant.reason:
        return {}
    figures = {name.replace(".", "/"): float(value) for name, value in variant.figures.items()}
    return figures | {"parameters": float(variant.card.parameters), "macs": float(variant.card.macs)}


def _timings(variant: Variant) -> dict[str, float]:
    """Median latencies, `latency/ms_1_thread`, and the ratio to float32."""
    if variant.timing is None:
        return {}
    medians = {f"latency/ms_{n}_thread": ms.median_ms for n, ms in variant.timing.threads.items()}
    ratio = variant.timing.float32_ratio
    return medians | ({"latency/float32_ratio": ratio} if ratio is not None else {})
