"""Training curves in MLflow while training runs.

A thread talks to the store, so one that is slow, down or refusing costs a warning and never the training.
`track` later takes the run over as the model's, and adds what is missing.
"""

import queue
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pocketface.core.addresses import without_secrets
from pocketface.core.errors import PocketfaceError
from pocketface.tracking.store import Store, address_of, failures_told, flat, open_store
from pocketface.training.settings import Plan

if TYPE_CHECKING:
    import pandas as pd

FINISH_SECONDS = 30
"""How long `finish` waits for the store to take what is left. A new SQLite database takes some 10 s."""

TRAINING_KEY, WEIGHTS, MODEL_KEY = "training_key", "weights_sha256", "model_key"


class LiveCurves:
    """The live run of one training; an earlier run with its `training_key` that `track` has not taken over is
    replaced. Where the store is, says `pocketface.tracking.store.address_of`.
    """

    def __init__(self, study: Plan, model: str, training_key: str, root: Path = Path()):
        self._study, self._model, self._key, self._root = study, model, training_key, root
        self._uri = address_of(root)
        self._epochs: queue.SimpleQueue[tuple[int, dict[str, float]] | None] = queue.SimpleQueue()
        self._weights: str | None = None
        self._warned = False
        self._thread = threading.Thread(target=self._publish, name="live curves", daemon=True)
        self._thread.start()

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Hands over the metrics of one finished epoch, counted from 0; returns at once."""
        self._epochs.put((epoch, dict(metrics)))

    def finish(self, weights_sha256: str) -> None:
        """Ends the run; the hash tells `track` to which model it belongs."""
        self._weights = weights_sha256
        self._epochs.put(None)
        self._thread.join(FINISH_SECONDS)
        if self._thread.is_alive():
            self._warn(
                f"{without_secrets(self._uri)}: the MLflow store did not answer within {FINISH_SECONDS} s; "
                "`pocketface track` adds them"
            )

    def _publish(self) -> None:
        try:
            with failures_told(self._uri):
                store = open_store(self._study, self._uri, self._root)
                run = self._start(store)
                while (item := self._epochs.get()) is not None:
                    log_epoch(store, run, *item)
                self._end(store, run, self._weights or "")
        except PocketfaceError as error:
            self._warn(str(error))

    def _start(self, store: Store) -> str:
        for earlier in store.runs():
            tags = earlier.data.tags
            if tags.get(TRAINING_KEY) == self._key and MODEL_KEY not in tags:
                store.delete(earlier.info.run_id)
        tags = model_tags(self._study, self._model) | {TRAINING_KEY: self._key}
        run = store.create(self._model, tags)
        store.log(run, params=model_params(self._study, self._model))
        return run

    def _end(self, store: Store, run: str, weights: str) -> None:
        """Ends the run; training that only repeated an earlier one leaves the earlier run alone."""
        known = [other.data.tags for other in store.runs() if other.info.run_id != run]
        if any(tags.get("model") == self._model and tags.get(WEIGHTS) == weights for tags in known):
            store.delete(run)
            return
        store.log(run, tags={WEIGHTS: weights})
        store.client.set_terminated(run)

    def _warn(self, message: str) -> None:
        if not self._warned:
            self._warned = True
            print(f"warning: no live curves of {self._model} in MLflow: {message}", file=sys.stderr)


def model_tags(study: Plan, model: str) -> dict[str, str]:
    """What a model's run, and those of its variants, are filtered by."""
    stanza = study.models[model]
    return {
        "kind": "model",
        "study": study.study,
        "model": model,
        "task": ",".join(stanza.heads),
        "dataset": ",".join(study.trained_on(model)),
        "architecture": stanza.architecture,
    }


def log_history(store: Store, run: str, history: "pd.DataFrame", logged: Iterable[int] = ()) -> None:
    """Logs the epochs of a training history, but for those that are there."""
    for epoch in history.to_dict("records"):
        step = int(epoch.pop("epoch"))
        if step not in logged:
            log_epoch(store, run, step, {str(name): value for name, value in epoch.items()})


def log_epoch(store: Store, run: str, epoch: int, metrics: Mapping[str, float]) -> None:
    """Logs an epoch's metrics as MLflow groups them: `training/val_loss`."""
    store.log(run, {f"training/{name}": float(value) for name, value in metrics.items()}, step=epoch)


def model_params(study: Plan, model: str) -> dict[str, object]:
    """A model's stanza of the params, flattened, and the seed."""
    return flat(study.models[model].model_dump(mode="json")) | {"seed": study.seed}
