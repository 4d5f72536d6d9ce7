"""The dashboard in a real browser. ECG_SCREENSHOTS names a folder to keep a picture of each state in."""

import base64
import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.dashboard import charts, scanned, settled, upload
from benchmarks.service import free_port
from ecg.dashboard.threshold import SMALL, alphas
from ecg.data.beats import Beats
from ecg.detector.detector import Detector
from ecg.detector.model import MODEL
from ecg.evaluation.metrics import ConfusionMatrix
from ecg.params import Params
from ecg.scanning.parts import part
from ecg.scanning.scan import scan
from tests.browser import DESKTOP, PHONE, browser, pictures  # noqa: F401 - fixtures
from tests.conftest import ROOT, prepare, ship
from tests.dashboard.conftest import as_csv, as_table

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Download, Locator, Page, expect  # isort: skip - after the check

VIEWS = ["Beats", "Threshold", "Your beats", "Your recording", "Model card"]
LAPTOP = (1280, 800)
NARROW = 320  # pixels, the least that pages should be readable in (WCAG 2.2, 1.4.10)
TIME = re.compile(r"around 0:(\d\d):(\d\d\.\d)")
FIRST_ROW = {"x": 15, "y": 54}  # pixels, of the box that selects it in a table
PATIENCE = 20_000  # milliseconds: the first page waits for Streamlit's imports


@dataclass(frozen=True)
class Dashboard:
    """A running dashboard and the files that it shows."""

    address: str
    models: Path
    data: Path


@pytest.fixture(scope="module")
def dashboard(
    tmp_path_factory: pytest.TempPathFactory,
    detector: Detector,
    onnx_model: bytes,
    committed: Params,
    test: Beats,
    normal: np.ndarray,
) -> Iterator[Dashboard]:
    """The dashboard, started as README.md says."""
    folder = tmp_path_factory.mktemp("dashboard")
    ship(folder / "models", detector, onnx_model, committed, test)
    data = prepare(folder / "processed", test, normal)
    port = free_port()
    command = [sys.executable, "-m", "ecg", "dashboard", "--models", folder / "models", "--beats", data]
    settings = {"STREAMLIT_SERVER_HEADLESS": "true", "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none"}
    address = f"http://localhost:{port}"
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [*command, "--port", str(port)], cwd=ROOT, env=os.environ | settings, stdout=log, stderr=log
        ) as process,
    ):
        try:
            wait_for(f"{address}/_stcore/health", process)
            yield Dashboard(address, folder / "models", data)
            printed = (folder / "log").read_text()  # before the end, which Streamlit tells of a page that is still open
        finally:
            process.terminate()
    assert "Traceback" not in printed


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"{address} does not answer")


Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def window(browser: Browser) -> Callable[[tuple[int, int], str], BrowserContext]:  # noqa: F811
    """A window of a size and a theme; Streamlit's scripts are loaded into it once."""

    @cache
    def window(size: tuple[int, int], theme: str) -> BrowserContext:
        view = {"width": size[0], "height": size[1]}
        return browser.new_context(viewport=view, color_scheme=theme, accept_downloads=True)

    return window


@pytest.fixture
def visit(dashboard: Dashboard, window: Callable[[tuple[int, int], str], BrowserContext]) -> Iterator[Visit]:
    """Open a view on a new page; fail on errors in the console and on requests to another server."""
    pages, complaints = [], []

    def visit(view: str, size: tuple[int, int] = DESKTOP, theme: str = "light") -> Page:
        page = window(size, theme).new_page()
        pages.append(page)
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: complaints.append(placed(message)) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda request: complaints.append(request.url) if is_elsewhere(request.url, dashboard) else None
        )
        page.goto(f"{dashboard.address}/?view={view.replace(' ', '+')}")
        page.get_by_role("heading", name="ECG anomaly detector").wait_for()
        return settled(page)

    yield visit
    for page in pages:
        page.close()
    assert complaints == []


def placed(message: ConsoleMessage) -> str:
    return f"{message.text} ({message.location['url']})"


