"""The site's settings for Sphinx: `make docs`."""

import logging
import tomllib
from pathlib import Path

from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]

project = "ECG anomaly detection"
author = "The contributors of ECG anomaly detection"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
project_copyright = "MIT licence. For research and teaching; not a medical device"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build", "measured"]
nitpicky = False  # docstrings name shapes and units, not only types

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4  # so that pages link to headings as on GitHub

# The notebooks of the tutorial run at each build, and an error in one of them fails it.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
logging.getLogger("traitlets").setLevel(logging.WARNING)  # it would name each notebook that it runs
# Nor need a notebook warn that others on this machine could read what it prints: it is going to be a page.
NotebookClient.extra_arguments.default_args = (["--log-level=ERROR"],)

autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_google_docstring = False
napoleon_numpy_docstring = True

copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "ECG anomaly detection"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_search_summary = False  # they are fetched from the pages, which a browser refuses where no server is
html_show_sourcelink = False
html_show_sphinx = False
html_last_updated_fmt = None
# All that a page needs lies beside it: neither fonts nor scripts come from elsewhere.
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#7fb2ee", "color-brand-content": "#7fb2ee"},
}
