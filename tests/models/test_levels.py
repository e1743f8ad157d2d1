"""Every architecture at the usual levels: it converts, holds what the level says, and answers as it did."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from building import LARGE, SMALL, Plan, enliven
from pocketface.study import Level as Settings
from pocketface.tflite import audit
from pocketface.tflite.calibrate import Calibration
from pocketface.tflite.convert import make
from pocketface.tflite.converter import to_tflite
from pocketface.tflite.levels import LEVELS
from pocketface.tflite.run import Runner

USUAL = ("float32", "float16", "dynamic_int8", "int8")
PLANS = [
    *(pytest.param(plan, id=f"{i}-{plan}") for i, plan in enumerate(SMALL)),
    *(pytest.param(plan, id=str(plan), marks=pytest.mark.slow) for plan in LARGE),
]
YEARS, PROBABILITY = 5.0, 0.15
"""How far int8 may be off: nothing was trained, so this only tells a working graph from a broken one."""


@pytest.mark.parametrize("plan", PLANS)
def test_an_architecture_converts_at_the_usual_levels(plan: Plan, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model, faces = plan.build(), plan.faces()
    enliven(model)
    expected = {head: np.asarray(answer) for head, answer in model(faces.astype(np.float32)).items()}
    calibration = Calibration(
        faces, [f"{i}.jpg" for i in range(len(faces))], pd.DataFrame(index=range(len(faces)))
    )
    float32, sizes = to_tflite(model), {}
    for name in USUAL:
        level = LEVELS[name]
        file = make({}, model, level, Settings(), calibration, float32).file
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
