"""How times and long series are shown, whatever draws them. NumPy only."""

import numpy as np

HOURS_FROM = 2 * 3600  # seconds from which on a recording is drawn in hours


def clock(seconds: float) -> str:
    """A time from the start, as H:MM:SS.s."""
    tenths = round(10 * seconds)
    return f"{tenths // 36_000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


def time_unit(duration: float) -> tuple[int, str]:
    """The unit that a recording of this many seconds is drawn in: its seconds, and its name."""
    return (3600, "hours") if duration > HOURS_FROM else (60, "minutes")


def evenly_spread(places: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the places, evenly spread from the first to the last; all if they are no more."""
    return places if len(places) <= most else places[np.linspace(0, len(places) - 1, most).astype(int)]
