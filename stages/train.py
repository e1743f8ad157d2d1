"""Stage `train@MODEL`: packed faces to weights, card and learning curves.

A training that was killed is continued when it is started again, to the same bytes: runs/MODEL/ holds its
last checkpoints until it is done, and its curves for TensorBoard.
"""

import argparse

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Trains the named model of params.yaml into models/MODEL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name under `models:` in params.yaml")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_const", const="resume", dest="how", help="or fail")
    start.add_argument("--fresh", action="store_const", const="fresh", dest="how", help="never resume")
    arguments = parser.parse_args()
    name = arguments.model

    from pocketface.core.files import sha256
    from pocketface.core.params import part
    from pocketface.faces.duplicates import across
    from pocketface.faces.index import FaceSet
    from pocketface.fetching.sources import load_sources
    from pocketface.importing.pretrained import terms, with_pretrained
    from pocketface.importing.teachers import asked
    from pocketface.tracking.live import LiveCurves
    from pocketface.training.callbacks import tensorboard
    from pocketface.training.checkpoints import Checkpoints
    from pocketface.training.fit import WEIGHTS, fit, identity, save, training_key
    from pocketface.training.runtime import limit_threads
    from pocketface.training.settings import Plan

    plan = part(Plan)
    limit_threads(plan.threads)
    datasets = plan.trained_on(name)
    folders = [outs.FACES / dataset for dataset in datasets]
    run, out = outs.RUNS / name, outs.MODELS / name
    what = identity(plan, name, folders)
    checkpoints = Checkpoints(run / "checkpoints", what)
    checkpoints.start(arguments.how or "auto")
    live = LiveCurves(plan, name, training_key(what))
    sources = load_sources()
    licence = terms(plan, name, sources)
    curves = [live.log, tensorboard(run / "tensorboard")]
    sets = across([FaceSet.load(folder) for folder in folders])
    plan = with_pretrained(plan, name, sources)
    stanza = plan.models[name]
    teachers = stanza.recipe.teachers
    teach = asked(teachers.weights, sets, stanza.learned) if teachers else None
    save(fit(plan, name, sets, licence, curves, checkpoints, teach), out)
    checkpoints.clear()
    live.finish(weights_sha256=sha256(out / WEIGHTS))


if __name__ == "__main__":
    main()
