"""What all figures share: the same bytes for the same numbers, whatever matplotlib is set to; colours; PNG."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ecg.files import write_bytes

DPI = 110
CALM, ALARMING = "#5b7f95", "#d1380b"  # blue and orange: told apart whatever the kind of colour blindness


@contextmanager
def plain() -> Iterator[None]:
    """Draw as matplotlib does when it comes, whatever the user has set; leave it as the user had it."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, without the version of what drew it."""
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})  # else it names matplotlib's version
    write_bytes(path, content.getvalue())
