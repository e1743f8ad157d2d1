"""The page in a browser: what it answers is what `pocketface predict` answers, and it needs nobody else.

The page's kernels are LiteRT.js's (WASM, XNNPACK), Python's are `KERNELS` of `pocketface.tflite.run`.
"""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from finder import Finder
from visit import DESK, PHONE, opened, served, visit

import drawn_datasets as drawn
from pocketface import published
from pocketface.app import site
from pocketface.cropping.crop import cut_face
from pocketface.cropping.picture import decode
from pocketface.evaluation.face_search import aligned
from pocketface.evaluation.variants import open_variant
from pocketface.faces.view import view

PROBABILITY = 1e-2
YEARS = 0.05
GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
"""Chromium's own GPU in software."""
OFFERED = "[...document.querySelectorAll('#engine option:enabled')].map((option) => option.value)"
ADAPTER = "Promise.resolve(navigator.gpu?.requestAdapter()).then(Boolean)"
NO_DEVICE = "navigator.gpu.requestAdapter = async () => null"
LIVE = "() => document.querySelector('#boxes .box') || document.querySelector('#status.trouble')"
SLOW_CAMERA = """() => {
    const media = navigator.mediaDevices, asked = media.getUserMedia.bind(media);
    window.granted = new Promise((grant) => { window.grant = grant; });
    media.getUserMedia = async (what) => {
        await window.granted;
        window.stream = await asked(what);
        return window.stream;
    };
}"""
ENDED = "() => window.stream?.getTracks().every(({ readyState }) => readyState === 'ended')"
STILL = "() => !document.getElementById('picture').hidden"
LABELS = """(all) => all.filter((one) => one.offsetParent).map((one) => {
    const { left, top, right, bottom } = one.getBoundingClientRect();
    return [left, top, right, bottom];
})"""


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
def tiny(variants, runtime, tmp_path_factory) -> Path:
    """A site with the tiny models as those of a study."""
    folder = tmp_path_factory.mktemp("app") / "site"
    site.write(folder, {"tiny": sorted(variants.glob("*/*"))}, runtime)
    return folder


@pytest.fixture(scope="module")
def session(tiny, pictures, tmp_path_factory) -> dict[str, Any]:
    """One visit, and after it another one with the server gone; what was seen by name."""
    profile = tmp_path_factory.mktemp("profile")
    seen: dict[str, Any] = {}
    film = f"--use-file-for-fake-video-capture={pictures / 'camera.mjpeg'}"
    with served(tiny) as url, visit(url, profile, [film]) as one:
        seen |= {"offered": one.page.evaluate(OFFERED), "adapter": one.page.evaluate(ADAPTER)}
        seen["int8"] = one.picture(pictures / "two.png")
        seen["mixed"] = one.choose("tiny-age_gender", "float32")
        seen["float32"] = one.choose("tiny-expression", "float32")
        seen["uint8_io"] = one.choose("tiny-age_gender", "uint8_io")
        for name in ("wall", "damaged", "empty", "words", "huge"):
            seen[name] = one.picture(pictures / f"{name}.jpg")
        seen["denied"] = one.click("#camera")
        one.context.grant_permissions(["camera"])
        one.page.click("#camera")
        one.page.wait_for_function(LIVE)
        seen["live"] = one.look()
        one.page.wait_for_selector(".face summary")
        box, card = (one.page.query_selector(name) for name in ("#boxes .box", ".face"))
        one.page.focus(".face summary")
        one.page.wait_for_function("(card) => !card.isConnected", arg=card)
        seen["kept"] = one.page.evaluate("(e) => [e.isConnected, document.activeElement.tagName]", box)
        one.page.click("#shoot")
        one.page.wait_for_function(STILL)
        seen["shot"] = one.look()
        seen["compared"] = one.compare()
        opened(one.page)
        seen["unfolded"] = one.look()
        one.page.goto(f"{url}sample.jpg")  # which must not be kept as the page
    with visit(url, profile) as again:
        seen["offline"] = again.picture(pictures / "two.png")
    seen |= {"errors": one.errors, "errors offline": again.errors}
    return seen | {"origins": one.origins | again.origins, "url": url}


