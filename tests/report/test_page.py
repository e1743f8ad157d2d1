"""The report in a real browser, and what can be said of it without one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib.figure import Figure
from playwright.sync_api import Page, sync_playwright
from visit import DESK, PHONE
from visit import opened as unfolded

from fake_outs import REASON, copy_report, write_outs
from pocketface.report.page import svg, ticked


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_report(write_outs(tmp_path_factory.mktemp("outs"))) / "index.html"


@pytest.fixture(scope="module")
def page(chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def opened(page: Page, path: Path, screen: tuple[int, int] = DESK) -> Page:
    """The page, loaded anew on a screen of that size."""
    page.set_viewport_size({"width": screen[0], "height": screen[1]})
    page.goto(path.as_uri())
    return page


def column(page: Page, table: str, index: int) -> list[str]:
    """The texts of a column of the first table that matches a selector."""
    return page.locator(table).first.evaluate(
        "(of, index) => [...of.tBodies[0].rows].map((row) => row.cells[index].textContent.trim())", index
    )


@pytest.mark.parametrize("screen", [PHONE, DESK])
def test_it_loads_whole_within_the_screen(page: Page, path: Path, screen: tuple[int, int]) -> None:
    opened(page, path, screen)
    assert page.evaluate("document.documentElement.scrollWidth") <= screen[0]
    unfolded(page)
    beyond = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((e) => !e.closest('.scroll, svg')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))"
    )
    assert beyond == []
    assert page.locator(".take").evaluate_all("(all) => all.every((e) => e.getClientRects().length === 1)")
    letters = page.evaluate(
        "[...document.querySelectorAll('figure svg text')].map((e) => e.getBoundingClientRect().height)"
    )
    assert letters and min(letters) > 6, "the letters of the pictures are legible"


def test_nothing_is_fetched_and_nothing_complains(page: Page, path: Path) -> None:
    asked, told = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    opened(page, path)
    assert told == []
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}


def test_the_first_screen_says_what_to_take(page: Page, path: Path) -> None:
    opened(page, path)
    box = page.locator("main table").first.bounding_box()
    assert box is not None and box["y"] < 300
    assert column(page, "main table", 0) == ["age_gender", "", "expression"]
    assert (
        page.locator("main tbody").first.evaluate(
            "(e) => Math.max(...[...e.rows].map((r) => r.clientHeight))"
        )
        < 60
    )


def test_tables_sort_by_number_when_a_head_is_clicked(page: Page, path: Path) -> None:
    opened(page, path)
    size = page.locator("#age_gender table").first.locator("thead button").nth(1)
    size.click()
    assert column(page, "#age_gender table", 0) == ["int8", "float16", "float32", "constant baseline"]
    size.click()
    assert column(page, "#age_gender table", 0) == ["float32", "float16", "int8", "constant baseline"]
    sorted_by = page.locator("#age_gender th[aria-sort]").evaluate_all("(all) => all.map((e) => e.ariaSort)")
    assert sorted_by == ["descending"]


def test_paper_shows_all(page: Page, path: Path) -> None:
    opened(page, path)
    folded = page.locator("details:not([open])")
    assert folded.count() > 5
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folded.count() == 0
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 1032})  # an A4 page within its margins, at 96 dpi
    cut = page.evaluate(
        "[...document.querySelectorAll('table, svg')]"
        ".filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML.slice(0, 200))"
    )
    page.emulate_media(media="screen")
    assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, DESK])
def test_axe_finds_nothing(page: Page, path: Path, screen: tuple[int, int], scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened(page, path, screen)
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    folded = Axe().run(page).response["violations"]
    unfolded(page)
    found = folded + Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_of_pictures_stand_out(page: Page, path: Path, scheme: str) -> None:
    """axe does not look into SVG."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened(page, path)
    colours = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor,"
        " ...new Set([...document.querySelectorAll('figure svg text')].map((e) => getComputedStyle(e).fill))]"
    )
    paper, *letters = (luminance(colour) for colour in colours)
    assert letters
    for letter in letters:
        assert (max(letter, paper) + 0.05) / (min(letter, paper) + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Of WCAG 2, of `rgb(1, 2, 3)`."""
    shares = (int(n) / 255 for n in re.findall(r"\d+", colour)[:3])
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(weight * s for weight, s in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


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


def test_no_markdown_is_left(path: Path) -> None:
    assert not re.findall(
        r"[*`]\w[^*`<>]*[*`]", re.sub(r"<(style|script).*?</\1>", "", path.read_text(), flags=re.S)
    )


def test_words_of_the_study_cannot_become_markup() -> None:
    assert ticked("`a<b` *is* <i>") == "<code>a&lt;b</code> <em>is</em> &lt;i&gt;"


def test_words_in_a_plot_keep_their_decimals() -> None:
    figure = Figure()
    figure.text(0.5, 0.5, "f/1.85 lens")
    assert "f/1.85 lens" in svg(figure, "words")