def is_elsewhere(url: str, dashboard: Dashboard) -> bool:
    return url.startswith(("http", "ws")) and dashboard.address.partition("//")[2] not in url


@pytest.fixture
def keep(pictures: Path) -> Callable[[Page, str], None]:  # noqa: F811
    """Keep a picture of the whole page."""

    def keep(page: Page, name: str) -> None:
        size = page.viewport_size
        page.mouse.move(0, 0)
        tall = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": max(tall, size["height"])})
        page.wait_for_timeout(250)  # charts and tables are drawn anew
        page.screenshot(path=pictures / f"{name}.png")
        page.set_viewport_size(size)

    return keep


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option).click()
    settled(page)


def test_a_beat_is_drawn_over_its_reconstruction(visit: Visit, keep: Callable, detector: Detector, test: Beats) -> None:
    page = visit("Beats")
    charts(page, 2)
    drawn = page.get_by_test_id("stVegaLiteChart")
    for word in ("beat", "reconstruction", "nearest normal beat", "amplitude", "error", "sample", "QRS", "TP"):
        expect(drawn.get_by_text(word, exact=True).first).to_be_visible()
    worst = int(detector.score(test.samples).score.argmax())
    expect(page.get_by_text(f"Test beat {worst}:").first).to_be_visible()
    keep(page, "beats")


def test_filters_and_buttons_change_the_beat(visit: Visit, keep: Callable, detector: Detector, test: Beats) -> None:
    page = visit("Beats")
    page.get_by_text("False alarms", exact=True).click()
    verdicts = detector.score(test.samples)
    false = np.flatnonzero(verdicts.anomalous & (test.classes == 1))
    false = false[np.argsort(-verdicts.score[false])]
    expect(page.get_by_text(f"{len(false)} of 4,500 test beats")).to_be_visible()
    step_up = page.get_by_test_id("stNumberInputStepUp")
    expect(step_up).to_have_count(1)  # until then, Streamlit also shows the one of the previous list
    step_up.click()
    expect(page.get_by_text(f"Test beat {false[1]}: normal").first).to_be_visible()
    charts(page, 2)
    keep(page, "false-alarm")
    page.get_by_text("Misses", exact=True).click()
    choose(page, "Class", "normal")
    expect(page.get_by_text("No test beat has this class and verdict")).to_be_visible()
    keep(page, "no-such-beat")


def test_alpha_is_moved_by_keyboard_and_the_numbers_follow(
    visit: Visit, keep: Callable, detector: Detector, test: Beats
) -> None:
    page = visit("Threshold")
    steps = alphas(detector.calibration)
    start, anomalous = steps.index(detector.calibration.alpha), test.classes != 1
    for move in (0, 3, -6):
        page.get_by_role("slider").focus()
        for _ in range(abs(move)):
            page.keyboard.press("ArrowRight" if move > 0 else "ArrowLeft")
        start += move
        counts = ConfusionMatrix.of(detector.score(test.samples, steps[start]).anomalous, anomalous)
        expect(page.get_by_role("heading", name=f"False alarms: {counts.false_positives:,}")).to_be_visible()
        expect(page.get_by_role("heading", name=f"Misses: {counts.false_negatives:,}")).to_be_visible()
        matrix = [f"{counts.true_positives:,} true positives", f"{counts.false_negatives:,} misses"]
        matrix += [f"{counts.false_positives:,} false alarms", f"{counts.true_negatives:,} true negatives"]
        for cell in matrix:
            expect(page.get_by_role("cell", name=cell)).to_be_visible()
        expect(page.get_by_text(f"{counts.false_positive_rate:.2%}", exact=True)).to_be_visible()
        settled(page)
        charts(page, 1 + min(counts.false_positives, SMALL) + min(counts.false_negatives, SMALL))
        keep(page, f"threshold-{steps[start]:g}")


