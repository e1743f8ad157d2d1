"""Stage `learns_from@MODEL`: the faces and the weights of weights/ that a training uses, by their hashes.

A dependency cannot be a list in dvc.yaml, and what a model learns from is one: its dataset or those of a mix,
the weights that it starts from, its teachers. So their hashes are written to `data/learns_from/MODEL.json`,
which changes when they do, and the training depends on it; so are the order of a mix, whose first one is the
main one, the terms of the datasets, which go into the card, and where weights that are fetched come from.
"""

from pathlib import Path

from pocketface.core import outs
from pocketface.core.errors import PocketfaceError, exit_cleanly
from pocketface.core.files import sha256, write_json
from pocketface.core.params import argument, part
from pocketface.fetching.sources import load_sources
from pocketface.models import PRETRAINED
from pocketface.training.settings import Plan


@exit_cleanly
def main() -> None:
    """Writes data/learns_from/MODEL.json."""
    name = argument("model", "a name under `models:` in params.yaml", __doc__)

    plan = part(Plan)
    datasets = plan.trained_on(name)
    folders = [outs.FACES / dataset for dataset in datasets]
    folders += map(Path, plan.models[name].recipe.published)
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise PocketfaceError(f"models.{name} learns from {', '.join(missing)}, which is not there")
    files = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()]
    sources = load_sources()
    start = sources.weights.get(str(plan.models[name].options.get(PRETRAINED)))
    if start and start.kept:
        files.append(Path(start.kept))
    found: dict[str, object] = {str(path): sha256(path) for path in files}
    if terms := [sources.datasets[one].licence for one in datasets if one in sources.datasets]:
        found["terms"] = terms
    if len(datasets) > 1:
        found["datasets"] = datasets
    if start and not start.kept:
        found["start"] = [copy for part in start.parts() for copy in part.copies()]
    write_json(outs.LEARNS_FROM / f"{name}.json", found)


if __name__ == "__main__":
    main()
