from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

from ecg.data.beats import Beats
from ecg.data.datasets import dataset_named
from ecg.detector.detector import Detector
from ecg.evaluation import figures
from ecg.evaluation.figures import ClassProfile, Example, draw_examples
from tests.conftest import assert_drawn_alike_whatever_matplotlib_is_set_to


def drawn(path: Path) -> bytes:
    wave = np.sin(np.linspace(0, 6, 140))
    draw_examples(path, [Example("a", wave, wave * 0.9, (wave * 0.1) ** 2), Example("b", wave, wave, wave * 0)])
    return path.read_bytes()


def test_a_figure_does_not_depend_on_the_users_matplotlib(tmp_path: Path) -> None:
    plain = drawn(tmp_path / "plain.png")
    with mpl.rc_context({"font.size": 23, "axes.facecolor": "black", "savefig.dpi": 30, "figure.dpi": 30}):
        assert drawn(tmp_path / "styled.png") == plain
        assert mpl.rcParams["font.size"] == 23
    with Image.open(tmp_path / "plain.png") as image:
        assert "Software" not in image.info
        assert np.unique(np.asarray(image)).size > 50


def test_one_beat_can_be_drawn_alone(tmp_path: Path) -> None:
    flat = np.zeros(5)
    draw_examples(tmp_path / "one.png", [Example("flat", flat, flat, flat)])
    assert (tmp_path / "one.png").stat().st_size > 0


def test_figures_of_explanations_are_the_same_bytes_every_time(
    tmp_path: Path, detector: Detector, test: Beats, normal: np.ndarray
) -> None:
    dataset, beats = dataset_named("ECG5000"), test.samples[4000:4003]
    verdicts = detector.score(beats, details=True)
    explanation = detector.explain(beats, normal)[0]
    examples = [Example(str(i), beats[i], verdicts.reconstruction[i], verdicts.step_error[i]) for i in range(3)]
    draw = {
        "classes": lambda path: figures.draw_classes(
            path, [ClassProfile.of("PVC", verdicts.step_error, examples)], dataset.segments
        ),
        "alarm": lambda path: figures.draw_explanation(path, "PVC", explanation, dataset.segments),
        "stranger": lambda path: figures.draw_explanation(path, "class 2", explanation, ()),
        "sheet": lambda path: draw_examples(path, examples, columns=5),
        "nothing": lambda path: draw_examples(path, []),
    }
    for figure in draw.values():
        assert_drawn_alike_whatever_matplotlib_is_set_to(figure, tmp_path)
