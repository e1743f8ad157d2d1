"""The page in a browser: what it answers is what `pocketface predict` answers, and it needs nobody else.

The page's kernels are LiteRT.js's (WASM, XNNPACK), Python's are `KERNELS` of `pocketface.tflite.run`.
"""

import base64
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from finder import Finder

import drawn_datasets as drawn
from pocketface.app import bundle
from pocketface.app.serve import server
from pocketface.cropping.crop import cut_face
from pocketface.cropping.picture import decode
from pocketface.evaluation.finding import aligned
from pocketface.evaluation.variants import open_variant
from pocketface.faces.view import view

DRIVE = Path(__file__).with_name("drive.mjs")
PROBABILITY = 1e-2
YEARS = 0.05
PATIENCE = 180
"""Seconds; a start takes three on an idle machine."""
GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
"""Chromium's own GPU in software."""
OFFERED = "[...document.querySelectorAll('#engine option:enabled')].map((option) => option.value)"
ADAPTER = "Promise.resolve(navigator.gpu?.requestAdapter()).then(Boolean)"
FACTS = "[...document.querySelectorAll('.facts')].map((line) => line.textContent)"
NO_DEVICE = "navigator.gpu.requestAdapter = async () => null"

Drive = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Files to choose: two people, nobody, damaged ones, one of 48 megapixels; and what the camera sees."""
    folder = tmp_path_factory.mktemp("pictures")
    two = drawn.scene(*drawn.people(2), width=700)
    files = {
        "two.png": cv2.imencode(".png", two[:, :, ::-1])[1].tobytes(),
        "wall.jpg": drawn.jpeg(drawn.scene()),
        "damaged.jpg": drawn.jpeg(two)[:900],
        "empty.jpg": b"",
        "words.jpg": b"these are words",
        "huge.jpg": drawn.jpeg(cv2.resize(drawn.scene(drawn.people(1)[0]), (8000, 6000))),
        "camera.mjpeg": drawn.jpeg(drawn.scene(drawn.people(1)[0], width=640, height=480)) * 3,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def drive(chromium, tmp_path_factory) -> Drive:
    """Starts the browser, with one profile for all of the module, and does the steps."""
    profile = tmp_path_factory.mktemp("profile")

    def driven(url: str, steps: list[tuple[str, Any]], **more: Any) -> dict[str, Any]:
        plan = {"url": url, "chromium": chromium, "profile": str(profile), "steps": steps} | more
        plan["patience"] = 1000 * PATIENCE
        done = subprocess.run(
            ["node", DRIVE, json.dumps(plan)], capture_output=True, text=True, timeout=3 * PATIENCE
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return driven


@pytest.fixture(scope="module")
def bundled(variants, detector, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("app") / "bundle"
    bundle.write(folder, "tiny", sorted(variants.glob("*/*")), detector)
    return folder


@contextmanager
def served(dist: Path, folder: Path) -> Iterator[str]:
    """The address of the page, as long as the block runs."""
    with server(dist, folder, 0) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_address[1]}/"
        finally:
            made.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def session(dist, drive, pictures, bundled) -> dict[str, Any]:
    """One visit, and after it another one with the server gone; what was seen by name."""
    online: dict[str, tuple[str, Any]] = {
        "open": ("open", None),
        "offered": ("evaluate", OFFERED),
        "adapter": ("evaluate", ADAPTER),
        "int8": ("picture", str(pictures / "two.png")),
        "mixed": ("choose", ["age_gender", "float32"]),
        "float32": ("choose", ["expression", "float32"]),
        "uint8_io": ("choose", ["age_gender", "uint8_io"]),
        **{
            name: ("picture", str(pictures / f"{name}.jpg")) for name in ("wall", "damaged", "empty", "words")
        },
        "huge": ("picture", str(pictures / "huge.jpg")),
        "denied": ("camera", None),
        "allowed": ("allow", None),
        "live": ("camera", None),
        "shot": ("shoot", None),
        "compared": ("compare", None),
    }
    offline: dict[str, tuple[str, Any]] = {
        "second start": ("open", None),
        "offline": ("picture", str(pictures / "two.png")),
    }
    with served(dist, bundled) as url:
        visit = drive(url, list(online.values()), video=str(pictures / "camera.mjpeg"))
    again = drive(url, list(offline.values()))
    seen = dict(zip([*online, *offline], visit["results"] + again["results"], strict=True))
    errors = {"errors": visit["errors"], "errors offline": again["errors"]}
    return seen | errors | {"origins": {*visit["origins"], *again["origins"]}, "url": url}


@pytest.fixture(scope="module")
def on_gpu(dist, drive, pictures, bundled) -> dict[str, Any]:
    """A visit of a browser with a GPU; what was seen by name."""
    steps: dict[str, tuple[str, Any]] = {
        "open": ("open", None),
        "offered": ("evaluate", OFFERED),
        "cpu": ("picture", str(pictures / "two.png")),
    }
    more: dict[str, tuple[str, Any]] = {
        "int8": ("engine", "webgpu"),
        "mixed": ("choose", ["age_gender", "int16x8"]),
        "told": ("evaluate", FACTS),
        "float32": ("choose", ["expression", "float32"]),
        "back": ("engine", "cpu"),
        "gone": ("evaluate", NO_DEVICE),
        "fallen": ("engine", "webgpu"),
    }
    with served(dist, bundled) as url:
        if "webgpu" not in drive(url, [steps["open"], steps["offered"]], arguments=GPU)["results"][1]:
            pytest.skip("this Chromium has no SwiftShader")
        visit = drive(url, [*steps.values(), *more.values()], arguments=GPU)
    return dict(zip([*steps, *more], visit["results"], strict=True)) | {"errors": visit["errors"]}


def pixels(opinion: dict[str, Any], channels: int) -> np.ndarray:
    """What a model saw in the page, uint8 `[size, size, channels]`."""
    side = opinion["seen"]["width"]
    rgba = np.frombuffer(base64.b64decode(opinion["seen"]["data"]), np.uint8).reshape(side, side, 4)
    return rgba[:, :, :channels]


@pytest.mark.parametrize("level", ["float32", "int8", "uint8_io"])
def test_answers_are_those_of_predict_on_the_same_crop(session, variants, level):
    compared = 0
    for opinion in (opinion for face in session[level]["faces"] for opinion in face):
        if opinion["level"] != level:
            continue
        variant = open_variant(variants / opinion["model"] / level)
        expected = variant.decode(variant.runner(pixels(opinion, variant.input.channels)[None])).iloc[0]
        assert set(opinion["answers"]) == set(variant.outputs)
        for head, answer in opinion["answers"].items():
            compared += 1
            if not isinstance(answer, dict):
                assert answer == pytest.approx(expected[f"{head}_pred"], abs=YEARS)
                continue
            assert max(answer, key=answer.get) == expected[f"{head}_pred"]
            for label, probability in answer.items():
                assert probability == pytest.approx(expected[f"{head}_prob_{label}"], abs=PROBABILITY)
    assert compared == (4 if level == "uint8_io" else 6), "two faces; age, gender, and expression"


def test_faces_are_found_and_cut_as_in_python(session, variants, detector, pictures):
    picture = decode((pictures / "two.png").read_bytes())
    expected = Finder(detector)(picture)
    shown = session["int8"]
    assert len(shown["faces"]) == len(expected) == 2
    for face, box, opinions in zip(expected, shown["boxes"], shown["faces"], strict=True):
        assert box == pytest.approx(face.box, abs=1.5)
        for opinion in opinions:
            variant = open_variant(variants / opinion["model"] / opinion["level"])
            crop = aligned(variant.crop, variant.input)
            cut = view(cut_face(picture, face, crop), crop, variant.input).astype(int)
            difference = np.abs(cut - pixels(opinion, variant.input.channels))
            assert cut.std() > 20
            assert difference.mean() < 3


def test_the_change_to_float32_is_told(session):
    told = [opinion["change"] for opinion in session["mixed"]["faces"][0]]
    assert told[0] == [], "float32 itself"
    assert len(told[1]) == 1
    assert "float32" in told[1][0]


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ("wall", "No face was found"),
        ("damaged", "cannot be read"),
        ("words", "cannot be read"),
        ("empty", "is empty"),
        ("denied", "camera was not allowed"),
    ],
)
def test_what_cannot_be_answered_is_told_in_a_sentence(session, picture, words):
    assert words in session[picture]["status"]
    assert session[picture]["faces"] == session[picture]["boxes"] == []
    assert session[picture]["trouble"] is (picture != "wall")


def test_a_picture_of_48_megapixels_is_answered_at_a_smaller_size(session):
    assert "8000" in session["huge"]["status"]
    assert "2048" in session["huge"]["status"]
    assert len(session["huge"]["faces"]) == 1


def test_the_camera_shows_boxes_and_its_picture_can_be_taken(session):
    (box,) = session["live"]["boxes"]
    assert 0 < box[0] < box[2] < 640
    assert len(session["shot"]["faces"]) == 1
    assert session["shot"]["faces"][0][0]["answers"]["gender"]


def test_every_level_is_compared(session, variants):
    rows = session["compared"]
    assert {row["variant"] for row in rows} == {
        f"{path.parent.name}/{path.name}" for path in variants.glob("*/*")
    }
    assert all(float(row["median"]) >= float(row["fastest"]) > 0 for row in rows)


def test_the_second_start_needs_no_network(session):
    assert session["offline"]["faces"] == session["int8"]["faces"]


def test_nothing_leaves_this_machine_and_nothing_goes_wrong(session):
    own = session["url"].rstrip("/")
    assert {origin for origin in session["origins"] if origin != "null"} == {own}
    assert session["errors"] == []
    assert session["errors offline"] == []


def test_nothing_sticks_out_sideways_on_a_phone(session):
    assert [name for name in ("int8", "damaged", "live", "shot") if session[name]["sideways"] > 0] == []


def test_the_gpu_is_offered_where_there_is_one(session):
    assert "cpu" in session["offered"]
    assert ("webgpu" in session["offered"]) is session["adapter"]


def opinions(seen: dict[str, Any]) -> list[dict[str, Any]]:
    return [opinion for face in seen["faces"] for opinion in face]


def numbers(opinion: dict[str, Any]) -> np.ndarray:
    """All that a model says of a face, ages in hundreds of years."""
    answers = opinion["answers"].values()
    return np.array([n for a in answers for n in (a.values() if isinstance(a, dict) else [a / 100])])


def test_the_gpu_answers_as_the_cpu_does(on_gpu):
    assert len(opinions(on_gpu["cpu"])) == len(opinions(on_gpu["int8"])) == 4
    for expected, found in zip(opinions(on_gpu["cpu"]), opinions(on_gpu["int8"]), strict=True):
        assert found["fellBack"] == "false"
        # It computes in float, with the scales of the integers.
        assert numbers(found) == pytest.approx(numbers(expected), abs=0.05)
    for expected, found in zip(opinions(on_gpu["back"]), opinions(on_gpu["float32"]), strict=True):
        assert numbers(found) == pytest.approx(numbers(expected), abs=1e-4)
    assert on_gpu["errors"] == []


def test_what_the_gpu_cannot_the_cpu_does_and_the_page_says_so(on_gpu):
    fell = {(o["model"], o["level"]): o["fellBack"] == "true" for o in opinions(on_gpu["float32"])}
    assert fell == {("age_gender", "int16x8"): True, ("expression", "float32"): False}
    told = [("int16x8" in line, "the GPU cannot" in line) for line in on_gpu["told"]]
    assert told == [(True, True), (False, False)] * 2, "two faces"


def test_a_gpu_that_has_gone_leaves_the_cpu(on_gpu):
    assert [o["fellBack"] for o in opinions(on_gpu["fallen"])] == ["true"] * 4
    assert [o["answers"] for o in opinions(on_gpu["fallen"])] == [
        o["answers"] for o in opinions(on_gpu["back"])
    ]
