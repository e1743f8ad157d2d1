from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drawn_datasets as drawn
from pocketface.cropping.build import build
from pocketface.faces.duplicates import (
    across,
    judge,
    least_correlation,
    pairs,
    perceptual_hash,
    same_picture,
    thumbnail,
)
from pocketface.faces.index import CONTRADICTORY, DUPLICATE, MEASURED_TOO, OK, FaceSet
from pocketface.faces.settings import Crop, Dataset
from tiny_training import face_set

AS_IS = Crop(policy="as_is", size=48, channels=1)
SHARP = Dataset(crop=AS_IS)


def picture(seed: int, left: int = 1, top: int = 1) -> np.ndarray:
    """Blobs, `[48, 48, 1]`: a window of something that no other seed looks like."""
    rough = np.random.default_rng(seed).integers(0, 255, (8, 8)).astype(np.uint8)
    whole = cv2.resize(rough, (50, 50), interpolation=cv2.INTER_CUBIC)
    return whole[top : top + 48, left : left + 48, None]


def compressed(face: np.ndarray) -> np.ndarray:
    coded = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)[:, :, None]


CHANGES = {
    "compression": lambda seed: compressed(picture(seed)),
    "size": lambda seed: cv2.resize(cv2.resize(picture(seed), (30, 30)), (48, 48))[:, :, None],
    "brightness": lambda seed: np.clip(picture(seed) * 0.8 + 20, 0, 255).astype(np.uint8),
    "shift": lambda seed: picture(seed, left=2, top=0),
}


def groups(faces: list[np.ndarray], shas: list[str] | None = None) -> list[int]:
    thumbnails = [thumbnail(face, AS_IS) for face in faces]
    hashes = np.array([perceptual_hash(face) for face in thumbnails], np.uint64)
    shas = shas or [str(i) for i in range(len(faces))]
    return same_picture(hashes, shas, lambda i: thumbnails[i], least_correlation(AS_IS)).tolist()


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_picture_is_the_same_and_others_are_not(change: str) -> None:
    faces = [picture(seed) for seed in range(40)]
    found = groups([*faces, CHANGES[change](7)])
    assert found[-1] == found[7]
    assert len(set(found)) == 40


@pytest.mark.parametrize("compared", [1, 7, 2**20])
def test_the_same_pairs_are_found_however_many_are_compared_at_once(compared: int, monkeypatch) -> None:
    few = np.random.default_rng(1).integers(0, 4, 30).astype(np.uint64)  # of 64 bits two may differ
    looks = [np.random.default_rng(int(one)).normal(size=(20, 20)).astype(np.float32) for one in few]
    monkeypatch.setattr("pocketface.faces.duplicates.COMPARED", compared)
    same = [(i, j) for i in range(30) for j in range(i + 1, 30) if few[i] == few[j]]
    assert list(pairs(few, few, looks.__getitem__, looks.__getitem__, 0.9)) == same
    other = few[:12].copy()
    across_both = [(i, j) for i in range(30) for j in range(12) if few[i] == few[j]]
    assert list(pairs(few, other, looks.__getitem__, looks.__getitem__, 0.9)) == across_both


def test_equal_files_are_the_same_whatever_they_look_like() -> None:
    assert groups([picture(1), picture(2), picture(3)], ["a", "b", "a"]) == [0, 1, 0]
    assert groups([]) == []


def test_the_bound_is_stricter_for_aligned_faces() -> None:
    chip = Crop()
    assert least_correlation(chip, AS_IS) == least_correlation(chip) > least_correlation(AS_IS, AS_IS)


def copies(*rows: tuple[str, int]) -> pd.DataFrame:
    """`(split, age)` of copies of one picture."""
    splits, ages = zip(*rows, strict=True)
    return pd.DataFrame({"image": list("abcdef")[: len(rows)], "split": splits, "age": ages, "race": "white"})


def judged(rows: pd.DataFrame, contradictory: bool = False) -> list[tuple[str, str | None]]:
    found = judge(rows, np.zeros(len(rows), int), ["age", "race"], contradictory)
    return [(row.status, None if pd.isna(row.same_as) else row.same_as) for row in found.itertuples()]


def test_the_first_copy_counts() -> None:
    assert judged(copies(("train", 3), ("train", 3))) == [(OK, None), (DUPLICATE, "a")]


def test_what_is_measured_is_not_learned_from() -> None:
    rows = copies(("train", 3), ("val", 3), ("val", 3), ("test", 3))
    assert judged(rows) == [(MEASURED_TOO, "d"), (MEASURED_TOO, "d"), (MEASURED_TOO, "d"), (OK, None)]


