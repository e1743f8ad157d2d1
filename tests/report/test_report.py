import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import cv2
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

import fake_outs
from fake_outs import FAILED, LEVELS, ONE, REASON, copy_report, write_outs, write_results, write_timing
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import CLASSES, FAIRFACE_RACES
from pocketface.report.cells import Section, Table
from pocketface.report.page import counts_of
from pocketface.report.report import write_report
from private_files import names_in, plant, strangers

NAME = r"[a-z]\w*"
WRITTEN = (
    r"index\.html|comparison\.md|metrics\.json|results\.parquet",
    rf"confusion/{NAME}/{NAME}\.csv",
    rf"plots/overview\.png|plots/{NAME}/(curves|tradeoff|(calibration|groups)_{NAME})\.png",
)
"""Every file of a report."""
TIMED = ("tradeoff.png", ".parquet", ".html", ".md")


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A study's outs with its report."""
    outs = write_outs(tmp_path_factory.mktemp("outs"))
    copy_report(outs)
    return outs


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_metrics_are_the_main_ones_per_variant_and_hold_no_timings(reported):
    metrics = json.loads((reported.root / "reports/tiny/metrics.json").read_text())
    assert FAILED[1] not in metrics[FAILED[0]]
    int8 = metrics["age_gender"]["int8"]
    assert set(int8) == {"utkface.age_mae", "utkface.gender_accuracy", "size_kb"} and int8["size_kb"] == 331
    assert not re.search(r"_ms|latency|ratio", json.dumps(metrics))


@pytest.fixture(scope="module")
def again(reported, tmp_path_factory):
    """The same outs with other timings, private files among them, and their report."""
    root = tmp_path_factory.mktemp("again")
    shutil.copytree(reported.root, root, dirs_exist_ok=True)
    shutil.rmtree(root / "reports")
    for model in reported.study.models:
        for level in LEVELS:
            write_timing(model, level, root, ms=3.7)
    left = [root / "reports/tiny" / part for part in ("plots", "plots/age_gender", "confusion")]
    plant(root, *left, *(root / f"{part}/age_gender/int8" for part in ("variants", "evaluation")))
    return write_report(reported.study, root)


def test_a_report_holds_what_is_listed_no_names_of_pictures_and_no_path(again):
    found = names_in(again)
    assert not strangers(found, WRITTEN)
    assert all(strangers(found, [pattern]) != found for pattern in WRITTEN)
    texts = [(again / name).read_text() for name in found if not name.endswith((".png", ".parquet"))]
    assert not [text for text in texts if re.search(r"\b\d+\.jpg|data:image/(jpeg|webp)", text)]
    assert not [text for text in texts if str(again.parents[1]) in text or text == "private"]


def test_an_age_of_which_bands_alone_are_known_is_told_by_their_accuracy(tmp_path):
    params = yaml.safe_load(yaml.safe_dump(ONE).replace("utkface", "fairface"))
    outs = write_outs(tmp_path, params, faces=200)
    write_report(outs.study, outs.root)
    folder = tmp_path / "reports/tiny"
    told = json.loads((folder / "metrics.json").read_text())["age_gender"]["int8"]
    assert set(told) == {"fairface.age_band_accuracy", "fairface.gender_accuracy", "size_kb"}
    text = (folder / "comparison.md").read_text()
    groups = [line.split("|")[1].strip() for line in text.splitlines() if line.count("|") > 3]
    assert {race for race in groups if race in CLASSES["race"]} == set(FAIRFACE_RACES)


def test_the_comparison_tells_all_that_it_should(reported):
    folder = reported.root / "reports/tiny"
    text = (folder / "comparison.md").read_text()
    assert REASON.replace("|", r"\|") in text
    assert text.index("| model | take |") < text.index("## age_gender")
    assert "binary annotation of appearance" in text
    assert "terms of fer2013" in text
    assert "Imagined CPU, 2 cores" in text
    assert "fer2013 (50% of its pictures)" in text
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert pictures and all((folder / picture).is_file() for picture in pictures)
    assert set(pictures) == {name for name in contents(folder) if name.endswith(".png")}


