"""Makes and measures the face generator, weights/faces-generator; see README.md beside this file.

Run from the root of the repository, with the project installed:

python -m research.generator crop        # data/raw/{utkface,fer2013}/files.zip -> runs/generator/faces
python -m research.generator train       # -> decoder.tflite, card.json
python -m research.generator measure     # what the faces are worth, into card.json; or a part of it:
python -m research.generator measure photographs | kept | distance
python -m research.generator sheet       # some faces to look at -> research/generator/faces.png
"""

import argparse
import json
from pathlib import Path

from pocketface.core.errors import exit_cleanly

HERE = Path(__file__).parent
FOLDER = Path("weights/faces-generator")
SHEET = HERE / "faces.png"


@exit_cleanly
def main() -> None:
    """Takes a step, as recipe.yaml says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("step", choices=["crop", "train", "measure", "sheet"])
    parser.add_argument("parts", nargs="*", help="of the measures; all by default")
    arguments = parser.parse_args()
    step = arguments.step

    from PIL import Image

    from pocketface.core.files import rounded
    from pocketface.core.params import part
    from pocketface.training.runtime import limit_threads
    from research.generator import make
    from research.generator.recipe import Recipe

    recipe = part(Recipe, path=HERE / "recipe.yaml")
    limit_threads(recipe.training.threads if step == "train" else recipe.measures.threads)
    if step == "sheet":
        Image.fromarray(make.sheet(FOLDER)).save(SHEET)
    elif step == "crop":
        make.crop_faces(recipe)
    elif step == "train":
        make.train(recipe, FOLDER)
    else:
        print(json.dumps(rounded(make.measure(recipe, FOLDER, arguments.parts or make.PARTS), 4), indent=2))


if __name__ == "__main__":
    main()
