"""The view of an uploaded recording and its alarms, which stay in the session's memory until the file is removed."""

import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import streamlit as st

from ecg.dashboard import learning, loading, threshold
from ecg.dashboard.learning import Part
from ecg.dashboard.messages import escape_markdown, show_error
from ecg.dashboard.results import computed_once
from ecg.detector.detector import Detector
from ecg.exceptions import InputError, needed_for

if TYPE_CHECKING:  # imported where it is used: the first page should not wait for it
    from ecg.hearts.learnt import Learnt
    from ecg.hearts.model import HeartModel
    from ecg.recordings.signals import OnProgress
    from ecg.scanning.judges import Model
    from ecg.scanning.records import Scan

TYPES = ("hea", "dat", "atr", "edf", "bdf", "ecg", "csv", "tsv", "txt", "npy", "zip")
BESIDE_A_HEADER = (".dat", f".{learning.ANNOTATOR}")  # endings of the other files of a WFDB record
RESULT = "scanned recording"
ALPHAS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)  # of the model of normal hearts, that can be chosen
COPIED = 2**20  # bytes of an uploaded file at a time
ANY_RATE = 250.0  # Hz, to find out whether a file that states no rate can be read
_NAME = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]{,199}")
_numbers = itertools.count()


class Uploaded(Protocol):
    """What is used of an uploaded file."""

    name: str

    def seek(self, offset: int, /) -> int: ...  # noqa: D102
    def read(self, size: int = ..., /) -> bytes: ...  # noqa: D102


@dataclass(frozen=True)
class Options:
    """How a recording is scanned: arguments of `ecg.scanning.scan.scan`."""

    model: "Model"
    alpha: float | None
    lead: str | None
    rate: float | None
    adaptive: bool

    @property
    def version(self) -> tuple[Any, ...]:
        """What differs between options that give different scans."""
        model = self.model if isinstance(self.model, Detector) else None
        learnt = learning.learnt() if model is None else None
        known = None if learnt is None else learning.version(learnt)
        return model, known, self.alpha, self.lead, self.rate, self.adaptive


@dataclass(frozen=True)
class ScannedUpload:
    """The scan of an uploaded recording, and its number among those of this process."""

    scan: "Scan"
    number: int


class UnreadableError(InputError):
    """A file of which no recording can be read, as opposed to a recording that cannot be scanned."""


class SeparateFilesError(InputError):
    """Files that do not belong together."""


def safe_names(names: Sequence[str]) -> list[str]:
    """The names without folders, to write the files under; InputError for a name that is not safe.

    Names are kept, because the header of a WFDB record contains the name of its signal file.
    """
    last = [re.split(r"[/\\]", name)[-1] for name in names]
    for name in last:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} cannot be used as a file name: it should not begin with a dot, have control characters or "
                "be longer than 200 characters"
            )
    if len(set(last)) < len(last):
        raise InputError("two files have the same name; remove one")
    return last


def main_file(names: Sequence[str]) -> str:
    """The file by which the recording is opened: the header of a WFDB record, or the only file.

    InputError if the files are not exactly one recording.
    """
    headers = [name for name in names if name.lower().endswith(".hea")]
    beside = [name for name in names if name.lower().endswith(BESIDE_A_HEADER)]
    others = len(names) - len(headers) - len(beside)
    if len(headers) + others > 1 or (others and beside):
        raise SeparateFilesError(
            "the files belong to more than one recording; keep a .hea with its .dat, or one other file. A record of "
            "several segments is uploaded as a .zip"
        )
    if beside and not headers:
        raise SeparateFilesError(
            f"{beside[0]} has no header; a WFDB record is a .hea and a .dat file: add the .hea file"
        )
    return headers[0] if headers else names[0]


@contextmanager
def written(files: Sequence[Uploaded]) -> Iterator[Path]:
    """Write the files of a recording into a temporary folder, part by part; the path of the main one.

    No error message mentions the folder.
    """
    names = safe_names([file.name for file in files])
    main = main_file(names)
    with tempfile.TemporaryDirectory() as folder:
        try:
            for file, name in zip(files, names, strict=True):
                file.seek(0)
                with Path(folder, name).open("wb") as copy:
                    shutil.copyfileobj(file, copy, COPIED)
            yield Path(folder, main)
        except (InputError, OSError) as error:
            kind = type(error) if isinstance(error, InputError) else InputError
            raise kind(str(error).replace(folder + os.sep, "").replace(folder, "")) from None


def show(detector: Detector, *, is_open: bool) -> None:
    """The upload of a recording and, if the view is open, what a scan of it finds.

    The upload is drawn in a closed view as well: Streamlit forgets the files of a widget that is not drawn.
    """
    files = st.file_uploader(
        "A recording: WFDB (.hea and .dat together), EDF, BDF, ISHNE (.ecg), CSV, TSV, TXT, NPY, or a ZIP with one",
        list(TYPES),
        accept_multiple_files=True,
        key="recording",
        help="A table has one column for each lead; the first column may be the time in seconds.",
    )
    if not is_open:
        return
    messages = st.container()  # next to the upload, where they are seen without scrolling
    st.caption(
        "The recording stays in this session's memory. During the scan it is also in temporary files, which are then "
        "deleted. It is neither stored nor logged."
    )
    own = _choose_model()
    options = _options(detector, own)
    if not own:
        _show_learning(files, options, messages)
        options = _with_learnt(options)
    if not files:
        st.session_state.pop(RESULT, None)
        st.info(
            "A WFDB record is a header and a signal file: upload both (.hea and .dat), and its annotations (.atr) if "
            "beats should be learnt by them. All others are one file each. NPY, and a table without a column of "
            "seconds, need the sampling rate.",
            title="No recording yet",
            icon=":material/upload_file:",
        )
        return
    inputs = (tuple(sorted(file.file_id for file in files)), options.version)
    with messages:
        scanned = computed_once(RESULT, inputs, lambda: _scan(files, options), _title)
    if scanned is not None:
        from ecg.dashboard import scanned as report  # it draws, which a page without a recording does not need

        report.show(scanned.scan, scanned.number)


