"""Colours and lines of the charts, and what the dashboard imports."""

import subprocess
import sys

import numpy as np
import pytest

from ecg.dashboard import charts
from ecg.data.beats import Beats
from ecg.detector.detector import Detector
from ecg.evaluation import drawing
from tests.conftest import ROOT
from tests.dashboard.conftest import DATASET


def test_lines_differ_by_dash_and_not_by_colour_alone(detector: Detector, test: Beats, normal: np.ndarray) -> None:
    (explanation,) = detector.explain(test.samples[:1], normal)
    spec = charts.beat_charts(explanation, DATASET.segments)[0].to_dict()
    (lines,) = [layer["encoding"] for layer in spec["layer"] if layer["mark"]["type"] == "line"]
    for channel in ("color", "strokeDash"):
        values = lines[channel]["scale"]["range"]
        assert len({str(value) for value in values}) == len(lines[channel]["scale"]["domain"]) == 3


# Linear RGB as seen with no working cones of one kind: Machado, Oliveira, Fernandes 2009.
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
    "none": np.eye(3).tolist(),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x, y, z = np.cbrt(TO_XYZ @ np.clip(rgb, 0, 1) / (TO_XYZ @ np.ones(3)))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colours_differ_for_the_colour_blind(blindness: str) -> None:
    seen = np.array(BLINDNESS[blindness])
    calm, alarming = (lab(seen @ linear(colour)) for colour in (charts.CALM, charts.ALARMING))
    assert np.linalg.norm(calm - alarming) > 40  # CIE76; 2.3 is the least that people notice


def test_the_dashboard_has_the_colours_of_the_figures() -> None:
    assert (charts.CALM, charts.ALARMING) == (drawing.CALM, drawing.ALARMING)


@pytest.mark.parametrize("background", ["#ffffff", "#171614"])
def test_lines_stand_out_from_light_and_dark_pages(background: str) -> None:
    for colour in (charts.CALM, charts.ALARMING, charts.GREY):
        dark, light = sorted(TO_XYZ[1] @ linear(one) + 0.05 for one in (colour, background))
        assert light / dark >= 3  # WCAG 2.2, 1.4.11


def test_the_dashboard_imports_no_package_of_training_or_figures() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, ecg.dashboard.page; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "streamlit" in loaded
    assert not {"torch", "matplotlib", "dvc", "onnx"} & set(loaded)
