"""What all figures share: colours, resolution, and the same PNG bytes whatever the user's matplotlib settings."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ecg.files import write_bytes

DPI = 110
CALM, ALARMING = "#5b7f95", "#d1380b"  # blue and orange: distinct with every kind of colour blindness


@contextmanager
def plain() -> Iterator[None]:
    """Draw with matplotlib's default settings; restore the user's settings afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, without matplotlib's version in it."""
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    write_bytes(path, content.getvalue())
