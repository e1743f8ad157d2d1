from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from colour_variants import paint
from pocketface.core.errors import PocketfaceError
from pocketface.evaluation import labelled
from pocketface.evaluation.face_search import Search
from pocketface.evaluation.labelled import evaluate_pictures
from pocketface.evaluation.variants import open_variants


def write(folder: Path, **columns: list[object]) -> Path:
    path = folder / "labels.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def test_further_columns_are_groups_whatever_they_are_called(colour_model, tmp_path, monkeypatch):
    monkeypatch.setattr(labelled, "MOST_GROUPS", 2)
    names = ["a.png", "b.png", "c.png"]
    for name in names:
        paint(tmp_path / name, 51, 0, 0)
    labels = write(
        tmp_path, path=names, gender=["male"] * 3, age_pred=["x", "x", "y"], id=[1, 2, 3], Bald=[0, 0, 1]
    )
    found = evaluate_pictures(open_variants([colour_model]), labels, Search())
    assert (found["further"], found["ignored"], found["unanswered"]) == (["age_pred"], ["id"], ["Bald"])
    assert set(found["by_group"]) == {"gender", "age_pred"}
    assert found["by_group"]["age_pred"]["x"]["n"] == 2


def test_none_answered_is_an_error_with_the_most_frequent_reason(colour_model, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    labels = write(tmp_path, path=["a.png", "b.png", "c.png"], gender=["male"] * 3)
    with pytest.raises(PocketfaceError, match=r"none of its 3 .* 2 times .* no such file, as of .*b\.png"):
        evaluate_pictures(open_variants([colour_model]), labels, Search())


def test_a_model_that_answers_no_label_is_not_run(colour_model, tmp_path):
    paint(tmp_path / "a.png", 51, 0, 0)
    whole = open_variants([colour_model])[0]
    other = replace(whole, name="other", outputs={"expression": whole.outputs["expression"]}, runner=None)
    labels = write(tmp_path, path=["a.png"], gender=["male"])
    found = evaluate_pictures([other, whole], labels, Search())
    assert found["idle"] == ["other"] and list(found["models"]) == [whole.name]
