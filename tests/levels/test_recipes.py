"""What a level needs, and how it may be asked for."""

import subprocess
import sys

import pytest

from making_levels import SETTINGS
from pocketface.cards import MODEL_FILE, VariantCard, read_card
from pocketface.core.files import sha256
from pocketface.levels import LEVELS, recipes

BY_TENSORFLOW = {"float16", "dynamic_int8", "int16x8", "qat_int8"}
CONVERT = """
import sys
from pathlib import Path
from pocketface.levels.convert import convert
from pocketface.levels.settings import LevelSettings
exported, views, out, settings, *levels = sys.argv[1:]
for level in levels:
    plan = LevelSettings.model_validate_json(settings)
    convert(Path(exported), Path(views), level, plan, Path(out) / level)
    print(level, *{"tensorflow", "keras"} & set(sys.modules))
"""


def test_what_the_quantizer_makes_imports_no_tensorflow_and_repeats(levels, tmp_path) -> None:
    free = [level for level in LEVELS if level not in BY_TENSORFLOW]
    arguments = [levels.exported, levels.views, tmp_path, SETTINGS.model_dump_json(), *free, "float16"]
    command = [sys.executable, "-c", CONVERT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    *printed, last = done.stdout.splitlines()
    assert printed == free
    assert last.startswith("float16 ") and "tensorflow" in last, "the test would see it"
    for level in free:
        assert sha256(tmp_path / level / MODEL_FILE) == sha256(levels.variants / level / MODEL_FILE)


@pytest.mark.parametrize(("level", "maker"), [("float16", "converter"), ("int8", "quantizer")])
def test_the_card_says_what_made_the_file(levels, level: str, maker: str) -> None:
    assert read_card(levels.variants / level, VariantCard).maker == maker


def test_for_answers_is_the_same_recipe_with_other_rounding() -> None:
    asked = []
    recipes.for_answers(lambda source, level, settings: asked.append(settings))(None, None, SETTINGS)
    assert asked == [SETTINGS.model_copy(update={"rounding": "gptq"})]
