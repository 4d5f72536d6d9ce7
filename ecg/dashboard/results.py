"""What the views of uploaded files share: a result that is computed once in a session, and a table to download."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from ecg.dashboard.messages import show_error
from ecg.exceptions import InputError

SHOWN = 1_000  # rows of the table on the page; the downloaded file has all
FOUR_DECIMALS = st.column_config.NumberColumn(format="%.4f")
_Result = TypeVar("_Result")


def computed_once(
    key: str, inputs: object, compute: Callable[[], _Result], title: Callable[[Exception], str]
) -> _Result | None:
    """The result for these inputs, kept in the session under a key; None after an error, which is shown.

    `title` is that of an error. Not by `st.cache_resource`, which would show the progress bar again each time that the
    page is drawn.
    """
    if st.session_state.get(key, (None, None))[0] != inputs:
        st.session_state.pop(key, None)
        try:
            st.session_state[key] = (inputs, compute())
        except (InputError, OSError) as error:
            show_error(error, title(error))
            return None
    result: _Result = st.session_state[key][1]
    return result


def show_table(
    heading: str,
    noun: str,
    table: pd.DataFrame,
    total: int,
    file: tuple[str, bytes],
    columns: Mapping[str, ColumnConfig],
) -> None:
    """The first rows of a table, and a button that downloads all rows as CSV.

    Parameters
    ----------
    heading : Markdown
    noun : what the rows are, in the plural
    table : the first rows, at most SHOWN
    total : how many rows there are in all
    file : name and content of the CSV file
    columns : how to show some columns
    """
    name, content = file
    icon = ":material/download:"
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(heading, width="content")
        st.download_button(
            f"Download {noun} (CSV)", content, name, "text/csv", on_click="ignore", type="primary", icon=icon
        )
    st.dataframe(table, hide_index=True, height=260, alt=f"Table of {noun}", column_config=columns)
    if total > len(table):
        st.caption(f"The first {len(table):,} {noun}. The downloaded file has all {total:,}.")
