"""One's own pictures as a dataset, from a csv or from folders."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from own_models import write_pictures
from pocketface import datasets
from pocketface.bring.faces import add, label_columns, labelled
from pocketface.core.errors import PocketfaceError
from pocketface.core.hashing import hashed_split
from pocketface.core.outs import SOURCES
from pocketface.cropping.build import build
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Dataset
from pocketface.fetching.archives import pack
from pocketface.fetching.obtain import obtain_dataset
from pocketface.fetching.sources import load_sources

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path):
    """A folder with the repository's own `data/sources.yaml`."""
    (tmp_path / "data").mkdir()
    shutil.copy(REPOSITORY / SOURCES, tmp_path / SOURCES)
    return tmp_path


def indexed(root: Path, name: str, stanza: str) -> pd.DataFrame:
    """The index of a dataset, by the way that the stages take."""
    source = load_sources(root / SOURCES).dataset(name)
    archive = root / "files.zip"
    pack(obtain_dataset(name, source, root / "data/archives"), archive, source.limits)
    settings = Dataset.model_validate(yaml.safe_load(stanza)["datasets"][name])
    crop = settings.crop.model_copy(update={"policy": "as_is", "size": 32})
    build(name, archive, settings.model_copy(update={"crop": crop}), root / "faces", workers=1)
    return FaceSet.load(root / "faces").index


def test_a_csv_becomes_a_dataset_with_people_on_one_side(root, tmp_path):
    table = pd.read_csv(write_pictures(tmp_path / "mine", 30))
    table["mask"] = ["no", "yes", None] * 10
    table.to_csv(tmp_path / "mine/labels.csv", index=False)
    before = (root / SOURCES).read_text()
    labels, stanza = add("mine", *labelled(tmp_path / "mine/labels.csv"), root)
    source = load_sources(root / SOURCES).dataset("mine")
    assert (labels, source.labels, source.pictures) == (["gender", "mask"], ("gender", "mask"), 30)
    assert before.partition("datasets:\n")[2] in (root / SOURCES).read_text(), "the rest stays as it was"
    index = indexed(root, "mine", stanza)
    assert index["split"].tolist() == [hashed_split(person) for person in table["person"]]
    assert index["identity"].tolist() == table["person"].tolist()
    assert len(set(index["split"])) > 1
    assert index["gender"].tolist() == table["gender"].tolist()
    assert index["mask"].fillna("").tolist() == ["no", "yes", ""] * 10


def test_a_folder_a_class_becomes_a_dataset_split_by_content(root, tmp_path):
    write_pictures(tmp_path / "all", 12)
    for number, picture in enumerate(sorted((tmp_path / "all/pictures").iterdir())):
        target = tmp_path / "mine" / ("yes" if number % 2 else "no")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, target)
    _, stanza = add("masks", *labelled(tmp_path / "mine", "mask"), root)
    index = indexed(root, "masks", stanza)
    assert index["mask"].value_counts().to_dict() == {"no": 6, "yes": 6}
    assert index["split"].tolist() == index["source_sha"].map(hashed_split).tolist()


@pytest.mark.parametrize("name", ["utkface", "starter"])
def test_a_name_that_is_taken_is_refused(root, tmp_path, name):
    with pytest.raises(PocketfaceError, match=f"{name}: there is a dataset of that name"):
        add(name, *labelled(write_pictures(tmp_path / "mine", 2)), root)


@pytest.mark.parametrize("column", ["status", "dataset", "pixels", "mask worn", "größe", "ages"])
def test_a_label_with_a_name_that_faces_have_no_room_for_is_told(tmp_path, column):
    table, _ = labelled(write_pictures(tmp_path / "mine", 2))
    with pytest.raises(PocketfaceError, match=f"column '{column}'"):
        label_columns(table.assign(**{column: "yes"}))


@pytest.mark.parametrize("name", ["Mine", "my-study", "", "../x", "m" * 101])
def test_a_name_that_no_dataset_can_have_is_refused_before_anything_is_written(root, tmp_path, name):
    before = (root / SOURCES).read_text()
    with pytest.raises(PocketfaceError, match="a dataset is named in lower case"):
        add(name, *labelled(write_pictures(tmp_path / "mine", 2)), root)
    assert (root / SOURCES).read_text() == before
    assert not (root / "data/archives").exists()


@pytest.mark.parametrize(
    ("column", "folders", "labels"),
    [
        ("expression", ("Happy", "SAD"), ["happy", "sad"]),
        ("Smiling", ("no", "yes"), [0, 1]),
        ("Smiling", "01", [0, 1]),
    ],
)
def test_folders_are_read_as_the_cells_of_a_csv(tmp_path, column, folders, labels):
    write_pictures(tmp_path / "all", 2)
    for folder, picture in zip(folders, sorted((tmp_path / "all/pictures").iterdir()), strict=True):
        (tmp_path / "mine" / folder).mkdir(parents=True)
        shutil.copy(picture, tmp_path / "mine" / folder)
    assert sorted(labelled(tmp_path / "mine", column)[0][column]) == labels
    with pytest.raises(PocketfaceError, match="is none of male, female"):
        labelled(tmp_path / "mine", "gender")


def test_a_missing_picture_leaves_nothing(root, tmp_path):
    table, folder = labelled(write_pictures(tmp_path / "mine", 3))
    (folder / str(table["path"][1])).unlink()
    before = (root / SOURCES).read_text()
    with pytest.raises(PocketfaceError, match=r"001\.png: cannot be read"):
        add("mine", table, folder, root)
    assert (root / SOURCES).read_text() == before
    assert not list((root / "data/archives").rglob("*.zip"))


def test_a_dataset_without_list_or_reader_is_told(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
        archive.writestr("a.jpg", b"")
    with pytest.raises(PocketfaceError, match=r"has no labels\.csv.*there are afad"):
        list(datasets.read("nobodys", tmp_path / "files.zip"))
