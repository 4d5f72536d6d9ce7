"""The pictures that README.md shows and no pipeline makes: `python -m benchmarks.pictures`, after `dvc repro`.

docs/pictures/dashboard.png is the dashboard's first view: a test beat that raises an alarm, and why. `--check` draws it
anew and ends with status 1 where it has changed. The two are compared scaled down, since other fonts are no change.
"""

import io
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from playwright.sync_api import Browser, FloatRect

from benchmarks.browser import DRAWN, chromium, window
from benchmarks.clones import ROOT
from benchmarks.dashboard import open_view, served_dashboard
from ecg.files import write_bytes

FOLDER = ROOT / "docs" / "pictures"
WINDOW = (1280, 1120)  # pixels: all of the view is in sight
SHOWN = FloatRect(x=80, y=90, width=1120, height=860)  # of the window: without the empty margins
COLOURS = 64
COMPARED = (64, 48)  # pixels to which pictures are scaled down before they are compared
TOLERANCE = 0.002  # mean difference of grey, as a share of white: three times what another rendering of fonts makes


def compact(png: bytes) -> bytes:
    """The same picture with a palette of a few colours, which takes a quarter of the bytes."""
    packed = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def difference(one: bytes, other: bytes) -> float:
    """How different two pictures are, both scaled down: the mean difference of grey, as a share of white."""
    small = [
        np.asarray(Image.open(io.BytesIO(png)).convert("L").resize(COMPARED, Image.Resampling.BOX), float) / 255
        for png in (one, other)
    ]
    return float(np.abs(small[0] - small[1]).mean())


def draw_dashboard(browser: Browser) -> bytes:
    """The dashboard as it opens."""
    with served_dashboard(ROOT) as address, window(browser, WINDOW) as opened:
        page = opened.page()
        open_view(page, address, "Beats")
        page.wait_for_timeout(DRAWN)
        picture = page.screenshot(clip=SHOWN)
    if opened.problems:
        sys.exit("\n".join(opened.problems))
    return compact(picture)


def is_current(path: Path, drawn: bytes) -> bool:
    """Whether the picture at a path shows what has been drawn anew; prints how different they are."""
    if not path.is_file():
        print(f"{path.name} is missing")
        return False
    found = difference(path.read_bytes(), drawn)
    print(f"{path.name}: {found:.2%} different, at most {TOLERANCE:.1%} passes")
    return found <= TOLERANCE


def main(
    check: Annotated[bool, typer.Option("--check", help="Compare with the pictures that are there.")] = False,
) -> None:
    """Write the pictures; with --check compare, status 1 if one is not as it would be drawn now."""
    with chromium() as browser:
        pictures = {FOLDER / "dashboard.png": draw_dashboard(browser)}
    if not check:
        for path, drawn in pictures.items():
            write_bytes(path, drawn)
            print(f"{path.relative_to(ROOT)}: {len(drawn) / 1e3:.0f} kB")
        return
    changed = [path.name for path, drawn in pictures.items() if not is_current(path, drawn)]
    if changed:
        sys.exit("the dashboard has changed: run `python -m benchmarks.pictures`, look at docs/pictures, and commit it")


if __name__ == "__main__":
    typer.run(main)
