"""The report in a real browser, which has no network. ECG_SCREENSHOTS names a folder to keep pictures in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ecg.scanning.report import write_page
from ecg.scanning.scan import scan
from tests.browser import DESKTOP, PHONE, browser, pictures  # noqa: F401 - fixtures

from playwright.sync_api import Browser, Page, expect  # isort: skip

RATE = 360


@pytest.fixture(scope="module")
def report(toy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the toy, with noise and a change for good."""
    noisy = np.tile(toy, 3)
    noisy[80_000:95_000] += np.random.default_rng(0).normal(0, 1, 15_000)
    path = tmp_path_factory.mktemp("report") / "mine.html"
    write_page(scan(np.concatenate([noisy, -np.repeat(toy, 2)]), rate=RATE), path)
    return path


Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Open]:  # noqa: F811
    """Open the report; fail on errors in the console and on any request."""
    contexts, complaints = [], []

    def opened(size: tuple[int, int] = DESKTOP, theme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if request.url[:4] != "file" else None)
        page.goto(report.as_uri())
        page.wait_for_selector("#timeline[data-drawn]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def test_a_click_on_an_episode_shows_its_strip(opened: Open) -> None:
    page = opened()
    episode = page.locator("#episodes details").nth(2)
    expect(episode.locator("svg.strip")).not_to_be_visible()
    episode.locator("summary").click()
    expect(episode.locator("svg.strip")).to_be_visible()
    assert episode.locator("path.lead").get_attribute("d").startswith("M0 ")
    assert episode.locator("path.alarm").count() >= 1


def test_filters_leave_the_episodes_of_a_type_and_a_kind(opened: Open) -> None:
    page = opened()
    every = page.locator("#episodes details:not([hidden])").count()
    page.locator("#type").select_option("couplet")
    shown = page.locator("#episodes details:not([hidden])")
    assert 0 < shown.count() < every
    assert set(shown.evaluate_all("all => all.map(one => one.dataset.type)")) == {"couplet"}
    expect(page.get_by_text(f"{shown.count()} shown")).to_be_visible()
    page.locator("#type").select_option("")
    page.locator("#kind").select_option("A")
    assert set(shown.evaluate_all("all => all.map(one => one.dataset.kind)")) == {"A"}


def test_a_click_on_the_timeline_opens_the_nearest_episode(opened: Open) -> None:
    page = opened()
    box = page.locator("#timeline canvas").bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    expect(page.locator("#episodes details[open]")).to_have_count(1)
    start = float(page.locator("#episodes details[open]").get_attribute("data-start"))
    total = 300 * 5
    assert start == pytest.approx(0.5 * total, abs=0.1 * total)


def test_the_timeline_zooms(opened: Open) -> None:
    page = opened()
    canvas = page.locator("#timeline canvas")
    before = canvas.screenshot()
    canvas.hover(position={"x": 500, "y": 60})
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(200)
    assert canvas.screenshot() != before


@pytest.mark.parametrize(
    ("name", "size", "theme"), [("light", DESKTOP, "light"), ("dark", DESKTOP, "dark"), ("phone", PHONE, "light")]
)
def test_the_page_fits_its_window(
    name: str,
    size: tuple[int, int],
    theme: str,
    opened: Open,
    pictures: Path,  # noqa: F811
) -> None:
    page = opened(size, theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    expect(page.locator("#finding")).to_be_in_viewport()
    shade = sum(map(int, page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")[:3]))
    assert (shade < 200) == (theme == "dark")
    page.screenshot(path=pictures / f"report-{name}.png", full_page=True)


def test_the_page_prints_at_the_scale_of_paper(opened: Open, pictures: Path) -> None:  # noqa: F811
    page = opened(theme="dark")
    page.emulate_media(media="print", color_scheme="light")
    width = page.locator("figure svg.strip").first.evaluate("one => one.getBoundingClientRect().width")
    assert width == pytest.approx(250 * 96 / 25.4, rel=0.001)  # ten seconds at 25 mm/s
    page.pdf(path=pictures / "report-print.pdf", prefer_css_page_size=True)
    page.screenshot(path=pictures / "report-print.png", full_page=True)
    expect(page.locator("#episodes")).to_be_attached()
    expect(page.locator("#episodes details").first).not_to_be_visible()
