"""The same training under Keras' other backends, where they are installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pocketface.cards import ModelCard, read_card
from pocketface.training.fit import load

TESTS = Path(__file__).parent.parent

TRAIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from tiny_training import banded, face_set, study
from pocketface.training.checkpoints import Checkpoints
from pocketface.training.fit import fit, save
out = Path(sys.argv[2])
changes = {"epochs": 3, "watch": {"metric": "age_mae", "patience": 9}, "augment": {"flip": True}}
plan, faces = study({"age": "expected"}, **changes), banded(face_set(), every=2)
trained = fit(plan, "small", [faces], "research only", [], Checkpoints(out / "kept", {}))
save(trained, out / "model")
pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.float32)
np.savez(out / "answers.npz", **trained.model.predict(pixels, verbose=0))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_model_trained_under_another_backend_answers_the_same_here(backend: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: `uv pip install {backend}` to train with it")
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(TESTS), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    card = read_card(tmp_path / "model", ModelCard)
    assert card.training["backend"] == backend
    model = load(card, tmp_path / "model")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.float32)
    answers = np.load(tmp_path / "answers.npz")
    for head, answer in model.predict(pixels, verbose=0).items():
        np.testing.assert_allclose(answer, answers[head], rtol=1e-4, atol=1e-4)
