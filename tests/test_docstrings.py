"""The examples in docstrings run, in a folder with a model and a file of one normal and one anomalous beat."""

import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import ecg
from ecg.data.beats import Beats
from ecg.detector.detector import Detector
from tests.conftest import ROOT

SOURCES = {
    module.name: ROOT / (module.name.replace(".", "/") + ".py")
    for module in pkgutil.walk_packages(ecg.__path__, "ecg.")
}
WITH_EXAMPLES = [name for name, path in SOURCES.items() if path.is_file() and ">>> " in path.read_text()]


@pytest.fixture
def folder(shipped: Path, detector: Detector, test: Beats, monkeypatch: pytest.MonkeyPatch) -> Path:
    score = detector.score(test.samples).score
    np.savetxt(shipped.parent / "beats.csv", test.samples[[score.argmin(), score.argmax()]], delimiter=",")
    monkeypatch.chdir(shipped.parent)
    return shipped.parent


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_in_docstrings_run(name: str) -> None:
    result = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", ["detector", "explanation", "stream", "verdicts"])
def test_what_people_use_has_an_example(name: str) -> None:
    assert f"ecg.detector.{name}" in WITH_EXAMPLES
