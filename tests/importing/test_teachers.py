from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import meaning
from pocketface.importing.teachers import asked
from pocketface.study import Study
from pocketface.training import corrections
from pocketface.training.fit import fit, make_as_sure
from pocketface.training.splits import together
from tiny_training import face_set, publish, study


def test_several_teachers_are_averaged_face_by_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small, large = publish(Path("weights/a"), 1), publish(Path("weights/b"), 2, size=24)
    faces = face_set(train=150)
    rows = together([faces], "train").sample(frac=1, random_state=3)
    answers = asked(["weights/a", "weights/b"], [faces], ["age", "gender"])(rows)
    assert set(answers) == {"gender"}
    assert answers["gender"].shape == (150, 2)
    np.testing.assert_allclose(answers["gender"].sum(axis=1), 1, rtol=1e-5)
    alone = [asked([f"weights/{name}"], [faces], ["gender"])(rows)["gender"] for name in "ab"]
    np.testing.assert_allclose(answers["gender"], (alone[0] + alone[1]) / 2, rtol=1e-5)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    # The large one's window, all of the crop but the margin it does not ask for, in the order of the rows.
    assert small.input_shape[1] != large.input_shape[1]
    assert np.ptp(alone[1][:, 0]) > 1e-4
    again = asked(["weights/b"], [faces], ["gender"])(rows.iloc[[77]])["gender"]
    np.testing.assert_allclose(again[0], alone[1][77], rtol=1e-4)


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        (["expression"], "answers gender; a teacher of expression must answer expression"),
        (["age"], "must answer classes, which this model has none of"),
    ],
)
def test_a_teacher_of_something_else_is_refused(heads: list[str], words: str, tmp_path: Path) -> None:
    publish(tmp_path / "a", 1)
    with pytest.raises(PocketfaceError, match=words):
        asked([str(tmp_path / "a")], [face_set()], heads)


def test_what_is_no_published_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PocketfaceError, match="nowhere"):
        asked([str(tmp_path / "nowhere")], [face_set()], ["gender"])


def taught(share: float) -> Study:
    return study(epochs=6, teachers={"weights": ["weights/a"], "share": share})


def test_a_model_learns_what_its_teacher_says_and_not_the_labels() -> None:
    faces = face_set(train=256)

    def contrary(rows) -> dict[str, np.ndarray]:
        return {"gender": (rows["gender"].to_numpy()[:, None] == ["female", "male"]).astype(np.float32)}

    def accuracy(teach: Callable | None, share: float) -> float:
        history = fit(taught(share), "small", [faces], "research", teach=teach).history
        return history["val_gender_accuracy"].iloc[-1]

    assert meaning("gender").labels[0] == "male"
    assert accuracy(contrary, 1.0) < 0.3
    assert accuracy(contrary, 0.1) > 0.7


def test_a_model_is_made_as_sure_as_its_teacher_on_faces_without_a_label(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faces = face_set(train=256)
    without = faces.index.index[faces.index["split"] == "train"][::2]
    faces.index.loc[without, "gender"] = None

    def sure(rows) -> dict[str, np.ndarray]:
        brighter = faces.pixels[rows["face"].astype(int), :, 12:].mean((1, 2, 3)) > 100
        return {"gender": np.where(brighter[:, None], [0.1, 0.9], [0.9, 0.1]).astype(np.float32)}

    def kernels(model) -> list[np.ndarray]:
        return [model.get_layer(name).get_weights()[0] for name in ("age_dense", "gender")]

    unsure: list[np.ndarray] = []
    as_sure = corrections.as_sure
    monkeypatch.setattr(
        corrections, "as_sure", lambda model, *told: unsure.extend(kernels(model)) or as_sure(model, *told)
    )
    plan = study(teachers={"weights": ["weights/a"], "as_sure": True}, label_smoothing=0.3)
    model = fit(plan, "small", [faces], "research", teach=sure).model
    age, kernel = kernels(model)
    np.testing.assert_array_equal(age, unsure[0])
    ratio = unsure[1] / kernel
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)
    assert ratio.mean() < 0.95
    labelled = face_set()
    with pytest.raises(PocketfaceError, match="every train face has a label of gender; mix in"):
        make_as_sure(model, plan.models["small"], [labelled], together([labelled], "train"), sure)


def test_teachers_have_seen_the_faces_of_every_fold() -> None:
    params = taught(0.5).model_dump(mode="json")
    with pytest.raises(ValueError, match="learns from has seen the faces"):
        Study.model_validate(params | {"cross_validate": {"small": 3}})
