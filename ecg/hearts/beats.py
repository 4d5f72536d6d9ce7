"""Normal beats of patients, in the context of their own recordings: what the network is fitted to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from ecg.data.aami import NORMAL
from ecg.exceptions import InputError
from ecg.hearts.context import (
    BLOCK,
    CUTTING,
    LENGTH,
    RHYTHM,
    SHIFT,
    STEP,
    BeatsInContext,
    Context,
    Heart,
    beats_in_context,
    centred,
    follow,
    match,
    unit_of,
)
from ecg.hearts.stored import Rows
from ecg.recordings.classes import beat_classes
from ecg.recordings.cutting import BeatWindows, thinned
from ecg.recordings.reading import open_lead
from ecg.recordings.signals import process_lead


@dataclass(frozen=True)
class NormalBeats:
    """Normal beats of patients, in units of their own normal beat.

    Attributes
    ----------
    patient : int ndarray of shape (n,), numbered from 0
    window : float32 ndarray of shape (n, LENGTH + 2 SHIFT), the signal around the R peak
    normal : float32 ndarray of shape (n, LENGTH), the patient's normal beat
    rhythm, surroundings : as those of BeatsInContext
    """

    patient: np.ndarray
    window: np.ndarray
    normal: np.ndarray
    rhythm: np.ndarray
    surroundings: np.ndarray

    def __len__(self) -> int:
        return len(self.patient)

    @classmethod
    def of_recording(cls, path: str, lead: int | str, most: int) -> Self:
        """The annotated normal beats of a recording, or `most` of them at regular distances, as those of patient 0.

        Their context is found without annotations, as in a scan.

        Raises
        ------
        InputError
            if the recording cannot be read or has no annotated normal beats.
        """
        with open_lead(path, lead) as raw, process_lead(raw, CUTTING) as processed:
            windows = BeatWindows.find(processed, CUTTING)
            classes = beat_classes(raw.annotations, processed.r_peak_seconds)[windows.r_peaks]
            if not (classes == NORMAL).any():
                raise InputError(f"{path} has no annotated normal beats")
            heart = Heart.of(processed, windows)
            return cls.of(heart, follow(heart), classes, most)

    @classmethod
    def of(cls, heart: Heart, context: Context, classes: np.ndarray, most: int) -> Self:
        """The beats of a recording whose class is normal, or `most` of them at regular distances, as of patient 0.

        classes : int ndarray of shape (n,), of the recording's beats; at least one is normal
        """
        chosen = thinned(np.flatnonzero(classes == NORMAL), most)
        normal, unit = context.normals[chosen // BLOCK], unit_of(context.normals[chosen // BLOCK])
        beats = beats_in_context(heart, context, chosen)
        return cls(
            patient=np.zeros(len(chosen), int),
            window=(heart.windows(chosen) / unit).astype(np.float32),
            normal=(normal / unit).astype(np.float32),
            rhythm=beats.rhythm,
            surroundings=beats.surroundings,
        )

    @classmethod
    def joined(cls, recordings: Sequence[Self]) -> Self:
        """The beats of recordings, each of another patient, numbered in their order."""
        columns = [np.concatenate([getattr(part, field.name) for part in recordings]) for field in fields(cls)[1:]]
        return cls(np.repeat(np.arange(len(recordings)), list(map(len, recordings))), *columns)

    def where(self, chosen: np.ndarray | slice) -> Self:
        """The beats at `chosen`: a boolean mask, an array of indices or a slice."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def in_context(self) -> BeatsInContext:
        """The beats as the network takes them."""
        shift, _, _ = match(self.window, self.normal)
        return network_inputs(self.window, shift, self.normal, self.rhythm, self.surroundings)


class StoredBeats:
    """Normal beats of more patients than memory holds, in a file.

    Attributes
    ----------
    patient : int32 ndarray of shape (n,), numbered from 0
    """

    def __init__(self, patient: np.ndarray, rows: Rows) -> None:
        self.patient, self._rows = patient, rows

    @classmethod
    def written(cls, path: Path, recordings: Iterable[NormalBeats]) -> Self:
        """Write the beats of recordings as they come, each of another patient, numbered in their order."""
        counts: list[int] = []

        def rows() -> Iterator[np.ndarray]:
            for beats in recordings:
                counts.append(len(beats))
                yield np.concatenate([beats.window, beats.normal, beats.rhythm, beats.surroundings], axis=1)

        stored = Rows.written(path, rows())
        return cls(np.repeat(np.arange(len(counts), dtype=np.int32), counts), stored)

    def __len__(self) -> int:
        return len(self.patient)

    def where(self, chosen: np.ndarray | slice) -> NormalBeats:
        """The beats at `chosen`, an array of indices or a slice, in memory."""
        ends = np.cumsum([LENGTH + 2 * SHIFT, LENGTH, len(RHYTHM)])
        columns = np.split(self._rows[chosen], ends, axis=1)
        return NormalBeats(self.patient[chosen], *map(np.ascontiguousarray, columns))


def network_inputs(
    window: np.ndarray, shift: np.ndarray, normal: np.ndarray, rhythm: np.ndarray, surroundings: np.ndarray
) -> BeatsInContext:
    """Windows in units of the normal beat, shifted to it, as the network takes them."""
    beat = np.take_along_axis(window, (SHIFT + shift)[:, None] + np.arange(LENGTH), axis=1)
    columns = (centred(beat)[:, ::STEP], normal[:, ::STEP], rhythm, surroundings)
    return BeatsInContext(*(np.ascontiguousarray(column, np.float32) for column in columns))
