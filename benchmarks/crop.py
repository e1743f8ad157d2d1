"""How fast cropping is, against a plain dlib loop, and how it grows.

python benchmarks/crop.py throughput        # UTKFace: this pipeline and a plain loop, pictures per second
python benchmarks/crop.py large             # 12-megapixel photographs: the same, and faces found
python benchmarks/crop.py growth            # cost per picture and memory of the parent, 1,000 to 200,000

Needs `dvc repro fetch_data@utkface fetch_data@photos`. Ratios are between runs that take turns on the same
machine; run it on an idle one. Prints the rows for benchmarks/README.md.
"""

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import dlib
import numpy as np
from distributed import Client, LocalCluster

from pocketface import datasets
from pocketface.cropping import detect as detecting
from pocketface.cropping.blazeface import overlap
from pocketface.cropping.build import build
from pocketface.cropping.crop import crop_picture
from pocketface.cropping.detect import Box
from pocketface.cropping.picture import Rejected, decode
from pocketface.faces.index import FACES, FaceSet
from pocketface.faces.settings import Crop, Dataset, Detector
from pocketface.report.cells import Table

UTKFACE = Path("data/raw/utkface/files.zip")
PHOTOS = Path("data/raw/photos/files.zip")
CROP = Crop(policy="one", upsample=0, margin=0.25, size=120)
LARGE = Crop(policy="largest", upsample=0, margin=0.6, size=224)
WIDTH, HEIGHT = 4000, 3000


def main() -> None:
    """Runs one of the three measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["throughput", "large", "growth", "once"])
    parser.add_argument("--pictures", type=int, nargs="+", help="how many (growth: several numbers)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scheduler", help=argparse.SUPPRESS)
    parser.add_argument("--archive", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.what == "throughput":
        throughput((args.pictures or [4000])[0], args.workers, args.rounds)
    elif args.what == "large":
        large((args.pictures or [18])[0], args.workers, args.rounds)
    elif args.what == "growth":
        growth(args.pictures or [1000, 20000, 200000], args.workers)
    else:
        once(args.pictures[0], args.scheduler, args.archive)


def throughput(pictures: int, workers: int, rounds: int) -> None:
    """This pipeline with either finder, the plain loop that finds the same faces, and one that looks once."""
    sample = share(pictures)
    records = datasets.read("utkface", UTKFACE)
    images = [r.image for r in records if r.problem is None and datasets.in_sample(r.image, sample)]

    def pipeline(detector: Detector) -> Callable[[Path], int]:
        settings = Dataset(sample=sample, crop=CROP.model_copy(update={"detector": detector}))

        def run(folder: Path) -> int:
            build("utkface", UTKFACE, settings, folder / "utkface", workers)
            return len(FaceSet.load(folder / "utkface").rows())

        return run

    looks = first_look, second_look, last_look
    contenders: dict[str, Callable[[Path], int]] = {
        f"pocketface, {workers} workers": pipeline("hog"),
        "the same with BlazeFace": pipeline("blazeface"),
        "plain loop, same faces": lambda folder: plain_loop(images, folder, looks),
        "plain loop, one look": lambda folder: plain_loop(images, folder, (first_look,)),
    }
    rows = [
        [name, f"{len(images) / seconds:.0f}", str(faces), ratio]
        for name, seconds, faces, ratio in take_turns(contenders, rounds)
    ]
    header = [f"{len(images)} UTKFace pictures", "pictures/s", "faces", "time, ours = 1"]
    print(Table(header, rows).markdown())


Look = Callable[[np.ndarray], Iterable[dlib.rectangle]]


def plain_loop(images: Sequence[str], folder: Path, looks: Sequence[Look]) -> int:
    """What one writes with dlib's own examples at hand: decode, detect, landmarks, chip, save."""
    landmarks = detecting._shape_predictor()
    faces = []
    with zipfile.ZipFile(UTKFACE) as archive:
        for image in images:
            picture = cv2.imdecode(np.frombuffer(archive.read(image), np.uint8), cv2.IMREAD_COLOR_RGB)
            boxes = next((found for look in looks if (found := list(look(picture)))), [])
            if len(boxes) == 1:
                points = landmarks(picture, boxes[0])
                faces.append(dlib.get_face_chip(picture, points, size=CROP.size, padding=CROP.margin))
    np.save(folder / FACES, np.stack(faces))
    return len(faces)


