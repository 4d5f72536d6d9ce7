"""Which lead of a recording is read: by its name, by its number, or the first that can be an ECG."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from ecg.exceptions import InputError
from ecg.recordings.reading.lead import cleaned

LOOKED_AT = 20_000  # samples at the beginning, which tell a signal from a counter and from a constant
FEWEST_SAMPLES = 100  # that tell them
LISTED = 64  # leads in a message
MAX_DIGITS = 10  # of a lead's number
MOST_EQUAL_STEPS = (
    0.9  # of a count, which may begin anew; a lead's samples are equal, or rise by one, in shorter stretches
)

# A label is compared word by word. What names another signal decides, then what names an ECG.
_ECG_WORDS = re.compile(
    r"ecgs?\d*|ekgs?\d*|electrocardiogram|elektrokardiogramm|ableitung|lead|iii?|i|av[rlf]|v[1-9][0-9]?r?|v[rlf]|"
    r"m[lc]l?i{1,3}|mcl\d|ml\d|mv[1-6]|mlv\d|cm\d|cc\d|cs\d|cb\d|d[123]|di{1,3}|es|as|ai|mod|holter"
)
_OTHER_WORDS = re.compile(
    r"resp|respiration|respiratory|breath|breathing|airflow|flow|nasal|abdo|abdomen|thor|thorax|thoracic|snore|eeg|eog|"
    r"emg|chin|spo2|sao2|sp02|o2|oxygen|pleth|plethysmogram|ppg|bvp|bp|abp|art|pap|cvp|icp|ibp|nibp|pressure|temp|"
    r"temperature|acc|acce|accel|acceleration|accelerometer|accx|accy|accz|gyro|gyroscope|mag|magnetometer|gsr|eda|"
    r"marker|markers|mark|annotation|annotations|event|events|status|trigger|trig|hr|bpm|rate|pulse|rr|nn|ibi|battery|"
    r"batt|quality|sqi|label|labels|class|symbol|position|pos|light|sound|leadoff|contact"
)
_COUNTER_WORDS = re.compile(
    r"samples?|sampleno|index|idx|counter|count|number|nr|num|no|row|rows|seq|sequence|frame|frames|packet|unnamed|id"
)
_TIME_WORDS = re.compile(
    r"times?|timestamps?|seconds?|secs?|s|t|ms|msec|millis|milliseconds?|us|microseconds?|ns|elapsed|epoch|unix|clock|"
    r"datetime|date|zeit|uhrzeit|zeitstempel|tiempo|hora|temps|heure|tempo|hh|mm|ss"
)


@lru_cache(1024)
def words(label: str) -> tuple[str, ...]:
    """The words of a label, in lower case, without a unit in brackets.

    Examples
    --------
    >>> words("EKG II-Ref [uV]")
    ('ekg', 'ii', 'ref')
    """
    without_unit = re.sub(r"[\[({][^\])}]*[\])}]\s*$", "", label)
    return tuple(re.findall(r"[^\W_]+|#", without_unit.lower()))


def names_ecg(label: str) -> bool:
    """Whether a label is that of an ECG lead."""
    return any(map(_ECG_WORDS.fullmatch, words(label))) and not names_other(label)


def names_counter(label: str) -> bool:
    """Whether a label is that of a count of samples."""
    parts = words(label)
    return "#" in parts or (bool(parts) and all(map(_COUNTER_WORDS.fullmatch, parts)))


def names_time(label: str) -> bool:
    """Whether a label is that of a column of times."""
    parts = words(label)
    return any(map(_TIME_WORDS.fullmatch, parts)) and not any(map(_ECG_WORDS.fullmatch, parts))


def names_other(label: str) -> bool:
    """Whether a label is that of a signal other than an ECG, or of no signal."""
    parts = words(label)
    return any(map(_OTHER_WORDS.fullmatch, parts)) or names_counter(label) or names_time(label)


def why_no_lead(samples: np.ndarray) -> str | None:
    """Why the samples at a signal's beginning are none of a lead; None if they may be.

    Examples
    --------
    >>> why_no_lead(np.arange(500.0))
    'only rises'
    """
    known = np.asarray(samples, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return "has no samples"
    if len(known) < FEWEST_SAMPLES:
        return None
    steps = np.diff(known)
    if not steps.any():
        return "is constant"
    if (steps == np.abs(np.median(steps))).mean() > MOST_EQUAL_STEPS:
        return "counts" if (steps < 0).any() else "only rises"
    if (steps >= 0).all():
        return "only rises"
    return "only falls" if (steps <= 0).all() else None


def choose_lead(
    asked: int | str | None,
    names: Sequence[str],
    source: object,
    beginning: Callable[[int], np.ndarray],
    are_ecg: Sequence[bool] | None = None,
) -> int:
    """The index of the lead that is read.

    Without a wish, it is the first that is named as an ECG, else the first whose name is none of another signal, and
    whose samples are neither missing, constant, nor only rise or fall in the beginning.

    Parameters
    ----------
    asked : the lead's name or number, or None
    names : of the leads, "" for one without a name
    source : of the leads, for messages
    beginning : returns the first samples of a lead, NaN where they are missing
    are_ecg : which leads are an ECG, where the recording states the kind of each

    Raises
    ------
    InputError
        if there is no such lead, or none that can be an ECG.
    """
    if asked is not None:
        return lead_index(asked, names, source)
    first = [i for i, name in enumerate(names) if (are_ecg[i] if are_ecg else names_ecg(name))]
    other = [i for i, name in enumerate(names) if i not in first and not names_other(name)]
    if len(names) == 1 and first + other:
        return 0  # whether it is an ECG is found out when its beats are
    reasons = dict.fromkeys(range(len(names)), "is named as something else")
    for i in first + other:
        reason = why_no_lead(beginning(i))
        if reason is None:
            return i
        reasons[i] = f"{reason} in the beginning"
    listed = _listed([f"{i} {name}".strip() + f" {reasons[i]}" for i, name in enumerate(names)], "; ")
    raise InputError(f"{source} has no lead that can be an ECG: {listed}; name one (lead) to read it all the same")


def lead_index(asked: int | str, names: Sequence[str], source: object) -> int:
    """The index of a lead that is given by its name or number; InputError if there is none."""
    if isinstance(asked, int) or (asked not in names and asked.isdecimal() and len(asked) < MAX_DIGITS):
        matching = [int(asked)] if 0 <= int(asked) < len(names) else []
    else:
        matching = [i for i, name in enumerate(names) if name.strip().lower() == asked.strip().lower()]
    if not matching:
        leads = _listed([f"{i} {name}".strip() for i, name in enumerate(names)], ", ")
        shown = repr(cleaned(asked)) if isinstance(asked, str) else f"{asked:.6g}"
        raise InputError(f"{source} has no lead {shown}; it has {leads}")
    return matching[0]


def _listed(leads: Sequence[str], between: str) -> str:
    """Leads in a message, but for those after LISTED."""
    more = [f"and {len(leads) - LISTED:,} more"] if len(leads) > LISTED else []
    return between.join([*leads[:LISTED], *more])
