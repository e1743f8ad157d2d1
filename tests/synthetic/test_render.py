import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pocketface import published
from pocketface.core.errors import PocketfaceError
from pocketface.cropping.picture import decode
from pocketface.datasets import read
from pocketface.synthetic.decoder import FILE, Decoder
from pocketface.synthetic.render import KINDS, kind_of, render

PUBLISHED = published.folder() / "faces-generator"


def test_any_number_of_processes_and_any_length_give_the_same_bytes(tmp_path: Path, monkeypatch):
    count = 12
    assert render(tmp_path / "a.zip", count, 7, PUBLISHED, workers=1) == count
    monkeypatch.setattr("pocketface.synthetic.render.BLOCK", 5)
    render(tmp_path / "b.zip", count, 7, PUBLISHED, workers=2)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    render(tmp_path / "more.zip", count + 3, 7, PUBLISHED, workers=1)
    with zipfile.ZipFile(tmp_path / "a.zip") as few, zipfile.ZipFile(tmp_path / "more.zip") as more:
        assert more.namelist()[:count] == few.namelist()
        assert [more.read(name) for name in few.namelist()] == [few.read(name) for name in few.namelist()]
    render(tmp_path / "other.zip", count, 8, PUBLISHED, workers=1)
    assert (tmp_path / "other.zip").read_bytes() != (tmp_path / "a.zip").read_bytes()


def test_the_reader_knows_every_photograph(tmp_path: Path):
    render(tmp_path / "files.zip", 40, 1, PUBLISHED, workers=1)
    records = list(read("starter", tmp_path / "files.zip"))
    assert len(records) == 40
    assert not any(record.problem for record in records)
    assert sum(set(record.labels) == {"age", "gender", "expression"} for record in records) > 30
    with zipfile.ZipFile(tmp_path / "files.zip") as archive:
        assert decode(archive.read(records[0].image)).shape[2] == 3


def test_all_kinds_come_up_as_often_as_they_should():
    kinds = Counter(kind_of(np.random.default_rng([7, number])) for number in range(3000))
    assert {kind: kinds[kind] / 3000 for kind in KINDS} == pytest.approx(KINDS, abs=0.01)
    assert min(kinds.values()) > 10


def test_a_decoder_that_is_missing_or_is_none_is_told(tmp_path: Path, colour_model: Path):
    with pytest.raises(PocketfaceError, match=r"decoder\.tflite: no such file"):
        render(tmp_path / "files.zip", 3, 7, tmp_path)
    (tmp_path / FILE).write_bytes(b"no model")
    with pytest.raises(PocketfaceError, match="not a runnable TFLite model"):
        Decoder(tmp_path)
    (tmp_path / FILE).write_bytes(colour_model.read_bytes())
    with pytest.raises(PocketfaceError, match="not noise and a condition"):
        Decoder(tmp_path)
    assert not (tmp_path / "files.zip").exists()


def test_the_published_decoder_is_small_and_its_faces_differ():
    assert (PUBLISHED / FILE).stat().st_size < 4_000_000
    decoder, random = Decoder(PUBLISHED), np.random.default_rng(3)
    condition = np.zeros(18, np.float32)
    condition[[3, 9, 17]] = 1
    faces = decoder(random.standard_normal((6, decoder.latent)), np.repeat(condition[None], 6, 0))
    assert faces.dtype == np.uint8
    assert np.ptp(faces.astype(float).mean((1, 2)), axis=0).min() > 5
