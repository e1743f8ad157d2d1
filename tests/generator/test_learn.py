"""A training of a few steps on drawn canvases, to the file that a decoder runs."""

from pathlib import Path

import numpy as np
import pytest

from pocketface.generator.canvases import SIZE, Canvases
from pocketface.generator.conditions import KNOTS, SHOWN, WIDTH
from pocketface.generator.decoder import FILE, Decoder
from pocketface.generator.recipe import Training

COUNT = 24
RECIPE = Training(seed=1, threads=2, critic_epochs=2, epochs=4, batch_size=8, learning_rate=0.003)


def canvases() -> Canvases:
    """Half colour and half grey; women are bright."""
    random = np.random.default_rng(1)
    colour = np.arange(COUNT) < COUNT // 2
    gender = np.where(colour, np.arange(COUNT) % 2, -1)
    bright = 150 * (np.arange(COUNT) % 2)[:, None, None, None]
    pixels = random.integers(0, 60, (COUNT, SIZE, SIZE, 3)) + bright
    return Canvases(
        pixels=pixels.astype(np.uint8),
        seen=np.ones((COUNT, SIZE, SIZE), bool),
        colour=colour,
        age=np.where(colour, 30, np.nan).astype(np.float32),
        gender=gender,
        expression=np.where(colour, -1, np.arange(COUNT) % 7),
    )


@pytest.mark.slow
def test_a_training_becomes_a_file_that_draws_what_it_is_asked_for(tmp_path: Path, capsys):
    from pocketface.generator import density
    from pocketface.generator.learn import guess, learn, learn_critic
    from pocketface.training.runtime import seed_everything

    seed_everything(1)
    faces = canvases()
    critic = learn_critic(faces, RECIPE)
    conditions = guess(critic, faces)
    assert conditions.shape == (COUNT, WIDTH)
    known = conditions[faces.colour]
    assert known[:, : len(KNOTS)] @ KNOTS == pytest.approx(30), "labels that are known are not guessed"
    assert conditions[:, -7:].sum(1) == pytest.approx(1, abs=1e-3)

    learnt = learn(faces, critic, RECIPE, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"encoder.weights.h5", "decoder.weights.h5"}
    *_, last = [line for line in capsys.readouterr().out.splitlines() if line.startswith("generator")]
    assert last.startswith("generator 12/12")

    mean, variance = density.latents(learnt.encoder, faces, conditions)
    model = density.generator(learnt.decoder, *density.regress(mean, variance, conditions))
    (tmp_path / FILE).write_bytes(density.to_tflite(model))
    decoder = Decoder(tmp_path)
    noise = np.random.default_rng(2).standard_normal((3, decoder.latent)).astype(np.float32)
    drawn = decoder(noise, conditions[:3])
    assert drawn.shape == (3, SIZE, SIZE, 3)
    again = model({"noise": noise, "condition": conditions[:3]})["face"]
    assert drawn == pytest.approx(np.asarray(again), abs=3), "the file draws what the model does"


def test_latents_given_the_labels_have_the_mean_and_spread_that_they_were_drawn_with():
    from pocketface.generator.density import regress
    from pocketface.generator.networks import LATENT

    random = np.random.default_rng(4)
    conditions = random.random((4000, WIDTH))
    weights = random.normal(size=(WIDTH, LATENT))
    spread = random.normal(size=(LATENT, LATENT)) / 8
    mean = conditions @ weights + 2 + random.standard_normal((4000, LATENT)) @ spread
    variance = np.full((4000, LATENT), 0.25)
    found, bias, factor = regress(mean, variance, conditions)
    assert conditions[:5] @ found + bias == pytest.approx(conditions[:5] @ weights + 2, abs=0.35)
    clearer, moved, same = regress(mean, variance, conditions, clarity=2)
    assert clearer[SHOWN:] == pytest.approx(2 * found[SHOWN:]) and (clearer[:SHOWN] == found[:SHOWN]).all()
    centre = conditions.mean(0)
    assert centre @ clearer + moved == pytest.approx(centre @ found + bias), "the mean face stays"
    assert (same == factor).all()
    assert factor.T @ factor == pytest.approx(spread.T @ spread + 0.25 * np.eye(LATENT), abs=0.15)
