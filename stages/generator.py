"""Makes and measures the face generator, weights/faces-generator; no stage of a study, see docs/generator.md.

python stages/generator.py crop        # data/raw/{utkface,fer2013}/files.zip -> runs/generator/faces
python stages/generator.py train       # -> decoder.tflite, card.json
python stages/generator.py measure     # what the faces are worth, into card.json; or a part of it:
python stages/generator.py measure photographs | kept | distance
python stages/generator.py sheet       # some faces to look at -> docs/generator.png
"""

import argparse
import json
from pathlib import Path

from pocketface.core.errors import exit_cleanly

FOLDER = Path("weights/faces-generator")
SHEET = Path("docs/generator.png")


@exit_cleanly
def main() -> None:
    """Takes one of the three steps, as recipe.yaml says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["crop", "train", "measure", "sheet"])
    parser.add_argument("parts", nargs="*", help="of the measures; all by default")
    arguments = parser.parse_args()
    step = arguments.step

    from PIL import Image

    from pocketface.core.files import rounded
    from pocketface.fetching.sources import load_sources
    from pocketface.generator import make
    from pocketface.generator.recipe import load_recipe
    from pocketface.training.runtime import limit_threads

    recipe = load_recipe(FOLDER)
    limit_threads(recipe.training.threads if step == "train" else recipe.measures.threads)
    if step == "sheet":
        Image.fromarray(make.sheet(FOLDER)).save(SHEET)
    elif step == "crop":
        make.crop_faces(recipe)
    elif step == "train":
        make.train(recipe, load_sources(), FOLDER)
    else:
        print(json.dumps(rounded(make.measure(recipe, FOLDER, arguments.parts or make.PARTS), 4), indent=2))


if __name__ == "__main__":
    main()
