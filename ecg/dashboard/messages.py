"""What the page says when something is wrong or missing."""

import re

import streamlit as st

_MARKS = re.compile(r"([\\*_\[\]$~<>#|!:&])")


def tell(error: Exception, title: str) -> None:
    """Show the message of an error, and nothing of where it was raised."""
    st.error(plain(str(error)), title=title, icon=":material/error:")


def plain(message: str) -> str:
    """A message as Markdown that reads as it is: only what stands in backticks, a command, looks different.

    Names and cells of uploaded files stand in messages; they should not become links or images.
    """
    parts = message.split("`")
    if len(parts) % 2 == 0:  # a backtick without another
        return _MARKS.sub(r"\\\1", message.replace("`", "'"))
    return "`".join(part if place % 2 else _MARKS.sub(r"\\\1", part) for place, part in enumerate(parts))
