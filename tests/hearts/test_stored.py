"""Training on more beats than memory holds: the same beats from files, in parts, and no file stays behind."""

import resource
import tempfile
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ecg.exceptions import InputError
from ecg.hearts import fitting
from ecg.hearts.beats import NormalBeats, StoredBeats
from ecg.hearts.fitting import Fit, fit, tensor
from ecg.hearts.model import score_of
from ecg.hearts.params import Train
from ecg.hearts.stored import Rows
from tests.hearts.conftest import PATIENTS


def parts_of(beats: NormalBeats) -> Iterator[NormalBeats]:
    """The beats of each patient, as those of patient 0."""
    for i in range(PATIENTS):
        own = beats.where(beats.patient == i)
        yield replace(own, patient=np.zeros(len(own), int))


@pytest.fixture
def in_files(beats: NormalBeats, tmp_path: Path) -> StoredBeats:
    return StoredBeats.written(tmp_path / "beats", parts_of(beats))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    expected = np.random.default_rng(0).random((50, 3), np.float32)
    rows = Rows.written(tmp_path / "rows", iter(np.split(expected, [0, 20, 21])))
    assert (len(rows), rows.width) == (50, 3)
    some = np.array([[49, 0, 7, 7], [8, 6, 20, 21]], np.uint32)
    for chosen in (slice(None), slice(5, 30), slice(40, 90), some, some[0], some[:0]):
        np.testing.assert_array_equal(rows[chosen], expected[chosen])


def test_beats_in_a_file_are_those_of_the_recordings(beats: NormalBeats, in_files: StoredBeats) -> None:
    assert len(in_files) == len(beats)
    for chosen in (slice(None), slice(50, 70), np.array([200, 3, 59, 60])):
        for field in fields(beats):
            expected = getattr(beats.where(chosen), field.name)
            np.testing.assert_array_equal(getattr(in_files.where(chosen), field.name), expected)


def alike(one: Fit, other: Fit) -> bool:
    weights = other.network.state_dict()
    same = all(torch.equal(x, weights[name]) for name, x in one.network.state_dict().items())
    return same and np.array_equal(one.held_out, other.held_out)


def test_beats_in_a_file_give_the_same_model(beats: NormalBeats, in_files: StoredBeats, quick: Train) -> None:
    assert alike(fit(in_files, quick), fit(beats, quick))


def test_in_parts_too_a_patient_is_judged_by_members_that_have_not_seen_him(
    beats: NormalBeats, quick: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another signal of one patient changes all members but those of his fold."""
    monkeypatch.setattr(fitting, "PARTITION", 50)
    monkeypatch.setattr(fitting, "SCORED", 100)
    patient, folds = 2, quick.folds
    window = beats.window.copy()
    window[beats.patient == patient] *= np.linspace(-3, 3, window.shape[1], dtype=np.float32)
    fitted, other = fit(beats, quick), fit(replace(beats, window=window), quick)
    unseen = np.arange(folds * quick.repeats) % folds == fitted.fold[patient]
    for name, weights in fitted.network.state_dict().items():
        same = [torch.equal(a, b) for a, b in zip(weights, other.network.state_dict()[name], strict=True)]
        assert same == unseen.tolist(), name
    with torch.no_grad():
        sums = fitted.network(tensor(beats.in_context()))[-1].numpy()
    for i, fold in enumerate(fitted.fold.tolist()):
        own = beats.patient == i
        np.testing.assert_allclose(fitted.held_out[own], score_of(sums[own][:, fold::folds]), rtol=1e-5)


def test_in_parts_anomalies_are_simulated_from_each_beat_as_often(
    beats: NormalBeats, quick: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "PARTITION", 50)
    simulated: list[NormalBeats] = []

    def simulate(own: NormalBeats, random: np.random.Generator) -> object:
        simulated.append(own)
        return original(own, random)

    original = fitting.simulate
    monkeypatch.setattr(fitting, "simulate", simulate)
    fitted = fit(beats, quick.model_copy(update={"simulations": 3, "steps": 1}))
    assert {len(own) for own in simulated} == {45}  # of the 180 beats of three patients
    seen = np.bincount(np.concatenate([own.patient for own in simulated]))
    of_each = len(beats) // PATIENTS * 3 * quick.repeats  # once for each member of the other fold
    assert seen.tolist() == [of_each] * PATIENTS
    assert len(fitted.held_out) == len(beats)


@pytest.mark.parametrize("interrupted", [False, True])
def test_no_file_stays_behind(temporary: Path, beats: NormalBeats, quick: Train, interrupted: bool) -> None:
    sizes = []

    def on_step() -> None:
        sizes.append([path.stat().st_size for path in temporary.rglob("*") if path.is_file()])
        if interrupted:
            raise KeyboardInterrupt

    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            fit(beats, quick, on_step)
    else:
        fit(beats, quick, on_step)
    assert len(sizes[0]) == 1 + quick.folds * quick.repeats
    assert min(sizes[0]) > 0
    assert list(temporary.iterdir()) == []


def test_too_little_room_is_refused_before_anything_is_simulated(
    temporary: Path, beats: NormalBeats, quick: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(fitting.shutil, "disk_usage", lambda _folder: usage(10**9, 10**9 - 10**5, 10**5))
    monkeypatch.delattr(fitting, "simulate")
    with pytest.raises(InputError, match=rf"^{temporary}.* has 0\.0 GB free.*TMPDIR names another folder"):
        fit(beats, quick)
    assert list(temporary.iterdir()) == []


def test_a_disk_that_takes_no_more_is_named_with_the_remedy(tmp_path: Path, beats: NormalBeats) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(InputError, match=rf"^{tmp_path} cannot take all beats \(.*\); .* TMPDIR names another"):
            StoredBeats.written(tmp_path / "beats", parts_of(beats))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused_with_the_parameter(beats: NormalBeats, quick: Train) -> None:
    with pytest.raises(InputError, match=r"^hearts/params\.yaml: hearts\.train\.device is cuda, and .* finds no GPU"):
        fit(beats, quick.model_copy(update={"device": "cuda"}))
