"""Every architecture at the usual levels: it converts, holds what the level says, and answers as it did."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from example_models import LARGE, OWN_LAYERS, SMALL, Plan, calibrated, enliven
from pocketface.levels import LEVELS
from pocketface.levels.converter import to_tflite
from pocketface.levels.settings import LevelSettings as Settings
from pocketface.levels.source import NETWORK, WEIGHTS, network

USUAL = ("float32", "float16", "dynamic_int8", "int8")
OTHERS, LAST = SMALL[:-1], SMALL[-1]
PLANS = [
    pytest.param(LAST, USUAL, id=f"{LAST}-usual"),
    *(pytest.param(plan, ("float32", "int8"), id=f"{i}-{plan}") for i, plan in enumerate(OTHERS)),
    *(
        pytest.param(plan, USUAL, id=f"{i}-{plan}-usual", marks=pytest.mark.slow)
        for i, plan in enumerate([*OTHERS, *LARGE])
        if plan.architecture != "deepface_vgg"  # minutes a face on LiteRT's own kernels; see below
    ),
]
YEARS, PROBABILITY = 5.0, 0.15
"""How far int8 may be off: nothing was trained, so this only tells a working graph from a broken one."""


@pytest.mark.parametrize(("plan", "levels"), PLANS)
def test_an_architecture_converts_at_the_usual_levels(
    plan: Plan, levels: tuple[str, ...], tmp_path: Path
) -> None:
    """And one with layers of our own, read back from what `export` keeps of it, to the same bytes."""
    keras.utils.set_random_seed(1)
    model, faces = plan.build(), plan.faces()
    enliven(model)
    expected = {head: np.asarray(answer) for head, answer in model(faces.astype(np.float32)).items()}
    source, sizes = calibrated(model, faces), {}
    for name in levels:
        level = LEVELS[name]
        file = level.make(source, Settings()).file
        level.check(file)
        answers = file.answers(faces)
        assert set(answers) == set(plan.heads), "outputs that serve training only stay out of the export"
        for head, answer in answers.items():
            allowed = YEARS if head == "age" else PROBABILITY
            error = np.abs(answer - expected[head]).max()
            assert error < (allowed * 1e-3 if name == "float32" else allowed), (name, head)
            if np.ptp(expected[head], axis=0).max() > allowed / 5 or not level.calibrated:
                assert np.ptp(answer, axis=0).max() > 0, (name, head)
        sizes[name] = len(file.content)
    if levels == USUAL:
        assert max(sizes["float16"], sizes["dynamic_int8"]) < sizes["float32"]
    if plan in OWN_LAYERS:
        (tmp_path / NETWORK).write_text(model.to_json(), encoding="utf-8")
        model.save_weights(tmp_path / WEIGHTS)
        assert to_tflite(network(tmp_path)) == source.float32


VGG = """
import json, resource, sys
import keras
from pocketface import models
from pocketface.faces.settings import Input
from pocketface.levels import LEVELS
from pocketface.levels.converter import to_tflite
from pocketface.levels.settings import LevelSettings
from pocketface.levels.source import Source

head, level = sys.argv[1:]
keras.utils.set_random_seed(1)
model = models.build("deepface_vgg", Input(size=224), [head], {"age": "expected"} if head == "age" else {})
file = LEVELS[level].make(Source({}, to_tflite(model), None, lambda: model), LevelSettings()).file
LEVELS[level].check(file)
memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"float32": 4 * model.count_params(), "size": len(file.content), "memory": memory}))
"""


@pytest.mark.slow  # 5 GB, half a minute each
@pytest.mark.parametrize(("level", "share"), [("dynamic_int8", 0.25), ("float16", 0.5)])
@pytest.mark.parametrize("head", ["age", "gender"])
def test_deepface_vgg_converts_without_running_out_of_memory(head: str, level: str, share: float) -> None:
    done = subprocess.run(
        [sys.executable, "-c", VGG, head, level], check=True, capture_output=True, text=True, timeout=1800
    )
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"\ndeepface_vgg {head} {level}: {found['size']:,} bytes, {found['memory'] / 1e9:.1f} GB memory")
    assert found["size"] / found["float32"] == pytest.approx(share, rel=0.01)
    assert found["memory"] < 24e9
