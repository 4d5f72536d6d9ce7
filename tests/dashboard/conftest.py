"""The dashboard as Streamlit runs it, without a browser, and what the tests of its views read from it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from ecg.data.beats import Beats
from ecg.data.datasets import dataset_named
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import CALIBRATION, Detector
from ecg.evaluation.provenance import PROVENANCE
from ecg.params import Params
from tests.conftest import ROOT, calibrating, prepare, ship

DATASET = dataset_named("ECG5000")
Open = Callable[[str], AppTest]


@pytest.fixture
def models(tmp_path: Path, detector: Detector, onnx_model: bytes, committed: Params, test: Beats) -> Path:
    ship(tmp_path / "models", detector, onnx_model, committed, test)
    return tmp_path / "models"


@pytest.fixture
def data(tmp_path: Path, test: Beats, normal: np.ndarray) -> Path:
    return prepare(tmp_path / "processed", test, normal)


@pytest.fixture
def opened(models: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the dashboard of these at a view; it is drawn without an exception."""
    monkeypatch.setenv("ECG_MODELS", str(models))
    monkeypatch.setenv("ECG_TEST_BEATS", str(data))

    def opened(view: str) -> AppTest:
        app = AppTest.from_file(ROOT / "ecg" / "dashboard" / "app.py", default_timeout=30)
        app.query_params["view"] = view
        return drawn(app.run())

    return opened


def drawn(app: AppTest) -> AppTest:
    assert not app.exception
    return app


def switched(app: AppTest, view: str) -> AppTest:
    """The same session at another view."""
    app.query_params["view"] = app.session_state["view"] = view
    return drawn(app.run())


def beat_title(app: AppTest) -> str:
    """The title of the beat that is shown."""
    (title,) = [text.value for text in app.markdown if "est beat" in text.value]
    return title.strip("*")


def title_of(index: int, test: Beats) -> str:
    return f"Test beat {index}: {DATASET.class_name(test.classes[index])}"


def messages(app: AppTest) -> str:
    """All errors and other messages on the page."""
    return "\n".join(f"{alert.proto.title}\n{alert.value}" for alert in (*app.error, *app.info))


def with_errors_of_fitted_beats(models: Path, detector: Detector, errors: TrainingErrors) -> None:
    """Calibrate without held-out beats: no p-values."""
    without = TrainingErrors(errors.fold, errors.fitted, None)
    thresholds.calibrate(without, calibrating(method="percentile"), detector.model.sha256).save(models / CALIBRATION)
    (models / PROVENANCE).unlink()


def as_csv(samples: np.ndarray, labels: list[str] | None = None) -> bytes:
    frame = pd.DataFrame(samples)
    if labels is not None:
        frame.insert(0, "who", labels)
    return frame.to_csv(index=False).encode()


def uploading(opened: Open, name: str, content: bytes) -> AppTest:
    app = opened("Your beats")
    app.file_uploader(key="upload").set_value((name, content, "application/octet-stream"))
    return drawn(app.run())


def as_table(lead: np.ndarray) -> bytes:
    """A lead of 360 samples a second as CSV, with a column of seconds."""
    frame = pd.DataFrame({"seconds": np.arange(len(lead)) / 360, "II": lead})
    return frame.to_csv(index=False, float_format="%.5f").encode()
