"""What every page has, and what is shown where a file is missing or damaged."""

import re
from pathlib import Path

import pytest

from ecg.dashboard.messages import escape_markdown
from ecg.dashboard.page import lower_headings
from ecg.data import beats
from ecg.data.beats import Beats
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import CALIBRATION, Detector
from ecg.detector.model import MODEL
from ecg.evaluation.card import card
from ecg.evaluation.provenance import PROVENANCE, Provenance
from tests.conftest import calibrating
from tests.dashboard.conftest import Open, as_csv, drawn, messages, uploading


def test_the_card_is_shown_below_the_title_of_the_page(opened: Open, models: Path) -> None:
    app = opened("Model card")
    (text,) = [text.value for text in app.markdown if "Model card" in text.value]
    assert text.strip() == lower_headings(card(Provenance.load(models))).strip()
    assert not re.search(r"^# ", text, re.MULTILINE)


def test_a_model_without_provenance_shows_that_it_has_no_card(opened: Open, models: Path) -> None:
    (models / PROVENANCE).unlink()
    assert "This model has no card" in messages(opened("Model card"))
    assert "class 1 is assumed" in "\n".join(caption.value for caption in opened("Beats").caption)


def test_a_card_of_another_model_is_not_shown(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors
) -> None:
    thresholds.calibrate(errors, calibrating(alpha=0.1), detector.model.sha256).save(models / CALIBRATION)
    app = opened("Model card")
    assert "is not the file that" in messages(app)
    assert not [text for text in app.markdown if "Model card" in text.value]


def test_a_provenance_that_lacks_an_entry_of_the_card_shows_the_remedy(opened: Open, models: Path) -> None:
    made = Provenance.load(models)
    made.model_copy(update={"metrics": {}}).save(models)
    assert "does not say 'alarms'; run `dvc repro`" in messages(opened("Model card"))


@pytest.mark.parametrize("view", ["Beats", "Threshold", "Your beats", "Your recording", "Model card"])
def test_every_view_says_not_a_medical_device(opened: Open, view: str) -> None:
    assert "Not a medical device" in opened(view).caption[0].value


def test_without_a_model_there_is_one_error_with_the_remedy_and_nothing_else(opened: Open, models: Path) -> None:
    (models / MODEL).unlink()
    app = opened("Beats")
    assert len(app.error) == 1
    assert "is missing; `dvc repro` makes it" in messages(app)
    assert not app.tabs


def test_a_damaged_model_shows_the_remedy_too(opened: Open, models: Path) -> None:
    (models / MODEL).write_bytes(b"damaged")
    app = opened("Beats")
    assert "run `dvc repro`" in messages(app)
    assert not app.tabs


@pytest.mark.parametrize("view", ["Beats", "Threshold"])
def test_without_test_beats_the_command_that_makes_them_is_named(opened: Open, data: Path, view: str) -> None:
    data.unlink()
    app = opened(view)
    assert "There are no test beats" in messages(app)
    assert "`dvc repro` makes it" in messages(app)


def test_without_test_beats_uploads_are_scored_and_the_card_is_shown(opened: Open, data: Path, test: Beats) -> None:
    data.unlink()
    assert len(uploading(opened, "mine.csv", as_csv(test.samples[:5])).dataframe[0].value) == 5
    assert any("Model card" in text.value for text in opened("Model card").markdown)


def test_test_beats_of_another_length_show_an_error(opened: Open, data: Path, test: Beats) -> None:
    beats.save(data, Beats(test.samples[:, :100], test.classes))
    assert "the model takes" in messages(opened("Beats"))


def test_test_beats_without_a_class_each_show_an_error(opened: Open, data: Path, test: Beats) -> None:
    beats.save(data, Beats(test.samples, test.classes[:10]))
    assert "should hold an integer class for each beat" in messages(opened("Beats")).replace("\\", "")


def test_a_new_model_is_loaded_without_a_restart(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors
) -> None:
    app = opened("Beats")
    thresholds.calibrate(errors, calibrating(alpha=0.1), detector.model.sha256).save(models / CALIBRATION)
    assert "at most 0.1 (as calibrated)" in drawn(app.run()).caption[0].value


def test_text_from_a_file_is_not_interpreted_as_markdown() -> None:
    assert escape_markdown("![x](a) is *bad*; `dvc repro`") == (r"\!\[x\](a) is \*bad\*; `dvc repro`")
    assert escape_markdown("a ` alone") == r"a \` alone"


@pytest.mark.parametrize("name", ["www.a.com", "https://a.com", "WWW.a.com", "me@a.com", "x_www.a.com"])
def test_a_name_that_looks_like_an_address_is_no_link(name: str) -> None:
    """Streamlit makes a link of an address, escaped or not, unless something stands in it."""
    shown = escape_markdown(name)
    assert shown.replace("\\", "").replace("\u2060", "") == name
    assert not re.search(r"(?i)www\.|https?\\?:|\w@", shown)


def test_the_setting_of_alpha_is_not_said_to_hold_for_a_recording(opened: Open) -> None:
    """It is judged by a setting of that view."""
    assert "p-value" in opened("Your beats").caption[0].value
    assert "p-value" not in opened("Your recording").caption[0].value
