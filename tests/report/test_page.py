"""The report in a real browser, and what can be said of it without one."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_outs import REASON, write_outs
from pocketface.report.page import ticked
from pocketface.report.report import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
PHONE, DESK = 390, 1280
"""Widths of the screen, in pixels."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outs = write_outs(tmp_path_factory.mktemp("outs"))
    return write_report(outs.study, outs.root) / "index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (BROWSER and DRIVER):
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    yield driver
    driver.quit()


def opened(browser: Any, path: Path, width: int) -> Any:
    """The page, loaded anew on a screen of that width."""
    screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(path.as_uri())
    return browser


def column(page: Any, table: str, index: int) -> list[str]:
    """The texts of a column of the first table that matches a selector."""
    return page.execute_script(
        "return [...document.querySelector(arguments[0]).tBodies[0].rows]"
        ".map(row => row.cells[arguments[1]].textContent.trim())",
        table,
        index,
    )


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_it_loads_whole_within_the_screen(browser: Any, path: Path, width: int) -> None:
    page = opened(browser, path, width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    beyond = page.execute_script(
        "return [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, svg')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert beyond == []
    letters = page.execute_script(
        "return [...document.querySelectorAll('figure svg text')]"
        ".map(e => e.getBoundingClientRect().height).filter(h => h > 0)"
    )
    assert letters and min(letters) > 6, "the letters of the pictures are legible"


def test_nothing_is_fetched_and_nothing_complains(browser: Any, path: Path) -> None:
    for log in ("browser", "performance"):
        browser.get_log(log)
    opened(browser, path, DESK)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert {url for url in requests if not url.startswith("data:")} == {path.as_uri()}


def test_the_first_screen_says_what_to_take(browser: Any, path: Path) -> None:
    page = opened(browser, path, DESK)
    top = page.execute_script("return document.querySelector('main table').getBoundingClientRect().top")
    assert top < 300
    assert column(page, "main table", 0) == ["age_gender", "", "expression"]


def test_tables_sort_by_number_when_a_head_is_clicked(browser: Any, path: Path) -> None:
    page = opened(browser, path, DESK)
    button = page.find_elements("css selector", "#age_gender table thead button")[1]
    button.click()
    assert column(page, "#age_gender table", 0) == ["int8", "float16", "float32", "constant baseline"]
    button.click()
    assert column(page, "#age_gender table", 0) == ["float32", "float16", "int8", "constant baseline"]
    sorted_by = page.execute_script(
        "return [...document.querySelectorAll('#age_gender th[aria-sort]')].map(e => e.ariaSort)"
    )
    assert sorted_by == ["descending"]


def test_paper_shows_all(browser: Any, path: Path) -> None:
    page = opened(browser, path, DESK)
    folded = "return document.querySelectorAll('details:not([open])').length"
    assert page.execute_script(folded) > 5
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.execute_script(folded) == 0


def test_letters_stand_out_in_light_and_in_dark(browser: Any, path: Path) -> None:
    colours = []
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        page = opened(browser, path, DESK)
        rgb = page.execute_script(
            "const of = e => getComputedStyle(e);"
            "return [of(document.body).color, of(document.body).backgroundColor,"
            " of(document.querySelector('figure svg text')).fill]"
        )
        ink, paper, letter = ([int(n) for n in re.findall(r"\d+", colour)[:3]] for colour in rgb)
        assert abs(sum(ink) - sum(paper)) > 400 and abs(sum(letter) - sum(paper)) > 200
        colours.append(rgb)
    assert colours[0] != colours[1]


def test_it_tells_all_that_it_should(path: Path) -> None:
    text = path.read_text()
    for part in (
        *("age_gender on utkface", "Confusion", "Groups of people", "Which level to take"),
        *("Pictures per dataset and split", "terms of fer2013", "Imagined CPU, 2 cores", "Model card"),
        *("--study tiny", "tensorflow", "binary annotation of appearance", "96 x 96 x 3, raw 0..255"),
    ):
        assert part in text, part
    assert REASON in text


def test_it_is_one_file_without_photographs(path: Path) -> None:
    text = path.read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:,)[^"']*["']""", text.replace("xlink:href", ""))
    assert "data:image" not in text


def test_words_of_the_study_cannot_become_markup() -> None:
    assert ticked("`a<b` *is* <i>") == "<code>a&lt;b</code> <em>is</em> &lt;i&gt;"
