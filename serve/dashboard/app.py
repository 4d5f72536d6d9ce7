"""The script that Streamlit runs."""

import sys
from pathlib import Path

if (root := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.insert(0, root)  # Streamlit puts this script's folder there, not the repository's root

from serve.dashboard.page import show

show()
