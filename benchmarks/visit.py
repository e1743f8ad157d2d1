"""A visit of the web app in Chromium, for tests and benchmarks.

with visit(url, profile) as page:
    page.picture(Path("photo.jpg"))["faces"]
"""

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, sync_playwright

from pocketface.app.serve import server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE, DESK = (390, 844), (1280, 800)
PATIENCE = 180.0
"""Seconds; a start takes three on an idle machine."""
SETTLED = """() => {
    const status = document.getElementById("status");
    return status.className !== "busy" && status.textContent !== "";
}"""
LOOK = """() => ({
    status: document.getElementById("status").textContent,
    trouble: document.getElementById("status").className === "trouble",
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    boxes: [...document.querySelectorAll("#boxes .box")].map((box) => JSON.parse(box.dataset.box)),
    lines: [...document.querySelectorAll(".face summary")].map((line) => line.innerText),
    faces: [...document.querySelectorAll(".face")].map((card) =>
        [...card.querySelectorAll(".opinion")].map((opinion) => {
            const seen = opinion.querySelector("canvas");
            const { data, width } = seen.getContext("2d").getImageData(0, 0, seen.width, seen.height);
            const answers = [...opinion.querySelectorAll("[data-head]")].map((block) => [
                block.dataset.head,
                block.querySelector("data")
                    ? Number(block.querySelector("data").value)
                    : Object.fromEntries([...block.querySelectorAll("li")].map(
                        (row) => [row.dataset.label, Number(row.dataset.probability)])),
            ]);
            return {
                ...opinion.dataset,
                answers: Object.fromEntries(answers),
                change: [...opinion.querySelectorAll(".change")].map((line) => line.textContent),
                facts: opinion.querySelector(".facts").textContent,
                seen: { width, data: [...data] },
            };
        }),
    ),
})"""
"""What the page shows: per face and model asked, its answers and the pixels that it saw."""
ROWS = "(rows) => rows.map((row) => ({ ...row.dataset }))"


class Visit:
    """A page that is open: what a person does there, one call each; most give what is shown then.

    Attributes:
        page, context: Playwright's.
        errors: what the console told as an error, and exceptions.
        origins: who was asked for something.
    """

    def __init__(self, context: BrowserContext, url: str):
        self.context, self.page, self.url = context, context.pages[0], url
        self.errors: list[str] = []
        self.origins: set[str] = set()
        context.set_default_timeout(1000 * PATIENCE)
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        context.on("request", lambda request: self.origins.add("/".join(request.url.split("/")[:3])))
        self.page.goto(url)
        self.page.wait_for_selector("html[data-ready]")
        self.page.wait_for_selector("html[data-kept]")  # all that a start without a network needs

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def look(self) -> dict[str, Any]:
        """What is shown when the page is done with what was asked."""
        self.page.wait_for_function(SETTLED)
        return self.page.evaluate(LOOK)

    def picture(self, file: Path) -> dict[str, Any]:
        """Chooses a file."""
        self._silence()
        self.page.set_input_files("#file", file)
        return self.look()

    def click(self, selector: str) -> dict[str, Any]:
        """Clicks on what makes the page compute."""
        self._silence()
        self.page.click(selector)
        return self.look()

    def choose(self, model: str, level: str) -> dict[str, Any]:
        """Asks a model, `FROM-MODEL`, at a level."""
        self._silence()
        self._unfold()
        self.page.select_option(f"[id='level-{model}']", level)
        return self.look()

    def engine(self, engine: str) -> dict[str, Any]:
        """Lets the CPU, its threads or the GPU compute."""
        self._silence()
        self._unfold()
        self.page.select_option("#engine", engine)
        return self.look()

    def compare(self) -> list[dict[str, Any]]:
        """The rows of the table of levels."""
        self.page.click("#compare")
        self.page.wait_for_function("() => /compared/.test(document.getElementById('status').textContent)")
        return self.page.eval_on_selector_all("#table tr[data-variant]", ROWS)

    def _silence(self) -> None:
        self.page.evaluate("() => { document.getElementById('status').textContent = ''; }")

    def _unfold(self) -> None:
        self.page.eval_on_selector("#models", "(models) => { models.open = true; }")


@contextmanager
def visit(url: str, profile: Path, arguments: Sequence[str] = ()) -> Iterator[Visit]:
    """Opens the page in a browser that keeps what it keeps in the folder `profile`."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            viewport={"width": PHONE[0], "height": PHONE[1]},
            args=["--no-sandbox", "--use-fake-device-for-media-stream", *arguments],
        )
        try:
            yield Visit(context, url)
        finally:
            context.close()


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of a site on this machine, as long as the block runs."""
    with server(site, 0) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_address[1]}/"
        finally:
            made.shutdown()
            thread.join()


def opened(page: Page) -> None:
    """Unfolds all that is folded."""
    page.eval_on_selector_all("details", "(all) => all.forEach((one) => { one.open = true; })")
