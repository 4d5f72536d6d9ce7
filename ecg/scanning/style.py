"""What charts share: colours, and y axes of one width."""

from typing import Any

import altair as alt

CALM, ALARMING = "#5b7f95", "#d1380b"  # as in ecg.evaluation.drawing, which would import matplotlib
GREY = "#8c8c8c"  # visible on white and on black


def y_axis(**options: Any) -> alt.Axis:
    """A y axis of fixed width, so that the x axes of charts below each other are aligned.

    Streamlit does not fit `alt.vconcat` to the width of a phone.
    """
    return alt.Axis(minExtent=45, maxExtent=45, **options)
