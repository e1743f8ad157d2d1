"""Tiny datasets for the tests: drawn faces, in archives laid out as each dataset's own release is.

    make_raw(Path("data/raw/utkface/files.zip"), utkface(24))    # what `fetch_data` would have made
    entries = make_mirror(mirror, {"utkface": utkface(24)})      # what `fetch_data` starts from
    yaml.safe_dump({"datasets": entries}, ...)                   # and its data/sources.yaml

A function named for a dataset returns its members, `{name in the archive: bytes}`, in the upstream order of
folders and with upstream's quirks; a test that wants other quirks changes the dictionary. The faces are
cartoons that dlib's detectors find and that show age (wrinkles, grey hair), gender (hair, lips) and
expression (mouth, brows), so a tiny model can learn from them. Nothing is random but by `seed`.
"""

import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pocketface.core.labels import CELEBA_ATTRIBUTES, EXPRESSIONS, FAIRFACE_RACES, GENDERS, RACES, age_band
from pocketface.datasets import Record

SIDE = 200
"""Pixels of a drawn face picture; the face itself is about 105 wide and 140 high."""

Members = dict[str, bytes]
Reader = Callable[[str, Mapping[str, bytes]], dict[str, Record]]
"""The type of the `records` fixture of the datasets' tests."""


@dataclass(frozen=True)
class Person:
    """What a drawn face shows; `seed` decides the rest (skin, hair, background, place)."""

    seed: int
    age: int = 30
    gender: str = "male"
    expression: str = "neutral"


def people(count: int, seed: int = 0) -> list[Person]:
    """People of all ages, both genders and every expression, in turn."""
    return [
        Person(seed + i, (37 * i + 11 * seed) % 95, GENDERS[i % 2], EXPRESSIONS[i % len(EXPRESSIONS)])
        for i in range(count)
    ]


# Drawing


class _Canvas:
    """A picture to draw on, in float pixels relative to the centre of the face."""

    def __init__(self, background: np.ndarray, x: float, y: float):
        self.pixels = np.empty((SIDE, SIDE, 3), np.float32)
        self.pixels[:] = background
        self.centre = np.array([x, y])

    def _fixed(self, point: tuple[float, float]) -> tuple[int, int]:
        """Coordinates with 4 fractional bits, as OpenCV takes them."""
        x, y = np.round((self.centre + point) * 16).astype(int)
        return int(x), int(y)

    def ellipse(
        self,
        centre: tuple[float, float],
        axes: tuple[float, float],
        colour: np.ndarray | tuple[float, ...],
        arc: tuple[float, float] = (0, 360),
        width: int = -1,
        angle: float = 0,
    ) -> None:
        """An ellipse with half-axes `axes`; filled, or its `arc` (degrees, clockwise) `width` pixels wide."""
        half = round(axes[0] * 16), round(axes[1] * 16)
        ink = [float(value) for value in colour]
        cv2.ellipse(self.pixels, self._fixed(centre), half, angle, *arc, ink, width, cv2.LINE_AA, 4)

    def line(self, points: Iterable[tuple[float, float]], colour: np.ndarray, width: int) -> None:
        """A line through points."""
        path = np.array([self._fixed(point) for point in points], np.int32)
        ink = [float(value) for value in colour]
        cv2.polylines(self.pixels, [path], False, ink, width, cv2.LINE_AA, 4)

    def shade(self, axes: tuple[float, float]) -> None:
        """Darkens an ellipse about the centre towards its edge, which makes it look round."""
        y, x = np.mgrid[:SIDE, :SIDE]
        distance = ((x - self.centre[0]) / axes[0]) ** 2 + ((y - self.centre[1]) / axes[1]) ** 2
        self.pixels *= np.where(distance < 1, 1 - 0.3 * distance, 1)[..., None].astype(np.float32)


BLACK, WHITE, MOUTH, RED = (
    np.array(rgb) for rgb in ((40, 28, 22), (235, 230, 225), (60, 20, 20), (150, 40, 50))
)
HEAD = (52, 70)
BROW_LIFT = {"surprise": -6, "fear": -4, "angry": 4, "disgust": 3}
BROW_TILT = {"angry": -9, "disgust": -5, "sad": 9, "fear": 7}
MOUTH_BEND = {"happy": 9, "sad": -7, "angry": -4, "disgust": -5, "neutral": 1}
MOUTH_OPEN = {"surprise": 12, "fear": 8}


