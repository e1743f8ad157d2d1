"""Archives as people hold them, under the names that they have, from `data/archives/` to records."""

import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

import pytest

import drawn_datasets as drawn
from drawn_datasets import Members, Reader, pieces, tar_gz, tar_xz
from pocketface.core.errors import PocketfaceError
from pocketface.cropping.picture import decode
from pocketface.datasets import Record, open_picture, read
from pocketface.fetching.archives import pack
from pocketface.fetching.obtain import MIRROR, obtain_dataset
from pocketface.fetching.sources import load_sources

SOURCES = Path(__file__).parents[2] / "data/sources.yaml"


def moved(members: Mapping[str, bytes], place: Callable[[PurePosixPath], str]) -> Members:
    return {place(PurePosixPath(name)): content for name, content in members.items()}


def wild() -> Members:
    """UTKFace's whole pictures, in three archives."""
    chips = {name: data for name, data in drawn.utkface(12).items() if ".chip" in name and " " not in name}
    parts = [
        {f"part{n + 1}/{PurePosixPath(name).name.removesuffix('.chip.jpg')}": chips[name] for name in names}
        for n, names in enumerate([list(chips)[n::3] for n in range(3)])
    ]
    return {f"part{n + 1}.tar.gz": tar_gz(part) for n, part in enumerate(parts)}


def icml() -> bytes:
    """The csv with its columns as `icml_face_data.csv` has them."""
    rows = [row.split(b",") for row in drawn.fer2013_csv()["fer2013/fer2013.csv"].splitlines()[1:]]
    rows = [(emotion, usage, pixels) for emotion, pixels, usage in rows]
    return b"\n".join([b"emotion, Usage, pixels", *map(b",".join, rows)])


ICML = icml()
CSV = {"fer2013/fer2013.bib": b"@x{}", **drawn.fer2013_csv()}


def numbered(folders: Mapping[str, str]) -> Members:
    """FER2013's pictures without the official names; folders of the official split -> other ones."""
    pictures = enumerate(drawn.fer2013().items())
    return {
        f"{folders[name.split('/')[0]]}/{name.split('/')[1]}/{i}.jpg": data for i, (name, data) in pictures
    }


def renamed(words: Mapping[str, str]) -> Members:
    return moved(drawn.fer2013(), lambda p: f"{p.parts[0]}/{words.get(p.parts[1], p.parts[1])}/{p.name}")


def capital() -> Members:
    return moved(drawn.fer2013(), lambda p: f"{p.parts[0]}/{p.parts[1].capitalize()}/{p.name}")


NOUNS = {"angry": "anger", "happy": "Happiness", "sad": "sadness", "surprise": "surprised", "fear": "fearful"}


def challenge() -> Members:
    return {
        "example_submission.csv": b"emotion\n0\n",
        "fer2013.tar.gz": tar_gz(CSV),
        "icml_face_data.csv": ICML,
        "test.csv": b"pixels\n1 2\n",
        "train.csv": b"emotion,pixels\n0,1 2\n",
    }


def celeba_kaggle() -> Members:
    txt = drawn.celeba()
    rows = [row.split() for row in txt["list_attr_celeba.txt"].decode().splitlines()[1:]]
    rows[0].insert(0, "image_id")
    split = [["image_id", "partition"]] + [
        row.split() for row in txt["list_eval_partition.txt"].decode().splitlines()
    ]
    return {
        **{f"img_align_celeba/{name}": data for name, data in txt.items() if name.endswith(".jpg")},
        "list_attr_celeba.csv": "\n".join(map(",".join, rows)).encode(),
        "list_bbox_celeba.csv": b"image_id,x_1\n",
        "list_eval_partition.csv": "\n".join(map(",".join, split)).encode(),
    }


def celeba_apart(name: str) -> Members:
    """The same with the pictures in a zip of their own."""
    members = celeba_kaggle()
    pictures = {image: members.pop(image) for image in list(members) if image.endswith(".jpg")}
    return members | {name: drawn.zipped(pictures)}