@pytest.fixture(scope="module")
def on_gpu(tiny, pictures, tmp_path_factory) -> dict[str, Any]:
    """A visit of a browser with a GPU; what was seen by name."""
    with served(tiny) as url, visit(url, tmp_path_factory.mktemp("profile"), GPU) as one:
        if "webgpu" not in one.page.evaluate(OFFERED):
            pytest.skip("this Chromium has no SwiftShader")
        seen: dict[str, Any] = {"cpu": one.picture(pictures / "two.png")}
        seen["int8"] = one.engine("webgpu")
        seen["mixed"] = one.choose("tiny-age_gender", "int16x8")
        seen["float32"] = one.choose("tiny-expression", "float32")
        seen["back"] = one.engine("cpu")
        one.page.evaluate(NO_DEVICE)
        seen["fallen"] = one.engine("webgpu")
    return seen | {"errors": one.errors}


SHARED = """() => new Promise((told) => {
  navigator.share = async ({ files: [file] }) => told([file.type, file.size]);
  document.getElementById("share").click();
})"""
"""What the page gives to a phone's menu, which Chromium without a screen does not have."""


@pytest.fixture(scope="module")
def out_of_the_box(variants, runtime, tmp_path_factory) -> dict[str, Any]:
    """The published models on the sample, with a study's beside them; axe's violations at every look."""
    folder = tmp_path_factory.mktemp("app") / "site"
    study = [variants / "expression" / level for level in ("float32", "int8")]
    site.write(folder, site.models() | {"study tiny": study}, runtime)
    violations = {}
    with served(folder) as url, visit(url, tmp_path_factory.mktemp("profile")) as one:
        for scheme in ("light", "dark"):
            one.page.emulate_media(color_scheme=scheme)
            violations[f"first, {scheme}"] = Axe().run(one.page).response["violations"]
        seen: dict[str, Any] = {"sample": one.click("#sample")}
        seen["open"] = one.page.locator("details[open]").count()
        for size, name in ((DESK, "desk"), (PHONE, "phone")):  # turned, too
            one.page.set_viewport_size({"width": size[0], "height": size[1]})
            one.page.wait_for_timeout(500)
            seen[name] = one.page.eval_on_selector_all(".label, .box", LABELS)
        seen["second"] = one.choose("study tiny-expression", "int8")
        seen["told"] = one.page.locator("dl").first.evaluate("(list) => list.textContent")
        seen["compared"] = one.compare()
        opened(one.page)
        for size, name in ((PHONE, "phone"), (DESK, "desk")):
            one.page.set_viewport_size({"width": size[0], "height": size[1]})
            seen[f"sideways, {name}"] = one.look()["sideways"]
            for scheme in ("light", "dark"):
                one.page.emulate_media(color_scheme=scheme)
                violations[f"{name}, {scheme}"] = Axe().run(one.page).response["violations"]
        with one.page.expect_download() as download:
            one.page.click("#save")
        seen["saved"] = cv2.imread(str(download.value.path()))
        seen["shared"] = one.page.evaluate(SHARED)
    return seen | {"violations": violations, "errors": one.errors}


class PlainHost(SimpleHTTPRequestHandler):
    """A host that sends no headers of ours, and has the browser unpack what ends in .gz."""

    def end_headers(self) -> None:
        if self.path.endswith(".gz"):
            self.send_header("Content-Encoding", "gzip")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_a_site_runs_in_a_folder_of_a_plain_host(tiny, tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(PlainHost, directory=tiny.parent)) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        with visit(f"http://127.0.0.1:{host.server_port}/{tiny.name}/", tmp_path) as one:
            assert one.page.evaluate("self.crossOriginIsolated") is False
            assert len(one.click("#sample")["faces"]) == len(site.SAMPLE)
        host.shutdown()
    assert one.errors == []


def pixels(opinion: dict[str, Any], channels: int) -> np.ndarray:
    """What a model saw in the page, uint8 `[size, size, channels]`."""
    side = opinion["seen"]["width"]
    rgba = np.array(opinion["seen"]["data"], np.uint8).reshape(side, side, 4)
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


def test_faces_are_found_and_cut_as_in_python(session, variants, pictures):
    picture = decode((pictures / "two.png").read_bytes())
    expected = Finder(site.DETECTOR)(picture)
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


def test_a_box_and_the_focus_outlive_a_frame_of_the_camera(session):
    assert session["kept"] == [True, "SUMMARY"]


def test_a_picture_chosen_before_the_camera_starts_ends_the_camera(tiny, pictures, tmp_path):
    with served(tiny) as url, visit(url, tmp_path, ["--use-fake-device-for-media-stream"]) as one:
        one.context.grant_permissions(["camera"])
        one.page.evaluate(SLOW_CAMERA)
        one.page.click("#camera")
        one.page.set_input_files("#file", pictures / "two.png")
        one.page.evaluate("window.grant()")
        one.page.wait_for_function(ENDED)


