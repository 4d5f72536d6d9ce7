"""What may be set of a recording. Light: params.yaml and the detector's metadata are checked by it."""

from typing import Annotated, Literal

from pydantic import Field

from ecg.schema import Strict

Span = Annotated[list[Annotated[float, Field(ge=0, le=5)]], Field(min_length=2, max_length=2)]


class Cutting(Strict):
    """How beats are cut from a lead.

    highpass, lowpass : the band that is left of the signal, in Hz
    segmentation : rr, from an R peak to the next; window, a fixed time around it; rhythm, a time around it that is
        measured in running medians of the RR interval
    window : seconds before and after the R peak
    rhythm : running medians before and after it
    length : samples of a beat
    """

    highpass: Annotated[float, Field(gt=0, le=5)]
    lowpass: Annotated[float, Field(ge=15, le=100)]
    segmentation: Literal["rr", "window", "rhythm"]
    window: Span
    rhythm: Span
    length: Annotated[int, Field(ge=16, le=1000)]


class Recording(Strict):
    """A recording to learn from.

    path : of a WFDB record, an EDF, CSV or NPY file; `physionet:DATABASE/RECORD` on the web
    lead : its name, or its number from 0
    rate : samples a second, for files that do not say
    annotations : the ending of the WFDB annotations to read; null to read none
    minutes : how long the training part is
    beats : how beats are cut; the model remembers it
    """

    path: str | None
    lead: Annotated[int, Field(ge=0)] | str
    rate: Annotated[float, Field(gt=0)] | None
    annotations: Annotated[str, Field(pattern=r"^[A-Za-z]+$")] | None
    minutes: Annotated[float, Field(gt=0)]
    beats: Cutting