def guesses() -> Members:
    """APPA-REAL with every guess in a row, and without the averages."""
    members = drawn.appa_real()
    for folder in ("train", "valid", "test"):
        averages = members.pop(f"appa-real-release/gt_avg_{folder}.csv").decode().splitlines()[1:]
        rows = ["file_name,real_age,apparent_age,worker_age,worker_gender"]
        for name, _, average, _, real in (row.split(",") for row in averages):
            rows += [f"{name},{real},{float(average) + off:.0f},30,female" for off in (-0.5, 0.5)]
        members[f"appa-real-release/gt_{folder}.csv"] = "\n".join(rows).encode()
    return members


def final_files() -> Members:
    """Kaggle's cropped faces: one folder, real ages only."""
    members = drawn.appa_real()
    crops = {name: data for name, data in members.items() if name.endswith("_face.jpg")}
    lists = [members[f"appa-real-release/gt_avg_{folder}.csv"] for folder in ("train", "valid", "test")]
    rows = [row.split(b",") for listed in lists for row in listed.splitlines()[1:]]
    table = b"\n".join([b"file_name,real_age", *(b",".join((row[0], row[4])) for row in rows)])
    return {"labels.csv": table} | moved(
        crops, lambda p: f"final_files/final_files/{p.name.removesuffix('_face.jpg')}"
    )


def lite(members: Members) -> Members:
    return {name.replace("AFAD-Full", "AFAD-Lite"): data for name, data in members.items()}


def fairface_beside(zip_name: str, top: str = "") -> Members:
    """FairFace's pictures in a zip, its lists beside it."""
    members = drawn.fairface()
    lists = {name: members.pop(name) for name in list(members) if name.endswith(".csv")}
    return lists | {zip_name: drawn.zipped(moved(members, lambda p: f"{top}{p}"))}


ARCHIVES: dict[str, Callable[[], Members]] = {
    # dataset and what it is: the members of archive.zip
    "utkface, three folders": lambda: {
        f"{top}{name}": data for top in ("", "x/") for name, data in drawn.utkface().items()
    },
    "utkface, tar.gz": lambda: {"UTKFace.tar.gz": tar_gz(drawn.utkface())},
    "fer2013, capital": capital,
    "fer2013, nouns": lambda: renamed(NOUNS),
    "fer2013, numbered with validation": lambda: numbered(
        {"train": "images/images/train", "test": "images/images/validation"}
    ),
    "fer2013, numbered with test alone": lambda: numbered({"train": "train", "test": "test"}),
    "fer2013, challenge": challenge,
    "fer2013, icml_face_data.csv.zip": lambda: {
        "icml_face_data.csv.zip": drawn.zipped({"icml_face_data.csv": ICML})
    },
    "celeba, kaggle": celeba_kaggle,
    "celeba, kaggle with a zip of pictures": lambda: celeba_apart("img_align_celeba.zip"),
    "appa_real, folder in a folder": lambda: moved(drawn.appa_real(), lambda p: f"appa-real-release/{p}"),
    "appa_real, guesses": guesses,
    "appa_real, final_files": final_files,
    "afad, lite as a repository": lambda: {
        "tarball-lite-master/restore.sh": b"cat",
        **pieces("tarball-lite-master/AFAD-Lite.tar.xz", tar_xz(lite(drawn.afad()))),
    },
    "afad, full": drawn.afad,
    "afad, ages at the top": lambda: moved(drawn.afad(), lambda p: str(PurePosixPath(*p.parts[1:]))),
}
LAYOUTS: dict[str, Callable[[], Members]] = {
    # dataset and what they are: the files in its folder
    **{name: lambda make=make: {"archive.zip": drawn.zipped(make())} for name, make in ARCHIVES.items()},
    "utkface, in the wild": wild,
    "utkface, zip saved as tar.gz": lambda: {"UTKFace.tar.gz": drawn.zipped(drawn.utkface())},
    "fer2013, csv": lambda: {"fer2013.tar.gz": tar_gz(CSV)},
    "fer2013, icml_face_data.csv": lambda: {"icml_face_data.csv": ICML},
    "celeba, pictures and lists": lambda: celeba_apart("pictures.zip"),
    "afad, pieces with a dot": lambda: pieces("AFAD-Full.tar.xz.", tar_xz(drawn.afad())),
    "afad, pieces and the whole": lambda: {
        "AFAD-Lite.tar.xz": tar_xz(lite(drawn.afad())),
        **pieces("AFAD-Lite.tar.xz", tar_xz(lite(drawn.afad()))),
    },
    "afad, numbered pieces": lambda: pieces("afad.tar.gz", tar_gz(drawn.afad()), ("001", "002", "003")),
    "fairface, under the name of a part": lambda: {"fairface-train.zip": drawn.zipped(drawn.fairface())},
    "fairface, margin 0.25": lambda: fairface_beside("fairface-img-margin025-trainval.zip"),
    "fairface, margin 1.25 in a folder": lambda: fairface_beside(
        "fairface-img-margin125-trainval.zip", "fairface/"
    ),
}
DIFFERS = {
    "utkface, in the wild": {"split"},
    "fer2013, numbered with validation": {"split"},
    "fer2013, numbered with test alone": {"split"},
    "appa_real, final_files": {"split", "age_apparent"},
}
"""What a layout does not say as the release does."""


