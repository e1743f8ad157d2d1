"""Puts published models where their training would leave them, so that their levels are made again.

    pocketface study use pocket && dvc repro crop_faces learns_from
    python research/remake.py age_gender expression
    dvc commit --force train@age_gender train@expression && dvc repro results
    pocketface publish age_gender --as age_gender --half --test

with the params of the study that a model's card names, when what makes a level has changed and the weights
have not.
"""

import argparse
import shutil
from pathlib import Path

from pocketface import published
from pocketface.cards import ModelCard, write_card
from pocketface.core.files import written_whole
from pocketface.core.outs import MODELS
from pocketface.faces import seen
from pocketface.training.fit import WEIGHTS


def main() -> None:
    """Writes `models/NAME` for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", help="names below weights/")
    for name in parser.parse_args().models:
        restore(published.folder() / name, MODELS / name)


def restore(folder: Path, out: Path) -> None:
    """A published folder as the folder of a trained model, without its curves."""
    card = published.read(folder)
    published.check(folder, card)
    with written_whole(out, folder=True) as partial:
        shutil.copyfile(folder / published.WEIGHTS, partial / WEIGHTS)
        write_card(partial, ModelCard.model_validate(card.model_dump(include=set(ModelCard.model_fields))))
        seen.save(seen.load(folder), partial)


if __name__ == "__main__":
    main()