def test_a_section_of_the_study_stands_first(tmp_path, monkeypatch):
    monkeypatch.setattr("pocketface.report.report.all_plots", lambda results, picks, compared: {})
    outs, plot = write_outs(tmp_path, ONE), Figure()
    plot.subplots().plot([0, 1])
    table = Table(["what", "lost"], [["gender", "61"]])
    folder = write_report(
        outs.study, outs.root, Section("story", "It is the harness", ("Of *18*.", "More."), table, plot)
    )
    text, page = (folder / "comparison.md").read_text(), (folder / "index.html").read_text()
    order = (
        "| model | take |",
        "## It is the harness",
        "(plots/story.png)",
        "Of *18*.",
        "| gender | 61 |",
        "More.",
    )
    assert sorted(order, key=text.index) == list(order) and text.index("More.") < text.index("## age_gender")
    order = (
        "Which level to take",
        '<section id="story"><h2>It is the harness',
        "<svg",
        "Of <em>18</em>.",
        ">61<",
    )
    assert sorted(order, key=page.index) == list(order) and page.index(">61<") < page.index(
        '<section id="age_gender"'
    )
    assert (folder / "plots/story.png").is_file()


def test_a_page_has_the_styles_of_its_pictures_once(reported):
    page = (reported.root / "reports/tiny/index.html").read_text()
    assert not re.search(r'<(path|use|text)[^>]* style="', page) and "<g" not in page
    used = set(re.findall(r'<(?:path|use|text)[^>]* class="(s\d+)"', page))
    assert used == set(re.findall(r"^\.(s\d+) {", page, re.M))


def test_pictures_are_drawn(reported):
    for path in (reported.root / "reports/tiny").rglob("*.png"):
        picture = cv2.imread(str(path))
        assert picture.shape[1] > 500 and picture.std() > 5
    assert (reported.root / "reports/tiny/plots/overview.png").is_file()


def test_answers_are_written_for_dvc_plots(reported):
    folder = reported.root / "reports/tiny/confusion"
    pairs = pd.read_csv(folder / "age_gender/gender_int8.csv")
    assert list(pairs) == ["actual", "predicted"] and len(pairs) == 240
    assert not (folder / "expression/expression_int8.csv").exists()


class Markup(HTMLParser):
    """What a browser makes of a page: its tags, with the values of their attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.values = Counter(), []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.values += [f"{name}={value}" for name, value in attributes]


HOSTILE = "</td><img src=x onerror=alert(1)>|$x^{$[a](javascript:b)`*c*`{{d}}"


def test_words_of_others_become_no_markup(reported, tmp_path, monkeypatch):
    monkeypatch.setattr(fake_outs, "RACES", [f"{i}{HOSTILE}" for i in range(5)])
    outs = write_outs(tmp_path, ONE)
    for path in tmp_path.glob("*/age_gender/**/card.json"):
        card = json.loads(path.read_text()) | dict.fromkeys(("licence", "dataset"), HOSTILE)
        path.write_text(json.dumps(card | {"training": {HOSTILE: HOSTILE}}))
    write_results(outs, ["race"])
    page = (write_report(outs.study, outs.root) / "index.html").read_text()
    assert "$x^{$[a](javascript:b)`*c*`{{d}}" in page
    plain, found = (
        Markup((root / "reports/tiny/index.html").read_text()) for root in (reported.root, outs.root)
    )
    assert found.tags.keys() == plain.tags.keys() and found.tags["script"] == plain.tags["script"]
    assert not [value for value in found.values if re.match("on|(href|src)=(x|javascript)", value)]


def test_only_timings_change_the_bytes(reported, again):
    first, second = contents(reported.root / "reports/tiny"), contents(again)
    different = {name for name in first | second if first.get(name) != second.get(name)}
    assert different <= {name for name in first if name.endswith(TIMED)}


def test_the_report_stands_without_timings_and_names_what_else_is_missing(tmp_path, monkeypatch):
    outs = write_outs(tmp_path, ONE)
    monkeypatch.setattr("pocketface.results.measure.members", lambda table, by: {})  # their plots take long
    write_results(outs)
    shutil.rmtree(tmp_path / "timings")
    folder = write_report(outs.study, tmp_path)
    assert "Time was not measured" in (folder / "comparison.md").read_text()
    before = contents(folder)
    (tmp_path / "results/results.parquet").unlink()
    with pytest.raises(PocketfaceError, match=r"results\.parquet: no such file.*dvc repro results"):
        write_report(outs.study, tmp_path)
    assert contents(folder) == before


def test_results_of_another_study_are_refused(tmp_path):
    outs = write_outs(tmp_path)
    other = outs.study.model_copy(update={"models": {"other": outs.study.models["expression"]}})
    with pytest.raises(PocketfaceError, match=r"of age_gender, expression, not of study tiny"):
        write_report(other, tmp_path)


def test_confusion_rows_are_the_truth():
    pair = pd.DataFrame({"actual": ["male", "male", "female"], "predicted": ["male", "female", "female"]})
    assert counts_of(pair, ("male", "female", "other")).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
