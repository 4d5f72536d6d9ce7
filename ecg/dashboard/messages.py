"""Messages on the page: errors, and texts that may hold names and cells of uploaded files."""

import re

import streamlit as st

_LINKS = re.compile(r"(?i)www(?=\.)|\b(?:https?|ftp)(?=:)|(?=@)")  # what becomes a link by itself, escaped or not
_WORD_JOINER = "\u2060"  # which shows nothing
_MARKUP = re.compile(r"(`[^`]*`)|([\\*_\[\]$~<>#|!:&`])")


def show_error(error: Exception, title: str) -> None:
    """Show the message of an error, without a traceback."""
    st.error(escape_markdown(str(error)), title=title, icon=":material/error:")


def file_stem(name: str, otherwise: str) -> str:
    """A name that is stated in a file, as the beginning of a file name; `otherwise` if nothing of it can be used."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or otherwise


def escape_markdown(text: str) -> str:
    """A text as Markdown that shows it literally, except that commands in backticks stay code.

    Streamlit has no function for this. A name in an uploaded file should not become a link or an image.
    """
    unlinked = _LINKS.sub(lambda match: match[0] + _WORD_JOINER, text)
    return _MARKUP.sub(lambda match: match[1] or f"\\{match[2]}", unlinked)
