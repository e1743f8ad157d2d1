from pathlib import Path

import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.fetching.sources import Sources
from pocketface.importing.pretrained import attributions, terms, with_pretrained
from pocketface.study import Study
from tiny_training import publish, study


def sources() -> Sources:
    source = {"title": "Known", "licence": "CC0", "files": [{"mirror": "weights/known.h5"}]}
    return Sources.model_validate({"weights": {"known": source}})


def starting_from(weights: str) -> Study:
    return study({"weights": weights})


def test_a_name_becomes_its_file_which_comes_from_the_mirror(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mirror/weights").mkdir(parents=True)
    (tmp_path / "mirror/weights/known.h5").write_bytes(b"weights")
    monkeypatch.setenv("POCKETFACE_MIRROR", str(tmp_path / "mirror"))
    named = starting_from("known")
    found = with_pretrained(named, "small", sources(), tmp_path / "archives")
    path = tmp_path / "archives/weights/known.h5"
    assert path.read_bytes() == b"weights"
    assert found.models["small"].options["weights"] == path.as_posix()
    assert named.models["small"].options["weights"] == "known"
    assert found.models["small"].recipe == named.models["small"].recipe


@pytest.mark.parametrize("plan", [study(), starting_from("mine/backbone.weights.h5")])
def test_random_weights_and_a_file_are_left_as_they_are(plan: Study, tmp_path: Path) -> None:
    assert with_pretrained(plan, "small", sources(), tmp_path) == plan


def test_an_unknown_name_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PocketfaceError, match=r"no weight file 'knwon'; there are known"):
        with_pretrained(starting_from("knwon"), "small", sources(), tmp_path)


def test_what_cannot_be_had_says_where_to_put_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("POCKETFACE_MIRROR", raising=False)
    with pytest.raises(PocketfaceError, match=r"weights.known\.h5: could not be had anywhere"):
        with_pretrained(starting_from("known"), "small", sources(), tmp_path)


def test_a_file_that_the_repository_holds_is_named_where_it_stands(tmp_path: Path) -> None:
    kept = {"title": "Known", "licence": "CC0", "kept": "weights/known/known.weights.h5"}
    known = Sources.model_validate({"weights": {"known": kept}})
    found = with_pretrained(starting_from("known"), "small", known, tmp_path)
    assert found.models["small"].options["weights"] == kept["kept"]
    assert not list(tmp_path.iterdir())


def test_the_terms_of_all_that_a_model_learns_from_travel_with_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    publish(Path("weights/first"), 1)
    faces = {"title": "Faces", "licence": "their terms", "files": [{"mirror": "faces.zip"}]}
    known = Sources.model_validate(
        {"datasets": {"utkface": faces}} | sources().model_dump(exclude={"datasets"})
    )
    assert terms(study(), "small", known) == "their terms"
    assert terms(starting_from("known"), "small", known) == "their terms; CC0"
    assert terms(starting_from("mine.h5"), "small", known) == "their terms"
    for learning in ({"start": "weights/first"}, {"teachers": {"weights": ["weights/first"]}}):
        assert terms(study(**learning), "small", known) == "their terms; research"
        assert attributions(study(**learning), "small", known) == {
            "somewhere": "Somewhere: research",
            "utkface": "Faces, no home page: their terms",
        }
