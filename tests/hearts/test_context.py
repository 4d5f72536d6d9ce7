"""The patient's own normal beat and rhythm, found in real recordings and in leads made of a real beat."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecg.data.aami import NORMAL
from ecg.hearts import context as contexts
from ecg.hearts.context import (
    BLOCK,
    GAINS,
    LENGTH,
    RHYTHM,
    SHIFT,
    STEP,
    SURROUNDINGS,
    BeatsInContext,
    Context,
    Heart,
    beats_in_context,
    compare_with_start,
    follow,
    match,
)
from ecg.recordings.classes import beat_classes
from ecg.recordings.reading import open_lead
from tests.hearts.conftest import heart_of, heart_of_samples, in_time, made_of

V = 3  # class of the AAMI
N = 600  # beats of a lead that is made
FOREIGN_SHARE = 0.4


def inputs_of(heart: Heart, context: Context | None = None) -> BeatsInContext:
    return beats_in_context(heart, follow(heart) if context is None else context, slice(None))


def assert_close(a: BeatsInContext, b: BeatsInContext, tolerance: float) -> None:
    for field in fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance, err_msg=field.name)


def likeness(context: Context, shape: np.ndarray) -> np.ndarray:
    """The correlation of the normal beat of each block with a shape."""
    return np.array([np.corrcoef(normal, shape)[0, 1] for normal in context.normals])


def foreign(shape: np.ndarray) -> np.ndarray:
    """A wide beat that points down, as large as the shape."""
    wide = np.interp(np.arange(LENGTH) / 2 + LENGTH / 4, np.arange(LENGTH), shape)
    return -wide * np.hanning(LENGTH)


# Real recordings.


@pytest.mark.parametrize(("gain", "offset"), [(4.0, 0.0), (0.1, 0.0), (1.0, 2.5), (-1.0, 0.0), (250.0, -900.0)])
def test_the_unit_and_the_offset_of_a_lead_change_no_input(
    gain: float, offset: float, toy: np.ndarray, toy_heart: Heart, tmp_path: Path
) -> None:
    other = heart_of_samples(gain * toy + offset, tmp_path)
    np.testing.assert_array_equal(other.r_peaks, toy_heart.r_peaks)
    assert_close(inputs_of(other), inputs_of(toy_heart), 0.01)


@pytest.mark.parametrize("record", ["106", "213"])
def test_the_unit_and_the_offset_of_a_record_change_no_input(record: str, mitdb: Path, tmp_path: Path) -> None:
    with open_lead(str(mitdb / record), 0, annotations=None) as lead:
        samples = lead.read(0, lead.length // 3)
    one, other = (heart_of_samples(part, tmp_path) for part in (samples, 3 * samples - 7))
    np.testing.assert_array_equal(other.r_peaks, one.r_peaks)
    assert_close(inputs_of(other), inputs_of(one), 0.01)


def test_ventricular_beats_of_a_record_are_not_explained(mitdb: Path) -> None:
    for record, normal in {"106": 0.9, "119": 0.7, "233": 0.4}.items():  # many normal beats come after a pause
        heart = heart_of(str(mitdb / record))
        with open_lead(str(mitdb / record), 0) as lead:
            classes = beat_classes(lead.annotations, heart.seconds)
        explained = follow(heart).explained
        assert explained[classes == NORMAL].mean() > normal
        assert explained[classes == V].mean() < 0.05


def test_a_beat_is_in_units_of_its_normal_beat_and_without_offset(toy_heart: Heart) -> None:
    inputs = inputs_of(toy_heart)
    n = len(toy_heart)
    shapes = [(n, LENGTH // STEP), (n, LENGTH // STEP), (n, len(RHYTHM)), (n, len(SURROUNDINGS))]
    assert [getattr(inputs, field.name).shape for field in fields(inputs)] == shapes
    assert {getattr(inputs, field.name).dtype for field in fields(inputs)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(np.sqrt(np.square(inputs.normal).mean(axis=1)), 1, atol=0.03)  # of every second sample
    assert np.abs(inputs.beat.mean(axis=1)).max() < 0.1
    some = np.array([3, 3, n - 1, 0])
    chosen = beats_in_context(toy_heart, follow(toy_heart), some)
    np.testing.assert_array_equal(chosen.rhythm, inputs.rhythm[some])
    np.testing.assert_array_equal(chosen.beat, inputs.beat[some])


def test_the_rhythm_of_a_beat_is_that_of_the_beats_around(toy_heart: Heart) -> None:
    context = follow(toy_heart)
    rhythm, log_rr = inputs_of(toy_heart, context).rhythm, np.clip(context.log_rr, -1.5, 1.5)
    for i in (5, 100, len(toy_heart) - 5):
        np.testing.assert_allclose(rhythm[i], log_rr[i - 2 : i + 4], rtol=1e-6)
    after = np.log(toy_heart.rr_after[100] / context.normal_rr[101])
    assert rhythm[100, RHYTHM.index("after")] == pytest.approx(after, abs=1e-6)


@pytest.mark.parametrize("beats", [1, 37, 499])
def test_the_number_of_beats_in_a_chunk_does_not_matter(
    beats: int, toy_heart: Heart, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = follow(toy_heart)
    from_start = compare_with_start(toy_heart, expected)
    monkeypatch.setattr(contexts, "CHUNK_BEATS", beats)
    again = follow(toy_heart)
    for one, other in ((expected, again), (from_start, compare_with_start(toy_heart, again))):
        for field in fields(one):
            x, y = getattr(one, field.name), getattr(other, field.name)
            np.testing.assert_allclose(x.astype(float), y.astype(float), rtol=1e-4, atol=1e-4, err_msg=field.name)


# Leads that are made of a real beat.


@pytest.mark.parametrize(
    "ectopic",
    [np.random.default_rng(2).random(N) < FOREIGN_SHARE, (np.arange(N) >= 300) & (np.arange(N) < 500)],
    ids=["scattered", "in a long run"],
)
def test_the_normal_beat_does_not_follow_ectopic_beats(ectopic: np.ndarray, shape: np.ndarray) -> None:
    heart = made_of(np.where(ectopic[:, None], foreign(shape), shape), in_time(N))
    context = follow(heart)
    assert not context.explained[ectopic].any()
    assert context.explained[~ectopic].mean() > 0.95
    assert likeness(context, shape).min() > 0.99


def test_a_slow_change_of_amplitude_is_followed_but_not_by_the_start(shape: np.ndarray) -> None:
    size = np.exp(np.linspace(0, np.log(0.3), 2 * N))  # below the smallest gain, in the end
    heart = made_of(size[:, None] * shape, in_time(2 * N), noise=0.002)
    followed = follow(heart)
    assert followed.explained.mean() > 0.95
    from_start = compare_with_start(heart, followed)
    assert from_start.explained[:300].mean() > 0.95
    assert from_start.explained[-200:].mean() < 0.05
    assert len(np.unique(from_start.normals, axis=0)) == 1


@pytest.mark.parametrize(("rr", "follows"), [(0.5, False), (0.6, True), (1.1, True)])
def test_a_new_lasting_rhythm_is_followed_if_it_is_one_of_rest(rr: float, follows: bool, shape: np.ndarray) -> None:
    before, after = 400, 250
    heart = made_of(np.tile(shape, (before + after, 1)), np.append(in_time(before), in_time(after, rr)), noise=0.02)
    context = follow(heart)
    middle = slice(before + 60, before + after - 20)
    assert context.explained[: before - 40].mean() > 0.95
    assert (context.explained[middle].mean() > 0.95) == follows
    assert np.median(context.normal_rr[middle]) == pytest.approx(rr if follows else 0.8, rel=0.03)


def test_the_start_keeps_its_rhythm(shape: np.ndarray) -> None:
    heart = made_of(np.tile(shape, (800, 1)), np.append(in_time(500), in_time(300, 1.1)), noise=0.02)
    from_start = compare_with_start(heart, follow(heart))
    np.testing.assert_allclose(from_start.normal_rr[-200:], 0.8, rtol=0.03)
    assert from_start.alike[-200:].mean() > 0.95
    assert not from_start.explained[-200:].any()


@pytest.mark.parametrize("rr", [0.8, 1.2])
def test_a_start_that_is_unlike_the_rest_is_compared_with_itself(rr: float, shape: np.ndarray) -> None:
    """Five minutes of one shape, and then more beats of another: the usual ones of the recording."""
    early, late = 380, 900
    shapes = np.repeat([shape, foreign(shape)], [early, late], axis=0)
    heart = made_of(shapes, np.append(in_time(early), in_time(late, rr)), noise=0.02)
    followed = follow(heart)
    assert not followed.explained[:early].any()
    from_start = compare_with_start(heart, followed)
    assert from_start.explained[:early].mean() > 0.95
    assert not from_start.alike[early:].any()
    np.testing.assert_allclose(from_start.normal_rr[1:], 0.8, rtol=0.03)
    assert likeness(from_start, shape).min() > 0.99


def test_early_beats_are_not_explained(shape: np.ndarray) -> None:
    rr, early = in_time(N), np.arange(20, N, 7)
    rr[early] *= 0.7
    context = follow(made_of(np.tile(shape, (N, 1)), rr))
    assert not context.explained[early].any()
    assert context.alike[early].mean() > 0.95
    np.testing.assert_allclose(context.log_rr[early], np.log(0.7), atol=0.08)


def test_beats_known_to_be_normal_are_learnt_from_where_few_are_alike(shape: np.ndarray) -> None:
    """Two shapes of normal beats, of which the rarer one is known from its annotations."""
    rare = np.arange(N) >= 420
    heart = made_of(np.where(rare[:, None], foreign(shape), shape), in_time(N))
    assert not follow(heart).explained[rare].any()
    assert follow(heart, known=rare & (np.arange(N) < 580)).explained[rare].mean() > 0.9


def test_unknown_rr_intervals_give_0(toy_heart: Heart) -> None:
    n = len(toy_heart)
    none = replace(toy_heart, rr_before=np.full(n, np.nan), rr_after=np.full(n, np.nan))
    assert not inputs_of(none).rhythm.any()
    unknown = np.arange(n) % 10 == 3
    some = replace(toy_heart, rr_before=np.where(unknown, np.nan, toy_heart.rr_before))
    rhythm = inputs_of(some).rhythm
    assert not rhythm[unknown, RHYTHM.index("before")].any()
    assert not rhythm[np.flatnonzero(unknown) - 1, RHYTHM.index("after")].any()
    assert (rhythm[~unknown, RHYTHM.index("before")] != 0).mean() > 0.9


@st.composite
def hearts(draw: st.DrawFn) -> Heart:
    n = draw(st.integers(2, 80))
    rr = np.array(draw(st.lists(st.one_of(st.floats(0.05, 4), st.sampled_from([0.8, np.nan])), min_size=n, max_size=n)))
    size = draw(st.sampled_from([0.0, 1e-6, 1.0, 1e4]))
    return heart_with(rr, size)


def heart_with(rr: np.ndarray, size: float = 1.0) -> Heart:
    """Beats of noise, at these intervals, some of them close to the ends of the lead."""
    r_peaks = np.cumsum(np.maximum(np.nan_to_num(rr, nan=0.8) * 250, 1)).astype(int)
    random = np.random.default_rng(len(rr))
    samples = (size * random.standard_t(3, r_peaks[-1] + 20)).astype(np.float32)
    return Heart(samples, r_peaks, rr, np.append(rr[1:], np.nan))


@settings(max_examples=60)
@given(hearts())
@example(heart_with(np.array([np.nan, 0.8])))
@example(heart_with(np.array([np.nan, np.nan, np.nan])))
@example(heart_with(np.full(10, 0.8), 0.0))
@example(heart_with(np.geomspace(0.1, 3, 33)))
def test_whatever_the_beats_all_outputs_are_finite_and_of_their_shapes(heart: Heart) -> None:
    n = len(heart)
    followed = follow(heart)
    for context in (followed, compare_with_start(heart, followed)):
        assert context.normals.shape == (-(-n // BLOCK), LENGTH)
        for field in fields(context):
            values = getattr(context, field.name)
            assert np.isfinite(values).all(), field.name
            assert field.name == "normals" or values.shape == (n,)
        assert (np.abs(context.shift) <= SHIFT).all()
        assert (context.normal_rr > 0).all()
        assert not (context.explained & ~context.alike).any()
        inputs = inputs_of(heart, context)
        assert all(np.isfinite(getattr(inputs, field.name)).all() for field in fields(inputs))
        assert len(inputs) == n


@given(
    st.integers(-SHIFT, SHIFT),
    st.floats(*GAINS),
    st.floats(-5, 5),
    st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_match_finds_the_shift_and_the_gain(
    shape: np.ndarray, shift: int, gain: float, offset: float, unit: float
) -> None:
    normal = unit * (shape - shape.mean())[None]
    window = np.full((1, LENGTH + 2 * SHIFT), unit * offset)
    window[0, SHIFT + shift : SHIFT + shift + LENGTH] += gain * normal[0]
    found_shift, found_gain, difference = match(window, normal)
    assert found_shift[0] == shift
    assert found_gain[0] == pytest.approx(gain, rel=1e-6)
    assert difference[0] == pytest.approx(np.log(1e-6), abs=1e-3)


@pytest.mark.parametrize(("gain", "found"), [(0.2, GAINS[0]), (3.0, GAINS[1])])
def test_a_gain_out_of_range_is_a_difference(gain: float, found: float, shape: np.ndarray) -> None:
    normal = (shape - shape.mean())[None]
    _, gains, difference = match(np.pad(gain * normal, ((0, 0), (SHIFT, SHIFT)), mode="edge"), normal)
    assert gains[0] == found
    assert difference[0] == pytest.approx(2 * np.log(abs(gain - found)), abs=1e-4)
