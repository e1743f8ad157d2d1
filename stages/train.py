"""Stage `train@MODEL`: packed faces to weights, card and learning curves."""

import argparse
from pathlib import Path

from pocketface.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Trains the named model of params.yaml into models/MODEL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name under `models:` in params.yaml")
    name = parser.parse_args().model

    from pocketface.faces.index import INDEX, FaceSet
    from pocketface.fetching.sources import load_sources
    from pocketface.files import sha256
    from pocketface.study import load_study
    from pocketface.tracking import LiveCurves
    from pocketface.training.fit import WEIGHTS, fit, save, training_key
    from pocketface.training.runtime import limit_threads

    study = load_study()
    limit_threads(study.threads)
    dataset = study.models[name].dataset
    folder, out = Path("data/faces") / dataset, Path("models") / name
    curves = LiveCurves(study, name, training_key(study, name, folder / INDEX))
    licence = load_sources().dataset(dataset).licence
    save(fit(study, name, FaceSet.load(folder), licence, curves), out)
    curves.finish(weights_sha256=sha256(out / WEIGHTS))


if __name__ == "__main__":
    main()
