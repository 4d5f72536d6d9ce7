"""One beat: the verdict on it, and where its score comes from."""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from ecg.dashboard.charts import Segments, beat_charts
from ecg.detector.explanation import Explanation, Region

LISTED = 5  # regions, those with the largest shares
_CORRECT, _WRONG, _ALARM, _NONE = (f":material/{name}:" for name in ("check", "close", "warning", "remove"))
Colour = Literal["red", "blue"]
OUTCOMES: dict[
    tuple[bool, bool | None], tuple[str, str, Colour]
] = {  # by whether there is an alarm, and whether the beat is anomalous: words, icon and colour
    (True, True): ("Correct alarm", _CORRECT, "red"),
    (True, False): ("False alarm", _WRONG, "red"),
    (False, True): ("Miss", _WRONG, "red"),
    (False, False): ("Correctly no alarm", _CORRECT, "blue"),
    (True, None): ("Alarm", _ALARM, "red"),
    (False, None): ("No alarm", _NONE, "blue"),
}


def show_beat(explanation: Explanation, title: str, alarm: bool, anomalous: bool | None, segments: Segments) -> None:
    """The beat over its reconstruction, the error at each sample, the verdict, and the regions that decide it.

    `anomalous` is whether the dataset calls the beat anomalous; None if it has no label.
    """
    charts, verdict = st.columns([3, 1], gap="medium")
    above, below = beat_charts(explanation, segments)
    with charts, st.container(gap=None):
        st.altair_chart(above, alt=f"{title} over its reconstruction. {str(explanation).replace(chr(10), '; ')}")
        st.altair_chart(below, alt=f"{title}: the error at each sample.")
    with verdict:
        st.markdown(f"**{title}**")
        outcome, icon, colour = OUTCOMES[alarm, anomalous]
        st.badge(outcome, icon=icon, color=colour)
        with st.container(horizontal=True):
            st.metric("Score", f"{explanation.score:.4f}", width=100)
            if explanation.p_value is not None:
                st.metric("p-value", f"{explanation.p_value:.4f}", width=100)
        st.markdown(list_regions(explanation.regions))
        st.caption("Error: squared difference at each sample, after the model's scaling. The score is its mean.")


def list_regions(regions: Sequence[Region]) -> str:
    """The first regions, and the number and share of the others, as a Markdown list."""
    rest = regions[LISTED:]
    others = [f"{len(rest)} more: {sum(region.share for region in rest):.0%}"] if rest else []
    return "\n".join(f"- {item}" for item in [*regions[:LISTED], *others])
