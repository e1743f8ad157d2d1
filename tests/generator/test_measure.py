from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pocketface.evaluation.variants import open_variant
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Crop
from pocketface.generator import measure


def test_found_counts_by_kind():
    index = pd.DataFrame(
        {
            "image": [
                "s/1_single_3_male_sad.jpg",
                "s/2_single_3_male_sad.jpg",
                "s/3_none.jpg",
            ],
            "status": ["ok", "no_face", "no_face"],
        }
    )
    assert measure.found(index) == {"none": 0.0, "single": 0.5}


def test_obeyed_compares_what_a_model_reads_with_what_was_asked_for(colour_model: Path):
    colours = np.array([[51, 0, 255], [102, 255, 255], [51, 255, 255], [51, 0, 255]], np.uint8)
    pixels = np.repeat(np.repeat(colours[:, None, None], 60, 1), 60, 2)
    rows = pd.DataFrame(
        {
            "face": [0, 1, 2, 3],
            "age": [20.0, 30.0, 20.0, 20.0],  # read as 20, 40, 20, 20
            "gender": ["male", "female", "male", "male"],  # read as male, female, female, male
            "expression": "neutral",
        }
    )
    faces = FaceSet("starter", pixels, rows, Crop(margin=0.4, size=60))
    figures = measure.obeyed(faces, rows, [open_variant(colour_model)])
    assert figures["age_mae"] == pytest.approx(2.5, abs=0.2)
    assert figures["gender_accuracy"] == 0.75
    assert 0 <= figures["expression_accuracy"] <= 1


def test_nearest_distances_are_those_of_every_pair():
    random = np.random.default_rng(1)
    these, those = random.normal(size=(600, 5)), random.normal(size=(70, 5))
    expected = np.linalg.norm(these[:, None] - those[None], axis=2).min(1)
    assert measure.nearest_distances(these, those) == pytest.approx(expected, abs=1e-3)


def test_a_copy_is_at_no_distance_and_the_figures_say_so():
    random = np.random.default_rng(2)
    train, validation = random.normal(size=(50, 8)), random.normal(size=(20, 8))
    figures = measure.distances({"train": train, "validation": validation, "generated": train[:20]})
    assert figures["generated"]["median"] == pytest.approx(0, abs=1e-2)
    assert figures["validation"]["percentile_1"] > 0.1


def test_pixel_features_know_neither_light_nor_contrast():
    face = np.random.default_rng(3).integers(0, 100, (1, 32, 32, 1)).astype(np.uint8)
    brighter = (2 * face + 20).astype(np.uint8)
    same, other = measure.pixel_features(face), measure.pixel_features(brighter)
    assert same == pytest.approx(other, abs=1e-6)
    assert np.linalg.norm(same) == pytest.approx(1)
    assert not np.isnan(measure.pixel_features(np.zeros((1, 32, 32, 1), np.uint8))).any()
