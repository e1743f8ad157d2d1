"""Training the generator: first a critic that reads faces, then an auto-encoder that pleases it.

    critic = learn_critic(canvases, recipe)
    encoder, decoder = learn(canvases, critic, recipe, folder)

A variational auto-encoder alone draws blurred people. What a model is to learn from them (age, gender,
expression) is a matter of details that weigh little in pixels, so faces are compared as the critic sees them,
too (Hou and others, Deep Feature Consistent Variational Autoencoder, 2017). Half of every batch is faces
with the latents of one person, and the age and gender of others: the critic must read these from them, so
that they are obeyed when they are drawn independently of all else.

Of an expression the networks are told nothing: a decoder that is told paints signs that the critic reads, and
no real face has. It lies in the latents, see `research.generator.density`.

Ages and genders that a dataset lacks are the critic's answers.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pocketface.synthetic.conditions import KNOTS, join
from research.generator import networks
from research.generator.canvases import Canvases
from research.generator.networks import LEFT, SHOWN, TOP, WINDOW
from research.generator.recipe import Training

SHIFT = 3
"""Pixels that the critic's window is moved by, at most."""
NOISE = 0.04
"""Standard deviation of the grain over what the critic sees, 0..1."""


def learn_critic(canvases: Canvases, recipe: Training) -> keras.Model:
    """Trains the critic on all that is labelled; half of the colour faces are made grey."""
    critic = networks.critic()
    steps = recipe.critic_epochs * (len(canvases) // recipe.batch_size)
    optimizer = _adam(recipe, steps)

    @tf.function
    def step(pixels, seen, colour, age, gender, expression):
        images = _window(_greyed(_floats(pixels), tf.random.uniform(tf.shape(colour)) < 0.5), SHIFT)
        images = _worn(images)
        with tf.GradientTape() as tape:
            answers = critic(images, training=True)
            losses = _reading(answers, age, tf.one_hot(gender, 2), tf.one_hot(expression, 7), smoothing=0.05)
            loss = tf.add_n(losses)
        gradients = tape.gradient(loss, critic.trainable_variables)
        optimizer.apply_gradients(zip(gradients, critic.trainable_variables, strict=True))
        return losses

    log = _Log("critic", steps)
    for batch in _batches(canvases, recipe, recipe.critic_epochs, 0):
        log(step(*batch))
    return critic


def guess(critic: keras.Model, canvases: Canvases) -> np.ndarray:
    """Conditions `[N, WIDTH]`: the labels, and the critic's answers where they miss."""
    parts = []
    for start in range(0, len(canvases), 256):
        images = _window(_floats(canvases.pixels[start : start + 256]), 0)
        answers = critic(images, training=False)[:3]
        parts.append([answers[0][:, 0] * 10, tf.nn.softmax(answers[1]), tf.nn.softmax(answers[2])])
    age, gender, expression = (np.concatenate(part).astype(float) for part in zip(*parts, strict=True))
    age = np.where(np.isnan(canvases.age), np.clip(age, 0, 100), canvases.age)
    for answers, labels in ((gender, canvases.gender), (expression, canvases.expression)):
        known = labels >= 0
        answers[known] = np.eye(answers.shape[1])[labels[known]]
    return join(age, gender, expression)


def learn(
    canvases: Canvases, critic: keras.Model, recipe: Training, keep: Path
) -> tuple[keras.Model, keras.Model]:
    """Trains an encoder, and a decoder of which the moving average is returned; the critic stays as it is.

    The folder `keep` has the weights so far, after every epoch.
    """
    conditions = guess(critic, canvases)[:, :SHOWN]
    encoder, decoder = networks.encoder(), networks.decoder()
    averaged = networks.decoder()
    averaged.set_weights(decoder.get_weights())
    steps = recipe.epochs * (len(canvases) // recipe.batch_size)
    optimizer = _adam(recipe, steps)
    trained = encoder.trainable_variables + decoder.trainable_variables
    optimizer.build(trained)
    critic.trainable = False

    @tf.function
    def step(pixels, seen, colour, condition, wanted):
        truth = _floats(pixels)
        shown = _greyed(truth, tf.logical_or(~colour, tf.random.uniform(tf.shape(colour)) < 0.3))
        batch = tf.shape(truth)[0]
        half = batch // 2
        mask = tf.cast(seen, tf.float32)[..., None]
        with tf.GradientTape() as tape:
            mean, spread = encoder([_window(shown, 0), condition], training=True)
            z = mean + tf.exp(spread / 2) * tf.random.normal(tf.shape(mean))
            swapped = tf.stop_gradient(z[:half])
            told = tf.concat([condition, wanted[:half]], 0)
            drawn = decoder([tf.concat([z, swapped], 0), told], training=True)
            again, other = drawn[:batch], drawn[batch:]
            difference = tf.where(colour[:, None, None, None], again - truth, _grey(again) - _grey(truth))
            pixel = tf.reduce_sum(mask * _charbonnier(difference)) / (3 * tf.reduce_sum(mask))
            divergence = -0.5 * tf.reduce_sum(1 + spread - mean**2 - tf.exp(spread), 1)
            place = tf.random.uniform((2,), -SHIFT, SHIFT + 1, tf.int32)
            as_shown = tf.where(colour[:, None, None, None], again, _grey(again))
            seen_true = critic(_noisy(_at(truth, place)), training=False)
            seen_drawn = critic(_noisy(_at(tf.concat([as_shown, other], 0), place)), training=False)
            feature = _likeness(seen_true[3:], [part[:batch] for part in seen_drawn[3:]])
            felt = tf.nn.softmax(seen_true[2])  # one person's latents, whatever the labels
            reading = tf.add_n(_reading_of(seen_drawn, told, tf.concat([felt, felt[:half]], 0)))
            loss = (
                10 * pixel
                + recipe.divergence * tf.reduce_mean(divergence)
                + recipe.features * feature
                + recipe.labels * reading
            )
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))
        done = tf.cast(optimizer.iterations, tf.float32)
        kept = tf.minimum(recipe.average, (1 + done) / (10 + done))  # short at first
        for average, weight in zip(averaged.weights, decoder.weights, strict=True):
            average.assign(kept * average + (1 - kept) * weight)
        return pixel, tf.reduce_mean(divergence), feature, reading

    log = _Log("generator", steps)
    each = len(canvases) // recipe.batch_size
    random = np.random.default_rng([recipe.seed, 1])
    for number, batch in enumerate(_batches(canvases, recipe, recipe.epochs, 1, conditions)):
        log(step(*batch, _shuffled(conditions, recipe.batch_size, random)))
        if (number + 1) % each == 0:
            encoder.save_weights(keep / "encoder.weights.h5")
            averaged.save_weights(keep / "decoder.weights.h5")
    return encoder, averaged


