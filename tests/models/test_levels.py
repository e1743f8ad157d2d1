"""Every architecture at the usual levels: it converts, holds what the level says, and answers as it did."""

from pathlib import Path

import keras
import numpy as np
import pytest

from building import LARGE, SMALL, Plan, enliven
from pocketface.tflite import audit
from pocketface.tflite.converter import to_tflite
from pocketface.tflite.levels import LEVELS, Level
from pocketface.tflite.quantizer import quantize
from pocketface.tflite.ranges import measure
from pocketface.tflite.run import Runner

USUAL = ("float32", "float16", "dynamic_int8", "int8")
PLANS = [
    *(pytest.param(plan, id=f"{i}-{plan}") for i, plan in enumerate(SMALL)),
    *(pytest.param(plan, id=str(plan), marks=pytest.mark.slow) for plan in LARGE),
]
YEARS, PROBABILITY = 5.0, 0.15
"""How far int8 may be off: nothing was trained, so this only tells a working graph from a broken one."""


def converted(model: keras.Model, level: Level, faces: np.ndarray) -> bytes:
    if level.maker == "converter":
        return to_tflite(model, level, faces if level.calibrated else None)
    float32 = to_tflite(model)
    return quantize(float32, level, measure(float32, faces, "minmax"), per_channel=True)


@pytest.mark.parametrize("plan", PLANS)
def test_an_architecture_converts_at_the_usual_levels(plan: Plan, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model, faces = plan.build(), plan.faces()
    enliven(model)
    expected = {head: np.asarray(answer) for head, answer in model(faces.astype(np.float32)).items()}
    sizes = {}
    for name in USUAL:
        level = LEVELS[name]
        file = converted(model, level, faces)
        audit.check(audit.read(file), level)
        (tmp_path / "model.tflite").write_bytes(file)
        answers = Runner(tmp_path / "model.tflite")(faces)
        assert set(answers) == set(plan.heads), "outputs that serve training only stay out of the export"
        for head, answer in answers.items():
            allowed = YEARS if head == "age" else PROBABILITY
            error = np.abs(answer - expected[head]).max()
            assert error < (allowed * 1e-3 if name == "float32" else allowed), (name, head)
            if np.ptp(expected[head], axis=0).max() > allowed / 5 or not level.calibrated:
                assert np.ptp(answer, axis=0).max() > 0, (name, head)
        sizes[name] = len(file)
    assert max(sizes["float16"], sizes["dynamic_int8"]) < sizes["float32"]
