"""The script that Streamlit runs."""

from ecg.dashboard.page import show

show()