@lru_cache(maxsize=512)
def face(person: Person) -> np.ndarray:
    """A drawn face, frontal and near the middle of the picture.

    Returns:
        uint8 `[SIDE, SIDE, 3]`, RGB, read-only.
    """
    random = np.random.default_rng(person.seed)
    skin = np.array([205, 160, 130]) * random.uniform(0.75, 1.1)
    grey = np.clip((person.age - 40) / 40, 0, 1)
    hair = np.array([70, 50, 40]) * random.uniform(0.5, 1.5) * (1 - grey) + 200 * grey
    shift = random.uniform(-4, 4, 2)
    canvas = _Canvas(random.uniform(90, 220, 3), 100 + shift[0], 104 + shift[1])

    _draw_head(canvas, person, skin, hair)
    _draw_eyes(canvas, person, skin, hair)
    _draw_nose(canvas, skin)
    _draw_mouth(canvas, person, skin)
    _draw_wrinkles(canvas, person, skin)

    pixels = cv2.GaussianBlur(canvas.pixels, (0, 0), 1.0) + random.normal(0, 3, canvas.pixels.shape)
    drawn = np.clip(pixels, 0, 255).astype(np.uint8)
    drawn.setflags(write=False)
    return drawn


def _draw_head(canvas: _Canvas, person: Person, skin: np.ndarray, hair: np.ndarray) -> None:
    if person.gender == "female":
        canvas.ellipse((0, 6), (70, 88), hair)
    else:
        canvas.ellipse((0, -14), (60, 70), hair)
    canvas.line([(0, 60), (0, 110)], skin * 0.7, 44)
    canvas.ellipse((0, 4), HEAD, skin)
    canvas.shade(HEAD)
    canvas.ellipse((0, -48), (50, 24), hair, (180, 360))


def _draw_eyes(canvas: _Canvas, person: Person, skin: np.ndarray, hair: np.ndarray) -> None:
    lift = BROW_LIFT.get(person.expression, 0)
    tilt = BROW_TILT.get(person.expression, 0)
    for side in (-1, 1):
        x = side * 21
        canvas.ellipse((x, -11), (15, 10), skin * 0.72)
        canvas.ellipse((x, -10), (11, 5.5), WHITE)
        canvas.ellipse((x, -10), (5, 5), BLACK)
        canvas.ellipse((x, -11), (12, 6.5), BLACK, (190, 350), 2)
        width = 3 if person.gender == "female" else 5
        canvas.ellipse((x, -20 + lift), (15, 5), hair * 0.5 + skin * 0.1, (195, 345), width, side * tilt)


def _draw_nose(canvas: _Canvas, skin: np.ndarray) -> None:
    canvas.ellipse((0, 10), (5, 22), skin * 1.08)
    for side in (-1, 1):
        canvas.line([(side * 7, -8), (side * 6, 8), (side * 10, 18)], skin * 0.7, 2)
        canvas.ellipse((side * 5, 22), (4, 2.5), skin * 0.4)
    canvas.ellipse((0, 24), (12, 4), skin * 0.6, (10, 170), 2)


def _draw_mouth(canvas: _Canvas, person: Person, skin: np.ndarray) -> None:
    lips = RED if person.gender == "female" else skin * 0.55
    if height := MOUTH_OPEN.get(person.expression):
        canvas.ellipse((0, 46), (11, height), MOUTH)
        canvas.ellipse((0, 46), (11, height), lips, width=3)
    else:
        bend = MOUTH_BEND[person.expression]
        curve = [(x, 44 + bend * (0.5 - (x / 20) ** 2)) for x in range(-20, 21, 4)]
        canvas.line(curve, lips, 6)
        canvas.line(curve, MOUTH, 2)
    if person.expression == "happy":
        canvas.ellipse((0, 46), (13, 3), WHITE, (0, 180))
    canvas.ellipse((0, 56), (12, 4), skin * 0.8, (20, 160), 2)


