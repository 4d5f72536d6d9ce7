"""A headless Chromium whose pages reach this machine alone, for benchmarks and tests, and what is wrong with them."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, sync_playwright

DESKTOP, PHONE = (1280, 900), (390, 844)  # pixels
HERE = frozenset({"127.0.0.1", "localhost", "::1"})
PATIENCE = 60_000  # milliseconds: the first page of a server waits for its imports

# What is wider than the window, and images that could not be loaded. A box that scrolls by itself may be wider inside.
_SIZES = """() => ({
  over: document.documentElement.scrollWidth - window.innerWidth,
  images: [...document.images].filter(image => image.complete && !image.naturalWidth).map(image => image.currentSrc)
})"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium of this machine; exit with a message where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        sys.exit("there is no Chromium: install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
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


def layout_problems(page: Page) -> list[str]:
    """What of a page is cut or missing: it is wider than its window, or an image was not loaded."""
    found = page.evaluate(_SIZES)
    problems = [f"image not loaded: {address[:200]}" for address in found["images"]]
    if found["over"] > 1:  # widths are rounded
        problems.append(f"{found['over']} pixels wider than the window")
    return problems
