"""The page of `dvc plots show` in a real browser, which has no network. ECG_SCREENSHOTS names a folder for pictures."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import vl_convert
import yaml

from benchmarks.browser import window
from tests.browser import DESKTOP, PHONE, browser, pictures  # noqa: F401 - fixtures
from tests.conftest import ROOT, Run

from playwright.sync_api import Browser, Page, expect  # isort: skip

PLOTS = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
CHARTS = [properties for plot in PLOTS if isinstance(plot, dict) for properties in plot.values()]
PICTURES = [plot for plot in PLOTS if isinstance(plot, str)]
CUT = """() => [...document.querySelectorAll("svg.marks, figure h3, figcaption, .scroll")].filter(
    it => it.getBoundingClientRect().right > document.documentElement.clientWidth || !it.clientWidth)
    .map(it => it.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def plots(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the workspace's plots, and Vega beside it as the stage evaluate makes it."""
    folder = tmp_path_factory.mktemp("page")
    run(ROOT, "dvc", "plots", "show", "--out", folder / "dvc_plots")
    (folder / "plots").mkdir()
    (folder / "plots" / "vega.js").write_text(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    return folder / "dvc_plots" / "index.html"


Open = Callable[..., tuple[Page, list[str]]]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:  # noqa: F811
    """Open a page without a network; with it, what went wrong and which hosts were asked."""
    with ExitStack() as windows:

        def opened(path: Path, size: tuple[int, int] = DESKTOP) -> tuple[Page, list[str]]:
            one = windows.enter_context(window(browser, size))
            page = one.page()
            page.goto(path.as_uri())
            return page, one.problems

        yield opened


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_all_plots_are_drawn_in_their_sections_and_none_is_cut(
    opened: Open,
    plots: Path,
    pictures: Path,  # noqa: F811
    size: tuple[int, int],
) -> None:
    page, complaints = opened(plots, size)
    expect(page.locator(f"body[data-drawn='{len(CHARTS)}']")).to_be_visible()
    page.screenshot(path=pictures / f"plots-{size[0]}.png", full_page=True)
    marks = page.locator("figure svg.marks")
    assert all(n > 5 for n in marks.evaluate_all("all => all.map(one => one.querySelectorAll('path, text').length)"))
    assert marks.count() == len(CHARTS)
    natural = page.locator("figure img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert [width > 500 for width in natural] == [True] * len(PICTURES)
    assert page.locator("h2").all_text_contents() == ["Results", "Training", "Threshold", "Beats"]
    assert page.locator("nav a").all_text_contents() == page.locator("h2").all_text_contents()
    assert {chart["title"] for chart in CHARTS} <= set(page.locator("figure h3").all_text_contents())
    assert page.locator("figure:has(h3):has(figcaption)").count() == len(PLOTS)
    assert "Shown: workspace." in page.locator("p").first.text_content()
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    assert page.evaluate(CUT) == []
    assert complaints == []


def test_a_plot_that_the_page_does_not_know_comes_last(opened: Open, plots: Path) -> None:
    other = plots.with_name("other.html")
    page = plots.read_text()
    other.write_text(page.replace('data-plot="ROC"', 'data-plot="new"').replace('"plots/worst.png"', '"plots/new.png"'))
    shown, complaints = opened(other)
    expect(shown.locator("#other svg.marks")).to_be_visible()
    assert shown.locator("#other h3").all_text_contents() == [CHARTS[0]["title"], "plots/worst.png"]
    assert shown.locator("h2").last.text_content() == "Other plots"
    assert complaints == []


def test_without_vega_and_without_a_network_the_page_says_what_is_missing(
    opened: Open, plots: Path, tmp_path: Path
) -> None:
    elsewhere = Path(shutil.copytree(plots.parent, tmp_path / "elsewhere" / "dvc_plots"))
    page, complaints = opened(elsewhere / "index.html")
    expect(page.locator("#no-vega")).to_be_visible()
    assert any(complaint.startswith("asks another host: https:") for complaint in complaints)  # it asked for DVC's own
    assert page.locator("figure img").count() == len(PICTURES)