def _draw_wrinkles(canvas: _Canvas, person: Person, skin: np.ndarray) -> None:
    for i in range(min(person.age // 12, 7)):
        y = -40 + 3 * i
        canvas.line([(-22, y), (0, y - 2), (22, y)], skin * 0.72, 1)
        for side in (-1, 1):
            canvas.line([(side * 35, -12 + 2 * i), (side * 44, -16 + 4 * i)], skin * 0.72, 1)


def scene(*persons: Person, width: int = 480, height: int = 360) -> np.ndarray:
    """A photograph of people side by side in front of a wall; without people, the wall.

    Returns:
        uint8 `[height, width, 3]`, RGB.
    """
    seed = persons[0].seed if persons else 0
    wall = np.random.default_rng(seed).uniform(90, 220, 3).astype(np.uint8)
    picture = np.tile(wall, (height, width, 1))
    for i, person in enumerate(persons):
        left = (2 * i + 1) * width // (2 * len(persons)) - SIDE // 2
        top = (height - SIDE) // 2
        picture[top : top + SIDE, left : left + SIDE] = face(person)
    return picture


# Encoding


def jpeg(pixels: np.ndarray) -> bytes:
    """A JPEG file of an RGB `[H, W, 3]` or grey `[H, W]` picture."""
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def tight(person: Person, side: int) -> np.ndarray:
    """A square picture filled by the face, uint8 `[side, side, 3]`."""
    return cv2.resize(face(person)[24:184, 20:180], (side, side), interpolation=cv2.INTER_AREA)


def tar(members: Mapping[str, bytes]) -> bytes:
    """An uncompressed tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tar_xz(members: Mapping[str, bytes]) -> bytes:
    """A tar, quickly compressed."""
    return lzma.compress(tar(members), preset=0)


def tar_gz(members: Mapping[str, bytes]) -> bytes:
    """A tar, quickly compressed."""
    return gzip.compress(tar(members), 1, mtime=0)


def pieces(name: str, content: bytes, suffixes: Iterable[str] = ("aa", "ab", "ac")) -> Members:
    """A file in three pieces, as `split` names them."""
    third = len(content) // 3 + 1
    return {f"{name}{suffix}": content[i * third : (i + 1) * third] for i, suffix in enumerate(suffixes)}


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


# Datasets

UTKFACE_BAD_NAMES = (
    "24_0_1_20170116220224657 .jpg.chip.jpg",
    "39_1_20170116174525125.jpg.chip.jpg",
    "55_0_0_20170116232725357jpg.chip.jpg",
    "61_1_20170109142408075.jpg.chip.jpg",
    "61_1_20170109150557335.jpg.chip.jpg",
)


def utkface(count: int = 12) -> Members:
    """`count` well-named pictures, and the five names that are malformed upstream."""
    persons = people(count)
    names = [
        f"{person.age}_{GENDERS.index(person.gender)}_{i % len(RACES)}_20170109{person.seed:09d}.jpg.chip.jpg"
        for i, person in enumerate(persons)
    ]
    members = {f"UTKFace/{name}": jpeg(face(p)) for name, p in zip(names, persons, strict=True)}
    return members | {f"UTKFace/{name}": jpeg(face(persons[0])) for name in UTKFACE_BAD_NAMES}


FER2013_USAGES = ("Training", "Training", "Training", "PublicTest", "PrivateTest")


def _with_usage(count: int) -> Iterator[tuple[Person, str]]:
    for i, person in enumerate(people(count)):
        yield person, FER2013_USAGES[i // len(EXPRESSIONS) % 5]


def fer2013(count: int = 35) -> Members:
    """Kaggle's pictures, 48x48 grey; three fifths for training, and so on."""
    members = {}
    for person, usage in _with_usage(count):
        folder = "train" if usage == "Training" else "test"
        members[f"{folder}/{person.expression}/{usage}_{10000000 + person.seed}.jpg"] = jpeg(_grey48(person))
    return dict(sorted(members.items()))


def fer2013_csv(count: int = 35) -> Members:
    """The original csv of the same faces."""
    lines = ["emotion,pixels,Usage"]
    for person, usage in _with_usage(count):
        pixels = " ".join(map(str, _grey48(person).ravel()))
        lines.append(f"{EXPRESSIONS.index(person.expression)},{pixels},{usage}")
    return {"fer2013/README": b"The data consists of 48x48 pixel\n", "fer2013/fer2013.csv": _text(lines)}


def _grey48(person: Person) -> np.ndarray:
    """A drawn face under a light of its own: without it two drawings would pass for copies of one picture."""
    light = np.random.default_rng(person.seed).integers(0, 120, (4, 4)).astype(np.uint8)
    return cv2.addWeighted(
        cv2.cvtColor(tight(person, 48), cv2.COLOR_RGB2GRAY), 0.6, cv2.resize(light, (48, 48)), 1, 0
    )


def celeba(count: int = 12) -> Members:
    """`count` pictures, 178x218; the lists go on for three more, as where only a part is at hand."""
    pictures, attributes, partition = {}, [str(count + 3), " ".join(CELEBA_ATTRIBUTES) + " "], []
    for i, person in enumerate(people(count + 3)):
        name = f"{i + 1:06d}.jpg"
        values = (f"{1 if _has(person, attribute) else -1:2d}" for attribute in CELEBA_ATTRIBUTES)
        attributes.append(f"{name} {' '.join(values)}")
        partition.append(f"{name} {(0, 0, 0, 1, 2)[i % 5]}")
        if i < count:
            upright = cv2.copyMakeBorder(face(person)[:, 11:189], 9, 9, 0, 0, cv2.BORDER_REPLICATE)
            pictures[f"img_align_celeba/{name}"] = jpeg(upright)
    lists = {"list_attr_celeba.txt": _text(attributes, "\r\n"), "list_eval_partition.txt": _text(partition)}
    return pictures | lists


def _has(person: Person, attribute: str) -> bool:
    shown = {
        "Male": person.gender == "male",
        "Wearing_Lipstick": person.gender == "female",
        "Smiling": person.expression == "happy",
        "Mouth_Slightly_Open": person.expression in MOUTH_OPEN,
        "Gray_Hair": person.age >= 60,
        "Young": person.age < 40,
        "No_Beard": True,
    }
    return shown.get(attribute, False)


def photos(count: int = 8) -> Members:
    """Photographs 480x360 of one young or elderly, happy or sad person each; every third is a `.jpeg`."""
    members = {}
    for i in range(count):
        age, gender, expression = i % 2, i // 2 % 2, i // 4 % 2
        person = Person(i, (25, 80)[age], GENDERS[gender], ("happy", "sad")[expression])
        words = ("young", "elderly")[age], ("man", "woman")[gender], person.expression, str(i // 8 + 1)
        members[f"photos/{'_'.join(words)}.{'jpeg' if i % 3 == 2 else 'jpg'}"] = jpeg(scene(person))
    return dict(sorted(members.items()))


def starter(count: int = 12) -> Members:
    """Photographs 480x360 of one person each, named as rendered ones are."""
    members = {}
    for i, person in enumerate(people(count)):
        words = f"{person.age:.0f}_{person.gender}_{person.expression}"
        members[f"starter/{i:05}_single_{words}.jpg"] = jpeg(scene(person))
    return members


def appa_real(count: int = 10) -> Members:
    """Full pictures with a second person in every one, face crops, their `.mat` files, and the csv files."""
    root = "appa-real-release"
    members: Members = {f"{root}/README.txt": b"===== APPA-REAL DATABASE =====\n"}
    folders = ("train", "train", "train", "valid", "test")
    header = "file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age"
    rows: dict[str, list[str]] = {folder: [header] for folder in folders}
    for i, person in enumerate(people(count)):
        folder, name = folders[i % 5], f"{i:06d}.jpg"
        members[f"{root}/{folder}/{name}"] = jpeg(scene(person, Person(person.seed + 1000)))
        members[f"{root}/{folder}/{name}_face.jpg"] = jpeg(face(person))
        members[f"{root}/{folder}/{name}.mat"] = b"MATLAB 5.0 MAT-file"
        rows[folder].append(f"{name},38,{person.age + 1.5},4.25,{person.age}")
    return members | {f"{root}/gt_avg_{folder}.csv": _text(lines) for folder, lines in rows.items()}


CACD_NAMES = (
    "Aaron_Example",
    "Anna_Maria_de_la_Vega",
    "Zoë_Brandt",
    "J._R._Smith_Jr.",
    "Lou-Ann_O'Neill",
    "Bo",
)


def cacd(count: int = 12) -> Members:
    """Invented celebrities, two of whose names are awkward."""
    members = {}
    for i, person in enumerate(people(count)):
        name = CACD_NAMES[i % len(CACD_NAMES)]
        picture = cv2.resize(face(person), (250, 250), interpolation=cv2.INTER_LINEAR)
        members[f"CACD2000/{14 + person.age % 49}_{name}_{i // len(CACD_NAMES) + 1:04d}.jpg"] = jpeg(picture)
    return dict(sorted(members.items()))


def afad(count: int = 12) -> Members:
    """Small pictures, two of every member, among `Thumbs.db` files and a list."""
    members = {"AFAD-Full/AFAD-Full.txt": b"./15/111/638660-1.jpg\n"}
    for i, person in enumerate(people(count)):
        folder = f"AFAD-Full/{15 + person.age % 58}/{'111' if person.gender == 'male' else '112'}"
        members[f"{folder}/{638660 + i // 2}-{i % 2}.jpg"] = jpeg(tight(person, 120))
        members[f"{folder}/Thumbs.db"] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    return dict(sorted(members.items()))


def fairface(count: int = 14) -> Members:
    """Pictures 224x224, every fifth for validation, and both csv files, which go on for one more."""
    members: Members = {}
    rows: dict[str, list[str]] = {part: ["file,age,gender,race,service_test"] for part in ("train", "val")}
    for i, person in enumerate(people(count + 1)):
        part = "val" if i % 5 == 4 else "train"
        name = f"{part}/{len(rows[part])}.jpg"
        race = FAIRFACE_RACES[i % len(FAIRFACE_RACES)].title()
        rows[part].append(f"{name},{age_band(person.age)},{person.gender.title()},{race},{i % 2 == 0}")
        if i < count:
            members[name] = jpeg(cv2.resize(face(person), (224, 224), interpolation=cv2.INTER_LINEAR))
    return members | {f"fairface_label_{part}.csv": _text(lines) for part, lines in rows.items()}


def _text(lines: list[str], end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode()


# Writing


def make_raw(path: Path, members: Mapping[str, bytes]) -> Path:
    """Writes members as `fetch_data` does: one stored zip, usually `data/raw/DATASET/files.zip`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zipped(members, zipfile.ZIP_STORED))
    return path


def make_mirror(mirror: Path, datasets: Mapping[str, Members]) -> dict[str, dict[str, Any]]:
    """Writes each dataset's archives below `mirror`; the entries for `datasets:` of `data/sources.yaml`."""
    entries = {}
    for name, members in datasets.items():
        files = []
        for file, content in released(name, members).items():
            (mirror / name).mkdir(parents=True, exist_ok=True)
            (mirror / name / file).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            files.append({"mirror": f"{name}/{file}", "size": len(content), "sha256": digest})
        if name == "afad":
            split = {file["mirror"][-2:]: file["sha256"] for file in files}
            files = [{"mirror": files[0]["mirror"][:-2], "pieces": split}]
        entries[name] = {"title": name, "licence": "drawn by the tests", "files": files}
    return entries


def released(name: str, members: Members) -> Members:
    """The files that a dataset is released as."""
    if name == "celeba":
        lists = {member: members[member] for member in members if member.endswith(".txt")}
        pictures = {member: members[member] for member in members if member not in lists}
        attributes, partition = lists
        return {
            "img_align_celeba.tar.xz": tar_xz(pictures),
            "list_attr_celeba.zip": zipped({attributes: lists[attributes]}),
            f"{partition}.xz": lzma.compress(lists[partition]),
        }
    if name == "afad":
        return pieces("AFAD-Full.tar.xz", tar_xz(members))
    if name == "appa_real":
        return {"appa-real-release.zip": zipped(members)}
    if name == "cacd":
        return {"CACD2000.tar.gz": tar_gz(members)}
    return {f"{'UTKFace' if name == 'utkface' else name}.tar.xz": tar_xz(members)}