def first_look(picture: np.ndarray) -> Iterable[dlib.rectangle]:
    """HOG, on the picture as it is."""
    return detecting._hog_detector()(picture, 0)


def second_look(picture: np.ndarray) -> Iterable[dlib.rectangle]:
    """HOG, with a frame around the picture."""
    frame = round(detecting.SECOND_LOOK_FRAME * max(picture.shape[:2]))
    framed = cv2.copyMakeBorder(picture, frame, frame, frame, frame, cv2.BORDER_REPLICATE)
    return [
        dlib.rectangle(box.left() - frame, box.top() - frame, box.right() - frame, box.bottom() - frame)
        for box in first_look(framed)
    ]


def last_look(picture: np.ndarray) -> Iterable[dlib.rectangle]:
    """The CNN."""
    return [found.rect for found in detecting._cnn_detector()(picture, 0)]


def large(pictures: int, workers: int, rounds: int) -> None:
    """12-megapixel photographs: this pipeline's way, on workers that are up already, and a plain loop."""
    made = [large_photograph(number) for number in range(pictures)]
    files = [data for data, _ in made]

    def found(boxes: Iterable[Box | None]) -> int:
        pairs = zip(boxes, [face for _, face in made], strict=True)
        return sum(box is not None and overlap(*np.array([box, face], float)) > 0.4 for box, face in pairs)

    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(our_crop, files[:1] * 2 * workers))
        contenders: dict[str, Callable[[Path], int]] = {
            f"pocketface, {workers} workers": lambda folder: found(pool.map(our_crop, files)),
            "pocketface, one process": lambda folder: found(map(our_crop, files)),
            "plain loop": lambda folder: found(map(plain_crop, files)),
        }
        rows = [
            [name, f"{seconds / pictures:.3f}", f"{faces} of {pictures}", ratio]
            for name, seconds, faces, ratio in take_turns(contenders, rounds)
        ]
    header = [f"{pictures} photographs of 12 megapixels", "s/picture", "faces", "time, ours = 1"]
    print(Table(header, rows).markdown())


def our_crop(data: bytes) -> Box | None:
    """The box of the largest face of a picture file, cut out; None without a face."""
    try:
        return crop_picture(decode(data), LARGE)[1]
    except Rejected:
        return None


