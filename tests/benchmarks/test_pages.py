"""Pictures of pages: what is wrong with a page is found, and a picture that is not current, too."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from benchmarks.browser import DESKTOP, PHONE, window
from benchmarks.pictures import FOLDER, TOLERANCE, compact, difference, is_current
from benchmarks.screenshots import Sight, opening, pictured
from tests.browser import browser  # noqa: F401 - a fixture

from playwright.sync_api import Browser  # isort: skip

ELSEWHERE = "https://example.org/"
COMPLETE = "<h1>A page</h1><p>of words, which is as wide as the window"


@pytest.fixture
def problems(browser: Browser, tmp_path: Path) -> Callable[..., list[str]]:  # noqa: F811
    """What is wrong with a page of this content."""

    def problems(content: str, ready: str = "body") -> list[str]:
        page = tmp_path / "page.html"
        page.write_text(f"<!doctype html><meta charset=utf-8><body>{content}")
        return pictured(browser, Sight("page", opening(page.as_uri(), ready, patience=300)), tmp_path)

    return problems


def test_a_complete_page_is_pictured_in_both_widths(problems: Callable, tmp_path: Path) -> None:
    tall = "<p>line<p style='height: 3000px'>line"
    assert problems(COMPLETE + tall) == []
    for width, _ in (DESKTOP, PHONE):
        with Image.open(tmp_path / f"page-{width}.png") as picture:
            assert picture.width == width
            assert picture.height > 3000


def test_what_a_page_lacks_without_a_network_or_in_width_is_a_problem(problems: Callable) -> None:
    content = f"""
        <img src={ELSEWHERE}beat.png> <script src={ELSEWHERE}vega.js></script>
        <script>fetch("{ELSEWHERE}data").catch(() => 0)</script> <script>new WebSocket("wss://example.org/live")</script>
        <script>console.error("no data")</script> <script>draw()</script>
        <img src=missing.png> <div style="width: 2000px; margin-left: -8px">wide</div>"""
    expected = {
        f"asks another host: {ELSEWHERE}beat.png",
        f"asks another host: {ELSEWHERE}vega.js",
        f"asks another host: {ELSEWHERE}data",
        "asks another host: wss://example.org/live",
        "error in the console: no data",
        "error on the page: draw is not defined",
        "720 pixels wider than the window",
    }
    found = {line.removeprefix("page, 1280 pixels: ") for line in problems(COMPLETE + content)}
    assert expected <= found
    assert any(line.startswith("image not loaded: ") and line.endswith("missing.png") for line in found)


def test_a_page_that_never_becomes_complete_is_a_problem(problems: Callable) -> None:
    assert len(problems(COMPLETE, ready="#chart")) == 2  # one in each width


def test_pages_of_this_machine_are_not_refused(browser: Browser) -> None:  # noqa: F811
    with window(browser, PHONE) as opened:
        page = opened.page()
        page.route("http://localhost:9/", lambda route: route.fulfill(body="<p>here"))
        page.goto("http://localhost:9/")
        assert page.get_by_text("here").is_visible()
        assert opened.problems == []


def png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def committed() -> Image.Image:
    with Image.open(FOLDER / "dashboard.png") as picture:
        return picture.convert("RGB")


def test_another_rendering_of_the_same_view_is_the_same() -> None:
    picture = committed()
    size = (picture.width - 1, picture.height - 1)
    softer = picture.resize(size, Image.Resampling.BILINEAR).resize(picture.size, Image.Resampling.BILINEAR)
    assert 0 < difference(png(picture), png(softer)) < TOLERANCE


def test_a_view_that_lost_its_verdict_is_another(tmp_path: Path) -> None:
    picture = committed()
    ImageDraw.Draw(picture).rectangle((840, 380, 1110, 730), fill="white")
    (tmp_path / "dashboard.png").write_bytes(png(picture))
    assert not is_current(tmp_path / "dashboard.png", (FOLDER / "dashboard.png").read_bytes())
    assert not is_current(tmp_path / "missing.png", png(picture))


def test_a_compact_picture_shows_the_same_in_fewer_bytes() -> None:
    noisy = Image.effect_noise((640, 400), 20).convert("RGB")
    assert len(compact(png(noisy))) < len(png(noisy))
    assert difference(png(noisy), compact(png(noisy))) < TOLERANCE
    assert (FOLDER / "dashboard.png").stat().st_size < 150_000