def said(records: Iterable[Record], differs: set[str]) -> Counter[tuple[object, ...]]:
    """What usable records say, without their names and what `differs`."""
    return Counter(
        (
            "" if "split" in differs else record.split,
            *sorted((label, value) for label, value in record.labels.items() if label not in differs),
        )
        for record in records
        if record.problem is None
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("in_mirror", [False, True])
def test_it_says_what_the_release_says(
    layout: str, in_mirror: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, differs = layout.partition(",")[0], DIFFERS.get(layout, set())
    monkeypatch.setenv(MIRROR, str(tmp_path / "mirror") if in_mirror else "")
    place = tmp_path / ("mirror" if in_mirror else "archives")
    (place / dataset).mkdir(parents=True)
    for name, content in LAYOUTS[layout]().items():
        (place / dataset / name).write_bytes(content)
    source = load_sources(SOURCES).dataset(dataset)
    pack(obtain_dataset(dataset, source, tmp_path / "archives"), tmp_path / "files.zip", source.limits)
    release = drawn.make_raw(tmp_path / "release.zip", getattr(drawn, dataset)())
    expected = said(read(dataset, release), differs)
    times = 2 if "three folders" in layout else 1
    records = list(read(dataset, tmp_path / "files.zip"))
    with zipfile.ZipFile(tmp_path / "files.zip") as archive:
        assert decode(open_picture(dataset, archive, records[-1].image)).std() > 10
    assert said(records, differs) == Counter({k: n * times for k, n in expected.items()})


def test_folders_tell_the_split_where_names_do_not(records: Reader) -> None:
    of = {"train": "images/train", "test": "images/validation"}
    found = records("fer2013", numbered(of))
    assert {(image.split("/")[1], record.split) for image, record in found.items()} == {
        ("train", "train"),
        ("validation", "val"),
    }


def test_train_is_split_by_content_where_nothing_is_for_validation(records: Reader) -> None:
    found = records("fer2013", numbered({"train": "train", "test": "test"}))
    assert {record.split for image, record in found.items() if image.startswith("test")} == {"test"}
    assert {record.split for image, record in found.items() if image.startswith("train")} == {None}


def test_names_that_are_no_archives_are_in_the_message(tmp_path: Path) -> None:
    path = drawn.make_raw(tmp_path / "files.zip", {"data/AFAD-Full.rar": b"Rar!", "readme.md": b"-"})
    with pytest.raises(PocketfaceError, match=r"holds no pictures of afad, but AFAD-Full\.rar, readme\.md; "):
        list(read("afad", path))
