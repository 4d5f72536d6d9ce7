"""A headless Chromium whose pages reach this machine alone, for benchmarks and tests, and what is wrong with them."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, sync_playwright

CHROMIUM = shutil.which("chromium")
DESKTOP, PHONE = (1280, 900), (390, 844)  # pixels
HERE = frozenset({"127.0.0.1", "localhost", "::1"})
DRAWN = 500  # milliseconds after which charts of another size are drawn anew
PATIENCE = 30_000  # milliseconds: the first page of a server waits for its imports

# The element that scrolls in Streamlit's pages, or the document.
_SCROLLS = "(document.querySelector('[data-testid=stMain]') ?? document.documentElement)"
# By how much it, or the document, is wider than the window, and which images could not be loaded.
_LAYOUT = f"""() => ({{
  over: Math.max(...[document.documentElement, {_SCROLLS}].map(element => element.scrollWidth - element.clientWidth)),
  images: [...document.images].filter(image => image.complete && !image.naturalWidth).map(image => image.currentSrc)
}})"""
TALLEST = 20_000  # pixels of a picture


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium of this machine; exit with a message where there is none."""
    if CHROMIUM is None:
        sys.exit("there is no Chromium: install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def is_elsewhere(address: str) -> bool:
    """Whether an address is one of another machine."""
    parts = urlsplit(address)
    return parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname not in HERE


@dataclass
class Window:
    """A window whose pages reach this machine alone.

    context : of the browser
    problems : what went wrong on its pages: refused addresses, errors in the console
    """

    context: BrowserContext
    problems: list[str] = field(default_factory=list)

    def page(self) -> Page:
        """A new page, on which all problems are noted."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.problems.append(f"error on the page: {error}"))
        return page

    def _note(self, message: ConsoleMessage) -> None:
        refused = "ERR_BLOCKED_BY_CLIENT" in message.text  # `refuse` has noted its address
        if message.type == "error" and not refused:
            self.problems.append(f"error in the console: {message.text}")

    def refuse(self, route: Route) -> None:
        """Let a request go on if it is one to this machine; note the address if not."""
        address = route.request.url
        if is_elsewhere(address):
            self.problems.append(f"asks another host: {address}")
            route.abort("blockedbyclient")
        else:
            route.continue_()


@contextmanager
def window(browser: Browser, size: tuple[int, int]) -> Iterator[Window]:
    """A window of a width and height in pixels."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    opened = Window(context)
    context.route("**/*", opened.refuse)
    context.route_web_socket(is_elsewhere, lambda socket: opened.problems.append(f"asks another host: {socket.url}"))
    yield opened
    context.close()


def whole_page(page: Page, path: Path) -> None:
    """Write a picture of all of a page: the window grows to its height, as long as the picture is taken."""
    size = page.viewport_size or {"width": DESKTOP[0], "height": DESKTOP[1]}
    page.mouse.move(0, 0)  # so that nothing is pointed at
    tall = min(TALLEST, page.evaluate(f"{_SCROLLS}.scrollHeight"))
    page.set_viewport_size({"width": size["width"], "height": max(tall, size["height"])})
    page.wait_for_timeout(DRAWN)
    page.screenshot(path=path)
    page.set_viewport_size(size)


def layout_problems(page: Page) -> list[str]:
    """What of a page is cut or missing: it is wider than its window, or an image was not loaded."""
    found = page.evaluate(_LAYOUT)
    problems = [f"image not loaded: {address[:200]}" for address in found["images"]]
    if found["over"] > 1:  # widths are rounded
        problems.append(f"{found['over']} pixels wider than the window")
    return problems