def test_every_level_is_compared(session, variants):
    rows = session["compared"]
    assert {row["variant"] for row in rows} == {
        f"tiny/{path.parent.name}/{path.name}" for path in variants.glob("*/*")
    }
    assert all(float(row["median"]) >= float(row["fastest"]) > 0 for row in rows)


def test_the_second_start_needs_no_network(session):
    again, first = ([opinion["answers"] for opinion in opinions(session[n])] for n in ("offline", "int8"))
    assert len(first) == 4
    assert again == first


def test_nothing_leaves_this_machine_and_nothing_goes_wrong(session):
    own = session["url"].rstrip("/")
    assert {origin for origin in session["origins"] if origin != "null"} == {own}
    assert session["errors"] == []
    assert session["errors offline"] == []


def test_nothing_sticks_out_sideways_on_a_phone(session):
    assert [
        name for name in ("int8", "damaged", "live", "shot", "unfolded") if session[name]["sideways"] > 0
    ] == []


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
    told = [("int16x8" in o["facts"], "the GPU cannot" in o["facts"]) for o in opinions(on_gpu["mixed"])]
    assert told == [(True, True), (False, False)] * 2, "two faces"


def test_a_gpu_that_has_gone_leaves_the_cpu(on_gpu):
    assert [o["fellBack"] for o in opinions(on_gpu["fallen"])] == ["true"] * 4
    assert [o["answers"] for o in opinions(on_gpu["fallen"])] == [
        o["answers"] for o in opinions(on_gpu["back"])
    ]


def test_the_published_models_answer_about_the_sample_and_the_studys_are_marked(out_of_the_box):
    faces = out_of_the_box["sample"]["faces"]
    assert len(faces) == len(site.SAMPLE)
    asked = {(opinion["from"], opinion["model"]) for opinion in faces[0]}
    assert asked == {("published", name) for name in (*published.DEFAULT_MODELS, "attributes")}
    rows = {row["variant"] for row in out_of_the_box["compared"]}
    assert {"published/facenet/int8", "study tiny/expression/int8"} <= rows
    assert out_of_the_box["errors"] == []


def test_a_task_has_one_answer_and_others_are_second_opinions(out_of_the_box):
    told = out_of_the_box["told"]
    assert told.count("second opinion") == 2, "attributes on gender, the study's model on the expression"
    assert "study tiny" in told
    for line in out_of_the_box["second"]["lines"]:
        assert line.count("years") == 1
        assert sum(line.count(word) for word in ("female", "male")) - line.count("female") == 1


def test_answers_are_words_and_an_age_has_its_error(out_of_the_box):
    assert "No_Beard" not in out_of_the_box["told"]
    assert "beard" in out_of_the_box["told"]
    found = [re.match(r"\d(\d+) ± (\d+) years", line) for line in out_of_the_box["sample"]["lines"]]
    errors = published.age_errors(published.folder() / "age_gender/int8")
    for age, error in (map(int, said.groups()) for said in found):
        near = (age - 0.5, age + 0.5)  # of which the age is printed as a whole number
        assert error in [round([years for start, years in errors if start <= one][-1]) for one in near]


@pytest.mark.parametrize("screen", ["desk", "phone"])
def test_cards_are_folded_and_labels_lie_apart(out_of_the_box, screen):
    assert out_of_the_box["open"] == 0
    places = out_of_the_box[screen]
    assert len(places) > len(out_of_the_box["sample"]["faces"]), "a label is shown"
    for i, (left, top, right, bottom) in enumerate(places):
        for other in places[:i]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]


def test_a_saved_picture_has_the_answers_below_the_faces(out_of_the_box):
    height, width = out_of_the_box["saved"].shape[:2]
    assert width == 640
    assert height > 360


def test_share_hands_over_the_picture(out_of_the_box):
    kind, size = out_of_the_box["shared"]
    assert kind == "image/png" and size > 10_000


@pytest.mark.parametrize(
    "look", [f"{place}, {s}" for place in ("first", "phone", "desk") for s in ("light", "dark")]
)
def test_axe_finds_nothing(out_of_the_box, look):
    assert [(found["id"], found["help"]) for found in out_of_the_box["violations"][look]] == []


def test_nothing_sticks_out_when_all_is_unfolded(out_of_the_box):
    assert out_of_the_box["sideways, phone"] == out_of_the_box["sideways, desk"] == 0
