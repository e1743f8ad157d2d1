"""Stage `cross_validate@MODEL`: packed faces to the mean and spread of every metric over folds."""

import argparse
from pathlib import Path

from pocketface.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Cross-validates the named model of params.yaml into folds/MODEL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name under `cross_validate:` in params.yaml")
    name = parser.parse_args().model

    from pocketface.faces.duplicates import across
    from pocketface.faces.index import INDEX, FaceSet
    from pocketface.fetching.sources import load_sources
    from pocketface.files import remove
    from pocketface.importing.pretrained import with_pretrained
    from pocketface.study import load_study
    from pocketface.training.fit import identity
    from pocketface.training.folds import cross_validate, save
    from pocketface.training.runtime import limit_threads

    study = load_study()
    limit_threads(study.threads)
    folders = [Path("data/faces") / dataset for dataset in study.trained_on(name)]
    sets, runs = across([FaceSet.load(folder) for folder in folders]), Path("runs/folds") / name
    what = identity(study, name, [folder / INDEX for folder in folders])
    study = with_pretrained(study, name, load_sources())
    save(cross_validate(study, name, sets, runs, what), Path("folds") / name)
    remove(runs)


if __name__ == "__main__":
    main()
