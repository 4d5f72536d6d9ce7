"""A headless Chromium for the tests that need one; those are skipped where there is none."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from benchmarks.browser import CHROMIUM, DESKTOP, PHONE, chromium

__all__ = ["DESKTOP", "PHONE", "browser", "pictures"]
if CHROMIUM is None:
    pytest.skip("there is no chromium", allow_module_level=True)

from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder to keep pictures in: the one that ECG_SCREENSHOTS names."""
    folder = Path(os.environ.get("ECG_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