def _title(error: Exception) -> str:
    if isinstance(error, SeparateFilesError):
        return "These files are not one recording"
    return "This file cannot be read" if isinstance(error, UnreadableError) else "This recording cannot be scanned"


def _choose_model() -> bool:
    """Whether the page's own model judges."""
    return st.toggle(
        "By this page's model",
        key="own model",
        help="Off: by the model of normal hearts, which compares each beat with the patient's own normal beat and "
        "rhythm and needs no training on the patient. On: by the model that this page shows, with an alarm setting of "
        "this view; it fits only the patient that it was trained on.",
        persist_state="session",
    )


def _options(detector: Detector, own: bool) -> Options:
    """The chosen alarm setting, lead, sampling rate, and what follows change."""
    model: Detector | HeartModel = detector if own else loading.normal_hearts()
    possible = threshold.alphas(detector.calibration) if own else list(ALPHAS)
    alpha = model.calibration.alpha if model.calibration.alpha in possible else None
    setting, first, second, third = st.columns([4, 2, 2, 2], gap="medium", vertical_alignment="bottom")
    if len(possible) > 1:
        alpha = setting.select_slider(
            "Alpha: share of normal beats that may raise an alarm",
            possible,
            value=alpha,
            format_func=_written,
            key="alpha of this page's model" if own else "alpha of normal hearts",
            persist_state="session",
        )
    else:
        setting.caption("Alpha is fixed: the model was calibrated without p-values.")
    model_lead = detector.dataset.lead if own else None
    default = "the first" if model_lead is None else f"{model_lead}, as the model"
    lead = first.text_input(
        "Lead", key="lead", placeholder=default, help="Its name, or its number from 0.", persist_state="session"
    ).strip()
    rate = second.number_input(
        "Sampling rate, Hz",
        min_value=1.0,
        value=None,
        step=1.0,
        format="%g",
        key="rate",
        placeholder="as in the file",
        persist_state="session",
    )
    adaptive = third.toggle(
        "Follow slow change",
        value=True,
        key="adaptive",
        help="Beats change slowly, for example when electrodes dry or the person turns over. Off: they are "
        "compared with the recording's start.",
        persist_state="session",
    )
    return Options(model, alpha, lead or None, rate, adaptive)


def _written(alpha: float | None) -> str:
    return "as calibrated" if alpha is None else f"{100 * alpha:.3g}%"


def _with_learnt(options: Options) -> Options:
    known = learning.learnt()
    return options if known is None else replace(options, model=known)


def _show_learning(files: Sequence[Any], options: Options, messages: Any) -> None:
    """The part of the recording to learn from, and what was learnt; errors are shown among the messages."""
    if files:
        annotated = any(file.name.lower().endswith(f".{learning.ANNOTATOR}") for file in files)
        try:
            part = learning.asked_for(annotated)
            if part is not None:
                with messages:
                    st.session_state[learning.LEARNT] = _learn(files, options, part)
        except (InputError, OSError) as error:
            with messages:
                show_error(error, "Nothing could be learnt")
    learning.show_learnt()


def _learn(files: Sequence[Uploaded], options: Options, part: Part) -> "Learnt":
    with needed_for("reading recordings", "recordings"):
        from ecg.scanning.learning import learn
    with written(files) as path, _progress(f"Learning {path.name}") as on_progress:
        return learn(
            str(path),
            options.lead,
            options.rate,
            start=part.start,
            stop=part.stop,
            annotations=part.annotations,
            model=loading.normal_hearts(),
            on_progress=on_progress,
        )


def _scan(files: Sequence[Uploaded], options: Options) -> ScannedUpload:
    """Scan the files in a temporary folder."""
    with needed_for("reading recordings", "recordings"):
        from ecg.scanning.scan import scan
    with written(files) as path, _progress(f"Scanning {path.name}") as on_progress:
        try:
            scanned = scan(
                str(path),
                options.model,
                options.lead,
                options.rate,
                options.alpha,
                adaptive=options.adaptive,
                on_progress=on_progress,
            )
        except InputError as error:
            if _is_readable(path):
                raise
            raise UnreadableError(str(error)) from None
    return ScannedUpload(scanned, next(_numbers))


def _is_readable(path: Path) -> bool:
    """Whether a recording can be opened, with any of its leads and whatever its sampling rate is."""
    from ecg.recordings.reading import open_lead

    for rate in (None, ANY_RATE):
        with suppress(InputError), open_lead(str(path), rate=rate, annotations=None):
            return True
    return False


@contextmanager
def _progress(label: str) -> Iterator["OnProgress"]:
    """A progress bar, until it is done."""
    text = escape_markdown(label)
    bar = st.progress(0.0, text)
    try:
        yield lambda share: bar.progress(min(share, 1.0), text)
    finally:
        bar.empty()
