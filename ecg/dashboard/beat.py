"""One beat: the verdict on it, and why."""

from collections.abc import Sequence

import streamlit as st

from ecg.dashboard.charts import Segments, beat_over_reconstruction
from ecg.detector.explanation import Explanation, Run

LISTED = 5  # runs, the ones that carry most
OUTCOMES = {
    (True, True): "Alarm, rightly",
    (True, False): "False alarm",
    (False, True): "Miss",
    (False, False): "No alarm, rightly",
}


def outcome(alarm: bool, anomalous: bool | None = None) -> str:
    """What a verdict is, beside what the dataset calls the beat; None where nothing does."""
    if anomalous is None:
        return "Alarm" if alarm else "No alarm"
    return OUTCOMES[alarm, anomalous]


def show_beat(explanation: Explanation, title: str, alarm: bool, anomalous: bool | None, segments: Segments) -> None:
    """The beat over its reconstruction, the error at each sample, the verdict and what it rests on."""
    chart, verdict = st.columns([3, 1], gap="medium")
    with chart:
        st.altair_chart(
            beat_over_reconstruction(explanation, segments), width="stretch", alt=described(explanation, title)
        )
    with verdict:
        st.markdown(f"**{title}**")
        st.badge(
            outcome(alarm, anomalous),
            icon=":material/warning:" if alarm else ":material/check:",
            color="red" if alarm else "blue",
        )
        with st.container(horizontal=True):
            st.metric("Score", f"{explanation.score:.4f}", width=100)
            if explanation.p_value is not None:
                st.metric("p-value", f"{explanation.p_value:.4f}", width=100)
        st.markdown("Half of the score comes from\n\n" + "\n".join(summed_up(explanation.runs)))
        st.caption("Error: squared, in the space that the model works in. Its mean over the samples is the score.")


def summed_up(runs: Sequence[Run]) -> list[str]:
    """What each of the first runs carries, and what the rest do, as items of a Markdown list."""
    first, rest = [carried(run) for run in runs[:LISTED]], runs[LISTED:]
    return [*first, f"- {len(rest)} more: {sum(run.share for run in rest):.0%}"] if rest else first


def carried(run: Run) -> str:
    """Where a run lies and what it carries, as an item of a Markdown list."""
    waves = f" ({', '.join(run.segments)})" if run.segments else ""
    alone = run.stop == run.start + 1
    where = f"sample {run.start}" if alone else f"samples {run.start} to {run.stop - 1}"
    return f"- {where}{waves}: {run.share:.0%}"


def described(explanation: Explanation, title: str) -> str:
    """The chart in words."""
    return f"{title} over its reconstruction, with the error at each sample. {str(explanation).replace(chr(10), '; ')}"