def _shuffled(conditions: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Independent labels: age and gender, each of another face."""
    age, gender = (conditions[random.integers(0, len(conditions), count)] for _ in range(2))
    return np.concatenate([age[:, : len(KNOTS)], gender[:, len(KNOTS) :]], 1)


def _batches(
    canvases: Canvases, recipe: Training, epochs: int, phase: int, conditions: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, ...]]:
    """Whole batches in random order, half of them mirrored; with the labels, or with the conditions."""
    for epoch in range(epochs):
        random = np.random.default_rng([recipe.seed, phase, epoch])
        order = random.permutation(len(canvases))
        for start in range(0, len(order) - recipe.batch_size + 1, recipe.batch_size):
            chosen = order[start : start + recipe.batch_size]
            pixels, seen = canvases.pixels[chosen], canvases.seen[chosen]
            mirrored = random.random(len(chosen)) < 0.5
            pixels[mirrored] = pixels[mirrored, :, ::-1]
            seen[mirrored] = seen[mirrored, :, ::-1]
            common = pixels, seen, canvases.colour[chosen]
            if conditions is None:
                yield *common, canvases.age[chosen], canvases.gender[chosen], canvases.expression[chosen]
            else:
                yield *common, conditions[chosen]


def _floats(pixels):
    return tf.cast(pixels, tf.float32) / 255


def _grey(images):
    grey = tf.reduce_sum(images * [0.299, 0.587, 0.114], -1, keepdims=True)
    return tf.repeat(grey, 3, -1)


def _greyed(images, which):
    return tf.where(which[:, None, None, None], _grey(images), images)


def _window(images, shift: int):
    place = tf.random.uniform((2,), -shift, shift + 1, tf.int32) if shift else tf.zeros(2, tf.int32)
    return _at(images, place)


def _at(images, place):
    """The critic's window, moved by `place`, [down, right]."""
    begin = tf.stack([0, TOP + place[0], LEFT + place[1], 0])
    return tf.ensure_shape(tf.slice(images, begin, [-1, WINDOW, WINDOW, 3]), (None, WINDOW, WINDOW, 3))


def _worn(images):
    """Half of them blurred, all with grain: what is left to read is not a matter of single pixels."""
    blurred = tf.nn.avg_pool2d(images, 3, 1, "SAME")
    images = tf.where(tf.random.uniform((tf.shape(images)[0], 1, 1, 1)) < 0.5, blurred, images)
    return _noisy(images, tf.random.uniform((tf.shape(images)[0], 1, 1, 1), 0.0, 2 * NOISE))


def _noisy(images, grain=NOISE):
    """With grain, in which patterns that only the critic cares for are lost."""
    return images + grain * tf.random.normal(tf.shape(images))


def _charbonnier(difference):
    return tf.sqrt(difference**2 + 1e-4)


def _likeness(wanted, drawn):
    """How far apart the critic's maps of two faces are, as a share of their size."""
    shares = [
        tf.reduce_mean(tf.abs(tf.cast(a, tf.float32) - tf.cast(b, tf.float32)))
        / tf.reduce_mean(tf.abs(tf.cast(a, tf.float32)))
        for a, b in zip(wanted, drawn, strict=True)
    ]
    return tf.add_n(shares) / len(shares)


def _reading(answers, age, gender, expression, smoothing: float = 0.0):
    """The critic's errors: a decade counts as a nat; what is unknown, zeros in a row, counts nothing."""
    known = ~tf.math.is_nan(age)
    years = tf.where(known, tf.abs(answers[0][:, 0] - tf.where(known, age, 0.0) / 10), 0.0)
    errors = [tf.reduce_mean(years)]
    for logits, truth in ((answers[1], gender), (answers[2], expression)):
        known = tf.reduce_sum(truth, 1)
        smooth = truth * (1 - smoothing) + smoothing / truth.shape[1]
        errors.append(tf.reduce_mean(known * tf.nn.softmax_cross_entropy_with_logits(smooth, logits)))
    return errors


def _reading_of(answers, conditions, expression):
    knots = len(KNOTS)
    age = tf.linalg.matvec(conditions[:, :knots], tf.constant(KNOTS, tf.float32))
    return _reading(answers, age, conditions[:, knots:], expression)


def _adam(recipe: Training, steps: int) -> keras.optimizers.Optimizer:
    falling = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 20,
        steps,
        alpha=0.02,
        warmup_target=recipe.learning_rate,
        warmup_steps=max(min(300, steps // 10), 1),
    )
    return keras.optimizers.Adam(falling, clipnorm=10.0)


class _Log:
    """Prints the mean of the losses, now and then."""

    def __init__(self, name: str, steps: int):
        self._name, self._steps = name, steps
        self._done, self._start = 0, time.monotonic()
        self._losses: list[Any] = []

    def __call__(self, losses) -> None:
        self._losses.append(losses)
        self._done += 1
        if self._done % 100 == 0 or self._done == self._steps:
            means = np.mean([[float(loss) for loss in step] for step in self._losses], 0)
            rate = self._done / (time.monotonic() - self._start)
            figures = " ".join(f"{mean:.4f}" for mean in means)
            print(f"{self._name} {self._done}/{self._steps} {figures} ({rate:.1f} steps/s)", flush=True)
            self._losses = []
