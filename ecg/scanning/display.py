"""How times are shown, in reports and in the dashboard, and how they are entered."""

from ecg.exceptions import InputError

MINUTES_FROM, HOURS_FROM = 2 * 60, 2 * 3600  # seconds from which on a recording is drawn in minutes, and in hours


# Own code: datetime.timedelta prints 25 hours as "1 day, 1:00:00".
def format_time(seconds: float) -> str:
    """A time from the start of a recording, as H:MM:SS.s.

    Examples
    --------
    >>> format_time(90_061.25)
    '25:01:01.2'
    """
    tenths = round(10 * seconds)
    return f"{tenths // 36_000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


def parse_time(text: str) -> float:
    """A time from the start of a recording, in seconds, from H:MM:SS, M:SS or seconds; InputError for any other text.

    Examples
    --------
    >>> parse_time("0:12:30"), parse_time("5:00"), parse_time(" 7.5 ")
    (750.0, 300.0, 7.5)
    """
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(0 <= part < float("inf") for part in parts):
        raise InputError(f"{text!r} is not a time: write it as 300, 5:00 or 1:30:00")
    return sum(part * 60**i for i, part in enumerate(reversed(parts)))


def time_unit(duration: float) -> tuple[int, str]:
    """The unit in which a recording of this duration in seconds is drawn: its length in seconds, and its name.

    Examples
    --------
    >>> time_unit(30.0), time_unit(1800.0), time_unit(86_400.0)
    ((1, 'seconds'), (60, 'minutes'), (3600, 'hours'))
    """
    if duration <= MINUTES_FROM:
        return 1, "seconds"
    return (3600, "hours") if duration > HOURS_FROM else (60, "minutes")
