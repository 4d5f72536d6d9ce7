"""Episodes: which alarms belong together."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from ecg.recordings.signals import UnusableSegment
from ecg.scanning.episodes import COLUMNS, TYPES, find_episodes
from ecg.scanning.kinds import NOISE
from ecg.scanning.records import Change


def beats_of(pattern: str) -> pd.DataFrame:
    """Beats a second apart: `.` none, `A` an alarm of kind A, `n` one in noise."""
    marks = np.array(list(pattern))
    anomalous = marks != "."
    return pd.DataFrame(
        {
            "seconds": np.arange(len(marks)) + 0.5,
            "rr_before": 1.0,
            "score": np.where(anomalous, 2.0 + np.arange(len(marks)) / 1000, 0.5),
            "threshold": 1.0,
            "anomalous": anomalous,
            "kind": np.select([marks == "n", anomalous], [NOISE, "A"], "").astype(object),
            "why": np.where(anomalous, "early by 40%", "").astype(object),
        }
    )


def episodes_of(
    pattern: str,
    changes: list[Change] | None = None,
    unusable: list[UnusableSegment] | None = None,
    left_out_before: tuple[int, ...] = (),
) -> tuple[pd.DataFrame, np.ndarray]:
    follows = ~np.isin(np.arange(len(pattern)), [0, *left_out_before])
    return find_episodes(beats_of(pattern), follows, changes or [], unusable or [])


def types_of(*arguments: object, **options: object) -> list[tuple[str, int]]:
    episodes, _ = episodes_of(*arguments, **options)
    return list(zip(episodes["type"], episodes["alarms"], strict=True))


def test_neighbouring_alarms_are_singles_couplets_and_runs() -> None:
    assert types_of("..A..AA..AAAAA..") == [("single", 1), ("couplet", 2), ("run", 5)]


def test_alarms_at_every_other_beat_are_bigeminy() -> None:
    assert types_of(".A.A.A.A..A...A.A..") == [("bigeminy", 4), ("single", 1), ("single", 1), ("single", 1)]


def test_a_beat_that_was_left_out_ends_a_run_and_bigeminy() -> None:
    assert types_of("..AAAA..", left_out_before=(4,)) == [("couplet", 2), ("couplet", 2)]
    assert types_of(".A.A.A.", left_out_before=(4,)) == [("single", 1)] * 3


def test_the_columns_of_an_episode_are_those_of_its_beats() -> None:
    episodes, number = episodes_of("..AAA..")
    assert tuple(episodes) == tuple(COLUMNS)
    (row,) = episodes.to_dict("records")
    assert (row["start"], row["stop"], row["time"]) == (2.5, 4.5, "0:00:02.5")
    assert (row["beats"], row["alarms"], row["heart_rate"], row["kind"]) == (3, 3, 60.0, "A")
    assert row["why"] == "early by 40%"
    assert row["height"] == 2.004
    assert number.tolist() == [0, 0, 1, 1, 1, 0, 0]


def test_a_single_beat_has_no_heart_rate() -> None:
    assert episodes_of("..A..")[0]["heart_rate"].isna().all()


def test_alarms_in_noise_that_are_near_each_other_are_one_episode_with_the_noise() -> None:
    noisy = [UnusableSegment(20.0, 26.0, "noisy"), UnusableSegment(60.0, 70.0, "flat")]
    assert types_of("....n....n" + "." * 60, unusable=noisy) == [("noise", 2), ("noise", 0)]
    assert types_of("....n....n..A....n" + "." * 60, unusable=noisy) == [("noise", 3), ("single", 1)]


def test_most_alarms_of_a_change_are_one_episode_and_few_are_their_own() -> None:
    change = Change(start=2.5, stop=11.5, beats=10, unlike=9, lasts=False)
    assert types_of("..AAAAA.AAAA..A", [change]) == [("sustained change", 9), ("single", 1)]
    assert types_of("..A........A..A", [change]) == [("sustained change", 0)] + [("single", 1)] * 3


@given(st.text(alphabet=".An", min_size=1, max_size=60), st.lists(st.integers(1, 59), max_size=3))
def test_each_alarm_is_in_one_episode_and_no_other_beat_is(pattern: str, left_out_before: list[int]) -> None:
    episodes, number = episodes_of(pattern, left_out_before=tuple(left_out_before))
    assert ((number > 0) == (np.array(list(pattern)) != ".")).all()
    counts = np.bincount(number, minlength=len(episodes) + 1)[1:]
    assert counts.tolist() == episodes["alarms"].tolist()
    assert episodes["episode"].tolist() == list(range(1, len(episodes) + 1))
    assert episodes["start"].is_monotonic_increasing
    assert set(episodes["type"]) <= set(TYPES)
    for row in episodes.itertuples():
        inside = beats_of(pattern)["seconds"].between(row.start, row.stop)
        assert inside.sum() == row.beats