def test_the_verdicts_on_uploaded_beats_can_be_downloaded(
    visit: Visit, keep: Callable, detector: Detector, test: Beats
) -> None:
    page = visit("Your beats")
    expect(page.get_by_text("No file yet")).to_be_visible()
    keep(page, "no-file-yet")
    samples, labels = test.samples[::150], [f"no {i}" for i in range(30)]
    upload(page, "mine.csv", as_csv(samples, labels))
    verdicts = detector.score(samples)
    expect(page.get_by_text(re.compile(rf"30 beats, {verdicts.anomalous.sum()} alarms"))).to_be_visible()
    charts(page, 2)
    keep(page, "verdicts")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download verdicts").click()
    assert downloading.value.suggested_filename == "mine_verdicts.csv"
    table = pd.read_csv(downloading.value.path())
    assert table["who"].tolist() == labels
    np.testing.assert_array_equal(table["score"].to_numpy(np.float32), verdicts.score)
    np.testing.assert_allclose(table["p_value"], verdicts.p_value)
    np.testing.assert_array_equal(table["anomalous"], verdicts.anomalous)


def strip(page: Page, name: str = "time") -> Locator:
    """The strip below the charts or a table."""
    return page.locator(f".st-key-lead-{name} img")


def download(page: Page, button: str) -> Download:
    with page.expect_download() as downloading:
        page.get_by_role("button", name=button).click()
    return downloading.value


def test_a_click_on_an_interval_of_the_charts_shows_its_strip(visit: Visit, keep: Callable, toy: np.ndarray) -> None:
    page = visit("Your recording")
    expect(page.get_by_text("No recording yet")).to_be_visible()
    keep(page, "no-recording-yet")
    scanned(page, "mine.csv", as_table(toy))
    for word in ("heart rate", "alarms per 5 seconds", "minutes from the start", "kind of alarm", "A"):
        expect(page.get_by_test_id("stVegaLiteChart").get_by_text(word, exact=True).first).to_be_visible()
    keep(page, "recording")
    for chart, share in ((0, 0.5), (1, 0.9), (1, 0.5)):
        canvas = page.get_by_test_id("stVegaLiteChart").nth(chart)
        box, before = canvas.bounding_box(), strip(page).get_attribute("alt")
        canvas.click(position={"x": box["width"] * share, "y": box["height"] * 0.5})
        expect(strip(page)).not_to_have_attribute("alt", before)
        settled(page)
        at = TIME.search(strip(page).get_attribute("alt"))
        # The axis of y takes 5% to 10% of the width, and an interval has 5 seconds.
        assert 60 * int(at[1]) + float(at[2]) == pytest.approx(300 * share, abs=30)
    page.get_by_label("Go to").fill("0:00:30")
    page.keyboard.press("Enter")
    expect(strip(page)).to_have_attribute("alt", re.compile("around 0:00:30.0"))
    settled(page)
    page.get_by_role("button", name="10 s later").click()
    expect(strip(page)).to_have_attribute("alt", re.compile("around 0:00:40.0"))
    settled(page)
    # The interval that was clicked on last can be clicked on again.
    canvas.click(position={"x": box["width"] * share, "y": box["height"] * 0.5})
    expect(strip(page)).to_have_attribute("alt", re.compile(re.escape(at[0])))


def test_a_selected_episode_and_alarm_show_their_strips(visit: Visit, keep: Callable, toy: np.ndarray) -> None:
    page = visit("Your recording")
    scanned(page, "mine.csv", as_table(toy))
    expect(strip(page, "episode")).to_have_count(0)
    page.get_by_text("couplet", exact=True).first.click()
    expect(page.get_by_text("7 episodes")).to_be_visible()
    settled(page)
    tables = page.get_by_test_id("stDataFrame")
    tables.nth(0).click(position=FIRST_ROW)
    expect(strip(page, "episode")).to_be_visible()
    expect(page.get_by_text(re.compile(r"2 alarms of episode \d+"))).to_be_visible()
    settled(page)
    tables.nth(1).click(position=FIRST_ROW)
    expect(strip(page, "alarm")).to_be_visible()
    settled(page)
    keep(page, "episode")


