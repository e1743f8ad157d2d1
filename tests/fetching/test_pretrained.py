from pathlib import Path

import pytest

from pocketface.errors import PocketfaceError
from pocketface.fetching.pretrained import with_pretrained
from pocketface.fetching.sources import Sources
from pocketface.study import Study
from tiny import study


def sources() -> Sources:
    source = {"title": "Known", "licence": "CC0", "files": [{"mirror": "weights/known.h5"}]}
    return Sources.model_validate({"weights": {"known": source}})


def starting_from(weights: str) -> Study:
    params = study().model_dump(mode="json")
    params["models"]["small"]["options"]["weights"] = weights
    return Study.model_validate(params)


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
