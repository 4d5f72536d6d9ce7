"""The dashboard in a process of its own, and its views in a browser, for benchmarks and tests."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import FilePayload, Page, expect

from benchmarks.service import free_port, started
from ecg.dashboard.page import VIEWS
from ecg.dashboard.threshold import SMALL

# No window of a browser opens, and nothing waits for changes of the code.
QUIET = {"STREAMLIT_SERVER_HEADLESS": "true", "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none"}
CHARTS = {"Beats": 2, "Threshold": 1 + 2 * SMALL, "Your beats": 2, "Your recording": 2, "Model card": 0}
assert CHARTS.keys() == set(VIEWS)


@contextmanager
def served_dashboard(folder: Path) -> Iterator[str]:
    """Start `ecg dashboard` in a folder where the pipeline ran; yields its address once it answers."""
    port = free_port()
    address = f"http://localhost:{port}"
    command = [sys.executable, "-m", "ecg", "dashboard", "--port", str(port)]
    with started(command, f"{address}/_stcore/health", folder, variables=QUIET):
        yield address


def open_view(page: Page, address: str, view: str) -> None:
    """Open a view, and wait for what it shows before anything is uploaded."""
    page.goto(f"{address}/?view={view.replace(' ', '+')}")
    page.get_by_role("heading", name="ECG anomaly detector").wait_for()
    settled(page)
    if view in ("Beats", "Threshold"):
        charts(page, CHARTS[view])


def settled(page: Page) -> Page:
    """The page after its script has ended without an exception."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    return page


def charts(page: Page, number: int) -> None:
    """Wait until this number of charts, and not only their frames, is drawn."""
    drawn = page.get_by_test_id("stVegaLiteChart")
    expect(drawn.locator("svg path[d]").first).to_be_attached()
    expect(drawn.locator("svg.marks")).to_have_count(number)


def upload(page: Page, name: str, content: bytes) -> None:
    """Give a file to the upload of the view that is open."""
    file = FilePayload(name=name, mimeType="text/csv", buffer=content)
    page.get_by_role("tabpanel").locator("input[type=file]").set_input_files(file)


def scanned(page: Page, name: str, content: bytes) -> None:
    """Upload a recording, and wait for all of its report."""
    upload(page, name, content)
    expect(page.get_by_role("heading", name="How the model was made")).to_be_visible()
    settled(page)
    charts(page, CHARTS["Your recording"])
