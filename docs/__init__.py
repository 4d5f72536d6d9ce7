"""The site (pages in Markdown, built by `make docs`), and what fills its tables and figures and those of README.md."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