def test_contradictory_labels_count_only_if_asked_for() -> None:
    rows = copies(("train", 3), ("val", 3), ("val", 4), ("val", 4))
    assert [status for status, _ in judged(rows)] == [CONTRADICTORY] * 4
    asked = [status for status, _ in judged(rows, contradictory=True)]
    assert asked == [MEASURED_TOO, OK, OK, DUPLICATE]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["train", "val", "test"]), st.integers(0, 1)),
        min_size=1,
        max_size=20,
    )
)
def test_a_picture_counts_once_and_where_it_is_measured(rows: list[tuple[int, str, int]]) -> None:
    group, split, age = (list(part) for part in zip(*rows, strict=True))
    table = pd.DataFrame({"image": [f"{i:02}" for i in range(len(rows))], "split": split, "age": age})
    found = judge(table, np.array(group), ["age"], contradictory=False)
    for number in set(group):
        own = table[np.array(group) == number]
        counts = own[found.loc[own.index, "status"] == OK]
        if own["age"].nunique() > 1:
            assert counts.empty
        else:
            [kept] = counts["split"]
            assert kept == max(own["split"], key=["train", "val", "test"].index)


def test_a_dataset_is_split_by_content_whatever_its_files_are_called(tmp_path: Path) -> None:
    faces = [drawn.jpeg(picture(seed)) for seed in range(12)]
    names = [f"{{}}/{30 + i}_{i % 2}_0_2017{i:04}.jpg.chip.jpg" for i in range(12)]
    one = {name.format("UTKFace"): data for name, data in zip(names, faces, strict=True)}
    three = one | {name.format("crop_part1"): data for name, data in zip(names, faces, strict=True)}
    other = {name.replace("_2017", "_1999"): data for name, data in one.items()}
    found = {}
    for label, members in {"one": one, "three": three, "other": other}.items():
        archive = drawn.make_raw(tmp_path / label / "files.zip", members)
        build("utkface", archive, SHARP, tmp_path / label / "faces", workers=1)
        index = FaceSet.load(tmp_path / label / "faces").index
        rows = index[index["status"] == OK]
        found[label] = dict(zip(rows["source_sha"], rows["split"], strict=True))
    assert found["one"] == found["three"] == found["other"]
    assert len(found["one"]) == 12


def test_a_picture_of_two_datasets_counts_where_it_is_measured() -> None:
    one, other = face_set(train=6, val=2, seed=1), face_set(train=6, val=2, seed=2, dataset="celeba")
    shared = {1: 7, 2: 3}  # rows of a face in one -> in the other: train and val; train and train
    for ours, theirs in shared.items():
        other.pixels[theirs] = one.pixels[ours]
        for column in ("phash", "source_sha"):
            rows = other.index["face"] == theirs
            other.index.loc[rows, column] = one.index.loc[one.index["face"] == ours, column].iloc[0]
    first, second = across([one, other])
    assert first.index.set_index("face").loc[[1, 2], "status"].tolist() == [MEASURED_TOO, OK]
    assert second.index.set_index("face").loc[[7, 3], "status"].tolist() == [OK, DUPLICATE]
    assert (len(first.rows()), len(second.rows())) == (7, 7)
    assert len(one.rows()) == 8, "the sets that were given are left as they are"
    again = across([replace(first), second])
    assert [len(faces.rows()) for faces in again] == [7, 7]


def test_the_index_keeps_what_it_needs_to_find_copies_elsewhere(tmp_path: Path) -> None:
    archive = drawn.make_raw(tmp_path / "files.zip", drawn.fer2013(14))
    build("fer2013", archive, SHARP, tmp_path / "out", workers=1)
    faces = FaceSet.load(tmp_path / "out")
    expected = [perceptual_hash(thumbnail(face, faces.crop)) for face in faces.pixels]
    assert faces.rows()["phash"].tolist() == expected


def test_all_rows_of_a_file_count_elsewhere() -> None:
    one, other = face_set(train=0, val=3, seed=1), face_set(train=4, val=0, seed=2, dataset="celeba")
    other.index.loc[other.rows().index[:2], "source_sha"] = one.rows()["source_sha"].iloc[0]  # of two labels
    assert len(across([one, other])[1].rows()) == 2


def test_copies_with_labels_of_their_own_name_the_first_one() -> None:
    rows = copies(("train", 3), ("train", 4), ("train", 3))
    assert judged(rows, contradictory=True) == [(OK, None), (OK, "a"), (DUPLICATE, "a")]


@pytest.mark.parametrize(("contradictory", "status"), [(False, CONTRADICTORY), (True, OK)])
def test_a_label_may_be_called_group(contradictory: bool, status: str) -> None:
    rows = pd.DataFrame({"image": ["a", "b"], "split": "train", "group": ["x", "y"]})
    assert judge(rows, np.zeros(2, int), ["group"], contradictory)["status"].tolist() == [status] * 2
