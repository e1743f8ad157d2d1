"""Stage `cross_validate@MODEL`: packed faces to the mean and spread of every metric over folds."""

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.core.params import argument, part


@exit_cleanly
def main() -> None:
    """Cross-validates the named model of params.yaml into folds/MODEL."""
    name = argument("model", "a name under `cross_validate:` in params.yaml", __doc__)

    from pocketface.core.files import remove
    from pocketface.faces.duplicates import across
    from pocketface.faces.index import FaceSet
    from pocketface.fetching.sources import load_sources
    from pocketface.importing.pretrained import with_pretrained
    from pocketface.training.fit import identity
    from pocketface.training.folds import cross_validate, save
    from pocketface.training.runtime import limit_threads
    from pocketface.training.settings import Plan

    plan = part(Plan)
    limit_threads(plan.threads)
    folders = [outs.FACES / dataset for dataset in plan.trained_on(name)]
    sets, runs = across([FaceSet.load(folder) for folder in folders]), outs.RUNS / "folds" / name
    what = identity(plan, name, folders)
    plan = with_pretrained(plan, name, load_sources())
    save(cross_validate(plan, name, sets, runs, what), outs.FOLDS / name)
    remove(runs)


if __name__ == "__main__":
    main()