def test_the_report_and_tables_of_a_recording_can_be_downloaded(visit: Visit, toy: np.ndarray) -> None:
    page = visit("Your recording")
    scanned(page, "my *ECG*.csv", as_table(toy))
    report = download(page, "Download report")
    assert report.suggested_filename == "my_ECG_report.html"
    text = report.path().read_text()
    found = page.get_by_test_id("stMetric").filter(has_text="Alarms").first.inner_text().split()[-1]
    assert f"{found} of " in text
    assert "<title>my *ECG*, lead II" in text
    alarms, episodes = (download(page, f"Download {name}") for name in ("alarms", "episodes"))
    assert alarms.suggested_filename == "my_ECG_alarms.csv"
    table = pd.read_csv(alarms.path())
    assert len(table) == int(found)
    assert table["anomalous"].all()
    assert pd.read_csv(episodes.path())["alarms"].sum() == int(found)


def test_a_recording_is_learnt_and_what_was_learnt_is_downloaded_and_forgotten(
    visit: Visit, keep: Callable, toy: np.ndarray, tmp_path: Path
) -> None:
    page = visit("Your recording")
    scanned(page, "mine.csv", as_table(toy))
    page.get_by_role("button", name="Learn this recording").click()
    expect(page.get_by_text("Compared with what was learnt")).to_be_visible()
    settled(page)
    charts(page, 2)
    keep(page, "learnt")
    with zipfile.ZipFile(download(page, "Download what was learnt").path()) as archive:
        archive.extractall(tmp_path / "patient")
    (tmp_path / "mine.csv").write_bytes(as_table(toy))
    expected = scan(str(tmp_path / "mine.csv"), tmp_path / "patient", "II")
    expect(page.get_by_text(f"Judged by {expected.judged_by}")).to_be_visible()
    expect(page.get_by_test_id("stMetric").filter(has_text="Alarms").first).to_contain_text(str(len(expected.alarms)))
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_text("Compared with what was learnt")).to_have_count(0)
    expect(page.get_by_text("Judged by the model of normal hearts, at")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", ["Your recording", "Your beats"])
def test_an_upload_that_failed_is_seen_without_scrolling(visit: Visit, keep: Callable, view: str, theme: str) -> None:
    page = visit(view, LAPTOP, theme)
    name = "damaged.npy"
    upload(page, name, b"no numbers")
    settled(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(name)
    if view == "Your recording":
        expect(alert).to_contain_text("This file cannot be read")
    box = alert.bounding_box()
    assert box["y"] + box["height"] <= LAPTOP[1]
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
    keep(page, f"failed-{view.lower().replace(' ', '-')}-{theme}")


@pytest.mark.parametrize("name", ["www.a.com_me@a.com.csv", "[x](http_a.com)_<img src=x>.csv"])
def test_the_name_of_a_recording_becomes_neither_a_link_nor_markup(visit: Visit, toy: np.ndarray, name: str) -> None:
    page = visit("Your recording")
    links, images = page.locator("a").count(), page.locator("img[src=x]")
    scanned(page, name, as_table(toy[:43_200]))
    assert page.locator("a").count() == links
    expect(images).to_have_count(0)
    shown = page.get_by_role("heading", name="lead II").inner_text().replace("\u2060", "")
    assert shown == f"{name.removesuffix('.csv')}, lead II"


@pytest.mark.parametrize("width", [PHONE[0], NARROW])
def test_a_tap_reaches_the_model_card_on_a_phone(
    browser: Browser,  # noqa: F811
    dashboard: Dashboard,
    keep: Callable,
    width: int,
) -> None:
    """All tabs are within the width of the page, and nothing has to be scrolled to find the last."""
    context = browser.new_context(viewport={"width": width, "height": PHONE[1]}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(dashboard.address)
    page.get_by_role("tab", name=VIEWS[-1]).wait_for()
    tabs = "document.querySelector('[role=tablist]')"
    page.wait_for_function(f"{tabs}.scrollWidth <= {tabs}.clientWidth")  # once the page's style is there, too
    settled(page)
    for view in VIEWS:
        tab = page.get_by_role("tab", name=view, exact=True)
        box = tab.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= PHONE[1]
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_role("heading", name="Model card: anomalous heartbeats, ECG5000")).to_be_visible()
    settled(page)
    keep(page, f"phone-tap-{width}")
    context.close()


def test_the_example_file_can_be_uploaded_unchanged(visit: Visit) -> None:
    page = visit("Your beats")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Example file").click()
    upload(page, "beats.csv", downloading.value.path().read_bytes())
    expect(page.get_by_text("15 beats,")).to_be_visible()


def test_the_error_of_a_bad_file_names_row_and_column(visit: Visit, keep: Callable, test: Beats) -> None:
    page = visit("Your beats")
    lines = as_csv(test.samples[:3]).splitlines()
    lines[2] = b"x" + lines[2][lines[2].index(b",") :]
    upload(page, "bad_*.csv", b"\n".join(lines))
    expect(page.get_by_text("bad_*.csv, row 3, column 1")).to_be_visible()
    settled(page)
    expect(page.get_by_role("button", name="Download verdicts")).to_have_count(0)
    keep(page, "bad-file")


def test_a_missing_model_shows_only_the_error_with_the_remedy(
    dashboard: Dashboard, visit: Visit, keep: Callable
) -> None:
    away = (dashboard.models / MODEL).rename(dashboard.models / "away")
    try:
        page = visit("Beats")
        expect(page.get_by_role("alert")).to_contain_text("is missing; dvc repro makes it")
        expect(page.get_by_role("tab")).to_have_count(0)
        keep(page, "no-model")
    finally:
        away.rename(dashboard.models / MODEL)


def test_missing_test_beats_show_the_remedy(dashboard: Dashboard, visit: Visit, keep: Callable) -> None:
    away = dashboard.data.rename(dashboard.data.with_name("away"))
    try:
        page = visit("Threshold")
        expect(page.get_by_role("status")).to_contain_text("is missing; dvc repro makes it")
        keep(page, "no-test-beats")
    finally:
        away.rename(dashboard.data)


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_with_a_dark_theme_shows_dark_pages_and_needs_no_horizontal_scrolling(
    visit: Visit, keep: Callable, view: str, test: Beats, toy: np.ndarray
) -> None:
    page = visit(view, PHONE, theme="dark")
    if view in ("Beats", "Threshold"):
        charts(page, {"Beats": 2, "Threshold": 1 + 2 * SMALL}[view])
    if view == "Your beats":
        upload(page, "mine.csv", as_csv(test.samples[:20], ["a name that is not short"] * 20))
        charts(page, 2)
    if view == "Your recording":
        scanned(page, "a_name_that_is_not_short.csv", as_table(toy))
        drawing = base64.b64decode(strip(page).get_attribute("src").partition("base64,")[2]).decode()
        assert part("palette", theme="dark") in drawing
    keep(page, f"phone-{view.lower().replace(' ', '-')}")
    page.wait_for_timeout(200)
    for element in ("document.scrollingElement", "document.querySelector('[data-testid=stMain]')"):
        assert page.evaluate(f"{element}.scrollWidth") <= PHONE[0] + 1
    colour = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert max(map(int, re.findall(r"\d+", colour)[:3])) < 64


def test_the_model_card_is_shown(visit: Visit, keep: Callable) -> None:
    page = visit("Model card")
    expect(page.get_by_role("heading", name="Model card: anomalous heartbeats, ECG5000")).to_be_visible()
    expect(page.get_by_role("heading", name="Limits")).to_be_visible()
    keep(page, "card")


def test_the_tabs_change_the_view_and_the_address(visit: Visit) -> None:
    page = visit("Beats")
    for view in [*VIEWS[1:], VIEWS[0]]:
        page.get_by_role("tab", name=view, exact=True).click()
        expect(page.get_by_role("tab", name=view, exact=True)).to_have_attribute("aria-selected", "true")
        settled(page)
    page.get_by_role("tab", name="Model card").click()
    expect(page).to_have_url(re.compile("view=Model"))