def plain_crop(data: bytes) -> Box | None:
    """The same with dlib on the full picture."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    boxes = list(first_look(picture))
    if not boxes:
        return None
    box = max(boxes, key=lambda box: box.area())
    points = detecting._shape_predictor()(picture, box)
    dlib.get_face_chip(picture, points, size=LARGE.size, padding=LARGE.margin)
    return detecting._box(box)


def large_photograph(number: int) -> tuple[bytes, Box]:
    """A JPEG file of 4000x3000: a photograph enlarged on a blurred one; and where its face is.

    The face's side is between a tenth and a fifth of the width, in turn.
    """
    with zipfile.ZipFile(PHOTOS) as archive:
        names = sorted(archive.namelist())
        picture = decode(archive.read(names[number % len(names)]))
        behind = decode(archive.read(names[(number + 1) % len(names)]))
    face = detecting.detect(picture, upsample=1)[0]
    scale = WIDTH / face.side / (10 - number % 6)
    inlay = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    canvas = cv2.GaussianBlur(cv2.resize(behind, (WIDTH // 8, HEIGHT // 8)), (0, 0), 12)
    canvas = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    box = np.array(face.box) * scale
    centre = (box[:2] + box[2:]) / 2
    # The face goes to the middle; what of the photograph does not fit is cut.
    start = np.round(np.array([WIDTH, HEIGHT]) / 2 - centre).astype(int)
    left, top = np.maximum(start, 0)
    cut = inlay[max(-start[1], 0) :, max(-start[0], 0) :][: HEIGHT - top, : WIDTH - left]
    canvas[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    noise = np.random.default_rng(number).normal(0, 3, (HEIGHT, WIDTH, 1))
    canvas = np.clip(canvas + noise, 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", canvas[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    left, top, right, bottom = np.round(box + np.tile(start, 2)).astype(int).tolist()
    return data, (left, top, right, bottom)


def growth(sizes: Sequence[int], workers: int) -> None:
    """Each size in a fresh process, on workers that are up already, with BlazeFace."""
    whose = "memory of the parent, MB | of the fork that lists | of a worker"
    print(f"| pictures | s | ms/picture | {whose} |\n|---|---|---|---|---|---|")
    with (
        LocalCluster(workers, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
        tempfile.TemporaryDirectory(dir="data") as folder,
    ):
        for size in [256, *sizes]:  # the first only warms the workers up
            archive = repeated(size, Path(folder) / f"{size}.zip")
            command = [sys.executable, __file__, "once", "--pictures", str(size), "--archive", str(archive)]
            ran = subprocess.run(
                [*command, "--scheduler", cluster.scheduler_address], check=True, stdout=subprocess.PIPE
            )
            archive.unlink()
            got = json.loads(ran.stdout.splitlines()[-1])
            if size in sizes:
                each = 1000 * got["seconds"] / got["pictures"]
                memory = [got["parent"], got["fork"], max(client.run(peak).values())]
                cells = [f"{got['seconds']:.1f}", f"{each:.2f}", *(f"{one:.0f}" for one in memory)]
                print(f"| {got['pictures']} | {' | '.join(cells)} |", flush=True)


def repeated(pictures: int, target: Path) -> Path:
    """An archive of so many pictures of UTKFace, each a few times over where there are fewer."""
    with zipfile.ZipFile(UTKFACE) as archive, zipfile.ZipFile(target, "w") as copies:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        for number in range(pictures):
            copy, name = divmod(number, len(names))
            copies.writestr(f"{copy}/{Path(names[name]).name}", archive.read(names[name]))
    return target


def once(pictures: int, scheduler: str, archive: Path) -> None:
    """One crop, measured from inside; prints JSON."""
    with tempfile.TemporaryDirectory(dir="data") as folder:
        start = time.perf_counter()
        settings = Dataset(sample=1.0, crop=CROP.model_copy(update={"detector": "blazeface", "size": 48}))
        build("utkface", archive, settings, Path(folder) / "utkface", scheduler=scheduler)
        seconds = time.perf_counter() - start
    memory = {"parent": peak(), "fork": peak(resource.RUSAGE_CHILDREN)}
    print(json.dumps({"pictures": pictures, "seconds": seconds} | memory))


def peak(whose: int = resource.RUSAGE_SELF) -> float:
    """The most memory that this process, or the largest that it waited for, had, in MB."""
    return resource.getrusage(whose).ru_maxrss / 1024


def share(pictures: int) -> float:
    """The sample that holds about so many of UTKFace."""
    with zipfile.ZipFile(UTKFACE) as archive:
        return min(pictures / len(archive.namelist()), 1.0)


def take_turns(
    contenders: dict[str, Callable[[Path], int]], rounds: int
) -> list[tuple[str, float, int, str]]:
    """Every contender, seconds of its best round, the faces it found, and its time where the first's is 1."""
    best, found = dict.fromkeys(contenders, float("inf")), dict[str, int]()
    for _ in range(rounds):
        for name, run in contenders.items():
            with tempfile.TemporaryDirectory(dir="data") as folder:
                start = time.perf_counter()
                found[name] = run(Path(folder))
                best[name] = min(best[name], time.perf_counter() - start)
    ours = next(iter(best.values()))
    return [(name, seconds, found[name], f"{seconds / ours:.2f}") for name, seconds in best.items()]


if __name__ == "__main__":
    main()
