"""The published weights that a training starts from.

study = with_pretrained(study, "age_gender")    # options: weights: mobilenet_v2_1.0, and its file instead
"""

from pathlib import Path

from pocketface.fetching.obtain import ARCHIVES, obtain
from pocketface.fetching.sources import Sources
from pocketface.models import PRETRAINED
from pocketface.study import Study

FILE = ".h5"


def with_pretrained(study: Study, model: str, sources: Sources, folder: Path = ARCHIVES) -> Study:
    """The study, with the file in place of the name of the weights that a model starts from; it is fetched.

    Args:
        study: the params.
        model: its option `weights` is a name under `weights:` in data/sources.yaml, or already a file.
        sources: what is in data/sources.yaml.
        folder: where archives are kept.

    Raises:
        PocketfaceError: no such name; or its file could not be had, or is the wrong one.
    """
    stanza = study.models[model]
    named = stanza.options.get(PRETRAINED)
    if named is None or str(named).endswith(FILE):
        return study
    path = obtain(sources.weight(str(named)), folder)[0].parts[0]
    started = stanza.model_copy(update={"options": stanza.options | {PRETRAINED: path.as_posix()}})
    return study.model_copy(update={"models": study.models | {model: started}})
