"""The saved view: one link that opens MLflow's table of a study's variants with the columns that answer.

MLflow keeps a view in a tag of the experiment, and opens it by a parameter of the address.
"""

import base64
import json
import re
import zlib
from collections.abc import Sequence
from urllib.parse import urlsplit

from pocketface.results.table import Row
from pocketface.tracking.run_data import LATENCY_MS, LOST, SIZE_MB, name_of
from pocketface.tracking.store import NOTE_TAG, Store

NAME, KEY, PORT = "Variants: what each level lost", "variants", 5000
TAG = f"mlflow.sharedViewState.{KEY}"
CURRENT = "current"
"""Tag of the runs that are of the study as it is now."""
LONGEST = 5000
"""Letters that a tag may have in every store."""
SECTION = {"uuid": "main", "name": "Main metrics and costs", "display": True, "isReordered": True}


def state(mains: Sequence[Row]) -> dict[str, object]:
    """What MLflow shows: verdict, change and costs first, then every main metric; as charts, the same."""
    names, costs = list(dict.fromkeys(map(name_of, mains))), [LOST, SIZE_MB, LATENCY_MS]
    columns = ["tags.`verdict`", "tags.`change`", "tags.`champion`", *(f"metrics.`{cost}`" for cost in costs)]
    for name in names:
        columns += [f"metrics.`{kind}{name}`" for kind in ("", "change/", "p/")] + [f"tags.`verdict/{name}`"]
    widths = {column: 80 + 4 * len(column) for column in columns} | {"tags.`change`": 420}
    bar = {"type": "BAR", "metricSectionId": SECTION["uuid"], "runsCountToCompare": 100, "deleted": False}
    charts = [*names, *(f"change/{name}" for name in names), *costs]
    return {
        "searchFilter": f"tags.kind = 'variant' and tags.{CURRENT} = 'yes'",
        "orderByKey": f"metrics.`{LOST}`",
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": widths,
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [bar | {"uuid": key, "metricKey": key} for key in charts],
        "compareRunSections": [SECTION],
        "isAccordionReordered": True,
    }


def describe(store: Store, note: str, mains: Sequence[Row]) -> None:
    """Brings the experiment's description and its saved view up to date."""
    experiment = store.client.get_experiment(store.experiment)
    packed = base64.b64encode(zlib.compress(json.dumps(state(mains)).encode(), 9)).decode()
    made = experiment.creation_time
    view = {"name": NAME, "createdAt": made, "updatedAt": made, "state": f"deflate;{packed}"}
    for tag, value in {NOTE_TAG: shortened(note), TAG: json.dumps(view)}.items():
        if experiment.tags.get(tag) != value:
            store.client.set_experiment_tag(store.experiment, tag, value)


def shortened(note: str) -> str:
    """A text in Markdown as a description: without links within its page, and cut between lines."""
    note = re.sub(r"\[([^]]*)\]\(#[^)]*\)", r"\1", note)
    return note if len(note) <= LONGEST else note[: note.rindex("\n", 0, LONGEST)]


def link(address: str, experiment: str) -> str:
    """Where the view opens: on the server at an address, or on one of this machine's; without secrets."""
    parts = urlsplit(address)
    at_server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    server = at_server if parts.scheme in ("http", "https") else f"http://127.0.0.1:{PORT}"
    return f"{server}/#/experiments/{experiment}/runs?viewStateShareKey={KEY}"
