"""What a level needs, and how it may be asked for."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from making_levels import SETTINGS
from pocketface.cards import CARD, MODEL_FILE, VariantCard, read_card
from pocketface.core.files import sha256
from pocketface.levels import LEVELS, recipes
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize

BY_TENSORFLOW = {"int16x8", "qat_int8"}
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
    arguments = [levels.exported, levels.views, tmp_path, SETTINGS.model_dump_json(), *free]
    command = [sys.executable, "-c", CONVERT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == free
    assert {"tensorflow", "keras"} <= set(sys.modules), "the test would see it"
    for level in free:
        for name in (CARD, MODEL_FILE):
            assert sha256(tmp_path / level / name) == sha256(levels.variants / level / name)


@pytest.mark.parametrize(("level", "maker"), [("int16x8", "converter"), ("float16", "quantizer")])
def test_the_card_says_what_made_the_file(levels, level: str, maker: str) -> None:
    assert read_card(levels.variants / level, VariantCard).maker == maker


def test_for_answers_is_the_same_recipe_with_other_rounding() -> None:
    asked = []
    recipes.for_answers(lambda source, level, settings: asked.append(settings))(None, None, SETTINGS)
    assert asked == [SETTINGS.model_copy(update={"rounding": "gptq"})]


def test_channels_of_zeros_have_a_scale_at_four_bits() -> None:
    image = keras.Input((8, 8, 3))
    wide = keras.layers.Conv2D(64, 3, padding="same")(image)
    model = keras.Model(image, {"answer": keras.layers.DepthwiseConv2D(3)(keras.layers.Conv2D(64, 1)(wide))})
    for layer in model.layers[1:]:
        kernel, bias = layer.get_weights()
        kernel[..., 2, :] = 0  # of a depthwise layer its channel, of the others an input
        kernel[..., -1] = 0
        layer.set_weights([kernel, bias])
    made = quantize(to_tflite(model), LEVELS["int4_weights"])
    pixels = np.random.default_rng(0).integers(0, 2, (1, 8, 8, 3), np.uint8)
    scales = [
        q.scale for t in made.model.subgraphs[0].tensors if (q := t.quantization) and q.scale is not None
    ]
    assert len(scales) == 2 and all((np.array(one) > 0).all() for one in scales)
    assert np.isfinite(made.answers(pixels)["answer"]).all()
